"""triggerfish.toml -> Settings: strict, with the place of every problem, and no secret in any text."""

import logging
import pickle
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from triggerfish.config import (
    DEMO_ADMIN_KEY,
    DEMO_SECRET,
    DEMO_WRITE_KEY,
    Secret,
    Settings,
    find_places,
    load_settings,
    settings_with_new_keys,
    starter_path,
)
from triggerfish.errors import SettingsWrong

REPOSITORY = Path(__file__).parents[1]
KEYS = '[keys]\nwrite = ["write-key-1"]\nadmin = "admin-key-0123456789"\nsecret = "link-secret-0123456789"\n'


def load(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "triggerfish.toml").write_text(text, encoding="utf-8")
    return load_settings(folder, environ)


def problems_of(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsWrong) as caught:
        load(folder, text, **environ)
    return str(caught.value)


def test_the_repository_itself_is_a_workspace() -> None:
    settings = load_settings(REPOSITORY, {})
    assert settings.uses_demo_keys
    assert settings.engine == "durable"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8400)
    assert settings.delivery.channel == "outbox"
    assert settings.rules_path == REPOSITORY / "rules"
    assert settings.log_path != settings.state_path
    assert settings.log_path.parent == settings.state_path.parent == settings.data_path == REPOSITORY / "data"


@pytest.mark.parametrize(
    "table",
    ['file = "a.csv"\nquery = "SELECT 1"', 'database = "a.db"', 'query = "SELECT 1"', 'file = "a"\ndatabase = "b"'],
)
def test_a_catalogue_has_one_whole_source(tmp_path: Path, table: str) -> None:
    assert "either a file, or a database and a query" in problems_of(tmp_path, f"{KEYS}[catalog]\n{table}\n")
    assert load(tmp_path, f'{KEYS}[catalog]\nfile = "a.csv"\n').catalog_path == tmp_path / "a.csv"
    assert load(tmp_path, KEYS).catalog_path is None


def test_the_repositorys_file_says_what_the_defaults_are(tmp_path: Path) -> None:
    written, plain = load_settings(REPOSITORY, {}), load(tmp_path, KEYS)
    for section in ("engine", "server", "store", "limits", "log"):
        assert getattr(written, section) == getattr(plain, section)


def test_the_demo_keys_in_the_file_are_the_ones_in_the_code() -> None:
    keys = tomllib.loads((REPOSITORY / "triggerfish.toml").read_text(encoding="utf-8"))["keys"]
    assert keys == {"write": [DEMO_WRITE_KEY], "admin": DEMO_ADMIN_KEY, "secret": DEMO_SECRET}


def test_a_missing_file_names_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="triggerfish new") as caught:
        load_settings(tmp_path / "nowhere", {})
    assert caught.value.code == "TF401"


