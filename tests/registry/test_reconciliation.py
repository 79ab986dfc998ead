from __future__ import annotations

from datetime import date

from governance.settings import Settings
from registry.catalogue import CHAMPION, Catalogue
from registry.reconciliation import reconcile
from registry.record import APPLIED, DRIFTED, INTENT, Record
from registry.submission import ModelVersion

DAY = date(2026, 1, 5)


def test_a_sound_home_has_no_problems(champion: Settings) -> None:
    found = reconcile(champion, on=DAY)

    assert (found.champion, found.problems, found.repaired, found.notes) == (1, (), (), ())


def test_an_alias_that_moved_outside_is_found_recorded_once_and_moved_back_when_asked(
    champion: Settings,
) -> None:
    Catalogue.open(champion).remove_alias(CHAMPION)
    for _ in range(2):
        (problem,) = reconcile(champion, on=DAY).problems
        assert "points at no version; the ledger says version 1" in problem
    assert len(Record.load(champion).events(DRIFTED)) == 1

    repaired = reconcile(champion, on=DAY, repair=True)
    assert repaired.problems == ()
    assert len(repaired.repaired) == 1
    assert Catalogue.open(champion).alias_version(CHAMPION) == 1
    assert reconcile(champion, on=DAY).problems == ()


def test_an_alias_without_any_promotion_is_found(home: Settings) -> None:
    Catalogue.open(home).set_alias(CHAMPION, 1)

    (problem,) = reconcile(home, on=DAY).problems
    assert "points at version 1; the ledger says no version" in problem


def test_edited_bytes_are_found(champion: Settings, submitted: ModelVersion) -> None:
    (submitted.folder / "artifacts" / "limit_policy.toml").write_text("step = 9\n")

    (problem,) = reconcile(champion, on=DAY).problems
    assert "limit_policy.toml was changed" in problem


def test_a_promotion_that_was_killed_after_the_alias_moved_is_completed(
    champion: Settings,
) -> None:
    from registry.record import append_event

    said = Record.load(champion).events(INTENT)[-1].statement.predicate
    append_event(champion, 1, {**said, "previous": 1})
    found = reconcile(champion, on=DAY)

    assert found.repaired == ("The interrupted promotion of version 1 was completed.",)
    assert len(Record.load(champion).events(APPLIED)) == 2
