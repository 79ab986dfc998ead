"""Raw tables with made-up identities, a home and a keyring of its own for every test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contract import ColumnContract, Purpose
from privacy import gate, keyring
from privacy.feature_table import FeatureTable, Part
from privacy.keyring import Keyring
from privacy.raw_table import packaged_contract

REPOSITORY = Path(__file__).parents[2]
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(number: int) -> str:
    body = (
        f"999999{1950 + number % 55}{1 + number % 12:02d}{1 + number % 28:02d}{number % 1000:03d}"
    )
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def bank_card(number: int) -> str:
    body = f"9999{number % 10**11:011d}"
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(body))]
    return body + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def raw_table(rows: int = 400, seed: int = 7) -> pa.Table:
    """Draw a raw table in the layout of the demo, with the largest amounts of the real data."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(10**9, rows, replace=False)
    columns: dict[str, object] = {
        "customer_id": [f"C{i:09d}" for i in ids],
        "name": [f"测试{chr(0x4E00 + int(i) % 5000)}{chr(0x5E00 + int(i) % 999)}" for i in ids],
        "mobile": [f"100{i % 10**8:08d}" for i in ids],
        "resident_id": [resident_id(int(i)) for i in ids],
        "bank_card": [bank_card(int(i) * 97) for i in ids],
        "address": [f"虚构市样例路{i % 9999}号" for i in ids],
        "sex": rng.integers(1, 3, rows),
        "education": rng.choice(7, rows, p=[0.02, 0.3, 0.4, 0.2, 0.04, 0.02, 0.02]),
        "marriage": rng.choice(4, rows, p=[0.02, 0.45, 0.5, 0.03]),
        "age": rng.integers(21, 80, rows),
        "limit_bal": rng.integers(1, 101, rows) * 10_000,
    }
    columns["reference_limit"] = columns["limit_bal"]
    for place in (0, 2, 3, 4, 5, 6):
        columns[f"pay_{place}"] = rng.integers(-2, 9, rows)
    for place in range(1, 7):
        bills = rng.integers(-339_603, 1_664_090, rows)
        bills[0] = 1_664_089
        columns[f"bill_amt{place}"] = bills
    for place in range(1, 7):
        paid = rng.integers(0, 1_684_260, rows)
        paid[0] = 1_684_259
        columns[f"pay_amt{place}"] = paid
    columns["default_next_month"] = rng.integers(0, 2, rows)
    return pa.table(columns)


@dataclass(frozen=True, kw_only=True)
class World:
    """One home with its keyring, its contract and a place for raw tables."""

    home: Path
    ring: Keyring
    contract: ColumnContract

    @property
    def features(self) -> Path:
        return self.home / "features"

    @property
    def vault(self) -> Path:
        return self.home / "vault"

    def write(self, table: pa.Table, name: str = "raw.parquet") -> Path:
        path = self.home / "raw" / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)
        return path

    def protect(
        self,
        source: Path | pa.Table,
        purpose: Purpose = Purpose.TRAINING,
        contract: ColumnContract | None = None,
        encoding: str = "",
    ) -> FeatureTable:
        return gate.protect(
            source if isinstance(source, Path) else self.write(source),
            contract or self.contract,
            keyring=self.ring,
            out=self.features,
            purpose=purpose,
            vault=self.vault,
            encoding=encoding,
        )

    def all(self, table: FeatureTable) -> pa.Table:
        return FeatureTable.open(table.path, keyring=self.ring, part=Part.ALL).read()

    def has_written(self) -> bool:
        """Tell whether anything but the raw table and the keyring is in the home."""
        return any(self.features.glob("*")) or any(self.vault.glob("*"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home of tests"
    place.mkdir()
    monkeypatch.setenv("LIMITLINE_HOME", str(place))
    return place


@pytest.fixture
def world(home: Path) -> World:
    ring = keyring.create(home / "keyring")
    return World(home=home, ring=ring, contract=packaged_contract("uci_credit"))


@pytest.fixture
def raw() -> Callable[..., pa.Table]:
    return raw_table


@pytest.fixture
def identities() -> tuple[Callable[[int], str], Callable[[int], str]]:
    return resident_id, bank_card


@pytest.fixture
def run(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a verb of the room in a process of its own."""

    def verb(
        *arguments: object, preexec: Callable[[], None] | None = None, place: Path = home
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "limitline", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=REPOSITORY,
            env={**os.environ, "LIMITLINE_HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=preexec,
        )

    return verb
