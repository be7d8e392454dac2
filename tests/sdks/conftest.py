from __future__ import annotations

from collections.abc import Iterator

import pytest

from sdks.harness import Server, server_under_test


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with server_under_test(tmp_path) as server:
        yield server
