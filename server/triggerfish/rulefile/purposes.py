"""`purposes:`, what people can consent to, as Purposes; and whether messages are of purposes that are declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from triggerfish.consent import Purpose
from triggerfish.rulefile.format import FileForm, PurposeForm
from triggerfish.rulefile.forms import actions_of
from triggerfish.rulefile.problems import nearest, quote

if TYPE_CHECKING:
    from triggerfish.rulefile.desk import Desk


def purposes_of(files: Sequence[tuple[FileForm, Desk]]) -> dict[str, Purpose]:
    """The purposes of all files, in their order. Once any are declared, marketing of others is reported to the desks:
    nobody finds those on the preference page.
    """
    declared: dict[str, Purpose] = {}
    for form, _ in files:
        for name, said in form.purposes.items():
            declared.setdefault(name, _purpose(name, said))
    if declared:
        for form, desk in files:
            _report(form, desk, declared)
    return declared


def _purpose(name: str, form: str | PurposeForm) -> Purpose:
    if isinstance(form, str):
        return Purpose(name, titles={"": form})
    return Purpose(
        name=name,
        consent=form.consent,
        gpc=form.gpc,
        categories=tuple(form.categories),
        titles=_texts(form.title),
        descriptions=_texts(form.description),
    )


def _texts(text: str | Mapping[str, str]) -> dict[str, str]:
    return ({"": text} if text else {}) if isinstance(text, str) else dict(text)


def _report(form: FileForm, desk: Desk, declared: Mapping[str, Purpose]) -> None:
    for place, rule in enumerate(form.rules):
        if rule.purpose is not None:
            if rule.purpose not in declared and rule.class_ != "transactional":
                sentence = f"no purpose {quote(rule.purpose)} is declared"
                _undeclared(desk, ("rules", place, "purpose"), sentence, rule.purpose, declared)
            continue
        for path, action in actions_of(rule, ("rules", place)):
            facts = None if action.send is None else desk.templates.get(action.send)
            if facts is None or not facts.purpose or facts.purpose in declared:
                continue
            if (rule.class_ or facts.class_) == "marketing":
                sentence = f"{quote(action.send or '')} is of the purpose {quote(facts.purpose)}, which is not declared"
                _undeclared(desk, (*path, "send"), sentence, facts.purpose, declared)


def _undeclared(
    desk: Desk, path: tuple[str | int, ...], sentence: str, purpose: str, declared: Mapping[str, Purpose]
) -> None:
    hint = nearest(purpose, declared) or f"add it:  purposes: {{{purpose}: {{title: …}}}}"
    desk.problem(path, "TF680", sentence, hint, is_warning=True)
