"""A file appears whole or not at all, and a lock outlives nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from governance import durable
from governance.errors import EnvironmentFault


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    target = tmp_path / "file"
    durable.write_bytes(target, b"old")

    def interrupted() -> None:
        with durable.replacing(target) as temporary:
            temporary.write_bytes(b"new, but never fini")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the operating system was asked to flush and to rename, in order, by inode."""
    asked: list[tuple[str, int]] = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def flushing(descriptor: int) -> None:
        asked.append(("flush", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def renaming(call: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def run(old: Path, new: Path) -> None:
            asked.append(("rename", old.stat().st_ino))
            call(old, new)

        return run

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(os, "replace", renaming(replace))
    monkeypatch.setattr(os, "rename", renaming(rename))
    return asked


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    tmp_path: Path, calls: list[tuple[str, int]]
) -> None:
    """A name that reaches the disk before its content is an empty file after a loss of power."""
    durable.write_bytes(tmp_path / "file", b"x")
    file, folder = (tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino
    assert calls == [("flush", file), ("rename", file), ("flush", folder)]


def test_a_folder_is_on_the_disk_with_all_it_holds_before_it_has_its_name(
    tmp_path: Path, calls: list[tuple[str, int]]
) -> None:
    with durable.replacing_folder(tmp_path / "table") as temporary:
        (temporary / "part").write_bytes(b"x")
        (temporary / "inner").mkdir()
        (temporary / "inner" / "part").write_bytes(b"y")
    folder = tmp_path / "table"
    within = {("flush", item.stat().st_ino) for item in (folder, *folder.rglob("*"))}
    assert len(within) == 4
    assert set(calls[:4]) == within
    named = [("rename", folder.stat().st_ino), ("flush", tmp_path.stat().st_ino)]
    assert calls[4:] == named


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    durable.write_bytes(tmp_path / "file", b"x")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_database_is_for_its_owner_alone_and_loses_no_commit(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cases.db"
    path.parent.mkdir()
    path.touch(mode=0o644)
    with closing(durable.open_database(path, pragmas=("secure_delete=ON",))) as connection:
        asked = ("journal_mode", "synchronous", "secure_delete")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    assert found == ["wal", 2, 1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_a_database_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "cases.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic") as refused:
        durable.open_database(tmp_path / "cases.db")
    assert "a link is where a file should be" in str(durable.fault_from(refused.value))
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_appears_whole_and_is_never_overwritten(tmp_path: Path) -> None:
    with durable.replacing_folder(tmp_path / "table") as temporary:
        (temporary / "part").write_bytes(b"x")
        assert not (tmp_path / "table").exists()
    assert (tmp_path / "table" / "part").read_bytes() == b"x"
    with (
        pytest.raises(OSError, match=r"not empty|exists"),
        durable.replacing_folder(tmp_path / "table") as temporary,
    ):
        (temporary / "part").write_bytes(b"y")
    assert (tmp_path / "table" / "part").read_bytes() == b"x"
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from governance import durable
        with durable.replacing_folder(Path({str(tmp_path)!r}) / "table") as temporary:
            (temporary / "part").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert not (tmp_path / "table").exists()
    with durable.replacing_folder(tmp_path / "table") as temporary:
        (temporary / "part").write_bytes(b"whole")
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_of_a_living_one(
    tmp_path: Path,
) -> None:
    """A stray holds what was to be written, which may be a whole table of decisions."""
    target = tmp_path / "out [1].parquet"  # a name that a search pattern would misread
    script = f"""
        import os, signal
        from pathlib import Path
        from governance import durable
        with durable.replacing(Path({str(target)!r})) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    dead = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert dead.returncode == -signal.SIGKILL
    (stray,) = tmp_path.iterdir()
    with durable.replacing(target) as living:
        assert not stray.exists()
        living.write_bytes(b"slow")
        durable.write_bytes(target, b"quick")
        assert sorted(tmp_path.iterdir()) == sorted([living, target])
    assert target.read_bytes() == b"slow"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_and_a_file_of_one_name_leave_each_other_s_strays_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    folder, file = tmp_path / ".out.0000.tmp", tmp_path / ".out.0001.tmp"
    folder.mkdir()
    durable.write_bytes(target, b"x")
    assert sorted(tmp_path.iterdir()) == [folder, target]
    target.unlink()
    file.write_bytes(b"half")
    with durable.replacing_folder(target):
        assert not folder.exists()
    assert sorted(tmp_path.iterdir()) == [file, target]


def test_a_second_holder_of_a_lock_is_told_so_and_a_dead_one_is_forgotten(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    second = durable.locked(lock, what="The home")
    with durable.locked(lock, what="The home"), pytest.raises(EnvironmentFault, match="is busy"):
        second.__enter__()
    script = f"""
        import os, signal
        from pathlib import Path
        from governance import durable
        with durable.locked(Path({str(lock)!r}), what="x"):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    with durable.locked(lock, what="The home"):
        pass


def test_a_home_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="Cannot create the folder"):
        durable.make_folder(tmp_path / "file" / "home")


def test_a_full_disk_is_told_from_a_bug() -> None:
    full = durable.fault_from(OSError(28, os.strerror(28), "/home/x"))
    assert full is not None
    assert "disk is full" in str(full)
    assert durable.fault_from(OSError(2, "No such file")) is None
