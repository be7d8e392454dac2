"""The shop of tests/shop.py, once for all tests of this folder."""

import asyncio

import pytest

from shop import live, make_workspace


@pytest.fixture(scope="session")
def lived(tmp_path_factory):
    """A workspace in which things have happened. Tests read it only."""
    workspace = make_workspace(tmp_path_factory.mktemp("shop") / "workspace")
    asyncio.run(live(workspace))
    return workspace
