"""Declared features: one reviewed file, one SELECT, the same numbers wherever they are needed.

Training, validation, decision and replay all compute their features here, from the same text, so
there is no second implementation that could drift away from the first. The text travels inside the
model.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from decisions import sql
from decisions.inputs import INPUT_TYPES, OPTIONAL_TYPES
from decisions.sections import Currency
from governance import column_types
from governance.declaration import Declaration
from governance.errors import ContractError

# What stands between single quotes in SQL is a text; doubled quotes are a quote within it.
_TEXT = re.compile(r"'(?:[^']|'')*'")
# How far a product of an amount and 100 may lie from whole cents, absolutely and by its size.
_NOISE, _NOISE_OF_EACH = 1e-6, 2.0**-50
_WORD = re.compile(r'"([^"]+)"|(\w+)')

__all__ = ["INPUT_TYPES", "Feature", "FeatureSpec", "compute", "matrix", "packaged"]


class Feature(BaseModel):
    """One model feature.

    Parameters
    ----------
    sql : str
        ANSI SQL expression over `sources`.
    sign : {-1, 0, 1}
        Direction in which the feature may move the default probability; 0 leaves it free.
    reason_group : str
        The group under which the feature is named to a customer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    sql: str = Field(min_length=1)
    sources: tuple[str, ...] = Field(min_length=1)
    sign: Literal[-1, 0, 1]
    reason_group: str
    why: str = Field(min_length=1)


class FeatureSpec(Declaration):
    """The features and decision inputs of one model, in the order in which the model sees them."""

    called: ClassVar[str] = "feature spec"

    schema_: Literal["feature-spec/1"] = Field(alias="schema")
    id: str
    version: str
    title: str
    horizon_months: int = Field(ge=1)
    subject_column: str = "customer_pseudonym"
    currency: Currency
    current_limit_column: str
    features: tuple[Feature, ...] = Field(min_length=1)
    inputs: Mapping[str, str]

    @model_validator(mode="after")
    def _is_coherent(self) -> FeatureSpec:
        names = [*self.names, *self.inputs]
        if len(set(names)) != len(names):
            raise ValueError("a feature or input is declared twice")
        if set(INPUT_TYPES) - set(self.inputs):
            raise ValueError(f"the inputs must hold {', '.join(sorted(INPUT_TYPES))}")
        if set(self.inputs) - set(INPUT_TYPES) - set(OPTIONAL_TYPES):
            raise ValueError("an input is declared that the engine does not know")
        return self

    @property
    def stamp(self) -> str:
        """What every decision row carries: ``id@version#digest``."""
        return f"{self.id}@{self.version}#{self.digest[:16]}"

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in model order."""
        return tuple(feature.name for feature in self.features)

    @property
    def signs(self) -> tuple[int, ...]:
        """Monotone directions in model order."""
        return tuple(feature.sign for feature in self.features)

    @property
    def reason_groups(self) -> tuple[str, ...]:
        """Reason group of each feature in model order."""
        return tuple(feature.reason_group for feature in self.features)

    @property
    def sources(self) -> tuple[str, ...]:
        """Released columns that the features read, sorted."""
        return tuple(sorted({name for feature in self.features for name in feature.sources}))

    def reads(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which of the released columns `names` the features or the inputs read, sorted.

        An input declares no sources, so its words are held against the names; a column that is
        called like a function is therefore named once too often, and none is forgotten.
        """
        texts = (_TEXT.sub(" ", text) for text in self.inputs.values())
        words = {"".join(pair).lower() for text in texts for pair in _WORD.findall(text)}
        found = {name for name in names if name.lower() in words}
        return tuple(sorted({*self.sources, self.current_limit_column, *found}))

    @property
    def does_read_current_limit(self) -> bool:
        """Tell whether any feature reads the limit under decision."""
        return self.current_limit_column in self.sources

    def select(self, keep: Sequence[str] = ()) -> str:
        """Return the one SELECT that computes everything from a table named ``source``."""
        columns = [sql.quoted(name) for name in keep]
        columns += [f"CAST({f.sql} AS DOUBLE) AS {sql.quoted(f.name)}" for f in self.features]
        asked = {name: text for name, text in self.inputs.items() if name not in keep}
        columns += [f"{text} AS {sql.quoted(name)}" for name, text in asked.items()]
        return "SELECT " + ", ".join(columns) + " FROM source"  # noqa: S608  (reviewed files, locked engine)


def packaged(name: str) -> str:
    """Return the text of a feature spec that ships with the product."""
    place = importlib.resources.files("decisions") / "specs" / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No feature spec named {name} ships with Limitline.")
    return place.read_text(encoding="utf-8")


def compute(spec: FeatureSpec, source: sql.Source, keep: Sequence[str] = ()) -> pa.Table:
    """Compute features and decision inputs, row by row, in input order.

    Parameters
    ----------
    spec : FeatureSpec
        What to compute.
    source : pyarrow.Table or pyarrow.RecordBatchReader
        Released columns, ``(n_rows,)`` each.
    keep : sequence of str
        Columns to carry along, such as the pseudonym or the label. One that is named like a
        decision input takes its place: who asks for the column itself wants no decision.

    Returns
    -------
    pyarrow.Table
        ``keep``, then ``float64`` features, then the decision inputs, ``n_rows`` rows.

    Raises
    ------
    ContractError
        If a needed column is missing, a feature is named like a column of `keep`, or a feature is
        not finite somewhere, or an input is not what the engine reads, such as an amount with a
        fraction of a minor unit.

    Notes
    -----
    An amount of `float64` that misses a whole number by no more than what arithmetic in binary
    leaves behind (19.99 * 100 is 1998.9999999999998) is that number. A half cent is not: the spec
    says how to round it.
    """
    wanted = [*spec.sources, spec.current_limit_column, *keep]
    missing = sorted(set(wanted) - set(source.schema.names))
    if missing:
        raise ContractError(
            f"The feature spec {spec.id} needs {', '.join(missing)}; the table has no such column."
        )
    if clashing := sorted(set(keep) & set(spec.names)):
        raise ContractError(
            f"The column {clashing[0]} is asked for as it stands, and the feature spec {spec.id} "
            "computes a feature of that name. Give the feature another name in the spec."
        )
    result = sql.run(spec.select(keep), source=source)
    for feature in spec.features:
        column = result[feature.name]
        usable = pc.sum(pc.is_finite(column), min_count=0).as_py()
        if usable != len(column):
            raise ContractError(
                f"The feature {feature.name} is missing or not finite in "
                f"{len(column) - usable} of {len(column)} rows; it needs a number in every row. "
                "Mend the column, or say in the spec what stands for it: coalesce(...), or a CASE "
                "that names every value."
            )
    known = {**INPUT_TYPES, **OPTIONAL_TYPES}
    for name, kind in [(name, known[name]) for name in spec.inputs if name not in keep]:
        position = result.column_names.index(name)
        result = result.set_column(position, name, _as_input(result[name], kind, name))
    return result


def _as_input(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> column_types.Column:
    if pa.types.is_integer(kind) and pa.types.is_floating(column.type):
        whole = pc.round(column)
        noise = pc.max_element_wise(_NOISE, pc.multiply(pc.abs(whole), _NOISE_OF_EACH))
        is_whole = pc.less_equal(pc.abs(pc.subtract(column, whole)), noise)
        column = pc.if_else(is_whole, whole, column)
    return column_types.read_as(column, kind, name=f"{name} (an input of the feature spec)")


def matrix(spec: FeatureSpec, table: pa.Table) -> pa.Table:
    """Return only the model's columns of `table`, in model order."""
    return table.select(list(spec.names))
