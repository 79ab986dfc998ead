"""Bins: how a column is cut before it is counted, so that the cuts themselves betray nobody.

A value that a hundredth of the rows share exactly is a bin of its own, on whichever side it is: a
grade, a standard limit, zero, a new code. Between them, edges are rounded quantiles with at least
ten rows beyond the outermost; four more on each side lie where the reference ends and far beyond
it, so that an amount in the wrong unit is seen and weighs as much as it is wrong. Missing values
are a bin. Codes too rare to be named fall into ``other``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from governance import canonical
from governance.errors import ContractError
from monitoring.columns import Column, Scale, countable, scale_of

MINIMUM_CELL, NAMED_SHARE = 10, 0.01
MISSING, OTHER, PRESENT = "missing", "other", "present"

_LEVELS = (
    *(0.0007, 0.002, 0.005, 0.01, 0.05),
    *(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    *(0.95, 0.99, 0.995, 0.998, 0.9993),
)
_BEYOND = (1, 3, 9, 27)
_MOST_CODES = 20
_MOST_CATEGORIES = 40
_RESERVED = (MISSING, OTHER, PRESENT, "rare")
_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
_FARTHEST = 1e90
_EXACT = Context(prec=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Counted = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One bin: its name, and where it lies if the column can be ordered."""

    label: str
    at: float | None = None


class FeatureBins(BaseModel):
    """The bins of one column.

    Parameters
    ----------
    edges : tuple of str
        Ascending numbers, written out; a bin holds its lower edge and not its upper one. Moments
        and times of day are whole microseconds. Without edges, what is no code is ``other``.
    codes : tuple of str
        Values with a bin of their own.
    words : tuple of str
        Markers with a bin of their own, in a column of values with markers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    scale: Scale
    edges: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The bins in order; position 0 is always ``missing`` and position 1 ``other``."""
        words = (Cell(label=f'"{word}"') for word in self.words)
        return (Cell(label=MISSING), Cell(label=OTHER), *words, *self._valued())

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the bins in order."""
        return tuple(cell.label for cell in self.cells)

    @property
    def cuts(self) -> tuple[tuple[str, bool], ...]:
        """Where the order is cut: just below a number, or (true) just above it."""
        below = {(Decimal(text), False): text for text in (*self.edges, *self.codes)}
        above = {(Decimal(text), True): text for text in self.codes}
        cuts = below | above
        return tuple((cuts[key], key[1]) for key in sorted(cuts))

    def fits(self, kind: pa.DataType) -> bool:
        """Tell whether a column of this Arrow type can be counted in these bins."""
        return pa.types.is_null(kind) or scale_of(kind) is self.scale

    def _valued(self) -> tuple[Cell, ...]:
        if self.scale is Scale.PRESENCE:
            return (Cell(label=PRESENT),)
        if self.scale is Scale.TEXT:
            return tuple(Cell(label=_named(code)) for code in self.codes)
        if not self.edges:
            return tuple(Cell(label=self._said(c), at=_place(c)) for c in self.codes)
        return self._ordered()

    def _ordered(self) -> tuple[Cell, ...]:
        """Name the bins between the cuts, and put each in its middle."""
        cuts = self.cuts
        numbers = [_place(text) for text, _ in cuts]
        width = (numbers[-1] - numbers[0]) / len(numbers) or 1.0
        cells = [Cell(label=f"< {self._said(cuts[0][0])}", at=numbers[0] - width)]
        for low, high in itertools.pairwise(text for text, _ in cuts):
            if low == high:
                cells.append(Cell(label=f"= {self._said(low)}", at=_place(low)))
            else:
                label = f"{self._said(low)} to {self._said(high)}"
                cells.append(Cell(label=label, at=(_place(low) + _place(high)) / 2))
        sign = ">" if cuts[-1][1] else ">="
        return (*cells, Cell(label=f"{sign} {self._said(cuts[-1][0])}", at=numbers[-1] + width))

    def _said(self, number: str) -> str:
        """Write a number for a label: days and times as people write them."""
        if self.scale is Scale.NUMBER:
            return number
        microseconds = timedelta(microseconds=int(number))
        if self.scale is Scale.CLOCK:
            return str(microseconds)
        try:
            moment = _EPOCH + microseconds
        except OverflowError:
            return f"{number} microseconds"
        is_day = int(number) % _UNITS[0] == 0
        return f"{moment:%Y-%m-%d}" if is_day else moment.replace(tzinfo=None).isoformat(" ")


class Bins(BaseModel):
    """The bins of a whole table; part of the evidence, because every PSI depends on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["bins/2"] = Field(default="bins/2", alias="schema")
    features: tuple[FeatureBins, ...]

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
    source: pa.Table | pa.RecordBatchReader,
    features: Sequence[str] | None = None,
    *,
    current: pa.Table | None = None,
) -> Bins:
    """Cut every column of `source`, or those named: common values, quantiles, tails, open ends.

    Parameters
    ----------
    source : pyarrow.Table or pyarrow.RecordBatchReader
        The reference.
    current : pyarrow.Table, optional
        What it will be compared with. Values that are common there only get a bin of their own too,
        and columns that are there only are cut by it. Edges come from the reference alone.

    Raises
    ------
    ContractError
        If a named column is missing, a column has no name, or names are the same but for case.

    Examples
    --------
    >>> table = pa.table({"paid": [0] * 50 + list(range(1001, 1051))})
    >>> fit_bins(table).labels("paid")[2:6]
    ('< 0', '= 0', '0 to 1010', '1010 to 1015')
    """
    table = source if isinstance(source, pa.Table) else source.read_all()
    tables = [table] if current is None else [table, current]
    for side in tables:
        _refuse_names(side.column_names)
    known = dict.fromkeys(name for side in tables for name in side.column_names)
    _refuse_names(list(known))
    wanted = list(known if features is None else features)
    for name in wanted:
        if name not in known:
            raise ContractError(f"The column {name} is missing; name one of the table's columns.")
    return Bins(
        features=tuple(
            _fit(name, [side[name] for side in tables if name in side.column_names])
            for name in wanted
        )
    )


