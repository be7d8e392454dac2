"""What the doctor makes of DNS records, asked of a real server."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.nameserver import NameServer
from triggerfish.adapters.doctor.dkim import check_dkim
from triggerfish.adapters.doctor.dmarc import check_dmarc
from triggerfish.adapters.doctor.mail_hosts import check_mail_hosts, check_reverse
from triggerfish.adapters.doctor.names import Names, Unanswered
from triggerfish.adapters.doctor.spf import check_spf


@pytest.fixture
def ask():
    """Runs a check against a server with these records; gives (state, sentence) of each finding."""
    servers = []

    def run(check, records, *args, **given):
        server = NameServer(records)
        servers.append(server.__enter__())
        findings = check(Names(server.address, patience_seconds=2), *args, **given)
        for finding in findings:
            assert finding.state in ("fine", "unknown") or (finding.why and finding.remedy)
        return [(finding.state, finding.sentence) for finding in findings]

    yield run
    for server in servers:
        server.__exit__()


def spf(*texts, **others):
    return {"shop.example": {"TXT": ["something else", *texts]}} | {
        name.replace("_", "."): {"TXT": [text]} for name, text in others.items()
    }


@pytest.mark.parametrize(
    ("records", "state", "says"),
    [
        (spf("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"), "fine", "0 of 10 lookups"),
        (spf("v=spf1 include:a.example ~all", a_example="v=spf1 ip4:192.0.2.7 -all"), "fine", "1 of 10"),
        (spf("v=spf1 redirect=a.example", a_example="v=spf1 ip4:192.0.2.7 -all"), "fine", "1 of 10"),
        (spf("V=SPF1 -ALL"), "fine", "0 of 10"),
        (spf("v=spf1 new=thing -all"), "fine", "0 of 10"),
        (spf(), "error", "there is no SPF record"),
        ({}, "error", "there is no SPF record"),
        (spf("v=spf10 -all"), "error", "there is no SPF record"),
        (spf("v=spf1 -all", "v=spf1 ~all"), "error", "has 2 SPF records"),
        (spf("v=spf1 +all"), "error", "+all, which lets everybody in"),
        (spf("v=spf1 all"), "error", "+all, which lets everybody in"),
        (spf("v=spf1 ip4:192.0.2.7"), "warning", "no end, so that it refuses nobody"),
        (spf("v=spf1 ?all"), "warning", "ends with ?all"),
        (spf("v=spf1 ipv4:192.0.2.7 -all"), "error", '"ipv4:192.0.2.7", which is no SPF'),
        (spf("v=spf1 ip4:192.0.2.700 -all"), "error", "192.0.2.700"),
        (spf("v=spf1 include:gone.example -all"), "error", "includes gone.example, which has no SPF record"),
        (spf("v=spf1 redirect=gone.example"), "error", "redirects to gone.example, which has no SPF record"),
        (spf("v=spf1 include:shop.example -all"), "error", "leads in a circle"),
        (spf("v=spf1 redirect=shop.example"), "error", "needs more than 50 lookups"),
        (spf("v=spf1 " + "exists:a.example " * 11 + "-all", a_example="x"), "error", "needs 11 lookups, of which 10"),
        (spf("v=spf1 a:x.example a:y.example mx:z.example -all"), "warning", "3 of its lookups find nothing"),
        (spf("v=spf1 ptr -all"), "warning", "it uses ptr"),
        ({"shop.example": "fail"}, "unknown", "could not be looked up"),
    ],
)
def test_an_spf_record_is_read_as_receivers_do(ask, records, state, says):
    found = ask(check_spf, records, "shop.example")
    assert found[0][0] == state, found
    assert says in found[0][1]


ZONES = {
    "shop.example": {
        "TXT": ["v=spf1 ip4:192.0.2.0/28 a mx/24 include:relay.example ip6:2001:db8::/32 ~all"],
        "A": ["198.51.100.1"], "MX": ["10 mx.shop.example."],
    },
    "mx.shop.example": {"A": ["203.0.113.9"], "AAAA": ["2001:db9::1"]},
    "relay.example": {"TXT": ["v=spf1 -ip4:192.0.2.99 ip4:192.0.2.96/28 -all"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "result"),
    [("192.0.2.15", "pass"), ("198.51.100.1", "pass"), ("198.51.100.2", "softfail"), ("203.0.113.77", "pass"),
     ("2001:db8::7", "pass"), ("2001:db9::1", "pass"), ("192.0.2.98", "pass"), ("192.0.2.99", "softfail"),
     ("192.0.2.64", "softfail")],
)  # fmt: skip
def test_spf_says_whether_the_server_that_sends_may(ask, address, result):
    found = ask(check_spf, ZONES, "shop.example", address)
    said = f"{address} may send for shop.example" if result == "pass" else f"{address} may not send"
    assert any(sentence.startswith(said) for _, sentence in found), found
    assert result == "pass" or any(result in sentence for _, sentence in found)


def test_macros_are_not_followed_and_that_is_said(ask):
    records = spf("v=spf1 include:%{i}._spf.example -all")
    found = ask(check_spf, records, "shop.example", "192.0.2.1")
    assert [state for state, _ in found] == ["fine", "unknown"]
    assert "%{i}._spf.example" in found[1][1]


NAME, RECORD = "tf1._domainkey.shop.example", "v=DKIM1; k=rsa; p=TUlJ" + "QUFB" * 90


@pytest.mark.parametrize(
    ("published", "state", "says"),
    [
        ([RECORD], "fine", "the published rsa key is the one that signs"),
        ([RECORD.replace("v=DKIM1; k=rsa; ", "")], "fine", "rsa"),
        ([RECORD.replace("; ", " ;  ")], "fine", "rsa"),
        ([RECORD + "; t=s; s=email; h=sha256"], "fine", "rsa"),
        ([], "error", "there is no record"),
        ([RECORD, RECORD], "fine", "rsa"),  # the same text twice is one record in DNS
        ([RECORD, "v=DKIM1; p=TUlJ"], "error", "there are 2 records"),
        ([RECORD[:-4]], "error", "another key is published"),
        ([RECORD[:-1]], "error", "its key is no base64"),
        (["v=DKIM1; k=rsa; p="], "error", "the key is revoked"),
        (["v=DKIM1; k=rsa"], "error", "p= is missing"),
        ([RECORD.replace("rsa", "ed25519")], "error", "of the kind ed25519"),
        ([RECORD.replace("DKIM1", "DKIM2")], "error", "v=DKIM2"),
        ([RECORD + "; h=sha1"], "error", "allows sha1 only"),
        ([RECORD + "; s=tlsrpt"], "error", "is for tlsrpt"),
        ([RECORD + "; t=y"], "warning", "it is a test"),
    ],
)
def test_a_dkim_record_must_be_of_the_key_that_signs(ask, published, state, says):
    (found,) = ask(check_dkim, {NAME: {"TXT": published}}, NAME, RECORD)
    assert found[0] == state
    assert says in found[1]


def dmarc(**records):
    return {name.replace("__", "."): {"TXT": [text]} for name, text in records.items()}


@pytest.mark.parametrize(
    ("records", "given", "expected"),
    [
        (dmarc(_dmarc__shop__example="v=DMARC1; p=reject; rua=mailto:d@shop.example"),
         {"signing": ["shop.example"]}, [("fine", "DKIM signs as shop.example"), ("fine", "p=reject")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=none"), {"signing": ["mail.shop.example"]},
         [("fine", "DKIM signs as mail.shop.example"), ("warning", "p=none")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=reject; adkim=s; aspf=s"), {"signing": ["mail.shop.example"]},
         [("error", "mail.shop.example signs"), ("fine", "p=reject")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=reject"), {"envelope": "bounces.shop.example"},
         [("warning", "only SPF is"), ("fine", "nobody gets the reports")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=reject"), {}, [("error", "nobody signs here"), ("fine", "p=reject")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=reject"), {"signing": ["other.example"]},
         [("error", "other.example signs"), ("fine", "p=reject")]),
        (dmarc(_dmarc__shop__example="v=DMARC1; p=whatever"), {}, [("error", "p=whatever is no policy")]),
        (dmarc(_dmarc__shop__example="v=DMARC1"), {}, [("error", "p=(nothing) is no policy")]),
        ({"_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}}, {},
         [("error", "has 2 records")]),
        ({}, {}, [("error", "there is no DMARC record")]),
        ({"_dmarc.shop.example": "fail"}, {}, [("unknown", "could not be looked up")]),
    ],
)  # fmt: skip
def test_dmarc_needs_a_policy_and_somebody_who_speaks_for_the_sender(ask, records, given, expected):
    found = ask(check_dmarc, records, "shop.example", **{"envelope": "elsewhere.example", "signing": []} | given)
    assert [state for state, _ in found] == [state for state, _ in expected], found
    assert all(says in sentence for (_, says), (_, sentence) in zip(expected, found, strict=True)), found


def test_the_policy_of_the_organisation_counts_for_the_names_below_it(ask):
    records = dmarc(_dmarc__shop__example="v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@x.example")
    found = ask(check_dmarc, records, "news.shop.example", envelope="b.shop.example", signing=["mail.shop.example"])
    assert found == [
        ("fine", "DKIM signs as mail.shop.example, and bounces go to b.shop.example"),
        ("fine", "p=quarantine at _dmarc.shop.example"),
    ]


@pytest.mark.parametrize(
    ("records", "state", "says"),
    [
        ({"shop.example": {"MX": ["20 b.example.", "10 a.example."]}, "a.example": {"A": ["192.0.2.1"]},
          "b.example": {"AAAA": ["2001:db8::1"]}}, "fine", "a.example, b.example"),
        ({"shop.example": {"MX": ["20 b.example.", "10 a.example."]}, "a.example": {"A": ["192.0.2.1"]}},
         "warning", "b.example has no address"),
        ({"shop.example": {"MX": ["10 a.example."]}}, "error", "a.example has no address"),
        ({"shop.example": {"MX": ["0 ."]}}, "error", "takes no mail"),
        ({"shop.example": {"A": ["192.0.2.1"]}}, "warning", "the domain's own address"),
        ({}, "error", "there is no MX record"),
        ({"shop.example": "fail"}, "unknown", "could not be looked up"),
    ],
)  # fmt: skip
def test_bounces_need_a_host_that_takes_them(ask, records, state, says):
    (found,) = ask(check_mail_hosts, records, "shop.example")
    assert found[0] == state
    assert says in found[1]


@pytest.mark.parametrize(
    ("address", "state", "says"),
    [("192.0.2.7", "fine", "out.shop.example"), ("2001:db8::7", "fine", "out.shop.example"),
     ("192.0.2.8", "error", "out.shop.example does not lead back to it"), ("192.0.2.9", "error", "no PTR record"),
     ("192.0.2.10", "unknown", "could not be looked up")],
)  # fmt: skip
def test_the_server_that_sends_needs_a_name_that_leads_back_to_it(ask, address, state, says):
    name = {"PTR": ["out.shop.example."]}
    records = {
        "out.shop.example": {"A": ["192.0.2.7"], "AAAA": ["2001:db8::7"]},
        "7.2.0.192.in-addr.arpa": name,
        "8.2.0.192.in-addr.arpa": name,
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": name,
        "10.2.0.192.in-addr.arpa": "fail",
    }
    (found,) = ask(check_reverse, records, address)
    assert found[0] == state
    assert says in found[1]


class Anything(Names):
    """Answers every question with the same records, without a server: for records that nobody would publish."""

    def __init__(self, records):
        super().__init__("127.0.0.1:53")
        self.records = records

    def _look_up(self, name, kind):
        return self.records if kind == "TXT" else []


TERMS = st.sampled_from(
    [
        "v=spf1",
        "-all",
        "a",
        "mx",
        "a/24//64",
        "a:",
        "ip4:",
        "ip6:::1/129",
        "include:",
        "include:x",
        "redirect=",
        "redirect=y",
        "exists:%{i}",
        "?",
        "ptr",
        "exp=x",
        "v=DMARC1;",
        "p=",
        "p=none;",
        "sp=",
        "psd=y;",
        "v=DKIM1;",
        "k=rsa;",
        "t=y:s",
        ";",
        "=",
    ]
)


@settings(max_examples=300)
@given(st.lists(st.lists(TERMS | st.text(max_size=8), max_size=8).map(" ".join), max_size=3))
def test_no_record_is_strange_enough_to_break_the_doctor(records):
    names = Anything(records)
    assert check_spf(names, "shop.example", "192.0.2.7")
    assert check_dkim(names, NAME, RECORD)
    assert check_dmarc(names, "a.shop.example", envelope="shop.example", signing=["x.example"])


def test_a_server_that_does_not_answer_is_no_missing_record():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        names = Names(f"127.0.0.1:{silent.getsockname()[1]}", patience_seconds=0.3)
        (found,) = check_mail_hosts(names, "shop.example")
    assert found.state == "unknown"


def test_each_record_is_asked_for_once_and_questions_come_to_an_end(monkeypatch):
    with NameServer({"a.example": {"TXT": ["x"]}}) as server:
        names = Names(server.address)
        assert names.texts("A.example.") == names.texts("a.example") == ["x"]
        assert server.asked == [("a.example", "TXT")]
        monkeypatch.setattr("triggerfish.adapters.doctor.names.MOST_QUESTIONS", 1)
        with pytest.raises(Unanswered, match="more than 1 questions"):
            names.texts("b.example")


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "a\\"])
def test_a_name_that_cannot_be_has_no_records(name):
    with NameServer({}) as server:
        assert Names(server.address).texts(name) == []


@pytest.mark.parametrize("address", ["shop.example", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:70000", ":53", "1.2.3"])
def test_what_is_no_address_of_a_server_is_refused(address):
    with pytest.raises(ValueError):
        Names(address)


def test_a_server_may_have_an_ipv6_address():
    for address in ("::1", "[::1]", "[::1]:5353"):
        assert Names(address)
