"""Outcomes: who was 90 days late within a horizon, and from which day on anybody could know.

An account is asked about at the end of a month in which it is open and less than 90 days late. The
delay is a column: a study as of a day uses the rows with ``observed_at`` up to that day, no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.world import climate
from lab.world.anchors import SERIOUS, States
from lab.world.book import Book
from lab.world.settings import Labels, Release, WorldSettings

CLOSED = -1
UNDECIDED = -1
OPENING = -1
SCHEMA = pa.schema(
    [
        ("account", pa.int64()),
        ("as_of", pa.date32()),
        ("horizon_months", pa.int64()),
        ("observed_at", pa.date32()),
        ("y", pa.int64()),
    ]
)

Kind = TypeVar("Kind", bound=np.generic)

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Days = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of one month and horizon; arrays have shape ``(n_accounts,)``.

    Parameters
    ----------
    is_asked : ndarray of bool
        Open and less than 90 days late at the end of `month`; of others nothing is asked.
    y : ndarray of int64
        1 if 90 days late within the horizon; -1 if the recorded months end before the window.
    observed_month : ndarray of int64
        Month, counted like `month`, at whose end the outcome is known.
    """

    month: int
    horizon: int
    is_asked: Flags
    y: Integers
    observed_month: Integers


def asked_months(labels: Labels, months: int) -> range:
    """Return the months at whose end accounts are asked about; -1 is the day before the first.

    That day is the day of the application: its outcomes are what a model for new customers learns,
    and what is missing of the refused.
    """
    return range(OPENING, months, labels.every_months)


def measure_outcomes(lived: States, labels: Labels, month: int, horizon: int) -> Outcomes:
    """Look from the end of `month` over the `horizon` months after it.

    Parameters
    ----------
    lived : ndarray of int8, shape (n_accounts, 1 + n_months)
        Index of the state, or -1 once closed; the first column is the state before month 0.
    """
    column = month - OPENING
    now = lived[:, column]
    window = lived[:, column + 1 : column + 1 + horizon] >= SERIOUS
    hit = window.any(axis=1)
    is_whole = column + horizon < lived.shape[1]
    y = np.where(hit, 1, 0) if is_whole else np.full(len(lived), UNDECIDED)
    end = np.full(len(lived), month + horizon)
    if labels.release is Release.EVENT and is_whole:
        end = np.where(hit, month + 1 + window.argmax(axis=1), end)
    return Outcomes(
        month=month,
        horizon=horizon,
        is_asked=(now != CLOSED) & (now < SERIOUS),
        y=y.astype(np.int64),
        observed_month=(end + labels.delay_months).astype(np.int64),
    )


def label_table(accounts: Book, found: Sequence[Outcomes]) -> pa.Table:
    """Return the labels of accepted accounts that the recorded months decide, by account.

    ``as_of`` and ``observed_at`` are the last days of their months.
    """
    if not found:
        return SCHEMA.empty_table()
    accepted = ~accounts.is_refused
    kept = wide([each.is_asked & (each.y != UNDECIDED) & accepted for each in found])
    start = climate.calendar(accounts.settings)[0]
    columns = {
        "account": np.repeat(accounts.account, len(found))[kept],
        "as_of": as_of_days(accounts.settings, found, len(accounts))[kept],
        "horizon_months": np.tile([each.horizon for each in found], len(accounts))[kept],
        "observed_at": month_end(start + wide([each.observed_month for each in found])[kept]),
        "y": wide([each.y for each in found])[kept],
    }
    return pa.table(columns, schema=SCHEMA)


def as_of_days(settings: WorldSettings, found: Sequence[Outcomes], accounts: int) -> Days:
    """Return the last day of each asked month, repeated for every account."""
    start = climate.calendar(settings)[0]
    return np.tile(month_end(start + np.array([each.month for each in found])), accounts)


def wide(parts: Sequence[NDArray[Kind]]) -> NDArray[Kind]:
    """Lay arrays side by side and read them account by account: shape ``(n_accounts * n,)``."""
    return np.stack(parts, axis=1).ravel()


def month_end(months: Days) -> Days:
    """Return the last day of calendar months."""
    return (months + 1).astype("datetime64[D]") - 1
