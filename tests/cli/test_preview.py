"""`triggerfish preview`: a template as a person would get it."""

import json
import shutil
import socketserver
import threading

import pytest
from click.testing import CliRunner

from shop import HOSTILE
from triggerfish.cli import main, pictures, preview
from triggerfish.cli.pictures import find_browser, take_picture


def run(lived, *arguments):
    return CliRunner().invoke(main, ["preview", *arguments, "--workspace", str(lived)])


@pytest.fixture
def without_browser(monkeypatch):
    monkeypatch.setattr(preview, "find_browser", lambda: None)


@pytest.mark.usefixtures("without_browser")
def test_the_sample_person_gets_html_and_text(lived, tmp_path):
    done = run(lived, "welcome", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "no pictures: Chromium is not installed" in done.output
    html = (tmp_path / "out" / "welcome.html").read_text()
    assert "Hi Ana" in html
    assert "{{" not in html
    assert "Hi Ana" in (tmp_path / "out" / "welcome.txt").read_text()


@pytest.mark.usefixtures("without_browser")
def test_what_is_written_is_for_nobody_else_on_the_machine_also_before_a_server_made_the_folder(tmp_path):
    assert CliRunner().invoke(main, ["new", str(tmp_path / "shop")]).exit_code == 0
    done = run(tmp_path / "shop", "welcome")
    assert done.exit_code == 0, done.output
    data = tmp_path / "shop" / "data"
    assert (data / "preview" / "welcome.html").is_file()
    assert [folder.stat().st_mode & 0o077 for folder in (data, data / "preview")] == [0, 0]


@pytest.mark.usefixtures("without_browser")
def test_a_stored_person_gets_the_message_with_their_own_traits(lived, tmp_path):
    told = json.loads(run(lived, "welcome", "--profile", "bo@example.com", "--out", str(tmp_path), "--json").output)
    assert (told["template"], told["person"]) == ("welcome", "bo@example.com")
    assert told["to"].endswith("<bo@example.com>")
    html = (tmp_path / "welcome.html").read_text()
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html


@pytest.mark.usefixtures("without_browser")
def test_the_event_and_the_language_can_be_given_and_headers_are_told(lived, tmp_path):
    done = run(lived, "welcome", "--event", '{"total": 42}', "--language", "de", "--out", str(tmp_path), "--json")
    told = json.loads(done.output)
    assert told["sender"] == "Shop <hello@shop.example>"
    assert told["language"]
    assert told["headers"]["List-Unsubscribe"] == "<https://triggerfish.invalid/unsubscribe>"
    assert run(lived, "welcome", "--event", "{").exit_code == 2
    assert run(lived, "welcome", "--language", "x y").exit_code == 2


def test_the_text_alone_can_be_printed_and_writes_nothing(lived):
    before = sorted(lived.rglob("*"))
    done = run(lived, "welcome", "--text", "--profile", "user:ana")
    assert done.output.startswith("To: ana@example.com\nSubject: ")
    assert "Hi Ana" in done.output
    assert "Hi Ana" in json.loads(run(lived, "welcome", "--text", "--json").output)["text"]
    assert sorted(lived.rglob("*")) == before


def test_who_or_what_is_unknown_is_said_with_what_is_near(lived):
    done = run(lived, "welcom")
    assert (done.exit_code, 'did you mean "welcome"?' in done.output) == (1, True)
    assert "nobody is known" in run(lived, "welcome", "--profile", "nobody").output


def test_a_person_without_an_address_cannot_get_it(lived):
    done = run(lived, "welcome", "--profile", "anonymous:a-1", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["code"] == "TF325"


def test_a_workspace_that_stored_nothing_says_so(lived, tmp_path):
    for name in ("rules", "templates"):
        shutil.copytree(lived / name, tmp_path / name)
    shutil.copy(lived / "triggerfish.toml", tmp_path)
    done = run(tmp_path, "welcome", "--profile", "ana")
    assert done.exit_code == 1
    assert "nothing is stored" in done.output
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(find_browser() is None, reason="Chromium is not installed")
def test_pictures_have_the_width_asked_for_and_the_whole_height(tmp_path):
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text('<body style="margin:0"><div style="height:1700px">a "tall" page &amp; more</div>')
    assert take_picture(find_browser(), page, picture, pictures.SIZES["phone"]) == ""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (390, 1700)


@pytest.mark.skipif(find_browser() is None, reason="Chromium is not installed")
def test_a_picture_is_taken_without_asking_anybody_for_anything(tmp_path):
    asked = []

    class Listener(socketserver.BaseRequestHandler):
        def handle(self):
            asked.append(self.request.recv(100))

    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    with socketserver.TCPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        page.write_text(
            f'<link rel="stylesheet" href="{address}/a.css"><style>@import url({address}/b.css);</style>'
            f'<body background="{address}/c.png"><img src="{address}/d.png"><iframe src="{address}/e"></iframe>'
            f'<script>fetch("{address}/f")</script><p style="background: url({address}/g.png)">Hi</p>'
        )
        assert take_picture(find_browser(), page, picture, 390) == ""
        server.shutdown()
    assert asked == []


def test_a_browser_that_fails_is_a_note_and_no_error(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("x")
    assert "Chromium failed" in take_picture("/bin/false", page, tmp_path / "x.png", 390)
    assert "Chromium failed" in take_picture(str(tmp_path / "none"), page, tmp_path / "x.png", 390)
    assert take_picture("/bin/true", page, tmp_path / "x.png", 390) == "Chromium wrote none"
