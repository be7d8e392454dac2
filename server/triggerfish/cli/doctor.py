"""`triggerfish doctor`: whether mail will arrive, and whether the machine is fit to send it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct

from triggerfish.adapters.composed import CompiledTemplate
from triggerfish.adapters.doctor.dkim import check_dkim
from triggerfish.adapters.doctor.dmarc import check_dmarc
from triggerfish.adapters.doctor.finding import Finding, error, fine, unknown
from triggerfish.adapters.doctor.machine import (
    check_clock_against,
    check_clock_against_log,
    check_disk,
    check_secret_files,
)
from triggerfish.adapters.doctor.mail_hosts import check_mail_hosts, check_reverse
from triggerfish.adapters.doctor.names import Names
from triggerfish.adapters.doctor.new_key import write_new_key, zone_line
from triggerfish.adapters.doctor.spf import check_spf
from triggerfish.adapters.doctor.workspace import check_keys, check_public_url
from triggerfish.channels import channel_of
from triggerfish.cli import BROKEN, FINE, WARNINGS_ONLY, json_option, print_json, workspace_option
from triggerfish.clock import WallClock
from triggerfish.compose import inspect, plugin_context, plugins_of
from triggerfish.config import SETTINGS_FILE, Settings, load_settings
from triggerfish.errors import PluginFailed, SettingsWrong, TriggerfishError
from triggerfish.plugin.channel import Inspection

_MARKS = {"fine": ("ok", "green"), "warning": ("warn", "yellow"), "error": ("ERROR", "red"), "unknown": ("?", "cyan")}


_SELECTOR = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


class KeyNotWritten(TriggerfishError):
    """A new key for DKIM could not be written."""

    code = "TF428"


class Section(Struct, frozen=True):
    """Findings that belong together."""

    title: str
    findings: list[Finding]


@click.command("doctor")
@workspace_option
@json_option
@click.option("--nameserver", default="", metavar="ADDRESS", help="The DNS server to ask.  [default: the system's]")
@click.option("--sending-ip", default="", metavar="ADDRESS", help="The address that mail leaves from, for SPF.")
@click.option("--time-server", default="pool.ntp.org", show_default=True, help="Whom to ask the time; '' for nobody.")
@click.option("--new-dkim-key", type=click.Path(path_type=Path), help="Write a new DKIM key there, and check nothing.")
@click.option("--selector", default="tf1", show_default=True, help="The name below which it will stand in DNS.")
@click.option("--kind", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True, help="What key it is.")
@click.pass_context
def command(
    ctx: click.Context, workspace: Path, as_json: bool, nameserver: str, sending_ip: str, time_server: str,
    new_dkim_key: Path | None, selector: str, kind: str,
) -> None:  # fmt: skip
    """Look at what decides whether mail arrives: SPF, DKIM, DMARC, MX, channel, clock, disk, keys.

    Exit code 0 when all is well, 1 with an error, 3 with warnings only. What cannot be looked at is no error.
    """
    settings = load_settings(workspace.resolve(), os.environ)
    if new_dkim_key is not None:
        print_new_key(settings, new_dkim_key, selector, kind, as_json=as_json)
        return
    try:
        names = Names(nameserver)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--nameserver") from wrong
    if sending_ip:
        try:
            ipaddress.ip_address(sending_ip)
        except ValueError as wrong:
            raise click.BadParameter(str(wrong), param_hint="--sending-ip") from wrong
    sections = [*examine_mail(settings, names, sending_ip), *examine_machine(settings, time_server)]
    if as_json:
        print_json(sections)
    else:
        click.echo("\n".join(lines_of(sections)))
    states = {finding.state for section in sections for finding in section.findings}
    ctx.exit(BROKEN if "error" in states else WARNINGS_ONLY if "warning" in states else FINE)


def examine_mail(settings: Settings, names: Names, sending_ip: str) -> list[Section]:
    """The channel, and what DNS says of the domains that it sends for."""
    told, of_channel = asyncio.run(ask_channel(settings))
    sections = [Section("the channel", of_channel)]
    if told is None:
        return sections
    sections[0].findings.extend(check_secret_files(told.secrets))
    for domain in sender_domains(settings):
        if "." not in domain:
            finding = error(
                f"the sender's domain {domain}",
                "it is no name that others know",
                why="nobody takes its mail",
                remedy="set sender under [delivery] to an address of yours",
            )
            sections.append(Section(domain, [finding]))
            continue
        envelope = told.return_path or domain
        signing = [name.partition("._domainkey.")[2] for name in told.signatures]
        findings = [*check_spf(names, envelope, sending_ip)]
        for name, record in told.signatures.items():
            findings += check_dkim(names, name, record)
        findings += check_dmarc(names, domain, envelope=envelope, signing=signing)
        findings += check_mail_hosts(names, envelope)
        sections.append(Section(f"mail from {domain}", findings))
    if sending_ip:
        sections.append(Section("the server that sends", check_reverse(names, sending_ip)))
    sections.append(Section("links", check_public_url(settings.server.public_url)))
    return sections


async def ask_channel(settings: Settings) -> tuple[Inspection | None, list[Finding]]:
    """What the channel tells of itself; None of one that delivers nothing, or cannot be opened."""
    about = f"the channel {settings.delivery.channel}"
    try:
        channel = channel_of(settings, plugins_of(settings), WallClock())
    except TriggerfishError as wrong:
        return None, [_of_error(about, wrong)]
    if channel.features.is_safe_for_demo:
        # Not even opened: it may make files that the server could not write then.
        said = "delivers nothing; SPF, DKIM and DMARC matter when another is set ([delivery] channel)"
        return None, [unknown(about, said)]
    try:
        await channel.open(plugin_context(settings, settings.server.public_url, WallClock()))
    except (PluginFailed, SettingsWrong) as wrong:
        return None, [_of_error(about, wrong)]
    told = await channel.inspect()
    await channel.close()
    if told.trouble:
        return told, [
            error(
                about,
                told.trouble,
                why="no message leaves; all of them wait, for a day at most",
                remedy=f"see [plugins.{settings.delivery.channel}] in {SETTINGS_FILE}, and the provider",
            )
        ]
    return told, [fine(about, told.detail or "starts")]


def sender_domains(settings: Settings) -> list[str]:
    """The domains of the senders of the settings and of all sound templates."""
    senders = [settings.delivery.sender_address]
    templates = inspect(settings).templates.values()
    senders += [template.sender.email for template in templates if isinstance(template, CompiledTemplate)]
    return sorted({sender.rpartition("@")[2].lower() for sender in senders})


def examine_machine(settings: Settings, time_server: str) -> list[Section]:
    """Keys, files, disk and clock."""
    keys = settings.keys
    about_keys = check_keys(
        write=[key.reveal() for key in keys.write],
        admin=keys.admin.reveal(),
        secret=keys.secret.reveal(),
        are_demo=settings.uses_demo_keys,
    )
    files = [settings.workspace / SETTINGS_FILE, *([settings.data_path] if settings.data_path.exists() else [])]
    about_clock = check_clock_against_log(settings.log_path, WallClock().wall())
    if time_server:
        about_clock += check_clock_against(time_server)
    return [
        Section("keys and files", [*about_keys, *check_secret_files(files)]),
        Section("the machine", [*check_disk(settings.data_path), *about_clock]),
    ]


def print_new_key(settings: Settings, file: Path, selector: str, kind: str, *, as_json: bool) -> None:
    """Write a key, and say what to publish and set. Raises KeyNotWritten."""
    if not _SELECTOR.fullmatch(selector):
        raise click.BadParameter("letters, digits and hyphens, and dots between them", param_hint="--selector")
    path = settings.workspace / file
    domain = settings.delivery.sender_address.rpartition("@")[2]
    name = f"{selector}._domainkey.{domain}"
    try:
        record = write_new_key(path, is_ed25519=kind == "ed25519")
    except FileExistsError as wrong:
        raise KeyNotWritten(f"{path} is there already", hint="name another file") from wrong
    except OSError as wrong:
        raise KeyNotWritten(f"{path} cannot be written: {wrong.strerror}") from wrong
    if as_json:
        print_json({"file": str(path), "name": name, "record": record, "zone": zone_line(name, record)})
        return
    prefix = "dkim_" if kind == "rsa" else "dkim_second_"
    click.echo(f"{path} is written; only you can read it.\n\nPublish this in DNS:\n\n{zone_line(name, record)}\n")
    click.echo(f"When it can be looked up, set this in {SETTINGS_FILE}:\n\n[plugins.smtp]")
    if kind == "rsa":
        click.echo(f'dkim_domain = "{domain}"')
    click.echo(f'{prefix}selector = "{selector}"\n{prefix}key_file = "{file}"')


def lines_of(sections: Sequence[Section]) -> Iterator[str]:
    """The sections for people."""
    for section in sections:
        yield click.style(section.title, bold=True)
        for finding in section.findings:
            mark, colour = _MARKS[finding.state]
            yield f"  {click.style(f'{mark:5}', fg=colour)}  {finding.about}: {finding.sentence}"
            if finding.why:
                yield f"         why: {finding.why}"
            if finding.remedy:
                yield f"         do:  {finding.remedy}"
        yield ""
    counts: dict[str, int] = {}
    for section in sections:
        for finding in section.findings:
            counts[finding.state] = counts.get(finding.state, 0) + 1
    names = {"error": "error(s)", "warning": "warning(s)", "unknown": "not looked at", "fine": "fine"}
    found = ((counts[state], name) for state, name in names.items() if state in counts)
    yield ", ".join(f"{count} {name.replace('(s)', '' if count == 1 else 's')}" for count, name in found)


def _of_error(about: str, wrong: TriggerfishError) -> Finding:
    return error(
        about,
        f"{wrong.code} {wrong.sentence}",
        why="the server does not start with it",
        remedy=wrong.hint or f"correct it in {SETTINGS_FILE}",
    )
