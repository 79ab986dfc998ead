"""Where a candidate comes from: code, environment and lock, as far as this machine can tell.

What cannot be told is ``unknown``, never left out: an installed wheel has no commit and no lock
beside it, and a reader must see that nobody looked it up.

References
----------
JR/T 0221-2021 asks for the script, the hardware and software environment and the parameters behind
every model; `training.job` adds data, times and operator.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from privacy.feature_table import FeatureTable

UNKNOWN = "unknown"

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("governance", "privacy", "registry", "decisions", "training")
"""Whose code fits, measures, assembles and describes a candidate."""

_GIT_SECONDS = 20
_CODE = (".py", ".toml", ".j2")

_MOUNTS = Path("/proc/self/mountinfo")

TOLD = ("title", "source", "acquired_at", "acquired_at_is", "released_at")
"""What a feature table's manifest tells about its data."""

LOCK = ROOT / "requirements.lock"
"""The lock beside the code; an installed wheel has none."""


SOFTWARE: Mapping[str, str] = MappingProxyType(
    {
        "scikit_learn": "scikit-learn",
        "numpy": "numpy",
        "pyarrow": "pyarrow",
        "duckdb": "duckdb",
        "skops": "skops",
    }
)
"""Libraries whose version can change a number, by the name that the lineage has for them."""


def environment(root: Path = ROOT) -> dict[str, str]:
    """Return interpreter, kind of machine, libraries and the SHA-256 of the environment's lock.

    Versions stand beside the lock's digest because an environment need not be what the lock says.
    """
    lock = root / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN
    return {
        "lock_digest": digest,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: version(distribution) for name, distribution in SOFTWARE.items()},
    }


def hardware() -> dict[str, str]:
    """Return what the machine is; shown with the run, for it must not change what is fitted."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "hardware_machine": platform.machine() or UNKNOWN,
        "hardware_processors": str(os.cpu_count() or UNKNOWN),
        "hardware_memory_gib": f"{pages * size / 2**30:.1f}",
        "hardware_system": f"{platform.system()} {platform.release()}",
    }


def observed(table: FeatureTable) -> dict[str, str]:
    """Return what is seen in a run and signed with it, but makes no other candidate of it.

    Title, source and times as the table's authenticated manifest tells them, the medium that holds
    the table, and the machine. What nobody recorded is left out: a table that was protected before
    this was kept tells nothing, and nothing is made up for it.
    """
    told = {f"data_{name}": table.about[name] for name in TOLD if name in table.about}
    return {**told, "data_storage_medium": storage_medium(table.path), **hardware()}


def storage_medium(place: Path, mounts: Path = _MOUNTS) -> str:
    """Identify the medium that holds `place`: type and name of its file system, and its number.

    The number is what the system calls the file system (``f_fsid``); it follows a disk to another
    machine and not a copy to another disk.
    """
    device = place.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    identity = f"file system id {os.statvfs(place).f_fsid:016x}"
    for line in mounts.read_text(encoding="utf-8").splitlines() if mounts.is_file() else ():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [number]:
            kind, name = after.split()[:2]
            return f"{kind} on {name}, device {number}, {identity}"
    return f"device {number}, {identity}"


def script(package: Path = ROOT / "training") -> str:
    """Return the SHA-256 over a room's code: what fitted, even where no commit is known.

    Declarations and templates that ship with the code are part of it.
    """
    total = hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in _CODE):
        content = path.read_bytes()
        name = path.relative_to(package).as_posix()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def code(root: Path = ROOT) -> dict[str, str]:
    """Return the commit of the checkout at `root` and whether tracked files differ from it."""
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    # An installed copy may lie inside somebody else's checkout, whose commit says nothing about it.
    if top is None or commit is None or Path(top).resolve() != root.resolve():
        return {"code_commit": UNKNOWN, "code_is_dirty": UNKNOWN}
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    is_dirty = UNKNOWN if changes is None else str(bool(changes)).lower()
    return {"code_commit": commit, "code_is_dirty": is_dirty}


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, or ``None`` if there is no git or it refuses."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603  (a fixed program with fixed arguments)
            [program, "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
