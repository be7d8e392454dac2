"""Everything that a workspace sets, as frozen Structs. Each leaf says in its `description` what it takes."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from triggerfish.config.secret import PluginTable, Secret, WriteKey
from triggerfish.errors import SettingsWrong

SETTINGS_FILE = "triggerfish.toml"

DEMO_WRITE_KEY = "demo-write-key"
DEMO_ADMIN_KEY = "demo-admin-key-loopback"
DEMO_SECRET = "demo-secret-for-links"  # noqa: S105 - known to everybody, and refused off loopback


def _text(description: str, *, pattern: str = r"\A[^\x00-\x1f\x7f]*\Z", most: int = 200) -> Meta:
    return Meta(description=description, pattern=pattern, max_length=most)


def _count(least: int, most: int) -> Meta:
    return Meta(ge=least, le=most, description=f"a whole number from {least} to {most}")


_ADDRESS = r"[^\s<>@,;\x00-\x1f\x7f]+@[^\s<>@,;\x00-\x1f\x7f]+"
_DOMAIN = r"\A(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z"
_SENDER = re.compile(rf"(?P<name>[^<>@\x00-\x1f\x7f]*)<(?P<address>{_ADDRESS})>|(?P<bare>{_ADDRESS})")


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where it listens. `public_url` is what the links in mails start with; empty: the address it listens on.
    Port 0 takes a free one.
    """

    host: Annotated[str, _text("a host name or an IP address", pattern=r"\A[\w.:%-]+\Z", most=253)] = "127.0.0.1"
    port: Annotated[int, _count(0, 65535)] = 8400
    public_url: Annotated[
        str,
        _text(
            "empty, or an address that starts with http:// or https:// and does not end in a slash",
            pattern=r"\A(https?://[^\s?#\x00-\x1f]{0,500}[^\s?#/\x00-\x1f])?\Z",
        ),
    ] = ""


class Keys(Struct, frozen=True, forbid_unknown_fields=True):
    """`write` lets clients send events, `admin` lets people read, `secret` signs the links in mails. What was signed
    with one of `retired_secrets` is still understood.
    """

    write: Annotated[
        tuple[WriteKey, ...],
        Meta(min_length=1, max_length=100, description="a list of one or more keys of 8 characters or more"),
    ]
    admin: Annotated[Secret, Meta(description="a text of 16 characters or more")]
    secret: Annotated[Secret, Meta(description="a text of 16 characters or more")]
    retired_secrets: Annotated[
        tuple[Secret, ...], Meta(max_length=20, description="a list of texts of 16 characters or more")
    ] = ()


