"""Paired fairness: whether another model treats the worst-treated group more equally.

The rows of a protected group never leave the audit vault. What leaves is how many customers of a
group either model moves and how many both move, and that is enough to draw the two models on the
same customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from governance.measurement import Measurement
from governance.measures.comparison import mirrored, one
from governance.measures.intervals import Floats, Interval, count_bootstrap
from governance.outcome import Outcome
from monitoring.fairness import MINIMUM_CUSTOMERS, MINIMUM_EVENTS

GAIN, WORST_RATIO = "alternatives.ratio_gain", "alternatives.worst_ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Events of one group under the version and under the alternative, as the audit vault tells.

    Parameters
    ----------
    n, version, alternative : int or None
        Customers, and events under either model; None if the vault withholds them.
    fewest, most : int
        Bounds of the events that only the alternative has: equal, unless the vault withholds it.
    """

    group: str
    n: int | None
    version: int | None
    alternative: int | None
    fewest: int = 0
    most: int = 0

    def trouble(self, rate: float) -> str:
        """Say why the group cannot be measured, or nothing.

        Events that are missing where the rate of all groups promises ten are no lack of data but
        what is looked for.
        """
        if self.n is None or self.version is None or self.alternative is None:
            return f"cells of {self.group} are withheld"
        if self.n < MINIMUM_CUSTOMERS:
            return f"{self.n} customers in {self.group}; {MINIMUM_CUSTOMERS} are needed"
        fewest = min(self.version, self.alternative)
        if fewest < MINIMUM_EVENTS and self.n * rate < MINIMUM_EVENTS:
            return f"{fewest} events in {self.group}; {MINIMUM_EVENTS} are needed"
        return ""

    def cells(self, only_alternative: int) -> list[float]:
        """Return both, only the version, only the alternative, neither.

        Half a customer is added to each cell of disagreement (Agresti and Min): that nobody differs
        among a hundred does not show that nobody ever will.
        """
        n, version, alternative = self.n or 0, self.version or 0, self.alternative or 0
        both = alternative - only_alternative
        only_version = version - both
        neither = n - both - only_version - only_alternative
        return [both, only_version + 0.5, only_alternative + 0.5, neither]


def measure_gain(
    pairs: tuple[Pair, ...], *, reference: str, scope: Mapping[str, str], version: str, seed: int
) -> tuple[Measurement, ...]:
    """Measure how much nearer to equality the alternative treats its worst-treated group.

    ``worst_ratio`` of a model = the smallest, over the groups, of min(r, 1/r), where r is the
    group's rate over that of one fixed reference group; 1 is equality. ``ratio_gain`` = that of the
    alternative minus that of the version. The interval is the basic bootstrap interval of the
    counts of agreement and disagreement, so that both models are drawn on the same customers. Where
    the vault withholds how many differ, the wider interval of the two bounds is taken.

    Parameters
    ----------
    pairs : tuple of Pair
        Every group with its events under both models, the reference among them.
    scope : mapping of str to str
        ``alternative``, ``attribute`` and ``of``, the event.
    version : str
        Name of the version, for the scope of its own worst ratio.

    Returns
    -------
    tuple of Measurement
        Worst ratio of the version, worst ratio of the alternative, gain.

    Notes
    -----
    When it says nothing: if one group has fewer than 100 customers, or fewer than 10 events both
    counted and expected at the rate of all groups, or is withheld, the worst-treated one is not
    known. The outcome is ``INCONCLUSIVE`` and value and interval are those
    of the other groups.
    """
    troubles = {pair.group: pair.trouble(_common_rate(pairs)) for pair in pairs}
    useful = tuple(pair for pair in pairs if not troubles[pair.group])
    trouble = "; ".join(why for why in troubles.values() if why)
    scopes = ({**scope, "alternative": version}, scope, scope)
    measures = (WORST_RATIO, WORST_RATIO, GAIN)
    n = sum(pair.n or 0 for pair in useful)
    if len(useful) < 2 or reference not in {pair.group for pair in useful}:
        why = trouble or "there is no second group to compare with"
        return tuple(
            one(measure, about, None, n, reason=why)
            for measure, about in zip(measures, scopes, strict=True)
        )
    place = [pair.group for pair in useful].index(reference)
    values = _worst(np.array([_counted(pair) for pair in useful])[None], place)[:, 0]
    worst_group = useful[_worst_at(useful, place)].group
    reason = trouble or f"the version treats {worst_group} furthest from {reference}"
    measured = []
    for kind, (measure, about) in enumerate(zip(measures, scopes, strict=True)):
        interval = _outer(useful, place, kind, seed)
        found = one(measure, about, (values[kind], interval), n, reason=reason)
        if trouble:
            found = found.judged(Outcome.INCONCLUSIVE, reason)
        measured.append(found)
    return tuple(measured)


def _common_rate(pairs: tuple[Pair, ...]) -> float:
    """Return the rate of all groups that are told, under the model that has fewer events."""
    told = [p for p in pairs if None not in (p.n, p.version, p.alternative)]
    events = min(sum(p.version or 0 for p in told), sum(p.alternative or 0 for p in told))
    return events / max(sum(p.n or 0 for p in told), 1)


def _outer(useful: tuple[Pair, ...], place: int, kind: int, seed: int) -> Interval | None:
    """Return the widest interval over what the vault leaves open about disagreement."""
    value = float(_worst(np.array([_counted(pair) for pair in useful])[None], place)[kind, 0])
    found = []
    for end in ("most", "fewest"):
        cells = np.array([pair.cells(getattr(pair, end)) for pair in useful])

        def statistic(draws: Floats) -> Floats:
            drawn: Floats = _worst(draws.reshape(len(draws), -1, 4), place)[kind]
            return drawn

        interval = count_bootstrap(cells.ravel(), statistic, seed=seed)
        if interval is None or interval.low is None or interval.high is None:
            return None
        found.append(mirrored(value, interval.low, interval.high))
        if all(pair.fewest == pair.most for pair in useful):
            break
    low, high = min(end.low or 0.0 for end in found), max(end.high or 0.0 for end in found)
    # A ratio of the worst-treated group lies between 0 and 1; a gain may be negative.
    return Interval(low, high) if kind == 2 else Interval(max(low, 0.0), min(high, 1.0))


def _counted(pair: Pair) -> list[float]:
    """Return the cells as they were counted, nothing added; margins are all that a value needs."""
    both, only_version, only_alternative, neither = pair.cells(pair.most)
    return [both, only_version - 0.5, only_alternative - 0.5, neither]


def _worst(cells: Floats, place: int) -> Floats:
    """Return worst ratio of the version, of the alternative and gain, ``(3, n_draws)``.

    `cells` is ``(n_draws, n_groups, 4)``.
    """
    n = cells.sum(axis=2)
    folded = [_folded((cells[:, :, 0] + cells[:, :, own]) / n, place) for own in (1, 2)]
    version, alternative = (one.min(axis=1) for one in folded)
    return np.stack([version, alternative, alternative - version])


def _worst_at(useful: tuple[Pair, ...], place: int) -> int:
    rates = np.array([[(pair.version or 0) / (pair.n or 1) for pair in useful]])
    folded = _folded(rates, place)[0]
    return int(np.argmin(folded))


def _folded(rates: Floats, place: int) -> Floats:
    """Return min(r, 1/r) of every group's rate to the reference's; the reference itself is 1."""
    base = rates[:, [place]]
    highest = np.maximum(rates, base)
    # Nobody on either side is 0/0, which is undefined and not zero.
    with np.errstate(invalid="ignore"):
        folded: Floats = np.minimum(rates, base) / highest
    return folded
