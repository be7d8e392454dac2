"""Takes the pictures of the README from a running server that has something to show.

    python docs/screenshots.py http://127.0.0.1:8400 --person user_0001@example.com

With the demo's keys the pages are open. Pictures go into docs/img/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import quote

from triggerfish.cli.pictures import find_browser

IMAGES = Path(__file__).parent / "img"
FLAGS = [
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
    # Frames are painted by processes of their own; without this they may be white.
    "--disable-features=IsolateSandboxedIframes", "--run-all-compositor-stages-before-draw",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the server's address")
    parser.add_argument("--person", help="whom to show: any identity (default: someone who got a message)")
    parser.add_argument("--key", default="demo-admin-key-loopback", help="the admin key, for finding what to show")
    parser.add_argument("--dark", action="store_true", help="take dark ones besides")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder for the pictures")
    given = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("Chromium is not installed")
    url = given.url.rstrip("/")
    sends = _ask(url, "/v1/sends?status=sent&limit=500", given.key)
    if not sends:
        sys.exit("no message was sent there yet, so there is nothing to show")
    person = given.person or _most_told(sends)
    theirs = _ask(url, f"/v1/sends?status=sent&limit=1&profile={quote(person)}", given.key) or sends
    pages = {
        "status": ("/?refresh=off", 1280, 1240),
        "segments": ("/segments", 1280, 960),
        "person": (f"/people/{quote(person)}", 1280, 1800),
        "outbox": (f"/outbox/{theirs[0]['id']}", 1280, 1250),
        "person-phone": (f"/people/{quote(person)}", 500, 1100),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    for name, (path, width, height) in pages.items():
        for theme in ("light", "dark") if given.dark else ("light",):
            picture = given.out / (f"{name}.png" if theme == "light" else f"{name}-dark.png")
            take(browser, url + path, picture, width, height, theme)
            print(picture, f"{picture.stat().st_size // 1000} KB")  # noqa: T201


def take(browser: str, address: str, picture: Path, width: int, height: int, theme: str) -> None:
    """One picture of a page at this size."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            *FLAGS,
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--screenshot={picture.absolute()}",
            address,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603


def _ask(url: str, path: str, key: str) -> list[dict[str, str]]:
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: list[dict[str, str]] = json.load(answer)
    return found


def _most_told(sends: list[dict[str, str]]) -> str:
    """The person with the most kinds of messages: the best story."""
    kinds: dict[str, set[str]] = {}
    for send in sends:
        kinds.setdefault(send["profile"], set()).add(send["template"])
    return max(kinds, key=lambda profile: len(kinds[profile]))


if __name__ == "__main__":
    main()
