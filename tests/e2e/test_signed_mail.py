"""What leaves a running server over SMTP is what receivers ask of a good sender."""

from __future__ import annotations

import json
import subprocess
from email import message_from_bytes, policy

import dkim

from plugins.mailsink import Sink
from running import COMMAND, identify, serving, track, wait_until, write_workspace
from triggerfish.verp import Verp

RULES = {
    "shop.yaml": """
    ruleset: Shop of Ana
    mode: all
    rules:
      - name: news
        on: Wanted News
        then: [{send: news}]
      - name: receipt
        on: Bought
        then: [{send: receipt}]
    """
}
SMTP = """
[plugins.smtp]
host = "127.0.0.1"
port = PORT
security = "none"
verp = "bounces+{token}@mail.shop.example"
dkim_domain = "shop.example"
dkim_selector = "tf1"
dkim_key_file = "keys/dkim.pem"
"""


def test_mail_of_a_running_server_is_signed_says_what_it_is_and_names_its_send_to_us_only(tmp_path):
    with Sink(pipelining=True) as sink:
        workspace = write_workspace(
            tmp_path / "shop", RULES, channel="smtp", more_settings=SMTP.replace("PORT", str(sink.port)),
            news="marketing", receipt="transactional",
        )  # fmt: skip
        command = [*COMMAND, "doctor", "--workspace", str(workspace), "--new-dkim-key", "keys/dkim.pem", "--json"]
        record = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["record"]
        with serving(workspace) as server:
            server.take(identify("ana", email="ana@example.com"), track("ana", "Wanted News"), track("ana", "Bought"))
            wait_until(lambda: len(sink.letters) == 2, "both mails")
            sends = {name: str(server.sent(name, "ana")["id"]) for name in ("news", "receipt")}
    letters = {}
    for return_path, recipients, content, _ in sink.letters:
        assert recipients == ["ana@example.com"]
        assert dkim.verify(content, dnsfunc=lambda name, timeout: record.encode())
        letter = message_from_bytes(content, policy=policy.default)
        letters[letter["Subject"]] = letter
        send = sends[letter["Subject"].removeprefix("The ")]
        assert letter["Message-ID"] == f"<{send}@shop.example>"
        assert Verp("secret-of-the-tests-for-links").read(return_path) == send
        covered = "".join(letter["DKIM-Signature"].split()).partition("h=")[2].partition(";")[0].split(":")
        added = {"list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id", "auto-submitted"}
        assert {name.lower() for name in letter.keys()} & added <= set(covered)  # noqa: SIM118 - no dict
    news, receipt = letters["The news"], letters["The receipt"]
    assert news["List-Id"] == "<newsletter.shop.example>"
    assert news["Feedback-ID"] == "news:shop-of-ana:newsletter:shop-example"
    assert news["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (news["Auto-Submitted"], receipt["Auto-Submitted"]) == (None, "auto-generated")
    assert (receipt["List-Id"], receipt["List-Unsubscribe"]) == (None, None)
