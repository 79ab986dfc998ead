"""Published and hand-made fairness tables, reproduced from their counts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from governance.counts import Counts
from monitoring.fairness import audit, by_group
from monitoring.misjudgment import measure_misjudgment

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def age_counts() -> Counts:
    table = csv.read_csv(DATA / "uci_age_decision_counts.csv")
    action = pc.replace_substring_regex(table["action"], r"_\d+$", "")
    outcome = pc.if_else(pc.equal(table["good"], 1), "good", "bad")
    return Counts(
        pa.table(
            {"group": table["age_band"], "action": action, "outcome": outcome, "n": table["n"]}
        )
    )


@pytest.fixture(scope="module")
def loan_counts() -> Counts:
    table = csv.read_csv(DATA / "fairlearn_credit_loan_counts.csv")
    action = pc.if_else(pc.equal(table["y_pred"], 1), "cut", "raise")
    outcome = pc.if_else(pc.equal(table["y_true"], 1), "bad", "good")
    return Counts(
        pa.table({"group": table["sex"], "action": action, "outcome": outcome, "n": table["n"]})
    )


@pytest.mark.parametrize(
    ("measure", "ratio"),
    [("approve", 0.891), ("raise", 0.641), ("cut", 1.494), ("good_cut", 1.536)],
)
def test_young_customers_get_the_ratios_of_the_reference_table(
    age_counts: Counts, measure: str, ratio: float
) -> None:
    measured = {
        (m.measure, m.scope.get("group", "")): m
        for m in audit(age_counts, attribute="age_band", reference_group="26-35")
    }
    found = measured[f"fairness.{measure}_ratio", "<=25"]
    assert found.value == pytest.approx(ratio, abs=5e-4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < ratio < found.high


def test_the_raise_ratio_interval_agrees_with_the_reference_table(age_counts: Counts) -> None:
    [found] = [
        m
        for m in audit(age_counts, attribute="age_band", reference_group="26-35")
        if m.measure == "fairness.raise_ratio" and m.scope["group"] == "<=25"
    ]
    assert (found.low, found.high) == pytest.approx((0.612, 0.671), abs=2e-3)
    assert found.n == 3871


@pytest.mark.parametrize(
    ("group", "false_positive", "false_negative", "selection"),
    [
        ("female", 0.255571, 0.235730, 0.363981),
        ("male", 0.132979, 0.124230, 0.306475),
        (None, 0.207656, 0.188980, None),
    ],
)
def test_the_published_credit_loan_case_is_reproduced(
    loan_counts: Counts,
    group: str | None,
    false_positive: float,
    false_negative: float,
    selection: float | None,
) -> None:
    counts = loan_counts if group is None else loan_counts.where(group=group)
    rates = {m.measure: m for m in measure_misjudgment(counts)}
    good_cut = rates["misjudgment.good_cut"].value
    bad_raised = rates["misjudgment.bad_raised"].value
    assert good_cut == pytest.approx(false_positive, abs=1e-6)
    assert bad_raised == pytest.approx(false_negative, abs=1e-6)
    if group is None:
        assert good_cut is not None
        assert bad_raised is not None
        assert 1 - (good_cut + bad_raised) / 2 == pytest.approx(0.801682, abs=1e-6)
    else:
        assert by_group(loan_counts)["cut"][group] == pytest.approx(selection, abs=1e-6)


def test_fairlearn_and_our_sums_agree_digit_by_digit(age_counts: Counts) -> None:
    measured = audit(age_counts, attribute="age_band", reference_group="26-35")
    for column in ("approve", "raise", "cut", "good_cut"):
        ours = {
            m.scope["group"]: m.value for m in measured if m.measure == f"fairness.{column}_rate"
        }
        assert by_group(age_counts)[column].to_dict() == pytest.approx(ours, abs=1e-12)
