"""Signing: keys, the signatures they make, and statements: one signed sentence about one subject.

The one module that holds private keys of people and of the ledger. ``create_people`` makes
development keys for every role on one machine. That shows the mechanism, not a separation of
duties: whoever can read the folder can sign as everybody. In earnest, each role's key is made and
kept by its holder, and only ``people.json`` is shared. Who holds which key is what the root signed,
in the ledger (`registry.people`); ``people.json`` is a copy of that, and of nothing else.
"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance import canonical, durable
from governance.errors import IntegrityError, KeyringError, UsageError
from registry import offline
from registry.offline import Person

FOLDER = "signing"
PEOPLE_FILE = "people.json"
FOUNDING_FILE = "founding.json"
NOTICE = (
    "development keys: every role's key lies on one machine, so duties are not really separated"
)


class Role(StrEnum):
    """Who may sign; `registry.offline.SIGNERS` says what."""

    ROOT = "root"
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
class DsseEnvelope:
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
    """Every public key that the root ever listed, by key id, as ``people.json`` copies it.

    Parameters
    ----------
    founding : mapping
        The envelope of the root's first list, with which a ledger begins; read from its own file.
    """

    by_key: Mapping[str, Person]
    founding: Mapping[str, Any]

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
            raise KeyringError(f"There is no {path}. Run `limitline keys init` first.")
        with checked():
            people = offline.read_people(path.read_bytes())
        founding = folder / FOLDER / FOUNDING_FILE
        return cls(people, json.loads(founding.read_bytes()) if founding.is_file() else {})


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
        return cls.read(folder / FOLDER / f"{Role(role).value}.pem", role)

    @classmethod
    def read(cls, path: Path, role: Role | str) -> Signer:
        """Open the key of `role` in the file `path`."""
        if path.is_symlink() or not path.is_file():
            raise KeyringError(f"There is no signing key {path}. Run `limitline keys init` first.")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyringError(f"The signing key {path} is open to others. Run `chmod 600` on it.")
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError):
            raise KeyringError(f"The signing key {path} cannot be read.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyringError(f"The signing key {path} is not an Ed25519 key.")
        return cls(Role(role), key)

    def sign(self, payload: bytes, payload_type: str = offline.PAYLOAD_TYPE) -> DsseEnvelope:
        """Sign `payload` in a DSSE envelope."""
        message = offline.pre_authentication(payload_type, payload)
        return DsseEnvelope(payload=payload, key_id=self.key_id, signature=self._key.sign(message))

    def sign_checkpoint(self, size: int, root: bytes) -> str:
        """Return a signed head of the ledger as a C2SP signed note."""
        body = offline.checkpoint_body(size, root)
        marked = offline.note_key_hash(self.public_key) + self._key.sign(body)
        return f"{body.decode()}\n— {offline.LEDGER_ORIGIN} {base64.b64encode(marked).decode()}\n"

    def __repr__(self) -> str:
        return f"Signer(role={self.role.value!r}, key_id={self.key_id[:12]!r})"

    def __reduce__(self) -> NoReturn:
        raise KeyringError("A signing key is not to be pickled or copied.")


def create_people(folder: Path, names: Mapping[str, str] | None = None) -> People:
    """Make development keys for every role below the keyring folder; keep those that exist.

    The folder with all keys, ``people.json`` and the list that the root signed appears as a whole
    or not at all.

    Parameters
    ----------
    names : mapping of str to str, optional
        Who holds the key of a role; a role that is left out gets a simulated holder.

    Raises
    ------
    UsageError
        If names are given for an unknown role, or for keys that exist.
    """
    given = names or {}
    if given.keys() - set(Role) or (given and (folder / FOLDER).exists()):
        raise UsageError(
            f"Names are given once, when keys are made, for the roles {', '.join(Role)}. Later, "
            "`limitline people rotate` gives a role's key to somebody else."
        )
    durable.make_folder(folder)
    with durable.locked(folder / f".{FOLDER}.lock", what="The signing keyring"):
        if not (folder / FOLDER).exists():
            with durable.replacing_folder(folder / FOLDER) as fresh:
                made = [
                    create_key(fresh / f"{role.value}.pem", role, given.get(role.value, ""))
                    for role in Role
                ]
                root = Signer.read(fresh / f"{Role.ROOT.value}.pem", Role.ROOT)
                write_people(fresh, made)
                durable.write_bytes(fresh / FOUNDING_FILE, offline.canonical(_founding(made, root)))
    return People.load(folder)


def _founding(people: Sequence[Mapping[str, str]], root: Signer) -> Mapping[str, Any]:
    """Sign the list of people with which a ledger begins."""
    predicate = {"add": list(people), "revoke": [], "reason": "founded"}
    said = offline.canonical(
        {
            "_type": offline.STATEMENT_TYPE,
            "subject": [{"name": "people", "digest": {"sha256": offline.digest(predicate)}}],
            "predicateType": f"{offline.NAMESPACE}people/v1",
            "predicate": predicate,
        }
    )
    return root.sign(said).as_json()


def write_people(folder: Path, people: Sequence[Mapping[str, str]]) -> None:
    """Write ``people.json`` into the folder of the signing keys."""
    document = {"schema": "people/1", "notice": NOTICE, "people": list(people)}
    durable.write_bytes(folder / PEOPLE_FILE, json.dumps(document, indent=2).encode() + b"\n")


def create_key(path: Path, role: Role, name: str) -> dict[str, str]:
    """Make a private key in the file `path` and return how its holder is listed."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    durable.write_bytes(path, private)
    public = key.public_key().public_bytes_raw()
    simulated = f"{role.value.replace('_', ' ').capitalize()} (simulated)"
    return listed(Person(name or simulated, role.value, offline.key_id(public), public))


