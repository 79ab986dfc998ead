from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from governance.errors import EnvironmentFault, IntegrityError
from registry import rules, signing
from registry.ledger import Ledger
from registry.signing import Kind, People, Signer, make

ROOT = Path(__file__).parents[2]

APPEND = """
import sys
from pathlib import Path
from registry.ledger import Ledger
from registry.signing import People, Signer
from registry.signing import Kind, make
home, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ledger = Ledger.open(home / "ledger", Signer.open(home, "ledger"), people=People.load(home))
signer = Signer.open(home, "validator")
for _ in range(count):
    place = str(len(ledger.bodies()))
    said = {"monitor": name, "on": "2006-01-01", "facts": {"n": place}}
    beat = make(f"monitor:{name}", "a" * 64, kind=Kind.HEARTBEAT, predicate=said, signer=signer)
    print(ledger.append(beat, kind="heartbeat", subject=f"monitor:{name}"), flush=True)
"""


@pytest.fixture
def people(tmp_path: Path) -> People:
    return signing.create_people(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path, people: People) -> Ledger:
    return Ledger.open(tmp_path / "ledger", Signer.open(tmp_path, "ledger"), people=people)


def _append(ledger: Ledger, count: int, *, name: str = "drift") -> None:
    signer = Signer.open(ledger.folder.parent, "validator")
    for _ in range(count):
        said = {"monitor": name, "on": "2006-01-01", "facts": {"n": str(len(ledger.bodies()))}}
        beat = make(f"monitor:{name}", "a" * 64, kind=Kind.HEARTBEAT, predicate=said, signer=signer)
        ledger.append(beat, kind="heartbeat", subject=f"monitor:{name}")


def _edit(ledger: Ledger, *statements: str) -> None:
    """Do what an administrator with the file can do: drop the triggers, then anything."""
    connection = sqlite3.connect(ledger.folder / "ledger.db")
    connection.execute("DROP TRIGGER entry_is_never_updated")
    connection.execute("DROP TRIGGER entry_is_never_deleted")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_entries_come_back_in_order_and_verified(ledger: Ledger) -> None:
    _append(ledger, 3)
    _append(ledger, 1, name="fairness")

    assert [entry.seq for entry in ledger.entries()] == [0, 1, 2, 3, 4]
    assert [entry.seq for entry in ledger.entries(subject="monitor:fairness")] == [4]
    assert ledger.entries(kind="approval") == ()
    assert ledger.verify().size == 5


def test_the_signed_head_covers_every_append(ledger: Ledger) -> None:
    for size in range(2, 5):
        _append(ledger, 1)
        head = rules.read_checkpoint(ledger.checkpoint(), ledger.bodies())
        assert head.size == size


def test_an_append_is_on_disk_before_it_returns(ledger: Ledger) -> None:
    with ledger._transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_database_itself_refuses_updates_and_deletes(ledger: Ledger) -> None:
    _append(ledger, 1)
    connection = sqlite3.connect(ledger.folder / "ledger.db")
    for statement in ("UPDATE entry SET kind = 'x'", "DELETE FROM entry"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE entry SET body = CAST(replace(body, 'recorded', 'Recorded') AS BLOB) WHERE seq = 1",
        "UPDATE entry SET kind = 'approval' WHERE seq = 1",
        "UPDATE entry SET subject = 'monitor:other' WHERE seq = 1",
        "DELETE FROM entry WHERE seq = 1",
        "DELETE FROM entry WHERE seq = 4",
        "DELETE FROM entry",
        "UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 2) WHERE seq = 1",
    ],
)
def test_an_edited_deleted_or_cut_ledger_is_found_out(ledger: Ledger, attack: str) -> None:
    _append(ledger, 4)
    _edit(ledger, attack)

    problem = "differs from its signed head|was removed, moved or relabelled"
    with pytest.raises(IntegrityError, match=problem):
        ledger.verify()
    with pytest.raises(IntegrityError, match=problem):
        ledger.entries()
    with pytest.raises(IntegrityError, match=problem):
        _append(ledger, 1)


def test_two_entries_that_changed_places_are_found_out(ledger: Ledger) -> None:
    _append(ledger, 3)
    _edit(
        ledger,
        "UPDATE entry SET seq = 90 WHERE seq = 2",
        "UPDATE entry SET seq = 2 WHERE seq = 1",
        "UPDATE entry SET seq = 1 WHERE seq = 90",
    )

    with pytest.raises(IntegrityError, match="differs from its signed head"):
        ledger.verify()


def _rewrite(ledger: Ledger, people: People, count: int) -> Ledger:
    """Do what a thief of the ledger's key can do: write another history with a fresh head."""
    kept = (ledger.folder / "witness" / "checkpoint.txt").read_bytes()
    place = ledger.folder.parent
    shutil.rmtree(ledger.folder)
    rewritten = Ledger.open(place / "ledger", Signer.open(place, "ledger"), people=people)
    _append(rewritten, count, name="rewritten")
    (place / "ledger" / "witness" / "checkpoint.txt").write_bytes(kept)
    return rewritten


@pytest.mark.parametrize("count", [2, 5, 6])
def test_a_full_rewrite_with_the_stolen_key_is_found_by_the_witness(
    ledger: Ledger, people: People, count: int
) -> None:
    _append(ledger, 5)
    rewritten = _rewrite(ledger, people, count)

    assert len(rewritten.entries()) == count + 1
    with pytest.raises(IntegrityError, match="does not continue its witnessed head of 6"):
        rewritten.verify()


