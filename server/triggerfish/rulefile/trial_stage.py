"""The stage on which a test plays: one person, a store of their own, and a clock that only the test moves.

What happens is decided by the production engine (`engine.decide`), instant by instant. Messages that it lets go are
taken as sent at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.clock import Instant
from triggerfish.consent import Consent
from triggerfish.engine import Arrival, Moment, Outcome, StateStore, decide
from triggerfish.errors import MissingData, Refused
from triggerfish.ingest import Event
from triggerfish.measure import NAMES as FEEDBACK_NAMES
from triggerfish.profile import Assignment, Claim, Identity, Profile, Trait, claims_of, new_profile, previous_claims
from triggerfish.render import Message
from triggerfish.rulefile.check import KINDS
from triggerfish.rulefile.trial_read import Happening, Trial
from triggerfish.rules import Rule, Rulebook
from triggerfish.schedule import Due

USER = "person"
"""The userId of the person whom a test is about."""
STEP_LIMIT = 20_000
"""Instants at which time alone may do something in one test; a rulebook that needs more goes round in circles."""
_AGENDA = 1_000
_BRIEF = 80
_FEEDBACK = frozenset(FEEDBACK_NAMES.values())

Compose = Callable[[Rulebook, Due, Profile, Instant], Message]
"""Makes the message of a send, as the live one does (walk.compose). Raises MissingData and Refused."""


class Line(Struct, frozen=True):
    """A line of what happened: `kind` is event, segment, decision, send, merge, or asked for a rule that did not wake.
    `names` are those by which tests ask for its `reason`; not every line `is_shown`.
    """

    at: Instant
    kind: str
    text: str
    names: tuple[str, ...] = ()
    reason: str = ""
    is_shown: bool = True


class Left(Struct, frozen=True):
    """A message that left, or a plugin's action that was called (then `call` is its name). `fault` says why a message
    could not be composed.
    """

    at: Instant
    rule: str
    template: str
    call: str = ""
    subject: str = ""
    text: str = ""
    fault: str = ""


class Stage:
    """Everything that a test lets happen, and what came of it: `lines` are the timeline, `left` the messages,
    `emitted` the events that rules made (instant, name); `moments` has the history's as well.
    """

    def __init__(self, store: StateStore, rulebook: Rulebook, compose: Compose | None) -> None:
        self.store = store
        self.lines: list[Line] = []
        self.left: list[Left] = []
        self.emitted: list[tuple[Instant, str]] = []
        self.moments: list[Moment] = []
        self._rulebook = rulebook
        self._compose = compose
        self._position = 0
        self._steps = 0
        self._given = ""
        self._asked: list[Line] = []

    def prepare(self, trial: Trial, silent: Rulebook, arm: Callable[[Sequence[Profile]], Outcome]) -> None:
        """Bring the stage to the instant before the test's start: who the person is, and what they did, under a
        rulebook whose rules hear nothing; `arm` then sets what the calendar will do.
        """
        loud, self._rulebook = self._rulebook, silent
        earliest = min([trial.start, *(each.at for each in trial.history)]) - 1
        self._introduce(trial, earliest)
        for each in trial.history:
            self.happen(each)
        self.pass_time(trial.start - 1)
        self.store.refit(arm(self.store.everybody("", _AGENDA)))
        self._rulebook = loud
        self.lines.clear()

    def _introduce(self, trial: Trial, at: Instant) -> None:
        form = trial.form.profile
        if form is None and trial.form.time_zone is None and not trial.form.assign:
            return
        claims = [Claim("user", USER)]
        profile = new_profile(claims[0], 0, at)
        profile.time_zone = trial.form.time_zone or ""
        if form is not None:
            profile.locale = form.locale
            profile.traits = {name: Trait(value, at) for name, value in form.traits.items() if value is not None}
            profile.consent = {
                name: Consent(is_given, at, "the test", is_confirmed=is_given)
                for name, is_given in form.consent.items()
            }
        profile.assignments = {name: Assignment(variant, at) for name, variant in trial.form.assign.items()}
        email = profile.trait("email")
        if isinstance(email, str) and "@" in email:
            claims.append(Claim("email", email.strip().lower()))
        profile.identities = [Identity(claim.kind, claim.value, at) for claim in claims]
        owners: dict[Claim, str | None] = dict.fromkeys(claims, profile.id)
        outcome = Outcome(
            profiles={profile.id: profile}, merged={}, owners=owners, memberships=[], sends=[], moments=[]
        )
        self.store.commit(outcome, 0, at)

    def pass_time(self, until: Instant) -> None:
        """Let everything happen that is due up to and including `until`. Raises TimeoutError when there is no end."""
        while (due := self.store.next_due()) is not None and due <= until:
            self._steps += 1
            if self._steps > STEP_LIMIT:
                raise TimeoutError(f"more than {STEP_LIMIT:,} instants at which something is due")
            self._decide((), due)

    def happen(self, happening: Happening) -> None:
        """Let something happen, after what is due at its instant."""
        self.pass_time(happening.at)
        self._position += 1
        event = self._event(happening)
        self._given = _brief(event.properties or event.traits)
        self._decide((Arrival(self._position, happening.at, event),), happening.at)

    def person(self) -> Profile | None:
        """The person as they are; None before anything is known of them."""
        loaded = self.store.load([Claim("user", USER)], [])
        owner = loaded.owners.get(Claim("user", USER))
        if owner is not None:
            return loaded.profiles[owner]
        return next(iter(self.store.everybody("", 1)), None)

    def _event(self, happening: Happening) -> Event:
        form = happening.form
        name = form.event or "identify"
        own = self._rulebook.short_names.get(name, name)
        who: dict[str, Any] = {"user_id": USER}
        if form.anonymous is not None:
            who = {"anonymous_id": form.anonymous} | (who if form.identify is not None else {})
        person = self.person()
        if own in _FEEDBACK and person is not None:
            who = {"profile_id": person.id}
        kind: Any = own if own in KINDS else "feedback" if own in _FEEDBACK else "track"
        return Event(
            kind=kind, name=own, message_id=f"{self._position}", timestamp=happening.at - happening.late,
            properties=form.properties, traits=form.identify or {}, context=form.context, **who,
        )  # fmt: skip

    def _decide(self, arrivals: Sequence[Arrival], now: Instant) -> None:
        position, _ = self.store.position()
        claims = [claim for each in arrivals for claim in (*claims_of(each.event), *previous_claims(each.event))]
        due = self.store.agenda(now, _AGENDA)
        loaded = self.store.load(claims, [profile for _, profile in due])
        outcome = decide(arrivals, loaded, self._rulebook, now)
        self.store.commit(outcome, arrivals[-1].position if arrivals else position, now)
        self._note(outcome, now)

    def _note(self, outcome: Outcome, now: Instant) -> None:
        self.moments += outcome.moments
        for moment in outcome.moments:
            line = tell(moment)
            if moment.kind == "event" and moment.position:
                line = replace(line, text=f"{line.text}{self._given}")
            self.lines.append(line)
            if moment.kind == "event" and "by" in moment.body:
                self.emitted.append((moment.at, str(moment.body["event"])))
        self.lines += self._asked
        self._asked.clear()
        gone = [due for due in outcome.sends if due.status == "due"]
        for due in gone:
            self.left.append(self._let_go(due, outcome.profiles[due.profile], now))
            due.status, due.sent_at = "sent", now
        self.store.mark(gone, ())

    def _let_go(self, due: Due, profile: Profile, now: Instant) -> Left:
        rule = f"{due.ruleset} / {due.rule}"
        call = due.call
        if call or self._compose is None:
            return Left(now, rule, due.template, call)
        try:
            message = self._compose(self._rulebook, due, profile, now)
        except (MissingData, Refused) as error:
            return Left(now, rule, due.template, fault=error.sentence)
        except Exception as error:
            # As in the live send: a plugin's filter may raise anything.
            return Left(now, rule, due.template, fault=f"{type(error).__name__}: {error}")
        return Left(now, rule, due.template, subject=message.subject, text=message.text)

    def overhear(self, rule: Rule, at: Instant, event: str, failed: str) -> None:
        """Note that a rule's event came and its condition did not hold."""
        name = f"{rule.ruleset} / {rule.name}"
        is_shown = not event.startswith("segment.")  # every such rule is asked about every segment
        text = f"{name}: not with this {event}: {failed}"
        self._asked.append(Line(at, "asked", text, (rule.name, name), failed, is_shown))


