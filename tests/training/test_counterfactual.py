from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from governance.errors import ContractError
from limits import scoring
from limits.explaining import levers as actions
from limits.explaining.counterfactual import changed, find_changes
from limits.explaining.levers import Levers
from limits.features import FeatureSpec
from training import evaluation, recipes
from training.fidelity import measure_reached

LEVERS = """
schema = "levers/1"
id = "shop-levers"
version = "1"
features_id = "corner-shops"

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
def levers() -> Levers:
    return Levers.parse(LEVERS)


def test_the_smallest_change_is_proposed(spec: FeatureSpec, levers: Levers) -> None:
    rows = pa.Table.from_pylist(
        [shop(0, 0.1), shop(0, 0.9), shop(1, 0.25), shop(3, 0.9), shop(0, 0.1, turnover=-9.0)]
    )
    found = find_changes(MODEL, spec, levers, rows, ceiling=0.2)
    assert [change and change.texts() for change in found] == [
        (),
        ("Owe less",),
        ("Settle what is overdue",),
        ("Owe less", "Settle what is overdue"),
        None,
    ]
    assert found[3].texts("zh") == ("减少欠款", "结清逾期款项")  # type: ignore[union-attr]
    reached = measure_reached(found)
    assert (reached.value, reached.n) == (0.75, 4)


def test_what_is_shown_is_what_the_model_says_of_the_changed_customer(
    spec: FeatureSpec, levers: Levers
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
    spec: FeatureSpec, levers: Levers
) -> None:
    backwards = LEVERS.replace("least(owed, 0.2 * first_line)", "greatest(owed, first_line)")
    # This model wrongly calls a full line safe; the declared direction says that it is not.
    rows = pa.Table.from_pylist([shop(0, 0.1)])
    wrong = Line(0.0, -9.0, 3.0)
    assert find_changes(wrong, spec, Levers.parse(backwards), rows, ceiling=0.1) == (None,)


def test_types_order_and_the_other_columns_are_kept(levers: Levers, make_shops: object) -> None:
    rows = make_shops(30)  # type: ignore[operator]
    after = changed(rows, levers.levers)
    assert after.schema == rows.schema
    assert after["shop"] == rows["shop"]
    assert after["turnover"] == rows["turnover"]
    assert max(after["late"].to_pylist()) == 0


def test_levers_of_other_features_are_refused(spec: FeatureSpec, levers: Levers) -> None:
    rows = pa.Table.from_pylist([shop(0, 0.9)])
    other = Levers.parse(LEVERS.replace("corner-shops", "uci-features"))
    with pytest.raises(ContractError, match="are for uci-features"):
        find_changes(MODEL, spec, other, rows, ceiling=0.2)
    idle = Levers.parse(LEVERS.replace("late = ", "line = "))
    with pytest.raises(ContractError, match="no feature of corner-shops reads"):
        find_changes(MODEL, spec, idle, rows, ceiling=0.2)
    with pytest.raises(ContractError, match="two levers change the same column"):
        Levers.parse(LEVERS.replace("late = ", "owed = "))
    with pytest.raises(ContractError, match="No levers named"):
        actions.packaged("nowhere")


def test_nobody_above_the_ceiling_is_inconclusive(spec: FeatureSpec, levers: Levers) -> None:
    found = find_changes(MODEL, spec, levers, pa.Table.from_pylist([shop(0, 0.1)]), ceiling=0.9)
    assert measure_reached(found).value is None


def test_real_customers_can_do_something_and_never_something_worse(
    uci: pa.Table, uci_spec: FeatureSpec, uci_design: tuple[np.ndarray, np.ndarray]
) -> None:
    features, labels = uci_design[0][:6_000], uci_design[1][:6_000]
    fitted = evaluation.fit(recipes.SIMPLER.estimator(uci_spec.signs, seed=0), features, labels)
    rows = uci.slice(6_000, 3_000)
    known = evaluation.predict(fitted, uci_design[0][6_000:9_000])
    risky = rows.take(np.flatnonzero(known > 0.4))
    found = find_changes(fitted, uci_spec, actions.packaged("uci_levers"), risky, ceiling=0.3)
    reached = measure_reached(found)
    assert 0.1 < reached.low < 1  # type: ignore[operator]
    assert all(change.after <= 0.3 < change.before for change in found if change)
