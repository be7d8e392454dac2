"""Why: what each rule made of one person, told from what was written down when it was decided.

`tell_why` reads and orders; it decides nothing again. An occasion is one time that a rule woke for the person, with the
messages that came of it. What nothing was written down of is seen by deciding again (whynot.py), and is added here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from triggerfish.errors import NotFound
from triggerfish.reads import (
    LONGEST_PAGE,
    DecisionLine,
    HappenedView,
    ProfileView,
    Reads,
    RuleOutline,
    SendLine,
)
from triggerfish.schedule import Status
from triggerfish.wording import join_words


class Change(Struct, frozen=True):
    """A message came to a status."""

    at: str
    status: Status
    reason: str


class MessageStory(Struct, frozen=True):
    """A message from its decision on: `changes` oldest first, the last one is how it stands. Of one that was skipped,
    `free_from` says from when on another one might have left, had nothing else happened; empty when that is not known.
    """

    send: str
    template: str
    changes: list[Change]
    free_from: str = ""

    @property
    def status(self) -> Status:
        return self.changes[-1].status

    @property
    def reason(self) -> str:
        return self.changes[-1].reason


class Occasion(Struct, frozen=True):
    """A rule woke: `because` is its condition's tree with the values that it saw (`condition`, `holds`, `value`,
    `parts`), as they were then.
    """

    at: str
    event: str
    outcome: str
    reason: str
    because: dict[str, Any] | None
    messages: list[MessageStory]


class GateStory(Struct, frozen=True):
    """A gate on the way to a message: whether it was open, why not, and from when on it would have been."""

    gate: str
    passed: bool
    said: str = ""
    until: str = ""


class Missed(Struct, frozen=True):
    """A rule's event came and nothing came of it; nothing was written down then, and it was seen by deciding again.

    `because` is the condition's tree with the values that it saw, `failed` the first leaf that kept it from holding. It
    held when `winner`, a rule before it in its set, was taken instead. `gates` are what else was on the way;
    `otherwise` says what would have come of it, had it matched. `nearest` is the nearest miss: what together would have
    been enough, all else as it was. `holds_from` is when the condition would have held with the same event, had nothing
    else happened. `reigned` is false when `rulebook`, with which it was looked at, is not known to have been live then.
    """

    at: str
    event: str
    properties: dict[str, Any]
    because: dict[str, Any] | None
    failed: str
    winner: str
    gates: list[GateStory]
    otherwise: str
    nearest: list[str]
    holds_from: str
    rulebook: str
    reigned: bool
    sentence: str


class Now(Struct, frozen=True):
    """A rule's condition looked at now. `event` is the event that it was looked at with: the last one that would wake
    the rule (empty: none has happened, so what the condition asks of it is missing). `because` is the tree, None for a
    rule without a condition.
    """

    at: str
    holds: bool
    event: str
    because: dict[str, Any] | None


class RuleStory(Struct, frozen=True):
    """What one rule did for the person, newest occasion first. Of a rule that never woke, `happened` says which of the
    events that would wake it (`on`) came, and `sentence` what follows. `missed` are the newest of the `missed_count`
    times that its event came in vain, newest first. Of a rule with neither, `now` is its condition as it is now.
    """

    ruleset: str
    rule: str
    sends: list[str]
    on: list[str]
    when: str
    is_live: bool
    sentence: str
    happened: list[HappenedView]
    occasions: list[Occasion]
    missed: list[Missed] = []
    missed_count: int = 0
    now: Now | None = None


class Again(Struct, frozen=True):
    """Whether deciding all of the person's past again gives what was written down. If not, `doubt` says in what it does
    not, and `doubtful_from` since when (empty: in all of it); nothing after that is told. `lacking` are versions of the
    rulebook that reigned and are not kept: what was decided under those was looked at with the present one.
    """

    is_same: bool
    doubt: str = ""
    doubtful_from: str = ""
    lacking: list[str] = []


class WhyView(Struct, frozen=True):
    """The stories of the rules that were asked for. `is_whole` is false when older decisions were left out. `again` is
    None when nothing was decided again.
    """

    profile: ProfileView
    rules: list[RuleStory]
    is_whole: bool
    again: Again | None = None


def tell_why(reads: Reads, identity: str, *, template: str = "", rule: str = "") -> WhyView:
    """Why this person did or did not get messages; of one template or one rule (`name` or `rule set / name`), if given.

    Rules that woke come first, the newest first. Raises NotFound for an unknown person, template or rule.
    """
    profile = reads.profile(identity)
    lines = reads.timeline(profile.id, LONGEST_PAGE, kinds=("decision", "send"))
    stories = _occasions([line for line in reversed(lines) if isinstance(line, DecisionLine | SendLine)])
    happened = {each.event: each for each in reads.happened(profile.id)}
    rulesets = reads.rulebook().rulesets
    known = {(ruleset.name, each.name): each for ruleset in rulesets for each in ruleset.rules}
    modes = {ruleset.name: ruleset.mode for ruleset in rulesets}
    woke = sorted(stories, key=lambda key: stories[key][0].at, reverse=True)
    rules = [
        _story(key, known.get(key), modes.get(key[0], ""), stories.get(key, []), happened)
        for key in [*woke, *(key for key in known if key not in stories)]
    ]
    return WhyView(profile, _chosen(rules, template, rule), is_whole=len(lines) < LONGEST_PAGE)


def _occasions(lines: Sequence[DecisionLine | SendLine]) -> dict[tuple[str, str], list[Occasion]]:
    """Occasions by rule, newest first, from decisions and sends in order of time.

    A message's first line follows the decision that it came of; a wait's later lines are known by the send.
    """
    found: dict[tuple[str, str], list[Occasion]] = {}
    messages: dict[str, MessageStory] = {}
    for line in lines:
        key = rule_key(line.rule)
        if isinstance(line, DecisionLine):
            because, reason = line.because, line.reason or line.way
            found.setdefault(key, []).append(Occasion(line.at, line.event, line.outcome, reason, because, []))
            continue
        change = Change(line.at, line.status, line.reason)
        story = messages.get(line.send)
        if story is None:
            story = messages[line.send] = MessageStory(line.send, line.template, [])
            occasions = found.setdefault(key, [])
            if not occasions:
                # The decision is older than what was read.
                occasions.append(Occasion(line.at, "", "acted", "", None, []))
            occasions[-1].messages.append(story)
        story.changes.append(change)
    return {key: occasions[::-1] for key, occasions in found.items()}


def is_missing(node: Mapping[str, Any]) -> bool:
    """Whether a leaf of a condition's tree compared something that the person did not have."""
    return "value" not in node and "parts" not in node and _COMPARES.search(str(node.get("condition"))) is not None


