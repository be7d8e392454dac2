"""Who opened, who clicked: a human being, or a machine that looks at mail before or instead of one. A probability, kept
with each open and click; whoever uses them says which they take (docs/consent.md).

Nobody can tell for sure. What is known, with its source:
- Apple's Mail Privacy Protection loads all pictures of all mail, read or not, as "Mozilla/5.0" and nothing more
  (ua-parser/uap-core issue 509; Apple, "Use Mail Privacy Protection", support.apple.com/HT212797).
- Gmail loads pictures through GoogleImageProxy when somebody opens, and sometimes before, while they look at the
  inbox, as an Edge 12 that is none (SparkPost, "Gmail prefetching images", 2021). Yahoo's proxy is as Gmail's first.
- Scanners of companies (Proofpoint, Barracuda, Mimecast, Microsoft's Safe Links) follow every link within seconds,
  some under their names, some as a browser (mautic/mautic issue 9798). So time and several links at once count.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

LIKELY_HUMAN = 0.5
"""From here on, results count an open or a click as a human's."""
USUAL = 0.95
SOON_SECONDS = 5.0
"""Nobody has read a message so soon after it was handed over; it takes longer to arrive."""
QUICK_SECONDS = 15.0
BURST_SECONDS = 3.0
"""Who follows several links within this time does not read what they lead to."""


class Guess(Struct, frozen=True):
    """How likely it was a human, from 0 to 1, and what speaks for a machine; empty when nothing does."""

    human: float
    machine: str = ""


_APPLE = "Mozilla/5.0"
_GMAIL_AHEAD = re.compile(r"Chrome/42\.0\.2311\.135 Safari/537\.36 Edge/12\.246 Mozilla/5\.0$")
_PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|DuckDuckGo-Favicons|FastmailProxy|ProtonMail", re.IGNORECASE)
_SCANNERS = re.compile(
    r"barracuda|mimecast|proofpoint|urldefense|safelinks|messagelabs|symantec|trendmicro|trend micro|fireeye|ironport|"
    r"sophos|forcepoint|zscaler|checkpoint|avanan|cloudmark|vade|bitdefender|virustotal|urlscan|phish",
    re.IGNORECASE,
)
_PREVIEWS = re.compile(
    r"facebookexternalhit|WhatsApp/|Slackbot|TelegramBot|Twitterbot|LinkedInBot|Discordbot|SkypeUriPreview|"
    r"BingPreview|Google-Safety|MicrosoftPreview|Iframely|embedly",
    re.IGNORECASE,
)
_PROGRAMS = re.compile(
    r"bot\b|crawl|spider|slurp|curl/|wget|python|httpx|aiohttp|okhttp|go-http-client|^java/|libwww|perl|axios|"
    r"node-fetch|undici|apache-httpclient|postman|guzzle|ruby|headless|phantomjs|puppeteer|playwright|selenium|monitor",
    re.IGNORECASE,
)


def guess(
    kind: Literal["opened", "clicked"], user_agent: str, *, seconds: float | None = None, others: int = 0
) -> Guess:
    """Whether a human opened or clicked. `seconds` have passed since the message was composed (None: unknown); so many
    `others`, links or the pixel of the same message, were called within BURST_SECONDS before.

    Of all that speaks for a machine, the strongest counts.
    """
    found = [_by_name(kind, user_agent.strip())]
    if kind == "clicked" and others >= 1:
        found.append(Guess(0.1, "several links at once"))
    if seconds is not None and seconds < SOON_SECONDS:
        found.append(Guess(0.1, f"within {SOON_SECONDS:.0f} seconds of sending"))
    elif seconds is not None and seconds < QUICK_SECONDS:
        found.append(Guess(0.6, f"within {QUICK_SECONDS:.0f} seconds of sending"))
    return min(found, key=lambda each: each.human)


def _by_name(kind: Literal["opened", "clicked"], user_agent: str) -> Guess:
    if not user_agent:
        return Guess(0.1, "no user agent")
    if user_agent == _APPLE:
        return Guess(0.1, "Apple's privacy proxy" if kind == "opened" else "no browser")
    if _GMAIL_AHEAD.search(user_agent):
        return Guess(0.1, "Gmail loading ahead")
    if _SCANNERS.search(user_agent):
        return Guess(0.02, "a mail scanner")
    if _PREVIEWS.search(user_agent):
        return Guess(0.05, "a link preview")
    if _PROXIES.search(user_agent):
        # A proxy fetches pictures when somebody opens; it follows no links.
        return Guess(0.85) if kind == "opened" else Guess(0.1, "an image proxy")
    if _PROGRAMS.search(user_agent):
        return Guess(0.02, "a program")
    return Guess(USUAL)
