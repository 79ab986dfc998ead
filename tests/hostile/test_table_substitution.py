"""A table's folder holds that table, the pointer names the newest one, and nothing else passes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from governance import canonical
from governance.contract import Purpose
from governance.errors import EnvironmentFault, IntegrityError, KeyringError
from privacy import gate, keyring
from privacy.feature_table import FeatureTable, Part, TableFacts
from privacy.keyring import Keyring
from privacy.raw_table import packaged_contract
from tests.privacy.conftest import World, raw_table

FEW, MANY = raw_table(40), raw_table(60, seed=3)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("substitution")
    ring = keyring.create(home / "keyring")
    return World(home=home, ring=ring, contract=packaged_contract("uci_credit"))


@pytest.fixture
def world(protected: World, tmp_path: Path) -> World:
    shutil.copytree(protected.home, tmp_path / "home")
    ring = Keyring.open(tmp_path / "home" / "keyring")
    return World(home=tmp_path / "home", ring=ring, contract=protected.contract)


def latest(world: World) -> Path:
    return gate.latest(
        world.features, contract_id="uci-credit", purpose=Purpose.TRAINING, keyring=world.ring
    )


def test_an_older_valid_table_in_a_newer_ones_folder_is_found(world: World) -> None:
    older = world.protect(world.write(FEW, "few.parquet"))
    source = world.write(MANY, "many.parquet")
    newer = world.protect(source)
    for file in newer.path.iterdir():
        shutil.copyfile(older.path / file.name, file)
    with pytest.raises(IntegrityError, match="holds another table"):
        FeatureTable.open(newer.path, keyring=world.ring)
    with pytest.raises(IntegrityError, match="holds another table"):
        world.protect(source)


def test_a_table_under_another_name_is_found(world: World) -> None:
    table = world.protect(FEW)
    other = table.path.with_name("uci-credit-training-000000000000")
    table.path.rename(other)
    with pytest.raises(IntegrityError, match="holds another table"):
        FeatureTable.open(other, keyring=world.ring)
    other.rename(table.path)
    assert FeatureTable.open(table.path, keyring=world.ring, part=Part.ALL).num_rows == 40


def test_a_table_whose_digest_only_begins_alike_is_not_returned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve characters of a digest name the folder; all of it must agree."""
    world.protect(world.write(FEW, "few.parquet"))
    (place,) = [path for path in world.features.iterdir() if path.is_dir()]
    monkeypatch.setattr(TableFacts, "folder_name", lambda *_: place.name)
    with pytest.raises(IntegrityError, match="is another table than the one of this input"):
        world.protect(world.write(MANY, "many.parquet"))


def test_an_older_pointer_is_found(world: World) -> None:
    pointer = world.features / "uci-credit-training.latest.json"
    source = world.write(FEW, "few.parquet")
    first = world.protect(source)
    older = pointer.read_bytes()
    second = world.protect(world.write(MANY, "many.parquet"))
    newer = pointer.read_bytes()
    assert latest(world) == second.path
    pointer.write_bytes(older)
    with pytest.raises(IntegrityError, match="not the newest one"):
        latest(world)
    pointer.write_bytes(newer)
    assert latest(world) == second.path
    # Protecting the older input again is no rollback: it is what somebody has done now.
    world.protect(source)
    assert latest(world) == first.path
    pointer.write_bytes(newer)
    with pytest.raises(IntegrityError, match="not the newest one"):
        latest(world)


def test_a_pointer_that_was_killed_before_it_was_noted_is_good(world: World) -> None:
    world.protect(world.write(FEW, "few.parquet"))
    notes = world.home / "keyring" / "last-seen"
    kept = {path: path.read_bytes() for path in notes.iterdir()}
    second = world.protect(world.write(MANY, "many.parquet"))
    name = json.loads((world.features / "uci-credit-training.latest.json").read_bytes())["name"]
    (notes / f"{name}.json").write_bytes(kept[notes / f"{name}.json"])
    assert latest(world) == second.path


