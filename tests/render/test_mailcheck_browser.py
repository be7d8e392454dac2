"""The colours and sizes that the checks work out are those that Chromium works out, in light and in dark mode."""

import json
import os
import re
import subprocess
from html import escape, unescape
from pathlib import Path

import pytest

from render.kit import COMPANY
from triggerfish.adapters import liquid
from triggerfish.adapters.composed import preview
from triggerfish.adapters.mailcheck import cascade
from triggerfish.adapters.mailcheck.mail import Mail
from triggerfish.adapters.mjml_reader import Element
from triggerfish.adapters.sources import Woven
from triggerfish.adapters.templates import check_templates
from triggerfish.cli.pictures import find_browser

REPOSITORY = Path(__file__).parents[2]

# What starter emails do not have: every way to say a colour, and who wins over whom.
HAND_MADE = """<!doctype html><html><head><style>
  td { color: #111111 } .a { color: #222222 } td.a { color: #333333 } #x { color: #444444 }
  .b { color: #555555 !important } div > p { color: #666666 } .g { background: #777777 } p + p { color: #888888 }
  .r { color: rgb(1, 2, 3) } a { color: #999999 } .bad[ { color: #dddddd } .after { color: #eeeeee }
  @media (max-width: 400px) { td { color: #aaaaaa } } @media print { td { color: #cccccc } }
  @media screen and (min-width: 400px) { .w { color: #bbbbbb } }
  @media (prefers-color-scheme: dark) { .d { color: #010101; background-color: #020202 } }
</style></head><body text="#121212" bgcolor="#fafafa">
<table><tr><td>one</td><td class="a">two</td><td class="a" id="x">three</td>
<td class="a b" style="color:#131313">four</td><td style="color:#141414 !important" class="b">five</td>
<th>six<b style="font-weight:normal">seven</b></th></tr>
<tr bgcolor="#dddddd"><td bgcolor="#abc" class="w">eight<td>nine<div><p>ten</p><p>eleven</p></div></table>
<div class="g r" style="font-size:20px">twelve <span style="font-size:1.5em">thirteen
<i style="font-size:80%">fourteen</i></span> <font color="#151515">fifteen</font></div>
<h1>sixteen <small style="font-size:0">seventeen</small></h1><h2 style="color:inherit">eighteen</h2>
<p class="after">nineteen</p><a href="https://a.example/">twenty</a> <a>twenty-one</a>
<p style="background:none;color:Navy">twenty-two</p><p class="d">twenty-three
<ul><li>twenty-four<li style="color:hsl(120, 100%, 20%)">twenty-five</ul></body></html>"""

PAGE = """<!doctype html><meta charset=utf-8><body>%s<script>
window.onload = () => {
  const told = [...document.querySelectorAll("iframe")].map(frame => {
    const found = {}, inside = frame.contentDocument, style = each => frame.contentWindow.getComputedStyle(each);
    for (const each of inside.querySelectorAll("[data-n]")) {
      let ground = each;
      while (ground && style(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
      const own = style(each);
      found[each.dataset.n] = [own.color, ground && style(ground).backgroundColor, own.fontSize, own.fontWeight];
    }
    return found;
  });
  document.body.textContent = "TOLD" + JSON.stringify(told) + "TOLD";
};
</script>"""


def hexed(colour: str) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])


@pytest.mark.skipif(find_browser() is None, reason="Chromium is not installed")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_and_sizes_are_what_a_browser_works_out(tmp_path: Path, mode: str) -> None:
    templates, _ = check_templates(REPOSITORY / "templates", COMPANY)
    emails = [HAND_MADE, *(preview(template).html for template in list(templates.values())[:4])]
    environment = liquid.environment(is_html=False, filters={}, language="en", currency="EUR")
    mails = [
        Mail(Woven([(html, 0)]), Element("mjml", 0), Woven([(html, 0)]), environment=environment, facts={})
        for html in emails
    ]
    page = tmp_path / "page.html"
    page.write_text(PAGE % "".join(f'<iframe width=900 srcdoc="{escape(numbered(mail))}"></iframe>' for mail in mails))
    flags = ["--headless", "--disable-gpu", "--no-first-run", "--dump-dom", f"--user-data-dir={tmp_path}/profile"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    flags += [f"--blink-settings=preferredColorScheme={0 if mode == 'dark' else 1}"]
    done = subprocess.run(
        [str(find_browser()), *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    for mail, told in zip(mails, json.loads(unescape(done.stdout.split("TOLD")[1])), strict=True):
        looks = cascade.looks(mail.markup, mail.rules, mail.filled, is_dark=mode == "dark")
        compared = 0
        for number, node in enumerate(mail.markup.nodes):
            look = looks[node]
            if str(number) not in told or look.is_hidden or not node.texts:
                continue
            ink, ground, size, weight = told[str(number)]
            wanted = (hexed(ink), hexed(ground) if ground else None, round(float(size[:-2]), 1), int(weight) >= 600)
            assert look.ink is not None
            assert look.ground is not None
            shown = mail.html.text[node.texts[0].start : node.texts[0].end].strip()
            found = (look.ink.hex, look.ground.hex if ground else None, round(look.size, 1), look.is_bold)
            assert found == wanted, (node.name, shown)
            compared += 1
        assert compared >= 15


def numbered(mail: Mail) -> str:
    """The mail's HTML with the number of each element in it."""
    html = mail.html.text
    for number, node in reversed(list(enumerate(mail.markup.nodes))):
        at = node.at + 1 + len(node.name)
        html = f'{html[:at]} data-n="{number}"{html[at:]}'
    return html
