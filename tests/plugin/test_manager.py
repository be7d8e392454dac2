"""Loading plugins: one by one, and a broken one stops only who needs it."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import EntryPoint

import click
import pytest

import triggerfish
from triggerfish import PluginFailed, SettingsWrong, hookimpl
from triggerfish.plugin.manager import HOOKS, load_plugins
from triggerfish.plugin.testing import SetClock, make_context, make_message

GOOD = """
    import triggerfish
    from triggerfish import hookimpl

    class Post(triggerfish.Channel):
        name = "post"

        class Config(triggerfish.PluginConfig, frozen=True):
            stamps: int = 1

        async def send(self, batch):
            return [triggerfish.Receipt(message.send_id, "accepted") for message in batch]

    @hookimpl
    def register_channels():
        return [Post]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes modules that can be imported, and entry points for them."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def install(name, code):
        module = f"tf_test_{name}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        made.append(module)
        return EntryPoint(name, module, "triggerfish")

    yield install
    for module in made:
        sys.modules.pop(module, None)


def test_the_bundled_plugins_are_found_by_their_entry_points():
    plugins = load_plugins({"outbox"})
    listed = {plugin.name: plugin for plugin in plugins.plugins}
    assert {"outbox", "smtp"} <= listed.keys()
    assert listed["smtp"].channels == ("smtp",)
    assert (listed["outbox"].package, listed["outbox"].hooks) == ("triggerfish", ("register_channels",))
    assert listed["outbox"].version
    assert not plugins.problems
    assert list(plugins.channels({}, SetClock())) == ["outbox"]


async def test_a_channel_gets_its_own_table(install):
    plugins = load_plugins({"post"}, [install("post", GOOD)])
    channel = plugins.channels({"post": {"stamps": 3}}, SetClock())["post"]
    assert channel._channel.config.stamps == 3
    assert [receipt.status for receipt in await channel.send([make_message("a")])] == ["accepted"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"stamp": 3}, 'TF420  [plugins.post] has an unknown key "stamp" (did you mean "stamps"?)'),
        ({"zz": 3}, 'TF420  [plugins.post] has an unknown key "zz" (it knows "stamps")'),
        ({"stamps": "3"}, "TF422  [plugins.post] stamps: Expected int, got str (see the plugin's documentation)"),
    ],
)
def test_a_wrong_table_names_the_key_and_what_was_expected(install, table, says):
    plugins = load_plugins({"post"}, [install("post", GOOD)])
    with pytest.raises(SettingsWrong) as wrong:
        plugins.channels({"post": table}, SetClock())
    assert str(wrong.value) == says


def test_a_config_shows_no_values():
    class Config(triggerfish.PluginConfig, frozen=True):
        password: str

    assert repr(Config(password="hunter2")) == "Config(password)"


HOOK = "from triggerfish import hookimpl\n@hookimpl\n"
CHANNEL = """
import triggerfish

class C(triggerfish.Channel):
  {}

@triggerfish.hookimpl
def register_channels(): return [C]
"""
SEND = "; name = 'c'\n  async def send(self, batch): ..."

