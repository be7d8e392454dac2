"""The two sides of the property test: the oracle, and the real engine in random batches. Both tell what happened as
timelines of plain lines, one list a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import blake2b
from random import Random
from typing import Any

from oracle.dice import HOUR, History
from oracle.people import Told
from oracle.rules import Book
from oracle.world import Line, Oracle, Template
from triggerfish.adapters.memory_store import MemoryStateStore
from triggerfish.engine import Arrival, Moment
from triggerfish.ingest import Event
from triggerfish.profile import Claim, new_profile
from triggerfish.rulefile.compile import load_rulebook
from triggerfish.rules import Matcher, Rulebook, RuleSet
from worlds import TEMPLATES, follow

AFTER = 100 * HOUR
"""How long time goes on after the last event."""
WHYS = {
    r"the event is older than": "age",
    r"already waiting in this rule": "waiting",
    r"\d+ waits are pending": "limit",
    r"waits ": "wait",
    r"quiet hours": "quiet",
    r"outside the send windows": "windows",
    r"its rule set sent less than ": "set cooldown",
    r"deferred: had ": "deferred cap",
    r"had .* longer than ": "cap patience",
    r"had .* no template ": "cap unmerged",
    r"no email address": "email",
    r"suppressed: ": "suppressed",
    r"opted out of ": "opted out",
    r"this rule sent less than ": "cooldown",
    r"had \d+ messages? ": "cap",
    r".* happened meanwhile": "unless",
    r"started again by a newer ": "restart",
    r"no longer true: ": "untrue",
    r"this rule sent \d+ messages? within ": "limited",
    r"this rule sent once ": "once",
    r"too many events followed": "",
    r"the same person was inside already": "twice",
    r"already inside": "inside",
    r"was inside before": "once",
    r"entered less than ": "again",
    r".* is missing$": "key",
    r"it holds already": "already",
    r"the wait is over": "over",
    r"nothing came in time": "late",
    r"it came to hold": "held",
    r".* already$": "ended",
    r".* came$": "came",
    r".* happened$": "happened",
    r"true: ": "true",
}
"""What the engine's reasons mean to the oracle."""


def run_oracle(book: Book, history: History) -> tuple[Oracle, list[tuple[int, Told]]]:
    """The oracle after the history, and the history with feedback that says whom it is about by id."""
    templates = {name: Template(facts.class_ == "marketing", facts.purpose) for name, facts in TEMPLATES.items()}
    oracle = Oracle(book, templates, share)
    told: list[tuple[int, Told]] = []
    for at, each in history:
        oracle.pass_time(at)
        event = each
        if each.about is not None:
            kind, _, name = each.about.partition(":")
            person = oracle.people.named((kind, name))
            former = [gone for gone in oracle.people.into if person and oracle.people.by_id(gone) is person]
            event = replace(each, about="nobody" if person is None else (former or [person.id])[-1])
        oracle.arrive(event, at)
        told.append((at, event))
    oracle.pass_time(history[-1][0] + AFTER)
    return oracle, told


def run_engine(rules: Rulebook, told: Sequence[tuple[int, Told]], dice: Random) -> MemoryStateStore:
    """The engine's store after the history, cut into batches at random, with looks at the agenda in between."""
    store = MemoryStateStore()
    arrivals = [Arrival(place, at, _event(event)) for place, (at, event) in enumerate(told, 1)]
    while arrivals:
        size = dice.choice((1, 1, 2, 3, 7, 100))
        batch, arrivals = arrivals[:size], arrivals[size:]
        until = batch[-1].at
        if arrivals and dice.random() < 0.3:
            until = dice.randint(until, arrivals[0].at - 1) if arrivals[0].at > until else until
        follow(store, rules, batch, until)
        while arrivals and dice.random() < 0.2 and arrivals[0].at > until + 1:
            until = dice.randint(until, arrivals[0].at - 1)
            follow(store, rules, [], until)
    follow(store, rules, [], told[-1][0] + AFTER)
    return store


def made_rulebook(files: Mapping[str, str], matcher: Callable[[Sequence[RuleSet]], Matcher]) -> Rulebook:
    made, _ = load_rulebook(files, templates=TEMPLATES, matcher=matcher)
    return made


def engine_id(person: str) -> str:
    """The engine's id of one of the oracle's people."""
    if person.count(":") < 2:
        return person
    kind, name, position = person.split(":")
    return new_profile(Claim(kind, name), int(position), 0).id