def _refuse_names(names: Sequence[str]) -> None:
    if "" in names:
        place = names.index("") + 1
        raise ContractError(f"The column at position {place} has no name; give it one.")
    if len({name.lower() for name in names}) != len(names):
        raise ContractError(
            "Two columns differ only by upper and lower case, or are the same; rename one."
        )


def _fit(name: str, columns: list[pa.ChunkedArray]) -> FeatureBins:
    """Cut one column by its first side that holds a value; the other adds what is common there."""
    filled = [column for column in columns if column.null_count < len(column)] or columns
    sides = [countable(column) for column in filled]
    scale = sides[0].scale
    sides = [side for side in sides if side.scale is scale]
    words = {word for side in sides if side.words is not None for word in _common(side.words)}
    if scale is Scale.PRESENCE:
        return FeatureBins(feature=name, scale=scale)
    distinct, counts = _counted(sides[0].values)
    codes = {code for side in sides for code in _common(side.values)}
    edges: tuple[str, ...] = ()
    if scale is Scale.TEXT or len(distinct) <= _MOST_CODES:
        codes |= set(_most_common(distinct, counts))
    else:
        edges = _edges(scale, distinct, counts, codes)
    return FeatureBins(
        feature=name,
        scale=scale,
        edges=edges,
        codes=tuple(sorted(codes, key=str if scale is Scale.TEXT else Decimal)),
        words=tuple(sorted(words)),
    )


def _counted(column: Column) -> tuple[pa.Array, Counted]:
    """Return the distinct values in order, and how many rows hold each."""
    cells = pc.value_counts(column.drop_null())
    values, counts = cells.field("values"), cells.field("counts").to_numpy()
    order = pc.sort_indices(values).to_numpy()
    if pa.types.is_floating(values.type):
        order = order[np.isfinite(values.to_numpy())[order]]
    return values.take(pa.array(order)), counts[order]