def listed(person: Person) -> dict[str, str]:
    """Return how a person is listed in ``people.json`` and in the root's statements."""
    encoded = base64.b64encode(person.public_key).decode()
    said = {"name": person.name, "role": person.role, "key_id": person.key_id}
    return {**said, "public_key": encoded}


class Kind(StrEnum):
    """What a statement says; its predicate type is the kind below the product's name space."""

    PEOPLE = "people"
    APPETITE = "risk-appetite"
    MANIFEST = "model-manifest"
    EVIDENCE = "validation-evidence"
    POLICY = "policy-evidence"
    DECISION = "gate-decision"
    APPROVAL = "approval"
    WAIVER = "waiver"
    FINDING = "finding"
    HEARTBEAT = "heartbeat"
    FREEZE = "freeze"
    REVIEW = "review"
    LIFECYCLE = "lifecycle"
    STUDY = "developer-study"
    ALTERNATIVES = "alternatives-evidence"

    @property
    def predicate_type(self) -> str:
        """The in-toto predicate type, such as ``https://limitline.dev/approval/v1``."""
        return f"{offline.NAMESPACE}{self.value}/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verified statement and who made it."""

    kind: Kind
    subject_name: str
    sha256: str
    predicate: Mapping[str, Any]
    person: Person

    @property
    def effective_on(self) -> str:
        """From which day on it says what it says; empty if it names none, as a manifest."""
        match self.kind:
            case Kind.APPROVAL:
                day = self.predicate["approved_on"]
            case Kind.WAIVER:
                day = self.predicate["waiver"]["granted_on"]
            case Kind.DECISION:
                day = self.predicate["decision"]["decided_on"]
            case Kind.EVIDENCE | Kind.POLICY | Kind.ALTERNATIVES:
                day = self.predicate["evidence"]["measured_on"]
            case Kind.FINDING:
                finding = self.predicate["finding"]
                day = finding["closed_on"] or finding["opened_on"]
            case _:
                day = self.predicate.get("on", "")
        return str(day)

    @classmethod
    def of(cls, verified: Mapping[str, Any], person: Person) -> Statement:
        """Wrap what `registry.offline.verify_statement` returned."""
        subject = verified["subject"][0]
        name = verified["predicateType"].removeprefix(offline.NAMESPACE).removesuffix("/v1")
        return cls(
            kind=Kind(name),
            subject_name=subject["name"],
            sha256=subject["digest"]["sha256"],
            predicate=verified["predicate"],
            person=person,
        )


def make(
    subject_name: str, sha256: str, *, kind: Kind, predicate: Mapping[str, Any], signer: Signer
) -> DsseEnvelope:
    """Sign `predicate` about one subject; the same input and key give the same bytes.

    Raises
    ------
    KeyringError
        If the signer's role may not sign this kind of statement.
    """
    if signer.role.value not in offline.SIGNERS[f"{kind.value}/v1"]:
        allowed = ", ".join(sorted(offline.SIGNERS[f"{kind.value}/v1"]))
        raise KeyringError(
            f"The role {signer.role.value} may not sign {kind.value}; allowed: {allowed}."
        )
    statement = {
        "_type": offline.STATEMENT_TYPE,
        "subject": [{"name": subject_name, "digest": {"sha256": sha256}}],
        "predicateType": kind.predicate_type,
        "predicate": predicate,
    }
    return signer.sign(canonical.dumps(statement))
