"""Milliseconds to compose each starter email for a person and to make a MIME message of it; mails a second into the
outbox. The floor of the latter writes files of the same bytes, and composes nothing.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import shutil
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from benchmarks.engine import COMPANY
from benchmarks.measuring import Figure, Wrong
from benchmarks.streams import ROOT
from triggerfish import to_mime
from triggerfish.adapters.composed import SAMPLE_AT
from triggerfish.adapters.templates import load_templates
from triggerfish.clock import WallClock
from triggerfish.measure import Signer
from triggerfish.plugin.channel import PluginContext
from triggerfish.render import Message, Template, recipient, template_data
from triggerfish_outbox import Outbox

URL = "https://events.example.org"
BATCH = 500


def compose(template: Template, number: int, signer: Signer) -> Message:
    """The mail to the number-th person: the template's sample person, by another name."""
    sample = template.sample
    traits = {**sample["traits"], "email": f"person-{number}@example.com", "firstName": f"Person{number}"}
    data = template_data(
        traits, sample["event"], sent_at=SAMPLE_AT, profile_id=f"p{number}", segments=sample["segments"]
    )
    links = signer.links(f"send-{number}", f"p{number}", template.purpose, URL)
    return template.compose(send_id=f"send-{number}", data=data, to=recipient(traits), links=links)


def check(message: Message, mime: bytes, number: int) -> None:
    """The mail must be this person's, whole, with links of ours."""
    parsed = cast(EmailMessage, email.message_from_bytes(mime, policy=email.policy.default))
    html = parsed.get_body(("html",))
    if (
        html is None
        or parsed["to"].addresses[0].addr_spec != f"person-{number}@example.com"
        or f"{URL}/t/o/" not in html.get_content()
        or html.get_content().replace("\r\n", "\n").strip() != message.html.replace("\r\n", "\n").strip()
    ):
        raise Wrong(f'the mail "{message.template}" is not what was composed')


def measure(quick: bool, folder: Path) -> list[Figure]:
    rounds = 50 if quick else 300
    signer = Signer("the-secret-of-the-benchmark")
    found: list[Figure] = []
    mails: list[bytes] = []
    templates = load_templates(ROOT / "templates", COMPANY)
    for name, template in sorted(templates.items()):
        began = time.perf_counter()
        messages = [compose(template, number, signer) for number in range(rounds)]
        composed = time.perf_counter()
        mimes = [to_mime(message, date=SAMPLE_AT, message_id_domain="events.example.org") for message in messages]
        done = time.perf_counter()
        check(messages[-1], mimes[-1], rounds - 1)
        mails += mimes
        found += [
            Figure(
                f"{name}: compose ({len(messages[-1].html) / 1_024:.0f} KB)", "ms", 1_000 * (composed - began) / rounds
            ),
            Figure("  to_mime", "ms", 1_000 * (done - composed) / rounds),
        ]
    total = BATCH if quick else 4 * BATCH
    floor = write_bare(folder / "bare", (mails * (total // len(mails) + 1))[:total])
    ours = asyncio.run(into_the_outbox(folder, list(templates.values()), signer, total))
    found.append(Figure("into the outbox, composed and written; the floor writes files", "mails/s", ours, floor))
    return found


def write_bare(folder: Path, mails: list[bytes]) -> float:
    folder.mkdir()
    began = time.perf_counter()
    for number, mail in enumerate(mails):
        (folder / f"{number}.eml").write_bytes(mail)
    rate = len(mails) / (time.perf_counter() - began)
    shutil.rmtree(folder)
    return rate


async def into_the_outbox(folder: Path, templates: list[Template], signer: Signer, total: int) -> float:
    outbox = Outbox(Outbox.Config())
    await outbox.open(PluginContext(folder, folder, URL, WallClock()))
    began = time.perf_counter()
    accepted = 0
    for start in range(0, total, BATCH):
        batch = [compose(templates[number % len(templates)], number, signer) for number in range(start, start + BATCH)]
        receipts: list[Any] = await outbox.send(batch)
        accepted += sum(receipt.status == "accepted" for receipt in receipts)
    rate = total / (time.perf_counter() - began)
    await outbox.close()
    if accepted != total or len(list((folder / "outbox").glob("*.eml"))) != total:
        raise Wrong(f"{total} mails were sent, {accepted} accepted")
    return rate
