"""Check Limitline's signed records with nothing but Python and the `cryptography` package.

This file imports nothing of Limitline, so that an auditor can read it, copy it and run it
elsewhere; every evidence pack carries it as ``verify.py``. It reads: that a pack is whole to the
byte, every entry signed and in the tree, and that it continues a kept head. What the entries may
say is judged by ``rules.py`` beside it, which it runs if it is there. The registry uses the same
functions, so what an outsider checks is what the product checks.

::

    python verify.py PACK                      a pack: folder or zip
    python verify.py PACK --people FILE        with public keys obtained another way
    python verify.py PACK --checkpoint FILE    against a ledger head that was witnessed earlier
    python verify.py PACK --model FOLDER       and a model folder against its signed manifest

References
----------
RFC 6962 §2.1 (Merkle tree and audit paths), DSSE v1, in-toto Statement v1,
C2SP tlog-checkpoint and signed-note.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import io
import itertools
import json
import os
import stat
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
NAMESPACE = "https://limitline.dev/"
LEDGER_ORIGIN = "limitline.dev/ledger"


APPROVERS = frozenset({"risk_approver", "business_approver"})


SIGNERS: Mapping[str, frozenset[str]] = {
    # Who holds which key is the root's word alone; the first entry of a ledger is its first list.
    "people/v1": frozenset({"root"}),
    "risk-appetite/v1": APPROVERS,
    "model-manifest/v1": frozenset({"developer"}),
    "validation-evidence/v1": frozenset({"validator"}),
    "policy-evidence/v1": frozenset({"developer", "validator"}),
    "gate-decision/v1": frozenset({"ledger"}),
    "approval/v1": APPROVERS,
    "waiver/v1": APPROVERS,
    # A validator opens and an approver agrees to close; who signed is what a closing counts by.
    "finding/v1": APPROVERS | {"validator"},
    "heartbeat/v1": frozenset({"validator"}),
    "freeze/v1": APPROVERS,
    "review/v1": frozenset({"reviewer"}),
    "lifecycle/v1": frozenset({"ledger"}),
    "developer-study/v1": frozenset({"developer"}),
    # The developer makes alternatives; whether one should have been chosen is not theirs to say.
    "alternatives-evidence/v1": frozenset({"validator"}),
}
"""Which role's key may sign which kind of statement."""

KEY_BYTES = 32

PARTS = frozenset({"seq", "kind", "subject", "recorded_at", "envelope"})
"""What a ledger entry holds: nothing beside what is signed but its place, label and time."""

NOT_JUDGED = (
    "Nothing was judged or measured again: that a decision follows from its evidence is the "
    "ledger's word."
)
"""What this verifier does not do, printed with every answer."""

NO_RULES = (
    "The rules (four eyes, appetite, waivers, one manifest for a version) were not checked: there "
    "is no rules.py beside this file."
)
NOT_WITNESSED = (
    "Not checked: whether history was rewritten as a whole with the ledger's own key, or set back "
    "to an earlier day. Only a head that you kept yourself shows that (--checkpoint FILE): keep "
    "checkpoint.txt for the next time."
)
PACK_KEYS = (
    "These are the keys that the pack brought, so this shows only that it agrees with itself. "
    "Compare each key id with those you were given, or use your own list (--people FILE):"
)
OWN_KEYS = "Verified against the keys in your own list:"

ITS_NAME = "registry.offline"
"""By which ``rules.py`` asks for this file, in the product and in a pack alike."""

LIST = "files.json"
NEEDED = frozenset({LIST, "people.json", "checkpoint.txt", "ledger.jsonl", "status.json"})
LIST_SCHEMA = "evidence-pack/1"
LIST_TYPE = "application/vnd.limitline.evidence-pack+json"


class VerificationError(Exception):
    """Something differs from what was signed; the message says what."""


class Person(NamedTuple):
    """Who holds a key, in which role."""

    name: str
    role: str
    key_id: str
    public_key: bytes


# A person is looked up by key id.
People = Mapping[str, Person]


# What holds a pack's files against the rules: `registry.rules.judge`.
Judge = Callable[[Mapping[str, bytes], People, str], dict[str, Any]]


class Checkpoint(NamedTuple):
    """A signed head of the ledger: so many entries had this root."""

    size: int
    root: bytes


