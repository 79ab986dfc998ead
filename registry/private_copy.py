"""Private copies: bytes that nobody else can reach between the check and the use."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from governance.errors import EnvironmentFault, IntegrityError


def copy_folder(folder: Path, into: Path) -> Path:
    """Copy a model folder to the fresh folder ``into/model`` without following links."""
    if not folder.is_dir():
        raise IntegrityError(f"The model folder {folder} is missing; restore it or train again.")
    try:
        return Path(shutil.copytree(folder, into / "model", symlinks=True))
    except shutil.Error:
        # It gathers what went wrong with each file and has no error number of its own.
        raise EnvironmentFault(
            f"The model folder cannot be copied to {into} for verification: the temporary folder "
            "is full, or a file of the model cannot be read."
        ) from None


class PrivateFolder:
    """A temporary folder that only this user can read, for bytes under verification.

    It goes with the last reference to it, so whoever holds what was verified holds the bytes.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="limitline-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
