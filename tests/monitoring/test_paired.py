"""Paired differences agree with the single measures, find what is planted and stay silent else."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest

from governance.appetite import RiskAppetite
from governance.counts import Counts
from governance.measurement import Measurement
from governance.measures.comparison import AUC_DIFFERENCE, measure_accuracy
from governance.outcome import Outcome
from monitoring import verdict
from monitoring.counted_pairs import _pairs
from monitoring.paired_fairness import GAIN, WORST_RATIO, Pair, measure_gain
from monitoring.performance import measure_performance
from monitoring.verdict import Verdict
from tests.monitoring.family import APPETITE

DAY = date(2026, 3, 1)
LINES = RiskAppetite.parse(APPETITE)


def book(n: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return a true probability, one that separates worse, and outcomes."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 1.2, n)
    true = 1 / (1 + np.exp(-odds))
    worse = 1 / (1 + np.exp(-(odds + rng.normal(0, 1.5, n))))
    return true, worse, rng.random(n) < true


def test_the_figures_are_those_of_the_single_measures() -> None:
    true, worse, defaulted = book()
    # Ties must count one half in both.
    true = true.round(2)
    found = {
        (m.measure, m.scope["alternative"]): m
        for m in measure_accuracy({"v": true, "a": worse}, defaulted, version="v", seed=0)
    }
    for name, score in (("v", true), ("a", worse)):
        for wanted in measure_performance(defaulted.astype(np.int64), score, seed=0):
            if (wanted.measure, name) in found:
                got = found[wanted.measure, name]
                assert got.value == pytest.approx(wanted.value, abs=1e-12), wanted.measure
                assert got.low is not None
                assert got.high is not None
    difference = found[AUC_DIFFERENCE, "a"]
    assert difference.value == pytest.approx(
        found["discrimination.auc", "a"].value - found["discrimination.auc", "v"].value  # type: ignore[operator]
    )
    assert difference.high < 0  # type: ignore[operator]


def test_the_interval_of_a_difference_is_narrower_than_that_of_either_model() -> None:
    true, _, defaulted = book()
    nearly = np.clip(true + np.random.default_rng(1).normal(0, 0.02, true.size), 0.001, 0.999)
    found = measure_accuracy({"v": true, "a": nearly}, defaulted, version="v", seed=0)
    (difference,) = [m for m in found if m.measure == AUC_DIFFERENCE]
    (area,) = [
        m for m in found if m.measure == "discrimination.auc" and m.scope["alternative"] == "v"
    ]
    width = difference.high - difference.low  # type: ignore[operator]
    assert width < 0.5 * (area.high - area.low)  # type: ignore[operator]


def test_without_ten_defaults_nothing_is_measured() -> None:
    score, defaulted = np.linspace(0, 1, 500), np.arange(500) < 9
    for found in measure_accuracy({"v": score, "a": score}, defaulted, version="v", seed=0):
        assert (found.outcome, found.value) == (Outcome.INCONCLUSIVE, None)


def test_the_worst_ratio_is_folded_and_the_gain_is_worked_by_hand() -> None:
    # Version: b at .5 of a, c at 2.5, which is further, .4. Alternative: .8 and 1.25, so .8.
    pairs = (
        Pair(group="a", n=1_000, version=200, alternative=200, fewest=50, most=50),
        Pair(group="b", n=1_000, version=100, alternative=160, fewest=90, most=90),
        Pair(group="c", n=1_000, version=500, alternative=250, fewest=20, most=20),
    )
    version, alternative, gain = measured(pairs, reference="a")
    assert (version.measure, version.value) == (WORST_RATIO, 0.4)
    assert (alternative.measure, alternative.value) == (WORST_RATIO, pytest.approx(0.8))
    assert (gain.measure, gain.value) == (GAIN, pytest.approx(0.4))
    assert "c furthest from a" in gain.reason
    assert 0.2 < gain.low < 0.4 < gain.high < 0.6  # type: ignore[operator]
    assert gain.n == 3_000


def test_a_group_that_cannot_be_measured_leaves_the_worst_one_unknown() -> None:
    large = (
        Pair(group="a", n=1_000, version=200, alternative=200, fewest=50, most=50),
        Pair(group="b", n=1_000, version=100, alternative=190, fewest=95, most=95),
    )
    for small, why in (
        (Pair(group="c", n=60, version=20, alternative=20), "60 customers in c"),
        (Pair(group="c", n=99, version=9, alternative=9), "99 customers in c"),
        (Pair(group="c", n=None, version=None, alternative=None), "withheld"),
    ):
        gain = measured((*large, small), reference="a")[2]
        assert gain.outcome is Outcome.INCONCLUSIVE
        assert why in gain.reason
        assert gain.value == pytest.approx(0.45)
    nobody = measured(large[1:], reference="a")[2]
    assert (nobody.outcome, nobody.value) == (Outcome.INCONCLUSIVE, None)


def test_a_group_that_the_version_never_moves_is_measured_where_many_are_expected() -> None:
    base = Pair(group="a", n=1_000, version=200, alternative=200)
    never = Pair(group="c", n=500, version=0, alternative=100, fewest=100, most=100)
    gain = measured((base, never), reference="a")[2]
    assert gain.value == pytest.approx(1.0)
    assert gain.outcome is Outcome.INFO
    rare = (
        Pair(group="a", n=900, version=57, alternative=57),
        Pair(group="c", n=100, version=3, alternative=3),
    )
    assert "3 events in c" in measured(rare, reference="a")[2].reason


def test_that_nobody_differs_among_a_few_does_not_show_that_nobody_ever_will() -> None:
    few, many = (
        tuple(Pair(group=g, n=n, version=n // 4, alternative=n // 4) for g in ("a", "b"))
        for n in (150, 6_000)
    )
    judged = [LINES.judge(measured(pairs, reference="a")[2], DAY) for pairs in (few, many)]
    assert [found.value for found in judged] == [0.0, 0.0]
    assert judged[0].low < -0.01 < 0.01 < judged[0].high  # type: ignore[operator]
    assert [found.outcome for found in judged] == [Outcome.INCONCLUSIVE, Outcome.PASS]


def test_what_the_vault_withholds_widens_the_interval_and_never_narrows_it() -> None:
    exact = Pair(group="b", n=1_000, version=300, alternative=330, fewest=60, most=60)
    hidden = Pair(group="b", n=1_000, version=300, alternative=330, fewest=30, most=140)
    base = Pair(group="a", n=1_000, version=400, alternative=400, fewest=20, most=20)
    narrow, wide = (measured((base, pair), reference="a")[2] for pair in (exact, hidden))
    assert narrow.value == wide.value
    assert wide.low < narrow.low < narrow.high < wide.high  # type: ignore[operator]


def test_hidden_disagreement_lies_between_what_margins_and_totals_allow() -> None:
    """Three groups; the disagreement of two is withheld, that of all together is not."""
    truth = {"a": (100, 40, 30, 330), "b": (50, 3, 8, 139), "c": (60, 5, 4, 131)}
    rows, withheld = [], ("b", "c")
    for group, cells in truth.items():
        for (version, other), n in zip(
            (("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no")), cells, strict=True
        ):
            rows.append(
                {
                    "group": group,
                    "version": version,
                    "alternative": other,
                    "n": None if group in withheld else n,
                }
            )
    margins = tuple(
        Counts.from_rows(
            {"group": group, "action": action, "n": n}
            for group, cells in truth.items()
            for action, n in (
                ("raise", cells[0] + cells[own]),
                ("hold", sum(cells) - cells[0] - cells[own]),
            )
        )
        for own in (1, 2)
    )
    pairs = {
        p.group: p
        for p in _pairs(Counts.from_rows(rows), (margins[0], margins[1]), ("raise",), (48, 42))
    }
    assert (pairs["a"].fewest, pairs["a"].most) == (30, 30)
    for group in withheld:
        pair, cells = pairs[group], truth[group]
        assert (pair.n, pair.version, pair.alternative) == (
            sum(cells),
            cells[0] + cells[1],
            cells[0] + cells[2],
        )
        assert pair.fewest <= cells[2] <= pair.most
        # Eight of one direction and twelve of the other are hidden in both groups together.
        assert pair.most <= 12


def drawn(
    rng: np.random.Generator, sizes: tuple[int, ...], before: float, after: tuple[float, ...]
) -> tuple[Pair, ...]:
    """Draw groups that the version moves equally often and the alternative as often as said.

    A twentieth of the customers is treated differently, whether the rate moves or not.
    """
    pairs = []
    for group, size, wanted in zip("abcde", sizes, after, strict=False):
        version = rng.random(size) < before
        leaves = 0.025 / before + max(before - wanted, 0) / before
        joins = 0.025 / (1 - before) + max(wanted - before, 0) / (1 - before)
        alternative = np.where(version, rng.random(size) >= leaves, rng.random(size) < joins)
        only = int((alternative & ~version).sum())
        pairs.append(
            Pair(
                group=group,
                n=size,
                version=int(version.sum()),
                alternative=int(alternative.sum()),
                fewest=only,
                most=only,
            )
        )
    return tuple(pairs)


def share_found(sizes: tuple[int, ...], after: tuple[float, ...], *, is_mended: bool) -> float:
    """Judge 200 books among 36 gains; the mended ones are those of the alternative."""
    rng, found = np.random.default_rng(3), 0
    good = LINES.judge(loss(*AS_GOOD), DAY)
    for _ in range(200):
        pairs = drawn(rng, sizes, 0.2, after)
        if is_mended:
            # What moved the groups apart is the version's, and the alternative moves them alike.
            pairs = tuple(
                dataclasses.replace(
                    pair,
                    version=pair.alternative,
                    alternative=pair.version,
                    fewest=(pair.version or 0) - (pair.alternative or 0) + pair.most,
                    most=(pair.version or 0) - (pair.alternative or 0) + pair.most,
                )
                for pair in pairs
            )
        gain = LINES.judge(measured(pairs, reference="a")[2], DAY)
        others = [
            gain.model_copy(update={"scope": {**gain.scope, "alternative": f"y{place}"}})
            for place in range(35)
        ]
        said = verdict.judge("x", "X", [gain, good, *others], LINES, DAY)
        found += said.verdict is Verdict.FOUND
    return found / 200


def test_in_a_clean_world_chance_finds_nothing() -> None:
    """Five groups treated equally by both models, one of them of 170 customers."""
    sizes = (2_600, 770, 1_700, 765, 170)
    assert share_found(sizes, (0.2,) * 5, is_mended=False) <= 0.005


def test_a_planted_gain_is_found() -> None:
    """The version moves one group at 0.6 of the other's rate, the alternative at the same."""
    assert share_found((3_000, 3_000), (0.2, 0.12), is_mended=True) >= 0.9


