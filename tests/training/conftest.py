"""Two worlds: the 30,000 real customers, and a small table that has nothing to do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions import features, scoring
from decisions import policy as policies
from decisions.features import FeatureSpec
from governance.contract import ColumnContract, Purpose
from governance.settings import HOME_VARIABLE, Settings
from privacy import gate, keyring
from registry import signing
from registry.ledger import Ledger
from registry.signing import Role, Signer
from training import candidate, demo_data
from training.candidate import Candidate
from training.job import Job
from training.recipes import Recipe

Release = Callable[..., Path]

CONTRACT = """
schema = "column-contract/1"
id = "corner-shops"
version = "1"
title = "Simulated credit lines of corner shops"
source = "simulated"

[[columns]]
name = "shop"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "Who it is."
"""

COLUMN = """
[[columns]]
name = "{name}"
type = "{type}"
sensitivity = "C1"
role = "{role}"
action = "keep"
purposes = ["training", "decision"]
may_be_null = {may_be_null}
why = "Simulated."
"""

SPEC = """
schema = "feature-spec/1"
id = "corner-shops"
version = "1.0.0"
title = "Simulated corner shops"
horizon_months = 12
currency = "TWD"
current_limit_column = "line"

[[features]]
name = "arrears"
sql = "late"
sources = ["late"]
sign = 1
reason_group = "delinquency"
why = "Months late."

[[features]]
name = "load"
sql = "owed / first_line"
sources = ["owed", "first_line"]
sign = 1
reason_group = "utilization"
why = "Owed against the first line."

[[features]]
name = "turnover"
sql = "turnover"
sources = ["turnover"]
sign = -1
reason_group = "income"
why = "Money coming in."

[inputs]
current_limit_minor = "CAST(line AS BIGINT)"
balance_minor = "CAST(owed AS BIGINT)"
utilization = "owed / line"
months_delinquent = "late"
months_since_raise = "CAST(6 AS BIGINT)"
months_since_cut = "CAST(6 AS BIGINT)"
segment = "'consumer'"
"""

TYPES = {
    "line": "float64",
    "first_line": "float64",
    "owed": "float64",
    "turnover": "float64",
    "late": "int64",
}


def shops(n: int, seed: int = 0) -> pa.Table:
    """Simulated shops whose default depends on arrears, load and turnover."""
    rng = np.random.default_rng(seed)
    late, turnover = rng.poisson(0.4, n), rng.gamma(2.0, 0.5, n)
    line = rng.uniform(1.0, 9.0, n)
    owed = rng.beta(2, 3, n) * line
    odds = -2.0 + 0.9 * late + 2.0 * owed / line - 0.8 * turnover
    failed = rng.random(n) < 1 / (1 + np.exp(-odds))
    return pa.table(
        {
            "shop": [f"shop {number}" for number in range(n)],
            "line": line,
            "first_line": line,
            "owed": owed,
            "turnover": turnover,
            "late": pa.array(late, pa.int64()),
            "failed": pa.array(failed.astype(np.int64)),
        }
    )


def contract(table: pa.Table) -> ColumnContract:
    """A contract that keeps every column but the shop's name."""
    text = CONTRACT
    for name in table.column_names[1:]:
        role, null = ("label", "true") if name == "failed" else ("feature", "true")
        text += COLUMN.format(name=name, type=TYPES.get(name, "int64"), role=role, may_be_null=null)
    return ColumnContract.parse(text)


def furnish(place: Path) -> Settings:
    """Make a home with a data keyring, development signing keys and a ledger."""
    here = Settings(home=place)
    keyring.create(here.keyring)
    people = signing.create_people(here.keyring)
    Ledger.open(here.ledger, Signer.open(here.keyring, Role.LEDGER), people=people)
    return here


def releasing(home: Settings) -> Release:
    """Return what releases a raw table through the real gate and names the table's folder."""

    def through_the_gate(table: pa.Table, purpose: Purpose = Purpose.TRAINING) -> Path:
        raw = home.home / "raw.parquet"
        pq.write_table(table, raw)
        ring = keyring.Keyring.open(home.keyring)
        place = {"out": home.features, "vault": home.vault}
        released = gate.protect(raw, contract(table), keyring=ring, purpose=purpose, **place)
        raw.unlink()
        return released.path

    return through_the_gate


def job_on(table: Path, **changed: object) -> Job:
    """A job on a table of shops with a recipe that is small enough to fit in no time."""
    quick = Recipe(
        name="quick",
        title="Quick monotone boosting",
        parameters={"max_iter": 20, "max_leaf_nodes": 6, "early_stopping": False},
    )
    usual: dict[str, object] = {
        "table": table,
        "target": None,
        "features_text": SPEC,
        "policy_text": policies.packaged("uci_demo"),
        "recipe": quick,
    }
    return Job(**(usual | changed))  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """A finished run of training: its home and what it made."""

    home: Settings
    made: Candidate


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One candidate that many tests look at and none changes."""
    home = furnish(tmp_path_factory.mktemp("world") / "home")
    ticks = (datetime(2026, 3, 1, 12, second, tzinfo=UTC) for second in range(60))
    table = releasing(home)(shops(600))
    made = candidate.train(job_on(table), settings=home, clock=lambda: next(ticks))
    return World(home=home, made=made)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return furnish(tmp_path / "home")


@pytest.fixture
def release(home: Settings) -> Release:
    return releasing(home)


@pytest.fixture
def job() -> Callable[..., Job]:
    return job_on


@pytest.fixture(scope="session")
def make_shops() -> Callable[..., pa.Table]:
    return shops


@pytest.fixture(scope="session")
def shop_spec() -> str:
    return SPEC


@pytest.fixture(scope="session")
def uci() -> pa.Table:
    """The 30,000 published customers with the frozen reference limit."""
    table = demo_data.load()
    return table.append_column("reference_limit", table["limit_bal"])


@pytest.fixture(scope="session")
def uci_spec() -> FeatureSpec:
    return FeatureSpec.parse(features.packaged("uci_features"))


@pytest.fixture(scope="session")
def uci_design(uci: pa.Table, uci_spec: FeatureSpec) -> tuple[np.ndarray, np.ndarray]:
    """Design matrix and labels of all published customers."""
    computed = features.compute(uci_spec, uci, keep=(demo_data.LABEL,))
    return scoring.design_matrix(uci_spec, computed), computed[demo_data.LABEL].to_numpy()
