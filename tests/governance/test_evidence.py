"""Waivers and findings hold from their first day to their last, and answer for one thing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from governance.evidence import Finding, Severity, Waiver
from governance.measurement import Measurement

ON = date(2026, 3, 1)
A_DAY = timedelta(days=1)
MEASURED = Measurement(measure="m", scope={"group": "a"}, value=0.5, n=10)


def waiver(**changed: object) -> Waiver:
    usual = {
        "measure": "m",
        "scope": {"group": "a"},
        "owner": "risk officer",
        "reason": "known and accepted",
        "granted_on": ON,
        "expires_on": ON + 30 * A_DAY,
    }
    return Waiver.model_validate(usual | changed)


def test_a_waiver_holds_on_the_day_it_is_granted_and_on_its_last() -> None:
    days = (ON - A_DAY, ON, ON + 30 * A_DAY, ON + 31 * A_DAY)
    assert [waiver().covers(MEASURED, day) for day in days] == [False, True, True, False]


def test_a_waiver_answers_for_its_very_measure_and_scope() -> None:
    assert not waiver(measure="n").covers(MEASURED, ON)
    for scope in ({}, {"group": "b"}, {"group": "a", "attribute": "sex"}, {"group": "*"}):
        assert not waiver(scope=scope).covers(MEASURED, ON)


def test_a_waiver_lasts_a_day_at_least_and_has_an_owner() -> None:
    assert waiver(expires_on=ON + A_DAY).covers(MEASURED, ON + A_DAY)
    with pytest.raises(ValidationError, match="expire after"):
        waiver(expires_on=ON)
    with pytest.raises(ValidationError, match="owner"):
        waiver(owner="")


def test_a_finding_is_open_from_its_first_day_until_the_day_it_is_closed() -> None:
    opened = Finding(id="f", measure="m", severity=Severity.LOW, text="x", owner="x", opened_on=ON)
    closed = opened.model_copy(update={"closed_on": ON + 3 * A_DAY})
    days = (ON - A_DAY, ON, ON + 2 * A_DAY, ON + 3 * A_DAY)
    assert [closed.is_open(day) for day in days] == [False, True, True, False]
    assert [opened.is_open(day) for day in days] == [False, True, True, True]


def test_a_measurement_is_known_by_measure_and_scope_in_any_order() -> None:
    one, two = (
        Measurement(measure="m", scope=scope, n=0)
        for scope in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    )
    assert one.key == two.key != MEASURED.key
