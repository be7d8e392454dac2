"""What the processes say about themselves: one line each on stderr, without personal data."""

from __future__ import annotations

import logging
import sys


def set_up_logs(level: str = "info") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("apscheduler", "httpx", "httpcore", "watchfiles", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
