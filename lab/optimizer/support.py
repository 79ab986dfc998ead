"""Support: how far limits were moved in the past, so that nothing is recommended beyond experience.

A response that was never observed is a guess. In each cell of risk band and utilization class the
range reaches from the change that a minimum number of customers had or fell below to the one that
as many had or exceeded. A cell with too few customers has no range: its customers keep the policy's
decision, and are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from decisions.inputs import Flags
from decisions.plan import Floats, Integers, Plan
from governance import column_types
from governance.errors import ContractError
from lab.optimizer.accounts import Accounts, Terms, is_too_small
from lab.optimizer.envelope import cells

HISTORY = ("default_probability", "utilization", "limit_before_minor", "limit_after_minor")
MINIMUM_OBSERVED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Observed changes, as a multiple of the limit before, ``(n_cells,)``; NaN where too few."""

    lowest: Floats
    highest: Floats
    observed: Integers

    @classmethod
    def fit(
        cls, plan: Plan, history: Iterable[pa.RecordBatch], minimum: int = MINIMUM_OBSERVED
    ) -> Support:
        """Read the range of each cell off past changes.

        Parameters
        ----------
        history : iterable of pyarrow.RecordBatch
            The columns `HISTORY`, one row per limit decision in the past, unchanged limits too.
        minimum : int
            So many customers must have been moved at least that far.

        Raises
        ------
        ContractError
            If a column is missing, or a value is impossible.
        """
        cell, change = _read(plan, history)
        n = len(plan.policy.bands.names) * (len(plan.policy.utilization.upper) + 1)
        lowest, highest = np.full(n, np.nan), np.full(n, np.nan)
        observed = np.bincount(cell, minlength=n)
        for place in np.flatnonzero(observed >= minimum):
            ordered = np.sort(change[cell == place])
            # With few customers the two ends cross; the range is then the one change in the middle.
            lowest[place] = min(ordered[minimum - 1], ordered[len(ordered) // 2])
            highest[place] = max(ordered[-minimum], ordered[len(ordered) // 2])
        return cls(lowest=lowest, highest=highest, observed=observed)

    def narrow(self, accounts: Accounts, cell: Integers, terms: Terms) -> tuple[Accounts, Flags]:
        """Return the accounts with bounds in the observed range, and which have no such bounds.

        A bound that is moved is moved inwards to a whole unit, or to the limit as it is. Where the
        policy's own decision was never seen either, it is kept: the optimizer cannot weigh it.
        """
        before, unit = accounts.before, terms.unit
        least = np.ceil(before * self.lowest[cell] / unit) * unit
        most = np.floor(before * self.highest[cell] / unit) * unit
        # An unchanged limit was observed even where it is no whole unit.
        holds = (self.lowest[cell] <= 1) & (self.highest[cell] >= 1)
        least = np.where(
            holds & ((least > before) | is_too_small(least, before, terms)), before, least
        )
        most = np.where(holds & ((most < before) | is_too_small(most, before, terms)), before, most)
        lower, upper = np.maximum(accounts.lower, least), np.minimum(accounts.upper, most)
        # A comparison with NaN is false, so a cell without a range is outside as well.
        is_inside = (lower <= accounts.policy) & (accounts.policy <= upper)
        for bound in (lower, upper):
            is_inside &= ~is_too_small(bound, before, terms) | (bound == before)
        lower = np.where(is_inside, lower, accounts.policy)
        upper = np.where(is_inside, upper, accounts.policy)
        return replace(accounts, lower=lower, upper=upper), ~is_inside


def _read(plan: Plan, history: Iterable[pa.RecordBatch]) -> tuple[Integers, Floats]:
    found_cells, changes = [np.zeros(0, np.int64)], [np.zeros(0)]
    for batch in history:
        missing = [name for name in HISTORY if name not in batch.schema.names]
        if missing:
            raise ContractError(f"The history of limits lacks the columns {', '.join(missing)}.")
        read = [column_types.read_as(batch[name], pa.float64(), name=name) for name in HISTORY]
        columns = [column.fill_null(np.nan).to_numpy(zero_copy_only=False) for column in read]
        risk, utilization, before, after = columns
        possible = (risk >= 0) & (risk <= 1) & (utilization >= 0) & (before > 0) & (after >= 0)
        if not possible.all():
            raise ContractError(
                "The history of limits holds a missing or impossible value. Leave such rows out."
            )
        band = np.searchsorted(plan.edges, risk, side="left")
        found_cells.append(cells(plan, {"utilization": utilization}, band))
        changes.append(after / before)
    return np.concatenate(found_cells), np.concatenate(changes)