def canonical(value: object) -> bytes:
    """Return the canonical JSON bytes of a value that holds no fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of a value, as hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def manifest(folder: Path) -> list[dict[str, Any]]:
    """List every file below `folder`, hidden ones included: path, SHA-256 and size, sorted.

    Raises
    ------
    VerificationError
        If the folder is missing, or holds a link or anything that is not a plain file.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise VerificationError(f"There is no folder {folder.name} to check.")
    files = []
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(place, name)
            kind = path.lstat().st_mode
            inside = path.relative_to(folder).as_posix()
            if stat.S_ISREG(kind):
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                files.append({"path": inside, "sha256": digest, "size": len(data)})
            elif not stat.S_ISDIR(kind):
                raise VerificationError(
                    f"{inside} is a link or a special file; only files are allowed."
                )
    return sorted(files, key=lambda file: str(file["path"]))


def manifest_digest(files: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of a manifest: the identity of a model version."""
    return digest(list(files))


def compare_manifests(
    found: Sequence[Mapping[str, Any]], signed: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse unless both manifests list the same files with the same bytes.

    Raises
    ------
    VerificationError
        Naming at most three files that were changed, added or removed.
    """
    wrong = differences(found, signed)
    if wrong:
        raise VerificationError(f"The model folder differs from its manifest: {'; '.join(wrong)}.")


def differences(
    found: Sequence[Mapping[str, Any]], signed: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Say of at most three files that they were added, are missing or were changed."""
    there = {file["path"]: (file["sha256"], file["size"]) for file in found}
    wanted = {file["path"]: (file["sha256"], file["size"]) for file in signed}
    wrong = [f"{shown(path)} was added" for path in sorted(there.keys() - wanted.keys())]
    wrong += [f"{shown(path)} is missing" for path in sorted(wanted.keys() - there.keys())]
    common = sorted(there.keys() & wanted.keys())
    return [
        *wrong,
        *(f"{shown(path)} was changed" for path in common if there[path] != wanted[path]),
    ][:3]


def key_id(public_key: bytes) -> str:
    """Return the SHA-256 of the 32 raw public-key bytes, in hexadecimal."""
    return hashlib.sha256(public_key).hexdigest()


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return the DSSE pre-authentication encoding: what is really signed.

    Examples
    --------
    >>> pre_authentication("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def read_people(data: bytes) -> dict[str, Person]:
    """Read ``people.json``; the key ids are computed anew, never believed.

    Raises
    ------
    VerificationError
        If it cannot be read, or lists one key twice.
    """
    try:
        people = [as_person(entry) for entry in json.loads(data)["people"]]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError("people.json cannot be read.") from error
    if len({person.key_id for person in people}) != len(people):
        raise VerificationError("people.json lists one key twice.")
    return {person.key_id: person for person in people}


def as_person(entry: Mapping[str, str]) -> Person:
    """Return a person as ``people.json`` and the root's statements list one."""
    public_key = base64.b64decode(entry["public_key"], validate=True)
    if len(public_key) != KEY_BYTES:
        raise ValueError(f"An Ed25519 public key has {KEY_BYTES} bytes.")
    return Person(str(entry["name"]), str(entry["role"]), key_id(public_key), public_key)


def payload_of(envelope: Mapping[str, Any]) -> bytes:
    """Return what a DSSE envelope carries, unverified."""
    return base64.b64decode(envelope["payload"], validate=True)


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` is the Ed25519 signature of `message` under `public_key`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_statement(envelope: Mapping[str, Any], people: People) -> tuple[dict[str, Any], Person]:
    """Return the statement in a DSSE envelope, with the person who signed it.

    Raises
    ------
    VerificationError
        If no trusted key signed it, or a key that may not sign this kind of statement.
    """
    try:
        payload = payload_of(envelope)
        (signed,) = envelope["signatures"]
        signature = base64.b64decode(signed["sig"], validate=True)
        person = people.get(signed["keyid"])
        payload_type = envelope["payloadType"]
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError("A statement's envelope is damaged.") from error
    if payload_type != PAYLOAD_TYPE:
        raise VerificationError("A statement's envelope is of another type.")
    if person is None:
        raise VerificationError(
            "A statement is signed by a key that is not in force: the root does not list it, or "
            "revoked it."
        )
    if not verify_signature(
        person.public_key, signature, pre_authentication(payload_type, payload)
    ):
        raise VerificationError(f"The signature of {person.role} does not fit its statement.")
    statement = _in_toto(payload)
    kind = str(statement["predicateType"]).removeprefix(NAMESPACE)
    if person.role not in SIGNERS.get(kind, frozenset()):
        raise VerificationError(f"The role {person.role} may not sign {kind or 'this'}.")
    return statement, person


def _in_toto(payload: bytes) -> dict[str, Any]:
    """Read a payload as an in-toto statement about one subject."""
    try:
        statement: dict[str, Any] = json.loads(payload)
        (subject,) = statement["subject"]
        texts = (subject["name"], subject["digest"]["sha256"], statement["predicateType"])
        is_one = statement["_type"] == STATEMENT_TYPE and all(isinstance(t, str) for t in texts)
        is_one = is_one and isinstance(statement["predicate"], dict)
        is_one = is_one and canonical(statement) == payload
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError("A signed payload is not an in-toto statement.") from error
    if not is_one:
        raise VerificationError(
            "A signed payload is not a canonical in-toto statement about one subject."
        )
    return statement


def leaf_hash(data: bytes) -> bytes:
    """Return the RFC 6962 hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _parents(level: Sequence[bytes]) -> list[bytes]:
    above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return above + list(level[len(level) - len(level) % 2 :])


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash over leaf hashes; an empty tree has the hash of nothing."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree over `leaves`."""
    proof, level = [], list(leaves)
    while len(level) > 1:
        if index ^ 1 < len(level):
            proof.append(level[index ^ 1])
        level, index = _parents(level), index // 2
    return proof


def is_prefix(old: Checkpoint, bodies: Sequence[bytes]) -> bool:
    """Tell whether a ledger with these entries only appended to the one with the head `old`."""
    leaves = [leaf_hash(body) for body in bodies[: old.size]]
    return len(leaves) == old.size and tree_root(leaves) == old.root


def checkpoint_body(size: int, root: bytes) -> bytes:
    """Return the text of a checkpoint that is signed."""
    return f"{LEDGER_ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def note_key_hash(public_key: bytes) -> bytes:
    """Return the four bytes by which a signed note names an Ed25519 key."""
    return hashlib.sha256(LEDGER_ORIGIN.encode() + b"\n\x01" + public_key).digest()[:4]


class Note(NamedTuple):
    """A signed note: the text that was signed, what it says and the marked signature."""

    body: str
    head: Checkpoint
    marked: bytes


def read_note(text: str) -> Note:
    """Return what a checkpoint says, unverified."""
    try:
        body, signature_line = text.split("\n\n")
        origin, size, root = body.split("\n")
        marked = base64.b64decode(
            signature_line.removeprefix(f"— {LEDGER_ORIGIN} ").strip(), validate=True
        )
        head = Checkpoint(int(size), base64.b64decode(root, validate=True))
    except ValueError as error:
        raise VerificationError("The ledger's checkpoint is damaged.") from error
    if origin != LEDGER_ORIGIN:
        raise VerificationError("The checkpoint is not one of this ledger.")
    return Note(body, head, marked)


def verify_checkpoint(text: str, people: People) -> Checkpoint:
    """Return what a checkpoint says, if one of `people` signed it with a key of the ledger.

    Raises
    ------
    VerificationError
        If the text is damaged or not signed by such a key.
    """
    body, head, marked = read_note(text)
    keys = [person.public_key for person in people.values() if person.role == "ledger"]
    if not any(
        marked[:4] == note_key_hash(key) and verify_signature(key, marked[4:], f"{body}\n".encode())
        for key in keys
    ):
        raise VerificationError("The ledger's checkpoint is not signed by the ledger's key.")
    return head


def verify_entry(body: bytes, seq: int, people: People) -> dict[str, Any]:
    """Return one ledger entry with its verified ``statement`` and ``person``.

    Raises
    ------
    VerificationError
        If the entry is damaged, out of order, or its statement is not what its label says.
    """
    try:
        entry = json.loads(body)
        is_plain = canonical(entry) == body and entry["seq"] == seq and set(entry) == PARTS
        is_plain = is_plain and datetime.fromisoformat(entry["recorded_at"]).tzinfo is not None
        kind, subject, envelope = entry["kind"], entry["subject"], entry["envelope"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError(f"Ledger entry {seq} is damaged.") from error
    if not is_plain:
        raise VerificationError(f"Ledger entry {seq} is not at its place or not canonical.")
    statement, person = verify_statement(envelope, people)
    labelled = f"{NAMESPACE}{kind}/v1", subject
    if labelled != (statement["predicateType"], statement["subject"][0]["name"]):
        raise VerificationError(f"Ledger entry {seq} is labelled as something else than it holds.")
    return {**entry, "statement": statement, "person": person}


def read_json(data: bytes, name: str) -> Any:
    """Return what a JSON file says; a key that occurs twice, a fraction or NaN is refused.

    Raises
    ------
    VerificationError
        Naming the file, if it is anything but such JSON in UTF-8.
    """
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_once, parse_constant=_no, parse_float=_no
        )
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{name} is damaged: it is not the JSON of this format.") from error


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("A key occurs twice.")
    return found


def _no(number: str) -> Any:
    raise ValueError(f"{number} has no canonical form.")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever damaged content does to the code that reads it into a refusal of `name`."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise VerificationError(f"{name} is damaged: it does not hold what it should.") from error
    except OSError as error:
        raise VerificationError(f"{name} cannot be read.") from error


def shown(name: str) -> str:
    """Return a file's name as it can be printed without harm."""
    return name if name.isascii() and name.isprintable() else ascii(name)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of an unpacked pack by name; an empty folder is a name that ends in ``/``.

    Raises
    ------
    VerificationError
        If there is a link or anything else that is not a plain file, or a file cannot be read.
    """
    files: dict[str, bytes] = {}
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(place, name)
            inside, kind = path.relative_to(folder).as_posix(), path.lstat().st_mode
            if stat.S_ISDIR(kind):
                with reading(shown(inside)):
                    files |= {} if any(path.iterdir()) else {f"{inside}/": b""}
            elif stat.S_ISREG(kind):
                with reading(shown(inside)):
                    files[inside] = path.read_bytes()
            else:
                raise VerificationError(f"{shown(inside)} is a link or a special file.")
    return files


_BAD_ZIP = (
    *(zipfile.BadZipFile, struct.error, EOFError, RuntimeError),
    *(ArithmeticError, LookupError, ValueError, OSError),
)
"""Everything that Python's own reader of zips does with bytes that are none."""


def read_zip(data: bytes, name: str) -> dict[str, bytes]:
    """Return the files of a zipped pack by name, reading memory only.

    Raises
    ------
    VerificationError
        If a name occurs twice, or a file is compressed, encrypted or damaged.
    """
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.filename in files:
                    raise VerificationError(f"{shown(entry.filename)} is in the zip twice.")
                files[entry.filename] = _member(archive, entry, len(data))
    except _BAD_ZIP as error:
        raise VerificationError(f"{name} is not a zip, or it is damaged.") from error
    return files


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int) -> bytes:
    name = shown(entry.filename)
    # What is stored as it is takes its room in the file, so nothing can blow up.
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > room:
        raise VerificationError(
            f"{name} is not stored as a pack stores it. If the pack was only packed anew, unpack "
            "it and verify the folder."
        )
    try:
        return archive.read(entry)
    except _BAD_ZIP as error:
        raise VerificationError(f"{name} is damaged inside the zip.") from error


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return the one zip of these files: stored, sorted, without a time of its own."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            archive.writestr(entry, data)
    return packed.getvalue()


def _compare_zip(data: bytes, files: Mapping[str, bytes]) -> None:
    """Refuse a zip with a header, an order or a rest that the zip of these files has not."""
    wanted = zip_bytes(files)
    if data == wanted:
        return
    pairs = enumerate(zip(data, wanted, strict=False))
    place = next((at for at, (a, b) in pairs if a != b), min(len(data), len(wanted)))
    names = sorted(files)
    sizes = [30 + len(name.encode()) + len(files[name]) for name in names]
    ends = itertools.accumulate([*sizes, *(46 + len(name.encode()) for name in names)])
    before = (name for name, end in zip(names * 2, ends, strict=True) if place < end)
    where = next(before, "")
    said = f"the zip's header of {shown(where)}" if where else "the end of the zip"
    raise VerificationError(f"{said[0].upper()}{said[1:]} was changed.")


def listing(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return path, SHA-256 and size of each file, sorted."""
    return [
        {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(files.items())
    ]


def list_message(listed: Mapping[str, Any]) -> bytes:
    """Return the bytes that the ledger's key signs of a pack's list."""
    unsigned = {name: listed[name] for name in listed if name != "signature"}
    return pre_authentication(LIST_TYPE, canonical(unsigned))


def verify_list(files: Mapping[str, bytes], people: People) -> str:
    """Hold every file against the signed list in ``files.json``; return the day that it names.

    Raises
    ------
    VerificationError
        Naming files that were changed, added or removed, or the list if it is not as signed.
    """
    listed = read_json(files[LIST], LIST)
    with reading(LIST):
        signature = base64.b64decode(listed["signature"], validate=True)
        is_plain = canonical(listed) + b"\n" == files[LIST]
        is_plain &= base64.b64encode(signature).decode() == listed["signature"]
        person = people.get(listed["keyid"])
        if not is_plain or listed["schema"] != LIST_SCHEMA:
            raise VerificationError(f"{LIST} was changed: it is not written as {LIST_SCHEMA}.")
        if person is None or person.role != "ledger":
            raise VerificationError(f"{LIST} is signed by no key that people.json has as ledger.")
        if not verify_signature(person.public_key, signature, list_message(listed)):
            raise VerificationError(f"{LIST} was changed: its signature does not fit.")
        found = listing({name: data for name, data in files.items() if name != LIST})
        wrong = differences(found, listed["files"])
        if wrong or canonical(found) != canonical(listed["files"]):
            raise VerificationError(
                f"The pack differs from its signed list: {'; '.join(wrong) or LIST}."
            )
    return str(listed["on"])


def verify_pack(
    path: Path,
    *,
    people_file: Path | None = None,
    witness_file: Path | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Verify an evidence pack, folder or zip, and return what was checked.

    Parameters
    ----------
    judge : callable, optional
        `registry.rules.judge`; without it no rule is checked, only that the pack is whole, signed
        and continues the kept head.

    Raises
    ------
    VerificationError
        On the first thing that does not fit, with the name of the file or entry.
    """
    with reading(shown(path.name)):
        data = b"" if path.is_dir() else path.read_bytes()
    files = read_folder(path) if path.is_dir() else read_zip(data, shown(path.name))
    missing = NEEDED - files.keys()
    if missing:
        raise VerificationError(f"The pack lacks {', '.join(sorted(missing))}.")
    people = _people(files, people_file)
    on = verify_list(files, people)
    if data:
        _compare_zip(data, files)
    bodies = files["ledger.jsonl"].split(b"\n")
    with reading("checkpoint.txt"):
        head = verify_checkpoint(files["checkpoint.txt"].decode(), people)
    if bodies.pop() or len(bodies) != head.size:
        raise VerificationError(
            f"ledger.jsonl holds {len(bodies)} entries; its head says {head.size}."
        )
    if not is_prefix(head, bodies):
        raise VerificationError("ledger.jsonl differs from its signed head: history was rewritten.")
    with reading("ledger.jsonl"):
        entries = [verify_entry(body, seq, people) for seq, body in enumerate(bodies)]
    _verify_receipts(files, bodies)
    kept = witnessed(witness_file, bodies, people)
    signed = Counter(entry["person"].key_id for entry in entries)
    found = {
        "on": on,
        "files": len(files),
        "entries": len(bodies),
        "root": head.root.hex(),
        "witnessed": kept,
        "keys": [
            {"role": one.role, "name": one.name, "key_id": one.key_id, "signed": signed[one.key_id]}
            for one in sorted(people.values())
        ],
        "manifests": {
            entry["subject"]: entry["statement"]["predicate"].get("files", [])
            for entry in entries
            if entry["kind"] == "model-manifest"
        },
    }
    return found | (judge(files, people, on) if judge else {})


def _people(files: Mapping[str, bytes], people_file: Path | None) -> dict[str, Person]:
    """Return who may sign: by the auditor's own file, or else by the pack's."""
    name, data = "people.json", files["people.json"]
    if people_file:
        name = shown(people_file.name)
        with reading(name):
            data = people_file.read_bytes()
    read_json(data, name)
    try:
        return read_people(data)
    except VerificationError as error:
        raise VerificationError(f"{name} is not a list of people: {error}") from error


def _verify_receipts(files: Mapping[str, bytes], bodies: Sequence[bytes]) -> None:
    """Refuse receipts that are not, to the byte, those that the ledger's entries make."""
    wanted = receipts(bodies)
    names = {name for name in files if name.startswith("statements/")} | wanted.keys()
    for name in sorted(names):
        if files.get(name) != wanted.get(name):
            raise VerificationError(f"{shown(name)} is not what the ledger holds.")


def receipts(bodies: Sequence[bytes]) -> dict[str, bytes]:
    """Return each entry alone by file name: decoded, with its proof that the tree holds it.

    Raises
    ------
    VerificationError
        If a payload is not canonical JSON, in which two readers could see two things.
    """
    leaves = [leaf_hash(body) for body in bodies]
    found = {}
    for seq, body in enumerate(bodies):
        name = f"ledger.jsonl, entry {seq},"
        entry = read_json(body, name)
        with reading(name):
            payload = payload_of(entry["envelope"])
            statement = read_json(payload, name)
            if canonical(statement) != payload:
                raise VerificationError(f"{name} carries a payload that is not canonical.")
            receipt = {
                "entry": entry,
                "inclusion_proof": [step.hex() for step in inclusion_proof(leaves, seq)],
                "statement": statement,
            }
            found[f"statements/{seq:05d}-{entry['kind']}.json"] = pretty(receipt)
    return found


def pretty(document: object) -> bytes:
    """Return the JSON of a file that people read."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def witnessed(witness_file: Path | None, bodies: Sequence[bytes], people: People) -> int | None:
    """Return how many entries the head had that the auditor kept, if the ledger continues it."""
    if witness_file is None:
        return None
    name = shown(witness_file.name)
    with reading(name):
        old = verify_checkpoint(witness_file.read_bytes().decode(), people)
    if not is_prefix(old, bodies):
        raise VerificationError(
            f"ledger.jsonl does not continue the head of {old.size} entries in {name}: history was "
            "rewritten, or set back to an earlier day."
        )
    return old.size


def told(found: Mapping[str, Any], *, people_file: Path | None = None) -> list[str]:
    """Say in sentences what was verified and what was not."""
    if "promotions" in found:
        lines = [
            "VERIFIED: {entries} entries, {promotions} promotions with four eyes.".format(**found),
            f"{found['waivers']} waivers were used, each signed before and in force.",
            NOT_JUDGED,
        ]
    else:
        lines = [f"WHOLE AND SIGNED: {found['entries']} entries.", NO_RULES]
    if "champion" in found and "on" in found:
        lines.append(
            f"On {found['on']}: champion version {found['champion']}, "
            f"{len(found['findings_open'])} findings open, {len(found['freezes'])} freezes in "
            "force, by the signatures that each takes."
        )
    if found["witnessed"] is None:
        lines.append(NOT_WITNESSED)
    else:
        lines.append(f"The ledger continues the head of {found['witnessed']} entries you kept.")
    lines += [f"Ledger root {found['root']}.", OWN_KEYS if people_file else PACK_KEYS]
    return lines + [told_signer(key) for key in found["keys"]]


def told_signer(key: Mapping[str, Any]) -> str:
    """Say in one line what `signers` says of one key."""
    until = "" if key.get("is_active", True) else "  (revoked)"
    signed = f"{key['signed']:5} signed"
    return f"  {key['role']:18} {key['key_id']}  {signed}  {shown(key['name'])}{until}"


def load_rules() -> ModuleType | None:
    """Load ``rules.py`` beside this file, if it is there."""
    path = Path(__file__).with_name("rules.py")
    spec = importlib.util.spec_from_file_location("rules", path)
    if not path.is_file() or spec is None or spec.loader is None:
        return None
    sys.dont_write_bytecode = True  # A file more beside this one would be one that nobody signed.
    this = ModuleType(ITS_NAME)
    this.__dict__.update(globals())
    sys.modules.setdefault(ITS_NAME, this)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a pack from the command line: 0 it holds, 15 it does not, 14 no rules were there."""
    parser = argparse.ArgumentParser(description="Verify a Limitline evidence pack.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--people", type=Path, help="public keys obtained another way")
    parser.add_argument("--checkpoint", type=Path, help="a ledger head witnessed earlier")
    parser.add_argument("--model", type=Path, help="a model folder to compare with its manifest")
    parser.add_argument("--version", help="the version that the model folder is said to be")
    asked = parser.parse_args(arguments)
    if (asked.model is None) != (asked.version is None):
        parser.error("--model FOLDER and --version NUMBER go together.")
    rules = load_rules()
    judge: Judge | None = rules.judge if rules else None
    try:
        found = verify_pack(
            asked.pack, people_file=asked.people, witness_file=asked.checkpoint, judge=judge
        )
        if asked.model:
            signed = found["manifests"].get(f"credit-limit@{asked.version}", [])
            compare_manifests(manifest(asked.model), signed)
    except (VerificationError, OSError) as error:
        sys.stderr.write(f"NOT VERIFIED: {error}\n")
        return 15
    lines = told(found, people_file=asked.people)
    lines += [f"Model folder equals the signed manifest of {asked.version}."] if asked.model else []
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if judge else 14


if __name__ == "__main__":
    raise SystemExit(main())