class Store(Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is the folder of the log, the state and the outbox, relative to the workspace."""

    path: Annotated[str, _text("the path of a folder", pattern=r"\A[^\x00-\x1f\x7f]+\Z", most=1000)] = "data"


def _rate(most: float, description: str) -> Meta:
    return Meta(ge=0, le=most, description=description)


_DAY = r"\A(\d{4}-\d{2}-\d{2})?\Z"


class ChannelPace(Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a channel sends. `per_second` messages on average (0: no limit), in all and to single mailbox providers;
    while it warms up, on day n after `warm_up_from` at most `warm_up_first_day * warm_up_factor**n`, until that is more
    than `warm_up_until`. A channel that has a table here is open besides the main one.
    """

    per_second: Annotated[float, _rate(100_000, "a number of messages a second, 0 for no limit")] = 0.0
    providers: Annotated[
        dict[str, Annotated[float, Meta(gt=0, le=100_000)]],
        Meta(description="made of mailbox providers' names, each with a number of messages a second: {google = 5}"),
    ] = {}
    warm_up_from: Annotated[str, _text('a day like "2026-01-31", or empty', pattern=_DAY)] = ""
    warm_up_first_day: Annotated[int, _count(1, 1_000_000)] = 200
    warm_up_factor: Annotated[float, Meta(ge=1.01, le=10, description="a number from 1.01 to 10")] = 1.5
    warm_up_until: Annotated[int, _count(1, 1_000_000_000)] = 100_000


class Guard(Struct, frozen=True, forbid_unknown_fields=True):
    """When a rule's messages are held, and somebody is asked (blast.py); 0 switches a part of it off."""

    most_at_once: Annotated[int, _count(0, 1_000_000_000)] = 10_000
    times_ever: Annotated[float, _rate(1_000_000, "a number, 0 for off")] = 5.0
    canary: Annotated[float, _rate(1, "a share from 0 to 1")] = 0.02
    complaint_rate: Annotated[float, _rate(1, "a share from 0 to 1, 0 for off")] = 0.003
    bounce_rate: Annotated[float, _rate(1, "a share from 0 to 1, 0 for off")] = 0.05


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """The channel that takes the mails, whom they are from, and who answers for them in the footer. What `channel` did
    certainly not take for `fallback_seconds` goes over `fallback`.
    """

    channel: Annotated[str, _text("the name of a channel", pattern=r"\A[a-z][a-z0-9_-]*\Z", most=50)] = "outbox"
    fallback: Annotated[str, _text("the name of a channel, or empty", pattern=r"\A([a-z][a-z0-9_-]*)?\Z", most=50)] = ""
    fallback_seconds: Annotated[int, _count(0, 86_400)] = 60
    sender: Annotated[
        str, _text("a sender like 'Shop <hello@shop.example>'", pattern=rf"\A(?:{_SENDER.pattern})\Z", most=320)
    ] = "Triggerfish <triggerfish@localhost>"
    company: Annotated[str, _text("the name of the company, on one line of at most 200 characters")] = ""
    address: Annotated[str, _text("a postal address, on one line of at most 200 characters")] = ""
    channels: Annotated[dict[str, ChannelPace], Meta(description="made of one table for each channel")] = {}
    guard: Guard = Guard()

    @property
    def all_channels(self) -> list[str]:
        """Every channel that is to be open, the main one first."""
        named = dict.fromkeys([self.channel, *([self.fallback] if self.fallback else []), *self.channels])
        return list(named)

    @property
    def sender_name(self) -> str:
        """The name before the address; may be empty."""
        found = _SENDER.fullmatch(self.sender)
        return (found["name"] or "").strip().strip('"') if found else ""

    @property
    def sender_address(self) -> str:
        found = _SENDER.fullmatch(self.sender)
        return found["address"] or found["bare"] if found else ""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What bounds memory and waiting.

    `queue_events`: events that may wait for the disk before clients are told to come back later (429).
    `profile_cache`: profiles that the worker keeps at hand, fewer if they are large. `batch_events`: events decided and
    committed together, when so many wait.
    `ready_lag_seconds`: how long an event may wait to be decided before `/readyz` says so. `worker_silence_seconds`:
    how long the worker may show no sign of life before it is ended and started again.
    """

    queue_events: Annotated[int, _count(100, 1_000_000)] = 20_000
    profile_cache: Annotated[int, _count(100, 1_000_000)] = 20_000
    batch_events: Annotated[int, _count(1, 5_000)] = 2_000
    ready_lag_seconds: Annotated[int, _count(1, 86_400)] = 300
    worker_silence_seconds: Annotated[int, _count(5, 86_400)] = 120


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """What a changed rulebook must come through before it goes live.

    `test_on_reload`: the workspace's tests (`rules/*.test.yaml`) must pass. `load_seconds` and `load_mb`: as long as
    loading and testing may take, and as much memory; beyond it the change is refused.
    """

    test_on_reload: Annotated[bool, Meta(description="true or false")] = True
    load_seconds: Annotated[int, _count(1, 3_600)] = 120
    load_mb: Annotated[int, _count(64, 65_536)] = 2_048


class Catalog(Struct, frozen=True, forbid_unknown_fields=True):
    """The shop's products, for templates: a `file` (CSV or JSON lines), or what a `query` finds in a `database`
    (SQLite); relative to the workspace. `key` is the column that names each product. A changed file is read again at
    once, a changed database after `refresh_minutes`.
    """

    file: Annotated[str, _text("the path of a .csv or .jsonl file", most=1000)] = ""
    database: Annotated[str, _text("the path of an SQLite database", most=1000)] = ""
    query: Annotated[str, Meta(description="a SELECT", max_length=10_000)] = ""
    key: Annotated[str, _text("the name of a column", pattern=r"\A[^\x00-\x1f\x7f]+\Z")] = "id"
    refresh_minutes: Annotated[int, _count(1, 10_080)] = 15


class FeedServers(Struct, frozen=True, forbid_unknown_fields=True):
    """Which servers the feeds of templates may be fetched from besides those of the public internet: `trusted_hosts`,
    by name or number, may stand in your own network.
    """

    trusted_hosts: Annotated[
        tuple[Annotated[str, _text("a host like data.intern.example", pattern=r"\A[a-z0-9._:-]+\Z", most=253)], ...],
        Meta(max_length=100, description="a list of hosts in lower case"),
    ] = ()


class Reports(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose word about our messages is taken. `feedback_from`: domains of mailbox providers; what they sign (DKIM) of
    complaints counts for whatever message they name.
    """

    feedback_from: Annotated[
        tuple[Annotated[str, _text("a domain like arf.example.com", pattern=_DOMAIN, most=253)], ...],
        Meta(max_length=100, description="a list of domains"),
    ] = ()


class Backups(Struct, frozen=True, forbid_unknown_fields=True):
    """Backups that the server takes by itself: every day `at` (the machine's local time) one into `folder`, relative to
    the workspace, of which the newest `keep` stay. Without a folder it takes none.
    """

    folder: Annotated[str, _text("the path of a folder, or empty", most=1000)] = ""
    at: Annotated[str, _text('a time of day like "03:30"', pattern=r"\A([01]\d|2[0-3]):[0-5]\d\Z")] = "03:30"
    keep: Annotated[int, _count(1, 1_000)] = 7


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """What the server says about itself, on stderr. `format`: text for people, JSON lines for programs; "auto" is text
    on a terminal and JSON elsewhere.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a workspace sets. `workspace` is its folder; no key in the file says it.

    Raises SettingsWrong (TF406) when it would use the demo's keys on an address that is not loopback, and (TF403) when
    the catalogue has two sources, or half of one.
    """

    workspace: Path
    keys: Keys
    engine: Literal["durable", "compiled"] = "durable"
    server: Server = Server()
    store: Store = Store()
    delivery: Delivery = Delivery()
    limits: Limits = Limits()
    rules: Rules = Rules()
    reports: Reports = Reports()
    feeds: FeedServers = FeedServers()
    catalog: Catalog = Catalog()
    log: Log = Log()
    backup: Backups = Backups()
    plugins: Annotated[dict[str, PluginTable], Meta(description="made of one table for each plugin")] = {}

    def __post_init__(self) -> None:
        if self.uses_demo_keys and not is_loopback(self.server.host):
            raise SettingsWrong(
                f'the keys in {SETTINGS_FILE} are the demo\'s, known to everybody, and "{self.server.host}" is not a '
                "loopback address",
                code="TF406",
                hint="put keys of your own under [keys], or listen on 127.0.0.1",
            )

        catalog = self.catalog
        if (catalog.file and (catalog.database or catalog.query)) or bool(catalog.database) is not bool(catalog.query):
            raise SettingsWrong(
                f"[catalog] in {SETTINGS_FILE} must have either a file, or a database and a query",
                code="TF403",
                hint='file = "catalog.csv"; or database = "shop.sqlite3" and query = "SELECT …"',
            )

    @property
    def uses_demo_keys(self) -> bool:
        keys = self.keys
        return DEMO_WRITE_KEY in keys.write or keys.admin == DEMO_ADMIN_KEY or keys.secret == DEMO_SECRET

    @property
    def catalog_path(self) -> Path | None:
        """The file or database that the products come from, if the workspace names one."""
        named = self.catalog.file or self.catalog.database
        return self.workspace / named if named else None

    @property
    def rules_path(self) -> Path:
        return self.workspace / "rules"

    @property
    def templates_path(self) -> Path:
        return self.workspace / "templates"

    @property
    def data_path(self) -> Path:
        return self.workspace / self.store.path

    @property
    def log_path(self) -> Path:
        return self.data_path / "log.sqlite3"

    @property
    def state_path(self) -> Path:
        return self.data_path / "state.sqlite3"

    @property
    def rulebook_path(self) -> Path:
        """Where the supervisor notes the state of the rulebook."""
        return self.data_path / "rulebook.json"

    @property
    def load_cache_path(self) -> Path:
        """What the last load found out of the rule files, so that the next one need not."""
        return self.data_path / "rulebook.cache"

    @property
    def versions_path(self) -> Path:
        """Where the rulebooks that were live are kept."""
        return self.data_path / "rulebooks"

    @property
    def live_path(self) -> Path:
        """The rules and templates that are live: what a restarted worker loads."""
        return self.data_path / "live"

    def listening_on(self, host: str | None = None, port: int | None = None) -> Settings:
        """These settings with another address (a command line's). Raises SettingsWrong for a bad one."""
        given = {"host": host, "port": port}
        server = msgspec.to_builtins(self.server) | {k: v for k, v in given.items() if v is not None}
        try:
            return msgspec.structs.replace(self, server=msgspec.convert(server, Server))
        except msgspec.ValidationError as error:
            raise SettingsWrong(f"cannot listen on {server['host']}:{server['port']}: {error}", code="TF403") from error


def is_loopback(host: str) -> bool:
    """True when only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