def test_a_head_that_was_kept_elsewhere_is_compared_too(ledger: Ledger, tmp_path: Path) -> None:
    _append(ledger, 2)
    kept = tmp_path / "kept.txt"
    kept.write_text(ledger.checkpoint())
    _append(ledger, 1)
    assert ledger.verify(kept).size == 4

    kept.write_text(ledger.checkpoint().replace("4\n", "3\n", 1))
    with pytest.raises(IntegrityError, match="not signed"):
        ledger.verify(kept)


@pytest.mark.parametrize("name", ["ledger.db", "checkpoint.txt", "witness/checkpoint.txt"])
def test_a_missing_part_is_never_begun_anew(ledger: Ledger, people: People, name: str) -> None:
    _append(ledger, 2)
    (ledger.folder / name).unlink()

    keeper = Signer.open(ledger.folder.parent, "ledger")

    with pytest.raises(IntegrityError, match="missing"):
        Ledger.open(ledger.folder, keeper, people=people).verify()


def test_a_statement_under_a_wrong_label_is_not_appended(ledger: Ledger) -> None:
    signer = Signer.open(ledger.folder.parent, "validator")
    beat = make("monitor:a", "a" * 64, kind=Kind.HEARTBEAT, predicate={}, signer=signer)

    with pytest.raises(IntegrityError, match="labelled"):
        ledger.append(beat, kind="approval", subject="monitor:a")
    assert [entry.statement.kind for entry in ledger.entries()] == [Kind.PEOPLE]


def test_a_kill_between_entry_and_head_is_caught_up(ledger: Ledger) -> None:
    _append(ledger, 1)
    behind = ledger.checkpoint()
    _append(ledger, 1)
    for path in (ledger.folder / "checkpoint.txt", ledger.folder / "witness" / "checkpoint.txt"):
        path.write_text(behind)

    assert ledger.verify().size == 3
    assert ledger.checkpoint() != behind


def _run(place: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", APPEND, str(place), name, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_append_at_once_and_lose_nothing(ledger: Ledger, tmp_path: Path) -> None:
    running = [_run(tmp_path, name, 20) for name in ("one", "two")]
    told = [int(line) for process in running for line in process.communicate()[0].split()]

    assert [process.returncode for process in running] == [0, 0]
    assert sorted(told) == list(range(1, 41))
    assert ledger.verify().size == 41


def test_a_kill_during_appends_loses_nothing_that_was_promised(
    ledger: Ledger, tmp_path: Path
) -> None:
    promised = 0
    for wait in (0.0, 0.013, 0.031):
        process = _run(tmp_path, "killed", 10_000)
        assert process.stdout is not None
        promised = int(process.stdout.readline())
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0].split("\n")
        promised = max([promised, *(int(line) for line in rest[:-1] if line)])
        assert ledger.verify().size > promised
    _append(ledger, 1)
    assert ledger.verify().size > promised + 1


def test_a_folder_without_a_ledger_names_the_command_that_begins_one(
    tmp_path: Path, people: People
) -> None:
    with pytest.raises(EnvironmentFault, match="limitline keys init"):
        Ledger.open(tmp_path / "nothing", people=people)


def test_a_file_that_is_no_database_is_an_integrity_error(ledger: Ledger) -> None:
    (ledger.folder / "ledger.db").write_bytes(b"not a database" * 100)

    with pytest.raises(IntegrityError, match="database is damaged"):
        ledger.verify()


@pytest.mark.parametrize(
    "foreign",
    [
        "DROP TABLE entry",
        "ALTER TABLE entry RENAME COLUMN body TO bytes",
        (
            "DROP TABLE entry; CREATE TABLE entry (seq, kind, subject, body);"
            "INSERT INTO entry VALUES (0, 'people', 'people', NULL)"
        ),
        (
            "DROP TABLE entry; CREATE TABLE entry (seq, kind, subject, body);"
            "INSERT INTO entry VALUES (0, 'people', 'people', 7)"
        ),
        (
            "DROP TABLE entry; CREATE TABLE entry (seq, kind, subject, body);"
            "INSERT INTO entry VALUES ('0', 'people', 'people', 'text')"
        ),
        "DROP TABLE entry; CREATE TABLE customer (name TEXT)",
        (
            "DROP TABLE entry; CREATE TABLE entry (seq, kind, subject, body, note);"
            "INSERT INTO entry SELECT 0, 'people', CAST(x'ff' AS TEXT), x'00', 1"
        ),
    ],
)
def test_a_database_that_is_another_than_the_ledgers_is_an_integrity_error(
    ledger: Ledger, foreign: str
) -> None:
    _append(ledger, 1)
    connection = sqlite3.connect(ledger.folder / "ledger.db")
    connection.executescript(foreign)
    connection.close()

    for asked in (ledger.verify, ledger.entries, lambda: _append(ledger, 1)):
        with pytest.raises(IntegrityError, match=r"damaged or another|removed, moved|differs"):
            asked()


def test_a_database_of_an_empty_file_is_an_integrity_error(ledger: Ledger) -> None:
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (ledger.folder / name).unlink(missing_ok=True)
    (ledger.folder / "ledger.db").touch()
    with pytest.raises(IntegrityError, match="damaged or another: no such table"):
        ledger.verify()


def test_a_ledger_that_somebody_else_writes_is_busy_and_not_damaged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.ledger._PRAGMAS", ("busy_timeout=50",))
    connection = sqlite3.connect(ledger.folder / "ledger.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(EnvironmentFault, match="database is locked"):
        _append(ledger, 1)
    connection.close()
    _append(ledger, 1)
