"""Whom a report is believed about: those only whose message it proves to be about."""

from __future__ import annotations

import pytest

from reports.letters import bounce, complaint
from triggerfish.measure import Hit, Signer
from triggerfish.reports import Judged, judge, read_mail
from triggerfish.verp import Verp

VERP, SIGNER = Verp("a secret of this test"), Signer("a secret of this test")
PATTERN = "bounces+{token}@mail.shop.example"
SEND = "0123456789abcdef0123456789abcdef"
PATH = VERP.address(PATTERN, SEND)
LINK = SIGNER.links(SEND, "p1", "newsletter", "https://mail.shop.example").unsubscribe()


def judged(raw: bytes, *came_to: str, is_trusted: bool = False) -> Judged:
    return judge(read_mail(raw, came_to), read_path=VERP.read, read_link=SIGNER.read_token, is_trusted=is_trusted)


@pytest.mark.parametrize(
    "raw",
    [
        bounce(to=PATH),
        bounce(to=PATH.upper()),
        bounce(to=f"Shop <{PATH}>, other@example.com"),
        bounce(returned=f"Return-Path: <{PATH}>"),
        bounce(to="x@y").replace(b"To: x@y", f"To: x@y\r\nDelivered-To: {PATH}".encode()),
        complaint(fields=f"Original-Mail-From: <{PATH}>"),
    ],
    ids=["to", "upper case", "among others", "of the returned message", "delivered to", "feedback report"],
)
def test_a_return_path_of_ours_proves_which_message_it_is(raw: bytes) -> None:
    found = judged(raw)
    assert (found.proof, found.send_id) == ("return path", SEND)


def test_what_the_mail_server_says_that_it_came_to_counts_as_well() -> None:
    assert judged(bounce(to="undisclosed-recipients:;"), PATH).send_id == SEND


@pytest.mark.parametrize("raw", [bounce(returned=f"List-Unsubscribe: <{LINK}>"),
                                 complaint(returned=f"List-Unsubscribe: <mailto:u@x.example>,\n <{LINK}>")],
                         ids=["bounce", "complaint"])  # fmt: skip
def test_the_unsubscribe_link_of_the_message_proves_it_as_well(raw: bytes) -> None:
    found = judged(raw)
    assert (found.proof, found.send_id, found.profile_id, found.purpose) == ("link", SEND, "p1", "newsletter")


def forged(text: str) -> str:
    """Another letter in the middle."""
    at = len(text) // 2
    return text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]


@pytest.mark.parametrize(
    "raw",
    [
        bounce(),
        bounce(to=PATH.replace("@mail", "x@mail")),
        bounce(to=Verp("another secret").address(PATTERN, SEND)),
        bounce(returned=f"List-Unsubscribe: <{LINK[:-8]}{forged(LINK[-8:])}>"),
        bounce(returned=f"Message-ID: <{SEND}@shop.example>"),
        complaint(returned=f"Message-ID: <{SEND}@shop.example>"),
        complaint(
            returned="List-Unsubscribe: <https://mail.shop.example/t/u/"
            + SIGNER.token(Hit("clicked", SEND, "p1", "", "https://x.example/"))
            + ">"
        ),
    ],
    ids=["nothing", "altered path", "another secret", "altered link", "bare id", "bare id complained", "other link"],
)
def test_what_anybody_could_have_written_proves_nothing(raw: bytes) -> None:
    found = judged(raw)
    assert (found.proof, found.send_id, found.profile_id) == ("", "", "")


def test_whom_we_trust_may_name_a_message_by_its_id() -> None:
    raw = complaint(returned=f"Message-ID: <{SEND}@shop.example>")
    assert (judged(raw, is_trusted=True).proof, judged(raw, is_trusted=True).send_id) == ("signature", SEND)


def blocks(*several: tuple[str, str]) -> bytes:
    one = b"Final-Recipient: rfc822; ana@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    more = b"\r\n\r\n".join(
        b"Final-Recipient: rfc822; r%d@example.com\r\nAction: %b\r\nStatus: %b" % (n, action.encode(), status.encode())
        for n, (action, status) in enumerate(several)
    )
    assert one in bounce()
    return bounce(to=PATH).replace(one, more + b"\r\n")


@pytest.mark.parametrize(
    ("several", "kind", "is_permanent"),
    [
        ([("failed", "5.1.1"), ("failed", "5.1.1")], "bounced", True),
        ([("failed", "5.1.1"), ("failed", "5.2.2")], "bounced", False),
        ([("failed", "5.1.1"), ("delivered", "2.0.0")], "bounced", False),
        ([("failed", "5.1.1"), ("expanded", "2.0.0")], "bounced", False),
        ([("delivered", "2.0.0"), ("delayed", "4.4.1")], "delayed", False),
    ],
)
def test_an_address_has_failed_only_when_nobody_behind_it_got_the_message(
    several: list[tuple[str, str]], kind: str, is_permanent: bool
) -> None:
    report = judged(blocks(*several)).report
    assert (report.kind, report.is_permanent) == (kind, is_permanent)
