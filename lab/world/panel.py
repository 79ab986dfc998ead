"""A chunk of accounts, lived month by month and turned into tables.

Chunks can have any size: what is recorded of an account does not depend on who else is in its
chunk. Rows are ordered by account, then by time, so that chunks laid end to end are the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lab.world import chain, evolution, incumbent, oracle, outcomes, records, truth
from lab.world import statements as firms
from lab.world.evolution import State
from lab.world.records import Month
from lab.world.settings import WorldSettings

ACCOUNTS_AT_ONCE = 16_384

Floats = NDArray[np.float64]
Policy = Callable[[State], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The tables of some accounts; ``oracle`` is in clear here and must be sealed to leave."""

    accounts: pa.Table
    panel: pa.Table
    events: pa.Table
    labels: pa.Table
    statements: pa.Table
    oracle: pa.Table

    def plain(self) -> dict[str, pa.Table]:
        """Return the tables that may be written in clear."""
        names = ("accounts", "panel", "events", "labels", "statements")
        return {name: getattr(self, name) for name in names}


def chunks(
    settings: WorldSettings, *, at_once: int = ACCOUNTS_AT_ONCE, policy: Policy = incumbent.limits
) -> Iterator[Chunk]:
    """Yield the world chunk by chunk; memory holds one chunk at a time."""
    for first in range(0, settings.accounts, at_once):
        last = min(first + at_once, settings.accounts)
        yield live(settings, first, last, policy=policy)


def live(
    settings: WorldSettings, first: int, last: int, *, policy: Policy = incumbent.limits
) -> Chunk:
    """Live accounts `first` to `last` - 1 through the whole world under a limit policy.

    Raises
    ------
    ContractError
        If a declared break names a column that is not recorded, or the policy's limits break the
        rules of `evolution.advance`.
    """
    records.check_faults(settings)
    state = evolution.start(settings, first, last)
    accounts = state.book
    lived = np.empty((len(accounts), 1 + settings.months), dtype=np.int8)
    lived[:, 0] = chain.state_of(state.cell)
    months: list[Month] = []
    chances = _chances(state)
    for month in range(settings.months):
        before, state = state, evolution.advance(state, month, policy(state))
        months.append(records.note(before, state))
        # The month of a write-off still has its state; the account is gone after it.
        lived[:, month + 1] = np.where(
            before.is_active, chain.state_of(state.cell), outcomes.CLOSED
        )
        chances |= _chances(state)
    found = [outcomes.measure_outcomes(lived, settings.labels, *key) for key in chances]
    return Chunk(
        accounts=records.applications(accounts),
        panel=records.panel(accounts, months),
        events=records.events(accounts, months),
        labels=outcomes.label_table(accounts, found),
        statements=firms.statements(accounts),
        oracle=oracle.rows(accounts, found, list(chances.values())),
    )


def _chances(state: State) -> dict[tuple[int, int], Floats]:
    """Return the true chances by month and horizon, if accounts are asked about now."""
    settings, month = state.book.settings, state.month - 1
    if month not in outcomes.asked_months(settings.labels, settings.months):
        return {}
    return {
        (month, horizon): truth.default_probability(state, horizon)
        for horizon in settings.labels.horizons
    }
