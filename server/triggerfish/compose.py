"""The only module that knows every adapter: it builds the house from settings and hands it over.

Adapters that only one process needs, and that are large (the MJML compiler, sqlite-utils, durable_rules), are imported
where they are used: the others stay small and start quickly.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from triggerfish import blast
from triggerfish.adapters.archive import Archive, read_facts
from triggerfish.adapters.backup.restoring import check_restored, restored_at
from triggerfish.adapters.board import Board
from triggerfish.adapters.http_feeds import HttpFeeds
from triggerfish.adapters.outline import OutlineFile
from triggerfish.adapters.source_files import SourcesUnfit, read_sources, version_of
from triggerfish.adapters.sqlite.backlog import SqliteBacklog
from triggerfish.adapters.sqlite.log import SqliteEventLog
from triggerfish.adapters.sqlite.quarantine import SqliteQuarantine
from triggerfish.adapters.sqlite.reads import SqliteReads
from triggerfish.adapters.sqlite.state import SqliteStateStore
from triggerfish.adapters.stopwatch import Stopwatch
from triggerfish.adapters.versions import KeptVersions
from triggerfish.channels import channel_of, channels_of, paces_of
from triggerfish.clock import SECOND, Clock, EventClock, Instant, WallClock
from triggerfish.config import Settings, starter_path
from triggerfish.engine import Moment
from triggerfish.errors import RulebookBroken
from triggerfish.lanes import Pacing
from triggerfish.log import EventLog, Queue
from triggerfish.mailroom import MailRoom
from triggerfish.measure import Signer
from triggerfish.meters import Beat
from triggerfish.plan import LivePlan
from triggerfish.plugin.channel import PluginContext
from triggerfish.plugin.guard import GuardedChannel
from triggerfish.plugin.manager import Plugins, load_plugins
from triggerfish.plugin.source import Source
from triggerfish.plugin.streams import GuardedStream
from triggerfish.quarantine import Quarantine
from triggerfish.reads import Reads
from triggerfish.render import Template
from triggerfish.reports import Mail
from triggerfish.rulefile.compile import Examine, load_rulebook
from triggerfish.rulefile.folder import read_folder
from triggerfish.rulefile.plan_templates import check_readings
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.recall import Recall
from triggerfish.rules import Matcher, Rulebook, RuleSet
from triggerfish.steps import Call
from triggerfish.underway import Underway
from triggerfish.verp import Verp
from triggerfish.walk import FrontDoor, House

KEPT_CATALOG = "catalog"
"""The folder, beside a copy of rules and templates, with a copy of the catalogue's file."""


class Inspection(Struct, frozen=True):
    """What a workspace's rule files and templates are, broken or not. `problems` hold warnings, too; `rulebook` is None
    when one of them is more than a warning. `files` counts the rule files; `notes` tell by template what some mail
    programs lack without harm.
    """

    plugins: Plugins
    templates: Mapping[str, Template]
    rulebook: Rulebook | None
    problems: Sequence[Problem]
    files: int
    notes: Mapping[str, Sequence[str]] = {}


class Workshop(Struct, frozen=True):
    """What a sound workspace's files make. Made without touching any store."""

    plugins: Plugins
    templates: Mapping[str, Template]
    rulebook: Rulebook
    warnings: Sequence[Problem]


def plugins_of(settings: Settings) -> Plugins:
    """The installed plugins. Raises PluginFailed when one that the settings name is broken."""
    return load_plugins({*settings.delivery.all_channels, *settings.plugins})


