"""Figures of drift on real rows: python -m benchmarks.drift [--short].

The 30,000 published customers are split at random, again and again: 15,000 are the reference, some
of the others the window. Nothing moved, so every alarm is false. Then one fault is planted in one
column of the window. Evidently's default for a column (``ValueDrift``, which is what its drift
preset runs) sees the same rows. ``--short`` repeats less. The seeds are fixed, so the figures are
the same in every run; nothing is a test.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from governance.counts import Counts
from governance.outcome import Outcome
from monitoring.bins import Bins, fit_bins
from monitoring.counts import reduce
from monitoring.drift import measure_drift

DATA = Path(__file__).parents[1] / "training" / "data" / "uci_credit_default.parquet"
REFERENCE = 15_000
TOLERANCES = (0.0, 0.01)
WINDOWS, FAULT_WINDOWS = (200, 500, 1000, 5000), (1000, 5000)
CODES = ("sex", "education", "marriage", *(f"pay_{k}" for k in (0, 2, 3, 4, 5, 6)))

Values = npt.NDArray[np.float64]
Fault = Callable[[Values, np.random.Generator], Values]


@dataclass(frozen=True)
class Split:
    """One random split of the book, and what Limitline counted of its reference."""

    reference: pa.Table
    rest: pa.Table
    bins: Bins
    counts: Counts

    @classmethod
    def draw(cls, table: pa.Table, seed: int) -> Split:
        """Split the book by a seed."""
        shuffled = table.take(np.random.default_rng(seed).permutation(table.num_rows))
        reference = shuffled.slice(0, REFERENCE)
        bins = fit_bins(reference)
        return cls(reference, shuffled.slice(REFERENCE), bins, reduce(reference, bins))

    def counted(self, window: pa.Table) -> tuple[Counts, Counts]:
        """Count both sides in bins of both; of the reference only what they change."""
        bins = fit_bins(self.reference, current=window)
        same = [f.feature for f in bins.features if f in self.bins.features]
        other = bins.only([name for name in bins.names if name not in same])
        return self.counts.where(feature=same) + reduce(self.reference, other), reduce(window, bins)


def some(share: float, change: Callable[[Values], Values | float]) -> Fault:
    """Change a random share of the rows."""

    def plant(values: Values, generator: np.random.Generator) -> Values:
        chosen = generator.random(len(values)) < share
        changed = values.copy()
        changed[chosen] = change(values[chosen])
        return changed

    return plant


def lose(share: float) -> Fault:
    """Lose a random share of the values."""
    return some(share, lambda _: np.nan)


def more_delinquent(values: Values, generator: np.random.Generator) -> Values:
    """Let half as many again be two months behind or more."""
    late, early = np.flatnonzero(values >= 2), np.flatnonzero(values < 2)
    changed = values.copy()
    turned = generator.choice(early, len(late) // 2, replace=False)
    changed[turned] = generator.choice(values[late], len(turned))
    return changed


def clip(level: float) -> Fault:
    """Cut what lies above a quantile down to it."""
    return lambda values, _: np.minimum(values, np.floor(np.quantile(values, level)))


def times(factor: float) -> Fault:
    """Multiply every value."""
    return lambda values, _: values * factor


# What is planted, where, and what the reference has already.
FAULTS: tuple[tuple[str, str, Fault, Fault | None], ...] = (
    ("limit ×1.2", "limit_bal", times(1.2), None),
    ("age +.25 sd", "age", lambda v, _: v + 2.3, None),
    ("age +1 year (.1 sd)", "age", lambda v, _: v + 1, None),
    ("new code in 5 %", "education", some(0.05, lambda _: 9), None),
    ("new code in .5 %", "education", some(0.005, lambda _: 9), None),
    ("bill ×1.5", "bill_amt1", times(1.5), None),
    ("amounts +10 %: limit", "limit_bal", times(1.1), None),
    ("amounts +10 %: bill", "bill_amt1", times(1.1), None),
    ("amounts +10 %: payment", "pay_amt1", times(1.1), None),
    ("20 % nulls", "pay_amt1", lose(0.2), None),
    ("nulls 5 → 10 %", "pay_amt1", lose(0.1), lose(0.05)),
    ("nulls 1 → 2 %", "pay_amt1", lose(0.02), lose(0.01)),
    ("10 % zeroed", "pay_amt2", some(0.1, lambda _: 0), None),
    ("status ≥ 2 +50 %", "pay_0", more_delinquent, None),
    ("5 % of rows ×8: bill", "bill_amt3", some(0.05, lambda v: v * 8), None),
    ("5 % of rows ×8: payment", "pay_amt1", some(0.05, lambda v: v * 8), None),
    ("unit ×100 in 2 %: bill", "bill_amt3", some(0.02, lambda v: v * 100), None),
    ("unit ×100 in 2 %: payment", "pay_amt1", some(0.02, lambda v: v * 100), None),
    ("unit ×100 in .5 %: bill", "bill_amt3", some(0.005, lambda v: v * 100), None),
    ("unit ×100 in .5 %: payment", "pay_amt1", some(0.005, lambda v: v * 100), None),
    ("unit ×100 in .5 %: limit", "limit_bal", some(0.005, lambda v: v * 100), None),
    ("clip at p90", "bill_amt1", clip(0.9), None),
    ("clip at p99", "bill_amt1", clip(0.99), None),
    ("sign flip in .5 %", "bill_amt1", some(0.005, lambda v: -v), None),
    ("thousands cut", "bill_amt1", lambda v, _: np.floor(v / 1000) * 1000, None),
)


def planted(split: Split, n: int, fault: tuple[str, str, Fault, Fault | None], seed: int) -> Split:
    """Return the split with its faulty window, whose counted columns are the split's but one."""
    _, name, change, before = fault
    generator = np.random.default_rng([seed, n])
    old, new = (t[name].to_numpy().astype(np.float64) for t in (split.reference, split.rest))
    reference = old if before is None else before(old, generator)
    window = change(new[:n], generator)
    tables = [pa.table({name: pa.array(v, from_pandas=True)}) for v in (reference, window)]
    return Split(tables[0], tables[1], split.bins, split.counts)


