"""Years of a lender whose audits find nothing, because there is nothing: how many are accused."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np

from governance.outcome import Outcome
from monitoring import fairness
from monitoring.watch import read_appetite

DAY = date(2026, 1, 1)
TESTS, MONTHS, REFERENCE = 40, 12, 5_000
_APPETITE = read_appetite()


@cache
def judged_pair(events: int, n: int, base_events: int, base_n: int) -> Outcome:
    """Return the verdict on a group of which `events` of `n` were raised, and the reference."""
    cells = ((events, n), (base_events, base_n))
    found = fairness.measure_ratio("raise", {"attribute": "sex", "group": "b"}, *cells, "a")
    return _APPETITE.judge(found, DAY).outcome


def share_of_false_years(n: int, rate: float, *, years: int, seed: int) -> float:
    """Return the share of years with a breach at all, if all groups are treated alike."""
    generator = np.random.default_rng([seed, int(rate * 100)])
    shape = (years, TESTS * MONTHS)
    group = generator.binomial(n, rate, shape)
    reference = generator.binomial(REFERENCE, rate, shape)
    ratio = (group / n) / np.maximum(reference / REFERENCE, 1e-9)
    # Only what lies beyond the line by itself can breach; the others need no verdict.
    beyond = (ratio < 0.8) | (ratio > 1.25)
    accused = [
        any(
            judged_pair(int(a), n, int(b), REFERENCE) is Outcome.BREACH
            for a, b in zip(group[year][mask], reference[year][mask], strict=True)
        )
        for year, mask in enumerate(beyond)
    ]
    return float(np.mean(accused))
