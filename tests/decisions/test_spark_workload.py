"""A worker decides its partition as the embedded engine does, or it refuses at once."""

from __future__ import annotations

import dataclasses
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import engine, spark
from decisions import policy_cases as cases
from decisions.engine import Freeze
from decisions.plain_table import Source
from decisions.plan import Climate, Moment, Regime
from decisions.policy import LimitPolicy, packaged
from decisions.spark import Workload
from governance.errors import ContractError, IntegrityError, UsageError

POLICY = LimitPolicy.parse(packaged("consumer_sme"))
MOMENT = Moment(as_of=date(2026, 11, 1), climate=Climate(regime=Regime.DOWNTURN, demand_index=1.2))


def drawn(n: int) -> pa.RecordBatch:
    return cases.draw(POLICY, n, np.random.default_rng(3))


def work() -> Workload:
    source = Source(path=Path("book.parquet"), policy=POLICY)
    return Workload(source=source, moment=MOMENT, digest=spark.digest_of(POLICY))


@pytest.mark.parametrize("rows", [1, 7, 250, 2_000])
def test_a_partition_is_decided_alike_however_it_is_cut(rows: int) -> None:
    whole = drawn(2_000)
    cut = [whole.slice(start, rows) for start in range(0, 2_000, rows)][:400]
    made = pa.Table.from_batches(list(work().decided(cut)))
    # A plain table's NaN is a missing value, as pandas writes it.
    read = work().source.checked(whole)
    expected = engine.decide(POLICY, read, as_of=MOMENT.as_of, climate=MOMENT.climate)
    for name in engine.OUTPUT_SCHEMA.names:
        assert made[name].to_pylist() == expected[name].to_pylist()[: made.num_rows], name


def test_a_worker_refuses_another_policy_or_other_code_than_the_driver_has() -> None:
    other = POLICY.model_copy(update={"rounding_minor": 1_000})
    policy = Source(path=Path("book.parquet"), policy=other)
    changes: list[dict[str, Any]] = [{"source": policy}, {"digest": "0" * 64}]
    for changed in changes:
        with pytest.raises(IntegrityError, match="on a worker is not the one of the driver"):
            list(dataclasses.replace(work(), **changed).decided([drawn(3)]))


def test_a_worker_names_a_missing_column() -> None:
    with pytest.raises(ContractError, match="lacks the columns utilization"):
        list(work().decided([drawn(3).drop_columns(["utilization"])]))


def test_without_pyspark_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(UsageError, match=r"pip install 'limitline\[spark\]'"), spark.session():
        pass


def test_an_unknown_engine_and_an_unreadable_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="embedded or spark"):
        spark.is_asked("dask")
    table = tmp_path / "book.csv"
    table.write_text("account\n1\n")
    with pytest.raises(UsageError, match="Parquet"):
        spark.decide(
            Source(path=table, policy=POLICY),
            tmp_path / "out",
            as_of=MOMENT.as_of,
            freeze=Freeze.NOTHING,
        )
