"""What the ring has last seen of a vault or a pointer, kept beside the keys.

Whoever can write to a vault can put a whole older copy of it in its place, and each byte of that
copy was sealed by us. So each state has a number, and the number of the newest one is kept in the
keyring's folder. A state with a smaller number is an older one. A state with a larger number is
what a run leaves that was killed between writing it and noting it.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance import canonical, durable
from governance.errors import IntegrityError, KeyringError
from privacy import places
from privacy.keyring import Keyring

FOLDER = "last-seen"

_USE = "last-seen"
_RESTORE = "Restore the keyring's folder and what it was used on from the same backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    """The newest state of one thing that this ring has sealed.

    Parameters
    ----------
    name : str
        Random name of the thing, which it carries itself.
    place : str
        Where it lies, seen from the keyring, so that a home may be moved as a whole.
    number : int
        Number of its newest state.
    """

    name: str
    place: str
    number: int

    def note(self, keyring: Keyring) -> None:
        """Keep this as the newest state; it is on disk when this returns."""
        body = {"name": self.name, "place": self.place, "number": self.number}
        mac = keyring.lasting_mac(canonical.dumps(body), use=_USE).hex()
        path = _folder(keyring) / f"{self.name}.json"
        durable.make_folder(path.parent)
        with places.file_faults(path):
            durable.write_bytes(path, canonical.dumps({**body, "mac": mac}) + b"\n")


def place_of(path: Path, keyring: Keyring) -> str:
    """Return where the file `path` lies, seen from the keyring."""
    return os.path.relpath(path.parent.resolve() / path.name, _folder(keyring).parent)


def of(name: str, keyring: Keyring) -> LastSeen | None:
    """Return the newest state of the thing called `name`; None if the ring never saw one.

    Raises
    ------
    IntegrityError
        If what was noted was altered.
    """
    path = _folder(keyring) / f"{Path(name).name}.json"
    return _read(path, keyring) if path.is_file() else None


def at(path: Path, keyring: Keyring) -> LastSeen | None:
    """Return what was last seen at the place of the file `path`; None if nothing ever was.

    Raises
    ------
    IntegrityError
        If what was noted was altered.
    """
    place = place_of(path, keyring)
    noted = (_read(file, keyring) for file in sorted(_folder(keyring).glob("*.json")))
    return next((one for one in noted if one.place == place), None)


def _folder(keyring: Keyring) -> Path:
    if keyring.folder is None:
        raise KeyringError(
            "This ring was not opened from a folder, so nobody can say whether a vault or a "
            "pointer is the newest one. Open the ring from its folder."
        )
    return keyring.folder / FOLDER


def _read(path: Path, keyring: Keyring) -> LastSeen:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        mac = bytes.fromhex(document.pop("mac"))
        found = LastSeen(**document)
        genuine = keyring.lasting_mac(canonical.dumps(document), use=_USE)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IntegrityError(f"{path} was altered. {_RESTORE}.") from None
    if found.name != path.stem or not hmac.compare_digest(genuine, mac):
        raise IntegrityError(f"{path} was altered. {_RESTORE}.")
    return found