def test_all_problems_are_told_at_once_each_at_its_place(tmp_path: Path) -> None:
    text = f'engine = "durabel"\n[server]\nprot = 1\nhost = 3\n{KEYS}[limits]\nbatch_events = 0\n[plugins]\nsmtp = 3\n'
    assert problems_of(tmp_path, text).splitlines() == [
        "TF400  triggerfish.toml has 5 problems",
        'triggerfish.toml:1:10  TF403  "engine" must be one of "durable", "compiled"',
        '   1 | engine = "durabel"',
        "     |          ^^^^^^^^^",
        'triggerfish.toml:3:1  TF402  unknown key "prot" in [server]',
        "   3 | prot",
        '     | ^^^^ did you mean "port"?',
        'triggerfish.toml:4:8  TF403  "host" must be a host name or an IP address',
        "   4 | host = 3",
        "     |        ^",
        'triggerfish.toml:10:16  TF403  "batch_events" must be a whole number from 1 to 5000',
        "  10 | batch_events = 0",
        "     |                ^",
        'triggerfish.toml:11:1  TF403  "plugins" must be made of one table for each plugin',
    ]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", "triggerfish.toml  TF404", "[keys] is missing"),
        ("[keys]\nadmin = 'admin-key-0123456789'\nwrite = ['12345678']", ":1:1  TF404", '"secret" is missing'),
        ("server = 3\n" + KEYS, ":1:10  TF403", '"server" must be a table'),
        ("workspace = '/etc'\n" + KEYS, ":1:1  TF402", 'unknown key "workspace" in the settings'),
        ("[sever]\n" + KEYS, ":1:1  TF402", 'did you mean "server"?'),
        (KEYS + "[server]\nport = true", ":6:8  TF403", '"port" must be a whole number from 0 to 65535'),
        (KEYS + "[server]\nport = 65536", ":6:8  TF403", '"port" must be'),
        (KEYS + "[server]\npublic_url = 'ftp://x'", ":6:14  TF403", '"public_url" must be'),
        (KEYS + "[server]\npublic_url = 'https://x/'", ":6:14  TF403", "does not end in a slash"),
        (KEYS + "[store]\npath = ''", ":6:8  TF403", '"path" must be the path of a folder'),
        (KEYS + "[delivery]\nsender = 'Shop'", ":6:10  TF403", '"sender" must be a sender like'),
        (KEYS + '[delivery]\nsender = "Shop\\r\\nBcc: x <a@b>"', ":6:10  TF403", '"sender" must be'),
        (KEYS + '[delivery]\nsender = "a@b\\n"', ":6:10  TF403", '"sender" must be'),
        (KEYS + '[delivery]\ncompany = "A\\nB"', ":6:11  TF403", "on one line"),
        (KEYS + "[log]\nlevel = 'loud'", ":6:9  TF403", '"debug", "info", "warning", "error"'),
        (KEYS.replace("write-key-1", "short"), ":2:9  TF403", "keys of 8 characters or more"),
        (KEYS.replace('["write-key-1"]', "[]"), ":2:9  TF403", "a list of one or more keys"),
        (KEYS.replace("admin-key-0123456789", "fifteen-letters"), ":3:9  TF403", "a text of 16 characters or more"),
        (KEYS + "[server\n", ":5:8  TF401", "this is no TOML"),
        (KEYS + "[server]\nport = 1\nport = 2", ":7:", "this is no TOML"),
        (KEYS + "[plugins.x]\ny = " + "[" * 40 + "]" * 40, ":6:", "this is nested too deeply"),
        (KEYS + "[plugins.x]\ny = " + "[" * 9000 + "]" * 9000, "triggerfish.toml  TF401", "this is nested too deeply"),
    ],
)
def test_a_wrong_setting_is_refused_at_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    shown = problems_of(tmp_path, text)
    assert place in shown
    assert says in shown


def test_bytes_that_are_no_utf8_and_endless_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "triggerfish.toml"
    file.write_bytes(b"engine = 'durable'\n# \xff\n")
    with pytest.raises(SettingsWrong, match=r"triggerfish\.toml:2 is not UTF-8"):
        load_settings(tmp_path, {})
    file.write_bytes(b"# " + b"x" * 300_000)
    with pytest.raises(SettingsWrong, match="larger than 256 KB"):
        load_settings(tmp_path, {})


def test_the_environment_fills_any_text_and_numbers_too(tmp_path: Path) -> None:
    text = KEYS.replace("write-key-1", "${A}-${A}") + '[server]\nport = "${PORT}"\n[plugins.smtp]\nx = {y = ["${A}"]}\n'
    settings = load(tmp_path, text, A="abcd$", PORT="8401")
    assert settings.keys.write == ("abcd$-abcd$",)
    assert settings.server.port == 8401
    assert settings.plugins == {"smtp": {"x": {"y": ["abcd$"]}}}


def test_a_number_written_as_text_in_the_file_is_no_number(tmp_path: Path) -> None:
    assert '"port" must be a whole number' in problems_of(tmp_path, KEYS + '[server]\nport = "8401"\n')


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("${NOPE}", "the environment variable NOPE is not set"),
        ("${}", '"${}" names no environment variable'),
        ("${A B}", '"${A B}" names no environment variable'),
        ("${A", '"${A" names no environment variable'),
    ],
)
def test_a_variable_that_cannot_be_filled_in_is_named_once(tmp_path: Path, written: str, says: str) -> None:
    shown = problems_of(tmp_path, KEYS.replace("link-secret-0123456789", written), A="a")
    assert "has 1 problem\n" in shown
    assert f"triggerfish.toml:4:10  TF405  {says}" in shown


