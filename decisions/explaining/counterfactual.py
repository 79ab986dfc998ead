"""Counterfactuals: what a customer would have to change, asked of the model before it is said.

A change is made on the released columns and everything is computed anew from there, so a promise
never rests on features that cannot occur together. It is shown only if the judge, asked again,
keeps it: a ceiling of the default probability, or the very policy that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decisions import sql
from decisions.explaining.contributions import Matrix, Scores
from decisions.explaining.reason_texts import Lever
from decisions.features import FeatureSpec

# Arithmetic on other columns may leave differences of this size; they are no worse behavior.
_NOISE = 1e-9


class Judged(NamedTuple):
    """What a judge says of released rows, ``(n_rows,)`` each.

    Parameters
    ----------
    features : ndarray of float64, shape (n_rows, n_features)
        In the order of the spec.
    value : ndarray of float64
        What was asked for: a default probability, or a limit.
    is_enough : ndarray of bool
    """

    features: Matrix
    value: Scores
    is_enough: NDArray[np.bool_]


Judge = Callable[[pa.Table], Judged]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one customer would have to do, and what the judge then says.

    Parameters
    ----------
    levers : tuple of Lever
        Empty if all is well as it is.
    before, after : float
        The judge's value as it is and with the change.
    """

    levers: tuple[Lever, ...]
    before: float
    after: float

    def texts(self, language: str = "en") -> tuple[str, ...]:
        """Spell out the change."""
        return tuple(lever.zh if language == "zh" else lever.en for lever in self.levers)


def smallest_changes(
    spec: FeatureSpec, levers: Sequence[Lever], rows: pa.Table, judge: Judge
) -> tuple[Change | None, ...]:
    """Return, for each row, the smallest change with which `judge` is content.

    Fewer levers come before more, and earlier ones in the file before later ones. A change that
    would move any feature against its declared direction is not proposed.

    Returns
    -------
    tuple of Change or None
        ``None`` where nothing that the customer can do is enough.
    """
    known, signs = judge(rows), np.array(spec.signs)
    found: list[Change | None] = [
        Change(levers=(), before=float(value), after=float(value)) if fine else None
        for value, fine in zip(known.value, known.is_enough, strict=True)
    ]
    for chosen in _combinations(levers):
        open_rows = np.array([place for place, change in enumerate(found) if change is None])
        if not open_rows.size:
            break
        then = judge(changed(rows.take(open_rows), chosen))
        moved = (then.features - known.features[open_rows]) * signs
        for place in np.flatnonzero(then.is_enough & (moved <= _NOISE).all(axis=1)):
            row = int(open_rows[place])
            before, after = float(known.value[row]), float(then.value[place])
            found[row] = Change(levers=chosen, before=before, after=after)
    return tuple(found)


def changed(rows: pa.Table, levers: Sequence[Lever]) -> pa.Table:
    """Return the released columns as they would be after the change; types and order are kept.

    Raises
    ------
    ContractError
        If an expression does not fit the table.
    """
    texts = {column: text for lever in levers for column, text in lever.columns.items()}
    columns = [
        f"{texts[name]} AS {sql.quoted(name)}" if name in texts else sql.quoted(name)
        for name in rows.column_names
    ]
    result = sql.run(f"SELECT {', '.join(columns)} FROM source", source=rows)  # noqa: S608  (reviewed files, locked engine)
    return result.cast(rows.schema)


def _combinations(levers: Sequence[Lever]) -> Iterator[tuple[Lever, ...]]:
    for size in range(1, len(levers) + 1):
        yield from combinations(levers, size)
