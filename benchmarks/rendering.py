"""The same mail of 40 KB rendered by three template engines: python-liquid, which the server uses, Jinja2 and
minijinja. The template has the loops, conditions, filters and escapes of an order's mail, in each engine's own words;
the three texts must be the same. Time is processor time; each template is compiled before.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figure, Wrong

LINES = 12
_LINE = """
<tr>{% if IS_EVEN %}<td class="even" style="padding:8px 16px;background-color:#e3efef;">{% else %}<td>{% endif %}
<a href="https://shop.example/p/{{ item.id }}?utm=mail" style="color:#0f4c5c">{{ item.name }}</a>
{% if item.quantity > 1 %}<span>{{ item.quantity }} of them at {{ item.price }}</span>{% else %}<span>one</span>
{% endif %}<p style="margin:0;font-size:14px;line-height:20px;color:#333333;mso-line-height-rule:exactly">
{{ item.text }} – {{ item.brand | UPPER }}</p></td></tr>
"""
_STILL = '<p style="margin:0;font-size:14px;line-height:20px;color:#333333">What we make, we make to last.</p>' * 30
_WHOLE = f"""<html><body><h1>Thank you, {{{{ profile.first_name }}}}</h1><table>
{{% for item in event.lines %}}{_LINE}{_STILL}{{% endfor %}}
</table>{{% if event.total > 100 %}}<p>Shipping is free.</p>{{% endif %}}</body></html>"""


def template(even: str, upper: str) -> str:
    return _WHOLE.replace("IS_EVEN", even).replace("UPPER", upper)


def data(number: int) -> dict[str, Any]:
    lines = [
        {
            "id": f"p-{number}-{place}",
            "name": f"Kettle & pot {place}",
            "quantity": 1 + place % 3,
            "price": 10 + place,
            "text": "A kettle is a kettle until the day on which you pour from a good one.",
            "brand": f"reef {place % 7}",
        }
        for place in range(LINES)
    ]
    return {"profile": {"first_name": f"Person{number}"}, "event": {"lines": lines, "total": 40 + number}}


def _liquid() -> Callable[[dict[str, Any]], str]:
    from liquid import Environment

    text = template("rest == 0", "upcase").replace(
        "{% if rest", "{% assign rest = forloop.index | modulo: 2 %}{% if rest"
    )
    made = Environment(autoescape=True).from_string(text)
    return lambda values: made.render(**values)


def _jinja() -> Callable[[dict[str, Any]], str]:
    from jinja2 import Environment

    made = Environment(autoescape=True).from_string(template("loop.index % 2 == 0", "upper"))
    return lambda values: made.render(**values)


def _minijinja() -> Callable[[dict[str, Any]], str]:
    from minijinja import Environment

    environment = Environment(templates={"mail.html": template("loop.index % 2 == 0", "upper")})
    return lambda values: environment.render_template("mail.html", **values)


ENGINES = {"liquid": _liquid, "jinja2": _jinja, "minijinja": _minijinja}


def measure(quick: bool, folder: Path) -> list[Figure]:
    count = 100 if quick else 400
    people = [data(number) for number in range(count)]
    took: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, make in ENGINES.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is left out: it is not installed; make bench installs the group bench", flush=True)
            continue
        render = make()
        texts[name] = _plain(render(people[1]))
        began = time.process_time()
        for values in people:
            render(values)
        took[name] = 1e6 * (time.process_time() - began) / count
    if len(set(texts.values())) != 1:
        raise Wrong("the engines rendered different mails")
    size = len(texts["liquid"].encode()) / 1_024
    ours = took.pop("liquid")
    return [Figure(f"render a mail of {size:.0f} KB: python-liquid", "µs", ours, peers=took)]


def _plain(text: str) -> str:
    """The text, whichever way a character was escaped."""
    return "\n".join(line for line in text.replace("&#38;", "&amp;").splitlines() if line.strip())