def inspect(
    settings: Settings,
    sources: Path | None = None,
    *,
    examine: Examine | None = None,
    kept: Sequence[Mapping[str, str]] = (),
    recall: Recall | None = None,
) -> Inspection:
    """Read and check the rules and templates below `sources` (the workspace unless said). Raises PluginFailed.

    `examine` is a second look at a sound rulebook, `kept` are files of earlier versions, `recall` knows what earlier
    loads found out (load_rulebook).
    """
    from triggerfish.adapters.templates import check_templates

    sources = sources or settings.workspace
    plugins = plugins_of(settings)
    try:
        version = version_of(read_sources(sources))
    except SourcesUnfit as unfit:
        # Nothing more is read of a folder that may hold anything.
        return Inspection(plugins, {}, None, [unfit.problem()], 0)
    texts, problems = read_folder(sources / "rules")
    filters, of_catalog = filters_of(settings, plugins, sources)
    templates, of_templates = check_templates(sources / "templates", company_of(settings), filters=filters)
    of_templates += of_catalog
    # A broken template is told once, where it is broken, and not at each rule that sends it.
    is_whole = all(problem.is_warning for problem in of_templates)
    facts: dict[str, Any] = dict(templates) if is_whole else {**read_facts(sources / "templates"), **templates}
    rulebook: Rulebook | None = None
    try:
        rulebook, of_rules = load_rulebook(
            texts,
            templates=facts,
            matcher=matcher_of(settings.engine),
            functions=plugins.functions,
            actions=plugins.action_names(settings.plugins),
            channel=settings.delivery.channel,
            channels=settings.delivery.all_channels,
            version=version,
            examine=examine,
            kept=kept,
            recall=recall,
        )
        samples = {name: each.sample for name, each in templates.items()}
        of_templates += check_readings(rulebook, {name: each.readings for name, each in templates.items()}, samples)
    except RulebookBroken as broken:
        of_rules = [problem for problem in broken.problems if isinstance(problem, Problem)]
    found = [*sorted([*problems, *of_rules]), *of_templates]
    is_broken = any(not problem.is_warning for problem in found)
    files = len({*texts, *(problem.path for problem in problems)})
    notes = {name: each.notes for name, each in templates.items()}
    return Inspection(plugins, templates, None if is_broken else rulebook, found, files, notes)


def filters_of(
    settings: Settings, plugins: Plugins, sources: Path | None = None
) -> tuple[dict[str, Callable[..., Any]], list[Problem]]:
    """The filters of templates: the plugins', and the catalogue's if there is one; and what is wrong with that.

    Beside a copy of the sources may stand one of the catalogue's file (KEPT_CATALOG).
    """
    path = settings.catalog_path
    if path is None:
        return dict(plugins.filters), []
    from triggerfish.adapters.catalog.reading import CatalogSource, read_catalog

    named = settings.catalog
    kept = sources / KEPT_CATALOG / path.name if sources and named.file else path
    source = CatalogSource(kept if kept.is_file() else path, named.file or named.database, named.key, named.query)
    products, problems = read_catalog(source)
    return {**plugins.filters, **products.filters()}, problems


def load_workshop(settings: Settings, sources: Path | None = None, *, recall: Recall | None = None) -> Workshop:
    """What `inspect` finds, if it is sound. Raises RulebookBroken with all problems of all files, and PluginFailed."""
    found = inspect(settings, sources, kept=KeptVersions(settings.versions_path).pinned(), recall=recall)
    if found.rulebook is None:
        raise RulebookBroken(found.problems)
    return Workshop(found.plugins, found.templates, found.rulebook, found.problems)


def live_rulebook(settings: Settings) -> Rulebook | None:
    """The rulebook that the workspace's server took last, as far as it still compiles; for comparing with it."""
    if not settings.live_path.is_dir():
        return None
    plugins = plugins_of(settings)
    try:
        rulebook, _ = load_rulebook(
            read_folder(settings.live_path / "rules")[0],
            templates=read_facts(settings.live_path / "templates"),
            matcher=matcher_of("compiled"),
            functions=plugins.functions,
            actions=plugins.action_names(settings.plugins),
            channel=settings.delivery.channel,
        )
    except RulebookBroken:
        return None
    return rulebook


def company_of(settings: Settings) -> dict[str, str]:
    """What templates know of who sends: name, postal address, sender."""
    delivery = settings.delivery
    name = delivery.company or delivery.sender_name or delivery.sender_address
    return {"name": name, "address": delivery.address, "sender": delivery.sender}


def brand_language(settings: Settings) -> str:
    """The language of the live templates' brand."""
    from triggerfish.adapters.brand import BRAND_FILE, read_brand

    folder = settings.live_path / "templates"
    return read_brand((folder if folder.is_dir() else settings.templates_path) / BRAND_FILE, BRAND_FILE, []).language


def matcher_of(engine: str) -> Callable[[Sequence[RuleSet]], Matcher]:
    """The rule engine that the settings name: durable_rules, or the same rules as generated Python."""
    if engine == "compiled":
        from triggerfish.adapters.compiled import CompiledMatcher

        return CompiledMatcher
    from triggerfish.adapters.durable import DurableMatcher

    return DurableMatcher


def clock_of(demo_since: Instant | None, newest: Callable[[], Instant]) -> Clock:
    """The machine's clock; in a demo the events' own until they have caught up. `newest` is the newest event's time."""
    return WallClock() if demo_since is None else EventClock(demo_since, newest)


