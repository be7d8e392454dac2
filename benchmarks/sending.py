"""Mails of 40 KB a second and core: composed for a person, written as MIME, signed with DKIM (RSA of 2,048 bits) and
accepted by a server on this machine; and what each of these steps costs. Time is the processor time of this process:
what the server at the other end takes is its own.
"""

from __future__ import annotations

import asyncio
import shutil
import smtplib
import subprocess
import sys
import time
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engine import COMPANY
from benchmarks.measuring import Figure, Wrong
from benchmarks.streams import ROOT
from triggerfish import to_mime
from triggerfish.adapters.composed import SAMPLE_AT
from triggerfish.adapters.doctor.new_key import write_new_key
from triggerfish.adapters.templates import load_templates
from triggerfish.clock import WallClock
from triggerfish.headers import with_headers
from triggerfish.measure import Signer
from triggerfish.plugin.channel import PluginContext
from triggerfish.render import Message, Template, recipient, template_data
from triggerfish.verp import Verp
from triggerfish_smtp.channel import Smtp
from triggerfish_smtp.config import SmtpConfig
from triggerfish_smtp.signing import read_key, signed

URL = "https://events.example.org"
SIZE = 40 * 1024
TEMPLATE = "thank-you"
MORE = """
<mj-section mj-class="card" css-class="card">
  <mj-column><mj-text>
    <h2>Number {number} of what others liked</h2>
    <p>A kettle is a kettle until the day on which you pour from a good one – then it is a small ceremony for {price} €.
    We make ours in small numbers, by hand, of steel that lasts, and mend them for as long as we live.</p>
  </mj-text></mj-column>
  <mj-column><mj-text><a href="https://shop.example/p/kettle-{number}">Have a look</a></mj-text></mj-column>
</mj-section>
"""


def compose(template: Template, number: int, signer: Signer) -> Message:
    """The mail to the number-th person, with the sample's order."""
    traits = {"email": f"person-{number}@example.com", "firstName": f"Person{number}"}
    send_id = f"{number:020x}"
    data = template_data(traits, template.sample["event"], sent_at=SAMPLE_AT, profile_id=f"p{number}")
    links = signer.links(send_id, f"p{number}", template.purpose, URL)
    message = template.compose(send_id=send_id, data=data, to=recipient(traits), links=links)
    return with_headers(message, ruleset="orders", rule="thanks", purpose=template.purpose)


