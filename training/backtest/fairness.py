"""Fairness of a backtest: good customers cut or raised, group by group, against one group.

Sex and age are the simulated world's own columns. No strategy reads them; they are looked up after
the limits were decided. Firms have neither and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.proportion import QUANTILE
from training.backtest.loop import Run
from training.backtest.measures import ALL, Runs
from training.backtest.strategy import Strategy
from training.world import anchors
from training.world.settings import Segment

# The same groups and reference groups as the column contract of the UCI data.
SEXES = {"female": 2, "male": 1}
AGE_EDGES = (25, 35, 45, 55)
AGE_BANDS = ("<=25", "26-35", "36-45", "46-55", ">55")
REFERENCE = {"sex": "female", "age_band": "26-35"}
FEWEST = 30

Flags = NDArray[np.bool_]


def measure_fairness(runs: Runs) -> tuple[Measurement, ...]:
    """Return cut and raise ratios of every strategy that moves limits, over all seeds together."""
    found: list[Measurement] = []
    for strategy in dict.fromkeys(each for each, _ in runs):
        if strategy is not Strategy.STATIC:
            mine = [run for (each, _), run in runs.items() if each is strategy]
            static = [run for (each, _), run in runs.items() if each is Strategy.STATIC]
            found += _of_strategy(strategy, mine, static)
    return tuple(found)


def _of_strategy(
    strategy: Strategy, runs: Sequence[Run], static: Sequence[Run]
) -> Iterator[Measurement]:
    kept = np.concatenate([~s.is_bad & (_segment(s) == Segment.CONSUMER.value) for s in static])
    events = {
        "cut": np.concatenate([run.ledger.cuts > 0 for run in runs])[kept],
        "raise": np.concatenate([run.ledger.raises > 0 for run in runs])[kept],
    }
    for attribute, groups in _groups(static).items():
        reference = groups[REFERENCE[attribute]][kept]
        for group, members in groups.items():
            if group == REFERENCE[attribute]:
                continue
            scope = {
                "strategy": strategy.value,
                "seed": ALL,
                "attribute": attribute,
                "group": group,
            }
            for name, happened in events.items():
                yield measure_ratio(
                    f"backtest.{name}_ratio", happened[members[kept]], happened[reference], scope
                )


def measure_ratio(name: str, group: Flags, reference: Flags, scope: dict[str, str]) -> Measurement:
    """Measure a group's rate over that of the reference group, with Katz' interval.

    Notes
    -----
    When it says nothing: ``INCONCLUSIVE`` if either group has fewer than 30 customers or no event;
    0 of 0 is undefined, and a ratio of nothing says nothing.

    References
    ----------
    Katz et al. (1978), Biometrics 34, 469-474.

    Examples
    --------
    >>> import numpy as np
    >>> half, quarter = np.arange(40) % 2 == 0, np.arange(40) % 4 == 0
    >>> measure_ratio("backtest.cut_ratio", half, quarter, {}).value
    2.0
    """
    events, n = int(group.sum()), len(group)
    base, size = int(reference.sum()), len(reference)
    if min(n, size) < FEWEST or not events or not base:
        return Measurement(
            measure=name,
            scope=scope,
            n=n,
            unit="ratio",
            outcome=Outcome.INCONCLUSIVE,
            reason=f"Fewer than {FEWEST} good customers in a group, or nobody was concerned.",
        )
    ratio = (events / n) / (base / size)
    spread = QUANTILE * math.sqrt(1 / events - 1 / n + 1 / base - 1 / size)
    return Measurement(
        measure=name,
        scope=scope,
        value=ratio,
        low=ratio * math.exp(-spread),
        high=ratio * math.exp(spread),
        n=n,
        unit="ratio",
    )


def _groups(runs: Sequence[Run]) -> dict[str, dict[str, Flags]]:
    real = anchors.load()
    rows = np.concatenate([run.end.book.row for run in runs])
    band = np.searchsorted(AGE_EDGES, real.age[rows], side="left")
    return {
        "sex": {name: real.sex[rows] == code for name, code in SEXES.items()},
        "age_band": {name: band == place for place, name in enumerate(AGE_BANDS)},
    }


def _segment(run: Run) -> NDArray[np.str_]:
    return np.array([segment.value for segment in Segment])[run.end.book.segment]
