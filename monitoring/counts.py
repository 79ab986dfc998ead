"""Reduce rows to counts: one ANSI SQL statement per table, whatever the engine behind it.

Counts are sums. Days add up to months, segments to the book, and a reference of last year's same
weekdays is an addition, not a new scan.
"""

from __future__ import annotations

import pyarrow as pa

from governance.counts import Counts
from limits import sql
from monitoring.bins import Bins, FeatureBins, fit_bins

__all__ = ["Bins", "fit_bins", "reduce", "statement"]

_SHAPE = pa.schema([("feature", pa.string()), ("bin", pa.string()), ("n", pa.int64())])


def reduce(source: pa.Table | pa.RecordBatchReader, bins: Bins) -> Counts:
    """Count the rows of `source` in every bin of every column.

    A column that is missing, or has a type that the bins cannot take, is left out of the result:
    it costs itself, not the report, and the drift measure says so.

    Returns
    -------
    Counts
        Keys ``feature`` and ``bin`` (the bin's label), additive ``n``. Only bins that hold rows.
    """
    fields = {field.name: field.type for field in source.schema}
    usable = [f for f in bins.features if f.feature in fields and f.fits(fields[f.feature])]
    if not usable:
        return Counts(_SHAPE.empty_table())
    counted = sql.run(statement(usable, source.schema), source=source).to_pylist()
    rows = [
        {
            "feature": usable[cell["feature"]].feature,
            "bin": usable[cell["feature"]].labels[cell["bin"]],
            "n": cell["n"],
        }
        for cell in counted
    ]
    return Counts(pa.Table.from_pylist(rows, schema=_SHAPE))


def statement(features: list[FeatureBins], schema: pa.Schema) -> str:
    """Write the one statement that counts `features` in a table called ``source``.

    Every bin number is an integer and never null, so that a null after grouping says which
    grouping set a row belongs to.
    """
    names = [f"f{place}" for place in range(len(features))]
    inner = ",\n  ".join(
        f"{_case(feature, schema.field(feature.feature).type)} AS {name}"
        for feature, name in zip(features, names, strict=True)
    )
    which = " ".join(f"WHEN {name} IS NOT NULL THEN {place}" for place, name in enumerate(names))
    sets = ", ".join(f"({name})" for name in names)
    return (
        f"SELECT CASE {which} END AS feature, COALESCE({', '.join([*names, '0'])}) AS bin,"
        f" COUNT(*) AS n\nFROM (SELECT\n  {inner}\nFROM source) AS cut\n"
        f"GROUP BY GROUPING SETS ({sets})\nORDER BY 1, 2"
    )


def _case(feature: FeatureBins, kind: pa.DataType) -> str:
    """Write the expression that numbers the bin of one column, in the order of its labels."""
    column = sql.quoted(feature.feature)
    if pa.types.is_boolean(kind):
        column = f"CAST({column} AS INTEGER)"
    missing = f"{column} IS NULL"
    if pa.types.is_floating(kind):
        # A real NaN is not NULL and is not below any edge: it would count as the largest value.
        missing += f" OR isnan({column})"
    if feature.kind != "number":
        quote = literal if feature.kind == "text" else str
        tests = [f"{column} = {quote(code)}" for code in feature.codes]
        steps = [f"WHEN {test} THEN {place}" for place, test in enumerate(tests, start=2)]
        return " ".join([f"CASE WHEN {missing} THEN 0", *steps, "ELSE 1 END"])
    tests = [] if feature.prototype is None else [f"{column} = {feature.prototype!r}"]
    tests += [f"{column} < {edge!r}" for edge in feature.edges]
    steps = [f"WHEN {test} THEN {place}" for place, test in enumerate(tests, start=1)]
    return " ".join([f"CASE WHEN {missing} THEN 0", *steps, f"ELSE {len(tests) + 1} END"])


def literal(text: str) -> str:
    """Quote a text value for SQL."""
    return "'" + text.replace("'", "''") + "'"
