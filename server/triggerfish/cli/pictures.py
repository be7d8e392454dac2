"""Pictures of HTML files, taken by a Chromium that is installed on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

SIZES = {"desktop": 800, "phone": 390}
"""Widths in CSS pixels."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 60
_TALLEST = 6_000
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
    # No network: looking at a mail must not tell anybody. Nothing listens on port 9 (RFC 863).
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
)  # fmt: skip
# Chromium's own start page has no narrower window than 500 pixels, so the mail is shown in a frame of its width.
_FRAME = (
    '<!doctype html><meta charset=utf-8><meta http-equiv=Content-Security-Policy content="{policy}">'
    "<style>html,body{{margin:0;background:#fff}}iframe{{border:0;display:block;width:{width}px}}</style>"
    '<iframe id=mail sandbox=allow-same-origin srcdoc="{source}"></iframe><script>'
    "const mail=document.getElementById('mail');"
    "mail.onload=()=>{{const tall=mail.contentDocument.documentElement.scrollHeight;mail.style.height=tall+'px';"
    "document.documentElement.dataset.tall=tall}}</script>"
)
# The mail in the frame is under it, too; its own scripts are kept from running by the sandbox.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def take_picture(browser: str, html: Path, picture: Path, width: int) -> str:
    """Write the whole page as a PNG. Returns what went wrong, or an empty text."""
    with tempfile.TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.html"
        source = html.read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
        frame.write_text(_FRAME.format(width=width, source=source, policy=_POLICY), encoding="utf-8")
        try:
            dom = _run(browser, folder, frame, f"--window-size={width},1000", "--dump-dom")
            found = re.search(r'data-tall="(\d+)"', dom)
            tall = min(int(found[1]), _TALLEST) if found else 1_200
            _run(browser, folder, frame, f"--window-size={width},{tall}", f"--screenshot={picture.absolute()}")
        except subprocess.TimeoutExpired:
            return f"Chromium took longer than {_SECONDS} seconds"
        except (OSError, subprocess.CalledProcessError) as error:
            return f"Chromium failed: {error}"
    return "" if picture.is_file() else "Chromium wrote none"


def _run(browser: str, folder: str, page: Path, *flags: str) -> str:
    # As root, as in containers, Chromium starts without its sandbox only; the page is a mail of ours, without scripts.
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    command = [browser, *_FLAGS, *as_root, f"--user-data-dir={folder}/profile", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603
    return done.stdout