def _common(column: Column) -> list[str]:
    """Return the values that a hundredth of the rows hold, and at least ten."""
    values, counts = _counted(column)
    enough = counts >= max(MINIMUM_CELL, NAMED_SHARE * counts.sum())
    return [_written(value) for value in values.filter(pa.array(enough)).to_pylist()]


def _most_common(values: pa.Array, counts: Counted) -> list[str]:
    """Return the values that at least ten rows hold, the most common first, up to a number."""
    places = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    chosen = values.take(pa.array(places[counts[places] >= MINIMUM_CELL]))
    return [_written(value) for value in chosen.to_pylist()]


def _edges(scale: Scale, values: pa.Array, counts: Counted, codes: set[str]) -> tuple[str, ...]:
    """Return rounded quantiles of what has no bin of its own, and four edges beyond either end."""
    is_rest = ~np.isin(values.cast(pa.float64(), safe=False).to_numpy(), [float(c) for c in codes])
    rest, cumulated = values.filter(pa.array(is_rest)), np.cumsum(counts[is_rest])
    total = int(cumulated[-1]) if len(cumulated) else 0
    levels = [level for level in _LEVELS if total * min(level, 1 - level) >= MINIMUM_CELL]
    places = np.unique([np.searchsorted(cumulated, level * total) for level in levels])
    quantiles = [_exact(value) for value in rest.take(pa.array(places, pa.int64())).to_pylist()]
    if not quantiles:
        return ()
    middle = np.searchsorted(np.cumsum(counts), counts.sum() / 2)
    median = _exact(values[int(middle)].as_py())
    edges = _rounded(scale, quantiles)
    for end, sign in ((edges[0], -1), (edges[-1], 1)):
        reach = sign * (end - median)
        if reach > 0:
            far = (end + sign * times * reach for times in _BEYOND)
            edges += [_round(scale, edge, reach / 5) for edge in far]
    return tuple(_written(edge) for edge in sorted(set(edges)))


def _rounded(scale: Scale, values: list[Decimal]) -> list[Decimal]:
    """Round ascending values, so that an edge is no customer's exact amount, but not into one.

    Three significant digits where they tell neighbors apart, more where they do not.
    """
    rounded = []
    for place, value in enumerate(values):
        near = [abs(value - values[k]) for k in (place - 1, place + 1) if 0 <= k < len(values)]
        three = Decimal(1).scaleb(value.adjusted() - 1)
        rounded.append(_round(scale, value, min([gap / 5 for gap in near] or [three])))
    return rounded


def _round(scale: Scale, value: Decimal, width: Decimal) -> Decimal:
    """Round to a unit of at most `width`; moments to whole days, hours, minutes, seconds."""
    if scale is Scale.NUMBER:
        exponent = min(value.adjusted() - 2, width.adjusted())
        return value.quantize(Decimal(1).scaleb(exponent), context=_EXACT)
    unit = next((unit for unit in _UNITS if unit <= width), 1)
    return value // unit * unit


def _exact(value: float | Decimal) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _written(value: str | float | Decimal) -> str:
    """Write a value so that it can be read back exactly: no exponent where it would be short."""
    if isinstance(value, str):
        return value
    exact = _exact(value).normalize(_EXACT)
    if not exact:
        return "0"
    return f"{exact:f}" if -12 <= exact.adjusted() < 40 else str(exact)


def _place(number: str) -> float:
    """Return where a number lies; what no engine can add up any more lies at the end."""
    return min(max(float(number), -_FARTHEST), _FARTHEST)


def _named(code: str) -> str:
    """Name the bin of a code; one that is called like another bin is put in quotation marks."""
    return f'"{code}"' if code in _RESERVED or code.startswith('"') else code
