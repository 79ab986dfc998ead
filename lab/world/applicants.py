"""One row per applicant, the refused included: what a lender knew on the day of the application.

The refused have no outcome, as in real life; what would have become of them is in the oracle. What
a credit register told about an applicant is the real row's repayment status before the world
starts.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from governance.errors import UsageError
from lab.world import anchors, book, snapshot
from lab.world.anchors import CODES, SERIOUS
from lab.world.evolution import MINOR
from lab.world.panel import Chunk
from lab.world.settings import WorldSettings
from lab.world.snapshot import Moment

REFUSED, ACCEPTED_ANYWAY = "is_refused", "is_accepted_anyway"

_TRAITS = ("segment", "sex", "education", "marriage", "age", "income_source")


def day(settings: WorldSettings) -> date:
    """Return the day of all applications: the last one before the world's first month."""
    return settings.starts_on - timedelta(days=1)


def take(chunk: Chunk, people: pa.Table, settings: WorldSettings, moment: Moment) -> pa.Table:
    """Return the applicants of a chunk who were less than 90 days late elsewhere on the day.

    Of the others nothing is asked: what the outcome would be has happened already.

    Parameters
    ----------
    people : pyarrow.Table
        Identities of exactly the chunk's accounts, in their order.

    Raises
    ------
    UsageError
        If `moment` is another day, or the world does not ask about its horizon.
    """
    if moment.as_of != day(settings) or moment.horizon_months not in settings.labels.horizons:
        raise UsageError(
            f"Applicants of the world {settings.id} are seen on {day(settings)}, with horizons "
            f"{settings.labels.horizons}."
        )
    account = chunk.accounts["account"].to_numpy()
    accounts = book.enroll(settings, int(account[0]), int(account[-1]) + 1)
    columns: dict[str, pa.Array] = {
        name: people[name] for name in people.column_names if name != "account"
    }
    columns |= {name: chunk.accounts[name] for name in _TRAITS}
    columns["as_of"] = pa.array([moment.as_of] * len(account), pa.date32())
    columns["stated_income_minor"] = chunk.accounts["stated_income_minor"]
    columns["limit_asked_minor"] = chunk.accounts["reference_limit_minor"]
    owed = book.opening_balances(accounts).astype(np.int64) * MINOR
    columns["register_balance_minor"] = pa.array(owed)
    lived = anchors.load().status[accounts.row]
    status = CODES[lived].astype(np.int64)
    for age in range(status.shape[1]):
        columns[f"register_status_m{age}"] = pa.array(status[:, -1 - age])
    for name in (REFUSED, ACCEPTED_ANYWAY):
        columns[name] = chunk.accounts[name]
    columns |= snapshot.outcome_columns(chunk.labels, account, moment)
    return pa.table(columns).filter(pa.array(lived[:, -1] < SERIOUS))
