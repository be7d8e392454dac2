"""The shop of tests/shop.py, once for all tests of this folder, and a client of its server."""

import asyncio

import pytest

from shop import ADMIN, connect, live, make_workspace, open_shop


@pytest.fixture(scope="session")
def lived(tmp_path_factory):
    """A workspace in which things have happened. Tests read it only."""
    workspace = make_workspace(tmp_path_factory.mktemp("shop") / "workspace")
    asyncio.run(live(workspace))
    return workspace


@pytest.fixture
async def shop(lived):
    """The desk."""
    async with open_shop(lived) as desk:
        yield desk


@pytest.fixture
async def reader(shop):
    """A client with the admin key."""
    async with connect(shop, headers=ADMIN) as client:
        yield client
