"""Rule files to a Rulebook: forms become rules, texts become conditions, short names become events' own.

All problems of all files come at once; a rulebook with a problem is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from msgspec.structs import replace

from triggerfish.activity import Activity
from triggerfish.clock import Millis, parse_duration
from triggerfish.conditions import Condition
from triggerfish.errors import RulebookBroken
from triggerfish.expectations import Type
from triggerfish.render import Class
from triggerfish.rulefile.check import check_files
from triggerfish.rulefile.expressions import Scope, Tree, compile_condition, compile_value
from triggerfish.rulefile.format import (
    ActionForm,
    ComputedForm,
    ConditionForm,
    FileForm,
    PolicyForm,
    RuleForm,
    SegmentForm,
)
from triggerfish.rulefile.grammar import Faulty
from triggerfish.rulefile.marks import Marks, Path
from triggerfish.rulefile.problems import Problem, nearest
from triggerfish.rules import (
    Action,
    Cap,
    Computed,
    Emit,
    Matcher,
    Policy,
    Quiet,
    Rule,
    Rulebook,
    RuleSet,
    Send,
    Set,
)
from triggerfish.segments import Segment, SegmentTree, ranked


class TemplateFacts(Protocol):
    """What a rulebook needs to know of a template."""

    @property
    def class_(self) -> Class: ...
    @property
    def purpose(self) -> str: ...


def load_rulebook(
    files: Mapping[str, str],
    *,
    templates: Mapping[str, TemplateFacts],
    matcher: Callable[[Sequence[RuleSet]], Matcher],
    functions: Mapping[str, Callable[..., Any]] | None = None,
    channel: str = "",
    version: str = "",
) -> tuple[Rulebook, list[Problem]]:
    """The rulebook that these files (path -> text) make, and the warnings.

    `matcher` makes the rule engine, `functions` are plugins' functions for conditions, `channel` is what sends go over,
    `version` names the whole that the files are part of (empty: what follows from them alone).
    Raises RulebookBroken with every problem of every file.
    """
    checked = check_files(files)
    compiler = _Compiler(checked.files, templates, functions or {}, channel)
    compiler.run()
    problems = sorted([*checked.problems, *compiler.problems])
    if any(not problem.is_warning for problem in problems):
        raise RulebookBroken(problems)
    return compiler.rulebook(matcher, version or version_of(files)), problems


def version_of(files: Mapping[str, str]) -> str:
    """A short name for exactly this content."""
    digest = blake2b(digest_size=6)
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


class _Compiler:
    def __init__(
        self,
        files: Sequence[tuple[FileForm, Marks]],
        templates: Mapping[str, TemplateFacts],
        functions: Mapping[str, Callable[..., Any]],
        channel: str,
    ) -> None:
        self.files = files
        self.templates = templates
        self.functions = functions
        self.channel = channel
        self.problems: list[Problem] = []
        self.activities: dict[str, Activity] = {}
        self.segments: list[Segment] = []
        self.rulesets: list[RuleSet] = []
        self.policy = Policy()
        self.short_names: dict[str, str] = {}
        self.expectations: dict[str, dict[str, Type]] = {}

    def run(self) -> None:
        for form, _ in self.files:
            for short, event in form.events.items():
                self.short_names[short] = event if isinstance(event, str) else event.name
                if not isinstance(event, str) and event.properties:
                    self.expectations[event.name] = dict(event.properties)
        for form, marks in self.files:
            for place, segment in enumerate(form.segments):
                self.segment(segment, None, marks, ("segments", place))
        for form, marks in self.files:
            if form.policy is not None:
                self.policy = _policy(form.policy)
            if form.ruleset is not None:
                self.rulesets.append(self.ruleset(form, form.ruleset, marks))

    def rulebook(self, matcher: Callable[[Sequence[RuleSet]], Matcher], version: str) -> Rulebook:
        rank = {name: place for place, name in enumerate(ranked(self.segments))}
        segments = [replace(segment, rank=rank[segment.name]) for segment in self.segments]
        return Rulebook(
            matcher=matcher,
            segments=SegmentTree(segments),
            rulesets=self.rulesets,
            activities=tuple(self.activities.values()),
            policy=self.policy,
            short_names=self.short_names,
            expectations=self.expectations,
            version=version,
        )

    # Segments.

    def segment(self, form: SegmentForm, parent: Segment | None, marks: Marks, path: Path) -> None:
        """Parents come before children; within an exclusive parent the highest priority comes first."""
        made = Segment(
            name=form.name,
            when=self.condition(form.when, marks, (*path, "when"), [known.name for known in self.segments], False),
            priority=form.priority,
            parent=None if parent is None else parent.name,
            is_exclusive=form.exclusive,
            depth=0 if parent is None else parent.depth + 1,
            description=form.description,
        )
        self.segments.append(made)
        children = list(enumerate(form.segments))
        if form.exclusive:
            children.sort(key=lambda child: -child[1].priority)
        for place, child in children:
            self.segment(child, made, marks, (*path, "segments", place))

    # Rules.

    def ruleset(self, form: FileForm, name: str, marks: Marks) -> RuleSet:
        rules = [self.rule(rule, name, marks, ("rules", place)) for place, rule in enumerate(form.rules)]
        return RuleSet(
            name=name,
            rules=tuple(sorted(rules, key=lambda rule: -rule.priority)),
            mode=form.mode,
            priority=form.priority,
            max_age=_length(form.max_age),
            description=form.description,
        )

    def rule(self, form: RuleForm, ruleset: str, marks: Marks, path: Path) -> Rule:
        names = [segment.name for segment in self.segments]
        actions = [self.action(action, marks, (*path, "then", place)) for place, action in enumerate(form.then)]
        return Rule(
            ruleset=ruleset,
            name=form.name,
            on=tuple(dict.fromkeys(self.events(form.on))),
            actions=tuple(action for action in actions if action is not None),
            when=self.condition(form.when, marks, (*path, "when"), names, True),
            wait=_length(form.wait),
            unless=frozenset(self.events(form.unless)),
            while_waiting=form.while_waiting,
            cooldown=_length(form.cooldown),
            priority=form.priority,
            description=form.description,
        )

    def events(self, names: str | Sequence[str]) -> list[str]:
        """Events' own names for names as written."""
        written = [names] if isinstance(names, str) else names
        return [self.short_names.get(name, name) for name in written]

    def action(self, form: ActionForm, marks: Marks, path: Path) -> Action | None:
        if form.send is not None:
            facts = self.templates.get(form.send)
            if facts is None:
                hint = nearest(form.send, self.templates) or "make the folder templates/" + form.send
                sentence = f'there is no template "{form.send}"'
                self.problems.append(marks.problem((*path, "send"), "TF260", sentence, hint=hint))
                return None
            return Send(form.send, facts.class_, facts.purpose, self.channel)
        if form.set is not None:
            return Set(self.values(form.set, marks, (*path, "set")))
        if form.emit is not None:
            return Emit(form.emit, self.values(form.properties or {}, marks, (*path, "properties")))
        return None

    def values(self, forms: Mapping[str, Any], marks: Marks, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, form in forms.items():
            made[name] = form
            if isinstance(form, ComputedForm):
                place = (*path, name, "value")
                try:
                    function, activities = compile_value(form.value, self.scope((), True))
                except Faulty as faulty:
                    self.report(faulty, marks, place)
                    continue
                self.remember(activities)
                made[name] = Computed(form.value, function)
        return made

    # Conditions.

    def condition(
        self,
        form: str | ConditionForm | None,
        marks: Marks,
        path: Path,
        segments: Collection[str],
        has_event: bool,
    ) -> Condition | None:
        """The compiled condition; with a problem for each fault of each of its texts."""
        if form is None:
            return None
        scope = self.scope(segments, has_event)
        tree, is_sound = self.tree(form, marks, path, scope)
        if not is_sound:
            return None
        condition = compile_condition(tree, scope)
        self.remember(condition.activities)
        return condition

    def tree(self, form: str | ConditionForm, marks: Marks, path: Path, scope: Scope) -> tuple[Tree, bool]:
        if isinstance(form, str):
            try:
                compile_condition(Tree(form), scope)
            except Faulty as faulty:
                self.report(faulty, marks, path)
                return Tree(form), False
            return Tree(form), True
        is_sound = True
        made: dict[str, tuple[Tree, ...]] = {}
        for word, listed in (("all", form.all), ("any", form.any), ("none", form.none)):
            if listed is not None:
                read = [self.tree(part, marks, (*path, word, place), scope) for place, part in enumerate(listed)]
                is_sound = is_sound and all(sound for _, sound in read)
                made[word] = tuple(tree for tree, _ in read)
        trees = [Tree(all=made.get("all")), Tree(any=made.get("any")), Tree(none=made.get("none"))]
        given = tuple(tree for tree in trees if tree != Tree())
        return (given[0] if len(given) == 1 else Tree(all=given)), is_sound

    def scope(self, segments: Collection[str], has_event: bool) -> Scope:
        return Scope(
            short_names=self.short_names, segments=frozenset(segments), has_event=has_event, functions=self.functions
        )

    def remember(self, activities: Sequence[Activity]) -> None:
        for activity in activities:
            self.activities.setdefault(activity.key, activity)

    def report(self, faulty: Faulty, marks: Marks, path: Path) -> None:
        for fault in faulty.faults:
            self.problems.append(
                marks.problem(path, fault.code, fault.sentence, hint=fault.hint, offset=fault.offset, width=fault.width)
            )


def _policy(policy: PolicyForm) -> Policy:
    quiet = policy.quiet_hours
    return Policy(
        time_zone=policy.time_zone,
        quiet=None if quiet is None else Quiet(_minute(quiet.start), _minute(quiet.end)),
        caps=tuple(Cap(cap.sends, _length(cap.within)) for cap in policy.caps),
    )


def _length(text: str | None) -> Millis:
    """A length of time; 0 for none, and for one that does not parse (check.py has reported it)."""
    try:
        return 0 if text is None else parse_duration(text)
    except ValueError:
        return 0


def _minute(text: str) -> int:
    """ "21:30" as minutes after midnight; 0 for what is no time (check.py has reported it)."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if hours.isdigit() and minutes.isdigit() else 0