def test_what_stands_in_the_environment_is_not_filled_in_again(tmp_path: Path) -> None:
    settings = load(tmp_path, KEYS.replace("link-secret-0123456789", "${A}"), A="${B}-0123456789abcdef", B="no")
    assert settings.keys.secret.reveal() == "${B}-0123456789abcdef"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "shop.example", "localhost.example"])  # noqa: S104
def test_demo_keys_are_refused_off_loopback(tmp_path: Path, host: str) -> None:
    text = (REPOSITORY / "triggerfish.toml").read_text(encoding="utf-8")
    with pytest.raises(SettingsWrong, match="not a loopback address") as caught:
        load(tmp_path, text.replace('"127.0.0.1"', f'"{host}"'))
    assert caught.value.code == "TF406"
    with pytest.raises(SettingsWrong, match="not a loopback address"):
        load(tmp_path, text).listening_on(host=host)
    assert load(tmp_path, KEYS).listening_on(host=host).server.host == host


@pytest.mark.parametrize("key", [DEMO_WRITE_KEY, DEMO_ADMIN_KEY, DEMO_SECRET])
def test_one_demo_key_among_others_is_enough_to_be_refused(tmp_path: Path, key: str) -> None:
    name = {
        DEMO_WRITE_KEY: "write-key-1",
        DEMO_ADMIN_KEY: "admin-key-0123456789",
        DEMO_SECRET: "link-secret-0123456789",
    }
    text = KEYS.replace(name[key], key) + '[server]\nhost = "10.0.0.1"\n'
    assert "TF406" in problems_of(tmp_path, text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_demo_keys_are_taken_on_loopback(host: str) -> None:
    assert load_settings(REPOSITORY, {}).listening_on(host=host, port=0).server.port == 0


def test_an_address_from_the_command_line_is_checked_too() -> None:
    settings = load_settings(REPOSITORY, {})
    assert settings.listening_on() == settings
    with pytest.raises(SettingsWrong, match="cannot listen on"):
        settings.listening_on(port=65536)


def test_no_secret_shows_in_a_repr_a_log_or_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load(tmp_path, KEYS + '[plugins.smtp]\npassword = "pass-0123456789"\n')
    logging.getLogger("test").warning("%r %r %s", settings, settings.keys, settings.plugins)
    wrong = KEYS.replace('"link-secret-0123456789"', "3") + '[plugins]\nsmtp = "pass-0123456789"\n'
    stray = (
        'admin = "admin-key-0123456789"\n[kyes]\nsecret = "link-secret-0123456789"\n[server]\nwrite = "write-key-1"\n'
    )
    shown = caplog.text + problems_of(tmp_path, wrong) + problems_of(tmp_path, stray)
    for known in ("write-key-1", "admin-key-0123456789", "link-secret-0123456789", "pass-0123456789"):
        assert known not in shown
    assert "Secret('***')" in shown


def test_a_secret_compares_and_encodes_as_its_text_but_never_slips_into_another() -> None:
    secret = Secret("link-secret-0123456789")
    assert secret == "link-secret-0123456789"
    assert secret.encode() == b"link-secret-0123456789"
    assert type(secret.reveal()) is str
    assert Secret(secret).reveal() == secret.reveal()
    for put in (str, "{}".format, lambda s: f"{s}", lambda s: "%s" % s):  # noqa: UP031
        with pytest.raises(TypeError, match="reveal"):
            put(secret)


def test_settings_reach_another_process_whole(tmp_path: Path) -> None:
    settings = load(tmp_path, KEYS + "[plugins.smtp]\nhost = 'mail'\n")
    arrived = pickle.loads(pickle.dumps(settings))  # noqa: S301
    assert arrived == settings
    assert arrived.keys.secret.reveal() == "link-secret-0123456789"


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("Shop <hello@shop.example>", "Shop", "hello@shop.example"),
        ('"Shop, Inc." <hello@shop.example>', "Shop, Inc.", "hello@shop.example"),
        ("Shop, Inc. <hello@shop.example>", "Shop, Inc.", "hello@shop.example"),
        ("hello@shop.example", "", "hello@shop.example"),
    ],
)
def test_a_sender_is_taken_apart(tmp_path: Path, sender: str, name: str, address: str) -> None:
    delivery = load(tmp_path, f"{KEYS}[delivery]\nsender = '{sender}'\n").delivery
    assert (delivery.sender_name, delivery.sender_address) == (name, address)


