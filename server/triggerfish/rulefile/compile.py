"""Rule files to a Rulebook: forms become rules, texts become conditions, short names become events' own.

All problems of all files come at once; a rulebook with a problem is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from triggerfish.errors import RulebookBroken
from triggerfish.plan import Plan
from triggerfish.rulefile.check import Decode, check_files
from triggerfish.rulefile.decode import decode_file
from triggerfish.rulefile.definitions import define, report_unused
from triggerfish.rulefile.desk import Compiled, Desk, Known, TemplateFacts
from triggerfish.rulefile.format import FileForm, SegmentForm
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.plan import plan_of
from triggerfish.rulefile.plan_types import check_types
from triggerfish.rulefile.policy import policy_of, report_vain
from triggerfish.rulefile.problems import Problem
from triggerfish.rulefile.purposes import purposes_of
from triggerfish.rulefile.recall import Recall
from triggerfish.rulefile.rule import rule_of
from triggerfish.rules import Matcher, Policy, Rule, Rulebook, RuleSet
from triggerfish.segments import Segment, SegmentTree, ranked

Examine = Callable[[Sequence[tuple[FileForm, Marks]], Rulebook, Known], Sequence[Problem]]
"""A second look at a rulebook: at its files' forms, what they make, and what they know of one another."""


def load_rulebook(
    files: Mapping[str, str],
    *,
    templates: Mapping[str, TemplateFacts],
    matcher: Callable[[Sequence[RuleSet]], Matcher],
    functions: Mapping[str, Callable[..., Any]] | None = None,
    actions: Collection[str] = (),
    channel: str = "",
    channels: Collection[str] | None = None,
    version: str = "",
    kept: Sequence[Mapping[str, str]] = (),
    examine: Examine | None = None,
    decode: Decode = decode_file,
    compiled: Compiled | None = None,
    recall: Recall | None = None,
) -> tuple[Rulebook, list[Problem]]:
    """The rulebook that these files (path -> text) make, and the warnings.

    `matcher` makes the rule engine, `functions` are plugins' functions for conditions, `actions` the names of plugins'
    actions, `channel` is what sends go over unless their rule names one of `channels` (None: any); `version` names the
    whole that the files are part of (empty: what follows from them alone).
    `kept` are the files of earlier versions, newest first: people inside a journey with
    `in_flight: pin` go on by the one that they entered with. `decode` may remember files that it saw before;
    `compiled` are conditions of a rulebook that has the same short names and definitions (desk.py).
    `recall` knows what earlier loads found out.
    `examine` looks at a sound rulebook's forms once more; what it finds are further warnings.
    Raises RulebookBroken with every problem of every file.
    """
    if recall is not None:
        decode = recall.decode
    checked = check_files(files, decode=decode)
    known = Known(templates, functions or {}, actions, channel, channels, compiled={} if compiled is None else compiled)
    known.recall = recall
    compiler = _Compiler(checked.files, known)
    compiler.run(files)
    if checked.is_complete and not checked.is_broken and not compiler.known.problems:
        report_unused(checked.files, compiler.known)
    of_plan = check_types(checked.files, compiler.plan, compiler.known.short_names)
    problems = sorted([*checked.problems, *compiler.known.problems, *of_plan])
    if any(not problem.is_warning for problem in problems):
        raise RulebookBroken(problems)
    for earlier in kept:
        older_known = Known(templates, functions or {}, actions, channel, recall=recall)
        older = _Compiler(check_files(earlier, decode=decode).files, older_known)
        older.run(earlier)
        compiler.pin(older)
    made = compiler.rulebook(matcher, version or version_of(files))
    if examine is not None:
        problems = sorted([*problems, *examine(checked.files, made, compiler.known)])
    return made, problems


def version_of(files: Mapping[str, str]) -> str:
    """A short name for exactly this content."""
    digest = blake2b(digest_size=6)
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


class _Compiler:
    def __init__(self, files: Sequence[tuple[FileForm, Marks]], known: Known) -> None:
        self.files = files
        self.known = known
        self.segments: list[Segment] = []
        self.rulesets: list[RuleSet] = []
        self.pinned: dict[tuple[str, str, str], Rule] = {}
        self.policy = Policy()
        self.plan = Plan()

    def run(self, texts: Mapping[str, str]) -> None:
        """Compile all of it. `texts` are the files' contents, lists among them."""
        for form, _ in self.files:
            for short, event in form.events.items():
                self.known.short_names[short] = event if isinstance(event, str) else event.name
        define(self.files, texts, self.known)
        self.known.settle()
        self.plan = plan_of(form for form, _ in self.files)
        desks = [(form, Desk(self.known, marks)) for form, marks in self.files]
        for form, desk in desks:
            for place, segment in enumerate(form.segments):
                self.segment(segment, None, desk, ("segments", place))
        for form, desk in desks:
            if form.ruleset is not None:
                self.rulesets.append(_ruleset(form, form.ruleset, desk))
        for form, desk in desks:
            if form.policy is not None:
                self.policy = policy_of(form.policy, desk, self.rulesets)
        self.policy = replace(self.policy, purposes=purposes_of(desks))
        report_vain(desks, self.policy, self.rulesets)

    def pin(self, older: _Compiler) -> None:
        """Keep the pinned journeys of an earlier version that this one says otherwise, as far as they still compile."""
        if any(not problem.is_warning for problem in older.known.problems):
            return
        present = {(rule.ruleset, rule.name, rule.version) for ruleset in self.rulesets for rule in ruleset.rules}
        for rule in (rule for ruleset in older.rulesets for rule in ruleset.rules):
            name = (rule.ruleset, rule.name, rule.version)
            if rule.is_pinned and name not in present and name not in self.pinned:
                self.pinned[name] = rule
                for activity in (each for condition in rule.conditions for each in condition.activities):
                    self.known.activities.setdefault(activity.key, activity)

    def rulebook(self, matcher: Callable[[Sequence[RuleSet]], Matcher], version: str) -> Rulebook:
        rank = {name: place for place, name in enumerate(ranked(self.segments))}
        segments = [replace(segment, rank=rank[segment.name]) for segment in self.segments]
        return Rulebook(
            matcher=matcher,
            segments=SegmentTree(segments),
            rulesets=self.rulesets,
            activities=tuple(self.known.activities.values()),
            policy=self.policy,
            short_names=self.known.short_names,
            plan=self.plan,
            version=version,
            pinned=tuple(self.pinned.values()),
        )

    def segment(self, form: SegmentForm, parent: Segment | None, desk: Desk, path: Path) -> None:
        """Parents come before children; within an exclusive parent the highest priority comes first."""
        made = Segment(
            name=form.name,
            when=desk.condition(form.when, (*path, "when"), has_event=False),
            priority=form.priority,
            parent=None if parent is None else parent.name,
            is_exclusive=form.exclusive,
            depth=0 if parent is None else parent.depth + 1,
            description=form.description,
        )
        self.segments.append(made)
        self.known.segment_names.append(made.name)
        children = list(enumerate(form.segments))
        if form.exclusive:
            children.sort(key=lambda child: -child[1].priority)
        for place, child in children:
            self.segment(child, made, desk, (*path, "segments", place))


def _ruleset(form: FileForm, name: str, desk: Desk) -> RuleSet:
    rules = [rule_of(desk, rule, form, ("rules", place)) for place, rule in enumerate(form.rules)]
    return RuleSet(
        name=name,
        rules=tuple(sorted(rules, key=lambda rule: -rule.priority)),
        mode=form.mode,
        priority=form.priority,
        description=form.description,
    )
