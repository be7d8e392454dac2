"""`triggerfish send-test`: a real mail to one address, and nothing else that anybody could notice."""

import email
import email.policy
import json
import shutil
import sqlite3

import pytest
from click.testing import CliRunner

from plugins.mailsink import Sink
from triggerfish.cli import main
from triggerfish.config import load_settings


def run(workspace, *arguments):
    return CliRunner().invoke(main, ["send-test", *arguments, "--workspace", str(workspace)])


def stored(workspace):
    """Every row of the state."""
    path = load_settings(workspace, {}).state_path
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as state:
        tables = [name for (name,) in state.execute("select name from sqlite_master where type = 'table'")]
        return {name: state.execute(f"select * from [{name}]").fetchall() for name in tables}


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


@pytest.fixture
def shop(lived, tmp_path, sink):
    """A copy of the workspace, which may be written to, with a server that takes its mail."""
    workspace = tmp_path / "shop"
    shutil.copytree(lived, workspace)
    with (workspace / "triggerfish.toml").open("a") as settings:
        settings.write(f'[plugins.smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n')
    return workspace


def test_a_stored_persons_mail_goes_to_the_address_that_is_named_and_leaves_no_trace(shop, sink):
    before = stored(shop)
    done = run(shop, "welcome", "--to", "Me <me@example.com>", "--profile", "user:ana", "--channel", "smtp", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["status"], told["channel"], told["to"]) == ("accepted", "smtp", "Me <me@example.com>")
    ((_, recipients, content, _),) = sink.letters
    letter = email.message_from_bytes(content, policy=email.policy.default)
    assert recipients == ["me@example.com"]
    assert letter["Subject"] == told["subject"]
    assert letter["Subject"].startswith("[Test] ")
    html = letter.get_body(("html",)).get_content()
    assert "Hi Ana" in html
    assert "/t/" not in html
    assert letter["List-Unsubscribe"] == "<https://triggerfish.invalid/unsubscribe>"
    assert b"user:ana" not in content
    assert stored(shop) == before


def test_two_tests_are_two_mails(shop, sink):
    for _ in range(2):
        assert run(shop, "welcome", "--to", "me@example.com", "--channel", "smtp").exit_code == 0
    ids = {email.message_from_bytes(content)["Message-ID"] for _, _, content, _ in sink.letters}
    assert len(ids) == 2


def test_event_and_language_are_those_that_are_given(shop, sink):
    (shop / "templates" / "welcome" / "email.mjml").write_text(
        "---\nsubject: 'Total {{ event.total }} {{ profile.language }}'\nclass: transactional\n---\n"
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    (shop / "templates" / "welcome" / "sample.yaml").write_text("event: {total: 1}\n")
    given = ["--event", '{"total": 42}', "--language", "pt_br"]
    done = run(shop, "welcome", "--to", "me@example.com", "--channel", "smtp", *given, "--json")
    assert json.loads(done.output)["subject"] == "[Test] Total 42 pt-BR"


def test_a_refusal_is_told_and_ends_with_1(shop, sink):
    sink.replies["RCPT"] = ["550 5.1.1 nobody here"]
    done = run(shop, "welcome", "--to", "nobody@example.com", "--channel", "smtp")
    assert done.exit_code == 1
    assert "refused: " in done.output
    assert "nobody here" in done.output
    assert not sink.letters


def test_a_server_that_is_away_is_told_and_ends_with_1(shop, sink):
    sink.replies["EHLO"] = ["drop"] * 5
    done = run(shop, "welcome", "--to", "me@example.com", "--channel", "smtp", "--json")
    assert (done.exit_code, json.loads(done.output)["status"]) == (1, "retry")


def test_the_outbox_takes_it_without_a_server(shop, sink):
    done = run(shop, "welcome", "--to", "me@example.com")
    assert done.exit_code == 0, done.output
    assert "Channel: outbox" in done.output
    newest = max((shop / "data" / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    assert b"Subject: [Test] " in newest.read_bytes()
    assert not sink.letters


def test_a_demo_sends_no_test_to_anybody(shop, sink):
    (shop / "data" / "demo-since").write_text("0")
    done = run(shop, "welcome", "--to", "me@example.com", "--channel", "smtp", "--json")
    assert (done.exit_code, json.loads(done.output)["code"]) == (1, "TF409")
    assert not sink.letters
    assert run(shop, "welcome", "--to", "me@example.com").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["welcome", "--to", "nobody"], 1, "TF326"),
        (["welcome", "--to", "a@b.example\nBcc: c@d.example"], 1, "TF326"),
        (["welcom", "--to", "me@example.com"], 1, 'did you mean "welcome"?'),
        (["welcome", "--to", "me@example.com", "--channel", "pigeon"], 1, "TF423"),
        (["welcome", "--to", "me@example.com", "--profile", "anonymous:a-1"], 1, "TF325"),
        (["welcome", "--to", "me@example.com", "--event", "[1]"], 2, "no JSON object"),
        (["welcome", "--to", "me@example.com", "--language", "!"], 2, "no language"),
        (["welcome"], 2, "--to"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_reason(shop, sink, arguments, code, what):
    done = run(shop, *arguments)
    assert done.exit_code == code
    assert what in done.output
    assert not sink.letters
