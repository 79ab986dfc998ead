"""Identities are sealed, found by a blind index, and bound to their subject."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from governance import durable
from governance.errors import EnvironmentFault, IntegrityError, UsageError
from privacy.leak_scan import scan
from privacy.subject_vault import FILE, SubjectVault, blind_index


@pytest.fixture
def table(world: Any, raw: Callable[..., pa.Table]) -> pa.Table:
    rows = raw(80)
    world.protect(rows)
    return rows


def test_an_identity_can_be_read_back_for_its_owner(world: Any, table: pa.Table) -> None:
    row = table.slice(11, 1).to_pylist()[0]
    kept = ("customer_id", "name", "mobile", "resident_id", "bank_card", "address")
    with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
        record = vault.record(row["customer_id"], world.contract)
        with pytest.raises(UsageError, match="does not know"):
            vault.record("C-nobody", world.contract)
    assert record == {name: row[name] for name in kept}


def test_protecting_again_updates_identities_and_keeps_subjects(
    world: Any, table: pa.Table
) -> None:
    moved = table.set_column(5, "address", pa.array(["新址"] * 80))
    world.protect(world.write(moved, "moved.parquet"))
    with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
        assert vault.count() == 80
        assert vault.record(table["customer_id"][0].as_py(), world.contract)["address"] == "新址"


def test_nothing_in_the_vault_files_is_readable(world: Any, table: pa.Table) -> None:
    columns = ("customer_id", "name", "mobile", "resident_id", "bank_card", "address")
    values = [value for name in columns for value in table[name].to_pylist()]
    files = sorted(world.vault.iterdir())
    report = scan(world.vault, canaries=values)
    assert report.files >= 2
    assert (report.hits, report.unread) == ((), ())
    assert sorted(world.vault.iterdir()) == files


def test_files_of_the_vault_are_their_owners_alone(world: Any, table: pa.Table) -> None:
    assert {file.stat().st_mode & 0o777 for file in world.vault.iterdir()} == {0o600}
    assert world.vault.stat().st_mode & 0o777 == 0o700


def test_records_cannot_be_exchanged(world: Any, table: pa.Table) -> None:
    first, second = table["customer_id"].to_pylist()[:2]
    blind = blind_index(pa.array([first, second]), world.contract, world.ring).to_pylist()
    with closing(sqlite3.connect(world.vault / FILE)) as connection, connection:
        get = "SELECT record FROM subject WHERE blind_index = ?"
        theirs = connection.execute(get, (blind[1],)).fetchone()
        put = "UPDATE subject SET record = ? WHERE blind_index = ?"
        connection.execute(put, (theirs[0], blind[0]))
    with (
        pytest.raises(IntegrityError, match="altered"),
        SubjectVault.opened(world.vault, keyring=world.ring) as vault,
    ):
        vault.record(first, world.contract)


def test_a_damaged_vault_is_an_integrity_error(
    world: Any, table: pa.Table, raw: Callable[..., pa.Table]
) -> None:
    (world.vault / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        world.protect(world.write(raw(20), "next.parquet"))


def test_a_vault_in_use_by_another_program_is_an_environment_fault(world: Any) -> None:
    world.vault.mkdir()
    path = world.vault / FILE
    with (
        closing(sqlite3.connect(path)) as first,
        closing(sqlite3.connect(path, timeout=0)) as next_,
    ):
        first.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(EnvironmentFault, match="locked by another program"),
            durable.database_faults(path),
        ):
            next_.execute("BEGIN EXCLUSIVE")
