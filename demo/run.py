"""What `make run` does: serve this repository as a workspace, replay the shop's half year so that it ends now, say what
happened and where to look, and stay up until Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
from compare import ask, members, sends, wait_until_quiet
from serving import replay, serving

from triggerfish.config import load_settings

HERE = Path(__file__).parent
WORKSPACE = HERE.parent


def main() -> int:
    settings = load_settings(WORKSPACE, os.environ)
    with serving(WORKSPACE, *sys.argv[1:]) as (url, server):
        print(f"Triggerfish is listening on {url}", flush=True)
        headers = {"Authorization": f"Bearer {settings.keys.admin.reveal()}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60.0, trust_env=False) as client:
            if ask(client, "/v1/status")["events"]:
                print("The demo was played before; its data is in data/ (make clean-data removes it).")
            else:
                print("Replaying half a year of a shop, moved so that it ends now …", flush=True)
                replay(HERE / "ecom.csv.gz", HERE / "ecom.mapping.yaml", url, WORKSPACE, "--shift-to-now")
            status = wait_until_quiet(client, None, 600)
            print(story(client, status["events"], status["profiles"]))
            print(places(client, url), flush=True)
        try:
            return server.wait()
        except KeyboardInterrupt:
            print("\nStopped. `make run` goes on where it was.")
            return 0


def story(client: httpx.Client, events: int, people: int) -> str:
    """What happened, in one line."""
    segments = ", ".join(f"{name} {count:,}" for name, count in members(ask(client, "/v1/segments")))
    by_rule = ", ".join(f"{rule} {count:,}" for rule, count in sorted(sends(client).items()))
    return f"{events:,} events of {people:,} people. Segments: {segments}. Sent: {by_rule}."


def places(client: httpx.Client, url: str) -> str:
    """Where to look."""
    look = {"what goes on": "/", "segments": "/segments"}
    for send in ask(client, "/v1/sends", status="sent", limit=1):
        look["someone, and why they got what they got"] = f"/people/{send['profile']}"
    look["the emails that left"] = "/outbox"
    lines = [f"  {what:<42}{url}{path}" for what, path in look.items()]
    return "\n".join(
        ["", "Open", *lines, "Edit a file in rules/ or templates/ and watch it go live. Ctrl-C stops the server."]
    )


if __name__ == "__main__":
    sys.exit(main())
