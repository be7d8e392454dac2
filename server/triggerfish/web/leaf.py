"""The plain pages behind the links in mails: no JavaScript, nothing from elsewhere, fit for phones and for the dark."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape

from litestar import Response

from triggerfish.web.leaf_words import WORDS

_STYLE = (
    ":root{color-scheme:light dark}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f5f7;color:#1c2430;"
    "font:17px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "main{width:100%;max-width:30rem;padding:2.25rem;background:#fff;border-radius:14px;overflow-wrap:anywhere;"
    "box-shadow:0 1px 3px #0002,0 12px 32px #0001}"
    "h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}p{margin:0 0 1.25rem}main>:last-child{margin-bottom:0}"
    "ul{list-style:none;margin:0 0 1.25rem;padding:0}li{padding:.7rem 0;border-top:1px solid #d5dae2}"
    "label{display:flex;gap:.8rem;cursor:pointer}input{flex:none;width:1.35rem;height:1.35rem;margin:.15rem 0 0}"
    "label b{font-weight:600}small{display:block;font-size:.9rem;color:#4c5768}"
    "hr{border:0;border-top:1px solid #d5dae2;margin:1.5rem 0}form{margin:0}"
    ".note{padding:.7rem 1rem;border-left:4px solid #1f4fd8;background:#eef2fd}"
    "a{color:#1f4fd8}"
    "button{font:inherit;font-weight:600;color:#fff;background:#1f4fd8;border:1px solid #1f4fd8;border-radius:9px;"
    "padding:.7rem 1.4rem;min-height:44px;cursor:pointer}button:hover{background:#173fb0}"
    "button.quiet{color:#1f4fd8;background:none}button.quiet:hover{background:#eef2fd}"
    "button:focus-visible,input:focus-visible,a:focus-visible{outline:3px solid #86a6ff;outline-offset:2px}"
    "@media (max-width:34rem){body{place-items:start stretch;background:#fff}main{max-width:none;padding:1.5rem;"
    "border-radius:0;box-shadow:none}}"
    "@media (prefers-color-scheme:dark){body{background:#11151c;color:#e7ebf2}main{background:#1b212b;box-shadow:none}"
    "small{color:#aab4c3}li,hr{border-color:#39424f}a,button.quiet{color:#9db8ff}button.quiet{border-color:#9db8ff}"
    "button.quiet:hover,.note{background:#222b3a}}"
    "@media (prefers-color-scheme:dark) and (max-width:34rem){body{background:#1b212b}}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of all that has a token in its address."""
_HEADERS = PRIVATE | {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}


def leaf(
    language: str, title: str, body: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """A page. `title` is one of WORDS; `body` is HTML, and whatever comes from outside has been escaped in it."""
    said = escape(WORDS[language][title])
    html = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{said}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{said}</h1>{body}</main></body></html>"
    )
    return Response(html, status_code=status, media_type="text/html", headers=_HEADERS | dict(headers or {}))


def say(language: str, key: str, **values: str) -> str:
    """One of WORDS as HTML; the values are escaped, and stand out."""
    text = escape(WORDS[language][key])
    return text.format(**{name: f"<b>{escape(value)}</b>" for name, value in values.items()})


def button(language: str, key: str, attributes: str = "") -> str:
    """A button that sends its form."""
    return f'<button type="submit"{attributes}>{say(language, key)}</button>'


def lost(language: str) -> Response[str]:
    """For a token that is none of ours."""
    return leaf(language, "lost_title", f"<p>{say(language, 'lost_text')}</p>", status=404)


def sorry(language: str, hidden: str = "") -> Response[str]:
    """A wish could not be stored; the form asks the same again, with the `hidden` fields."""
    again = f'<form method="post">{hidden}{button(language, "sorry_button")}</form>'
    body = f"<p>{say(language, 'sorry_text')}</p>{again}"
    return leaf(language, "sorry_title", body, status=503, headers={"Retry-After": "60"})
