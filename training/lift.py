"""The lift table: how many defaults lie among the riskiest customers."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from governance.measurement import Measurement
from governance.measures.discrimination import ONE_CLASS, Labels, Scores, undefined

PARTS = 10


def measure_lift(
    labels: Labels, probability: Scores, *, parts: int = PARTS
) -> tuple[Measurement, ...]:
    """Return lift and captured share of each part of the customers, the riskiest part first.

    Formula: customers are ranked by falling default probability and cut into parts of equal size;
    equal probabilities stay in input order. ``lift.ratio`` is the default rate of a part over that
    of all, with a Wilson interval of the part's rate; ``lift.captured`` is the share of all
    defaults in this part and the riskier ones, with a Wilson interval. The scope names the part,
    1 being the riskiest.

    Notes
    -----
    When it says nothing: with one class only, or with fewer customers than parts, there is one
    undefined measurement.

    Examples
    --------
    >>> labels, told = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.1])
    >>> [found.value for found in measure_lift(labels, told, parts=2)]
    [2.0, 1.0, 0.0, 1.0]
    """
    n, defaults = len(labels), int(labels.sum())
    if not 0 < defaults < n or n < parts:
        reason = ONE_CLASS if n >= parts else f"There are fewer than {parts} customers."
        return (undefined("lift.ratio", n, reason, unit="ratio"),)
    order = np.argsort(-probability, kind="stable")
    table: list[Measurement] = []
    found = 0
    for number, rows in enumerate(np.array_split(order, parts), start=1):
        events = int(labels[rows].sum())
        found += events
        table += _part(str(number), (events, len(rows)), (found, defaults), defaults / n)
    return tuple(table)


def _part(
    part: str, inside: tuple[int, int], captured: tuple[int, int], overall: float
) -> tuple[Measurement, Measurement]:
    scope = {"part": part}
    rate, share = binomtest(*inside), binomtest(*captured)
    of_rate, of_share = (test.proportion_ci(method="wilson") for test in (rate, share))
    return (
        Measurement(
            measure="lift.ratio",
            scope=scope,
            value=rate.statistic / overall,
            low=of_rate.low / overall,
            high=of_rate.high / overall,
            n=inside[1],
            unit="ratio",
        ),
        Measurement(
            measure="lift.captured",
            scope=scope,
            value=share.statistic,
            low=of_share.low,
            high=of_share.high,
            n=captured[1],
        ),
    )
