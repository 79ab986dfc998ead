"""Fairness of limit decisions across groups: the one door to fairlearn.

An audit of approvals alone misses what happens to limits: a group can be approved as often as
another and still be raised a third less and cut half as much again. Every group is compared with
one fixed reference group, because the smallest-over-largest ratio falls with the number of groups
even where nothing differs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scipy import stats

from governance.column_types import ABSENT
from governance.counts import Counts
from governance.errors import IntegrityError
from governance.measurement import Measurement
from governance.measures.intervals import Interval, mover_ratio
from governance.outcome import Outcome
from governance.proportion import wilson
from monitoring.misjudgment import CUT, GOOD, RAISED, maturity
from privacy.audit_vault import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

MINIMUM_CUSTOMERS, MINIMUM_EVENTS = 100, 10

_EVENTS: Mapping[str, tuple[str, ...]] = {
    "approve": (*RAISED, "hold"),
    "raise": RAISED,
    "cut": CUT,
    "good_cut": CUT,
}
_LEAST_KNOWN = 0.5
# A year of forty comparisons a month; at most one fair year in two hundred may be accused.
_YEAR_OF_LOOKS, _FALSE_YEARS = 480, 0.005
# From here on chance does not carry a 95 % interval past a fifth, however often one looks.
_LARGE_ENOUGH = 200

# How people and programs write that somebody's group is not known; "none" may be a group.
_NOT_KNOWN = {
    *ABSENT.to_pylist(),
    *(UNKNOWN, "-", "--", ".", "?", "missing", "not known", "not available", "not stated"),
    *("未知", "不详", "不明", "无", "空", "缺失"),
}

Cell = tuple[int, int]
"""Events and customers of one group."""


def is_known(group: str) -> bool:
    """Tell whether a group is one of people, and not a word for a group that is not known.

    Examples
    --------
    >>> [is_known(group) for group in ("none", "Unknown", "N/A", "未知")]
    [True, False, False, False]
    """
    return _NOT_KNOWN.isdisjoint((group.strip(), group.strip().casefold()))


def audit(
    counts: Counts, *, attribute: str, reference_group: str, columns: Sequence[str] = tuple(_EVENTS)
) -> tuple[Measurement, ...]:
    """Compare every group's rates of approval, raise, cut and cut-though-good with one group's.

    Measures ``fairness.<column>_rate`` for every group with Wilson intervals and
    ``fairness.<column>_ratio`` for every group but the reference with MOVER-R intervals.
    ``approve`` is raise or hold, ``cut`` is cut or refuse, ``good_cut`` is cut among customers who
    turned out good. ``fairness.coverage`` is the share of customers whose group is known.

    Who looks at many small groups every month finds chance. Where fewer than 200 events are
    expected of either side, an interval that excludes equality is drawn to 1 unless Fisher's exact
    test rejects equality at a level shared by 480 looks: at most one fair year in two hundred is
    accused.

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
    When it says nothing: a ratio with fewer than 100 customers on either side, or with fewer than
    10 events on a side both counted and expected under the other side's rate, is ``INCONCLUSIVE``,
    as is a withheld cell; so nobody among many where others are many is found. ``good_cut`` needs
    95 % of a group's outcomes. A rate over nobody is undefined, never 0. If the reference has no
    event, the ratio has no upper end, and its value is the lower one. Without a second known group
    to compare with (``N/A`` or ``-`` is none), or with the group of fewer than half known, the
    coverage is ``INCONCLUSIVE``.

    Raises
    ------
    IntegrityError
        If fairlearn computes another rate from the same counts than we do.

    References
    ----------
    Bird, S. et al. (2020), Fairlearn, Microsoft MSR-TR-2020-32; Donner and Zou (2012); Fisher, R.
    A. (1935), J. R. Statist. Soc. 98, 39-54.
    """
    # Open-ended low bands first: in plain text order "<=25" would come after "56+".
    groups = sorted(
        map(str, counts.values("group")), key=lambda name: (not name.startswith("<"), name)
    )
    measured = [_coverage(counts, attribute, groups)]
    for column in columns:
        cells = {group: _cell(counts, group, column) for group in groups}
        rates = _cross_checked(counts, column, cells)
        for group in groups:
            scope = {"attribute": attribute, "group": group}
            measured.append(_rate(column, scope, cells[group], rates.get(group)))
            if group != reference_group:
                base = cells.get(reference_group, (0, 0))
                measured.append(measure_ratio(column, scope, cells[group], base, reference_group))
    return tuple(measured)


def by_group(counts: Counts, columns: Sequence[str] = tuple(_EVENTS)) -> pd.DataFrame:
    """Return the table of rates by group that fairlearn's ``MetricFrame`` computes from counts.

    Every cell weighs as many customers as it counts, which equals the frame of single customers
    bit for bit. Groups without customers are absent; a rate over nobody is not a number, because
    fairlearn's own 0.0 would be a perfect one. A withheld cell counts as nobody: ask for groups and
    columns without any.
    """
    import numpy as np
    import pandas as pd
    from fairlearn.metrics import MetricFrame

    rows = [row for row in counts.table.to_pylist() if row["n"]]
    if not rows:
        return pd.DataFrame(columns=list(columns))
    weights = np.array([float(row["n"]) for row in rows])
    frame = MetricFrame(
        metrics={column: functools.partial(_share, column=column) for column in columns},
        y_true=np.array([str(row.get("outcome")) for row in rows]),
        y_pred=np.array([str(row["action"]) for row in rows]),
        # A bare array of one cell would be taken for a scalar; a mapping is not squeezed.
        sensitive_features={"group": [str(row["group"]) for row in rows]},
        sample_params={column: {"sample_weight": weights} for column in columns},
    )
    found: pd.DataFrame = frame.by_group
    return found


def _share(outcome: Any, action: Any, sample_weight: Any, *, column: str) -> float:
    """Return fairlearn's selection rate of the events of a column among those whom it is about."""
    import numpy as np
    from fairlearn.metrics import selection_rate

    outcome, action, weight = (np.atleast_1d(each) for each in (outcome, action, sample_weight))
    among = outcome == GOOD if column == "good_cut" else np.ones(len(outcome), np.bool_)
    if not among.any():
        return float("nan")
    decided = np.isin(action, _EVENTS[column])[among].astype(int)
    return float(selection_rate(decided, decided, sample_weight=weight[among]))


