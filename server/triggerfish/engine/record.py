"""What is written down: sends with their status, and the timeline that `why` answers from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triggerfish.clock import Instant
from triggerfish.conditions import Condition, View, made
from triggerfish.engine.outcome import Kind, Moment, Withdrawal
from triggerfish.hours import Hours
from triggerfish.ingest import Event
from triggerfish.instructions import Given
from triggerfish.lanes import lane_of
from triggerfish.log import Position
from triggerfish.profile import Profile, Wait
from triggerfish.rules import Rule, Rulebook
from triggerfish.schedule import Due, Status
from triggerfish.steps import Send


class Record:
    """What one batch writes down. `rulebook` decides; `hours` are what everybody's opens weigh by now (hours.py), and
    `opened` what this batch adds to them.
    """

    def __init__(self, rulebook: Rulebook, hours: Hours = ()) -> None:
        self._rulebook = rulebook
        self._version = rulebook.version
        self.hours = [*hours] or [0] * 24
        self.opened: dict[int, int] = {}
        self.sends: dict[str, Due] = {}
        self.moments: list[Moment] = []
        self.withdrawals: list[Withdrawal] = []
        self.instructions: list[Given] = []

    def open(self, hour: int, weight: int) -> None:
        """Somebody opened or clicked at this hour of their day."""
        self.hours[hour] += weight
        self.opened[hour] = self.opened.get(hour, 0) + weight

    def note(self, profile: Profile, at: Instant, kind: Kind, body: dict[str, Any], position: Position = 0) -> None:
        self.moments.append(Moment(profile.id, at, kind, body, position))

    def send(
        self,
        profile: Profile,
        rule: Rule | Wait,
        send: Send | None,
        identifier: str,
        at: Instant,
        status: Status,
        reason: str = "",
        due_at: Instant | None = None,
        trigger: Event | None = None,
    ) -> None:
        """A message came to a status; `send` is None when the rule that knows it is gone."""
        name = rule.name if isinstance(rule, Rule) else rule.rule
        known = self.sends.get(identifier)
        class_ = send.class_ if send else "marketing"
        template = send.template if send else (known.template if known else "")
        due = Due(
            id=identifier,
            profile=profile.id,
            ruleset=rule.ruleset,
            rule=name,
            template=template,
            class_=class_,
            purpose=send.purpose if send else "",
            channel=send.channel if send else "",
            status=status,
            reason=reason,
            due_at=at if due_at is None else due_at,
            trigger=trigger,
            priority=self._rulebook.priority(rule, class_) if isinstance(rule, Rule) else 0,
        )
        if send is not None and status == "due":
            due.since = at
            due.lane = str(lane_of(send.channel, class_, profile.trait("email"))) if send.channel else ""
        if known is None or known.status == "scheduled":
            self.sends[identifier] = due
        self.note(profile, at, "send", _send_body(due))

    def call(
        self, profile: Profile, rule: Rule, action: str, values: dict[str, Any], identifier: str, at: Instant
    ) -> None:
        """A plugin's action is to be carried out."""
        due = Due(
            id=identifier, profile=profile.id, ruleset=rule.ruleset, rule=rule.name, template="", purpose="",
            class_="transactional", status="due", due_at=at, call=action, data=values,
        )  # fmt: skip
        self.sends.setdefault(identifier, due)
        self.note(profile, at, "send", _send_body(due))

    def withdraw(self, profile: Profile, rule: Rule | Wait, identifier: str, at: Instant, reason: str) -> None:
        """A message that was let go is not to leave any more, if it is not too late."""
        name = rule.name if isinstance(rule, Rule) else rule.rule
        body = {"send": identifier, "rule": f"{rule.ruleset} / {name}", "status": "skipped", "reason": reason}
        known = self.sends.get(identifier)
        if known is None:
            self.withdrawals.append(Withdrawal(identifier, profile.id, reason, at, len(self.moments)))
        elif known.status in ("scheduled", "due"):
            known.status, known.reason, known.due_at = "skipped", reason, at
        else:
            return
        self.note(profile, at, "send", body)

    def decision(
        self,
        profile: Profile,
        rule: Rule,
        event: Event,
        at: Instant,
        outcome: str,
        reason: str = "",
        *,
        when: Condition | None = None,
        view: View | None = None,
        **more: Any,
    ) -> None:
        """What a rule made of an event. `when` is the condition that held, looked at in `view`; `more` are further
        facts, such as the step of a journey.
        """
        body: dict[str, Any] = {
            "rule": f"{rule.ruleset} / {rule.name}",
            "outcome": outcome,
            "event": event.name,
            "rulebook": self._version,
        }
        if reason:
            body["reason"] = reason
        if when is not None and view is not None:
            body["because"] = made(when.because)(view)
        if more:
            body |= more
        self.moments.append(Moment(profile.id, at, "decision", body))

    def merges(self, profile: Profile, event: Event, at: Instant, merged: Mapping[str, str]) -> None:
        """Write down which profiles an event made part of this one. Their messages on the way are this one's now; those
        of earlier batches the store hands over.
        """
        for each in profile.merges:
            if each.message_id == event.message_id and each.at == at:
                self.note(profile, at, "merge", {"profile": each.profile, "because": each.because})
        for due in self.sends.values():
            if due.status in ("scheduled", "due"):
                due.profile = merged.get(due.profile, due.profile)


def _send_body(due: Due) -> dict[str, Any]:
    body = {
        "send": due.id,
        "rule": f"{due.ruleset} / {due.rule}",
        "template": due.template,
        "status": due.status,
    }
    if due.call:
        body["call"] = due.call
    return body | ({"reason": due.reason} if due.reason else {})
