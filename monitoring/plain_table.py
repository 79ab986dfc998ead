"""Bring your own: anybody's Parquet or CSV, reduced to the counts that every measure needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from governance.counts import Counts
from governance.errors import ContractError
from monitoring.decisions import ACTION, OUTCOME
from monitoring.misjudgment import BAD, GOOD, MONEY, PENDING

ACTIONS = ("raise", "hold", "cut", "refuse", "review")
GROUP, UNKNOWN = "group", "unknown"


def read(path: Path) -> pa.Table:
    """Read a whole file; what it is follows from its ending (``.csv``, else Parquet).

    Raises
    ------
    ContractError
        If the file is missing, empty, truncated or neither Parquet nor CSV.
    """
    if not path.is_file():
        raise ContractError(f"There is no file {path}.")
    try:
        is_csv = path.suffix.lower() == ".csv"
        table = pc_csv.read_csv(path) if is_csv else pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        # Arrow quotes what it could not parse; the message must not.
        raise ContractError(
            f"{path.name} cannot be read as {'CSV' if is_csv else 'Parquet'}: it is empty, "
            "truncated or of another format."
        ) from None
    if table.num_rows == 0:
        raise ContractError(f"{path.name} holds no rows.")
    return table


def decisions(
    table: pa.Table,
    *,
    action: str,
    outcome: str,
    amount: str | None = None,
    count: str | None = None,
    group: str | None = None,
) -> Counts:
    """Count decisions by action, outcome and group.

    Parameters
    ----------
    action, outcome : str
        Column of `ACTIONS`; column of good, bad and pending, or of 0, 1 (default) and missing.
    amount : str, optional
        Column of the absolute limit change in whole minor units.
    count : str, optional
        Column saying how many customers a row stands for; without it, one. Amounts are then sums.
    group : str, optional
        Column of the groups to compare; missing becomes ``unknown``.

    Raises
    ------
    ContractError
        If a column is missing or holds what is not allowed.
    """
    named = [name for name in (action, outcome, amount, count, group) if name is not None]
    _require(table, named)
    columns: dict[str, object] = {
        ACTION: _actions(table[action], action),
        OUTCOME: _outcomes(table[outcome], outcome),
        "n": _whole(table[count], count) if count else np.ones(table.num_rows, dtype=np.int64),
    }
    if amount is not None:
        columns[MONEY] = _whole(table[amount], amount)
    if group is not None:
        columns[GROUP] = pc.fill_null(pc.cast(table[group], pa.string()), UNKNOWN)
    additive = ("n", MONEY) if amount is not None else ("n",)
    return Counts(pa.table(columns), additive)


def _require(table: pa.Table, names: list[str]) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        found = ", ".join(table.column_names)
        raise ContractError(f"The file lacks the column {', '.join(missing)}; it has {found}.")


def _actions(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    text = pc.utf8_lower(pc.cast(column, pa.string()))
    known = pc.fill_null(pc.is_in(text, value_set=pa.array(ACTIONS)), fill_value=False)
    if not pc.all(known).as_py():
        raise ContractError(f"The column {name} must hold {', '.join(ACTIONS)} and nothing else.")
    return text


def _outcomes(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Read outcomes written as words, or as 0 and 1 where 1 is a default."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.fill_null(pc.utf8_lower(pc.cast(column, pa.string())), PENDING)
    else:
        number = pc.cast(column, pa.float64())
        word = pc.if_else(pc.equal(number, 1), BAD, pc.if_else(pc.equal(number, 0), GOOD, "?"))
        is_missing = pc.is_null(number, nan_is_null=True)
        text = pc.if_else(is_missing, PENDING, pc.fill_null(word, PENDING))
    if not pc.all(pc.is_in(text, value_set=pa.array((GOOD, BAD, PENDING)))).as_py():
        raise ContractError(
            f"The column {name} must hold good, bad and pending, or 0, 1 (default) and missing."
        )
    return text


def _whole(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return a column of whole numbers; a fraction of a cent or of a customer is a mistake."""
    problem = f"The column {name} must hold whole numbers of zero or more, and none missing."
    try:
        whole = pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        raise ContractError(problem) from None
    if whole.null_count or pc.any(pc.less(whole, 0)).as_py():
        raise ContractError(problem)
    return whole
