"""What only an experiment identifies: how debt and risk answer to a limit.

Inside the simulator the same accounts can be lived twice with the same luck, so the answer is known
here. A lender has one life per customer: only a hold-out and an exploring arm show it there. The
numbers are of the simulated world, and nobody's portfolio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from governance.measurement import Measurement
from training.backtest.loop import Run
from training.backtest.measures import measure_over


def measure_response(blanket: Sequence[Run], static: Sequence[Run]) -> tuple[Measurement, ...]:
    """Return more debt per unit of more limit, and more bad customers, when everybody is raised.

    Both are of accounts that lived the same luck twice; debt is that at the end of the trial, of
    accounts open in both lives.
    """
    scope = {"strategy": "blanket", "seed": "all"}
    both = [one.end.is_active & two.end.is_active for one, two in zip(blanket, static, strict=True)]

    def joined(runs: Sequence[Run], name: str) -> np.ndarray:
        parts = [getattr(run.end, name) * open_ for run, open_ in zip(runs, both, strict=True)]
        return np.concatenate(parts).astype(np.float64)

    room = joined(blanket, "limit") - joined(static, "limit")
    debt = joined(blanket, "balance") - joined(static, "balance")
    bad = [np.concatenate([run.is_bad for run in runs]).astype(float) for runs in (blanket, static)]
    # The debt itself is the numerator, so what is compared with the room is room and debt together.
    answered = measure_over("debt_per_limit", room + debt, room, scope)
    return (answered, measure_over("bad_customers_over_static", bad[0], bad[1], scope))
