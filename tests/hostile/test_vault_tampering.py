"""Whoever can write to the vault's files can break them, and cannot change what they say."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from governance import durable
from governance.contract import Purpose
from governance.errors import (
    EnvironmentFault,
    IntegrityError,
    KeyringError,
)
from privacy import audit, audit_vault, keyring, subject_vault, vault_file
from privacy.audit_vault import AuditVault
from privacy.keyring import Keyring
from privacy.raw_table import packaged_contract
from privacy.subject_vault import SubjectVault, blind_index
from tests.privacy.conftest import World, raw_table

SUBJECTS, AUDIT = subject_vault.FILE, audit_vault.FILE
RAW = raw_table(60)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("tampering")
    ring = keyring.create(home / "keyring")
    world = World(home=home, ring=ring, contract=packaged_contract("uci_credit"))
    world.protect(RAW)
    return world


@pytest.fixture
def world(protected: World, tmp_path: Path) -> World:
    home = tmp_path / "home"
    shutil.copytree(protected.home, home)
    return World(home=home, ring=Keyring.open(home / "keyring"), contract=protected.contract)


def edit(world: World, file: str, *statements: str) -> None:
    with closing(sqlite3.connect(world.vault / file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def said(world: World) -> tuple[object, ...]:
    """Return all that the two vaults say."""
    with SubjectVault.opened(world.vault, keyring=world.ring) as subjects:
        everybody = subjects.file.connection.execute("SELECT * FROM subject").fetchall()
        first = subjects.record(RAW["customer_id"][0].as_py(), world.contract)
    with AuditVault.opened(world.vault, keyring=world.ring) as vault:
        members, codes = vault._unsealed(4)
        return everybody, first, members.to_pylist(), codes.tolist(), vault.attributes()


# What two rows say is exchanged, so that each record still fits its subject id.
EXCHANGE = """
UPDATE subject SET ({0}) = (
    SELECT {0} FROM subject AS other WHERE other.blind_index = iif(
        subject.blind_index = (SELECT min(blind_index) FROM subject),
        (SELECT max(blind_index) FROM subject), (SELECT min(blind_index) FROM subject)))
WHERE blind_index = (SELECT min(blind_index) FROM subject)
   OR blind_index = (SELECT max(blind_index) FROM subject)
