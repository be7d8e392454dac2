"""Hold what a running server shows against figures that were worked out apart from it:

    python demo/check_ecom.py | python demo/compare.py http://127.0.0.1:8400 ADMIN_KEY

It waits until the server has followed all events and handed over all messages, prints both columns, and exits with 1 if
they differ anywhere. It asks the public API only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

PAGE = 500
ON_THE_WAY = ("due", "sending", "retrying")
LOST = ("failed", "uncertain")


def wait_until_quiet(client: httpx.Client, events: int | None, seconds: float) -> dict[str, Any]:
    """The server's status once it has no event to follow and no message to hand over. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while True:
        status: dict[str, Any] = ask(client, "/v1/status")
        is_whole = events is None or status["events"] >= events
        if is_whole and not status["lag"] and not any(status["sends"].get(name) for name in ON_THE_WAY):
            return status
        if time.monotonic() > until:
            raise TimeoutError(f"the server is still busy after {seconds:.0f} s: {json.dumps(status)}")
        time.sleep(0.5)


def ask(client: httpx.Client, path: str, **query: str | int) -> Any:
    answer = client.get(path, params=query)
    answer.raise_for_status()
    return answer.json()


def members(tree: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    for segment in tree:
        yield segment["name"], segment["count"]
        yield from members(segment["children"])


def sends(client: httpx.Client) -> Counter[str]:
    """Messages sent, by rule, counted one by one."""
    counted: Counter[str] = Counter()
    query: dict[str, str | int] = {"status": "sent", "limit": PAGE}
    while page := ask(client, "/v1/sends", **query):
        counted.update(f"{send['ruleset']}/{send['rule']}" for send in page)
        query["before"] = page[-1]["id"]
    return counted


def differences(expected: dict[str, int], found: dict[str, int], title: str) -> tuple[list[str], int]:
    """The table of both, and how many lines of it differ. What one side does not have counts as 0."""
    lines, wrong = [f"{title:<36}{'expected':>10}{'found':>10}"], 0
    for name in sorted({*expected, *found}):
        want, have = expected.get(name, 0), found.get(name, 0)
        wrong += want != have
        lines.append(f"{name:<36}{want:>10,}{have:>10,}{'' if want == have else '   <-- differs'}")
    return lines, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare a server's figures with those expected (JSON on stdin).")
    parser.add_argument("url")
    parser.add_argument("admin_key")
    parser.add_argument("--events", type=int, help="wait until the server has stored this many events")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds to wait for the server to be done")
    given = parser.parse_args()
    expected = json.load(sys.stdin)
    headers = {"Authorization": f"Bearer {given.admin_key}"}
    with httpx.Client(base_url=given.url, headers=headers, timeout=60.0, trust_env=False) as client:
        status = wait_until_quiet(client, given.events, given.wait)
        of_segments, wrong_segments = differences(
            expected["segments"], dict(members(ask(client, "/v1/segments"))), "segment"
        )
        of_sends, wrong_sends = differences(expected["sends"], sends(client), "rule")
    lost = {name: status["sends"][name] for name in LOST if status["sends"].get(name)}
    if status["dead_letters"]:
        lost["dead letters"] = status["dead_letters"]
    sys.stdout.write("\n".join([*of_segments, "", *of_sends, ""]))
    wrong = wrong_segments + wrong_sends
    if wrong or lost:
        sys.stdout.write(f"\n{wrong} figures differ{''.join(f', {count} {name}' for name, count in lost.items())}.\n")
        return 1
    sys.stdout.write(f"\nAll figures agree ({status['events']:,} events, {status['profiles']:,} people).\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
