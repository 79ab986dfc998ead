from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_auc_score

from decisions.features import FeatureSpec
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from training import breakdown, evaluation, recipes, sample
from training.evaluation import OutOfFold
from training.sample import Sample, SampleQuestion

Release = Callable[..., Path]


@pytest.fixture
def rows(
    home: Settings, release: Release, make_shops: Callable[..., pa.Table], shop_spec: str
) -> Sample:
    path = release(make_shops(1_000))
    table = FeatureTable.open(path, keyring=Keyring.open(home.keyring))
    return sample.read(table, SampleQuestion(spec=FeatureSpec.parse(shop_spec)))


def dated(rows: Sample, months: int) -> Sample:
    month = np.datetime64("2026-01") + np.arange(len(rows.labels)) % months
    return dataclasses.replace(rows, vintage=month.astype("datetime64[D]"))


def quick(rows: Sample) -> object:
    recipe = dataclasses.replace(recipes.CHAMPION, parameters={"max_iter": 10})
    return recipe.estimator([0] * rows.features.shape[1], seed=0)


def test_the_newest_months_are_held_out_until_they_suffice(rows: Sample) -> None:
    features = rows.features[:720]
    # The outcome is planted in one feature, so that 270 customers suffice to see what was learned
    # whomever the random key drew; the shops' own outcome carries too little for a bound.
    finest = max(range(features.shape[1]), key=lambda place: len(np.unique(features[:, place])))
    planted = (features[:, finest] > np.median(features[:, finest])).astype(rows.labels.dtype)
    some = dataclasses.replace(rows, features=features, labels=planted)
    found = breakdown.out_of_time(lambda: quick(rows), dated(some, 8), seed=0)
    # 720 customers in eight months: two months have 180 of them, three have 270.
    assert {tuple(item.scope.items()) for item in found} == {
        (("split", "out-of-time"), ("from", "2026-06"))
    }
    auc = found[0]
    assert auc.n == 270
    assert auc.value is not None
    assert auc.value > 0.95


def test_the_held_out_months_are_not_learned_from(rows: Sample) -> None:
    late = dated(rows, 3)
    newest = late.vintage == late.vintage.max()
    turned = dataclasses.replace(late, labels=np.where(newest, 1 - late.labels, late.labels))
    before, after = (
        breakdown.out_of_time(lambda: quick(rows), item, seed=0)[0].value for item in (late, turned)
    )
    assert after == pytest.approx(1 - before)


@pytest.mark.parametrize("months", [1, 200])
def test_too_few_vintages_cannot_tell(rows: Sample, months: int) -> None:
    few = dataclasses.replace(
        dated(rows, months),
        features=rows.features[:300],
        labels=rows.labels[:300],
        vintage=dated(rows, months).vintage[:300],
    )
    (found,) = breakdown.out_of_time(lambda: quick(rows), few, seed=0)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "both sides of a split" in found.reason


def test_a_table_without_vintages_has_no_out_of_time_split(rows: Sample) -> None:
    assert breakdown.out_of_time(lambda: quick(rows), rows, seed=0) == ()


def test_a_small_segment_cannot_tell_and_a_large_one_is_measured() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.3).astype(np.int64)
    result = OutOfFold(
        labels=labels, probability=np.clip(rng.random(400), 0.01, 0.99), fold=np.zeros(400, int)
    )
    segment = np.where(np.arange(400) < 30, "small", "large")
    found = breakdown.by_segment(result, segment, seed=0)
    small = [item for item in found if item.scope == {"segment": "small"}]
    assert [item.outcome for item in small] == [Outcome.INCONCLUSIVE]
    assert small[0].n == 30
    assert len(found) - 1 == len([item for item in found if item.scope == {"segment": "large"}])


@pytest.mark.parametrize(
    ("newer", "older", "is_measured"),
    [
        ((20, 180), (180, 20), True),
        ((19, 181), (20, 180), False),
        ((181, 19), (20, 180), False),
        ((20, 179), (20, 180), False),
        ((20, 180), (19, 181), False),
        ((20, 180), (181, 19), False),
        ((20, 180), (20, 179), False),
    ],
)
def test_exactly_the_fewest_customers_on_both_sides_of_a_split_are_enough(
    rows: Sample, newer: tuple[int, int], older: tuple[int, int], *, is_measured: bool
) -> None:
    outcomes = [1] * newer[0] + [0] * newer[1] + [1] * older[0] + [0] * older[1]
    months = ["2026-02"] * sum(newer) + ["2026-01"] * sum(older)
    cut = dataclasses.replace(
        rows,
        features=rows.features[: len(outcomes)],
        labels=np.array(outcomes),
        vintage=np.array(months, dtype="datetime64[M]").astype("datetime64[D]"),
    )
    found = breakdown.out_of_time(lambda: quick(rows), cut, seed=0)
    assert (len(found) > 1) is is_measured
    assert found[0].n == (sum(newer) if is_measured else len(outcomes))
    assert (found[0].outcome is Outcome.INCONCLUSIVE) is not is_measured


