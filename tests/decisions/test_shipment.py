"""What a worker is handed decides as the embedded engine does, or it is refused at once."""

from __future__ import annotations

import dataclasses
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from decisions import book, engine, shipment, spark
from decisions.checking import cases
from decisions.engine import Freeze
from decisions.plain_table import Moment, Source
from decisions.policy import LimitPolicy, packaged
from decisions.shipment import Scorer, Shipment
from decisions.stages.climate import Climate, Regime
from governance.errors import ContractError, IntegrityError, UsageError
from privacy.feature_table import PSEUDONYM
from registry.load import load_verified

if TYPE_CHECKING:
    from tests.conftest import World

POLICY = LimitPolicy.parse(packaged("consumer_sme"))
MOMENT = Moment(as_of=date(2026, 11, 1), climate=Climate(regime=Regime.DOWNTURN, demand_index=1.2))


def drawn(n: int) -> pa.RecordBatch:
    return cases.draw(POLICY, n, np.random.default_rng(3))


def shipped(policy: LimitPolicy = POLICY) -> Shipment:
    return Shipment.of(policy, MOMENT, source=Source(path=Path("book.parquet"), policy=policy))


@pytest.mark.parametrize("rows", [1, 7, 250, 2_000])
def test_a_partition_is_decided_alike_however_it_is_cut(rows: int) -> None:
    whole = drawn(2_000)
    cut = [whole.slice(start, rows) for start in range(0, 2_000, rows)][:400]
    made = pa.Table.from_batches(list(shipped().decided(cut)))
    expected = engine.decide(POLICY, whole, as_of=MOMENT.as_of, climate=MOMENT.climate)
    for name in engine.OUTPUT_SCHEMA.names:
        assert made[name].to_pylist() == expected[name].to_pylist()[: made.num_rows], name


def test_a_worker_refuses_another_policy_than_was_shipped() -> None:
    sent = dataclasses.replace(
        shipped(), policy=POLICY.model_copy(update={"rounding_minor": 1_000})
    )
    with pytest.raises(IntegrityError, match="limit policy on a worker"):
        list(sent.decided([drawn(3)]))


def test_a_worker_refuses_to_decide_with_other_code() -> None:
    sent = dataclasses.replace(shipped(), code_digest="0" * 64)
    with pytest.raises(IntegrityError, match="engine's code on a worker"):
        list(sent.decided([drawn(3)]))


def test_a_worker_names_a_missing_column() -> None:
    with pytest.raises(ContractError, match="lacks the columns utilization"):
        list(shipped().decided([drawn(3).drop_columns(["utilization"])]))


def test_a_shipped_model_decides_as_the_verified_one_and_not_after_a_flipped_byte(
    world: World,
) -> None:
    champion = book.Engine.of(load_verified(world.settings, "champion"))
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    batch = next(iter(table.reader())).slice(0, 300)
    moment = Moment(as_of=date(2005, 10, 1))
    here = champion.decide(batch, as_of=moment.as_of, freeze=Freeze.NOTHING)
    scorer = Scorer.of(champion, (PSEUDONYM,))
    sent = Shipment.of(champion.policy, moment, scorer=scorer)
    made = pa.Table.from_batches(
        list(sent.decided([batch.slice(0, 120), batch.slice(120), batch.slice(0, 0)]))
    )
    for name in (PSEUDONYM, "default_probability", *engine.OUTPUT_SCHEMA.names):
        assert made[name].to_pylist() == here[name].to_pylist(), name
    flipped = bytearray(scorer.estimator)
    flipped[len(flipped) // 2] ^= 1
    forged = dataclasses.replace(scorer, estimator=bytes(flipped))
    shipment._estimator.cache_clear()
    with pytest.raises(IntegrityError, match="default model on a worker"):
        list(dataclasses.replace(sent, scorer=forged).decided([batch]))


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
