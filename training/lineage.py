"""Where a candidate comes from: code, environment and lock, as far as this machine can tell.

What cannot be told is ``unknown``, never left out: an installed wheel has no commit and no lock
beside it, and a reader must see that nobody looked it up.

References
----------
JR/T 0221-2021 asks for the script, the hardware and software environment and the parameters behind
every model; `training.candidate` adds data, times and operator.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

UNKNOWN = "unknown"

_ROOT = Path(__file__).resolve().parent.parent
_GIT_SECONDS = 20


def environment(root: Path = _ROOT) -> dict[str, str]:
    """Return interpreter, machine and the SHA-256 of the environment's lock."""
    lock = root / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN
    return {
        "lock_digest": digest,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "scikit_learn": version("scikit-learn"),
    }


def code(root: Path = _ROOT) -> dict[str, str]:
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
