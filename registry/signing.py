"""Signing keys: the one module that holds private keys of people and of the ledger.

``create_people`` makes development keys for every role on one machine. That shows the mechanism,
not a separation of duties: whoever can read the folder can sign as everybody. In earnest, each
role's key is made and kept by its holder, and only ``people.json`` is shared.
"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance import durable
from governance.errors import IntegrityError, KeyringError
from registry import offline
from registry.offline import Person

FOLDER = "signing"
PEOPLE_FILE = "people.json"
NOTICE = (
    "development keys: every role's key lies on one machine, so duties are not really separated"
)


class Role(StrEnum):
    """Who may sign; `registry.offline.SIGNERS` says what."""

    DEVELOPER = "developer"
    VALIDATOR = "validator"
    RISK_APPROVER = "risk_approver"
    BUSINESS_APPROVER = "business_approver"
    REVIEWER = "reviewer"
    LEDGER = "ledger"


@contextmanager
def checked() -> Iterator[None]:
    """Let what the offline verifier refuses leave the block as an `IntegrityError`."""
    try:
        yield
    except offline.VerificationError as error:
        raise IntegrityError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A DSSE envelope with one signature."""

    payload: bytes
    key_id: str
    signature: bytes

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form that DSSE prescribes."""
        signed = {"keyid": self.key_id, "sig": base64.b64encode(self.signature).decode()}
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": offline.PAYLOAD_TYPE,
            "signatures": [signed],
        }


@dataclass(frozen=True, slots=True)
class People:
    """The public keys that count, by key id."""

    by_key: Mapping[str, Person]

    @classmethod
    def load(cls, folder: Path) -> People:
        """Read ``people.json`` from the keyring folder.

        Raises
        ------
        KeyringError
            If there is none yet.
        """
        path = folder / FOLDER / PEOPLE_FILE
        if not path.is_file():
            raise KeyringError(f"There is no {path}. Run `python -m registry init` first.")
        with checked():
            return cls(offline.read_people(path.read_bytes()))


class Signer:
    """One role's private key, able to sign and unwilling to show itself."""

    __slots__ = ("_key", "key_id", "public_key", "role")

    def __init__(self, role: Role, key: Ed25519PrivateKey) -> None:
        self.role = role
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()
        self.key_id = offline.key_id(self.public_key)

    @classmethod
    def open(cls, folder: Path, role: Role | str) -> Signer:
        """Open the key of `role` below the keyring folder.

        Raises
        ------
        KeyringError
            If the key is missing, a link, readable by others, or not an Ed25519 key.
        """
        path = folder / FOLDER / f"{Role(role).value}.pem"
        if path.is_symlink() or not path.is_file():
            raise KeyringError(
                f"There is no signing key {path}. Run `python -m registry init` first."
            )
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyringError(f"The signing key {path} is open to others. Run `chmod 600` on it.")
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError):
            raise KeyringError(f"The signing key {path} cannot be read.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyringError(f"The signing key {path} is not an Ed25519 key.")
        return cls(Role(role), key)

    def sign(self, payload: bytes, payload_type: str = offline.PAYLOAD_TYPE) -> Envelope:
        """Sign `payload` in a DSSE envelope."""
        message = offline.pre_authentication(payload_type, payload)
        return Envelope(payload=payload, key_id=self.key_id, signature=self._key.sign(message))

    def sign_checkpoint(self, size: int, root: bytes) -> str:
        """Return a signed head of the ledger as a C2SP signed note."""
        body = offline.checkpoint_body(size, root)
        marked = offline.note_key_hash(self.public_key) + self._key.sign(body)
        return f"{body.decode()}\n— {offline.LEDGER_ORIGIN} {base64.b64encode(marked).decode()}\n"

    def __repr__(self) -> str:
        return f"Signer(role={self.role.value!r}, key_id={self.key_id[:12]!r})"

    def __reduce__(self) -> NoReturn:
        raise KeyringError("A signing key is not to be pickled or copied.")


def create_people(folder: Path) -> People:
    """Make development keys for every role below the keyring folder; keep those that exist.

    The folder with all keys and ``people.json`` appears as a whole or not at all. A role that
    nobody listed holds yet, because it came with a newer version, is added.
    """
    durable.make_folder(folder)
    with durable.locked(folder / f".{FOLDER}.lock", what="The signing keyring"):
        if not (folder / FOLDER).exists():
            with durable.replacing_folder(folder / FOLDER) as fresh:
                _list_people(fresh, [_create_key(fresh, role) for role in Role])
        held = {person.role for person in People.load(folder).by_key.values()}
        fresh_roles = [role for role in Role if role.value not in held]
        if fresh_roles:
            listed = json.loads((folder / FOLDER / PEOPLE_FILE).read_bytes())["people"]
            added = [_create_key(folder / FOLDER, role) for role in fresh_roles]
            _list_people(folder / FOLDER, [*listed, *added])
    return People.load(folder)


def _list_people(folder: Path, listed: list[dict[str, str]]) -> None:
    document = {"schema": "people/1", "notice": NOTICE, "people": listed}
    durable.write_bytes(folder / PEOPLE_FILE, json.dumps(document, indent=2).encode() + b"\n")


def _create_key(folder: Path, role: Role) -> dict[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    durable.write_bytes(folder / f"{role.value}.pem", private)
    public = key.public_key().public_bytes_raw()
    name = f"{role.value.replace('_', ' ').capitalize()} (simulated)"
    encoded = base64.b64encode(public).decode()
    return {
        "name": name,
        "role": role.value,
        "key_id": offline.key_id(public),
        "public_key": encoded,
    }