def test_an_edited_pointer_is_found(world: World) -> None:
    pointer = world.features / "uci-credit-training.latest.json"
    first = world.protect(world.write(FEW, "few.parquet"))
    world.protect(world.write(MANY, "many.parquet"))
    good = json.loads(pointer.read_bytes())
    for changed in ({"folder": first.path.name}, {"number": 9}, {"name": "0" * 16}, {"mac": ""}):
        pointer.write_bytes(canonical.dumps({**good, **changed}) + b"\n")
        with pytest.raises(IntegrityError, match="was altered"):
            latest(world)
    whole = pointer.with_name("uci-credit-decision.latest.json")
    pointer.write_bytes(canonical.dumps(good) + b"\n")
    shutil.copyfile(pointer, whole)
    with pytest.raises(IntegrityError, match="not the newest one"):
        gate.latest(
            world.features, contract_id="uci-credit", purpose=Purpose.DECISION, keyring=world.ring
        )


def test_a_document_that_nests_without_end_was_altered(world: World) -> None:
    table, deep = world.protect(FEW), b"[" * 100_000
    (world.features / "uci-credit-training.latest.json").write_bytes(deep)
    with pytest.raises(IntegrityError, match="was altered"):
        latest(world)
    (table.path / "manifest.json").write_bytes(deep)
    with pytest.raises(IntegrityError, match="was altered"):
        FeatureTable.open(table.path, keyring=world.ring)
    (world.home / "keyring" / keyring.RING_FILE).write_bytes(deep)
    with pytest.raises(KeyringError, match="does not open"):
        Keyring.open(world.home / "keyring")


def test_the_pointer_of_another_place_is_found(world: World) -> None:
    """It is ours, its number is larger, and the table that it names lies here as well."""
    source = world.write(FEW, "few.parquet")
    first = world.protect(source)
    world.protect(world.write(MANY, "many.parquet"))
    for _ in range(5):
        gate.protect(
            source, world.contract, keyring=world.ring, out=world.home / "there",
            purpose=Purpose.TRAINING, vault=world.vault,
        )  # fmt: skip
    there = world.home / "there" / "uci-credit-training.latest.json"
    assert json.loads(there.read_bytes())["folder"] == first.path.name
    shutil.copyfile(there, world.features / there.name)
    with pytest.raises(IntegrityError, match="not the newest one"):
        latest(world)


def test_files_are_their_owners_alone_whatever_the_process_leaves_open(world: World) -> None:
    before = os.umask(0)
    try:
        table = world.protect(FEW)
    finally:
        os.umask(before)
    files = [*world.home.rglob("*.db"), *world.features.rglob("*.json"), *table.path.iterdir()]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    folders = [world.features, world.vault, table.path, world.home / "keyring" / "last-seen"]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_a_table_in_a_folder_open_to_others_or_behind_a_link_is_refused(world: World) -> None:
    table = world.protect(FEW)
    table.path.chmod(0o777)
    with pytest.raises(EnvironmentFault, match="0777, so others could exchange"):
        FeatureTable.open(table.path, keyring=world.ring)
    table.path.chmod(0o700)
    away = world.home / "away" / table.path.name
    away.parent.mkdir()
    table.path.rename(away)
    table.path.symlink_to(away)
    with pytest.raises(EnvironmentFault, match="symbolic link"):
        FeatureTable.open(table.path, keyring=world.ring)
    world.features.chmod(0o777)
    with pytest.raises(EnvironmentFault, match="others could exchange"):
        world.protect(world.write(MANY, "many.parquet"))


def test_an_older_note_under_another_name_does_not_let_an_older_pointer_pass(
    world: World,
) -> None:
    """The note is ours and about this pointer; only its name on the disk is not its own."""
    pointer = world.features / "uci-credit-training.latest.json"
    world.protect(world.write(FEW, "few.parquet"))
    older = pointer.read_bytes()
    notes = world.home / "keyring" / "last-seen"
    note = notes / f"{json.loads(older)['name']}.json"
    (notes / "0.json").write_bytes(note.read_bytes())
    with pytest.raises(IntegrityError, match=r"0\.json was altered"):
        latest(world)
