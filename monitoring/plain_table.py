"""Bring your own: anybody's Parquet or CSV, reduced to the counts that every measure needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.column_types import read_as, texts, words
from governance.counts import Counts
from governance.errors import ContractError
from governance.inference import comparable
from governance.measurement import Measurement
from governance.table import PlainFile
from monitoring.decisions import ACTION, OUTCOME, observed_in_time
from monitoring.misjudgment import BAD, GOOD, MONEY, PENDING

ACTIONS = ("raise", "hold", "cut", "refuse", "review")
GROUP, UNKNOWN = "group", "unknown"

_YES, _NO = ("1", "yes", "y", "t", "是"), ("0", "no", "n", "f", "否")
_GRANTED = ("approve", "approved", "grant", "granted", "accept", "accepted")
_GRANTED_ZH = ("批准", "已批准", "通过", "已通过", "审批通过", "同意")
_REFUSED = ("refuse", "refused", "decline", "declined", "deny", "denied", "reject", "rejected")
_REFUSED_ZH = ("拒绝", "已拒绝", "不通过", "未通过", "审批不通过", "不同意")
# What was asked for was granted, which is a raise or a first limit, or it was refused.
_GRANTS = dict.fromkeys((*_YES, *_GRANTED, *_GRANTED_ZH), "raise") | dict.fromkeys(
    (*_NO, *_REFUSED, *_REFUSED_ZH), "refuse"
)
_OUTCOMES = {GOOD: GOOD, BAD: BAD, PENDING: PENDING} | dict.fromkeys(_YES, BAD)
_OUTCOMES |= dict.fromkeys(_NO, GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDays:
    """When the decisions of a table were made, and when their outcomes were observed.

    Parameters
    ----------
    decided_on, observed_on : str
        Columns of days.
    performance_days : int
        Days after a decision until its outcome has matured.
    until : date
        The day of the measurement; nobody can have observed anything later.
    """

    decided_on: str
    observed_on: str
    performance_days: int
    until: date

    @property
    def columns(self) -> tuple[str, str]:
        """The columns that are read."""
        return self.decided_on, self.observed_on

    def counted(self, table: pa.Table, outcome: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the outcomes that were observed in time; the others are pending."""
        decided, observed = (read_as(table[name], pa.date32(), name=name) for name in self.columns)
        return observed_in_time(
            outcome,
            decided_on=decided,
            observed_on=observed,
            performance_days=self.performance_days,
            until=self.until,
        )


def measure_pending(counts: Counts, days: OutcomeDays | None) -> Measurement:
    """Measure the share of decisions whose outcome does not count, and say by which days."""
    n, pending = counts.total() or 0, counts.where(outcome=PENDING).total() or 0
    told = "no days were given: every outcome was taken as observed after its performance window"
    if days is not None:
        told = (
            f"an outcome counts if {days.observed_on} is {days.performance_days} days or more "
            f"after {days.decided_on} and not after {days.until}; every other one is pending"
        )
    return Measurement(
        measure="labels.unknown",
        value=pending / n if n else None,
        n=n,
        reason=f"{pending} of {n} pending; {told}",
    )


def read(path: Path, columns: Sequence[str | None], encoding: str = "") -> pa.Table:
    """Read the columns that are asked for of a whole file; None and repetitions ask for nothing.

    Raises
    ------
    ContractError
        As `PlainFile.read`.
    """
    asked = dict.fromkeys(name for name in columns if name is not None)
    return PlainFile(path=path, what="table of decisions", encoding=encoding).read(list(asked))


def read_both(reference: Path, current: Path, encoding: str = "") -> tuple[pa.Table, pa.Table]:
    """Read two whole files for a comparison, with their columns as `comparable` finds them.

    Raises
    ------
    ContractError
        As `PlainFile.read` and `comparable`; if the first line of a CSV is no header, whose
        cells would be shown as names of columns.
    """
    before = PlainFile(path=reference, what="reference", encoding=encoding)
    now = PlainFile(path=current, what="current table", encoding=encoding)
    for file in (before, now):
        file.require_header()
    return comparable(before.read(), now.read())


def decisions(
    table: pa.Table,
    *,
    action: str,
    outcome: str,
    amount: str | None = None,
    count: str | None = None,
    group: str | None = None,
    days: OutcomeDays | None = None,
) -> Counts:
    """Count decisions by action, outcome and group.

    Parameters
    ----------
    action, outcome : str
        Column of `ACTIONS`, or of 1, yes or approved (``raise``) and 0, no or declined
        (``refuse``); column of good, bad and pending, or of 0, 1 or yes (default) and missing.
    amount : str, optional
        Column of the absolute limit change in whole minor units.
    count : str, optional
        Column saying how many customers a row stands for; without it, one. Amounts are then sums.
    group : str, optional
        Column of the groups to compare; missing becomes ``unknown``.
    days : OutcomeDays, optional
        When decisions were made and outcomes observed; without it, every outcome counts.

    Raises
    ------
    ContractError
        If a column is missing or holds what is not allowed.
    """
    wanted = (action, outcome, amount, count, group, *(days.columns if days else ()))
    named = [name for name in wanted if name is not None]
    missing = [name for name in named if name not in table.column_names]
    if missing:
        raise ContractError(f"The table lacks the columns {', '.join(missing)}.")
    columns: dict[str, object] = {
        ACTION: _actions(table[action], action),
        OUTCOME: pc.fill_null(words(table[outcome], _OUTCOMES, name=outcome), PENDING),
        "n": _whole(table[count], count) if count else np.ones(table.num_rows, dtype=np.int64),
    }
    if days is not None:
        columns[OUTCOME] = days.counted(table, columns[OUTCOME])
    if amount is not None:
        columns[MONEY] = _whole(table[amount], amount)
    if group is not None:
        columns[GROUP] = pc.fill_null(texts(table[group], name=group), UNKNOWN)
    additive = ("n", MONEY) if amount is not None else ("n",)
    return Counts(pa.table(columns), additive)


def _actions(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        read = words(column, {action: action for action in ACTIONS}, name=name)
    except ContractError:
        read = _grants(column, name)
    if read.null_count:
        raise ContractError(
            f"The column {name} must hold a decision in every row; it is empty in "
            f"{read.null_count} rows."
        )
    return read


def _grants(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return words(column, _GRANTS, name=name)
    except ContractError:
        pass
    raise ContractError(
        f"The column {name} must hold one of two things throughout: {', '.join(ACTIONS)}; or "
        "whether what was asked for was granted (1, true, yes, approved, 是) or not (0, false, no, "
        "declined, 否). It holds something else, or both."
    )


def _whole(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return a column of whole numbers; a fraction of a cent or of a customer is a mistake."""
    whole = read_as(column, pa.int64(), name=name)
    if whole.null_count or pc.any(pc.less(whole, 0)).as_py():
        raise ContractError(
            f"The column {name} must hold whole numbers of zero or more, and none missing."
        )
    return whole
