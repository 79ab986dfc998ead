"""Maturity: which sealed outcomes a version's own label rule lets a validator judge by.

Training learned from outcomes that were known on a day, and said so in the lineage. Judging by
others would hold the model against another question: in a window that is still running only the
defaults are known, and an outcome that came later belongs to a later validation. The rule is read
from the signed lineage and applied here anew; the rooms share no code, so that a fault in one is
seen by the other.

A validation speaks about customers. Two rows of one customer are no two witnesses, and fairness
counts persons; so each customer is judged by one row, the newest whose outcome can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.errors import ContractError
from governance.measurement import Measurement
from monitoring.misjudgment import shortfall
from privacy.feature_table import PSEUDONYM

UNKNOWN = "labels.unknown"

_NONE = "none"
_COMPLETE = 0.95
_SMALLEST = 20

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """When an outcome counts as known, as the lineage of a version says it.

    Parameters
    ----------
    observed_at, vintage : str or None
        Day columns: when the outcome became known, and which day the row describes.
    cutoff : date or None
        The last day whose outcomes count.
    """

    target: str
    horizon_months: int
    observed_at: str | None = None
    vintage: str | None = None
    cutoff: date | None = None

    @classmethod
    def of(cls, lineage: Mapping[str, str], *, label: str | None, on: date) -> LabelRule:
        """Read the rule from a lineage; the cutoff is never after the day of the validation.

        Parameters
        ----------
        label : str or None
            The outcome that the table's contract names, for a lineage that names none.

        Raises
        ------
        ContractError
            If neither names an outcome.
        """

        def optional(name: str) -> str | None:
            value = lineage.get(name, _NONE)
            return None if value == _NONE else value

        target, cutoff = optional("target") or label, optional("label_cutoff")
        if target is None:
            raise ContractError("The table has no label; nothing can be validated.")
        return cls(
            target=target,
            horizon_months=int(lineage.get("horizon_months", "1")),
            observed_at=optional("label_observed_at"),
            vintage=optional("vintage"),
            cutoff=min(date.fromisoformat(cutoff), on) if cutoff else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Maturity:
    """The outcomes that count, and why the others do not.

    Parameters
    ----------
    label : pyarrow.ChunkedArray
        ``(n_rows,)``: the outcome, null where it is unknown.
    is_running : numpy.ndarray
        ``(n_rows,)``: whether the row's window was still running on the cutoff.
    is_left_out : numpy.ndarray
        ``(n_rows,)``: whether the row was left out whatever its outcome is: its window was running,
        or its month's outcomes are awaited.
    unknown : mapping of str to int
        Reason to number of rows, by the first reason that applies.
    """

    label: pa.ChunkedArray
    is_running: Mask
    is_left_out: Mask
    unknown: Mapping[str, int]

    def measure(self) -> tuple[Measurement, ...]:
        """Return the share of rows without a known outcome, all and by reason."""
        n = len(self.label)
        counted = {"": sum(self.unknown.values()), **self.unknown}
        return tuple(
            Measurement(
                measure=UNKNOWN,
                scope={"reason": reason} if reason else {},
                value=count / n if n else None,
                n=n,
            )
            for reason, count in counted.items()
        )

    @property
    def doubt(self) -> str:
        """Why the known outcomes are too few to measure anything by, or nothing."""
        is_known = self.label.is_valid().to_numpy(zero_copy_only=False)
        counted = ~self.is_left_out
        return shortfall(int((counted & is_known).sum()), int((counted & ~is_known).sum()))

    @property
    def not_evidenced(self) -> tuple[str, ...]:
        """What the evidence must say that it does not show: nothing if every outcome is known."""
        return (self.describe(),) if any(self.unknown.values()) else ()

    def describe(self) -> str:
        """Say it in one sentence."""
        told = ", ".join(f"{count:,} {reason}" for reason, count in self.unknown.items() if count)
        total = sum(self.unknown.values())
        why = f": {told}" if told else ""
        return (
            f"{total:,} of {len(self.label):,} sealed rows have no known outcome under the "
            f"version's label rule{why}"
        )


def find(rows: pa.Table, rule: LabelRule) -> Maturity:
    """Apply `rule` to the sealed rows.

    Raises
    ------
    ContractError
        If the table lacks a column of the rule, or one of its days is not a day or is missing.
    """
    wanted = [name for name in (rule.target, rule.observed_at, rule.vintage) if name is not None]
    missing = [name for name in wanted if name not in rows.schema.names]
    if missing:
        raise ContractError(
            f"The version's label rule reads {', '.join(missing)}, which the sealed table lacks. "
            "Validate on the table that the version was trained on."
        )
    label, cutoff = rows[rule.target], rule.cutoff
    is_known: Mask = label.is_valid().to_numpy(zero_copy_only=False)
    unknown = {"without an outcome": int((~is_known).sum())}
    is_running = np.zeros(rows.num_rows, dtype=np.bool_)

    def narrow(reason: str, condition: Mask) -> None:
        nonlocal is_known
        left = is_known & condition
        unknown[reason] = int(is_known.sum() - left.sum())
        is_known = left

    if cutoff is not None and rule.observed_at is not None:
        observed = _days(rows, rule.observed_at)
        narrow("with an outcome but without its day", ~np.isnat(observed))
        narrow("known only after the cutoff", observed <= np.datetime64(cutoff, "D"))
    is_left_out = is_running
    is_later = np.zeros(rows.num_rows, dtype=np.bool_)
    if cutoff is not None and rule.observed_at is not None:
        is_later = label.is_valid().to_numpy(zero_copy_only=False) & (
            _days(rows, rule.observed_at) > np.datetime64(cutoff, "D")
        )
    if cutoff is not None and rule.vintage is not None:
        is_left_out = is_running = _is_running(rows, rule, cutoff)
        narrow("whose window was still running", ~is_running)
        is_awaited = _is_awaited(rows, rule, (is_known, is_later, ~is_running))
        if (is_awaited & is_known).any():
            narrow("of a vintage month whose other outcomes are awaited", ~is_awaited)
            is_left_out = is_left_out | is_awaited
    masked = pc.if_else(pa.chunked_array([pa.array(is_known)]), label, pa.scalar(None, label.type))
    return Maturity(label=masked, is_running=is_running, is_left_out=is_left_out, unknown=unknown)


def one_of_each(rows: pa.Table, day: str, rule: LabelRule) -> pa.Table:
    """Return one row of each customer, in the order of the table.

    It is the newest row whose performance window was over, under a rule that reads windows, or
    whose outcome is known, under one that does not; the newest row of all where there is no such.
    Whether the outcome of an ended window is known plays no part: defaults are known first, and
    choosing by that would choose defaults.

    Parameters
    ----------
    day : str
        The column that tells the rows of a customer apart.

    Raises
    ------
    ContractError
        As `find`.
    """
    found = find(rows, rule)
    reads_windows = rule.vintage is not None and rule.cutoff is not None
    known = found.label.is_valid().to_numpy(zero_copy_only=False)
    is_asked: NDArray[np.bool_] = ~found.is_running if reads_windows else known
    customer = rows[PSEUDONYM].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((pc.cast(rows[day], pa.int32()).to_numpy(), is_asked, customer))
    is_last = np.append(customer[order][1:] != customer[order][:-1], True)
    kept: pa.Table = rows.take(pa.array(np.sort(order[is_last])))
    return kept


def describe_newest(customers: int, rows: int) -> str:
    """Say in one sentence what was measured on."""
    return (
        f"each of {customers:,} sealed customers was judged by one of its days, the newest whose "
        f"outcome can be asked for; the other {rows - customers:,} sealed rows were not measured"
    )


def _is_awaited(rows: pa.Table, rule: LabelRule, masks: tuple[Mask, Mask, Mask]) -> Mask:
    """Tell which rows are of a month whose known outcomes are a selection, ``(n_rows,)``.

    Of a month whose windows have ended, fewer than 95 % of the outcomes that are known or have a
    later day are known; or at least 95 % of the known ones are defaults, and the share of rows with
    an outcome is below 95 % of that of the months that are neither. Fewer than 20 tell nothing.

    Parameters
    ----------
    masks : tuple of numpy.ndarray
        Rows with a known outcome, with one of a later day, and with a window that has ended.
    """
    is_known, is_later, has_ended = masks
    month = _days(rows, str(rule.vintage)).astype("datetime64[M]")
    is_bad = is_known & _is_default(rows[rule.target])
    dated, lopsided, usual = set(), {}, []
    for one in np.unique(month[has_ended]):
        inside = has_ended & (month == one)
        n, seen, later, bad = (
            int((inside & part).sum()) for part in (has_ended, is_known, is_later, is_bad)
        )
        if seen + later >= _SMALLEST and seen < _COMPLETE * (seen + later):
            dated.add(one)
        elif seen >= _SMALLEST and bad >= _COMPLETE * seen:
            lopsided[one] = (seen, n)
        elif seen >= _SMALLEST:
            usual.append((seen, n))
    share = sum(seen for seen, _ in usual) / sum(n for _, n in usual) if usual else 0.0
    short = {one for one, (seen, n) in lopsided.items() if seen < _COMPLETE * share * n}
    found: Mask = np.isin(month, np.array(sorted(dated | short), dtype="datetime64[M]"))
    return found


def _is_default(label: pa.ChunkedArray) -> Mask:
    """Tell which outcomes are 1; one that is no number is refused where it is judged by."""
    try:
        number = label.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.zeros(len(label), dtype=np.bool_)
    found: Mask = number.fill_null(0.0).to_numpy() == 1.0
    return found


def _is_running(rows: pa.Table, rule: LabelRule, cutoff: date) -> Mask:
    """Tell which windows had not ended on the cutoff, ``(n_rows,)``."""
    vintage = _days(rows, str(rule.vintage))
    empty = int(np.isnat(vintage).sum())
    if empty:
        raise ContractError(
            f"The column {rule.vintage} is empty in {empty} sealed rows; every row needs its day."
        )
    month = vintage.astype("datetime64[M]")
    first, following = (
        (month + rule.horizon_months + more).astype("datetime64[D]") for more in (0, 1)
    )
    day = vintage - month.astype("datetime64[D]")
    # The 31st of a month that has none ends with it.
    end = np.minimum(first + day, following - np.timedelta64(1, "D"))
    running: Mask = end > np.datetime64(cutoff, "D")
    return running


def _days(rows: pa.Table, name: str) -> NDArray[np.datetime64]:
    column = rows[name]
    if not pa.types.is_date32(column.type):
        raise ContractError(
            f"The column {name} is {column.type}; it must be of days. Declare it date32 in the "
            "contract and protect again."
        )
    numbers = pc.fill_null(column.cast(pa.int32()), 0).to_numpy()
    found: NDArray[np.datetime64] = numbers.astype("datetime64[D]")
    found[~column.is_valid().to_numpy(zero_copy_only=False)] = np.datetime64("NaT")
    return found
