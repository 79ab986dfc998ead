"""Targets: what a policy must show in every world before it is worth activating.

They are house rules of this product for its own example, and no law. Profit is judged by the
paired interval: more than the other strategy in every seed, and surely so. Losses and limits are
bounded at their point value, seed by seed. The share of good customers cut is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from governance.measurement import Measurement
from governance.outcome import Outcome
from lab.backtest.strategy import Strategy

MOST_LOSSES = 0.01
MOST_LIMITS = 0.03
FEWEST_ACCOUNTS = 200
"""With fewer the paired interval means nothing; of one account it has no width at all."""

_ABOVE_ZERO: Mapping[str, tuple[Strategy, ...]] = {
    "backtest.profit_over_static": (Strategy.RULE, Strategy.OPTIMIZED),
    "backtest.profit_over_rule": (Strategy.OPTIMIZED,),
}
_AT_MOST = {
    "backtest.losses_over_static": MOST_LOSSES,
    "backtest.limits_over_static": MOST_LIMITS,
}
JUDGED = frozenset({*_ABOVE_ZERO, *_AT_MOST})
_MEANT = (Strategy.RULE.value, Strategy.OPTIMIZED.value)


def judge(found: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return the measurements that a target speaks about, each with its outcome."""
    return tuple(_judged(each) for each in found if _is_meant(each))


def _is_meant(measurement: Measurement) -> bool:
    scope = measurement.scope
    if measurement.measure not in JUDGED:
        return False
    strategies = _ABOVE_ZERO.get(measurement.measure)
    meant = _MEANT if strategies is None else tuple(each.value for each in strategies)
    return scope.get("strategy") in meant


def _judged(measurement: Measurement) -> Measurement:
    value = measurement.value
    if value is None:
        return measurement
    if measurement.n < FEWEST_ACCOUNTS:
        return measurement.judged(
            Outcome.INCONCLUSIVE,
            f"{measurement.n} accounts were lived; {FEWEST_ACCOUNTS} are the fewest that can tell.",
        )
    if measurement.measure in _AT_MOST:
        most = _AT_MOST[measurement.measure]
        outcome = Outcome.PASS if value <= most else Outcome.BREACH
        return measurement.judged(outcome, f"At most {most:+.0%} over static is meant.")
    low, high = measurement.low, measurement.high
    if value <= 0 and high is not None and high <= 0:
        return measurement.judged(Outcome.BREACH, "It is meant to be above 0.")
    if value <= 0 or low is None or low <= 0:
        side = "is above 0, as meant" if value > 0 else "is not above 0, as meant"
        return measurement.judged(
            Outcome.INCONCLUSIVE, f"It {side}, but not beyond what chance would do."
        )
    return measurement.judged(Outcome.PASS, "It is above 0, as meant, beyond chance.")
