"""Hand-worked values of drift, misjudgment, discrimination and calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from governance.counts import Counts
from governance.measures.discrimination import measure_auc, measure_ks
from governance.outcome import Outcome
from monitoring.drift import measure_drift, psi
from monitoring.misjudgment import measure_misjudgment
from monitoring.performance import measure_performance

# reference, current, PSI worked by hand from sum (c - r) ln(c / r)
STABILITY = [
    ([50, 50], [50, 50], 0.0),
    ([50, 50], [75, 25], 0.25 * math.log(1.5) - 0.25 * math.log(0.5)),
    ([60, 30, 10], [50, 30, 20], -0.1 * math.log(5 / 6) + 0.1 * math.log(2)),
    ([100, 0], [50, 50], None),
]


@pytest.mark.parametrize(("reference", "current", "by_hand"), STABILITY)
def test_the_stability_index_equals_the_sum_worked_by_hand(
    reference: list[int], current: list[int], by_hand: float | None
) -> None:
    found = psi(reference, current)
    if by_hand is None:
        assert 0 < found < math.inf
    else:
        assert found == pytest.approx(by_hand)


def test_drift_with_tolerance_zero_is_the_classical_two_sample_test() -> None:
    # 1000 against 1000 rows, shares .5/.5 and .55/.45: T = 500 * .05 * ln(1.2222), one degree.
    def window(a: int, b: int) -> Counts:
        return Counts.from_rows(
            [{"feature": "x", "bin": "a", "n": a}, {"feature": "x", "bin": "b", "n": b}]
        )

    [found] = measure_drift(window(500, 500), window(550, 450), tolerance=0.0)
    assert found.value == pytest.approx(0.05 * math.log(0.55 / 0.45))
    # sf(5.017; 1) = .0251
    assert "adjusted p = 0.025" in found.reason
    assert found.outcome is Outcome.BREACH


MISJUDGMENT = [
    # action, outcome, n, amount in minor units
    ("raise", "good", 300, 3_000_000),
    ("raise", "bad", 20, 400_000),
    ("hold", "good", 500, 0),
    ("hold", "bad", 60, 0),
    ("cut", "good", 40, 900_000),
    ("cut", "bad", 75, 2_000_000),
    ("refuse", "good", 10, 100_000),
    ("refuse", "bad", 5, 50_000),
]
EXPECTED = {
    "misjudgment.good_cut": (50 / 850, 850),
    "misjudgment.bad_raised": (20 / 160, 160),
    "misjudgment.bad_share_of_raised": (20 / 320, 320),
    "misjudgment.good_share_of_cut": (50 / 130, 130),
    "misjudgment.wrong_raise": (400_000.0, 20),
    "misjudgment.wrong_cut": (1_000_000.0, 50),
}


def test_misjudgment_has_the_denominators_of_its_definition() -> None:
    counts = Counts.from_rows(
        [
            {"action": a, "outcome": o, "n": n, "amount_minor": money}
            for a, o, n, money in MISJUDGMENT
        ],
        additive=("n", "amount_minor"),
    )
    found = {m.measure: (m.value, m.n) for m in measure_misjudgment(counts)}
    assert found.keys() == EXPECTED.keys()
    for measure, expected in EXPECTED.items():
        assert found[measure] == pytest.approx(expected)


def test_the_area_under_the_curve_counts_ordered_pairs() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.3, 0.5, 0.6])
    labels = np.array([0, 0, 1, 0, 0, 1])
    # Pairs of (default, no default): .3 beats .1 .2, ties .3, loses to .5; .6 beats all four.
    area, distance = measure_auc(labels, score), measure_ks(labels, score, seed=0)
    assert area.value == pytest.approx((2 + 0.5 + 0 + 4) / 8)
    assert distance.value == pytest.approx(0.5)


def test_observed_over_expected_and_brier_follow_their_formulas() -> None:
    score = np.repeat([0.1, 0.4], 100)
    defaulted = np.concatenate([np.arange(100) < 12, np.arange(100) < 36])
    found = {m.measure: m for m in measure_performance(defaulted.astype(np.int64), score, seed=1)}
    ratio = found["calibration.observed_over_expected"]
    spread = 1.959964 * math.sqrt(100 * 0.09 + 100 * 0.24) / 50
    assert ratio.value == pytest.approx(48 / 50)
    assert (ratio.low, ratio.high) == pytest.approx((0.96 - spread, 0.96 + spread), abs=1e-6)
    brier = (12 * 0.81 + 88 * 0.01 + 36 * 0.36 + 64 * 0.16) / 200
    assert found["calibration.brier"].value == pytest.approx(brier)
    # Two points determine a line: slope = (logit .36 - logit .12) / (logit .4 - logit .1).
    rise = math.log(0.36 / 0.64) - math.log(0.12 / 0.88)
    run = math.log(0.4 / 0.6) - math.log(0.1 / 0.9)
    assert found["calibration.slope"].value == pytest.approx(rise / run, abs=1e-6)
