"""Every threshold at its exact edge: the day, the number of customers, the number itself."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from governance.appetite import RiskAppetite, Threshold
from governance.measurement import Measurement
from governance.outcome import Outcome
from tests.appetites import appetite_text, threshold

FIRST, LAST = date(2026, 1, 1), date(2026, 6, 30)
A_DAY = timedelta(days=1)
PASS, BREACH, INCONCLUSIVE = Outcome.PASS, Outcome.BREACH, Outcome.INCONCLUSIVE


def line(**changed: object) -> Threshold:
    usual: dict[str, object] = {
        "measure": "m",
        "at_least": 0.8,
        "at_most": 1.25,
        "kind": "house",
        "owner": "tests",
        "source": "tests",
        "effective_from": FIRST,
        "effective_to": LAST,
    }
    return Threshold.model_validate(usual | changed)


def judged(limit: Threshold, low: float, high: float, **changed: object) -> Outcome:
    usual = {"measure": "m", "value": (low + high) / 2, "low": low, "high": high, "n": 500}
    return limit.judge(Measurement.model_validate(usual | changed)).outcome


def test_a_threshold_holds_on_its_first_and_on_its_last_day() -> None:
    days = (FIRST - A_DAY, FIRST, LAST, LAST + A_DAY)
    assert [line().is_in_force(day) for day in days] == [False, True, True, False]
    assert line(effective_to=None).is_in_force(LAST + A_DAY)


def test_exactly_the_smallest_number_of_customers_is_judged() -> None:
    limit = line(minimum_n=100)
    assert judged(limit, 0.9, 1.1, n=100) is PASS
    assert judged(limit, 0.9, 1.1, n=99) is INCONCLUSIVE
    assert judged(limit, 0.1, 0.2, n=99) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.8, 1.25, PASS),  # both ends on the line are on the good side
        (0.79, 1.0, INCONCLUSIVE),
        (1.0, 1.26, INCONCLUSIVE),
        (0.5, 0.8, INCONCLUSIVE),  # it touches the line: not wholly beyond it
        (0.5, 0.79, BREACH),
        (1.25, 1.5, INCONCLUSIVE),
        (1.26, 1.5, BREACH),
        (0.5, 1.5, INCONCLUSIVE),
    ],
)
def test_an_interval_passes_wholly_inside_and_breaches_wholly_outside(
    low: float, high: float, outcome: Outcome
) -> None:
    assert judged(line(), low, high) is outcome


@pytest.mark.parametrize(
    ("value", "outcome"), [(0.79, BREACH), (0.8, PASS), (1.25, PASS), (1.26, BREACH)]
)
def test_a_point_is_judged_alone_however_wide_its_interval(value: float, outcome: Outcome) -> None:
    assert judged(line(basis="point"), 0.0, 9.0, value=value) is outcome


def test_a_threshold_of_one_side_has_no_other() -> None:
    floor, ceiling = line(at_most=None), line(at_least=None)
    assert judged(floor, 0.9, 99.0) is PASS
    assert judged(ceiling, -99.0, 1.0) is PASS
    assert (floor.allowed, ceiling.allowed, line().allowed) == (">= 0.8", "<= 1.25", "[0.8, 1.25]")
    with pytest.raises(ValidationError, match="neither at_least nor at_most"):
        line(at_least=None, at_most=None)


def test_half_an_interval_cannot_tell_and_a_point_needs_none() -> None:
    for ends in ({"low": 0.9}, {"high": 1.1}, {}):
        half = Measurement(measure="m", value=1.0, n=500, **ends)
        assert line().judge(half).outcome is INCONCLUSIVE
        assert line(basis="point").judge(half).outcome is PASS


@pytest.mark.parametrize(
    ("ends", "sides", "outcome"),
    [
        # Without an upper end a ratio may be as large as it likes: enough for a floor alone.
        ({"low": 0.8}, {"at_most": None}, PASS),
        ({"low": 0.79}, {"at_most": None}, INCONCLUSIVE),
        ({"low": 1.26}, {}, BREACH),
        ({"low": 1.25}, {}, INCONCLUSIVE),
        ({"high": 1.25}, {"at_least": None}, PASS),
        ({"high": 1.26}, {"at_least": None}, INCONCLUSIVE),
        ({"high": 0.79}, {}, BREACH),
        ({"high": 0.8}, {}, INCONCLUSIVE),
    ],
)
def test_an_interval_of_one_end_reaches_as_far_as_anything_can(
    ends: dict[str, float], sides: dict[str, object], outcome: Outcome
) -> None:
    half = Measurement(measure="m", value=1.0, n=500, **ends)
    assert line(**sides).judge(half).outcome is outcome


def test_what_the_measure_could_not_tell_no_threshold_tells() -> None:
    limit = line(basis="point")
    assert judged(limit, 0.9, 1.1, outcome=INCONCLUSIVE) is INCONCLUSIVE
    assert judged(limit, 0.9, 1.1, value=None) is INCONCLUSIVE
    told = limit.judge(Measurement(measure="m", value=None, n=9, reason="Nobody was cut."))
    assert told.reason == "Nobody was cut."


@pytest.mark.parametrize(
    ("wanted", "scope", "concerns"),
    [
        ({}, {}, True),
        ({}, {"group": "a"}, True),
        ({"group": "a"}, {"group": "a"}, True),
        ({"group": "a"}, {"group": "b"}, False),
        ({"group": "a"}, {}, False),
        ({"group": "*"}, {"group": "b"}, True),
        ({"group": "*"}, {}, False),
        ({"group": "*"}, {"attribute": "sex"}, False),
        ({"attribute": "sex", "group": "a"}, {"attribute": "sex", "group": "b"}, False),
    ],
)
def test_a_threshold_concerns_what_has_all_of_its_scope(
    wanted: dict[str, str], scope: dict[str, str], *, concerns: bool
) -> None:
    measured = Measurement(measure="m", scope=scope, value=1.0, n=1)
    assert line(scope=wanted).concerns(measured) is concerns
    other = Measurement(measure="n", scope=scope, value=1.0, n=1)
    assert not line(scope=wanted).concerns(other)


def test_a_promotion_requires_what_is_required_on_the_day_and_nothing_else() -> None:
    appetite = RiskAppetite.parse(
        appetite_text(
            threshold("a", "at_least = 0.5", "effective_to = 2026-01-01"),
            threshold("b", "at_least = 0.5", 'need = "reported"'),
        )
    )
    a, b, c = (Measurement(measure=name, value=1.0, n=1) for name in "abc")
    assert [appetite.requires(m, FIRST) for m in (a, b, c)] == [True, False, False]
    assert not appetite.requires(a, FIRST + A_DAY)
    # What no threshold concerns stays as it was measured.
    assert appetite.judge(c, FIRST).outcome is Outcome.INFO
    assert appetite.judge(a, FIRST + A_DAY).outcome is Outcome.INFO