def gains(*values: tuple[float, float, float]) -> list[Measurement]:
    return [
        Measurement(
            measure=GAIN,
            scope={"alternative": "x", "attribute": "sex", "of": of},
            value=value,
            low=low,
            high=high,
            n=3_000,
        )
        for of, (value, low, high) in zip(("raise", "cut", "approve"), values, strict=False)
    ]


def loss(value: float, low: float, high: float) -> Measurement:
    scope = {"alternative": "x"}
    return Measurement(
        measure=AUC_DIFFERENCE, scope=scope, value=value, low=low, high=high, n=3_000
    )


FAIRER, LEVEL, OPEN, WORSE = (
    (0.2, 0.1, 0.3),
    (0.0, -0.02, 0.02),
    (0.04, -0.02, 0.1),
    (-0.2, -0.3, -0.1),
)
AS_GOOD, OPEN_LOSS, LESS_GOOD = (0.0, -0.01, 0.01), (-0.02, -0.03, -0.01), (-0.1, -0.12, -0.08)


@pytest.mark.parametrize(
    ("measured_gains", "measured_loss", "expected"),
    [
        ((FAIRER, LEVEL), AS_GOOD, Verdict.FOUND),
        ((FAIRER, OPEN), AS_GOOD, Verdict.FOUND),
        ((FAIRER, LEVEL), LESS_GOOD, Verdict.COSTLY),
        ((FAIRER, LEVEL), OPEN_LOSS, Verdict.UNKNOWN),
        ((FAIRER, WORSE), AS_GOOD, Verdict.TRADE),
        ((LEVEL, LEVEL), AS_GOOD, Verdict.NOT_SHOWN),
        ((LEVEL, WORSE), AS_GOOD, Verdict.NOT_SHOWN),
        ((LEVEL, OPEN), AS_GOOD, Verdict.UNKNOWN),
        ((OPEN, OPEN), LESS_GOOD, Verdict.NOT_SHOWN),
        ((), AS_GOOD, Verdict.UNKNOWN),
    ],
)
def test_the_rule(
    measured_gains: tuple[tuple[float, float, float], ...],
    measured_loss: tuple[float, float, float],
    expected: Verdict,
) -> None:
    judged = [LINES.judge(m, DAY) for m in (*gains(*measured_gains), loss(*measured_loss))]
    found = verdict.judge("x", "X", judged, LINES, DAY)
    assert found.verdict is expected, found.why
    assert found.why


