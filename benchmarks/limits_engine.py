"""CPU figures of the limit engine: mixed customers per second and core, and one online decision.

Run from the repository: ``python benchmarks/limits_engine.py``. Processor time is measured, not
wall time, so that a busy machine does not spoil the figure; nothing here is a test. ``engine`` is
policy, inputs and reasons of one row; ``champion + engine`` adds the default probability of the
champion's recipe from computed features. Computing the features in SQL is timed alone: it is paid
per batch, and an online caller takes them from where they are kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import decisions
from decisions import engine, features, scoring
from decisions import policy_cases as cases
from decisions.features import FeatureSpec
from decisions.plan import Climate
from decisions.policy import LimitPolicy, packaged
from training.recipes import CHAMPION

CUSTOMERS = 1_000_000
ROUNDS = 5
ONLINE = 5_000
FITTED_ON = 6_000
DAYS = {"consumer_sme": date(2026, 11, 1), "uci_demo": date(2005, 10, 1)}
CLIMATE = Climate(demand_index=1.2)


def main() -> None:
    print(f"code: {Path(decisions.__file__).parent}")
    spec, models, rows = _models()
    drawn = np.random.default_rng(1).integers(0, len(rows), ONLINE)
    for name, as_of in DAYS.items():
        policy = LimitPolicy.parse(packaged(name))
        book = cases.draw(policy, CUSTOMERS, np.random.default_rng(0))
        _batch(name, policy, book, as_of)
        ones = [book.slice(place, 1) for place in range(ONLINE)]
        alone = iter(ones)
        _online(
            "engine",
            ONLINE,
            lambda policy=policy, as_of=as_of, ones=alone: engine.decide(
                policy, next(ones), as_of=as_of, climate=CLIMATE
            ),
        )
        for what, model in models.items():
            scored = zip(ones, drawn, strict=True)
            _online(f"{what} + engine", ONLINE, partial(_both, policy, as_of, model, rows, scored))
    single = _published().slice(0, 1)
    _online("features in SQL, one row", 50, lambda: features.compute(spec, single))


def _both(  # type: ignore[no-untyped-def]
    policy: LimitPolicy, as_of: date, model: scoring.Estimator, rows, scored
) -> None:
    one, row = next(scored)
    risk = model.predict_proba(rows[row : row + 1])[:, 1]
    place = one.schema.get_field_index(scoring.DEFAULT_PROBABILITY)
    one = one.set_column(place, scoring.DEFAULT_PROBABILITY, pa.array(risk))
    engine.decide(policy, one, as_of=as_of, climate=CLIMATE)


def _batch(name: str, policy: LimitPolicy, book: pa.RecordBatch, as_of: date) -> None:
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        decided = engine.decide(policy, book, as_of=as_of, climate=CLIMATE)
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


def _online(what: str, calls: int, once: Callable[[], object]) -> None:
    spent = []
    for _ in range(calls):
        begun = time.process_time_ns()
        once()
        spent.append((time.process_time_ns() - begun) / 1e3)
    spent.sort()
    print(
        f"  one online decision, {what}: median {spent[calls // 2]:,.0f} us, "
        f"95 % {spent[calls * 95 // 100]:,.0f} us, 99 % {spent[calls * 99 // 100]:,.0f} us "
        f"of CPU ({calls:,} calls)"
    )


def _published() -> pa.Table:
    place = Path(__file__).resolve().parents[1] / "training" / "data"
    table = pq.read_table(place / "uci_credit_default.parquet")
    table = table.rename_columns([name.lower() for name in table.column_names])
    return table.append_column("reference_limit", table["limit_bal"])


def _models():  # type: ignore[no-untyped-def]
    spec = FeatureSpec.parse(features.packaged("uci_features"))
    table = _published().slice(0, FITTED_ON)
    rows = scoring.design_matrix(spec, features.compute(spec, table))
    y = table["default"].to_numpy()
    champion = CHAMPION.estimator(spec.signs, seed=0).fit(rows, y)
    return spec, {"champion": champion}, rows


if __name__ == "__main__":
    main()
