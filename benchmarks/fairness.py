"""How often fair books are accused of unfairness, and how often unfair ones are found.

Forty comparisons a month for a year, all groups treated alike: the share of years with a breach at
all. And one comparison with a group that is raised at seven tenths of the reference's rate: the
share that is a breach. The verdict is the product's own, by the packaged risk appetite.

    python -m benchmarks.fairness
"""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np

from governance.outcome import Outcome
from monitoring.fairness import measure_ratio
from monitoring.watch import read_appetite

DAY = date(2026, 1, 1)
TESTS, MONTHS, REFERENCE = 40, 12, 5_000
SIZES, RATES = (100, 200, 300, 500, 1_000, 1_500, 3_000, 5_000), (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
_APPETITE = read_appetite()


@cache
def judged_pair(events: int, n: int, base_events: int, base_n: int) -> Outcome:
    """Return the verdict on a group of which `events` of `n` were raised, and the reference."""
    cells = ((events, n), (base_events, base_n))
    found = measure_ratio("raise", {"attribute": "sex", "group": "b"}, *cells, "a")
    return _APPETITE.judge(found, DAY).outcome


def share_of_false_years(
    n: int, rate: float, *, years: int, seed: int, reference: int = REFERENCE
) -> float:
    """Return the share of years with a breach at all, if all groups are treated alike."""
    generator = np.random.default_rng([seed, int(rate * 100), reference])
    shape = (years, TESTS * MONTHS)
    group, base = generator.binomial(n, rate, shape), generator.binomial(reference, rate, shape)
    ratio = (group / n) / np.maximum(base / reference, 1e-9)
    # Only what lies beyond the line by itself can breach; the others need no verdict.
    beyond = (ratio < 0.8) | (ratio > 1.25)
    accused = [
        any(
            judged_pair(int(a), n, int(b), reference) is Outcome.BREACH
            for a, b in zip(group[year][mask], base[year][mask], strict=True)
        )
        for year, mask in enumerate(beyond)
    ]
    return float(np.mean(accused))


def power(n: int, rate: float, ratio: float, *, runs: int, seed: int) -> float:
    """Return the share of books with a true `ratio` that are found to breach."""
    generator = np.random.default_rng(seed)
    group = generator.binomial(n, rate * ratio, runs)
    base = generator.binomial(REFERENCE, rate, runs)
    found = [
        judged_pair(int(a), n, int(b), REFERENCE) is Outcome.BREACH
        for a, b in zip(group, base, strict=True)
    ]
    return float(np.mean(found))


def main() -> None:
    print("share of fair years with a breach, 500 years (seed = n); rows: customers of a group")
    print("| n | " + " | ".join(f"rate {rate}" for rate in RATES) + " |")
    print("|---|" + "---|" * len(RATES))
    for n in SIZES:
        shares = [share_of_false_years(n, rate, years=500, seed=n) for rate in RATES]
        print(f"| {n:,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)
    print("\nshare found of books at seven tenths of the reference's rate, 2,000 runs (seed = n)")
    print("| n | " + " | ".join(f"rate {rate}" for rate in RATES) + " |")
    print("|---|" + "---|" * len(RATES))
    for n in SIZES:
        shares = [power(n, rate, 0.7, runs=2_000, seed=n) for rate in RATES]
        print(f"| {n:,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