@pytest.mark.parametrize(("events", "others"), [(20, 30), (30, 20), (19, 31), (31, 19)])
def test_a_segment_with_twenty_of_either_outcome_is_measured(events: int, others: int) -> None:
    labels = np.array([1] * events + [0] * others)
    probability = np.random.default_rng(1).uniform(0.05, 0.95, len(labels))
    result = OutOfFold(labels=labels, probability=probability, fold=np.zeros(len(labels), int))
    found = breakdown.by_segment(result, np.array(["a"] * len(labels)), seed=0)
    assert (len(found) > 1) is (min(events, others) == 20)


def test_out_of_time_a_sigmoid_learns_from_the_older_rows_of_each_customer(rows: Sample) -> None:
    """Two rows a customer, of which the newer one is asked about and the older one was known."""
    n = len(rows.labels)
    months = np.array(["2026-01"] * n + ["2026-02"] * 300, dtype="datetime64[M]")
    some = dataclasses.replace(
        rows,
        features=np.concatenate([rows.features, rows.features[:300]]),
        labels=np.concatenate([rows.labels, rows.labels[:300]]),
        vintage=months.astype("datetime64[D]"),
        customers=np.concatenate([np.arange(n), np.arange(300)]),
    )

    def calibrated() -> CalibratedClassifierCV:
        return CalibratedClassifierCV(quick(rows), method="sigmoid", cv=5, ensemble=False)

    found = breakdown.out_of_time(calibrated, some, seed=0)
    assert {item.n for item in found} == {300}
    expected = evaluation.fit(
        calibrated(), rows.features, rows.labels, customers=np.arange(n)
    ).predict_proba(rows.features[:300])[:, 1]
    area = roc_auc_score(rows.labels[:300], expected)
    assert found[0].value == pytest.approx(area, abs=1e-12)


MONTHS = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], dtype="datetime64[D]")


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


def of(found: tuple[Measurement, ...], measure: str) -> dict[str, Measurement]:
    return {one.scope["vintage"]: one for one in found if one.measure == measure}


def test_a_planted_decay_is_seen_in_its_month_and_in_no_other() -> None:
    result, vintage = book((1.5, 1.5, 0.2))
    found = breakdown.by_vintage(result, vintage, seed=0)
    area, slope = of(found, "discrimination.auc"), of(found, "calibration.slope")
    assert all(area[month].low > 0.7 for month in ("2024-01", "2024-02"))  # type: ignore[operator]
    assert area["2024-03"].high < 0.7  # type: ignore[operator]
    assert slope["2024-01"].low < 1 < slope["2024-01"].high  # type: ignore[operator]
    assert slope["2024-03"].high < 0.5  # type: ignore[operator]
    assert {one.outcome for one in found} == {Outcome.INFO}
    assert all(one.n == 4_000 for one in found)


@pytest.mark.parametrize(
    ("events", "others", "has_rate", "has_area"),
    [
        (20, 40, True, True),
        (19, 40, True, False),
        (40, 19, True, False),
        (10, 10, True, False),
        (10, 9, False, False),
    ],
)
def test_a_small_vintage_has_a_rate_or_says_that_it_cannot_tell(
    events: int, others: int, *, has_rate: bool, has_area: bool
) -> None:
    n = events + others
    labels = np.array([1] * events + [0] * others)
    probability = np.random.default_rng(0).uniform(0.1, 0.9, n)
    result = OutOfFold(labels=labels, probability=probability, fold=np.zeros(n, int))
    vintage = np.full(n, "2026-01-15", dtype="datetime64[D]")
    found = breakdown.by_vintage(result, vintage, seed=0)
    rate = of(found, breakdown.RATE)["2026-01"]
    assert rate.value == (pytest.approx(events / n) if has_rate else None)
    area = of(found, "discrimination.auc").get("2026-01")
    assert (area is not None and area.value is not None) is has_area
    assert (area is None) is not has_rate


def test_a_vintage_whose_outcomes_are_awaited_is_withheld() -> None:
    # Of the newest month only defaults are known yet: its rate would be one.
    result, vintage = book((1.5, 1.5, 1.5), n=600)
    is_known = (vintage != MONTHS[2]) | (result.labels == 1)
    found = breakdown.by_vintage(result.where(is_known), vintage[is_known], seed=0)
    assert of(found, breakdown.RATE)["2024-03"].value == 1.0
    kept = breakdown.withhold_incomplete(found, vintage[is_known], vintage)
    rate = of(kept, breakdown.RATE)
    assert (rate["2024-03"].value, rate["2024-03"].outcome) == (None, Outcome.INCONCLUSIVE)
    assert "awaited" in of(kept, "discrimination.auc")["2024-03"].reason
    assert rate["2024-01"].outcome is rate["2024-02"].outcome is Outcome.INFO


@pytest.mark.parametrize(("known", "is_withheld"), [(19, False), (18, True)])
def test_a_vintage_is_complete_with_exactly_so_many_of_its_outcomes(
    known: int, *, is_withheld: bool
) -> None:
    """95 % of twenty are nineteen."""
    everybody = np.full(20, "2026-01-15", dtype="datetime64[D]")
    found = breakdown.withhold_incomplete([], everybody[:known], everybody)
    assert [one.reason for one in found] == (
        ["18 of 20 outcomes are known, a selection."] if is_withheld else []
    )
