"""Mail that reports on our mail is understood, whatever wrote it."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.letters import bounce, complaint, mail
from triggerfish.reports import LARGEST_REPORT, read_mail

CORPUS = Path(__file__).with_name("flufl_bounce")
FILES = sorted(path.name for path in CORPUS.glob("*.txt"))
EXPECTED = CORPUS / "expected.tsv"
NO_BOUNCES = {"bounce_01.txt", "dumbass_01.txt", "groupwise_03.txt", "qmail_08.txt", "simple_43.txt"}
"""Two that name no recipient in a way that a program could find, an answer, and two mails between people."""


def told(name: str) -> list[str]:
    read = read_mail((CORPUS / name).read_bytes())
    return [
        "\t".join(
            [name, read.form, each.kind, "permanent" if each.is_permanent else "-", each.cause, each.status or "-",
             each.recipient or "-"]
        )
        for each in read.reports
    ]  # fmt: skip


def test_every_file_of_the_public_corpus_is_read_as_it_was_before() -> None:
    lines = [line for name in FILES for line in told(name)]
    if os.environ.get("TRIGGERFISH_UPDATE_GOLDEN"):
        EXPECTED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == EXPECTED.read_text(encoding="utf-8").splitlines()


def test_of_the_public_corpus_nineteen_of_twenty_mails_are_recognised() -> None:
    kinds = {name: {line.split("\t")[2] for line in told(name)} for name in FILES}
    assert {name for name, found in kinds.items() if not found & {"bounced", "delayed"}} == NO_BOUNCES
    assert len(FILES) == 117
    assert kinds["qmail_08.txt"] == {"replied"}


def test_of_the_public_corpus_only_a_missing_mailbox_or_domain_is_for_good() -> None:
    lines = [line.split("\t") for name in FILES for line in told(name)]
    assert {cause for _, _, _, lasting, cause, *_ in lines if lasting == "permanent"} == {"address"}
    assert not [status for _, _, _, lasting, _, status, _ in lines if lasting == "permanent" and status[0] == "4"]
    assert Counter(kind for _, _, kind, lasting, *_ in lines if lasting == "permanent").keys() == {"bounced"}


@pytest.mark.parametrize(
    ("status", "said", "cause", "is_permanent"),
    [
        ("5.1.1", "550 5.1.1 no such user", "address", True),
        ("5.1.10", "556 5.1.10 null MX", "address", True),
        ("5.2.1", "550 5.2.1 this account is disabled", "address", True),
        ("5.7.17", "550 5.7.17 mailbox owner has changed", "address", True),
        ("5.2.2", "552 5.2.2 over quota", "full", False),
        ("5.7.1", "550 5.7.1 rejected: user unknown, or so", "blocked", False),
        ("5.7.26", "550 5.7.26 unauthenticated", "blocked", False),
        ("5.1.8", "550 5.1.8 sender address rejected", "blocked", False),
        ("5.3.4", "552 5.3.4 too big", "message", False),
        ("5.4.6", "554 5.4.6 too many hops", "route", False),
        ("4.1.1", "450 4.1.1 user unknown", "address", False),
        ("4.4.7", "delivery time expired", "route", False),
        # Where the code says nothing in particular, the words do.
        ("5.0.0", "550 5.1.1 user unknown", "address", True),
        ("5.0.0", "550 No such user here", "address", True),
        ("5.0.0", "550 5.0.0 No such user here", "address", True),
        # Where the reporting server and the other one differ, the less final is believed.
        ("5.1.1", "550 5.7.1 blocked", "blocked", False),
        ("5.7.1", "550 5.1.1 no such user", "blocked", False),
        ("5.1.1", "450 4.1.1 no such user", "address", False),
        ("4.1.1", "550 5.1.1 no such user", "address", False),
        (
            "5.1.10",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            "address",
            True,
        ),
        ("5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please try", "address", True),
        (
            "5.1.1",
            "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown in relay recipient table",
            "address",
            True,
        ),
        ("5.2.2", "552-5.2.2 The email account that you tried to reach is over quota and inactive.", "full", False),
        ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied.", "blocked", False),
        ("5.7.26", "550-5.7.26 Your email has been blocked because the sender is unauthenticated.", "blocked", False),
        ("5.0.0", "552 the mailbox of ana is full", "full", False),
        ("5.0.0", "554 blocked: no such user is allowed to send spam", "blocked", False),
        ("5.0.0", "550 Requested action not taken: mailbox unavailable", "unclear", False),
        ("5.4.4", "Host or domain name not found. Name service error", "address", True),
        ("5.4.4", "unable to route", "unclear", False),
        ("", "550 user unknown", "address", True),
        ("", "450 user unknown", "address", False),
        ("garbage", "", "unclear", False),
    ],
)
def test_only_an_address_that_nobody_has_is_for_good(status: str, said: str, cause: str, is_permanent: bool) -> None:
    (report,) = read_mail(bounce(status=status, said=said)).reports
    assert (report.kind, report.cause, report.is_permanent) == ("bounced", cause, is_permanent)
    assert report.detail in (said, "I am sorry to have to inform you that your message could not be delivered.")


@pytest.mark.parametrize(
    ("action", "kind"),
    [("failed", "bounced"), ("Failed (no such user)", "bounced"), ("delayed", "delayed"), ("delivered", "delivered"),
     ("relayed", "other"), ("expanded", "other"), ("error", "bounced")],
)  # fmt: skip
def test_what_became_of_a_message_is_its_action(action: str, kind: str) -> None:
    (report,) = read_mail(bounce(action=action)).reports
    assert report.kind == kind
    assert report.is_permanent == (kind == "bounced")


def test_a_delivery_status_tells_all_that_there_is() -> None:
    read = read_mail(
        bounce(
            to="bounces+abc@mail.shop.example",
            returned="Return-Path: <bounces+abc@mail.shop.example>\nMessage-ID: <0123abcd@shop.example>\n"
            "List-Unsubscribe: <mailto:u@shop.example>,\n <https://mail.shop.example/t/u/AbCd-0123456789_AbCd0>",
        ),
        ["bounces+envelope@mail.shop.example"],
    )
    assert (read.form, read.message_id) == ("dsn", "0123abcd@shop.example")
    assert read.sender == "MAILER-DAEMON@mx.example.com"
    assert read.addresses[:2] == ("bounces+envelope@mail.shop.example", "bounces+abc@mail.shop.example")
    assert read.links == ("AbCd-0123456789_AbCd0",)
    (report,) = read.reports
    assert (report.recipient, report.status, report.detail) == (
        "ana@example.com", "5.1.1", "550 5.1.1 no such user here",
    )  # fmt: skip


def test_the_address_that_we_wrote_to_goes_before_the_one_that_it_led_to() -> None:
    letter = bounce().replace(b"Final-Recipient:", b"Original-Recipient: rfc822;ana@shop.example\r\nFinal-Recipient:")
    assert read_mail(letter).reports[0].recipient == "ana@shop.example"


@pytest.mark.parametrize("written", ["rfc822; ana@example.com", "<ana@example.com>", "RFC822;<ana@example.com>",
                                     "utf-8; ana@example.com", "ana@example.com"])  # fmt: skip
def test_a_recipient_is_found_however_it_is_written(written: str) -> None:
    letter = bounce().replace(b"rfc822; ana@example.com", written.encode())
    assert read_mail(letter).reports[0].recipient == "ana@example.com"


def test_a_delivery_status_for_addresses_beyond_ascii_is_read_as_one() -> None:
    letter = bounce(recipient="jürgen@example.com").replace(b"message/delivery", b"message/global-delivery")
    (report,) = read_mail(letter.replace(b"rfc822; j", b"utf-8; j")).reports
    assert (report.kind, report.is_permanent) == ("bounced", True)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [("abuse", "complained"), ("Fraud", "complained"), ("opt-out", "unsubscribed"), ("not-spam", "other"),
     ("virus", "other"), ("auth-failure", "other"), ("other", "other"), ("new-one", "other")],
)  # fmt: skip
def test_only_what_calls_it_unwanted_is_a_complaint(type_: str, kind: str) -> None:
    read = read_mail(complaint(kind=type_))
    assert (read.form, read.feedback_type) == ("feedback", type_.lower())
    (report,) = read.reports
    assert (report.kind, report.recipient, report.is_permanent) == (kind, "ana@example.com", False)


def test_a_complaint_tells_which_message_it_is_about() -> None:
    fields = "Original-Mail-From: <bounces+token@mail.shop.example>\nOriginal-Rcpt-To: redacted@example.com"
    read = read_mail(complaint(fields=fields, returned="Message-ID: <0123@shop.example>"))
    assert "bounces+token@mail.shop.example" in read.addresses
    assert read.message_id == "0123@shop.example"


@pytest.mark.parametrize(
    "head",
    ["Auto-Submitted: auto-replied", "Precedence: auto_reply", "X-Autoreply: yes", "Subject: Out of Office: Re: Cart",
     "Subject: Automatic reply: your cart"],
)  # fmt: skip
def test_a_vacation_notice_is_no_bounce(head: str) -> None:
    letter = mail(f"From: Ana <ana@example.com>\nTo: bounces+x@shop.example\n{head}\n\nWrite to bo@example.com.")
    assert [report.kind for report in read_mail(letter).reports] == ["replied"]


def test_a_letter_of_a_person_is_nothing_of_these() -> None:
    letter = mail("From: Ana <ana@example.com>\nTo: bounces@shop.example\nSubject: Hi\n\nWhere is it? ana@example.com")
    read = read_mail(letter)
    assert (read.form, [report.kind for report in read.reports]) == ("plain", ["other"])


HOSTILE = {
    "nothing": b"",
    "no header": b"\r\n\r\n",
    "zeros": b"\0" * 100_000,
    "deep": b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(5_000)),
    "parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\n" * 200_000,
    "blocks": b"Content-Type: message/delivery-status\r\n\r\n" + b"Action: failed\n\n" * 60_000,
    "one line": b"Subject: x\r\n\r\n" + b"a@" * 500_000,
    "addresses": b"To: " + b", ".join(b"a%d@example.com" % n for n in range(60_000)) + b"\r\n\r\n",
    "links": b"Subject: x\r\n\r\n" + b"https://x/t/u/aaaaaaaaaaaaaaaaaaaaaaaaa " * 25_000,
    "brackets": b"Subject: x\r\n\r\n" + b"<" * 1_000_000,
    "blanks": b"From: a@b\r\n\r\nThis is the qmail-send program\r\n" + b" " * 900_000 + b"@",
    "headers": b"".join(b"X-%d: y\r\n" % n for n in range(80_000)) + b"\r\n",
    "folded": b"Subject: x\r\n" + b" y\r\n" * 250_000 + b"\r\n",
    "status blocks": b"Content-Type: message/delivery-status\r\n\r\n" + b"A: b\r\n\r\n" * 120_000,
    "broken blocks": b"Content-Type: message/delivery-status\n\n" + b"a\n\n" * 300_000,
    "returns only": b"Content-Type: multipart/mixed; boundary=b\r\r" + b"--b\r\r\r" * 100_000,
    "digest": b'Content-Type: multipart/digest; boundary="b"\n\n' + b"--b\n\n\n" * 2_900,
    "comments": b"From: " + b"(" * 100_000 + b"\r\nTo: " + b"(" * 100_000 + b"\r\n\r\nx",
    "folded id": b"Content-Type: message/rfc822\r\n\r\nMessage-ID: <\r\n" + b" y\r\n" * 250_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_takes_bounded_time(name: str) -> None:
    began = time.process_time()
    read = read_mail(HOSTILE[name])
    assert time.process_time() - began < 2
    assert not [report for report in read.reports if report.is_permanent]
    assert len(read.reports) <= 100
    assert len(read.addresses) <= 200
    assert len(read.links) <= 8


def test_of_a_huge_mail_only_the_first_part_is_read() -> None:
    letter = bounce() + b"x\r\n\r\n" * LARGEST_REPORT
    assert read_mail(letter).reports[0].is_permanent
    late = b"Subject: x\r\n\r\n" + b"x" * LARGEST_REPORT + bounce()
    assert read_mail(late).form == "plain"


@pytest.mark.parametrize("sender", ["", "From:\r\n", "From: <>\r\n", "From: ,\r\n"])
def test_a_bounce_from_nobody_is_one_as_well(sender: str) -> None:
    letter = (CORPUS / "simple_07.txt").read_bytes()
    head, _, body = letter.partition(b"\n\n")
    kept = b"\n".join(line for line in head.split(b"\n") if not line.lower().startswith(b"from:"))
    read = read_mail(sender.encode() + kept + b"\n\n" + body)
    assert (read.form, read.reports[0].cause) == ("bounce", "full")


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_without_a_fault(raw: bytes) -> None:
    assert read_mail(raw).reports


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 6_000), st.binary(max_size=12)), max_size=6))
def test_a_damaged_bounce_is_read_without_a_fault(name: str, hits: list[tuple[int, bytes]]) -> None:
    raw = (CORPUS / name).read_bytes()
    for at, what in hits:
        raw = raw[:at] + what + raw[at + len(what) :]
    for report in read_mail(raw).reports:
        assert report.detail.isprintable()
        assert len(report.detail) <= 500
        assert "\n" not in report.recipient
