"""Which version of the rulebook came before which, which are kept, and how one is named."""

import pytest

from triggerfish import versions
from triggerfish.errors import NotFound
from triggerfish.versions import KEEP, KEEP_BYTES, KEEP_PINNED, Version, before, changed, find, line, surplus, views


def version(number: int, **more) -> Version:
    at = f"2026-01-01T{number // 60:02}:{number % 60:02}:00.000Z"
    facts = {"loaded_at": at, "first_at": at, "by": "reload", **more}
    return Version(version=f"{number:012x}", **facts)


def name(number: int) -> str:
    return f"{number:012x}"


def test_going_back_again_goes_back_further():
    first, second = version(1), version(2)
    third = version(3)
    back = version(2, first_at=second.first_at, loaded_at=version(9).loaded_at, by="rollback")
    kept = [back, third, first]
    assert before(kept, third.version).version == second.version
    assert before(kept, back.version) == first
    assert before(kept, first.version) is None


def test_what_was_replaced_before_it_was_live_stands_in_no_line():
    kept = [version(3), version(2, first_at="", by="replaced"), version(1)]
    assert [each.version for each in line(kept)] == [name(1), name(3)]
    assert before(kept, name(3)).version == name(1)
    assert before(kept, name(2)) is None


def test_a_few_letters_name_a_version_when_no_other_begins_with_them():
    kept = [version(0xABC), version(0xABD)]
    assert find(kept, name(0xABC)).version == name(0xABC)
    with pytest.raises(NotFound, match="short for several versions"):
        find(kept, name(0xABC)[:8])
    with pytest.raises(NotFound, match="no version"):
        find(kept, "ffff")
    one = [Version(version="abcdef012345", loaded_at="", by="start")]
    assert find(one, "abcd").version == "abcdef012345"
    with pytest.raises(NotFound):
        find(one, "abc")


def test_the_newest_are_kept_and_of_the_older_those_that_journeys_are_pinned_to():
    many = [version(number, is_pinned=number % 2 == 0) for number in range(400)]
    gone = {each.version for each in surplus(many, name(399))}
    stays = [number for number in range(400) if name(number) not in gone]
    assert stays[-KEEP:] == list(range(400 - KEEP, 400))
    older = stays[:-KEEP]
    assert len(older) == KEEP_PINNED
    assert all(number % 2 == 0 for number in older)
    assert older[-1] == 398 - KEEP


def test_the_live_version_is_kept_however_old_and_large_it_is():
    large = [version(number, size=KEEP_BYTES) for number in range(3)]
    assert {each.version for each in surplus(large, name(0))} == {name(1), name(2)}
    many = [version(number) for number in range(KEEP + 5)]
    assert name(0) not in {each.version for each in surplus(many, name(0))}


def test_files_that_came_went_or_changed_are_told():
    old = version(1, files={"rules/a.yaml": "1", "rules/b.yaml": "1", "templates/c/email.mjml": "1"})
    new = version(2, files={"rules/a.yaml": "2", "rules/d.yaml": "1", "templates/c/email.mjml": "1"})
    assert changed(new, old) == ["rules/a.yaml", "rules/b.yaml", "rules/d.yaml"]
    assert changed(old, None) == sorted(old.files)


def test_people_see_which_is_live_which_was_and_which_never_was():
    odd = version(3, first_at="", by="replaced", files={"x": "2"})
    shown = views([version(2, files={"x": "1"}), odd, version(1)], name(2))
    assert [(each.version, each.state, each.changed) for each in shown] == [
        (name(2), "live", ["x"]),
        (name(3), "replaced", ["x"]),
        (name(1), "kept", []),
    ]
    assert versions.views([], "") == []
