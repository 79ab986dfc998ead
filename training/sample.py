"""The sample: what a candidate may learn from, checked before anything is fitted.

Training reads the open part of a feature table and has no word for the sealed one, so nothing that
validation will judge by can reach a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decisions import features, scoring
from decisions.features import FeatureSpec
from governance.contract import Purpose
from governance.errors import ContractError
from governance.measures.customers import Customers
from governance.measures.discrimination import Labels
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable
from privacy.gate import DECLARED
from training import data_checks, label
from training.data_checks import Allowances
from training.evaluation import LabeledRows, Matrix
from training.label import Days, LabelRule, Unknown

MINIMUM_ROWS = 200
MINIMUM_PER_CLASS = 20
MAXIMUM_SEGMENTS = 20
SMALLEST_SEGMENT = 20
ONE_ROW = "every open customer with a known outcome"
ALL_ROWS = "every row with a known outcome of every open customer"
NO_SEGMENT, SMALL_SEGMENTS = "(none)", "(small)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """What a candidate is to learn from a table; `segment` breaks the evaluation down as well."""

    spec: FeatureSpec
    rule: LabelRule = field(default_factory=LabelRule)
    segment: str | None = None
    allowances: Allowances = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Design matrix, ``(n_rows, n_features)`` in the order of the spec, and labels, ``(n_rows,)``.

    Parameters
    ----------
    table : FeatureTable
        The open part that the rows came from, for its digests.
    unknown : Unknown
        Open rows that are not in the sample because their outcome is not known.
    superseded : int
        Older rows of customers who came more than once; the newest one is kept.
    identical : int
        Rows that equal an earlier one in every feature and in the outcome. They belong to different
        customers and are kept; a fold may hold one and the next its twin.
    vintage : ndarray of datetime64[D], shape (n_rows,), or None
    vintage_of_all : ndarray of datetime64[D], shape (n_open_rows,), or None
        The same of every open row, those without a known outcome included.
    segment : ndarray of str, shape (n_rows,), or None
    customers : ndarray of int64, shape (n_rows,), or None
        A number of each row's customer, if the contract declares one row per customer and day;
        None if every customer has one row.
    """

    features: Matrix
    labels: Labels
    table: FeatureTable
    target: str
    unknown: Unknown = field(default_factory=Unknown)
    superseded: int = 0
    identical: int = 0
    vintage: Days | None = None
    vintage_of_all: Days | None = None
    segment: NDArray[np.str_] | None = None
    customers: Customers | None = None

    @property
    def labeled(self) -> LabeledRows:
        """The rows as a fit takes them."""
        return LabeledRows(self.features, self.labels, self.customers)

    @property
    def number_of_customers(self) -> Mapping[str, int]:
        """How many customers the rows are of; nothing where that is the number of rows."""
        if self.customers is None:
            return {}
        return {"customers": len(np.unique(self.customers))}

    def as_lineage(self) -> Mapping[str, str]:
        """Return what the lineage says about the rows: how many, which not, and why."""
        return {
            "data_rows": str(len(self.labels)),
            "data_events": str(int(self.labels.sum())),
            "data_rows_read": str(self.table.num_rows),
            "data_rows_superseded": str(self.superseded),
            "data_rows_identical": str(self.identical),
            **{f"data_{name}": str(n) for name, n in self.number_of_customers.items()},
            "data_sampling": ONE_ROW if self.customers is None else ALL_ROWS,
            "data_selection": "no weights, no inferred outcomes",
            **self.unknown.as_lineage(),
        }

    def repetitions(self) -> list[str]:
        """Say what was left out or kept of customers and rows that come more than once."""
        said = []
        if self.superseded:
            said.append(f"{self.superseded} older rows of customers who came again were left out.")
        if self.customers is not None:
            n = len(np.unique(self.customers))
            said.append(
                f"{len(self.customers)} rows are of {n} customers. All rows of a customer are in "
                "one fold, and intervals draw customers. Not so for lift and for default rates by "
                "vintage, whose intervals count rows, and for the noise floor of the calibration "
                "error, which draws each row's outcome by itself: they are too narrow, and the "
                "floor too low, as far as the outcomes of one customer go together."
            )
        if self.customers is not None and self.vintage is not None:
            said.append(
                "Out of time, customers of the newest months may have been learned from on an "
                "older day, as a lender's customers are; the folds tell how well a new customer "
                "is scored."
            )
        if self.identical:
            whose = "another customer's" if self.customers is None else "an earlier one"
            said.append(
                f"{self.identical} rows equal {whose} in every feature and in the outcome; "
                "they were kept."
            )
        return said


