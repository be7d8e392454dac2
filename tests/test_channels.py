"""What the settings say of channels: which are open, how fast they send, and what is refused."""

from pathlib import Path

import pytest

from triggerfish.channels import channels_of, paces_of
from triggerfish.config import load_settings
from triggerfish.errors import SettingsWrong
from triggerfish.lanes import Pace, WarmUp
from triggerfish.plugin.manager import load_plugins
from triggerfish.plugin.testing import SetClock

KEYS = """
[keys]
write = ["a-write-key"]
admin = "an-admin-key-0123456789"
secret = "link-secret-0123456789"
[plugins.smtp]
host = "mail.example"
per_second = 20.0
"""


def opened(folder: Path, text: str, *, is_demo: bool = False):
    (folder / "triggerfish.toml").write_text(text + KEYS)
    settings = load_settings(folder, {})
    plugins = load_plugins({*settings.delivery.all_channels, *settings.plugins})
    channels = channels_of(settings, plugins, SetClock(), is_demo=is_demo)
    return settings, channels, paces_of(settings, channels)


def test_channels_named_anywhere_are_open_the_main_one_first(tmp_path):
    text = """
        [delivery]
        channel = "smtp"
        fallback = "outbox"
        [delivery.channels.smtp]
        per_second = 50
        providers = {google = 5, other = 0.5}
        warm_up_from = "2026-01-01"
        warm_up_first_day = 100
    """
    _, channels, paces = opened(tmp_path, text)
    assert list(channels) == ["smtp", "outbox"]
    warm_up = WarmUp(1_767_225_600_000, 100, 1.5, 100_000)
    assert paces["smtp"] == Pace(20.0, {"google": 5.0, "other": 0.5}, warm_up), "no faster than the channel itself can"
    assert paces["outbox"] == Pace()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[delivery]\nchannel = "smtp"\nfallback = "smtp"\n', "TF661"),
        ("[delivery.channels.outbox]\nproviders = {goggle = 5}\n", "TF660"),
        ('[delivery.channels.outbox]\nwarm_up_from = "2026-02-30"\n', "TF662"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(tmp_path, text, code):
    with pytest.raises(SettingsWrong) as wrong:
        opened(tmp_path, text)
    assert wrong.value.code == code


def test_a_demo_opens_no_channel_that_reaches_people(tmp_path):
    with pytest.raises(SettingsWrong) as wrong:
        opened(tmp_path, '[delivery]\nfallback = "smtp"\n', is_demo=True)
    assert wrong.value.code == "TF409"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[delivery.channels.smtp]\nper_secnd = 5\n", ":2:1  TF402"),
        ("[delivery.channels.smtp]\nper_second = -1\n", ":2:14  TF403"),
        ("[delivery.channels]\nsmtp = 5\n", ":2:8  TF403"),
        ("[delivery.guard]\ncanary = 2\n", ":2:10  TF403"),
    ],
)
def test_a_wrong_key_of_a_table_with_a_name_is_shown_at_its_place(tmp_path, text, place):
    with pytest.raises(SettingsWrong) as wrong:
        opened(tmp_path, text)
    assert place in str(wrong.value)
