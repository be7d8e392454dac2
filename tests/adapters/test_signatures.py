"""Who signed a report: checked with real keys and signatures (DKIM), by the very names that a signature gives."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reports.letters import complaint, mail
from triggerfish.adapters.signatures import TrustedSigners
from triggerfish.errors import Unavailable
from triggerfish.reports import LARGEST_REPORT, read_mail

SELECTOR, DOMAIN = b"s1", b"arf.provider.example"


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def sign(key):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )

    def sign(raw, domain=DOMAIN, **more):
        return dkim.sign(raw, SELECTOR, domain, pem, **more) + raw

    return sign


@pytest.fixture
def names(key):
    """The DNS: the key stands at the provider's name, and at that of somebody else. Notes what is asked."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    class Names:
        def __init__(self):
            self.asked, self.is_down = [], False

        def __call__(self, name, timeout):
            self.asked.append(name)
            if self.is_down:
                raise dkim.DnsTimeoutError("no answer")
            zones = (DOMAIN, b"sub." + DOMAIN, b"else.example", b"notarf.provider.example")
            return record if name in {SELECTOR + b"._domainkey." + zone + b"." for zone in zones} else None

    return Names()


@pytest.fixture
def signers(names):
    return TrustedSigners(["ARF.provider.example", "other.example"], names)


def letter(sender="feedback@arf.provider.example"):
    return complaint(sender=sender)


async def has_signed(signers, raw):
    return await signers.has_signed(read_mail(raw), raw)


async def test_a_report_signed_by_its_trusted_sender_is_believed(signers, sign):
    assert await has_signed(signers, sign(letter()))


async def test_a_domain_below_it_is_as_good(signers, sign):
    assert await has_signed(signers, sign(letter("f@sub.arf.provider.example"), b"sub." + DOMAIN))


async def test_one_signature_of_several_is_enough(signers, sign):
    assert await has_signed(signers, sign(sign(letter()), b"else.example"))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"ana@example.com", b"eve@example.com"),
        lambda raw: raw.replace(b"feedback@arf", b"f@arf"),
        lambda raw: raw.replace(b"Subject: FW", b"Subject: Re"),
        lambda raw: raw.replace(b"d=arf.", b"d=sub.arf."),
        lambda raw: raw[raw.index(b"From:") :],
        lambda raw: raw.replace(b"DKIM-Signature:", b"DKIM-Signature: rubbish;", 1),
        lambda raw: raw + b"more\r\n",
    ],
    ids=["body", "sender", "subject", "domain", "no signature", "rubbish", "longer"],
)
async def test_whatever_was_altered_is_not_believed(signers, sign, change):
    raw = sign(letter())
    assert change(raw) != raw
    assert not await has_signed(signers, change(raw))


async def test_a_signature_that_leaves_out_a_part_of_the_body_is_none(signers, sign):
    raw = sign(letter(), length=True)
    assert b"l=" in raw
    assert not await has_signed(signers, raw)


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("f@else.example", b"else.example"),
        ("feedback@arf.provider.example", b"else.example"),
        ("f@else.example", DOMAIN),
        ("f@notarf.provider.example", b"notarf.provider.example"),
        ("f@provider.example", DOMAIN),
        ("other.example", b"else.example"),
    ],
)
async def test_sender_and_signature_are_both_of_a_trusted_domain(signers, sign, names, sender, domain):
    assert not await has_signed(signers, sign(letter(sender), domain))
    # Nobody makes us ask for names that we did not choose.
    assert not [name for name in names.asked if b"arf.provider" not in name]


async def test_a_name_server_that_does_not_answer_is_no_verdict(signers, sign, names):
    names.is_down = True
    with pytest.raises(Unavailable, match="name server") as caught:
        await has_signed(signers, sign(letter()))
    assert caught.value.code == "TF122"


async def test_hostile_headers_are_no_fault(signers, names):
    for value in ("", "v=1", "v=1; a=rsa-sha256; d=arf.provider.example; s=; h=; bh=; b=", "=" * 5_000, "é; ;;"):
        raw = mail(f"DKIM-Signature: {value}\nFrom: f@arf.provider.example\n\nhello")
        assert not await has_signed(signers, raw)
    many = mail("DKIM-Signature: v=1; d=arf.provider.example\n" * 200 + "From: f@arf.provider.example\n\nhello")
    assert not await has_signed(signers, many)
    assert len(names.asked) <= 10
    assert not await has_signed(signers, b"\0" * 1_000)


async def test_a_mail_that_is_too_large_to_be_whole_is_not_believed(signers, sign):
    assert not await has_signed(signers, sign(letter() + b"x" * LARGEST_REPORT))


@pytest.mark.parametrize("selector", ["x" * 64, "a..b", "a" * 300, ".", "xn--\\x80", "\u00fc"])
async def test_a_name_that_cannot_be_looked_up_is_no_fault(selector):
    """With the real resolver, which refuses such names by itself."""
    fields = "v=1; a=rsa-sha256; d=arf.provider.example; h=from; bh=YWJj; b=YWJj"
    raw = mail(f"DKIM-Signature: {fields}; s={selector}\nFrom: f@arf.provider.example\n\nhello")
    assert not await has_signed(TrustedSigners(["arf.provider.example"]), raw)