"""
FIRST = "WHERE blind_index = (SELECT min(blind_index) FROM subject)"
FORGERIES = {
    "subjects exchanged": (SUBJECTS, EXCHANGE.format("subject_id, key_version, record")),
    "records exchanged": (SUBJECTS, EXCHANGE.format("record")),
    "a subject id forged": (SUBJECTS, f"UPDATE subject SET subject_id = zeroblob(16) {FIRST}"),
    "half the subjects deleted": (SUBJECTS, "DELETE FROM subject WHERE blind_index < x'80'"),
    "all subjects deleted": (SUBJECTS, "DELETE FROM subject"),
    "a subject added": (SUBJECTS, "INSERT INTO subject VALUES (x'00', zeroblob(16), 1, x'00')"),
    "a key version changed": (SUBJECTS, "UPDATE subject SET key_version = 2"),
    "the number of the state changed": (SUBJECTS, "UPDATE seal SET number = number + 1"),
    "the ring's name changed": (SUBJECTS, "UPDATE meta SET value = 'x' WHERE name = 'ring_id'"),
    "the vault's name changed": (SUBJECTS, "UPDATE meta SET value = 'x' WHERE name = 'vault_id'"),
    "the seal deleted": (SUBJECTS, "DELETE FROM seal"),
    "groups in another order": (
        AUDIT,
        "UPDATE attribute SET groups = json_array('female', 'male') WHERE name = 'sex'",
    ),
    "another reference group": (
        AUDIT,
        "UPDATE attribute SET reference_group = 'male' WHERE name = 'sex'",
    ),
    "places of attributes exchanged": (AUDIT, "UPDATE attribute SET place = 3 - place"),
    "members deleted": (AUDIT, "DELETE FROM member WHERE audit_pseudonym < x'80'"),
    "a trigger dropped": (AUDIT, "DROP TRIGGER access_log_is_not_deleted"),
    "a table added": (AUDIT, "CREATE TABLE more (a)"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_row_is_found(world: World, name: str) -> None:
    before = said(world)
    file, statement = FORGERIES[name]
    edit(world, file, statement)
    with pytest.raises(IntegrityError, match=r"was altered|not the vault|not the state"):
        said(world)
    with pytest.raises(IntegrityError, match=r"was altered|not the vault|not the state"):
        world.protect(world.write(raw_table(20, seed=1), "next.parquet"))
    assert before[1]


def test_a_log_without_its_last_entry_is_found(world: World) -> None:
    rows = world.all(world.protect(RAW))
    for mandate in ("one", "two"):
        audit.count(
            rows, keyring=world.ring, vault=world.vault, purpose=Purpose.TRAINING,
            attributes=["sex"], by=[], mandate=mandate,
        )  # fmt: skip
    edit(
        world, AUDIT, "DROP TRIGGER access_log_is_not_deleted",
        "DELETE FROM access_log WHERE mandate = 'two'",
        "CREATE TRIGGER access_log_is_not_deleted BEFORE DELETE ON access_log\n"
        "BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END",
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="was altered"):
        audit.groups(world.vault, world.ring)


@pytest.mark.parametrize("file", [SUBJECTS, AUDIT])
def test_a_whole_older_file_is_found(world: World, file: str) -> None:
    older = (world.vault / file).read_bytes()
    world.protect(world.write(raw_table(20, seed=1), "next.parquet"))
    newer = (world.vault / file).read_bytes()
    (world.vault / file).write_bytes(older)
    with pytest.raises(IntegrityError, match="not the state that the ring saw last"):
        said(world)
    (world.vault / file).write_bytes(newer)
    assert said(world)


def test_a_backup_of_vault_and_keyring_together_is_good(world: World, tmp_path: Path) -> None:
    before = said(world)
    kept = tmp_path / "backup"
    shutil.copytree(world.home, kept)
    world.protect(world.write(raw_table(20, seed=1), "next.parquet"))
    shutil.rmtree(world.home)
    shutil.copytree(kept, world.home)
    assert said(world) == before


@pytest.mark.parametrize("file", [SUBJECTS, AUDIT])
def test_an_emptied_or_missing_vault_is_no_new_one(world: World, file: str) -> None:
    path = world.vault / file
    path.write_bytes(b"")
    for act in (lambda: said(world), lambda: world.protect(RAW)):
        with pytest.raises(IntegrityError, match="is empty or gone"):
            act()
    path.unlink()
    for act in (lambda: said(world), lambda: world.protect(RAW)):
        with pytest.raises(IntegrityError, match="is empty or gone"):
            act()
    assert not path.exists()


def test_the_vault_of_another_home_or_another_ring_is_refused(world: World, tmp_path: Path) -> None:
    there = tmp_path / "there"
    other = World(home=there, ring=keyring.create(there / "keyring"), contract=world.contract)
    other.protect(RAW)
    path = world.vault / SUBJECTS
    good = path.read_bytes()
    path.write_bytes((other.vault / SUBJECTS).read_bytes())
    with pytest.raises(KeyringError, match="belongs to the ring"):
        said(world)
    path.write_bytes(good)
    second = World(home=tmp_path / "home" / "second", ring=world.ring, contract=world.contract)
    second.home.mkdir()
    second.protect(RAW)
    path.write_bytes((second.vault / SUBJECTS).read_bytes())
    with pytest.raises(IntegrityError, match="not the vault that was there"):
        said(world)
    path.write_bytes((world.vault / AUDIT).read_bytes())
    with pytest.raises(IntegrityError, match="was altered"):
        said(world)


def test_what_the_ring_has_seen_cannot_be_edited_or_dropped(world: World) -> None:
    notes = sorted((world.home / "keyring" / vault_file.LAST_SEEN).glob("*.json"))
    assert notes
    for note in notes:
        good = note.read_bytes()
        for place in range(len(good)):
            changed = bytearray(good)
            changed[place] ^= 0x01
            note.write_bytes(changed)
            with pytest.raises(IntegrityError, match="was altered"):
                said(world)
        note.write_bytes(b"[" * 100_000)
        with pytest.raises(IntegrityError, match="was altered"):
            said(world)
        note.write_bytes(good)
    shutil.rmtree(notes[0].parent)
    with pytest.raises(IntegrityError, match="not the state that the ring saw last"):
        said(world)


@pytest.fixture
def flips() -> Callable[[Path, int], Iterator[None]]:
    def each(path: Path, number: int) -> Iterator[None]:
        good, drawn = path.read_bytes(), random.Random(path.name)
        for _ in range(number):
            changed = bytearray(good)
            changed[drawn.randrange(len(good))] ^= 1 << drawn.randrange(8)
            path.write_bytes(changed)
            yield
        path.write_bytes(good)

    return each


@pytest.mark.parametrize("file", [SUBJECTS, AUDIT])
def test_no_flipped_bit_is_silent(
    world: World, flips: Callable[[Path, int], Iterator[None]], file: str
) -> None:
    before, found = said(world), 0
    for _ in flips(world.vault / file, int(os.environ.get("LIMITLINE_FLIPS", "150"))):
        try:
            assert said(world) == before, "a flipped bit changed what the vault says"
        except (IntegrityError, EnvironmentFault):
            found += 1
    assert found > 20
    assert said(world) == before


def test_a_record_is_handed_out_to_its_own_customer_only(world: World) -> None:
    """Even a row that was sealed in the wrong place by a fault of ours is not handed out."""
    first, second = RAW["customer_id"].to_pylist()[:2]
    mine, theirs = blind_index(pa.array([first, second]), world.contract, world.ring).to_pylist()
    with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
        get = "SELECT subject_id, key_version, record FROM subject WHERE blind_index = ?"
        row = vault.file.connection.execute(get, (theirs,)).fetchone()
        with vault.file.transaction() as connection:
            put = "UPDATE subject SET (subject_id, key_version, record) = (?, ?, ?) "
            connection.execute(f"{put} WHERE blind_index = ?", (*row, mine))
        with pytest.raises(IntegrityError, match="is another customer's"):
            vault.record(first, world.contract)


def test_what_sqlite_says_about_a_cell_is_not_repeated(world: World) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        with (
            pytest.raises(IntegrityError, match="is damaged") as told,
            durable.database_faults(Path("a.db")),
        ):
            connection.execute("SELECT CAST(x'5365637265747AFF' AS TEXT)").fetchall()
        assert "Secret" not in str(told.value)
        with pytest.raises(IntegrityError, match="damaged"), durable.database_faults(Path("a.db")):
            connection.execute("SELECT * FROM nothing")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_folder_that_others_may_write_to_is_refused(world: World, mode: int) -> None:
    world.vault.chmod(mode)
    with pytest.raises(EnvironmentFault, match=f"{mode:04o}, so others could exchange"):
        said(world)
    world.vault.chmod(0o755)
    assert said(world)
    (world.home / "keyring").chmod(mode)
    with pytest.raises(KeyringError, match="others could exchange"):
        Keyring.open(world.home / "keyring")


def test_a_folder_behind_a_link_is_refused(world: World, tmp_path: Path) -> None:
    for name in ("vault", "keyring"):
        place = world.home / name
        place.rename(tmp_path / name)
        place.symlink_to(tmp_path / name)
    with pytest.raises(KeyringError, match="symbolic link"):
        Keyring.open(world.home / "keyring")
    with pytest.raises(EnvironmentFault, match="symbolic link"):
        said(world)


@pytest.mark.parametrize("file", [SUBJECTS, AUDIT])
def test_what_is_altered_while_the_vault_is_open_is_never_sealed(world: World, file: str) -> None:
    """The next write would otherwise put our own seal on it."""
    opened = SubjectVault if file == SUBJECTS else AuditVault
    table = "subject" if file == SUBJECTS else "member"
    with opened.opened(world.vault, keyring=world.ring) as vault:
        edit(world, file, f"UPDATE {table} SET key_version = 2")
        with pytest.raises(IntegrityError, match="was altered"), vault.file.transaction():
            pass
    with pytest.raises(IntegrityError, match="was altered"):
        said(world)