def prepare(settings: Settings) -> None:
    """Make the workspace's data folder, and bring log and state to the newest schema: before any process opens them.

    Raises SettingsWrong when a newer Triggerfish wrote them (TF411), or when the two are not of one time (TF417), and
    RestoreBroken (TF453).
    """
    from triggerfish.adapters.sqlite.migrate import migrate
    from triggerfish.adapters.sqlite.together import check_together

    settings.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_restored(settings.data_path)
    migrations = starter_path("migrations")
    migrate(settings.log_path, migrations / "log.py")
    migrate(settings.state_path, migrations / "state.py")
    check_together(settings.log_path, settings.state_path)


def open_log(settings: Settings) -> SqliteEventLog:
    return SqliteEventLog(settings.log_path, queue_events=settings.limits.queue_events)


def front_door(settings: Settings, log: EventLog, *, ring: Callable[[], None], demo_since: Instant | None) -> FrontDoor:
    """What the api process lets events in with."""
    outline = OutlineFile(settings.rulebook_path)
    return FrontDoor(
        log=log,
        clock=clock_of(demo_since, lambda: log.head()[1]),
        ring=ring,
        write_keys=frozenset(key.reveal() for key in settings.keys.write),
        admin_key=settings.keys.admin.reveal(),
        public_url=settings.server.public_url,
        checks=LivePlan(lambda: outline().plan),
    )


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the api process works with: the front door, the reads, and what pages show.

    `channel` sends nothing here: it is asked for the messages that it keeps. `queue` says what waits for the log's
    disk, `beats` what signs of life the other processes give, if there are any.
    """

    settings: Settings
    front: FrontDoor
    reads: Reads
    quarantine: Quarantine
    signer: Signer
    channel: GuardedChannel
    context: PluginContext
    sources: Mapping[str, Source]
    streams: Mapping[str, GuardedStream]
    mailroom: MailRoom
    versions: KeptVersions
    archive: Archive
    public_url: str
    is_demo: bool
    backlog: SqliteBacklog
    queue: Callable[[], Queue]
    beats: Callable[[], Mapping[str, Beat]]


@contextlib.asynccontextmanager
async def open_desk(
    settings: Settings,
    *,
    ring: Callable[[], None],
    public_url: str,
    demo_since: Instant | None = None,
    board: Board | None = None,
) -> AsyncIterator[Desk]:
    """The api process's desk; all of it closed at the end."""
    plugins = plugins_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(contextlib.closing(open_log(settings)))
        front = front_door(settings, log, ring=ring, demo_since=demo_since)
        channel = channel_of(settings, plugins, front.clock, is_demo=demo_since is not None)
        context = plugin_context(settings, public_url, front.clock)
        await channel.open(context)
        stack.push_async_callback(channel.close)
        reads = stack.enter_context(contextlib.closing(SqliteReads(settings.state_path, log, settings.rulebook_path)))
        yield Desk(
            settings=settings,
            front=front,
            reads=reads,
            quarantine=stack.enter_context(contextlib.closing(SqliteQuarantine(settings.log_path))),
            signer=signer_of(settings),
            channel=channel,
            context=context,
            sources=plugins.sources(_tables(settings)),
            streams=plugins.streams(_tables(settings)),
            mailroom=mailroom_of(settings, front, reads),
            versions=KeptVersions(settings.versions_path),
            archive=stack.enter_context(contextlib.closing(open_archive(settings, plugins))),
            public_url=public_url,
            is_demo=demo_since is not None,
            backlog=stack.enter_context(contextlib.closing(SqliteBacklog(settings.state_path, log))),
            queue=log.queue,
            beats=dict if board is None else board.beats,
        )


def open_archive(settings: Settings, plugins: Plugins, *, patience_seconds: float = 10.0) -> Archive:
    """The rulebooks that are kept, for asking why. Of a workspace that was never served, its files are the only one."""
    versions = KeptVersions(settings.versions_path)

    def load(version: str) -> Rulebook | None:
        for sources in (versions.path(version), settings.live_path, settings.workspace):
            try:
                if not sources.is_dir() or version_of(read_sources(sources)) != version:
                    continue
                rulebook, _ = load_rulebook(
                    read_folder(sources / "rules")[0],
                    templates=read_facts(sources / "templates"),
                    matcher=matcher_of("compiled"),
                    functions=plugins.functions,
                    actions=plugins.action_names(settings.plugins),
                    channel=settings.delivery.channel,
                    version=version,
                    kept=versions.pinned(),
                )
            except (RulebookBroken, SourcesUnfit):
                continue
            return rulebook
        return None

    return Archive(load, patience_seconds=patience_seconds)


