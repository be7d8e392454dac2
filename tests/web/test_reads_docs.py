"""docs/http.md lists every read with its parameters, and docs/pages.md every page."""

import re
from pathlib import Path

import pytest

from triggerfish.web import consent, holds, hooks, plan, profiles, status, suppressions
from triggerfish.web.pages import outbox, overview, people, rulebook, segments, sends
from triggerfish.web.questions import MOST_ROWS

DOCS = Path(__file__).parents[2] / "docs"
LIST = [route for route in (*suppressions.routes, *holds.routes) if route.http_methods == {"GET"}]
PLAN = [route for route in plan.routes if route.http_methods == {"GET"}]
HTTP, PAGES = ((DOCS / name).read_text(encoding="utf-8") for name in ("http.md", "pages.md"))

pytestmark = pytest.mark.docs


def paths(routes):
    """Each path, its parameters' types and names left out."""
    return {bare(path) for route in routes for path in route.paths}


def bare(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


def listed(page):
    """The paths in code that a page names."""
    found = re.findall(r"`(?:GET |POST |DELETE )?(/[^`\s]*)`", page)
    return {bare(path) for path in found}


def test_every_read_is_listed_and_no_other():
    rows = re.findall(r"(?m)^\| `GET (/(?:v1|metrics)[^`]*)` \|([^|]*)\|", HTTP.partition("## Reads")[2])
    assert {bare(path) for path, _ in rows} == paths([*profiles.routes, *status.routes, *PLAN, *LIST])
    told = {bare(path): set(re.findall(r"`(\w+)`", parameters)) for path, parameters in rows}
    for route in (*profiles.routes, *status.routes, *PLAN, *LIST):
        names = set(route.parsed_fn_signature.parameters)
        query = names - {"desk", "examiner", "request"} - set(re.findall(r"\{(\w+):", "".join(route.paths)))
        assert told[bare(next(iter(route.paths)))] == query, route.paths
    assert paths([*hooks.routes, *plan.routes, *consent.routes, *suppressions.routes, *holds.routes]) <= listed(HTTP)


def test_every_page_is_listed():
    routes = [*overview.routes, *rulebook.routes, *people.routes, *segments.routes, *sends.routes, *outbox.routes]
    assert paths(routes) - {"/outbox/{}/html"} == listed(PAGES)


def test_the_bound_of_a_page_is_told():
    assert f"`limit` is 1 to {MOST_ROWS}" in HTTP
