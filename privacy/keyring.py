"""The data keys: one sealed ring per home, opened by one key file that only its owner may read.

A key file (``kek.key``) holds the key-encryption key; ``ring.json`` holds the ring's secrets sealed
under it with AES-256-GCM. No secret of the ring is used directly: every use derives a key of its
own with HKDF-SHA256 from a length-prefixed context, so that ``("a", "bc")`` and ``("ab", "c")`` are
different keys and no purpose can compute what another one knows.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from governance import canonical, durable
from governance.errors import IntegrityError, KeyringError

KEK_FILE = "kek.key"
RING_FILE = "ring.json"

_SUITE = "limitline-ring/1 aes-256-gcm hkdf-sha256"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_WRAP_MAGIC = b"LLW1"
_LARGEST_FILE_BYTES = 1 << 20
_LASTING = "lasting"
_RUN_INIT = "Run `limitline keys init` first"


class KeyMap(Mapping[str, bytes]):
    """Keys by name, which are used one by one: no print, copy or pickle shows them."""

    __slots__ = ("_held",)

    def __init__(self, held: Mapping[str, bytes]) -> None:
        self._held = dict(held)

    def __getitem__(self, name: str) -> bytes:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, name: str, key: bytes) -> None:
        """Keep one more key."""
        self._held[name] = key

    def __repr__(self) -> str:
        return f"KeyMap({len(self)} keys)"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("Keys are not copied or pickled: ship the folder's path and open it there.")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Keyring:
    """The opened ring; it neither prints nor pickles its secrets.

    Parameters
    ----------
    ring_id : str
        Public random name of the ring; what is sealed names its ring.
    key_version : int
        The version that new things are sealed under.
    folder : Path or None
        Where the ring was opened; what it has last seen of vaults and pointers lies there.
    """

    ring_id: str
    key_version: int
    _secrets: KeyMap = field(compare=False)
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def open(cls, folder: Path) -> Keyring:
        """Open the ring below `folder`.

        Raises
        ------
        KeyringError
            If a file is missing, is a symbolic link, belongs to somebody else, can be read by
            others, if others can write to the folder, or if the key does not fit the ring.
        """
        _check_folder(folder)
        kek = _read_kek(folder / KEK_FILE)
        text = _read_private(folder / RING_FILE)
        try:
            document = json.loads(text)
            header = document["header"]
            nonce, sealed = bytes.fromhex(document["nonce"]), bytes.fromhex(document["sealed"])
            secret = json.loads(AESGCM(kek).decrypt(nonce, sealed, canonical.dumps(header)))
            keys = KeyMap({name: bytes.fromhex(value) for name, value in secret.items()})
            return cls(
                ring_id=header["ring_id"],
                key_version=header["key_version"],
                _secrets=keys,
                folder=folder.resolve(),
            )
        except (InvalidTag, ValueError, KeyError, TypeError, RecursionError):
            raise KeyringError(
                f"The key file {folder / KEK_FILE} does not open {RING_FILE}: one of the two "
                "belongs to another ring or was altered. Restore both from the same backup."
            ) from None

    def derive(self, use: str, *context: str, version: int | None = None) -> bytes:
        """Return the 32-byte key of one use, by HKDF-SHA256 from the versioned secret.

        Raises
        ------
        KeyringError
            If the ring does not hold `version`; other versions are never tried instead.
        """
        wanted = self.key_version if version is None else version
        return self._hkdf(str(wanted), use, *context)

    def derive_lasting(self, use: str, *context: str) -> bytes:
        """Return the 32-byte key of a use that no rotation may change, such as the assignment."""
        return self._hkdf(_LASTING, use, *context)

    def wrap(self, dek: bytes, associated_data: bytes, *, use: str) -> bytes:
        """Encrypt a data key under the key of `use`; `associated_data` says what it is for."""
        header = _WRAP_MAGIC + self.key_version.to_bytes(4, "big")
        nonce = os.urandom(_NONCE_BYTES)
        key = AESGCM(self.derive("wrap", use))
        return header + nonce + key.encrypt(nonce, dek, header + associated_data)

    def unwrap(self, wrapped: bytes, associated_data: bytes, *, use: str) -> bytes:
        """Return the data key that `wrap` encrypted.

        Raises
        ------
        IntegrityError
            If the bytes, their use or their associated data differ from what was wrapped.
        """
        header, nonce = wrapped[:8], wrapped[8 : 8 + _NONCE_BYTES]
        if header[:4] != _WRAP_MAGIC or len(wrapped) <= 8 + _NONCE_BYTES:
            raise IntegrityError("A wrapped data key is malformed. Restore it from a backup.")
        key = AESGCM(self.derive("wrap", use, version=int.from_bytes(header[4:], "big")))
        try:
            return key.decrypt(nonce, wrapped[8 + _NONCE_BYTES :], header + associated_data)
        except InvalidTag:
            raise IntegrityError(
                "A wrapped data key was altered or belongs to something else. "
                "Restore it from a backup."
            ) from None

    def mac(self, data: bytes, *, use: str, version: int | None = None) -> bytes:
        """Return HMAC-SHA256 of `data` under the key of `use`."""
        return hmac.digest(self.derive("mac", use, version=version), data, "sha256")

    def lasting_mac(self, data: bytes, *, use: str) -> bytes:
        """Return HMAC-SHA256 of `data` under a key that no rotation may change."""
        return hmac.digest(self.derive_lasting("mac", use), data, "sha256")

    def __repr__(self) -> str:
        return f"Keyring(ring_id={self.ring_id!r}, key_version={self.key_version})"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A keyring is not pickled: ship the folder's path and open it there.")

    @staticmethod
    def name_of(secret: str, use: str, *context: str) -> str:
        """Return the name under which a narrow ring holds the key of one use."""
        return canonical.digest([secret, use, *context])

    def _hkdf(self, secret: str, use: str, *context: str) -> bytes:
        # A narrow ring holds derived keys by name, and no secret that others follow from.
        derived = self._secrets.get(self.name_of(secret, use, *context))
        if derived is not None:
            return derived
        if secret not in self._secrets:
            raise KeyringError(
                f"The ring {self.ring_id} holds no key version {secret}, or not the key of this "
                "use. Use the ring that the data were protected with."
            )
        parts = (_SUITE, secret, use, *context)
        info = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
        derivation = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info)
        return derivation.derive(self._secrets[secret])


def create(folder: Path) -> Keyring:
    """Make a new ring below `folder` and open it.

    A key file without a ring is what a killed run leaves; it has sealed nothing and is used.

    Raises
    ------
    KeyringError
        If there is a ring already.
    """
    durable.make_folder(folder)
    _check_folder(folder)
    with durable.locked(folder / ".lock", what="The keyring"):
        if os.path.lexists(folder / RING_FILE):
            raise KeyringError(f"There is a keyring at {folder} already; it is never overwritten.")
        if not os.path.lexists(folder / KEK_FILE):
            durable.write_bytes(folder / KEK_FILE, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        header = {"suite": _SUITE, "ring_id": secrets.token_hex(8), "key_version": 1}
        secret = {name: secrets.token_hex(_KEY_BYTES) for name in ("1", _LASTING)}
        seal(folder, header, secret)
    return Keyring.open(folder)


def seal(folder: Path, header: Mapping[str, object], secret: Mapping[str, str]) -> None:
    """Write the ring file below `folder`: `secret` in hex, sealed under the key file there.

    Raises
    ------
    KeyringError
        If there is no key file that only its owner can read.
    """
    kek, nonce = _read_kek(folder / KEK_FILE), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(kek).encrypt(nonce, canonical.dumps(secret), canonical.dumps(header))
    document = {"header": header, "nonce": nonce, "sealed": sealed}
    durable.write_bytes(folder / RING_FILE, canonical.dumps(document) + b"\n")


def _check_folder(folder: Path) -> None:
    fault = durable.folder_fault(folder)
    if fault:
        raise KeyringError(f"The keyring's folder {fault}")


def _read_kek(path: Path) -> bytes:
    text = _read_private(path)
    try:
        kek = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        kek = b""
    if len(kek) != _KEY_BYTES:
        raise KeyringError(
            f"The key file {path} does not hold a key of {_KEY_BYTES} bytes. "
            "Restore it from a backup."
        )
    return kek


def _read_private(path: Path) -> bytes:
    """Read a file that nobody else can read; the checks are made on the opened file itself."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise KeyringError(f"There is no key file {path}. {_RUN_INIT}.") from None
    except OSError:
        raise KeyringError(
            f"The key file {path} cannot be opened, or is a symbolic link, which is not allowed. "
            "Put the file itself there, readable by its owner alone."
        ) from None
    try:
        _check_private(path, os.fstat(descriptor))
        return os.read(descriptor, _LARGEST_FILE_BYTES)
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyringError(f"The key file {path} is not a regular file. Restore it from a backup.")
    if status.st_uid != os.geteuid():
        raise KeyringError(f"The key file {path} belongs to another user. Change its owner.")
    if status.st_mode & 0o077:
        raise KeyringError(
            f"The key file {path} has mode {stat.S_IMODE(status.st_mode):04o}, so others could "
            f"read it; allowed is 0600. Run `chmod 600 {path}` and consider a new key."
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NotingRing(Keyring):
    """A ring that notes the keys which were derived from it, to hand over these and no others.

    Whoever replays decisions opens one decision log and one feature table. The whole ring would
    also let them make pseudonyms, open the vaults and read training tables; above keys that were
    derived already nothing can be computed.
    """

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
