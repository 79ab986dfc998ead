"""Fairness of limit decisions across groups: the one door to fairlearn.

An audit of approvals alone misses what happens to limits: a group can be approved as often as
another and still be raised a third less and cut half as much again. Every group is compared with
one fixed reference group, because the smallest-over-largest ratio falls with the number of groups
even where nothing differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from governance.counts import Counts
from governance.errors import IntegrityError
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.proportion import wilson
from monitoring.intervals import mover_ratio
from monitoring.misjudgment import CUT, GOOD, RAISED

MINIMUM_CUSTOMERS, MINIMUM_EVENTS = 100, 10

_EVENTS: Mapping[str, tuple[str, ...]] = {
    "approve": (*RAISED, "hold"),
    "raise": RAISED,
    "cut": CUT,
    "good_cut": CUT,
}

Cell = tuple[int, int]
"""Events and customers of one group."""


def audit(
    counts: Counts, *, attribute: str, reference_group: str, columns: Sequence[str] = tuple(_EVENTS)
) -> tuple[Measurement, ...]:
    """Compare every group's rates of approval, raise, cut and cut-though-good with one group's.

    Measures ``fairness.<column>_rate`` for every group with Wilson intervals and
    ``fairness.<column>_ratio`` for every group but the reference with MOVER-R intervals.
    ``approve`` is raise or hold, ``cut`` is cut or refuse, ``good_cut`` is cut among customers who
    turned out good.

    Parameters
    ----------
    counts : Counts
        Keys ``group``, ``action``, ``outcome``; additive ``n``, null where withheld.
    attribute : str
        Name of the protected attribute, such as ``age_band``.
    reference_group : str
        The group that the others are compared with; chosen beforehand, never from the results.

    Returns
    -------
    tuple of Measurement
        Scope ``attribute`` and ``group``; ratios are judged by thresholds elsewhere.

    Notes
    -----
    When it says nothing: fewer than 100 customers or 10 events on either side, or a withheld cell,
    are ``INCONCLUSIVE``; a rate over nobody is undefined, never 0.

    Raises
    ------
    IntegrityError
        If fairlearn computes another rate from the same counts than we do.

    References
    ----------
    Bird, S. et al. (2020), Fairlearn, Microsoft MSR-TR-2020-32; Donner and Zou (2012).
    """
    measured: list[Measurement] = []
    # Open-ended low bands first: in plain text order "<=25" would come after "56+".
    groups = sorted(map(str, counts.values("group")), key=lambda name: (name[0] != "<", name))
    for column in columns:
        cells = {group: _cell(counts, group, column) for group in groups}
        _cross_check(counts, column, cells)
        for group in groups:
            scope = {"attribute": attribute, "group": group}
            measured.append(_rate(column, scope, cells[group]))
            if group != reference_group:
                base = cells.get(reference_group, (0, 0))
                measured.append(_ratio(column, scope, cells[group], base, reference_group))
    return tuple(measured)


def fairlearn_rates(counts: Counts, column: str) -> dict[str, float]:
    """Return the rate of `column` by group as fairlearn's ``MetricFrame`` computes it from counts.

    Groups without customers are absent, because fairlearn reports 0.0 where a rate is undefined.
    Every cell weighs as many customers as it counts, which equals the frame of single customers
    bit for bit.
    """
    import numpy as np
    from fairlearn.metrics import MetricFrame, selection_rate

    events = _EVENTS[column]
    rows = [row for row in _among(counts, column).table.to_pylist() if row["n"]]
    if not rows:
        return {}
    decided = np.array([int(row["action"] in events) for row in rows])
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=decided,
        y_pred=decided,
        # A bare array of one cell would be taken for a scalar; a mapping is not squeezed.
        sensitive_features={"group": [str(row["group"]) for row in rows]},
        sample_params={"sample_weight": np.array([float(row["n"]) for row in rows])},
    )
    return {str(group): float(rate) for group, rate in frame.by_group.items()}


def _among(counts: Counts, column: str) -> Counts:
    return counts.where(outcome=GOOD) if column == "good_cut" else counts


def _cell(counts: Counts, group: str, column: str) -> Cell | None:
    """Return events and customers of one group, or None if a cell that is needed is withheld."""
    mine = _among(counts.where(group=group), column)
    n, events = mine.total(), mine.where(action=_EVENTS[column]).total()
    return None if n is None or events is None else (events, n)


def _cross_check(counts: Counts, column: str, cells: Mapping[str, Cell | None]) -> None:
    """Compute every known rate a second time with fairlearn; two answers are none."""
    known = {group: cell for group, cell in cells.items() if cell is not None and cell[1] > 0}
    theirs = fairlearn_rates(counts.where(group=list(known)), column) if known else {}
    for group, (events, n) in known.items():
        if abs(theirs[group] - events / n) > 1e-12:
            raise IntegrityError(
                f"fairlearn computes another {column} rate for one group than our own sums. "
                "Nothing was recorded; check the installed fairlearn against requirements.lock."
            )


def _rate(column: str, scope: Mapping[str, str], cell: Cell | None) -> Measurement:
    measure = f"fairness.{column}_rate"
    if cell is None:
        return _undefined(measure, scope, 0, "Cells of this group are withheld.", unit="rate")
    events, n = cell
    interval = wilson(events, n)
    if interval is None:
        return _undefined(measure, scope, 0, "0 of 0 is undefined.", unit="rate")
    return Measurement(
        measure=measure,
        scope=scope,
        value=events / n,
        low=interval.low,
        high=interval.high,
        n=n,
        unit="rate",
        reason=f"{events} of {n}",
    )


def _ratio(
    column: str, scope: Mapping[str, str], cell: Cell | None, base: Cell | None, reference: str
) -> Measurement:
    measure = f"fairness.{column}_ratio"
    if cell is None or base is None:
        whose = "this group" if cell is None else f"the reference {reference}"
        return _undefined(measure, scope, 0, f"Cells of {whose} are withheld.")
    (events, n), (base_events, base_n) = cell, base
    for (seen, size), whose in ((cell, "this group"), (base, f"the reference {reference}")):
        if size < MINIMUM_CUSTOMERS:
            reason = f"{size} customers in {whose}; {MINIMUM_CUSTOMERS} are needed."
            return _undefined(measure, scope, n, reason)
        if seen < MINIMUM_EVENTS:
            reason = f"{seen} events in {whose}; {MINIMUM_EVENTS} are needed."
            return _undefined(measure, scope, n, reason)
    interval = mover_ratio(events, n, base_events, base_n)
    rate, base_rate = events / n, base_events / base_n
    return Measurement(
        measure=measure,
        scope=scope,
        value=rate / base_rate,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=n,
        unit="ratio",
        reason=f"{rate:.3f} ({events} of {n}) against {base_rate:.3f} ({reference})",
    )


def _undefined(
    measure: str, scope: Mapping[str, str], n: int, reason: str, *, unit: str = "ratio"
) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, n=n, unit=unit, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
