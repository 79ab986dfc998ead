from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from decisions import reason_texts, scoring
from decisions.features import FeatureSpec
from decisions.model_reasons import Change, Judged, changed, smallest_changes
from decisions.reason_texts import Lever, ReasonTexts, refuse_idle
from governance.errors import ContractError
from training import evaluation, recipes

LEVERS = """
schema = "reason-texts/1"
id = "shop-words"
version = "1"
[groups]

[[levers]]
name = "owe_less"
reason_group = "utilization"
en = "Owe less"
zh = "减少欠款"
[levers.columns]
owed = "least(owed, 0.2 * first_line)"

[[levers]]
name = "catch_up"
reason_group = "delinquency"
en = "Settle what is overdue"
zh = "结清逾期款项"
[levers.columns]
late = "least(late, 0)"
"""


class Line:
    """A logistic line over arrears, load and turnover."""

    def __init__(self, *weights: float) -> None:
        self.weights = np.array(weights)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        told = 1 / (1 + np.exp(2.0 - features @ self.weights))
        return np.column_stack([1 - told, told])


MODEL = Line(1.5, 2.0, -0.5)


def shop(late: int, owed: float, turnover: float = 1.0) -> dict[str, float]:
    return {"late": late, "owed": owed, "turnover": turnover, "line": 1.0, "first_line": 1.0}


@pytest.fixture
def spec(shop_spec: str) -> FeatureSpec:
    return FeatureSpec.parse(shop_spec)


@pytest.fixture
def levers() -> tuple[Lever, ...]:
    return ReasonTexts.parse(LEVERS).levers


def find_changes(
    model: object, spec: FeatureSpec, levers: tuple[Lever, ...], rows: pa.Table, *, ceiling: float
) -> tuple[Change | None, ...]:
    """Ask which change brings the default probability to the ceiling."""

    def judge(asked: pa.Table) -> Judged:
        scored = scoring.score(model, spec, asked)  # type: ignore[arg-type]
        told = scored[scoring.DEFAULT_PROBABILITY].to_numpy()
        return Judged(scoring.design_matrix(spec, scored), told, told <= ceiling)

    return smallest_changes(spec, levers, rows, judge)


def test_the_smallest_change_is_proposed(spec: FeatureSpec, levers: tuple[Lever, ...]) -> None:
    rows = pa.Table.from_pylist(
        [shop(0, 0.1), shop(0, 0.9), shop(1, 0.25), shop(3, 0.9), shop(0, 0.1, turnover=-9.0)]
    )
    found = find_changes(MODEL, spec, levers, rows, ceiling=0.2)
    assert [change and [lever.en for lever in change.levers] for change in found] == [
        [],
        ["Owe less"],
        ["Settle what is overdue"],
        ["Owe less", "Settle what is overdue"],
        None,
    ]


def test_what_is_shown_is_what_the_model_says_of_the_changed_customer(
    spec: FeatureSpec, levers: tuple[Lever, ...]
) -> None:
    rows = pa.Table.from_pylist([shop(2, 0.8), shop(0, 0.9)])
    for place, change in enumerate(find_changes(MODEL, spec, levers, rows, ceiling=0.2)):
        mended = dict(rows.slice(place, 1).to_pylist()[0])
        for lever in change.levers:  # type: ignore[union-attr]
            mended |= {"owe_less": {"owed": 0.2}, "catch_up": {"late": 0}}[lever.name]
        again = scoring.score(MODEL, spec, pa.Table.from_pylist([mended]))
        assert change.after == again["default_probability"][0].as_py()  # type: ignore[union-attr]
        assert change.after <= 0.2 < change.before  # type: ignore[union-attr]


def test_a_change_against_a_declared_direction_is_not_proposed(
    spec: FeatureSpec, levers: tuple[Lever, ...]
) -> None:
    backwards = LEVERS.replace("least(owed, 0.2 * first_line)", "greatest(owed, first_line)")
    # This model wrongly calls a full line safe; the declared direction says that it is not.
    rows = pa.Table.from_pylist([shop(0, 0.1)])
    wrong = Line(0.0, -9.0, 3.0)
    assert find_changes(wrong, spec, ReasonTexts.parse(backwards).levers, rows, ceiling=0.1) == (
        None,
    )


def test_types_order_and_the_other_columns_are_kept(
    levers: tuple[Lever, ...], make_shops: object
) -> None:
    rows = make_shops(30)  # type: ignore[operator]
    after = changed(rows, levers)
    assert after.schema == rows.schema
    assert after["shop"] == rows["shop"]
    assert after["turnover"] == rows["turnover"]
    assert max(after["late"].to_pylist()) == 0


def test_levers_that_change_nothing_are_refused_or_left_out(spec: FeatureSpec) -> None:
    idle = ReasonTexts.parse(LEVERS.replace("late = ", "line = "))
    with pytest.raises(ContractError, match="no feature of corner-shops reads"):
        refuse_idle(spec, idle.levers, idle.id)
    assert [lever.name for lever in reason_texts.levers_for(spec, idle)] == ["owe_less"]
    with pytest.raises(ContractError, match="two levers change the same column"):
        ReasonTexts.parse(LEVERS.replace("late = ", "owed = "))
    assert reason_texts.levers_for(spec, reason_texts.packaged_texts()) == ()


def test_real_customers_can_do_something_and_never_something_worse(
    uci: pa.Table, uci_spec: FeatureSpec, uci_design: tuple[np.ndarray, np.ndarray]
) -> None:
    features, labels = uci_design[0][:6_000], uci_design[1][:6_000]
    fitted = evaluation.fit(recipes.SIMPLER.estimator(uci_spec.signs, seed=0), features, labels)
    rows = uci.slice(6_000, 3_000)
    known = evaluation.predict(fitted, uci_design[0][6_000:9_000])
    risky = rows.take(np.flatnonzero(known > 0.4))
    known_levers = reason_texts.levers_for(uci_spec, reason_texts.packaged_texts())
    assert len(known_levers) == 3
    found = find_changes(fitted, uci_spec, known_levers, risky, ceiling=0.3)
    assert 0.1 < np.mean([change is not None for change in found]) < 1
    assert all(change.after <= 0.3 < change.before for change in found if change)
