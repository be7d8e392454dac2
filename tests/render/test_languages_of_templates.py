"""One email in several languages: who gets which, and what is told of a language that has less than the others."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from render.kit import COMPANY, UNSUBSCRIBE, SeenLinks, email, write
from triggerfish.adapters.composed import CompiledTemplate, preview
from triggerfish.adapters.templates import check_templates
from triggerfish.render import Address, Message, template_data
from triggerfish.rulefile.problems import Problem

NOW = 1_767_225_600_000
PRICE = '<mj-text>{{ 49.9 | money }}, {{ sent_at | date: "%B" }}, {{ language }}</mj-text>'


def made(folder: Path, others: Mapping[str, str], main: str = PRICE, more: str = "") -> list[Problem]:
    """All problems of an email in English and in other languages; `others` are files by name."""
    root = write(folder, email(main), more=f"class: transactional\n{more}")
    for name, text in others.items():
        (root / "hello" / name).write_text(text)
    return [problem for problem in check_templates(root, COMPANY)[1] if not "TF343" <= problem.code <= "TF369"]


def template_of(folder: Path) -> CompiledTemplate:
    return check_templates(folder / "templates", COMPANY)[0]["hello"]


def other(subject: str, body: str = PRICE, more: str = "") -> str:
    return f"---\nsubject: {subject!r}\n{more}---\n{email(body, footer='')}"


def sent(template: CompiledTemplate, traits: Mapping[str, object], locale: str = "") -> Message:
    data = template_data(traits, {}, sent_at=NOW, profile_id="p", locale=locale)
    return template.compose(send_id="s", data=data, to=Address("ana@example.com"), links=SeenLinks())


@pytest.mark.parametrize(
    ("traits", "locale", "language"),
    [
        ({"language": "de"}, "fr-FR", "de"),
        ({"language": "de_AT"}, "", "de"),
        ({"locale": "pt-PT"}, "de-DE", "pt-BR"),
        ({}, "de-CH", "de"),
        ({"language": "sv"}, "de-DE", "en"),
        ({"language": "Deutsch"}, "", "en"),
        ({}, "", "en"),
    ],
)
def test_everybody_gets_the_nearest_language(
    tmp_path: Path, traits: Mapping[str, object], locale: str, language: str
) -> None:
    assert made(tmp_path, {"email.de.mjml": other("Hallo"), "email.pt-br.mjml": other("Olá")}) == []
    template = template_of(tmp_path)
    assert template.languages == ("en", "de", "pt-BR")
    message = sent(template, traits, locale)
    words = {"en": "€49.90, January, en", "de": "49,90 €, Januar, de", "pt-BR": "€ 49,90, janeiro, pt-BR"}
    subjects = {"en": "Hello", "de": "Hallo", "pt-BR": "Olá"}
    assert (message.language, message.subject) == (language, subjects[language])
    assert words[language] in message.text
    assert f'<html lang="{language}"' in message.html


def test_a_language_may_have_a_sender_a_reply_address_and_a_plain_text_of_its_own(tmp_path: Path) -> None:
    more = "from: Der Laden <hallo@shop.example>\nreply_to: hilfe@shop.example\n"
    assert made(tmp_path, {"email.de.mjml": other("Hallo", more=more), "email.de.txt": "Von Hand.\n"}) == []
    template = template_of(tmp_path)
    german, english = preview(template, "de"), preview(template, "en")
    assert (german.sender.email, german.text) == ("hallo@shop.example", "Von Hand.\n")
    assert german.reply_to == Address("hilfe@shop.example")
    assert (english.sender.email, english.reply_to) == ("hello@shop.example", None)


@pytest.mark.parametrize(
    ("files", "more", "told"),
    [
        ({"email.de.mjml": email(PRICE)}, "", ("email.de.mjml", "TF302", "does not begin with its settings")),
        ({"email.de.mjml": other("Hallo", more="class: marketing\n")}, "",
         ("email.de.mjml:3:1", "TF302", 'unknown key "class"')),
        ({"email.de.mjml": other("Hallo")}, "preheader: Look at what is new today\n",
         ("email.de.mjml:2:1", "TF302", "the preheader is missing, which email.mjml has")),
        ({"email.en.mjml": other("Hi")}, "", ("email.en.mjml", "TF300", "the same language as email.mjml")),
        ({"email.pt-BR.mjml": other("Olá"), "email.pt_br.mjml": other("Oi")}, "",
         ("email.pt_br.mjml", "TF300", "the same language as email.pt-BR.mjml")),
        ({"email.klingon.mjml": other("nuqneH")}, "", ("email.klingon.mjml", "TF300", '"klingon" is no language')),
        ({"email_de.mjml": other("Hallo")}, "", ("email_de.mjml", "TF300", "this file is not used")),
        ({"email.de.txt": "Hallo"}, "", ("email.de.txt", "TF300", "there is no email.de.mjml")),
        ({"email.de.mjml": other("Hallo {{ trait.x }}")}, "", ("email.de.mjml:2:20", "TF332", 'no "trait"')),
        ({"email.de.mjml": other("Hallo", "<mj-txt>x</mj-txt>")}, "", ("email.de.mjml:4:39", "TF311", "<mj-txt>")),
        ({"email.de.mjml": other("Hallo {{ traits.nick }}")}, "",
         ("email.de.mjml:2:20", "TF337", "de needs traits.nick, which email.mjml can do without")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_language_is_told_at_its_place(
    tmp_path: Path, files: Mapping[str, str], more: str, told: tuple[str, str, str]
) -> None:
    problems = [each for each in made(tmp_path, files, more=more) if each.code != "TF341"]
    assert len(problems) == 1, "\n".join(problem.render() for problem in problems)
    place, code, sentence = told
    first = problems[0].render().splitlines()[0]
    assert first.startswith(f"templates/hello/{place}  {code}")
    assert sentence in first


def test_each_language_is_composed_for_the_sample_person_before_it_goes_live(tmp_path: Path) -> None:
    body = "<mj-text>{{ event.total | default: 5 }}</mj-text>"
    german = other("Hallo", "<mj-text>{{ event.total }}</mj-text>")
    problems = made(tmp_path, {"email.de.mjml": german}, main=body)
    assert [problem.code for problem in problems] == ["TF337", "TF341"]
    assert "email.de.mjml:4:" in problems[1].sentence


def test_marketing_needs_a_way_out_in_every_language(tmp_path: Path) -> None:
    root = write(tmp_path, email(PRICE))
    (root / "hello" / "email.de.mjml").write_text(other("Hallo"))
    problems = [each for each in check_templates(root, COMPANY)[1] if not each.is_warning]
    assert [(each.path, each.code) for each in problems] == [("templates/hello/email.de.mjml", "TF340")]
    assert UNSUBSCRIBE in email(PRICE)
