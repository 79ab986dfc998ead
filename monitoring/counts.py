"""Reduce rows to counts: one ANSI SQL statement per table, whatever the engine behind it.

Counts are sums. Days add up to months, segments to the book, and a reference of last year's same
weekdays is an addition, not a new scan. A bin of numbers says where it lies, so that counts hold
the sum of a column too, to the width of a bin, and no cell of one customer holds an amount.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from decisions import sql
from governance.counts import Counts
from monitoring.bins import Bins, FeatureBins, fit_bins
from monitoring.columns import Column, Scale, countable

__all__ = ["Bins", "fit_bins", "reduce", "statement"]

_SHAPE = pa.schema(
    [
        ("feature", pa.string()),
        ("bin", pa.string()),
        ("at", pa.float64()),
        ("n", pa.int64()),
    ]
)


def reduce(source: pa.Table | pa.RecordBatchReader, bins: Bins) -> Counts:
    """Count the rows of `source` in every bin of every column.

    A column that is missing, or has a type that the bins cannot take, is left out of the result:
    it costs itself, not the report, and the drift measure says so.

    Returns
    -------
    Counts
        Keys ``feature``, ``bin`` (the bin's label) and ``at`` (where it lies, null for what has no
        order), additive ``n``. Only bins that hold rows.
    """
    fields = {field.name: field.type for field in source.schema}
    usable = [f for f in bins.features if f.feature in fields and f.fits(fields[f.feature])]
    if not usable:
        return Counts(_SHAPE.empty_table())
    prepared = _prepared(source, usable)
    counted = sql.run(statement(usable, prepared.schema), source=prepared).to_pylist()
    cells = [feature.cells for feature in usable]
    rows = []
    for found in counted:
        cell = cells[found["feature"]][found["bin"]]
        name = usable[found["feature"]].feature
        rows.append({"feature": name, "bin": cell.label, "at": cell.at, "n": found["n"]})
    return Counts(pa.Table.from_pylist(rows, schema=_SHAPE))


def statement(features: Sequence[FeatureBins], schema: pa.Schema) -> str:
    """Write the one statement that counts `features` in a prepared table called ``source``.

    The columns of feature number k are ``vk`` and, where it has markers, ``wk``. Every bin number
    is an integer and never null, so that a null after grouping says which grouping set a row
    belongs to.
    """
    names = [f"f{place}" for place in range(len(features))]
    inner = ",\n  ".join(
        f"{_case(feature, place, schema)} AS f{place}" for place, feature in enumerate(features)
    )
    which = " ".join(f"WHEN {name} IS NOT NULL THEN {place}" for place, name in enumerate(names))
    sets = ", ".join(f"({name})" for name in names)
    return (
        f"SELECT CASE {which} END AS feature, COALESCE({', '.join([*names, '0'])}) AS bin,"
        f" COUNT(*) AS n\nFROM (SELECT\n  {inner}\nFROM source) AS cut\n"
        f"GROUP BY GROUPING SETS ({sets})\nORDER BY 1, 2"
    )


def _prepared(
    source: pa.Table | pa.RecordBatchReader, features: Sequence[FeatureBins]
) -> pa.Table | pa.RecordBatchReader:
    """Keep the columns that are counted, each as a type that every engine has."""

    def columns(held: pa.Table | pa.RecordBatch) -> dict[str, Column]:
        made: dict[str, Column] = {}
        for place, feature in enumerate(features):
            found = countable(held[feature.feature])
            made[f"v{place}"] = found.values
            if found.words is not None:
                made[f"w{place}"] = found.words
        return made

    if isinstance(source, pa.Table):
        return pa.table(columns(source))
    empty = pa.table(columns(source.schema.empty_table()))
    batches = (pa.RecordBatch.from_pydict(columns(batch)) for batch in source)
    return pa.RecordBatchReader.from_batches(empty.schema, batches)


def _case(feature: FeatureBins, place: int, schema: pa.Schema) -> str:
    """Write the expression that numbers the bin of one column, in the order of its cells."""
    column, kind = f"v{place}", schema.field(f"v{place}").type
    steps = []
    if f"w{place}" in schema.names:
        steps = [f"WHEN w{place} = {literal(w)} THEN {k}" for k, w in enumerate(feature.words, 2)]
        steps.append(f"WHEN w{place} IS NOT NULL THEN 1")
    steps.append(f"WHEN {column} IS NULL THEN 0")
    first = 2 + len(feature.words)
    if feature.edges:
        return f"CASE {' '.join(steps)} ELSE {_search(feature, column, kind, first)} END"
    if feature.scale is Scale.PRESENCE:
        return f"CASE {' '.join(steps)} ELSE {first} END"
    is_text = feature.scale is Scale.TEXT
    for k, code in enumerate(feature.codes, first):
        wanted = literal(code) if is_text else _number(code, kind)
        steps.append(f"WHEN {column} = {wanted} THEN {k}")
    return f"CASE {' '.join(steps)} ELSE 1 END"


def _search(feature: FeatureBins, column: str, kind: pa.DataType, first: int) -> str:
    """Write a search by halves: five comparisons a row instead of thirty."""
    cuts = feature.cuts

    def between(low: int, high: int) -> str:
        if low == high:
            return str(first + low)
        middle = (low + high) // 2
        number, is_above = cuts[middle]
        sign = "<=" if is_above else "<"
        test = f"{column} {sign} {_number(number, kind)}"
        return f"CASE WHEN {test} THEN {between(low, middle)} ELSE {between(middle + 1, high)} END"

    return between(0, len(cuts))


def _number(text: str, kind: pa.DataType) -> str:
    """Write a number for SQL as the column holds it: a float is compared with the same float."""
    if pa.types.is_floating(kind) and "E" not in text:
        return f"{text}e0"
    return text


def literal(text: str) -> str:
    """Quote a text value for SQL."""
    return "'" + text.replace("'", "''") + "'"