def test_a_gain_that_stands_alone_may_not_stand_among_many() -> None:
    barely = (0.2, 0.06, 0.34)
    alone = [LINES.judge(m, DAY) for m in (*gains(barely), loss(*AS_GOOD))]
    assert verdict.judge("x", "X", alone, LINES, DAY).verdict is Verdict.FOUND
    others = [
        gains(LEVEL)[0].model_copy(
            update={"scope": {"alternative": f"y{place}", "attribute": "sex", "of": "raise"}}
        )
        for place in range(20)
    ]
    found = verdict.judge("x", "X", [*alone, *others], LINES, DAY)
    assert found.verdict is Verdict.UNKNOWN
    assert "among 21 gains" in found.why


def test_a_gain_without_a_line_decides_nothing() -> None:
    elsewhere = gains(FAIRER)[0].model_copy(
        update={"scope": {"alternative": "x", "attribute": "education", "of": "raise"}}
    )
    judged = [LINES.judge(m, DAY) for m in (elsewhere, *gains(LEVEL), loss(*AS_GOOD))]
    assert verdict.judge("x", "X", judged, LINES, DAY).verdict is Verdict.NOT_SHOWN


def measured(pairs: tuple[Pair, ...], *, reference: str) -> tuple[Measurement, ...]:
    scope = {"alternative": "x", "attribute": "sex", "of": "raise"}
    return measure_gain(pairs, reference=reference, scope=scope, version="v", seed=0)