BROKEN = {
    "raises": ("raise RuntimeError('no licence')", "TF501", "cannot be imported: RuntimeError: no licence"),
    "exits": ("raise SystemExit(3)", "TF501", "cannot be imported: SystemExit: 3"),
    "syntax": ("def (", "TF501", "cannot be imported: SyntaxError"),
    "misspelt": (HOOK + "def register_chanels(): return []", "TF502", "unknown hook"),
    "arguments": (HOOK + "def on_stop(now): pass", "TF502", "can not be found in the hookspec"),
    "fails": (HOOK + "def register_filters(): return 1/0", "TF503", "cannot register: ZeroDivisionError"),
    "nothing": (HOOK + "def register_channels(): pass", "TF503", "has to return a list"),
    "no_class": (HOOK + "def register_channels(): return [1]", "TF503", "1 is no subclass of Channel"),
    "function": (HOOK + "def register_functions(): return {'Bad Name': len}", "TF503", "no function with a name"),
    "command": (HOOK + "def register_commands(): return [len]", "TF503", "no click command"),
    "wrapper": (HOOK.rstrip() + "(wrapper=True)\ndef on_stop(): yield", "TF503", "wrappers are not supported"),
    "abstract": (CHANNEL.format("name = 'c'"), "TF503", "C lacks send"),
    "not_async": (CHANNEL.format("name = 'c'\n  def send(self, batch): ..."), "TF503", "C.send has to be async"),
    "bad_name": (CHANNEL.format("name = 'My C'\n  async def send(self, batch): ..."), "TF503", "C needs a name"),
    "bad_limits": (CHANNEL.format("deadline_seconds = 0" + SEND), "TF503", "C: batch_size, per_second and deadline"),
    "bad_config": (CHANNEL.format("Config = dict" + SEND), "TF503", "C.Config has to be a subclass of PluginConfig"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_that_is_not_needed_is_a_warning_and_the_others_load(install, caplog, name):
    code, error_code, says = BROKEN[name]
    plugins = load_plugins({"post"}, [install(name, code), install("post", GOOD)])
    (problem,) = plugins.problems
    assert problem.code == error_code
    assert f'plugin "{name}"' in problem.sentence
    assert says in problem.sentence
    assert says in caplog.text
    assert {plugin.name: bool(plugin.problem) for plugin in plugins.plugins} == {name: True, "post": False}
    assert "post" in plugins.channels({}, SetClock())


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_that_the_configuration_names_stops_the_start(install, name):
    code, error_code, says = BROKEN[name]
    with pytest.raises(PluginFailed, match=says) as failed:
        load_plugins({name}, [install(name, code), install("post", GOOD)])
    assert failed.value.code == error_code
    assert failed.value.hint


def test_a_plugin_that_is_not_installed_is_named_with_the_nearest(install):
    with pytest.raises(SettingsWrong, match='"posst", which is not installed') as wrong:
        load_plugins({"posst"}, [install("post", GOOD)])
    assert wrong.value.hint == 'did you mean "post"?'


def test_settings_for_a_plugin_that_takes_none_are_an_error(install):
    entry = install("quiet", "from triggerfish import hookimpl\n@hookimpl\ndef on_stop(): pass")
    with pytest.raises(SettingsWrong, match="takes no settings"):
        load_plugins({"quiet"}, [entry])


def test_two_plugins_cannot_have_one_channel_name(install):
    plugins = load_plugins({"post"}, [install("a_post", GOOD), install("b_post", GOOD)])
    (problem,) = plugins.problems
    assert (
        problem.sentence == 'plugin "b_post", hook register_channels: "post" is registered already, by plugin "a_post"'
    )


def test_what_plugins_register_is_handed_over(install):
    entry = install(
        "many",
        """
        import click, triggerfish
        from triggerfish import hookimpl

        class Hooks(triggerfish.Source):
            name = "many"
            class Config(triggerfish.PluginConfig, frozen=True):
                key: str
            def verify(self, request): return True
            def read(self, request): return []

        @hookimpl
        def register_sources(): return [Hooks]
        @hookimpl
        def register_functions(): return {"double": lambda x: 2 * x}
        @hookimpl
        def register_filters(): return {"shout": str.upper}
        @hookimpl
        def register_commands(): return [click.Command("hello")]
        """,
    )
    plugins = load_plugins({"many"}, [entry])
    assert plugins.functions["double"](4) == 8
    assert plugins.filters["shout"]("a") == "A"
    assert [command.name for command in plugins.commands] == ["hello"]
    assert isinstance(plugins.commands[0], click.Command)
    assert plugins.sources({"many": {"key": "k"}})["many"].config.key == "k"
    assert plugins.sources({}) == {}
    with pytest.raises(SettingsWrong, match='needs "key"'):
        plugins.sources({"many": {}})


WATCHER = """
    from triggerfish import hookimpl
    seen = []

    @hookimpl
    def on_start(context): seen.append(context.workspace)
    @hookimpl
    def on_stop(): seen.append("stop")
    @hookimpl
    def on_decision(rule, reason): seen.append((rule, reason))
    @hookimpl
    def on_receipt(channel, receipt, verdict): seen.append((channel, receipt.status, verdict.state))
"""


def test_observers_are_told_what_they_ask_for(install, tmp_path):
    plugins = load_plugins((), [install("watcher", WATCHER)])
    plugins.start(make_context(tmp_path))
    plugins.tell_decision(profile_id="p", ruleset="cart", rule="vip", outcome="held", reason="quiet hours")
    receipt, verdict = triggerfish.Receipt("s", "accepted"), triggerfish.Verdict("sent")
    plugins.tell_receipt(channel="outbox", message=make_message(), receipt=receipt, verdict=verdict)
    plugins.stop()
    seen = sys.modules["tf_test_watcher"].seen
    assert seen == [tmp_path, ("vip", "quiet hours"), ("outbox", "accepted", "sent"), "stop"]


def test_an_observer_that_raises_is_logged_muted_and_stops_no_other(install, caplog):
    broken = "from triggerfish import hookimpl\n@hookimpl\ndef on_decision(): raise RuntimeError('oh no')"
    plugins = load_plugins((), [install("broken", broken), install("watcher", WATCHER)])
    for _ in range(30):
        plugins.tell_decision(profile_id="p", ruleset="cart", rule="vip", outcome="sent", reason="")
    assert len(sys.modules["tf_test_watcher"].seen) == 30
    records = [record for record in caplog.records if record.exc_info]
    assert len(records) == 10
    assert records[-1].getMessage() == 'plugin "broken": hook on_decision raised; it is not called any more'


def test_a_start_that_fails_stops_the_server_only_for_a_plugin_that_is_named(install, tmp_path):
    code = GOOD + "\n    @hookimpl\n    def on_start(): raise RuntimeError('no disk')\n"
    load_plugins((), [install("post", code)]).start(make_context(tmp_path))
    with pytest.raises(PluginFailed, match='plugin "post", hook on_start: RuntimeError: no disk'):
        load_plugins({"post"}, [install("post", code)]).start(make_context(tmp_path))


def test_a_channel_that_cannot_be_made_is_named(install):
    code = GOOD.replace("async def send", "def __init__(self, config): 1/0\n\n        async def send")
    plugins = load_plugins({"post"}, [install("post", code)])
    with pytest.raises(PluginFailed, match='plugin "post": Post cannot be made: ZeroDivisionError'):
        plugins.channels({}, SetClock())


def test_each_app_has_plugins_of_its_own(install):
    entry = install("post", GOOD)
    assert load_plugins({"post"}, [entry])._manager is not load_plugins({"post"}, [entry])._manager


def test_the_public_surface_is_this_list():
    assert sorted(triggerfish.__all__) == triggerfish.__all__ == [
        "Action", "Address", "BlockingChannel", "Call", "Channel", "Clock", "Door", "Features", "Hit", "Incoming",
        "Inspection",
        "Instant", "Kept", "MailHeard", "Message", "NotHandedOver", "PluginConfig", "PluginContext", "PluginFailed",
        "Receipt", "Refused", "SettingsWrong", "Source", "Status", "StreamSource", "TriggerfishError", "Verdict",
        "hookimpl", "mail_address", "safe_header_value", "to_mime",
    ]  # fmt: skip
    assert all(hasattr(triggerfish, name) for name in triggerfish.__all__)
    assert triggerfish.hookimpl is hookimpl
    assert len(HOOKS) == 10
