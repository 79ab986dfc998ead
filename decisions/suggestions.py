"""Suggestions: what a partner proposed, read beside what was decided, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance import column_types
from governance.errors import ContractError
from privacy.feature_table import PSEUDONYM
from privacy.pseudonym import PSEUDONYM_TYPE

SUGGESTED, SCORE = "suggested_limit_minor", "partner_score"
OWN = "own_limit_minor"
ROW = "decision row"

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_NUMBERS = {
    "limit_before_minor": pa.int64(),
    "limit_after_minor": pa.int64(),
    "default_probability": pa.float64(),
    SUGGESTED: pa.int64(),
    SCORE: pa.float64(),
    OWN: pa.int64(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Decisions for which a suggestion exists, ``(n_rows,)`` each; money in minor units.

    Parameters
    ----------
    decisions : int
        All decisions, also those without a suggestion.
    row : numpy.ndarray
        Which of them each is, from 0; ascending.
    own : numpy.ndarray or None
        The own policy's decision made again; None if it is not known.
    score : numpy.ndarray or None
        The partner's score, not a number where it is missing; None if there is none.
    """

    decisions: int
    row: Integers
    before: Integers
    after: Integers
    suggested: Integers
    probability: Floats
    own: Integers | None = None
    score: Floats | None = None


def with_pseudonyms(suggestions: pa.Table) -> pa.Table:
    """Return `suggestions` with the decision pseudonym as bytes; a file may spell it in hex.

    Raises
    ------
    ContractError
        If the column is missing or is no pseudonym.
    """
    _require(suggestions, [PSEUDONYM], "suggestions")
    column = column_types.plain(suggestions[PSEUDONYM].combine_chunks())
    if pa.types.is_string(column.type):
        try:
            spelled = [None if text is None else bytes.fromhex(text) for text in column.to_pylist()]
            column = pa.array(spelled, PSEUDONYM_TYPE)
        except (ValueError, pa.ArrowInvalid):
            column = None
    if column is None or column.type != PSEUDONYM_TYPE:
        raise ContractError(
            f"The column {PSEUDONYM} of the suggestions must hold decision pseudonyms: 16 bytes, "
            "or 32 hexadecimal digits."
        )
    return suggestions.set_column(suggestions.column_names.index(PSEUDONYM), PSEUDONYM, column)


def numbered(decisions: pa.Table) -> pa.Table:
    """Return `decisions` with the number of each row, which a join would lose."""
    return decisions.append_column(ROW, pa.array(np.arange(decisions.num_rows)))


def compare(decisions: pa.Table, suggestions: pa.Table, *, key: str) -> Compared:
    """Put decisions and suggestions side by side.

    Parameters
    ----------
    decisions : pyarrow.Table
        `numbered`, with ``limit_before_minor``, ``limit_after_minor``, ``default_probability``
        (0-1); optionally ``own_limit_minor``.
    suggestions : pyarrow.Table
        ``suggested_limit_minor``; optionally ``partner_score``.
    key : str
        The column by which both name a decision.

    Raises
    ------
    ContractError
        If a column is missing or of another type, a key is missing or named twice, or a
        suggestion without an amount is there.
    """
    needed = ["limit_before_minor", "limit_after_minor", "default_probability"]
    has_own, has_score = OWN in decisions.column_names, SCORE in suggestions.column_names
    left = _checked(decisions, key, [*needed, *([OWN] if has_own else [])], "decisions")
    left = left.append_column(ROW, decisions[ROW])
    right = _checked(suggestions, key, [SUGGESTED], "suggestions")
    if has_score:
        right = right.append_column(SCORE, _number(suggestions, SCORE))
    if left[key].type != right[key].type:
        raise ContractError(
            f"The column {key} is {left[key].type} in the decisions and {right[key].type} in the "
            "suggestions. Name decisions alike in both."
        )
    joined = left.join(right, keys=key, join_type="inner").sort_by(ROW)
    taken = {name: joined[name].to_numpy() for name in joined.column_names if name != key}
    return Compared(
        decisions=decisions.num_rows,
        row=taken[ROW],
        before=taken["limit_before_minor"],
        after=taken["limit_after_minor"],
        suggested=taken[SUGGESTED],
        probability=taken["default_probability"],
        own=taken.get(OWN),
        score=taken.get(SCORE),
    )


def _checked(table: pa.Table, key: str, names: list[str], what: str) -> pa.Table:
    _require(table, [key, *names], what)
    column = column_types.ids(table[key], name=key)
    if column.null_count or pc.count_distinct(column).as_py() != table.num_rows:
        raise ContractError(f"The {what} name some {key} twice, or leave it out. Name each once.")
    numbers = {name: _number(table, name) for name in names}
    empty = sorted(name for name, column in numbers.items() if column.null_count)
    if empty:
        raise ContractError(f"The {what} have rows without {', '.join(empty)}.")
    return pa.table({key: column, **numbers})


def _number(table: pa.Table, name: str) -> pa.ChunkedArray:
    return column_types.read_as(table[name], _NUMBERS[name], name=name)


def _require(table: pa.Table, names: list[str], what: str) -> None:
    missing = sorted(set(names) - set(table.column_names))
    if missing:
        raise ContractError(f"The {what} lack the columns {', '.join(missing)}.")