_COMPARES = re.compile(r" (?:[=!]=|[<>]=?) ")


def rule_key(text: str) -> tuple[str, str]:
    """`rule set / rule`, as lines of a timeline have it, in two."""
    ruleset, _, rule = text.partition(" / ")
    return ruleset, rule


def _story(
    key: tuple[str, str],
    rule: RuleOutline | None,
    mode: str,
    occasions: list[Occasion],
    happened: dict[str, HappenedView],
) -> RuleStory:
    templates = {message.template: None for occasion in occasions for message in occasion.messages}
    if rule is not None:
        templates = {str(action["send"]): None for action in rule.then if "send" in action} | templates
    woken = [] if rule is None else [happened[name] for name in rule.on if name in happened]
    return RuleStory(
        ruleset=key[0],
        rule=key[1],
        sends=[name for name in templates if name],
        on=[] if rule is None else rule.on,
        when="" if rule is None else rule.when,
        is_live=rule is not None,
        sentence=_sentence(rule, mode, occasions, woken),
        happened=woken,
        occasions=occasions,
    )


def _sentence(rule: RuleOutline | None, mode: str, occasions: list[Occasion], happened: list[HappenedView]) -> str:
    """The story in one sentence."""
    if occasions:
        newest = occasions[0]
        if not newest.messages:
            return f"{newest.outcome}: {newest.reason}" if newest.reason else newest.outcome
        message = newest.messages[-1]
        return f"{message.status}: {message.reason}" if message.reason else message.status
    if rule is None:
        return "there is no such rule any more"
    if not happened:
        return f"never woke: {_either(rule.on)} has not happened"
    newest_event = max(happened, key=lambda each: each.last_at)
    times = "once" if newest_event.count == 1 else f"{newest_event.count} times"
    reasons = ["the condition did not hold then"] if rule.when else []
    if mode == "first":
        reasons.append("a rule before it in its set was taken")
    if not rule.when:
        reasons.append("the rule is newer")
    rest = join_words("or", reasons)
    return f"never fired: {newest_event.event} happened {times}, last at {newest_event.last_at}, and {rest}"


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"none of {', '.join(names)}" if names else "its event"


def _chosen(rules: list[RuleStory], template: str, rule: str) -> list[RuleStory]:
    """The stories that were asked for. Raises NotFound, with the nearest name as a hint."""
    wanted = " / ".join(part.strip() for part in rule.split("/", 1)) if rule else ""
    chosen = rules
    if wanted:
        chosen = [each for each in chosen if wanted in (each.rule, f"{each.ruleset} / {each.rule}")]
        if not chosen:
            raise NotFound(f'there is no rule "{rule}"', hint=_nearest(rule, _rule_names(rules)))
    if template:
        chosen = [each for each in chosen if template in each.sends]
        if not chosen:
            names = {name for each in rules for name in each.sends}
            raise NotFound(f'no rule sends a template "{template}"', hint=_nearest(template, names))
    return chosen


def _rule_names(rules: Sequence[RuleStory]) -> Iterator[str]:
    for each in rules:
        yield each.rule
        yield f"{each.ruleset} / {each.rule}"


def _nearest(name: str, known: Iterator[str] | set[str]) -> str:
    names = sorted(set(known))
    found = difflib.get_close_matches(name[:80], names, n=1, cutoff=0.5)
    return f'did you mean "{found[0]}"?' if found else f"there are {', '.join(names[:20])}" if names else ""
