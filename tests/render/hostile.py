"""Values that try to get out of where they stand, and a template with a merge field in every kind of place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser
from typing import Any

VALUES = {
    "line-breaks": "x\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>",
    "folded": "x\r\n Bcc: all@evil.example\n\tX-Evil: 1",
    "odd-breaks": "x\x0b\x0c\x85\u2028\u2029Bcc: all@evil.example",
    "nul": "a\x00b\x00",
    "controls": "a" + "".join(map(chr, [*range(1, 9), 11, 12, *range(14, 32), *range(127, 160)])) + "b",
    "encoded-word": "=?utf-8?b?PHNjcmlwdD4=?= =?utf-8?q?=0D=0ABcc:_x@evil.example?=",
    "html": "</td></table><script>alert(1)</script><img src=x onerror=alert(1)><!--",
    "quotes": '" onmouseover="alert(1)" x=\'y\' style="display:none" `',
    "comment": "--><b>x</b><![endif]--><b>",
    "style": "red;background:url(https://evil.example/x)}</style><b>",
    "entity": "&lt;b&gt;&#60;b&#62;&amp;&nbsp;",
    "liquid": "{{ traits.email }}{% if true %}x{% endif %}{% raw %}{{ 'x' | upcase }}",
    "surrogate": "a\ud800b\udfffc",
    "bidi": "a\u202eb\u2066c\u202dd\u2069e\u200ff",
    "mime": "--=_boundary\r\nContent-Type: text/html\r\n\r\n.\r\n.\r\n",
    "long-word": "w" * 5_000,
}
URLS = {
    "breaks": "https://x.example/a\r\nb",
    "quotes": "https://x.example/\"onclick='alert(1)'>",
    "html": "https://x.example/<script>alert(1)</script>",
    "script": "javascript:alert(1)",
    "hidden-script": "java\tscript:alert(1)",
    "liquid": "https://x.example/{{ traits.email }}",
    "nul": "https://x.example/\x00",
    "bidi": "https://x.example/\u202egnp.exe",
    "surrogate": "https://x.example/\ud800",
    "relative": "//evil.example/x",
    "data": "data:text/html,<script>alert(1)</script>",
}

EVERYTHING = """---
subject: "{{ event.subject }} for {{ profile.name }}"
preheader: "{{ event.preheader }} and more to read"
class: transactional
layout: frame
inputs:
  reason: "Because of {{ event.reason }}"
feeds:
  weather: {url: "https://weather.example/{{ traits.city }}", fallback: {}}
---
<mj-section background-url="{{ event.background }}" background-color="{{ event.color }}">
  <mj-column>
    <mj-text css-class="{{ event.css_class }}">{{ traits.title | upcase }} {{ event.text | append: "!" }}</mj-text>
    <mj-text>
      <span style="color:{{ event.color }}" title="{{ event.tip }}">{{ event.words | join: ", " }}</span>
    </mj-text>
    <mj-image src="{{ event.picture }}" alt="{{ event.alt }}" width="100px" />
    <mj-button href="{{ event.url }}" title="{{ event.tip }}">{{ event.label | default: "Go" }}</mj-button>
    {% render "blocks/part.mjml", text: event.text, url: event.url %}
    {% for each in event.products %}
    <mj-text>{{ each.name }} <a href="{{ each.url }}">{{ each.brand }}</a></mj-text>
    {% endfor %}
    {% assign p = event.product_id | product %}<mj-text>{% if p %}{{ p.name }}{% endif %}</mj-text>
    <mj-table><tr>
      <td title='{{ event.tip }}'>{{ feeds.weather.text | default: "-" }} {{ event.text | truncate: 90 }}</td>
    </tr></mj-table>
    <mj-raw><!--[if mso]><p title="{{ event.tip }}">{{ event.text }}</p><![endif]--></mj-raw>
  </mj-column>
</mj-section>
"""
FRAME = """---
inputs: {reason: null}
---
<mjml><mj-head><mj-style>.x { color: {{ event.color }}; }</mj-style></mj-head>
<mj-body>{% content %}<mj-section><mj-column><mj-text>{{ reason }}</mj-text></mj-column></mj-section></mj-body></mjml>
"""
PART = """---
inputs: {text: "", url: null}
---
<mj-text>{% if text %}{{ text }}{% endif %} <a href='{{ url }}'>here</a></mj-text>
"""

Path = tuple[str | int, ...]


def texts_of(data: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in the data, and where."""
    if isinstance(data, str):
        yield at, data
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from texts_of(value, (*at, key))


def with_texts(data: dict[str, Any], change: Callable[[Path, str], str]) -> dict[str, Any]:
    """A copy in which each text is what `change` makes of it."""
    changed = copy.deepcopy(data)
    for path, text in list(texts_of(data)):
        inner: Any = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = change(path, text)
    return changed


class Skeleton(HTMLParser):
    """The markup without its words: tags with the names of their attributes, comments, and addresses' schemes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[object, ...]] = []
        # What only Outlook reads is markup, too.
        self.feed(html.replace("<!--[if", "<ifmso ").replace("<![endif]-->", "</ifmso>"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        schemes = [(value or "").partition(":")[0] for name, value in attrs if name in ("href", "src")]
        styles = [
            tuple(part.partition(":")[0].strip() for part in (value or "").split(";") if part.strip())
            for name, value in attrs
            if name == "style" and "url(" not in (value or "")
        ]
        self.found.append((tag, *(name for name, _ in attrs), *schemes, *styles))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("/", tag))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment",))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("decl", decl))


def read_mail(written: bytes) -> tuple[list[tuple[str, str]], str, str]:
    """The headers of a mail, its text and its HTML, as Python's own parser reads them. Fails on what it finds odd."""
    mail = BytesParser(policy=policy.default).parsebytes(written)
    assert [defect for part in mail.walk() for defect in part.defects] == []
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text, html = (part.get_content().replace("\r\n", "\n") for part in mail.walk() if not part.is_multipart())
    return [(name, str(value)) for name, value in mail.items()], text, html
