"""Each month by itself: planted decay is found, a steady world is silent, the young are awaited."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from governance.appetite import Threshold
from governance.outcome import Outcome
from training import vintages
from training.evaluation import OutOfFold

MONTHS = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], dtype="datetime64[D]")


def floor(at_least: float, measure: str = "discrimination.auc") -> Threshold:
    return Threshold(
        measure=measure,
        at_least=at_least,
        kind="house",
        owner="tests",
        source="tests",
        effective_from=date(2024, 1, 1),
    )


def book(slopes: tuple[float, ...], n: int = 4_000) -> tuple[OutOfFold, np.ndarray]:
    """A book whose score is worth less and less, as far as the slopes say."""
    rng = np.random.default_rng(0)
    month = np.repeat(np.arange(len(slopes)), n)
    signal = rng.normal(size=len(month))
    odds = -2 + np.array(slopes)[month] * signal
    labels = (rng.random(len(month)) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    told = 1 / (1 + np.exp(-(-2 + slopes[0] * signal)))
    folds = rng.integers(0, 5, len(month))
    return OutOfFold(labels=labels, probability=told, fold=folds), MONTHS[month]


def of(found: tuple, measure: str) -> dict[str, object]:
    return {one.scope["vintage"]: one for one in found if one.measure == measure}


def test_a_planted_decay_is_a_breach_in_its_month_and_in_no_other() -> None:
    result, vintage = book((1.5, 1.5, 0.2))
    found = vintages.measure(result, vintage, seed=0, thresholds=[floor(0.7)])
    area = of(found, "discrimination.auc")
    assert [area[m].outcome for m in ("2024-01", "2024-02")] == [Outcome.PASS] * 2
    assert area["2024-03"].outcome is Outcome.BREACH
    slope = of(found, "calibration.slope")
    assert slope["2024-01"].low < 1 < slope["2024-01"].high
    assert slope["2024-03"].high < 0.5


def test_a_steady_world_breaches_nothing_and_nothing_declared_is_info() -> None:
    result, vintage = book((1.5, 1.5, 1.5))
    judged = vintages.measure(result, vintage, seed=0, thresholds=[floor(0.7)])
    assert {one.outcome for one in judged} == {Outcome.PASS, Outcome.INFO}
    told = vintages.measure(result, vintage, seed=0)
    assert {one.outcome for one in told} == {Outcome.INFO}
    assert all(one.n == 4_000 and one.low <= one.value <= one.high for one in told if one.low)


def test_small_vintages_cannot_tell_and_a_declared_measure_is_never_absent() -> None:
    result, vintage = book((1.5,), n=400)
    few = np.flatnonzero(result.labels == 1)[:5]
    kept = np.concatenate([few, np.flatnonzero(result.labels == 0)[:200]])
    part = OutOfFold(
        labels=result.labels[kept], probability=result.probability[kept], fold=result.fold[kept]
    )
    asked = [floor(0.5), floor(0.0, "calibration.brier"), floor(0.0, "fairness.raise_ratio")]
    found = vintages.measure(part, vintage[kept], seed=0, thresholds=asked)
    outcomes = {one.measure: one.outcome for one in found}
    assert outcomes == {
        vintages.RATE: Outcome.INFO,
        "discrimination.auc": Outcome.INCONCLUSIVE,
        "calibration.brier": Outcome.INCONCLUSIVE,
    }
    tiny = OutOfFold(
        labels=part.labels[:10], probability=part.probability[:10], fold=part.fold[:10]
    )
    (rate, *others) = vintages.measure(tiny, vintage[:10], seed=0)
    assert (rate.outcome, rate.value, others) == (Outcome.INCONCLUSIVE, None, [])


def test_a_vintage_whose_outcomes_are_awaited_is_withheld() -> None:
    # Of the newest month only defaults are known yet: its rate would be one.
    result, vintage = book((1.5, 1.5, 1.5))
    is_known = (vintage != MONTHS[2]) | (result.labels == 1)
    part = OutOfFold(
        labels=result.labels[is_known],
        probability=result.probability[is_known],
        fold=result.fold[is_known],
    )
    found = vintages.measure(part, vintage[is_known], seed=0)
    assert of(found, vintages.RATE)["2024-03"].value == 1.0
    mended = vintages.withhold_incomplete(found, vintage[is_known], vintage)
    rate = of(mended, vintages.RATE)
    assert rate["2024-03"].value is None
    assert rate["2024-03"].outcome is Outcome.INCONCLUSIVE
    assert rate["2024-01"].outcome is rate["2024-02"].outcome is Outcome.INFO


def test_seasoning_is_what_a_hand_counts_and_ends_where_nobody_watched() -> None:
    # Forty customers of January: one defaults after a month, one after three, one after six.
    day = np.repeat(MONTHS[:1], 40)
    event = np.full(40, "NaT", dtype="datetime64[D]")
    event[:3] = np.array(["2024-02-29", "2024-04-30", "2024-07-31"], dtype="datetime64[D]")
    until = np.datetime64("2024-05-31")
    found = vintages.measure_seasoning(day, event, watched_until=until, months=12)
    assert [one.value for one in found] == [1 / 40, 1 / 40, 2 / 40, 2 / 40]
    assert [one.scope["months"] for one in found] == ["1", "2", "3", "4"]
    (small,) = vintages.measure_seasoning(day[:9], event[:9], watched_until=until, months=12)
    assert small.outcome is Outcome.INCONCLUSIVE


def test_the_same_measurements_are_the_same_picture(tmp_path: Path) -> None:
    result, vintage = book((1.5, 0.5), n=600)
    found = vintages.measure(result, vintage, seed=0)
    drawn = [vintages.draw(tmp_path / f"{name}.png", found).read_bytes() for name in "ab"]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG")
    event = np.where(result.labels == 1, vintage + 100, np.datetime64("NaT"))
    until = np.datetime64("2024-12-31")
    seasoned = vintages.measure_seasoning(vintage, event, watched_until=until, months=6)
    path = vintages.draw_seasoning(tmp_path / "c.png", seasoned, title="Simulated")
    assert path.stat().st_size > 5_000


@pytest.mark.parametrize("months", [1, 4])
def test_default_rates_only_rise_with_age(months: int) -> None:
    rng = np.random.default_rng(months)
    day = MONTHS[rng.integers(0, 3, 500)]
    event = np.where(rng.random(500) < 0.3, day + rng.integers(1, 200, 500), np.datetime64("NaT"))
    until = np.datetime64("2025-06-30")
    found = vintages.measure_seasoning(day, event, watched_until=until, months=months)
    for name in {one.scope["vintage"] for one in found}:
        rates = [one.value for one in found if one.scope["vintage"] == name]
        assert rates == sorted(rates)
        assert len(rates) == months


def days(month: str, count: int) -> np.ndarray:
    return np.full(count, f"{month}-15", dtype="datetime64[D]")


@pytest.mark.parametrize(("known", "is_withheld"), [(19, False), (18, True)])
def test_a_vintage_is_complete_with_exactly_so_many_of_its_outcomes(
    known: int, *, is_withheld: bool
) -> None:
    """95 % of twenty are nineteen."""
    found = vintages.withhold_incomplete([], days("2026-01", known), days("2026-01", 20))
    assert [one.reason for one in found] == (
        ["18 of 20 outcomes are known, a selection."] if is_withheld else []
    )


@pytest.mark.parametrize(("n", "is_told"), [(20, True), (19, False)])
def test_the_smallest_vintage_that_tells_something_has_twenty_customers(
    n: int, *, is_told: bool
) -> None:
    event = np.full(n, "NaT", dtype="datetime64[D]")
    event[:2] = np.datetime64("2026-03-01")
    found = vintages.measure_seasoning(
        days("2026-01", n), event, watched_until=np.datetime64("2026-04-01"), months=2
    )
    if is_told:
        # The default of March is one of two months after January; a third one was not asked for.
        told = [(one.scope["months"], one.value) for one in found]
        assert told == [("1", 0.0), ("2", 0.1)]
    else:
        assert [one.outcome for one in found] == [Outcome.INCONCLUSIVE]
    rate = vintages.measure(
        OutOfFold(labels=np.arange(n) % 2, probability=np.full(n, 0.4), fold=np.zeros(n, int)),
        days("2026-01", n),
        seed=0,
    )[0]
    assert (rate.value is None) is not is_told


@pytest.mark.parametrize(("events", "is_told"), [(20, True), (19, False)])
def test_a_vintage_with_exactly_twenty_of_an_outcome_has_an_area(
    events: int, *, is_told: bool
) -> None:
    labels = np.array([1] * events + [0] * 40)
    probability = np.random.default_rng(0).uniform(0.1, 0.9, len(labels))
    result = OutOfFold(labels=labels, probability=probability, fold=np.zeros(len(labels), int))
    found = vintages.measure(result, days("2026-01", len(labels)), seed=0)
    area = next(one for one in found if one.measure == "discrimination.auc")
    assert (area.value is not None) is is_told
