"""Narrow ring: the keys of a few uses and no others, for somebody who is to check a few things.

Whoever replays decisions needs to open one decision log and one feature table. The whole ring would
also let them make pseudonyms, open the vaults and read training tables. A narrow ring holds keys
that were derived already; nothing above them can be computed from it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from governance import durable
from governance.errors import KeyringError
from privacy.keyring import KEK_FILE, RING_FILE, KeyMap, Keyring, seal


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NotingRing(Keyring):
    """A ring that notes the keys which were derived from it."""

    _noted: KeyMap = field(default_factory=lambda: KeyMap({}), compare=False)

    @classmethod
    def over(cls, ring: Keyring) -> NotingRing:
        """Return a ring that derives what `ring` does, and notes it."""
        return cls(
            ring_id=ring.ring_id,
            key_version=ring.key_version,
            _secrets=ring._secrets,
            folder=ring.folder,
        )

    def _hkdf(self, secret: str, use: str, *context: str) -> bytes:
        # Named, for slots make another class of this one, which super() alone would not find.
        key = Keyring._hkdf(self, secret, use, *context)
        self._noted.hold(self.name_of(secret, use, *context), key)
        return key

    def hand_over(self, folder: Path) -> int:
        """Write a ring below `folder` that holds what was noted alone; return how many keys.

        Raises
        ------
        KeyringError
            If there is a ring already.
        """
        durable.make_folder(folder)
        if os.path.lexists(folder / RING_FILE) or os.path.lexists(folder / KEK_FILE):
            raise KeyringError(f"There is a keyring at {folder} already; it is never overwritten.")
        header = {
            "suite": "limitline-narrow-ring/1 aes-256-gcm",
            "ring_id": self.ring_id,
            "key_version": self.key_version,
        }
        durable.write_bytes(folder / KEK_FILE, secrets.token_hex(32).encode() + b"\n")
        seal(folder, header, {name: key.hex() for name, key in sorted(self._noted.items())})
        return len(self._noted)
