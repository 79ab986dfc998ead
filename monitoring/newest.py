"""The newest rows: one row of each customer, where a table has several days of one.

A validation speaks about customers. Two rows of one customer are no two witnesses, and fairness
counts persons; so each customer is judged by one row, the newest whose outcome can be asked for.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitoring import maturity
from monitoring.maturity import LabelRule
from privacy.feature_table import PSEUDONYM


def one_of_each(rows: pa.Table, day: str, rule: LabelRule) -> pa.Table:
    """Return one row of each customer, in the order of the table.

    It is the newest row whose performance window was over, under a rule that reads windows, or
    whose outcome is known, under one that does not; the newest row of all where there is no such.
    Whether the outcome of an ended window is known plays no part: defaults are known first, and
    choosing by that would choose defaults.

    Parameters
    ----------
    day : str
        The column that tells the rows of a customer apart.

    Raises
    ------
    ContractError
        As `monitoring.maturity.find`.
    """
    found = maturity.find(rows, rule)
    reads_windows = rule.vintage is not None and rule.cutoff is not None
    known = found.label.is_valid().to_numpy(zero_copy_only=False)
    is_asked: NDArray[np.bool_] = ~found.is_running if reads_windows else known
    customer = rows[PSEUDONYM].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((pc.cast(rows[day], pa.int32()).to_numpy(), is_asked, customer))
    is_last = np.append(customer[order][1:] != customer[order][:-1], True)
    kept: pa.Table = rows.take(pa.array(np.sort(order[is_last])))
    return kept


def describe(customers: int, rows: int) -> str:
    """Say in one sentence what was measured on."""
    return (
        f"each of {customers:,} sealed customers was judged by one of its days, the newest whose "
        f"outcome can be asked for; the other {rows - customers:,} sealed rows were not measured"
    )