def alarms(old: Counts, new: Counts, tolerance: float) -> tuple[set[str], float]:
    """Return the columns that breach, and the share of those of which nothing can be told."""
    found = measure_drift(old, new, tolerance=tolerance)
    silent = sum(m.outcome is Outcome.INCONCLUSIVE for m in found) / len(found)
    return {m.scope["feature"] for m in found if m.outcome is Outcome.BREACH}, silent


def evidently_alarms(reference: pa.Table, window: pa.Table) -> set[str]:
    """Return the columns in which Evidently's default sees drift."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    names = reference.column_names
    definition = DataDefinition(
        numerical_columns=[name for name in names if name not in CODES],
        categorical_columns=[name for name in names if name in CODES],
    )
    sides = [Dataset.from_pandas(t.to_pandas(), data_definition=definition) for t in
             (window, reference)]  # fmt: skip
    report = Report([ValueDrift(column=name) for name in names], include_tests=True)
    tests = report.run(*sides).tests_results
    failed = [test.status.value == "FAIL" for test in tests]
    return {name for name, is_drift in zip(names, failed, strict=True) if is_drift}


def false_alarms(table: pa.Table, *, replicates: int, of_evidently: int) -> None:
    """Print how often any column of a window that did not move is an alarm."""
    seen = {(n, tolerance): [0, 0.0] for n in WINDOWS for tolerance in TOLERANCES}
    other = dict.fromkeys(WINDOWS, 0)
    for seed in range(replicates):
        split = Split.draw(table, seed)
        for n in WINDOWS:
            window = split.rest.slice(0, n)
            old, new = split.counted(window)
            for tolerance in TOLERANCES:
                found, silent = alarms(old, new, tolerance)
                seen[n, tolerance][0] += bool(found)
                seen[n, tolerance][1] += silent
            if seed < of_evidently:
                other[n] += bool(evidently_alarms(split.reference, window))
    print(f"\n### False alarms, {replicates} windows ({of_evidently} for Evidently)\n")
    print("| n | δ = 0 | δ = .01 (default) | Evidently | cannot tell at 0 | at .01 |")
    print("|---|---|---|---|---|---|")
    for n in WINDOWS:
        told = [f"{seen[n, t][0] / replicates:.3f}" for t in TOLERANCES]
        untold = [f"{seen[n, t][1] / replicates:.1%}" for t in TOLERANCES]
        cells = (f"{n:,}", *told, f"{other[n] / of_evidently:.2f}", *untold)
        print(f"| {' | '.join(cells)} |", flush=True)


def power(table: pa.Table, *, replicates: int, of_evidently: int) -> None:
    """Print how often the column with a planted fault is an alarm."""
    heads = [f"{n:,}: {who}" for n in FAULT_WINDOWS for who in ("δ = 0", "δ = .01", "Evidently")]
    shape = (len(FAULTS), len(FAULT_WINDOWS), 3)
    found = np.zeros(shape)
    for seed in range(replicates):
        split = Split.draw(table, seed)
        for k, n in enumerate(FAULT_WINDOWS):
            calm = reduce(split.rest.slice(0, n), split.bins)
            for f, fault in enumerate(FAULTS):
                name, faulty = fault[1], planted(split, n, fault, seed)
                bins = fit_bins(faulty.reference, current=faulty.rest)
                others = [column for column in split.bins.names if column != name]
                old = split.counts.where(feature=others) + reduce(faulty.reference, bins)
                new = calm.where(feature=others) + reduce(faulty.rest, bins)
                for t, tolerance in enumerate(TOLERANCES):
                    found[f, k, t] += name in alarms(old, new, tolerance)[0]
                if seed < of_evidently:
                    found[f, k, 2] += bool(evidently_alarms(faulty.reference, faulty.rest))
    shares = found / np.array([replicates, replicates, of_evidently])
    print(f"\n### Planted faults that are found, {replicates} windows ({of_evidently})\n")
    print(f"| fault | {' | '.join(heads)} |")
    print("|" + "---|" * (len(heads) + 1))
    for (title, *_), row in zip(FAULTS, shares.reshape(len(FAULTS), -1), strict=True):
        print(f"| {title} | {' | '.join(f'{share:.2f}' for share in row)} |", flush=True)


def speed() -> None:
    """Print the processor time of one comparison of 10,000 and 100,000 rows by 20 columns."""
    print("\n### Processor seconds, 20 columns of amounts, fit, count both sides and judge\n")
    print("| rows | seconds |")
    print("|---|---|")
    for rows in (10_000, 100_000):
        generator = np.random.default_rng(1)
        sides = [
            pa.table({f"c{k}": generator.lognormal(8, 1, rows) for k in range(20)})
            for _ in range(2)
        ]
        started = time.process_time()
        bins = fit_bins(sides[0], current=sides[1])
        measure_drift(reduce(sides[0], bins), reduce(sides[1], bins))
        print(f"| {rows:,} | {time.process_time() - started:.2f} |", flush=True)


def main() -> None:
    """Print every table."""
    warnings.filterwarnings("ignore")
    raw = pq.read_table(DATA).drop_columns(["default"])
    table = pa.table({name.lower(): raw[name].cast(pa.int64()) for name in raw.column_names})
    short = "--short" in sys.argv[1:]
    false_alarms(table, replicates=20 if short else 200, of_evidently=4 if short else 25)
    power(table, replicates=5 if short else 25, of_evidently=2 if short else 10)
    speed()


if __name__ == "__main__":
    main()