def _among(counts: Counts, column: str) -> Counts:
    return counts.where(outcome=GOOD) if column == "good_cut" else counts


def _coverage(counts: Counts, attribute: str, groups: Sequence[str]) -> Measurement:
    """Measure the share of customers whose group is known; an audit of nobody is no audit."""
    sizes = {group: counts.where(group=group).total() for group in groups}
    known = [group for group, n in sizes.items() if is_known(group) and n != 0]
    scope, total = {"attribute": attribute}, sum(n or 0 for n in sizes.values())
    share = None
    if total and None not in sizes.values():
        share = sum(n or 0 for group, n in sizes.items() if is_known(group)) / total
    reason = f"known groups: {', '.join(known) or 'none'}"
    reason += f"; {counts.told}" if counts.told else ""
    found = Measurement(
        measure="fairness.coverage", scope=scope, value=share, n=total, reason=reason
    )
    if len(known) < 2:
        why = f"There is no second group to compare with ({reason})."
        return found.judged(Outcome.INCONCLUSIVE, why)
    if share is not None and share < _LEAST_KNOWN:
        why = f"The group of {1 - share:.0%} of the customers is not known ({reason})."
        return found.judged(Outcome.INCONCLUSIVE, why)
    return found


def _cell(counts: Counts, group: str, column: str) -> Cell | str:
    """Return events and customers of one group, or why there are none."""
    everything = counts.where(group=group)
    mine = _among(everything, column)
    n, events = mine.total(), mine.where(action=_EVENTS[column]).total()
    if n is None or events is None:
        return "cells are withheld"
    doubt = maturity(everything)[1] if column == "good_cut" else ""
    return doubt or (events, n)


