"""CPU figures of the limit engine: mixed customers per second and core, and one online decision.

Run from the repository: ``python benchmarks/limits_engine.py``. Processor time is measured, not
wall time, so that a busy machine does not spoil the figure; nothing here is a test.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import limits
from limits import engine
from limits.checking import cases
from limits.policy import LimitPolicy, packaged
from limits.stages.climate import Climate

CUSTOMERS = 1_000_000
ROUNDS = 5
ONLINE = 500


def main() -> None:
    print(f"code: {Path(limits.__file__).parent}")
    days = {"consumer_sme": date(2026, 11, 1), "uci_demo": date(2005, 10, 1)}
    for name, as_of in days.items():
        policy = LimitPolicy.parse(packaged(name))
        climate = Climate(demand_index=1.2)
        book = cases.draw(policy, CUSTOMERS, np.random.default_rng(0))
        spent = []
        for _ in range(ROUNDS):
            begun = time.process_time()
            decided = engine.decide(policy, book, as_of=as_of, climate=climate)
            spent.append(time.process_time() - begun)
        actions = {
            item["values"]: item["counts"] for item in decided["action"].value_counts().to_pylist()
        }
        best, median = min(spent), sorted(spent)[ROUNDS // 2]
        print(f"{name}: {CUSTOMERS:,} customers in chunks of {engine.CHUNK_ROWS:,} rows, {actions}")
        print(
            f"  {CUSTOMERS / median / 1e6:.2f} M customers per CPU-second "
            f"(median of {ROUNDS}; best {CUSTOMERS / best / 1e6:.2f} M)"
        )
        one, online = book.slice(0, 1), []
        for _ in range(ONLINE):
            begun = time.process_time_ns()
            engine.decide(policy, one, as_of=as_of, climate=climate)
            online.append((time.process_time_ns() - begun) / 1e3)
        ordered = sorted(online)
        print(
            f"  one online decision: median {ordered[ONLINE // 2]:.0f} us, "
            f"95 % {ordered[ONLINE * 95 // 100]:.0f} us of CPU"
        )


if __name__ == "__main__":
    main()
