# Needs make, Python 3.11 or 3.12 and a C compiler; everything else goes into .venv.
#   make run          start the demo on 127.0.0.1: real shop events, through everything
#   make test         all tests but the long ones          make test-long   the long ones
#   make check        format, lint, types, documents       make fix         mend what can be mended
#   make demo-check   the demo's figures against an independent computation
#   make faults       kill real processes, for some twenty minutes: docs/faults.md
#   make soak         half the top load for MINUTES=30, with reloads, kills and a bad provider; into docs/faults.md
#   make bench        measure                              make lock        pin the requirements anew
#   make clean        remove all that make has made, but data/
#   make clean-data   remove data/: the next make run plays the demo anew

SHELL := /bin/sh
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?=
export PYTHON

RUN = $(BIN)/python demo/run.py
DEMO_CHECK = $(BIN)/python demo/check.py
BENCH = $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(GOALS),--goals) $(if $(MINUTES),--minutes $(MINUTES))
TEST = $(BIN)/python -m pytest

# An environment is tied to the place where it was made, so a checkout that was moved or copied gets a new one.
HERE := $(firstword $(shell pwd | cksum))
RUNS := $(VENV)/.installed-run-$(HERE)
DEVELOPS := $(VENV)/.installed-dev-$(HERE)
BENCHES := $(VENV)/.installed-bench-$(HERE)
NODE_MODULES := tests/node/node_modules/.package-lock.json

.PHONY: run test test-long faults soak check fix demo-check bench lock clean clean-data node

run: $(RUNS)
	@exec $(RUN)

# Three files at a time, also on two cores: many tests wait for processes that they started.
test: $(DEVELOPS) node
	@$(TEST) -n 3 --dist loadfile --no-loadscope-reorder

test-long: $(DEVELOPS) node
	@$(TEST) -m long

faults: $(DEVELOPS)
	@$(TEST) -m faults -s tests/faults

soak: $(DEVELOPS)
	@TRIGGERFISH_SOAK_MINUTES=$(or $(MINUTES),30) TRIGGERFISH_SOAK_DOCS=docs/faults.md \
		$(TEST) -s tests/faults/test_soak.py

check: $(DEVELOPS)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(TEST) -q -m docs

fix: $(DEVELOPS)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

demo-check: $(DEVELOPS)
	@$(DEMO_CHECK)

bench: $(BENCHES)
	@$(BENCH)
	@$(if $(QUICK),,$(BIN)/python -m benchmarks.page)

# Development first: what runs is then pinned at the very versions that were tested.
LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --quiet
lock: $(DEVELOPS)
	$(LOCK) --upgrade pyproject.toml --group dev -o requirements-dev.txt
	$(LOCK) pyproject.toml -c requirements-dev.txt -o requirements.txt
	$(LOCK) --group build -c requirements-dev.txt -o requirements-build.txt
	$(LOCK) --group bench -c requirements-dev.txt -o requirements-bench.txt

clean-data:
	rm -rf data

clean:
	rm -rf $(VENV) tests/node/node_modules dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find server plugins tests benchmarks migrations -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNS): pyproject.toml requirements.txt requirements-build.txt .ci/install
	@.ci/install $(VENV) requirements.txt
	@touch $@

$(DEVELOPS): pyproject.toml requirements-dev.txt requirements-build.txt .ci/install
	@.ci/install $(VENV) requirements-dev.txt
	@touch $@ $(RUNS)

# Whom the bench measures against; nothing else needs them.
$(BENCHES): $(DEVELOPS) requirements-bench.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.txt
	@touch $@

# The npm clients that some tests drive. Without Node.js 20 or newer those tests are skipped, and say so.
node:
	@if node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1; \
	then $(MAKE) -s $(NODE_MODULES); fi

$(NODE_MODULES): tests/node/package.json tests/node/package-lock.json
	@echo "Installing the npm clients that the tests drive ..."
	@cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
