"""The first pass of the gate: every value is looked at, and nothing is written.

An inspection takes the batches of a raw table one after the other and raises at the first thing
that the contract does not allow. What can only be known at the end (too few rows, a column that is
null throughout, a customer who comes twice, weak signs of personal data) is said by `close`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.contract import Action, Column, ColumnContract, Role
from governance.errors import ContractError
from privacy import detectors
from privacy.audit_vault import group_names
from privacy.detectors import Kind
from privacy.keyring import Keyring
from privacy.pseudonym import as_words, pseudonymize
from privacy.subject_id import canonical
from privacy.subject_vault import blind_index

LARGE_NUMBERS_FROM = 10**10
"""A column whose declared maximum is larger holds such numbers by declaration."""

WEAK_SHARE = 0.20
"""In such a column, weak signs are accepted below this share of its values."""

RowKeys = NDArray[np.uint64]
"""Blind index of a row's customer in two words; in a third the day, if a customer has several."""

Prints = NDArray[np.uint32]

_FIRST_DAY = -(2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What the first pass found in a table that the contract allows.

    Parameters
    ----------
    is_newest : ndarray of bool, shape (n_rows,), or None
        Whether a row is the newest of its customer; None if every customer has one row.
    differs : mapping of str to int
        Identity and protected columns that say different things about one customer in different
        rows, with the number of such customers.
    """

    rows: int
    customers: int
    is_newest: NDArray[np.bool_] | None = None
    differs: Mapping[str, int] = field(default_factory=dict)


class Inspection:
    """The state of one first pass.

    Parameters
    ----------
    contract : ColumnContract
        What the table must look like.
    keyring : Keyring
        Customers are compared by their blind index, so that no list of their ids is held.
    """

    def __init__(self, contract: ColumnContract, keyring: Keyring) -> None:
        check_contract(contract)
        self._contract = contract
        self._keyring = keyring
        self._rows = 0
        self._filled: Counter[str] = Counter()
        self._found: dict[str, Counter[Kind]] = {}
        self._rows_of: list[RowKeys] = []
        self._prints: list[Prints] = []

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Check one batch.

        Raises
        ------
        ContractError
            At the first column that holds what the contract does not allow.
        """
        self._rows += batch.num_rows
        for column in self._contract.columns:
            values = batch[column.name]
            if pa.types.is_floating(values.type):
                values = _without_nan(values, column)
            self._filled[column.name] += len(values) - values.null_count
            if values.null_count and not column.may_be_null:
                raise ContractError(
                    f"The column {column.name} has {values.null_count} empty values; the contract "
                    "allows none. Correct the export, or declare may_be_null = true."
                )
            _check_range(values, column)
            if column.action is Action.AUDIT:
                _check_codes(values, column)
            if column.action is Action.KEEP:
                found = detectors.find(values)
                self._found.setdefault(column.name, Counter()).update(found)
                self._refuse_personal_data(column, at_the_end=False)
        self._look_at_subjects(batch)

    def close(self) -> Inspected:
        """Check what only the whole table can show, and return what the second pass needs.

        Raises
        ------
        ContractError
            If there are too few rows, an empty column, a customer twice, or personal data.
        """
        if self._rows < self._contract.minimum_rows:
            raise ContractError(
                f"The raw table has {self._rows} rows; the contract needs at least "
                f"{self._contract.minimum_rows}."
            )
        for column in self._contract.columns:
            # An outcome that nobody knows yet, or its day, is no mistake of the export.
            is_awaited = column.may_be_null and column.role in (Role.LABEL, Role.TIME)
            if not self._filled[column.name] and not is_awaited:
                raise ContractError(
                    f"The column {column.name} is empty in every row. Correct the export, or take "
                    "the column out of the table and the contract."
                )
            if column.action is Action.KEEP:
                self._refuse_personal_data(column, at_the_end=True)
        keys = np.concatenate(self._rows_of)
        order = np.lexsort(keys.T[::-1])
        self._refuse_duplicates(keys[order])
        if self._contract.day_column is None:
            return Inspected(rows=self._rows, customers=self._rows)
        return _panel(keys[order], order, np.concatenate(self._prints), self._names_compared)

    @property
    def _names_compared(self) -> tuple[str, ...]:
        """Columns of which the vaults hold one value a customer, whatever its rows say."""
        held = (Action.VAULT, Action.AUDIT)
        return tuple(c.name for c in self._contract.columns if c.action in held)

    def _look_at_subjects(self, batch: pa.RecordBatch) -> None:
        name = self._contract.subject_column.name
        values = canonical(batch[name], self._contract.subject_column)
        stray = pc.or_(pc.equal(values, ""), pc.not_equal(values, pc.utf8_trim_whitespace(values)))
        if pc.any(stray).as_py():
            raise ContractError(
                f"The column {name} holds empty ids or ids with space around them; one customer "
                "would become two. Correct the export."
            )
        index = blind_index(values, self._contract, self._keyring)
        keys, day = as_words(index).copy(), self._contract.day_column
        if day is not None:
            # A day before 1970 is negative; as an unsigned number it would come after today.
            days = batch[day.name].cast(pa.int32()).to_numpy().astype(np.int64) - _FIRST_DAY
            keys = np.column_stack([keys, days.astype(np.uint64)])
            self._prints.append(self._fingerprints(batch))
        self._rows_of.append(keys)

    def _fingerprints(self, batch: pa.RecordBatch) -> Prints:
        """Return keyed 32-bit fingerprints of what the vaults take, so that no value is held."""
        key = self._keyring.derive("blind-index", "compared-within-a-customer")
        found = np.zeros((batch.num_rows, len(self._names_compared)), dtype=np.uint32)
        for place, name in enumerate(self._names_compared):
            text = pc.fill_null(batch[name].cast(pa.string()), "")
            words = as_words(pseudonymize(text, key))
            found[:, place] = words[:, 0] & np.uint64(0xFFFF_FFFF)
        return found

    def _refuse_duplicates(self, ordered: RowKeys) -> None:
        repeated = int((ordered[1:] == ordered[:-1]).all(axis=1).sum())
        if not repeated:
            return
        subject, day = self._contract.subject_column.name, self._contract.day_column
        if day is not None:
            raise ContractError(
                f"{repeated} rows repeat a {subject} and {day.name} that came before; every "
                "customer may come once a day. Correct the export."
            )
        raise ContractError(
            f"{repeated} rows repeat a {subject} that came before, maybe in another spelling; "
            "every customer may come once. Correct the export, or declare a row as one customer "
            f'on one day: row = ["{subject}", "a column of days"].'
        )

    def _refuse_personal_data(self, column: Column, *, at_the_end: bool) -> None:
        """Refuse strong signs at once; weak ones in a column of large numbers by their share."""
        is_declared_large = (
            column.type in ("int64", "float64")
            and column.maximum is not None
            and column.maximum >= LARGE_NUMBERS_FROM
        )
        for kind, hits in self._found[column.name].items():
            share = hits / max(self._filled[column.name], 1)
            if is_declared_large and not kind.is_strong and (not at_the_end or share < WEAK_SHARE):
                continue
            raise ContractError(
                f"The column {column.name} is declared a {column.role} but holds what looks like a "
                f"{kind} in at least {hits} of its values. Remove it from the export, or declare "
                "the column as what it is (role identity, action vault or drop)."
            )


def _panel(
    ordered: RowKeys, order: NDArray[np.intp], prints: Prints, names: tuple[str, ...]
) -> Inspected:
    """Tell customers apart in rows that are ordered by customer and day."""
    is_next = (ordered[1:, :2] == ordered[:-1, :2]).all(axis=1)
    is_newest = np.empty(len(order), dtype=np.bool_)
    is_newest[order] = np.append(~is_next, True)
    customer = np.append(0, np.cumsum(~is_next))
    prints = prints[order]
    differs = {}
    for place, name in enumerate(names):
        changes = is_next & (prints[1:, place] != prints[:-1, place])
        differs[name] = len(np.unique(customer[1:][changes]))
    return Inspected(
        rows=len(order),
        customers=int(customer[-1]) + 1,
        is_newest=is_newest,
        differs={name: count for name, count in differs.items() if count},
    )


def check_contract(contract: ColumnContract) -> None:
    """Refuse a contract that the gate cannot carry out.

    Raises
    ------
    ContractError
        If the subject id is no text, or a protected attribute has no reference group of its own.
    """
    if contract.subject_column.type != "string" or contract.subject_column.may_be_null:
        raise ContractError(
            f"The subject column {contract.subject_column.name} must be a string without nulls."
        )
    for column in contract.with_action(Action.AUDIT):
        if column.reference_group not in column.groups:
            raise ContractError(
                f"The protected column {column.name} needs a reference_group that is one of "
                f"{', '.join(column.groups)}."
            )


def _without_nan(values: pa.Array, column: Column) -> pa.Array:
    if pc.any(pc.is_inf(values)).as_py():
        raise ContractError(f"The column {column.name} holds infinite values. Correct the export.")
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _check_range(values: pa.Array, column: Column) -> None:
    if column.minimum is None and column.maximum is None:
        return
    bounds = pc.min_max(values)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    is_low = column.minimum is not None and low is not None and low < column.minimum
    is_high = column.maximum is not None and high is not None and high > column.maximum
    if is_low or is_high:
        side = "below the declared minimum" if is_low else "above the declared maximum"
        bound = column.minimum if is_low else column.maximum
        raise ContractError(
            f"The column {column.name} holds values {side} of {bound:g}. "
            "Correct the export or the contract."
        )


def _check_codes(values: pa.Array, column: Column) -> None:
    if pc.any(pc.and_(values.is_valid(), group_names(values, column).is_null())).as_py():
        raise ContractError(
            f"The column {column.name} holds codes that are not in the contract's code book "
            f"({', '.join(column.codes)}). A changed code book needs a changed contract."
        )