def _brief(values: Mapping[str, Any]) -> str:
    """What an event brought, in short, behind its name."""
    text = ", ".join(f"{name}: {value!r}" for name, value in values.items())
    return f"  {{{text if len(text) <= _BRIEF else text[: _BRIEF - 1] + '…'}}}" if text else ""


def tell(moment: Moment) -> Line:
    """A moment of the timeline as people read it, with the names by which tests ask for it."""
    body = moment.body
    rule, reason = str(body.get("rule", "")), str(body.get("reason", ""))
    names = (rule, rule.partition(" / ")[2])
    tail = f": {reason}" if reason else ""
    match moment.kind:
        case "event":
            text = str(body["event"]) + (f", by {body['by']}" if "by" in body else "")
            return Line(moment.at, moment.kind, text)
        case "segment":
            return Line(moment.at, moment.kind, f"{body['change']} {body['segment']}")
        case "decision":
            details = [f"{word} {body[word]}" for word in ("step", "arm", "experiment", "variant") if body.get(word)]
            what = ", ".join([str(body["outcome"]), *details])
            return Line(moment.at, moment.kind, f"{rule or body.get('event', '')}: {what}{tail}", names, reason)
        case "send":
            template = str(body.get("template") or body.get("call", ""))
            text = f"{template}: {body['status']}{tail}  ({rule})"
            return Line(moment.at, moment.kind, text, (template, *names), reason)
    return Line(moment.at, moment.kind, f"one person with {body.get('profile', '')}: {body.get('because', '')}")