def large_template(folder: Path, signer: Signer) -> Template:
    """The starter's thanks for an order, with as many sections below it as make 40 KB of HTML."""
    shutil.copytree(ROOT / "templates", folder / "templates")
    file = folder / "templates" / TEMPLATE / "email.mjml"
    text, number = file.read_text(encoding="utf-8"), 0
    while True:
        template = load_templates(folder / "templates", COMPANY)[TEMPLATE]
        missing = SIZE - len(compose(template, 0, signer).html.encode())
        if missing <= 0:
            return template
        for _ in range(missing // 4_000 + 1):
            number += 1
            text += MORE.format(number=number, price=10 * number)
        file.write_text(text, encoding="utf-8")


@contextmanager
def sink() -> Iterator[tuple[int, list[int]]]:
    """A server in another process: its port; afterwards how many letters it took, and how many bytes."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        taken: list[int] = []
        try:
            yield int(process.stdout.readline()), taken
        finally:
            process.stdin.close()
            taken += [int(word) for word in process.stdout.readline().split()]


def measure(quick: bool, folder: Path) -> list[Figure]:
    total = 200 if quick else 1_000
    signer = Signer("the-secret-of-the-benchmark")
    template = large_template(folder, signer)
    write_new_key(folder / "dkim.pem")
    key = read_key(folder / "dkim.pem", "bench")

    clock = time.process_time
    began = clock()
    for number in range(5):  # a template that is used again gets code, once
        compose(template, number, signer)
    first = clock() - began
    composing = writing = signing = bare = light = 0.0
    letters: list[bytes] = []
    size = 0
    for number in range(total):
        began = clock()
        message = compose(template, number, signer)
        composed = clock()
        mime = to_mime(message, date=SAMPLE_AT, message_id_domain="shop.example")
        written = clock()
        letter = signed(mime, "shop.example", [key], SAMPLE_AT // 1_000)
        done = clock()
        key.sign(mime[:600])
        bare += clock() - done
        began_light = clock()
        for body in (message.text, message.html):
            in_base64(body)
        light += clock() - began_light
        composing, writing, signing = (
            composing + composed - began,
            writing + written - composed,
            signing + done - written,
        )
        size += len(letter)
        # No more than a few batches are in memory at a time when all is one.
        letters = [*letters[-199:], letter]
    html = len(message.html.encode())
    ours, theirs = hand_over(letters) / len(letters), over_smtplib(letters) / len(letters)
    whole, wall = asyncio.run(whole_way(template, signer, total, folder))

    per = 1_000_000 / total
    return [
        Figure(f"compose ({html / 1_024:.0f} KB of HTML)", "µs", composing * per),
        Figure("  the first five times, in all", "ms", 1_000 * first),
        Figure(f"write as MIME ({size / total / 1_024:.0f} KB); the floor is base64", "µs", writing * per, light * per),
        Figure("sign; the floor is OpenSSL's signature alone", "µs", signing * per, bare * per),
        Figure("hand over; the floor is smtplib's sendmail", "µs", ours * 1_000_000, theirs * 1_000_000),
        Figure("all of it: mails a second and core", "mails/s", total / whole, goal=800),
        Figure("  the same by the clock, over 4 connections", "mails/s", total / wall),
    ]


def in_base64(body: str) -> bytes:
    """What is least to be done with a body before it can travel: base64 in lines, nothing looked at."""
    packed = b2a_base64(body.encode(), newline=False)
    return b"\r\n".join([packed[at : at + 76] for at in range(0, len(packed), 76)])


def hand_over(letters: Sequence[bytes]) -> float:
    """Seconds of processor time to hand letters over as the channel does, one connection after the other."""
    from triggerfish_smtp.connection import Connection, Envelope

    with sink() as (port, taken):
        until = time.monotonic() + 600
        connection = Connection(config(port), None, until)
        began = time.process_time()
        for number, letter in enumerate(letters):
            outcome = connection.transact(
                Envelope("bounces@shop.example", f"person-{number}@example.com", letter), until
            )
            if outcome.status != "accepted":
                raise Wrong(f"a letter was not accepted: {outcome.detail}")
        spent = time.process_time() - began
        connection.quit(until)
    check_taken(taken, letters)
    return spent


def over_smtplib(letters: Sequence[bytes]) -> float:
    with sink() as (port, taken), smtplib.SMTP("127.0.0.1", port) as client:
        began = time.process_time()
        for number, letter in enumerate(letters):
            client.sendmail("bounces@shop.example", [f"person-{number}@example.com"], letter)
        spent = time.process_time() - began
        client.quit()
    check_taken(taken, letters)
    return spent


async def whole_way(template: Template, signer: Signer, total: int, folder: Path) -> tuple[float, float]:
    """Seconds of processor time, and by the clock: from people to letters that were accepted, in batches."""
    with sink() as (port, taken):
        channel = Smtp(config(port, dkim_key_file=str(folder / "dkim.pem"), verp="b+{token}@shop.example"))
        await channel.open(PluginContext(folder, folder, URL, WallClock(), Verp("the-secret-of-the-benchmark")))
        size, accepted = channel.features.batch_size, 0
        began, clock = time.process_time(), time.perf_counter()
        for start in range(0, total, size):
            batch = [compose(template, number, signer) for number in range(start, min(start + size, total))]
            receipts = await channel.send(batch)
            accepted += sum(receipt.status == "accepted" for receipt in receipts)
        spent, wall = time.process_time() - began, time.perf_counter() - clock
        await channel.close()
    if accepted != total or taken[0] != total:
        raise Wrong(f"{total} mails were sent, {accepted} accepted, {taken[0]} taken")
    return spent, wall


def config(port: int, dkim_key_file: str = "", verp: str = "") -> SmtpConfig:
    return SmtpConfig(
        host="127.0.0.1",
        port=port,
        security="none",
        verp=verp,
        dkim_domain="shop.example" if dkim_key_file else "",
        dkim_selector="bench" if dkim_key_file else "",
        dkim_key_file=dkim_key_file,
    )


def check_taken(taken: Sequence[int], letters: Sequence[bytes]) -> None:
    """All letters, whole: with dots doubled they are longer, with their last line end shorter."""
    least = sum(map(len, letters)) - 4 * len(letters)
    if taken[0] != len(letters) or taken[1] < least:
        raise Wrong(f"{len(letters)} letters were handed over, {taken[0]} taken, {taken[1]} of {least} bytes")