def read(table: FeatureTable, question: SampleQuestion) -> Sample:
    """Compute the features of the open customers with a known outcome.

    No customer is in the sample twice, so no fold can split one; unless the contract declares one
    row per customer and day: then all rows are, and `Sample.customers` keeps them together.

    Parameters
    ----------
    table : FeatureTable
        The open part of a table that was released for training.

    Raises
    ------
    ContractError
        If the table was released for another purpose, a column is missing, a feature is missing or
        not finite somewhere, the outcome is not 0 and 1 or is itself a feature, a data check fails
        that is not lifted, or fewer than 200 rows or 20 customers of either outcome are left.
    """
    spec, rule, allowed = question.spec, question.rule, question.allowances
    target = _target(table, question)
    data_checks.refuse_protected_names(spec, allowed)
    kept = dict.fromkeys([PSEUDONYM, target, *rule.columns, *filter(None, [question.segment])])
    computed = features.compute(spec, table.reader(), keep=tuple(kept))
    sources = table.read([name for name in spec.sources if name in table.schema.names])
    data_checks.refuse_special_codes(spec, sources, allowed)
    if table.about.get("acquired_at_is") == DECLARED:
        label.refuse_later_than(date.fromisoformat(table.about["acquired_at"]), computed, rule)
    known, unknown = label.find_known(computed, target, rule, horizon_months=spec.horizon_months)
    left = computed.filter(pa.array(known))
    customers = None if table.day is None else _customers(left)
    rows = left if customers is not None else left.take(pa.array(_newest_of_each(left, rule)))
    matrix = scoring.design_matrix(spec, rows)
    labels = label.labels(rows[target], target)
    _refuse_too_few(labels, target, unknown, customers)
    data_checks.refuse_constants(spec, matrix, allowed)
    data_checks.refuse_leaks(spec, matrix, labels, allowed)
    return Sample(
        features=matrix,
        labels=labels,
        table=table,
        target=target,
        unknown=unknown,
        superseded=left.num_rows - rows.num_rows,
        identical=len(labels) - len(np.unique(np.column_stack([matrix, labels]), axis=0)),
        vintage=_vintages(rows, rule),
        vintage_of_all=_vintages(computed, rule),
        segment=_segments(rows, question.segment) if question.segment else None,
        customers=customers,
    )


def _vintages(rows: pa.Table, rule: LabelRule) -> Days | None:
    return label.days(rows, rule.vintage, may_be_null=False) if rule.vintage else None


def _target(table: FeatureTable, question: SampleQuestion) -> str:
    """Return the outcome column, once purpose and named columns are found to fit."""
    spec, rule = question.spec, question.rule
    if table.purpose is not Purpose.TRAINING:
        raise ContractError(
            f"The table {table.path.name} was released for {table.purpose}; training needs one "
            "released for training. Run `limitline protect --purpose training`."
        )
    named = rule.target or table.label
    if named is None:
        raise ContractError(
            f"The contract of {table.path.name} names no label; say which column is the outcome "
            "with --target."
        )
    columns = [name for name in table.schema.names if name not in (PSEUDONYM, ASSIGNMENT)]
    asked = {"outcome": named, "observed-at": rule.observed_at}
    asked |= {"vintage": rule.vintage, "segment": question.segment}
    for what, name in asked.items():
        if name is not None and name not in columns:
            raise ContractError(
                f"The table {table.path.name} has no {what} column {name}; it has "
                f"{', '.join(columns)}."
            )
    # The day on which an outcome became known tells the outcome: nobody has it when deciding.
    for outcome in filter(None, (named, table.label, rule.observed_at)):
        if outcome in spec.sources:
            raise ContractError(
                f"The feature spec {spec.id} reads {outcome}, the outcome itself or its day. "
                "Take it out."
            )
    return named


def _customers(rows: pa.Table) -> Customers:
    """Return a number from 0 for each row's customer; it says nothing outside of this sample."""
    encoded = rows[PSEUDONYM].combine_chunks().dictionary_encode()
    found: Customers = encoded.indices.to_numpy().astype(np.int64)
    return found


def _newest_of_each(rows: pa.Table, rule: LabelRule) -> NDArray[np.intp]:
    """Return one row of each customer, the newest one, in the order of the table."""
    number = _customers(rows)
    customers = len(np.unique(number))
    if customers == rows.num_rows:
        return np.arange(rows.num_rows)
    if rule.vintage is None:
        raise ContractError(
            f"{rows.num_rows - customers} rows belong to customers who came before; a customer "
            "in two folds would be learned and tested at once. Release one row per customer, "
            "declare the rows of the contract as one customer on one day, or name the day of each "
            "row with --vintage, and the newest one is kept."
        )
    vintage = label.days(rows, rule.vintage, may_be_null=False).astype(np.int64)
    newest = np.full(customers, -1, dtype=np.intp)
    for row in np.argsort(vintage, kind="stable"):
        newest[number[row]] = row
    return np.sort(newest)


def _segments(rows: pa.Table, name: str) -> NDArray[np.str_]:
    column = rows[name]
    if pa.types.is_floating(column.type) or pa.types.is_date32(column.type):
        raise ContractError(f"The segment {name} is {column.type}; it must be text or whole.")
    words = [NO_SEGMENT if value is None else str(value) for value in column.to_pylist()]
    found = np.array(words, dtype=np.str_)
    values, counts = np.unique(found, return_counts=True)
    if len(values) > MAXIMUM_SEGMENTS:
        raise ContractError(
            f"The segment {name} has {len(values)} values; at most {MAXIMUM_SEGMENTS} are broken "
            "down. A column with more of them describes customers, not segments."
        )
    # A handful of customers is not written out under a name of their own.
    pooled = np.where(np.isin(found, values[counts < SMALLEST_SEGMENT]), SMALL_SEGMENTS, found)
    return pooled.astype(np.str_)


def _refuse_too_few(
    labels: Labels, name: str, unknown: Unknown, customers: Customers | None
) -> None:
    events = int(labels.sum())
    others = len(labels) - events
    if customers is not None:
        events, others = (len(np.unique(customers[labels == one])) for one in (1, 0))
    if len(labels) < MINIMUM_ROWS:
        why = f"There are {len(labels)} rows to learn from; at least {MINIMUM_ROWS} are needed."
    elif not events or not others:
        why = f"The outcome {name} is {int(bool(events))} for every customer; a model needs both."
    elif min(events, others) < MINIMUM_PER_CLASS:
        why = (
            f"The outcome {name} is 1 for {events} and 0 for {others} customers; at least "
            f"{MINIMUM_PER_CLASS} of each are needed."
        )
    else:
        return
    raise ContractError(f"{why} {unknown.describe()}".rstrip())
