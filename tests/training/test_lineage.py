from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from training import lineage

NOWHERE = {"code_commit": "unknown", "code_is_dirty": "unknown"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a check out"
    root.mkdir()
    (root / "code.py").write_text("one = 1\n")
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid"]
    for step in (
        ["init", "--quiet"],
        ["add", "code.py"],
        [*identity, "commit", "--quiet", "--message", "One"],
    ):
        git(root, *step)
    return root


def git(root: Path, *arguments: str) -> str:
    program = shutil.which("git")
    assert program is not None
    return subprocess.run(
        [program, "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert lineage.code(checkout) == {"code_commit": head, "code_is_dirty": "false"}


def test_an_edited_checkout_says_so(checkout: Path) -> None:
    (checkout / "code.py").write_text("one = 2\n")
    assert lineage.code(checkout)["code_is_dirty"] == "true"


def test_untracked_files_are_not_the_code(checkout: Path) -> None:
    (checkout / "notes").write_text("nothing")
    assert lineage.code(checkout)["code_is_dirty"] == "false"


def test_a_copy_inside_a_foreign_checkout_has_no_commit(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()
    assert lineage.code(checkout / "site-packages") == NOWHERE


def test_a_checkout_without_a_commit_is_unknown(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert lineage.code(tmp_path) == NOWHERE


def test_a_machine_without_git_says_unknown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert lineage.code(checkout) == NOWHERE


def test_the_lock_is_known_by_its_bytes(tmp_path: Path) -> None:
    assert lineage.environment(tmp_path)["lock_digest"] == "unknown"
    (tmp_path / "requirements.lock").write_bytes(b"numpy==1\n")
    digest = hashlib.sha256(b"numpy==1\n").hexdigest()
    assert lineage.environment(tmp_path)["lock_digest"] == digest


def test_the_machine_is_told_and_the_script_is_known_by_its_bytes(tmp_path: Path) -> None:
    told = lineage.hardware()
    assert int(told["hardware_processors"]) >= 1
    assert float(told["hardware_memory_gib"]) > 0
    (tmp_path / "one.py").write_text("one = 1\n")
    before = lineage.script(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    assert lineage.script(tmp_path) == before
    (tmp_path / "one.py").write_text("one = 2\n")
    assert lineage.script(tmp_path) != before


def test_a_medium_is_named_by_its_file_system_and_number(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 99:99 / /elsewhere rw - ext4 /dev/other rw\n"
        f"22 1 {number} / /here rw,noatime shared:1 - xfs /dev/disk7 rw\n"
    )
    told = lineage.storage_medium(tmp_path, mounts)
    assert told.startswith(f"xfs on /dev/disk7, device {number}, file system id ")
    unnamed = lineage.storage_medium(tmp_path, tmp_path / "no such list")
    assert unnamed.startswith(f"device {number}, file system id ")
    assert unnamed in told
