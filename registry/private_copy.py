"""Private copies: bytes that nobody else can reach between the check and the use."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from governance.errors import IntegrityError


def copy_folder(folder: Path, into: Path) -> Path:
    """Copy a model folder to the fresh folder ``into/model`` without following links."""
    if not folder.is_dir():
        raise IntegrityError(f"The model folder {folder} is missing; restore it or train again.")
    return Path(shutil.copytree(folder, into / "model", symlinks=True))


class PrivateFolder:
    """A temporary folder that only this user can read, for bytes under verification.

    It goes with the last reference to it, so whoever holds what was verified holds the bytes.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="limitline-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
