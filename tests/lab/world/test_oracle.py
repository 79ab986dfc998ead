"""The truth is sealed: no training path opens it, and nothing written in clear holds any of it."""

from __future__ import annotations

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import training
from governance.contract import Purpose
from governance.errors import IntegrityError, UsageError
from lab.world import edition, oracle, panel
from lab.world.settings import WorldSettings
from privacy import gate, keyring, sealed_parquet
from privacy.contract_files import packaged as packaged_contract
from privacy.feature_table import FeatureTable, Part
from privacy.keyring import Keyring
from training import simulate

N = 600


@pytest.fixture(scope="module")
def small(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(accounts=N, months=16)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return keyring.create(tmp_path_factory.mktemp("ring") / "keyring")


@pytest.fixture(scope="module")
def written(small: WorldSettings, ring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edition.publish(
        small, tmp_path_factory.mktemp("raw") / "world", keyring=ring, at_once=250
    ).path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "world"))


def test_the_audit_key_opens_the_whole_truth(
    written: Path, small: WorldSettings, ring: Keyring
) -> None:
    found = oracle.open_oracle(written, keyring=ring).read_all()
    assert found.equals(panel.live(small, 0, N).oracle)
    columns = ["account", "frailty"]
    part = oracle.open_oracle(written, keyring=ring, columns=columns).read_all()
    assert part.column_names == columns


def test_the_file_is_no_table_without_its_key(written: Path) -> None:
    with pytest.raises(OSError, match="no decryption found"):
        pq.read_table(written / oracle.FILE)
    assert b"frailty" not in (written / oracle.FILE).read_bytes()


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("place", ["open.parquet", "sealed.parquet"])
def test_a_feature_table_does_not_open_it(
    written: Path, ring: Keyring, tmp_path: Path, part: Part, place: str
) -> None:
    with pytest.raises(UsageError, match="no feature table"):
        FeatureTable.open(written, keyring=ring, part=part)
    raw = simulate.simulate(tmp_path / "raw" / "uci.parquet", customers=300).path
    table = gate.protect(
        raw,
        packaged_contract("uci_credit"),
        keyring=ring,
        out=tmp_path / "features",
        purpose=Purpose.TRAINING,
        vault=tmp_path / "vault",
    )
    shutil.copy(written / oracle.FILE, table.path / place)
    with pytest.raises(IntegrityError, match=f"{place} .* was altered"):
        FeatureTable.open(table.path, keyring=ring, part=part)


@pytest.mark.parametrize("purpose", [Purpose.TRAINING, Purpose.DECISION])
def test_the_keys_of_feature_tables_do_not_open_it(
    written: Path, small: WorldSettings, ring: Keyring, purpose: Purpose
) -> None:
    facts = facts_of(written)
    right = oracle.seal_of(ring, small.digest)
    for use in (f'["feature-table-dek","{purpose}","open"]', "audit", "audit-oracle "):
        with pytest.raises(IntegrityError, match="belongs to something else"):
            sealed_parquet.Reader(written / oracle.FILE, facts, replace(right, use=use))
    sealed_parquet.Reader(written / oracle.FILE, facts, right)


def test_the_truth_of_one_world_does_not_pass_for_that_of_another(
    copied: Path, small: WorldSettings, ring: Keyring
) -> None:
    text = (copied / oracle.FACTS).read_text()
    other = small.changed(seed=9).digest
    (copied / oracle.FACTS).write_text(text.replace(small.digest, other))
    with pytest.raises(IntegrityError, match="belongs to something else"):
        oracle.open_oracle(copied, keyring=ring)


def test_a_stranger_and_a_flipped_byte_are_refused(
    copied: Path, ring: Keyring, tmp_path: Path
) -> None:
    stranger = keyring.create(tmp_path / "other")
    with pytest.raises(IntegrityError, match="belongs to something else"):
        oracle.open_oracle(copied, keyring=stranger)
    data = bytearray((copied / oracle.FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / oracle.FILE).write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"oracle\.sealed .* was altered"):
        oracle.open_oracle(copied, keyring=ring)
    (copied / oracle.FACTS).write_text("{}")
    with pytest.raises(IntegrityError, match="was altered"):
        oracle.open_oracle(copied, keyring=ring)
    (copied / oracle.FACTS).unlink()
    with pytest.raises(UsageError, match="lab world"):
        oracle.open_oracle(copied, keyring=ring)


def test_plain_files_hold_none_of_the_truth(written: Path, ring: Keyring) -> None:
    truth = oracle.open_oracle(written, keyring=ring).read_all()
    own = {"true_default_probability", "true_outcome", "frailty", "uci_row"}
    own |= {"marginal_propensity_to_borrow"}
    secret = np.concatenate(
        [truth[name].to_numpy() for name in ("true_default_probability", "frailty")]
    )
    files = sorted(written.glob("*.parquet"))
    assert len(files) == 6
    refused = set(truth.filter(truth["is_refused"])["account"].to_pylist())
    for path in files:
        table = pq.read_table(path)
        assert not own & set(table.column_names), path.name
        for name in table.column_names:
            if pa.types.is_floating(table.schema.field(name).type):
                assert not np.isin(table[name].to_numpy(), secret).any(), f"{path.name} {name}"
        if path.stem not in ("accounts", "identities"):
            assert not refused & set(table["account"].to_pylist()), path.name
    for path in (*written.glob("*.json"), *files):
        data = path.read_bytes()
        assert not any(value.tobytes() in data for value in secret[:200])


def test_no_module_of_training_outside_the_world_opens_the_truth() -> None:
    room = Path(training.__file__).parent
    strays = []
    for path in room.rglob("*.py"):
        if path.parent.name == "world":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {
                getattr(node, "id", ""),
                getattr(node, "attr", ""),
                getattr(node, "module", ""),
            }
            names |= {alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")}
            if names & {"open_oracle", "oracle", "lab.world.oracle"}:
                strays.append(path.name)
    assert strays == []


def facts_of(folder: Path) -> sealed_parquet.Facts:
    import json

    return sealed_parquet.Facts.read(json.loads((folder / oracle.FACTS).read_bytes())["facts"])