def test_every_setting_says_what_it_takes() -> None:
    def leaves(kind: type[msgspec.Struct]) -> list[Any]:
        found = []
        for field in msgspec.structs.fields(kind):
            is_table = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            found += leaves(field.type) if is_table else [field]
        return found

    for field in leaves(Settings):
        metas = [extra for extra in getattr(field.type, "__metadata__", ()) if isinstance(extra, msgspec.Meta)]
        is_choice = "Literal" in str(field.type)
        assert field.name == "workspace" or is_choice or any(meta.description for meta in metas), field.name


def test_a_new_workspace_gets_random_keys_and_everything_else_of_the_starter(tmp_path: Path) -> None:
    first, second = settings_with_new_keys(), settings_with_new_keys()
    settings = load(tmp_path, first)
    assert not settings.uses_demo_keys
    assert "demo's keys" not in first
    keys = {*settings.keys.write, settings.keys.admin, settings.keys.secret}
    assert len(keys) == 3
    assert keys.isdisjoint({*load(tmp_path, second).keys.write, load(tmp_path, second).keys.admin})
    assert settings.delivery == load_settings(REPOSITORY, {}).delivery


TOML_VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.sampled_from("ab [],={}#.\"'\\\n"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc. ", min_size=1, max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[ # ]\n" + ",\n".join(map(as_toml, value)) + "]"
    if isinstance(value, str) and "'" not in value and "\n" in value:
        return f"'''\n{value}'''"
    return msgspec.json.encode(value).decode()


@given(st.dictionaries(st.sampled_from(["a", "b", "c d"]), TOML_VALUES, max_size=3))
def test_every_value_of_a_toml_text_is_found_where_it_stands(table: dict[str, Any]) -> None:
    # Inline tables take one line only, so lists inside them cannot be spread over several.
    text = "[t] # = [\n" + "".join(f"{as_toml(key)}   = {as_toml(value)} # x = 'y\n" for key, value in table.items())
    try:
        parsed = tomllib.loads(text)["t"]
    except tomllib.TOMLDecodeError:
        reject()
    places, lines = find_places(text), text.split("\n")

    def look(value: object, at: tuple[str | int, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                look(inner, (*at, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                look(inner, (*at, index))
        elif not (isinstance(value, str) and "\n" in value):
            mark = places[at].value
            found = lines[mark.line - 1][mark.column - 1 : mark.column - 1 + mark.width]
            assert tomllib.loads(f"x = {found}") == {"x": value}

    look(parsed, ("t",))


@pytest.mark.parametrize("kind", ["rules", "templates", "settings", "migrations"])
def test_an_editable_install_reads_the_repositorys_own_starter(kind: Any) -> None:
    assert starter_path(kind) == REPOSITORY / ("triggerfish.toml" if kind == "settings" else kind)


def test_a_wheel_carries_the_starter_and_the_migrations(tmp_path: Path) -> None:
    # Needs no network: hatchling is a development requirement.
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(built, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("triggerfish-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    package = tmp_path / "site" / "triggerfish"
    for kind in ("rules", "templates"):
        assert starter_path(kind, package) == package / "starter" / kind  # type: ignore[arg-type]
        shipped = {p.relative_to(package / "starter" / kind) for p in (package / "starter" / kind).rglob("*.*")}
        assert shipped == {p.relative_to(REPOSITORY / kind) for p in (REPOSITORY / kind).rglob("*.*")}
    assert starter_path("migrations", package) == package / "migrations"
    assert load_settings(starter_path("settings", package).parent, {}).uses_demo_keys
    assert {"triggerfish_outbox/__init__.py", "triggerfish_smtp/__init__.py", "triggerfish/py.typed"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "data/"))]


def test_an_installation_without_its_starter_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match="install it again") as caught:
        starter_path("rules", tmp_path / "x" / "triggerfish")
    assert caught.value.code == "TF407"