def mailroom_of(settings: Settings, front: FrontDoor, reads: Reads) -> MailRoom:
    """Where reports on our messages come in."""
    is_trusted = _trust_nobody
    if settings.reports.feedback_from:
        from triggerfish.adapters.signatures import TrustedSigners

        is_trusted = TrustedSigners(settings.reports.feedback_from).has_signed
    return MailRoom(
        front=front,
        signer=signer_of(settings),
        verp=verp_of(settings),
        find=reads.send,
        is_trusted=is_trusted,
    )


async def _trust_nobody(mail: Mail, raw: bytes) -> bool:
    return False


def signer_of(settings: Settings) -> Signer:
    return Signer(settings.keys.secret.reveal(), _retired(settings))


def verp_of(settings: Settings) -> Verp:
    return Verp(settings.keys.secret.reveal(), _retired(settings))


def _retired(settings: Settings) -> list[str]:
    return [secret.reveal() for secret in settings.keys.retired_secrets]


def plugin_context(settings: Settings, public_url: str, clock: Clock) -> PluginContext:
    return PluginContext(settings.workspace, settings.data_path, public_url, clock, verp_of(settings))


def _tables(settings: Settings) -> dict[str, Mapping[str, Any]]:
    return dict(settings.plugins)


@contextlib.asynccontextmanager
async def open_house(
    settings: Settings, workshop: Workshop, *, public_url: str, demo_since: Instant | None = None
) -> AsyncIterator[House]:
    """The worker's house: log, store, channel opened, plugins started; all of it closed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(contextlib.closing(open_log(settings)))
        watch = Stopwatch(workshop.rulebook)
        workshop.rulebook.match = watch.match
        store = SqliteStateStore(settings.state_path, cache_limit=settings.limits.profile_cache, spent=watch.take)
        stack.callback(store.close)
        store.begin(workshop.rulebook.version)
        # In a demo the worker's clock shows how far the events are decided, not how far they are stored.
        clock = clock_of(demo_since, lambda: store.position()[1])
        channels = channels_of(settings, workshop.plugins, clock, is_demo=demo_since is not None)
        underway = Underway()
        context = msgspec.structs.replace(plugin_context(settings, public_url, clock), is_wanted=underway.is_wanted)
        for channel in channels.values():
            await channel.open(context)
            stack.push_async_callback(channel.close)
        feeds = HttpFeeds(clock, settings.feeds.trusted_hosts)
        stack.push_async_callback(feeds.close)
        actions = await _open_actions(settings, workshop, context, stack, is_demo=demo_since is not None)
        workshop.plugins.start(context)
        stack.callback(workshop.plugins.stop)
        signer = signer_of(settings)

        def tell_decision(moment: Moment) -> None:
            ruleset, _, rule = str(moment.body.get("rule", "")).partition(" / ")
            workshop.plugins.tell_decision(
                profile_id=moment.profile,
                ruleset=ruleset,
                rule=rule,
                outcome=str(moment.body.get("outcome", "")),
                reason=str(moment.body.get("reason", "")),
            )

        yield House(
            log=log,
            store=store,
            clock=clock,
            rulebook=workshop.rulebook,
            templates=workshop.templates,
            channel=channels[settings.delivery.channel],
            channels=channels,
            underway=underway,
            restored_at=0 if demo_since is not None else restored_at(settings.data_path),
            fallback=settings.delivery.fallback,
            fallback_after=settings.delivery.fallback_seconds * SECOND,
            pacing=Pacing(paces_of(settings, channels), clock.now()),
            guard=blast.Guard(**msgspec.structs.asdict(settings.delivery.guard)),
            links=lambda due, profile, now: signer.links(
                due.id, profile.id, due.purpose, public_url, at=now, address=str(profile.trait("email") or "")
            ),
            dice=random.SystemRandom().random,
            actions=actions,
            feeds=feeds,
            batch_events=settings.limits.batch_events,
            tell_decision=tell_decision,
            tell_receipt=lambda name, message, receipt, verdict: workshop.plugins.tell_receipt(
                channel=name, message=message, receipt=receipt, verdict=verdict
            ),
        )


async def _open_actions(
    settings: Settings, workshop: Workshop, context: PluginContext, stack: contextlib.AsyncExitStack, *, is_demo: bool
) -> dict[str, GuardedChannel]:
    """The plugins' actions that a rule calls, opened; in a demo those only that are safe for it."""
    rules = [rule for ruleset in workshop.rulebook.rulesets for rule in ruleset.rules]
    called = {action.action for rule in rules for action in rule.actions if isinstance(action, Call)}
    opened: dict[str, GuardedChannel] = {}
    for name, action in workshop.plugins.actions(_tables(settings), context.clock).items():
        if name in called and (action.features.is_safe_for_demo or not is_demo):
            await action.open(context)
            stack.push_async_callback(action.close)
            opened[name] = action
    return opened
