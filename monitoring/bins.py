"""Bins: how a column is cut before it is counted, so that the cuts themselves betray nobody.

Edges are quantiles of the reference rounded to three significant digits, with at least ten rows
beyond the outermost one; the smallest and the largest value are never an edge. A value that many
rows share exactly (zero payments, a standard limit) is a bin of its own, missing values are one,
and codes that the reference did not hold ten times fall into ``other``: a new code shows there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from governance import canonical
from governance.errors import ContractError

MINIMUM_CELL = 10
MISSING, OTHER = "missing", "other"

_LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_PROTOTYPE_SHARE = 0.05
_MOST_CODES = 20
_MOST_CATEGORIES = 40


class FeatureBins(BaseModel):
    """The bins of one column.

    Parameters
    ----------
    kind : str
        ``number`` is cut at `edges`; ``code`` (whole numbers) and ``text`` are matched with
        `codes`.
    edges : tuple of float
        Ascending; a bin holds its lower edge and not its upper one; both ends are open.
    prototype : float or None
        A value of its own bin, counted nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str = Field(min_length=1)
    kind: Literal["number", "code", "text"]
    edges: tuple[float, ...] = ()
    prototype: float | None = None
    codes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the bins in order; position 0 is always ``missing``."""
        if self.kind != "number":
            return (MISSING, OTHER, *self.codes)
        own = () if self.prototype is None else (f"= {short(self.prototype)}",)
        if not self.edges:
            return (MISSING, *own, "any other" if own else "any")
        text = [short(edge) for edge in self.edges]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(text)]
        return (MISSING, *own, f"< {text[0]}", *between, f">= {text[-1]}")

    def fits(self, kind: pa.DataType) -> bool:
        """Tell whether a column of this Arrow type can be counted in these bins."""
        return _is_text(kind) if self.kind == "text" else _is_number(kind)


class Bins(BaseModel):
    """The bins of a whole table; part of the evidence, because every PSI depends on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["bins/1"] = Field(default="bins/1", alias="schema")
    features: tuple[FeatureBins, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> Bins:
        lowered = [feature.feature.lower() for feature in self.features]
        if len(set(lowered)) != len(lowered):
            # SQL engines fold case and would silently count one column twice.
            raise ValueError("two columns differ only by upper and lower case, or are the same")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are cut, in order."""
        return tuple(feature.feature for feature in self.features)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return canonical.digest(self)

    def only(self, names: Sequence[str]) -> Bins:
        """Keep the columns `names`."""
        return Bins(features=tuple(f for f in self.features if f.feature in names))

    def labels(self, feature: str) -> tuple[str, ...]:
        """Return the bin names of one column in order."""
        return next(f.labels for f in self.features if f.feature == feature)


def fit_bins(
    source: pa.Table | pa.RecordBatchReader, features: Sequence[str] | None = None
) -> Bins:
    """Cut every countable column of `source`, or those named, as deciles, tails and open ends.

    Parameters
    ----------
    source : pyarrow.Table or pyarrow.RecordBatchReader
        The reference. Pseudonyms and dates are not countable and are left out unless named.

    Raises
    ------
    ContractError
        If a named column is missing or not countable, or names differ only by case.

    Examples
    --------
    >>> table = pa.table({"paid": [0] * 50 + list(range(1001, 1051))})
    >>> fit_bins(table).labels("paid")[:4]
    ('missing', '= 0', '< 1010', '1010 to 1020')
    """
    table = source if isinstance(source, pa.Table) else source.read_all()
    wanted = list(table.column_names if features is None else features)
    fitted = []
    for name in wanted:
        if name not in table.column_names:
            raise ContractError(f"The column {name} is missing; name one of the table's columns.")
        column = table[name]
        if _is_number(column.type):
            fitted.append(_number_bins(name, column))
        elif _is_text(column.type):
            fitted.append(_text_bins(name, column))
        elif features is not None:
            raise ContractError(f"The column {name} is {column.type}; text or numbers are needed.")
    lowered = [feature.feature.lower() for feature in fitted]
    if len(set(lowered)) != len(lowered):
        raise ContractError("Two columns differ only by upper and lower case; rename one.")
    return Bins(features=tuple(fitted))


def round_significant(value: float, digits: int = 3) -> float:
    """Round to significant digits, so that an edge is no customer's exact amount.

    Examples
    --------
    >>> round_significant(22026.77)
    22000.0
    """
    return float(f"{value:.{digits}g}")


def short(value: float) -> str:
    """Write a number for a label: no exponent, no trailing zeros."""
    if 0 < abs(value) < 1e-4:
        return f"{value:g}"
    return f"{value:f}".rstrip("0").rstrip(".")


def _number_bins(name: str, column: pa.ChunkedArray) -> FeatureBins:
    numbers = pc.cast(pc.drop_null(column), pa.float64()).to_numpy()
    values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    is_whole = bool(np.equal(values, np.floor(values)).all())
    if 0 < values.size <= _MOST_CODES and is_whole:
        codes = tuple(str(int(v)) for v, n in zip(values, counts, strict=True) if n >= MINIMUM_CELL)
        return FeatureBins(feature=name, kind="code", codes=codes)
    prototype = _prototype(values, counts)
    if prototype is not None:
        others = values != prototype
        values, counts = values[others], counts[others]
    edges = _edges(values, counts)
    return FeatureBins(feature=name, kind="number", edges=edges, prototype=prototype)


def _prototype(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float | None:
    """Return the value that many rows share exactly, if there is one."""
    if values.size == 0:
        return None
    most = int(np.argmax(counts))
    is_shared = counts[most] >= max(MINIMUM_CELL, _PROTOTYPE_SHARE * counts.sum())
    return float(values[most]) if is_shared else None


def _edges(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Return rounded quantiles with at least ten rows beyond the outermost, never an extreme."""
    if values.size < 2:
        return ()
    total = int(counts.sum())
    cumulated = np.cumsum(counts)
    levels = [level for level in _LEVELS if total * min(level, 1 - level) >= MINIMUM_CELL]
    places = [int(np.searchsorted(cumulated, level * total)) for level in levels]
    rounded = {round_significant(float(values[place])) for place in places}
    return tuple(sorted(edge for edge in rounded if values[0] < edge < values[-1]))


def _text_bins(name: str, column: pa.ChunkedArray) -> FeatureBins:
    counted = pc.value_counts(pc.drop_null(pc.cast(column, pa.string()))).to_pylist()
    common = [
        (-cell["counts"], cell["values"]) for cell in counted if cell["counts"] >= MINIMUM_CELL
    ]
    codes = tuple(sorted(value for _, value in sorted(common)[:_MOST_CATEGORIES]))
    return FeatureBins(feature=name, kind="text", codes=codes)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