def _cross_checked(counts: Counts, column: str, cells: Mapping[str, Cell | str]) -> pd.Series:
    """Return fairlearn's rates of a column by group; other ones than our sums are no answer."""
    known = {group: cell for group, cell in cells.items() if not isinstance(cell, str) and cell[1]}
    rates = by_group(counts.where(group=list(known)), [column])[column]
    for group, (events, n) in known.items():
        if abs(rates[group] - events / n) > 1e-12:
            raise IntegrityError(
                f"fairlearn computes another {column} rate for one group than our own sums. "
                "Nothing was recorded; check the installed fairlearn against requirements.lock."
            )
    return rates


def _rate(
    column: str, scope: Mapping[str, str], cell: Cell | str, rate: float | None
) -> Measurement:
    measure = f"fairness.{column}_rate"
    if isinstance(cell, str):
        return _undefined(measure, scope, 0, f"this group: {cell}", unit="rate")
    events, n = cell
    interval = wilson(events, n)
    if interval is None or rate is None:
        return _undefined(measure, scope, 0, "0 of 0 is undefined.", unit="rate")
    return Measurement(
        measure=measure,
        scope=scope,
        value=float(rate),
        low=interval.low,
        high=interval.high,
        n=n,
        unit="rate",
        reason=f"{events} of {n}",
    )


def measure_ratio(
    column: str, scope: Mapping[str, str], cell: Cell | str, base: Cell | str, reference: str
) -> Measurement:
    """Measure the rate of one group over that of the reference, as `audit` promises it."""
    measure, whose = f"fairness.{column}_ratio", f"the reference {reference}"
    if isinstance(cell, str):
        return _undefined(measure, scope, 0, f"this group: {cell}")
    (events, n), told = cell, f"{cell[0]} of {cell[1]}"
    if isinstance(base, str):
        return _undefined(measure, scope, n, f"{whose}: {base}")
    trouble = _trouble(cell, base, "this group") or _trouble(base, cell, whose)
    interval = mover_ratio(events, n, *base)
    if trouble or interval is None:
        return _undefined(measure, scope, n, trouble or "0/0 is undefined.")
    base_events, base_n = base
    reason = f"{events / n:.3f} ({told}) against {base_events / base_n:.3f} ({reference})"
    if base_events == 0:
        reason = f"{events / n:.3f} ({told}) against no one of {whose}; the ratio is at least this"
    elif _may_be_chance(cell, base, interval):
        interval = Interval(min(interval.low or 0.0, 1.0), max(interval.high or 1.0, 1.0))
        reason += "; small numbers, so chance reaches to 1 in a year of audits"
    return Measurement(
        measure=measure,
        scope=scope,
        value=interval.low if base_events == 0 else (events / n) / (base_events / base_n),
        low=interval.low,
        high=interval.high,
        n=n,
        unit="ratio",
        reason=reason,
    )


def _trouble(cell: Cell, other: Cell, whose: str) -> str:
    """Say why one side cannot carry a ratio, or nothing.

    Events that are missing where many are expected are no lack of data but the finding itself.
    """
    (events, n), (other_events, other_n) = cell, other
    if n < MINIMUM_CUSTOMERS:
        return f"{n} customers in {whose}; {MINIMUM_CUSTOMERS} are needed."
    # A side without customers is told of as such, and expects nothing of this one.
    if events < MINIMUM_EVENTS and n * other_events < MINIMUM_EVENTS * other_n:
        expected = n * other_events / other_n
        return (
            f"{events} events are counted and {expected:.3g} events are expected in {whose}; "
            f"{MINIMUM_EVENTS} are needed."
        )
    return ""


def _may_be_chance(cell: Cell, base: Cell, interval: Interval) -> bool:
    """Tell whether few events exclude equality, and no surer than chance does in a year."""
    (events, n), (base_events, base_n) = cell, base
    if (interval.low or 0.0) <= 1.0 <= (interval.high or 1.0):
        return False
    fewest = min(n, base_n) * (events + base_events) / (n + base_n)
    if fewest >= _LARGE_ENOUGH:
        return False
    table = [[events, n - events], [base_events, base_n - base_events]]
    return bool(stats.fisher_exact(table).pvalue > _FALSE_YEARS / _YEAR_OF_LOOKS)


def _undefined(
    measure: str, scope: Mapping[str, str], n: int, reason: str, *, unit: str = "ratio"
) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, n=n, unit=unit, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
