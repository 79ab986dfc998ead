"""Labels: which outcomes were known on the day that counts, and why the others are left out.

An outcome that nobody knew yet is not a good outcome. Rows whose label is missing, came later or
belongs to a window that was still running are excluded from fitting, counted and named; they are
never read as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.errors import ContractError, UsageError
from governance.measures.discrimination import Labels

Mask = NDArray[np.bool_]
Days = NDArray[np.datetime64]

COMPLETE = 0.95
"""A vintage month of which fewer of the awaited outcomes are known is a selection."""

SMALLEST_MONTH = 20
"""Shares of fewer rows tell nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """Which column is the outcome, and when an outcome counts as known.

    Parameters
    ----------
    target : str or None
        Outcome column of 0 and 1; ``None`` takes the label that the table's contract names.
    observed_at : str or None
        Column with the day on which the outcome became known.
    cutoff : date or None
        Only what was known on this day is learned from. It has no default: a silent "today" would
        make tomorrow's candidate another one.
    vintage : str or None
        Column with the day that the row describes. With a cutoff, a row counts only if its whole
        performance window was over: in a running window only defaults are known already.

    Raises
    ------
    UsageError
        If a day column has no cutoff, or a cutoff has no day column.
    """

    target: str | None = None
    observed_at: str | None = None
    cutoff: date | None = None
    vintage: str | None = None

    def __post_init__(self) -> None:
        if self.observed_at is not None and self.cutoff is None:
            raise UsageError(
                "--observed-at needs --cutoff: the last day whose outcomes may be learned from."
            )
        if self.cutoff is not None and self.observed_at is None and self.vintage is None:
            raise UsageError(
                "--cutoff needs --observed-at or --vintage; without a day column nobody can tell "
                "which outcomes were known on that day."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The day columns that the rule reads."""
        return tuple(name for name in (self.observed_at, self.vintage) if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """How many rows have no known outcome, by the first reason that applies.

    `missing` outcomes are empty, as those of refused customers; `undated` ones have no day;
    `later` ones became known after the cutoff; of `immature` rows the window was still running. Of
    `awaited` rows the outcome was known, but too many others of the same vintage month were not:
    defaults are known first, and such a month would be learned from its defaults alone.
    """

    missing: int = 0
    undated: int = 0
    later: int = 0
    immature: int = 0
    awaited: int = 0

    @property
    def total(self) -> int:
        """All rows without a known outcome."""
        return self.missing + self.undated + self.later + self.immature + self.awaited

    def as_lineage(self) -> dict[str, str]:
        """Return the counts under the names that the lineage has for them."""
        return {
            "labels_missing": str(self.missing),
            "labels_undated": str(self.undated),
            "labels_after_cutoff": str(self.later),
            "labels_immature": str(self.immature),
            # It came later: a lineage without such rows is the one that was signed before.
            **({"labels_awaited": str(self.awaited)} if self.awaited else {}),
        }

    def describe(self) -> str:
        """Say it in a sentence or two."""
        if not self.total:
            return ""
        parts = {
            "without an outcome": self.missing,
            "with an outcome but without its day": self.undated,
            "known only after the cutoff": self.later,
            "whose window was still running": self.immature,
            "of a vintage month whose other outcomes are awaited": self.awaited,
        }
        said = ", ".join(f"{count} {reason}" for reason, count in parts.items() if count)
        # Who has no outcome was often refused, and is not like those who have one.
        selected = (
            " Those without an outcome are neither weighted nor inferred; `limitline lab "
            "reject-inference` reports what refused customers may hide."
        )
        return f"{self.total} rows are not learned from: {said}.{selected if self.missing else ''}"


def find_known(
    rows: pa.Table, target: str, rule: LabelRule, *, horizon_months: int
) -> tuple[Mask, Unknown]:
    """Tell which rows have a known outcome, ``(n_rows,)``, and count the others by reason.

    Where windows are read, a vintage month is left out as a whole if fewer than 95 % of its
    outcomes that are known or have a later day are known. An outcome that is empty and has no day
    may be awaited or may never come, as that of a refused customer; by itself it says nothing. If
    at least 95 % of a month's known outcomes are defaults, though, and fewer of its rows have an
    outcome than in the other months (below 95 % of their share), its empty ones are awaited.

    Raises
    ------
    ContractError
        If a day column is not of days, a vintage is missing, or an outcome was known before the
        day that its row describes.
    """
    known = rows[target].is_valid().to_numpy()
    left_out = {"missing": int((~known).sum())}
    is_later = np.zeros(rows.num_rows, dtype=np.bool_)
    cutoff = None if rule.cutoff is None else np.datetime64(rule.cutoff, "D")
    vintage = None if rule.vintage is None else days(rows, rule.vintage, may_be_null=False)
    if rule.observed_at is not None and cutoff is not None:
        observed = days(rows, rule.observed_at, may_be_null=True)
        _refuse_early(observed, vintage, rule)
        known, left_out["undated"] = _narrowed(known, ~np.isnat(observed))
        is_later = known & (observed > cutoff)
        known, left_out["later"] = _narrowed(known, ~is_later)
    if vintage is not None and cutoff is not None:
        has_ended = window_end(vintage, horizon_months) <= cutoff
        known, left_out["immature"] = _narrowed(known, has_ended)
        month = vintage.astype("datetime64[M]")
        masks = (known, is_later, known & _is_one(rows[target]))
        awaited = _awaited(month[has_ended], *(mask[has_ended] for mask in masks))
        known, left_out["awaited"] = _narrowed(known, ~np.isin(month, awaited))
    return known, Unknown(**left_out)


def refuse_later_than(acquired_on: date, rows: pa.Table, rule: LabelRule) -> None:
    """Refuse outcomes that became known after the data were acquired: nobody can have seen them.

    Raises
    ------
    ContractError
        If an outcome that the rule counts as known has a day after `acquired_on`.
    """
    if rule.observed_at is None or rule.cutoff is None:
        return
    observed = days(rows, rule.observed_at, may_be_null=True)
    # A missing day is neither before nor after another one.
    counts = observed <= np.datetime64(rule.cutoff, "D")
    unborn = int((counts & (observed > np.datetime64(acquired_on, "D"))).sum())
    if unborn:
        raise ContractError(
            f"In {unborn} rows the outcome became known ({rule.observed_at}) after "
            f"{acquired_on.isoformat()}, the declared day on which the data were acquired; nobody "
            "can have seen it. Correct the export or that day, or set --cutoff to it."
        )


def _awaited(month: Days, known: Mask, later: Mask, default: Mask) -> Days:
    """Return the months, of rows whose windows have ended, of which outcomes are awaited."""
    months, at = np.unique(month, return_inverse=True)
    everybody, seen, late, defaults = (
        np.bincount(at[rows], minlength=len(months))
        for rows in (np.ones(len(at), dtype=np.bool_), known, later, default)
    )
    is_dated = (seen + late >= SMALLEST_MONTH) & (seen < COMPLETE * (seen + late))
    is_one_sided = (seen >= SMALLEST_MONTH) & (defaults >= COMPLETE * seen)
    usual = (seen >= SMALLEST_MONTH) & ~is_one_sided & ~is_dated
    # Without another month to compare with, nobody can say that this one is unusual.
    share = seen[usual].sum() / everybody[usual].sum() if usual.any() else 0.0
    found: Days = months[is_dated | (is_one_sided & (seen < COMPLETE * share * everybody))]
    return found


def _is_one(column: pa.ChunkedArray) -> Mask:
    """Tell which outcomes are 1; an outcome that is no number is refused elsewhere."""
    if not _is_number(column.type):
        return np.zeros(len(column), dtype=np.bool_)
    found: Mask = pc.cast(column, pa.float64()).fill_null(0.0).to_numpy() == 1.0
    return found


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def window_end(vintage: Days, months: int) -> Days:
    """Return the day on which a window of so many months ends, ``(n_rows,)``.

    Examples
    --------
    >>> str(window_end(np.array(["2026-01-31"], dtype="datetime64[D]"), 1)[0])
    '2026-02-28'
    """
    month = vintage.astype("datetime64[M]")
    day = vintage - month.astype("datetime64[D]")
    first = (month + months).astype("datetime64[D]")
    last = (month + months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    end: Days = np.minimum(first + day, last)
    return end


def days(rows: pa.Table, name: str, *, may_be_null: bool) -> Days:
    """Return a column of days, ``(n_rows,)``; a missing day is not-a-time.

    Raises
    ------
    ContractError
        If the column is not of days, or a day is missing where none may be.
    """
    column = rows[name]
    if not pa.types.is_date32(column.type):
        raise ContractError(
            f"The column {name} is {column.type}; it must be of days. Declare it date32 in the "
            "contract and protect again."
        )
    if column.null_count and not may_be_null:
        raise ContractError(
            f"The column {name} is empty in {column.null_count} rows; every row needs its day."
        )
    numbers = pc.cast(column, pa.int32()).to_numpy()
    # Arrow hands out days with gaps as floating numbers, whose NaN is no day.
    found: Days = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[D]")
    present = ~np.isnan(numbers)
    found[present] = numbers[present].astype(np.int64).astype("datetime64[D]")
    return found


def labels(column: pa.ChunkedArray, name: str) -> Labels:
    """Return known outcomes as 0 and 1, ``(n_rows,)``.

    Raises
    ------
    ContractError
        If the outcome is not a number, or another one than 0 and 1.
    """
    if not _is_number(column.type):
        raise ContractError(f"The outcome {name} is of type {column.type}; it must be 0 and 1.")
    numbers = pc.cast(column, pa.float64()).to_numpy()
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise ContractError(f"The outcome {name} holds other values than 0 and 1.")
    found: Labels = numbers.astype(np.int64)
    return found


def _narrowed(known: Mask, also: Mask) -> tuple[Mask, int]:
    """Return what is known under one more condition, and how many rows that took away."""
    left = known & also
    return left, int(known.sum() - left.sum())


def _refuse_early(observed: Days, vintage: Days | None, rule: LabelRule) -> None:
    if vintage is None:
        return
    early = int((observed < vintage).sum())
    if early:
        raise ContractError(
            f"In {early} rows the outcome was known ({rule.observed_at}) before the day that the "
            f"row describes ({rule.vintage}); such a row holds its own future. Correct the export."
        )
