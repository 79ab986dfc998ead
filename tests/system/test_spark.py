"""Spark decides as the embedded engine does, to the cent, however the table is cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions import engine, plain_table, spark
from decisions import policy_cases as cases
from decisions.engine import Freeze
from decisions.plain_table import Source
from decisions.plan import Climate, Moment, Regime
from decisions.policy import LimitPolicy, packaged
from governance.errors import ContractError, IntegrityError, UsageError

pytestmark = pytest.mark.system

POLICY = LimitPolicy.parse(packaged("consumer_sme"))
AS_OF = date(2026, 11, 1)
CLIMATE = Climate(regime=Regime.DOWNTURN, demand_index=1.3)
ROWS = 20_000
MASTER = "local[2]"


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with spark.session(MASTER) as begun:
        yield begun


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Consumers, traders and firms, a few with missing or impossible values."""
    rows = pa.Table.from_batches([cases.draw(POLICY, ROWS, np.random.default_rng(11))])
    names = pa.array([f"customer {number:05d}" for number in range(ROWS)])
    path = tmp_path_factory.mktemp("spark book") / "book.parquet"
    # Small row groups, so that a file really is cut into partitions.
    pq.write_table(rows.append_column("account", names), path, row_group_size=2_500)
    return Source(path=path, policy=POLICY, customer="account")


def by_account(table: pa.Table) -> dict[str, list[Any]]:
    return table.sort_by("account").select(engine.OUTPUT_SCHEMA.names).to_pydict()


@pytest.mark.parametrize("partitions", [1, 3, 16])
def test_a_mixed_book_is_decided_to_the_cent_in_any_partitioning(
    session: Any, mixed: Source, tmp_path: Path, partitions: int
) -> None:
    here = tmp_path / "here.parquet"
    plain_table.decide(mixed, here, as_of=AS_OF, freeze=Freeze.NOTHING, climate=CLIMATE)
    frame = session.read.parquet(str(mixed.path)).repartition(partitions)
    moment = Moment(as_of=AS_OF, climate=CLIMATE)
    made = spark.decided(frame, mixed, moment)
    assert made.rdd.getNumPartitions() == partitions
    found = by_account(made.toArrow())
    assert len(found["action"]) == ROWS
    assert set(found["action"]) == {"raise", "hold", "cut", "review"}
    assert found == by_account(pq.read_table(here))


def test_the_command_writes_the_same_decisions_and_the_same_counts(
    session: Any, mixed: Source, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there"
    embedded = plain_table.decide(mixed, here, as_of=AS_OF, freeze=Freeze.RAISES, climate=CLIMATE)
    found = spark.decide(mixed, there, as_of=AS_OF, freeze=Freeze.RAISES, climate=CLIMATE)
    assert {**found, "path": ""} == {**embedded, "path": ""}
    assert by_account(pq.read_table(there)) == by_account(pq.read_table(here))
    with pytest.raises(UsageError, match="exists already"):
        spark.decide(mixed, there, as_of=AS_OF, freeze=Freeze.NOTHING, climate=CLIMATE)


def test_a_worker_refuses_other_code_than_the_driver_has(
    session: Any, mixed: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "digest_of", lambda _: "0" * 64)
    with pytest.raises(IntegrityError, match="on a worker is not the one of the driver"):
        spark.decide(mixed, tmp_path / "out", as_of=AS_OF, freeze=Freeze.NOTHING, climate=CLIMATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("differs", "said"),
    [({}, "1 customer.s. appear more than once"), ({"segment": "sole_trader"}, "two segments")],
)
def test_a_customer_who_comes_twice_is_refused_before_anything_is_decided(
    session: Any, mixed: Source, tmp_path: Path, differs: dict[str, str], said: str
) -> None:
    table = pq.read_table(mixed.path).slice(0, 2_000)
    consumer = next(row for row in table.to_pylist() if row["segment"] == "consumer")
    second = pa.Table.from_pylist([consumer | differs], schema=table.schema)
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.concat_tables([table, second]), path)
    twice = Source(path=path, policy=POLICY, customer="account")
    with pytest.raises(ContractError, match=said):
        spark.decide(twice, tmp_path / "out", as_of=AS_OF, freeze=Freeze.NOTHING, climate=CLIMATE)
    assert [item.name for item in tmp_path.iterdir()] == ["twice.parquet"]


def test_a_missing_column_is_named_as_the_embedded_engine_names_it(
    session: Any, mixed: Source, tmp_path: Path
) -> None:
    path = tmp_path / "short.parquet"
    pq.write_table(pq.read_table(mixed.path).drop_columns(["utilization"]), path)
    short = Source(path=path, policy=POLICY)
    with pytest.raises(ContractError, match=r"short.parquet lacks the columns utilization"):
        spark.decide(short, tmp_path / "out", as_of=AS_OF, freeze=Freeze.NOTHING, climate=CLIMATE)


def verb(mixed: Source, output: Path, policy: Path, **env: str) -> subprocess.CompletedProcess[str]:
    policy.write_text(packaged("consumer_sme"))
    own = ["--policy", policy, "--input", mixed.path, "--output", output, "--customer", "account"]
    more = ["--as-of", "2026-11-01", "--demand-index", "1.3", "--engine", "spark", "--json"]
    return subprocess.run(
        [sys.executable, "-m", "limitline", "decide", *map(str, own), *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LIMITLINE_SPARK_MASTER": MASTER, **env},
    )


def test_the_verb_decides_on_spark_and_prints_one_document(mixed: Source, tmp_path: Path) -> None:
    done = verb(mixed, tmp_path / "out", tmp_path / "policy.toml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["customers"] == ROWS
    assert pq.read_table(tmp_path / "out").num_rows == ROWS


def test_without_java_the_verb_says_what_to_install(mixed: Source, tmp_path: Path) -> None:
    done = verb(mixed, tmp_path / "out", tmp_path / "policy.toml", JAVA_HOME=str(tmp_path))
    assert done.returncode == 16, done.stderr
    assert "apt-get install openjdk-17-jre-headless" in done.stderr
    assert not (tmp_path / "out").exists()
