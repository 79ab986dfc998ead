"""What the refused may hide: hand-worked tables, laws, and a world in which the truth is known."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from decisions import features, scoring
from decisions.features import FeatureSpec
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.discrimination import measure_auc
from governance.outcome import Outcome
from lab import reject_inference as report
from lab.reject_inference import Applications, InferenceMethod
from lab.world import population, records, simulation, snapshot
from lab.world.settings import WorldSettings, packaged
from lab.world.snapshot import Shape, StudyDay
from privacy import gate, keyring
from privacy.raw_table import packaged_contract
from training.recipes import CHAMPION

SPEC = FeatureSpec.parse(features.packaged("world_applicant_features"))


def people(known: list[int], y: list[int], refused: list[int], explored: list[int]) -> Applications:
    flags = [np.array(column, dtype=bool) for column in (known, refused, explored)]
    return Applications(is_known=flags[0], y=np.array(y), is_refused=flags[1], is_explored=flags[2])


# Ten who asked: five accepted (one defaulted), one let in anyway (defaulted), four refused.
TEN = people(
    known=[1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
    y=[0, 0, 0, 0, 1, 1, 0, 0, 0, 0],
    refused=[0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
    explored=[0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
)


@pytest.mark.parametrize(
    ("method", "rate"),
    # One of five beyond the line was let in, so it weighs five: (1 + 5) / (5 + 5).
    [(InferenceMethod.ACCEPTED_ONLY, 1 / 5), (InferenceMethod.EXPLORATION, 6 / 10)],
)
def test_weights_are_what_a_hand_computes(method: InferenceMethod, rate: float) -> None:
    assert report.measure_default_rate(TEN, method).value == pytest.approx(rate)


def test_worst_case_bounds_are_what_a_hand_computes() -> None:
    found = report.bound_default_rate(TEN, widest=0.1)
    assert found.value == pytest.approx((0.2 + 0.6) / 2)
    # Each edge has its own margin: 1.96 sqrt(p (1 - p) / 10).
    assert found.low == 0.0  # 0.2 - 0.248, cut at 0.
    assert found.high == pytest.approx(0.6 + 1.959964 * np.sqrt(0.6 * 0.4 / 10), abs=1e-6)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "more than the 0.1" in found.reason


def test_fuzzy_and_parcelled_outcomes_are_what_a_hand_computes() -> None:
    risk = np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.05, 0.1, 0.5, 0.9])
    fuzzy = report.assumed_outcomes(TEN, risk, InferenceMethod.FUZZY, 1.0)
    assert fuzzy.tolist() == [0] * 6 + [0.05, 0.1, 0.5, 0.9]
    parcelled = report.assumed_outcomes(TEN, risk, InferenceMethod.PARCELLING, 0.5)
    # The highest band holds the one accepted defaulter: its rate 1 times the uplift.
    assert parcelled.tolist() == [0] * 8 + [0.5, 0.5]
    nothing = Measurement(measure="x", n=0, outcome=Outcome.INCONCLUSIVE)
    rate = report.measure_scenario(TEN, fuzzy, InferenceMethod.FUZZY, nothing)
    assert rate.value == pytest.approx((2 + 1.55) / 10)
    assert rate.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("value", "is_held"), [(0.2, True), (0.4, True), (0.41, False)])
def test_a_scenario_is_held_against_the_exploration(value: float, is_held: bool) -> None:
    explored = Measurement(measure="x", n=90, value=0.3, low=0.2, high=0.4)
    share = np.where(TEN.is_known, 0.0, (value * 10 - 2) / 4)
    found = report.measure_scenario(TEN, share, InferenceMethod.PARCELLING, explored)
    assert found.value == pytest.approx(value)
    assert ("does not contradict" in found.reason) is is_held


@pytest.mark.parametrize(("explored", "outcome"), [(19, "INCONCLUSIVE"), (20, "INFO")])
def test_fewer_than_twenty_explored_customers_stand_for_nobody(explored: int, outcome: str) -> None:
    few = people([1] * 60, [0, 1] * 30, [0] * 60, [1] * explored + [0] * (60 - explored))
    found = report.measure_default_rate(few, InferenceMethod.EXPLORATION)
    assert (found.outcome.value, found.value) == (outcome, 0.5)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(["good", "bad", "missing"])),
        min_size=3,
        max_size=9,
    )
)
def test_area_bounds_are_the_extremes_over_every_possible_outcome(
    rows: list[tuple[int, str]],
) -> None:
    scores = np.array([score for score, _ in rows], dtype=np.float64)
    kinds = [kind for _, kind in rows]
    known = [int(kind != "missing") for kind in kinds]
    asked = people(
        known=known,
        y=[int(kind == "bad") for kind in kinds],
        refused=[1 - k for k in known],
        explored=[0] * len(rows),
    )
    found = report.bound_auc(asked, scores, widest=0.1)
    if "good" not in kinds or "bad" not in kinds:
        assert found.outcome is Outcome.INCONCLUSIVE
        assert found.value is None
        return
    gaps = [at for at, kind in enumerate(kinds) if kind == "missing"]
    areas = []
    for filled in itertools.product((0, 1), repeat=len(gaps)):
        y = asked.y.copy()
        y[gaps] = filled
        areas.append(measure_auc(y, scores).value)
    assert found.low == pytest.approx(min(areas), abs=1e-12)
    assert found.high == pytest.approx(max(areas), abs=1e-12)


def test_without_an_exploration_only_bounds_are_left() -> None:
    rng = np.random.default_rng(1)
    risk = rng.random(600)
    refused = risk > 0.8
    asked = people(
        (~refused).tolist(), (~refused & (rng.random(600) < risk)).tolist(), refused, [0] * 600
    )
    model = report.accepted_only(LogisticRegression, risk[:, None], asked, seed=0)
    found = report.measure(asked, model, uplift=1.25, widest=0.1)
    by_method = {m.scope["method"]: m for m in found if m.measure == report.RATE}
    assert by_method.keys() == set(InferenceMethod)
    for method in (InferenceMethod.EXPLORATION, InferenceMethod.FUZZY, InferenceMethod.PARCELLING):
        assert by_method[method.value].outcome is Outcome.INCONCLUSIVE
    assert by_method["accepted_only"].outcome is Outcome.INFO


def test_a_handful_of_missing_outcomes_leaves_bounds_that_decide() -> None:
    rng = np.random.default_rng(2)
    n = 20_000
    y = (rng.random(n) < 0.2).astype(np.int64)
    refused = np.arange(n) < 100
    asked = Applications(
        is_known=~refused,
        y=np.where(refused, 0, y),
        is_refused=refused,
        is_explored=np.zeros(n, dtype=bool),
    )
    found = report.bound_default_rate(asked, widest=0.1)
    assert found.outcome is Outcome.INFO
    assert found.low < y.mean() < found.high


# --- The world: a harsh old rule that looks at more than the features hold. ---


@dataclass(frozen=True)
class Truth:
    """A world whose true outcomes are known beside what a lender may see."""

    rows: pa.Table
    asked: Applications
    outcome: np.ndarray
    model: np.ndarray
    found: dict[tuple[str, str], Measurement]


@pytest.fixture(scope="module")
def truth() -> Truth:
    settings = WorldSettings.parse(packaged())
    harsh = {"refused_share": 0.4, "accepted_anyway": 0.15}
    many = settings.population.model_copy(update=harsh)
    settings = settings.changed(accounts=6_000, months=14, population=many.model_dump())
    states = simulation.live(settings)
    on = snapshot.application_day(settings)
    day = StudyDay(as_of=on, horizon_months=12, known_on=date(9999, 12, 31))
    rows = snapshot.take(states, population.people(settings), Shape.APPLICANT, [day])
    happened = records.measure_outcomes(states, -1, 12)
    outcome = happened.y[happened.is_asked]
    matrix = scoring.design_matrix(SPEC, features.compute(SPEC, rows))
    known = rows["is_90_days_late"].is_valid().to_numpy()
    assert (rows["is_90_days_late"].drop_null().to_numpy() == outcome[known]).all()
    asked = Applications(
        is_known=known,
        y=np.where(known, outcome, 0),
        is_refused=rows["is_refused"].to_numpy(),
        is_explored=rows["is_accepted_anyway"].to_numpy(),
    )
    make = lambda: CHAMPION.estimator(SPEC.signs, seed=0)  # noqa: E731
    model = report.accepted_only(make, matrix, asked, seed=0)
    measured = report.measure(asked, model, uplift=1.25, widest=0.1)
    found = {(m.measure, m.scope["method"]): m for m in measured}
    return Truth(rows=rows, asked=asked, outcome=outcome, model=model, found=found)


def test_the_refused_have_no_outcome_and_are_worse(truth: Truth) -> None:
    refused = truth.asked.is_refused
    assert not truth.asked.is_known[refused].any()
    assert refused.mean() > 0.25
    assert truth.outcome[refused].mean() > 2 * truth.outcome[~truth.asked.is_beyond].mean()


def test_worst_case_bounds_hold_the_truth(truth: Truth) -> None:
    rate = truth.found[report.RATE, "worst_case"]
    assert rate.low < truth.outcome.mean() < rate.high
    assert rate.outcome is Outcome.INCONCLUSIVE
    area = truth.found[report.AUC, "worst_case"]
    assert area.low < measure_auc(truth.outcome, truth.model).value < area.high


def test_what_was_accepted_alone_is_wrong_and_the_exploration_finds_the_truth(truth: Truth) -> None:
    real = truth.outcome.mean()
    accepted = truth.found[report.RATE, "accepted_only"]
    explored = truth.found[report.RATE, "exploration_weights"]
    assert accepted.high < real
    assert explored.low < real < explored.high
    assert abs(explored.value - real) < abs(accepted.value - real) / 3


def test_outcomes_of_refused_customers_change_nothing(truth: Truth) -> None:
    """Whatever stands where no outcome is known, the report is the same to the last digit."""
    matrix = np.log1p(truth.rows["stated_income_minor"].to_numpy().astype(float))[:, None]
    poisoned = replace(truth.asked, y=np.where(truth.asked.is_known, truth.asked.y, 1))
    one, two = (
        report.measure(
            asked,
            report.accepted_only(LogisticRegression, matrix, asked, seed=0),
            uplift=1.25,
            widest=0.1,
        )
        for asked in (truth.asked, poisoned)
    )
    assert one == two


# --- Bad input, through the gate. ---


Spoil = Callable[[pa.Table], pa.Table]


def changed(name: str, value: Callable[[pa.Table], object]) -> Spoil:
    def spoil(rows: pa.Table) -> pa.Table:
        at, kind = rows.column_names.index(name), rows.schema.field(name).type
        return rows.set_column(at, name, pa.array(value(rows), kind))

    return spoil


REFUSED: dict[str, tuple[Spoil, str]] = {
    "a refused customer with an outcome": (
        changed("is_90_days_late", lambda rows: [0, 1] * (rows.num_rows // 2)),
        "are refused (is_refused) and have an outcome",
    ),
    "refused and let in at once": (
        changed("is_accepted_anyway", lambda rows: rows["is_refused"].to_pylist()),
        "let in (is_accepted_anyway) at once",
    ),
    "nobody refused": (
        changed("is_refused", lambda rows: [False] * rows.num_rows),
        "Nobody was refused",
    ),
    "no defaults": (
        changed(
            "is_90_days_late",
            lambda rows: [None if v is None else 0 for v in rows["is_90_days_late"].to_pylist()],
        ),
        "at least 200 with 20 of either outcome",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_a_contract_error(truth: Truth, tmp_path: Path, what: str) -> None:
    spoil, message = REFUSED[what]
    table = released(spoil(truth.rows.slice(0, 3_000)), tmp_path)
    with pytest.raises(ContractError, match=re.escape(message)):
        report.read(table, SPEC, "is_90_days_late", "is_refused", "is_accepted_anyway")


def test_a_feature_that_reads_the_decision_is_refused(truth: Truth, tmp_path: Path) -> None:
    text = features.packaged("world_applicant_features").replace(
        'sql = "stated_income_minor"\nsources = ["stated_income_minor"]',
        'sql = "CASE WHEN is_refused THEN 1 ELSE 0 END"\nsources = ["is_refused"]',
    )
    table = released(truth.rows.slice(0, 1_000), tmp_path)
    own = FeatureSpec.parse(text)
    with pytest.raises(ContractError, match="reads is_refused"):
        report.read(table, own, "is_90_days_late", "is_refused")
    with pytest.raises(ContractError, match="no column is_denied"):
        report.read(table, SPEC, "is_90_days_late", "is_denied")


def released(rows: pa.Table, place: Path) -> gate.FeatureTable:
    raw = place / "applicants.parquet"
    pa.parquet.write_table(rows, raw)
    contract: ColumnContract = packaged_contract("world_applicant")
    return gate.protect(
        raw,
        contract,
        keyring=keyring.create(place / "keyring"),
        out=place / "features",
        purpose=Purpose.TRAINING,
        vault=place / "vault",
    )
