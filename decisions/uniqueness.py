"""Uniqueness: each customer is decided once in a run, in one segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import ContractError
from privacy.feature_table import PSEUDONYM


class Customers:
    """Remembers who passed, and refuses the whole run if somebody passed twice.

    Two limits for one customer in one run would each be allowed and together be too much: the
    aggregate ceiling knows the limits held elsewhere, not the one granted a row above.
    """

    def __init__(self, column: str = PSEUDONYM) -> None:
        self._column = column
        self._seen: list[pa.Array] = []
        self._segments: list[pa.Array] = []

    def seen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Remember the customers of `batch` and return it unchanged."""
        self._seen.append(batch.column(self._column))
        if "segment" in batch.schema.names:
            self._segments.append(batch.column("segment"))
        return batch

    def checked(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass `tables` on and check once the last has passed.

        Raises
        ------
        ContractError
            If a customer was seen more than once, or is missing.
        """
        yield from tables
        self.require_unique()

    def require_unique(self) -> None:
        """Refuse a customer who was seen more than once.

        Raises
        ------
        ContractError
            Naming how many customers, and whether they are in different segments.
        """
        if not self._seen:
            return
        seen = pa.chunked_array(self._seen)
        if seen.null_count:
            raise ContractError(f"{seen.null_count} row(s) have no customer in {self._column}.")
        counted = seen.value_counts()
        repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
        if not len(repeated):
            return
        is_split = bool(self._segments) and self._is_split(seen, repeated)
        raise refusal(len(repeated), is_split=is_split)

    def _is_split(self, seen: pa.ChunkedArray, repeated: pa.Array) -> bool:
        rows = pa.table({"customer": seen, "segment": pa.chunked_array(self._segments)})
        rows = rows.filter(pc.is_in(rows["customer"], value_set=repeated))
        by_customer = rows.group_by("customer").aggregate([("segment", "count_distinct")])
        return bool(np.max(by_customer["segment_count_distinct"].to_numpy()) > 1)


def refusal(customers: int, *, is_split: bool) -> ContractError:
    """Return the error that says how many customers came twice, and names none."""
    said = "in two segments" if is_split else "more than once"
    return ContractError(
        f"{customers} customer(s) appear {said} in this table. A run decides each customer once; "
        "decide a second product in a run of its own, with the first as other_exposure_minor."
    )
