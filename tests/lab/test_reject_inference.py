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

from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.discrimination import measure_auc
from governance.outcome import Outcome
from lab.reject_inference import applications, bounds, intake, scenarios, study
from lab.reject_inference.intake import Intake, Method, Rules
from lab.reject_inference.study import Study, weighted_area
from lab.world import applicants, edition, oracle, panel, persons
from lab.world.settings import WorldSettings, packaged
from lab.world.snapshot import Moment
from limits import features, scoring
from limits.features import FeatureSpec
from privacy import gate, keyring
from privacy.contract_files import packaged as packaged_contract
from training.recipes import CHAMPION

SPEC = FeatureSpec.parse(features.packaged("world_applicant_features"))


def people(known: list[int], y: list[int], refused: list[int], explored: list[int]) -> Intake:
    flags = [np.array(column, dtype=bool) for column in (known, refused, explored)]
    return Intake(is_known=flags[0], y=np.array(y), is_refused=flags[1], is_explored=flags[2])


# Ten who asked: five accepted (one defaulted), one let in anyway (defaulted), four refused.
TEN = people(
    known=[1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
    y=[0, 0, 0, 0, 1, 1, 0, 0, 0, 0],
    refused=[0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
    explored=[0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
)


@pytest.mark.parametrize(
    ("method", "rate", "size"),
    [
        (Method.ACCEPTED_ONLY, 1 / 5, 5),
        (Method.AS_THEY_ARE, 2 / 6, 6),
        # One of five beyond the line was let in, so it weighs five: (1 + 5) / (5 + 5).
        (Method.RAW, 6 / 10, 10**2 / (5 + 25)),
        # Clipped at three: (1 + 3) / (5 + 3).
        (Method.CLIPPED, 4 / 8, 8**2 / (5 + 9)),
    ],
)
def test_weights_are_what_a_hand_computes(method: Method, rate: float, size: float) -> None:
    rules = Rules(clip=3.0)
    assert intake.measure_default_rate(TEN, method, rules).value == pytest.approx(rate)
    found = intake.measure_effective_sample_size(TEN, method, rules)
    assert found.value == pytest.approx(size)


def test_worst_case_bounds_are_what_a_hand_computes() -> None:
    found = bounds.bound_default_rate(TEN, Rules())
    assert found.value == pytest.approx((0.2 + 0.6) / 2)
    # Each edge has its own margin: 1.96 sqrt(p (1 - p) / 10).
    assert found.low == 0.0  # 0.2 - 0.248, cut at 0.
    assert found.high == pytest.approx(0.6 + 1.959964 * np.sqrt(0.6 * 0.4 / 10), abs=1e-6)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "more than the 0.1" in found.reason


def test_fuzzy_hard_and_parcelled_outcomes_are_what_a_hand_computes() -> None:
    told = np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.05, 0.1, 0.5, 0.9])
    fuzzy = scenarios.assumed_outcomes(TEN, told, Method.FUZZY, Rules())
    assert fuzzy.tolist() == [0] * 6 + [0.05, 0.1, 0.5, 0.9]
    # A fifth of the accepted defaulted; the score that a fifth of them exceed lies between 0.1 and
    # 0.5, at 0.18 by linear interpolation.
    hard = scenarios.assumed_outcomes(TEN, told, Method.HARD_CUTOFF, Rules())
    assert hard.tolist() == [0] * 6 + [0, 0, 1, 1]
    parcelled = scenarios.assumed_outcomes(TEN, told, Method.PARCELLING, Rules(uplift=0.5))
    # The highest band holds the one accepted defaulter: its rate 1 times the uplift.
    assert parcelled.tolist()[8:] == [0.5, 0.5]
    rate = scenarios.measure_scenario(
        TEN, fuzzy, Method.FUZZY, Measurement(measure="x", n=0, outcome=Outcome.INCONCLUSIVE)
    )
    assert rate.value == pytest.approx((2 + 1.55) / 10)
    assert rate.outcome is Outcome.INCONCLUSIVE


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
    found = bounds.bound_auc(asked, scores, Rules())
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


def test_a_weighted_area_equals_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    y, told = rng.integers(0, 2, 60), rng.integers(0, 9, 60).astype(np.float64)
    weight = rng.integers(1, 5, 60)
    repeated = measure_auc(np.repeat(y, weight), np.repeat(told, weight)).value
    assert weighted_area(y, told, weight.astype(np.float64)) == pytest.approx(repeated)


def test_without_an_exploration_only_bounds_are_left() -> None:
    rng = np.random.default_rng(1)
    n = 600
    told = rng.random(n)
    refused = told > 0.8
    y = np.where(refused, 0, rng.random(n) < told)
    asked = Intake(
        is_known=~refused,
        y=y.astype(np.int64),
        is_refused=refused,
        is_explored=np.zeros(n, dtype=bool),
    )
    found = study.measure(LogisticRegression, told[:, None], asked, Rules(), seed=0)
    by_method = {
        (m.measure, m.scope.get("method"), m.scope.get("among", "")): m for m in found.measurements
    }
    for method in (Method.RAW, Method.CLIPPED, Method.FUZZY, Method.PARCELLING):
        assert by_method[(intake.RATE, method.value, "")].outcome is Outcome.INCONCLUSIVE
    for key, measured in by_method.items():
        if key[2] == "everybody":
            assert measured.outcome is Outcome.INCONCLUSIVE, key
    assert by_method[(intake.RATE, "accepted_only", "")].outcome is Outcome.INFO
    assert by_method[(intake.RATE, "explored_alone", "")].value is None


def test_a_handful_of_missing_outcomes_leaves_bounds_that_decide() -> None:
    rng = np.random.default_rng(2)
    n = 20_000
    y = (rng.random(n) < 0.2).astype(np.int64)
    refused = np.arange(n) < 100
    asked = Intake(
        is_known=~refused,
        y=np.where(refused, 0, y),
        is_refused=refused,
        is_explored=np.zeros(n, dtype=bool),
    )
    found = bounds.bound_default_rate(asked, Rules())
    assert found.outcome is Outcome.INFO
    assert found.low < y.mean() < found.high


# --- The world: a harsh old rule that looks at more than the features hold. ---


@dataclass(frozen=True)
class Truth:
    """A world with an open oracle beside what a lender may see."""

    rows: pa.Table
    matrix: np.ndarray
    asked: Intake
    outcome: np.ndarray
    found: Study

    def of(self, measure: str, method: str, among: str = "") -> Measurement:
        scope = {"method": method, **({"among": among} if among else {})}
        return next(
            m for m in self.found.measurements if m.measure == measure and dict(m.scope) == scope
        )


def harsh(accounts: int = 6_000) -> WorldSettings:
    settings = WorldSettings.parse(packaged())
    population = settings.population.model_copy(
        update={"refused_share": 0.4, "accepted_anyway": 0.15}
    )
    return settings.changed(accounts=accounts, months=14, population=population.model_dump())


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    settings, place = harsh(), tmp_path_factory.mktemp("harsh")
    ring = keyring.create(place / "keyring")
    folder = edition.publish(settings, place / "world", keyring=ring).path
    chunk = panel.live(settings, 0, settings.accounts)
    moment = Moment(as_of=applicants.day(settings), horizon_months=12, known_on=date(9999, 12, 31))
    rows = applicants.take(chunk, persons.block(settings, 0, settings.accounts), settings, moment)
    # Only this test has the key of the truth; no module of training names the function.
    told = oracle.open_oracle(folder, keyring=ring).read_all().to_pandas()
    told = told[(told.as_of == moment.as_of) & (told.horizon_months == 12)].set_index("account")
    outcome = told.true_outcome.loc[accounts_of(rows, settings)].to_numpy().astype(np.int64)
    assert len(outcome) == len(told)
    matrix = scoring.design_matrix(SPEC, features.compute(SPEC, rows))
    known = rows["is_90_days_late"].is_valid().to_numpy()
    asked = Intake(
        is_known=known,
        y=np.where(known, outcome, 0),
        is_refused=rows["is_refused"].to_numpy(),
        is_explored=rows["is_accepted_anyway"].to_numpy(),
    )
    assert (rows["is_90_days_late"].drop_null().to_numpy() == outcome[known]).all()
    found = study.measure(
        lambda: CHAMPION.estimator(SPEC.signs, seed=0), matrix, asked, Rules(), seed=0
    )
    return Truth(rows=rows, matrix=matrix, asked=asked, outcome=outcome, found=found)


def accounts_of(rows: pa.Table, settings: WorldSettings) -> list[int]:
    people = persons.block(settings, 0, settings.accounts)
    place = pa.compute.index_in(
        rows["customer_id"], value_set=people["customer_id"].combine_chunks()
    )
    return people["account"].take(place).to_pylist()


def test_the_refused_have_no_outcome_and_are_worse(truth: Truth) -> None:
    refused = truth.asked.is_refused
    assert not truth.asked.is_known[refused].any()
    assert refused.mean() > 0.25
    assert truth.outcome[refused].mean() > 2 * truth.outcome[~truth.asked.is_beyond].mean()


def test_worst_case_bounds_hold_the_truth(truth: Truth) -> None:
    rate = truth.of(intake.RATE, "worst_case")
    assert rate.low < truth.outcome.mean() < rate.high
    assert rate.outcome is Outcome.INCONCLUSIVE
    base = _accepted_only(truth)
    area = truth.of(bounds.AUC, "worst_case")
    assert area.low < measure_auc(truth.outcome, base).value < area.high
    gap = truth.of(bounds.GAP, "worst_case")
    assert gap.low < truth.outcome.mean() - base.mean() < gap.high


def test_what_was_accepted_alone_is_wrong_about_everybody(truth: Truth) -> None:
    accepted = truth.of(intake.RATE, "accepted_only")
    assert accepted.high < truth.outcome.mean()


def test_the_exploration_finds_the_truth_where_the_accepted_miss_it(truth: Truth) -> None:
    real = truth.outcome.mean()
    raw, clipped = (truth.of(intake.RATE, m.value) for m in (Method.RAW, Method.CLIPPED))
    assert raw.low < real < raw.high
    off = abs(truth.of(intake.RATE, "accepted_only").value - real)
    assert abs(raw.value - real) < off / 3
    assert abs(clipped.value - real) < off / 3
    alone = truth.of(intake.RATE, "explored_alone")
    assert alone.low < truth.outcome[truth.asked.is_beyond].mean() < alone.high


def test_raw_weights_are_worth_fewer_customers_than_clipped_ones(truth: Truth) -> None:
    sizes = [
        truth.of(intake.SAMPLE_SIZE, m.value).value
        for m in (Method.AS_THEY_ARE, Method.CLIPPED, Method.RAW)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_the_area_over_everybody_is_estimated_from_known_outcomes_alone(truth: Truth) -> None:
    estimate = truth.of(bounds.AUC, "accepted_only", "everybody")
    real = measure_auc(truth.outcome, _accepted_only(truth)).value
    assert estimate.low < real < estimate.high


def test_outcomes_of_refused_customers_change_nothing(truth: Truth) -> None:
    """Whatever stands where no outcome is known, the report is the same to the last digit."""
    poisoned = replace(truth.asked, y=np.where(truth.asked.is_known, truth.asked.y, 1))
    few = np.arange(1_500)
    for asked in (truth.asked, poisoned):
        cut = Intake(**{name: getattr(asked, name)[few] for name in asked.__slots__})
        found = study.measure(LogisticRegression, scaled(truth.matrix[few]), cut, Rules(), seed=0)
        if asked is truth.asked:
            first = found
    assert found == first


def scaled(matrix: np.ndarray) -> np.ndarray:
    return (matrix - matrix.mean(axis=0)) / np.maximum(matrix.std(axis=0), 1e-9)


def _accepted_only(truth: Truth) -> np.ndarray:
    splits = study._splits(truth.asked, seed=0)
    taught = study.weighting(truth.asked, Method.ACCEPTED_ONLY, Rules())
    make = lambda: CHAMPION.estimator(SPEC.signs, seed=0)  # noqa: E731
    return study._out_of_fold(make, truth.matrix, truth.asked, splits, taught)


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
    columns = applications.Columns(
        target="is_90_days_late", refused="is_refused", explored="is_accepted_anyway"
    )
    with pytest.raises(ContractError, match=re.escape(message)):
        applications.read(table, SPEC, columns)


def test_a_feature_that_reads_the_decision_is_refused(truth: Truth, tmp_path: Path) -> None:
    text = features.packaged("world_applicant_features").replace(
        'sql = "stated_income_minor"\nsources = ["stated_income_minor"]',
        'sql = "CASE WHEN is_refused THEN 1 ELSE 0 END"\nsources = ["is_refused"]',
    )
    table = released(truth.rows.slice(0, 1_000), tmp_path)
    columns = applications.Columns(target="is_90_days_late", refused="is_refused")
    with pytest.raises(ContractError, match="reads is_refused"):
        applications.read(table, FeatureSpec.parse(text), columns)
    with pytest.raises(ContractError, match="no column is_denied"):
        applications.read(table, SPEC, replace(columns, refused="is_denied"))


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