def share(person: str, experiment: str) -> Fraction:
    """As the docstring of `share_of` has it."""
    digest = blake2b(f"{experiment}\0{engine_id(person)}".encode(), digest_size=8, person=b"split").digest()
    return Fraction(int.from_bytes(digest, "big") // 2**11, 2**53)


def _event(told: Told) -> Event:
    return Event(
        told.kind, told.name, told.message_id, told.at, told.user, told.anon, told.previous,
        profile_id=None if told.about is None else engine_id(told.about),
        properties=told.properties, traits=told.traits, context=told.context,
    )  # fmt: skip


# Comparing.


def differences(oracle: Oracle, store: MemoryStateStore) -> list[str]:
    """What the two sides say differently; nothing when they agree exactly."""
    found: list[str] = []
    ours = {engine_id(person): lines for person, lines in oracle.timelines.items()}
    theirs: dict[str, list[Moment]] = {}
    for moment in store.moments:
        theirs.setdefault(moment.profile, []).append(moment)
    if ours.keys() != theirs.keys():
        return [f"people: {sorted(ours)} but the engine {sorted(theirs)}"]
    ids: dict[str, str] = {}
    withdrawn = _take_withdrawn(theirs)
    for person, lines in ours.items():
        told = [_line(moment) for moment in theirs[person]]
        expected = [_known_by(line) for line in lines]
        for place in range(max(len(told), len(expected))):
            one = expected[place] if place < len(expected) else None
            other = told[place] if place < len(told) else None
            if one is not None and other is not None and one[0] == other[0] == "send":
                ids.setdefault(one[2], other[2])
                one = (*one[:2], ids[one[2]], *one[3:])
            if one != other:
                before = "".join(f"\n      {line}" for line in told[max(0, place - 6) : place])
                found.append(f"{person} line {place}: oracle {one}\n   but engine {other}\n   after{before}")
                break
    if not found and sorted((at, ids[send]) for at, send in oracle.withdrawn) != sorted(withdrawn):
        found.append(f"withdrawn: oracle {oracle.withdrawn} but engine {withdrawn}; ids {ids}")
    if len(set(ids.values())) != len(ids):
        found.append("two messages of the oracle have one id in the engine")
    return found or _states(oracle, store, ids)


def _take_withdrawn(theirs: dict[str, list[Moment]]) -> list[tuple[int, str]]:
    """Take the lines of messages out that a goal or an exit stopped: a store writes them when it commits. They are the
    only ones of a message that was let go, or held by a run, which skip it for a reason of the run.
    """
    found = []
    for person, moments in theirs.items():
        kept = []
        for moment in moments:
            why = _why(moment.body.get("reason", ""))
            if moment.kind == "send" and moment.body["status"] == "skipped" and why in ("happened", "true", "twice"):
                found.append((moment.at, moment.body["send"]))
            else:
                kept.append(moment)
        theirs[person] = kept
    return found


def _states(oracle: Oracle, store: MemoryStateStore, ids: Mapping[str, str]) -> list[str]:
    """The same of where everybody stands in the end."""
    found = []
    for person in oracle.people.all:
        profile = store.profiles[engine_id(person.id)]
        expected: Any
        told: Any
        for what, expected, told in (
            ("segments", person.segments, profile.memberships),
            ("traits", person.values(), {name: trait.value for name, trait in profile.traits.items()}),
            (
                "waits",
                sorted(wait.due for wait in person.waits),
                sorted(wait.deadline or wait.due_at for wait in profile.waits),
            ),
            (
                "variants",
                {name: variant for name, (_, variant) in person.variants.items()},
                {name: kept.variant for name, kept in profile.assignments.items()},
            ),
            ("names", set(person.names), {(each.kind, each.value) for each in profile.identities}),
        ):
            if repr_of(expected) != repr_of(told):
                found.append(f"{what} of {person.id}: oracle {expected} but engine {told}")
    messages = {ids[key]: (engine_id(person), *rest) for key, (person, *rest) in oracle.messages.items()}
    sends = {key: (due.profile, due.template, due.status) for key, due in store.sends.items()}
    if messages != sends:
        found.append(f"messages: oracle {messages} but engine {sends}")
    return found


def repr_of(value: Any) -> Any:
    """Comparable, with 1, 1.0 and True told apart only as text and numbers are."""
    if isinstance(value, dict):
        return sorted((key, repr_of(each)) for key, each in value.items())
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    return repr(value)


def _known_by(line: Line) -> Line:
    """The oracle's line with the engine's ids."""
    what, at, *more = line
    if what == "merge":
        more = [engine_id(more[0])]
    return (what, at, *more)


def _line(moment: Moment) -> Line:
    """A moment of the engine as the oracle writes it."""
    body = moment.body
    match moment.kind:
        case "event":
            return ("event", moment.at, body["event"], *([body["by"]] if "by" in body else []))
        case "segment":
            return ("segment", moment.at, body["segment"], body["change"])
        case "merge":
            return ("merge", moment.at, body["profile"])
        case "decision":
            rule, outcome, event = body.get("rule", ""), body["outcome"], body.get("event", "")
            why, arm = _why(body.get("reason", "")), body.get("arm", body.get("variant", ""))
            return ("decision", moment.at, rule, outcome, event, why, body.get("step", ""), arm)
        case "send":
            told = (body["send"], body["rule"], body["template"], body["status"], _why(body.get("reason", "")))
            return ("send", moment.at, *told)
    raise AssertionError(moment.kind)


def _why(reason: str) -> str:
    if reason.startswith("until "):
        return ""
    if found := re.match(r'(deferred: )?lost to "(.*?)" of "(.*?)" \(.*?\)(.*)', reason):
        deferred, rule, ruleset, more = found.groups()
        ends = {"longer than": " patience", "no template": " unmerged"}
        end = next((end for words, end in ends.items() if words in more), "")
        return f"{'deferred ' if deferred else ''}lost {ruleset} / {rule}{end}"
    if found := re.match(r'merged into "(.*?)" of "(.*?)"', reason):
        return f"merged {found[2]} / {found[1]}"
    return next((why for pattern, why in WHYS.items() if re.match(pattern, reason)), reason)
