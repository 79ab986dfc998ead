"""Check Limitline's signed records with nothing but Python and the `cryptography` package.

This file imports nothing of Limitline, so that an auditor can read it in one sitting, copy it and
run it elsewhere; every evidence pack carries it as ``verify.py``. The rest of the registry uses the
same functions, so what an outsider checks is what the product checks.

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
import io
import itertools
import json
import os
import stat
import struct
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
NAMESPACE = "https://limitline.dev/"
LEDGER_ORIGIN = "limitline.dev/ledger"

MODEL = "credit-limit@"
"""How the subject of a statement about a model version begins; its number follows."""

APPROVERS = frozenset({"risk_approver", "business_approver"})

POLICY_EVIDENCE = ("policy-check", "policy-impact", "policy-backtest")
"""Kinds of evidence about a version's policy; a gate decision and its approvals bind each by it."""

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
WAIVER_MAX_DAYS = 180
SEVERITIES = ("low", "medium", "severe")
DAYS = frozenset({"on", "approved_on", "expires_on", "frozen_on"})
ROLES = frozenset[str]().union(*SIGNERS.values())

NOT_JUDGED = (
    "Nothing was judged or measured again: that a decision follows from its evidence is the "
    "ledger's word."
)
"""What this verifier does not do, printed with every answer."""

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
        people = [_person(entry) for entry in json.loads(data)["people"]]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError("people.json cannot be read.") from error
    if len({person.key_id for person in people}) != len(people):
        raise VerificationError("people.json lists one key twice.")
    return {person.key_id: person for person in people}


def _person(entry: Mapping[str, str]) -> Person:
    public_key = base64.b64decode(entry["public_key"], validate=True)
    if len(public_key) != KEY_BYTES:
        raise ValueError(f"An Ed25519 public key has {KEY_BYTES} bytes.")
    return Person(str(entry["name"]), str(entry["role"]), key_id(public_key), public_key)


# Letters that readers take for one another: capitals first, then what is left after lower case.
_CAPITALS = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕЅІЈКМНОРСТУХ", "ABEZHIKMNOPTYXABESIJKMHOPCTYX")
_LETTERS = str.maketrans(
    "αγεικνορτυχагеѕікмнорстухјһԁԛԝӏօıɑɡłøđ01i|", "ayeiknoptuxaresikmhopctyxjhdqwloiaglodolll"
)
_ONE_SCRIPT = frozenset({"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO"})
_INVISIBLE = "\u115f\u1160\u3164\uffa0"


def holder(name: str) -> str:
    """Return what a reader recognizes in a name: two names with one result are one person.

    Width, case, spaces, punctuation, accents and letters that look alike make no difference, so
    two people whose names differ by no more need names that do (`Li Wei (Risk)`).

    Examples
    --------
    >>> len({holder(name) for name in ("Li Wei", "LI  WEI ", "L\u0456 W\u0435i", "\uff2ci-Wei")})
    1
    >>> holder("Li Wei") == holder("Li Wen")
    False
    """
    plain = unicodedata.normalize("NFKD", name).translate(_CAPITALS).casefold()
    return "".join(
        sign
        for sign in unicodedata.normalize("NFKD", plain).translate(_LETTERS)
        if unicodedata.category(sign)[0] in "LMN"
        and not "\u0300" <= sign <= "\u036f"
        and sign not in _INVISIBLE
    ).translate(_LETTERS)


def _scripts(name: str) -> set[str]:
    """Return the alphabets that a name is written in; those of East Asia mix with any other."""
    letters = [sign for sign in unicodedata.normalize("NFKC", name) if sign.isalpha()]
    found = {unicodedata.name(sign, "UNKNOWN").partition(" ")[0] for sign in letters}
    return {
        script for script in found if script.partition("-")[0] not in _ONE_SCRIPT | {"MODIFIER"}
    }


class Roll:
    """Who may sign, as the root's statements say one after the other.

    A key counts from the entry that adds it until the entry that revokes it; what it signed in
    between stays signed.
    """

    def __init__(self) -> None:
        self.known: dict[str, Person] = {}
        self.active: dict[str, Person] = {}

    def change(self, said: Mapping[str, Any]) -> str:
        """Revoke and add keys as one statement of the root says; return what is wrong, or nothing.

        Wrong is a key that is added twice or revoked unknown, a person with two keys of one role,
        a name in two alphabets, and that nobody would hold the root's or the ledger's key.
        """
        for identity in said["revoke"]:
            if self.active.pop(str(identity), None) is None:
                return "revokes a key that is not in force"
        for person in [_person(entry) for entry in said["add"]]:
            problem = self._problem(person)
            if problem:
                return f"lists {person.name!r} as {person.role}, {problem}"
            self.known[person.key_id] = self.active[person.key_id] = person
        lacking = {"root", "ledger"} - {person.role for person in self.active.values()}
        return f"leaves nobody with the key of the {min(lacking)}" if lacking else ""

    def _problem(self, person: Person) -> str:
        if person.role not in ROLES:
            return f"which is no role; known: {', '.join(sorted(ROLES))}"
        if not holder(person.name) or len(_scripts(person.name)) > 1:
            return "a name without letters or in letters of two alphabets"
        if person.key_id in self.known:
            return "with a key that was listed before"
        if any(
            (other.role, holder(other.name)) == (person.role, holder(person.name))
            for other in self.active.values()
        ):
            return "who holds a key of that role already; revoke it in the same statement"
        return ""


def roll_of(bodies: Sequence[bytes]) -> Roll:
    """Return the roll after these ledger entries, of which only the root's are looked at."""
    roll = Roll()
    for seq, body in enumerate(bodies):
        if not seq or b'"kind":"people"' in body:
            entry = verify_entry(body, seq, roll.active or _founders(body))
            try:
                problem = roll.change(entry["statement"]["predicate"])
            except (ValueError, KeyError, TypeError, AttributeError):
                problem = "lists nobody"
            if problem:
                raise VerificationError(f"Ledger entry {seq} {problem}.")
    return roll


def _founders(body: bytes) -> dict[str, Person]:
    """Return whom the first entry lists, unverified: its own signature is checked with them."""
    try:
        said = json.loads(payload_of(json.loads(body)["envelope"]))["predicate"]
        return {person.key_id: person for person in map(_person, said["add"])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError(
            "Ledger entry 0 is not the root's list of people; the ledger cannot be checked."
        ) from error


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
    except (ValueError, KeyError, TypeError) as error:
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


def _note(text: str) -> tuple[str, Checkpoint, bytes]:
    """Return what a checkpoint's signature is about, what it says and the signature, unverified."""
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
    return body, head, marked


def read_checkpoint(text: str, bodies: Sequence[bytes]) -> Checkpoint:
    """Return what a checkpoint of the ledger with these entries says, if the ledger's key signed.

    Raises
    ------
    VerificationError
        If the text is damaged or not signed by a key that held the role ``ledger`` at its entry.
    """
    body, head, marked = _note(text)
    if not bodies:
        raise VerificationError("The ledger differs from its signed head: it holds no entry.")
    # The entry that hands the ledger's key over may be signed for by the old key or the new one.
    at_hand_over = (roll_of(bodies[: max(1, head.size - less)]) for less in (0, 1))
    holders = [person for roll in at_hand_over for person in roll.active.values()]
    keys = [person.public_key for person in holders if person.role == "ledger"]
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
        is_plain = canonical(entry) == body and entry["seq"] == seq
        kind, subject, envelope = entry["kind"], entry["subject"], entry["envelope"]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"Ledger entry {seq} is damaged.") from error
    if not is_plain:
        raise VerificationError(f"Ledger entry {seq} is not at its place or not canonical.")
    statement, person = verify_statement(envelope, people)
    labelled = f"{NAMESPACE}{kind}/v1", subject
    if labelled != (statement["predicateType"], statement["subject"][0]["name"]):
        raise VerificationError(f"Ledger entry {seq} is labelled as something else than it holds.")
    return {**entry, "statement": statement, "person": person}


class Adoption(NamedTuple):
    """A risk appetite that both approver roles signed: with which entry, from which day on."""

    seq: int
    on: str
    digest: str
    appetite: Mapping[str, Any]


Said = Mapping[str, Any]


class History:
    """What a ledger says, taken entry by entry; an entry that contradicts the rules is refused.

    Everybody who asks who may sign, which appetite holds or which version is champion asks this,
    the product no less than an outsider. What a statement claims about its signer's role, about
    the version, the appetite or the decision that it rests on is compared and never believed.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.roll = Roll()
        self.manifests: dict[str, dict[str, Any]] = {}
        self.adoptions: list[Adoption] = []
        self.promotions: list[dict[str, Any]] = []
        self._pending: dict[str, Any] | None = None
        self._said: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._appetites: dict[tuple[str, str], str] = {}
        self.agreed: dict[str, list[dict[str, Any]]] = {}
        self._rules: Mapping[str, Callable[[dict[str, Any]], str]] = {
            "people": lambda entry: self.roll.change(entry["statement"]["predicate"]),
            "model-manifest": self._manifest_problem,
            "risk-appetite": self._appetite_problem,
            "validation-evidence": self._evidence_problem,
            "policy-evidence": self._evidence_problem,
            "gate-decision": self._decision_problem,
            "approval": self._approval_problem,
            "lifecycle": self._event_problem,
        }

    def take(self, body: bytes) -> None:
        """Verify one more entry and take it in.

        Raises
        ------
        VerificationError
            Naming the entry and what it contradicts.
        """
        seq = len(self.entries)
        entry = verify_entry(body, seq, self.roll.active if seq else _founders(body))
        if not seq and entry["kind"] != "people":
            raise VerificationError("Ledger entry 0 is not the root's list of people.")
        try:
            problem = self._problem(entry)
        except VerificationError as error:
            raise VerificationError(f"Ledger entry {seq}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            problem = "does not say what a statement of its kind must say"
        if problem:
            raise VerificationError(f"Ledger entry {seq} {problem}.")
        self.entries.append(entry)
        self._said.setdefault((entry["kind"], entry["subject"]), []).append(entry)

    def said(self, kind: str, subject: str) -> list[dict[str, Any]]:
        """Return the entries of one kind about one subject, oldest first."""
        return self._said.get((kind, subject), [])

    def attached(self, subject: str) -> dict[str, dict[str, Any]]:
        """Return the newest policy evidence of each kind about one version, by kind."""
        found = self.said("policy-evidence", subject)
        newest = {entry["statement"]["predicate"]["evidence"]["kind"]: entry for entry in found}
        return {kind: newest[kind] for kind in sorted(newest)}

    def appetite(self, on: str) -> Adoption | None:
        """Return the risk appetite that holds on a day: the one adopted last, of those until it."""
        return next((one for one in reversed(self.adoptions) if one.on <= on), None)

    def closed(self, subject: str) -> list[str]:
        """Return the digest of every gate decision about one version that was closed."""
        made = [entry["statement"]["predicate"] for entry in self.said("gate-decision", subject)]
        return [said["digest"] for said in made if said["decision"]["outcome"] != "PASS"]

    def bindings(self, subject: str) -> dict[str, str]:
        """Return what an approval of a version must be bound to now.

        Raises
        ------
        VerificationError
            If the newest gate decision is not about the newest evidence.
        """
        manifest = self.manifests[subject]["statement"]
        decisions, measured = (
            self.said(kind, subject) for kind in ("gate-decision", "validation-evidence")
        )
        if not decisions or not measured:
            raise VerificationError(f"{subject} was not judged by the gate.")
        made = decisions[-1]["statement"]["predicate"]
        attached = {
            kind: digest(entry["statement"]["predicate"]["evidence"])
            for kind, entry in self.attached(subject).items()
        }
        judged = {k: d for k, d in made["decision"]["subject"].items() if k in POLICY_EVIDENCE}
        evidence = digest(measured[-1]["statement"]["predicate"]["evidence"])
        if made["decision"]["evidence"] != evidence or judged != attached:
            raise VerificationError(f"{subject} has newer evidence than its gate decision.")
        return {
            "model": manifest["subject"][0]["digest"]["sha256"],
            "policy": _policy_file(manifest["predicate"]),
            "lineage": digest(manifest["predicate"]["lineage"]),
            "evidence": evidence,
            "appetite": digest(made["appetite"]),
            "decision": digest(made["decision"]),
            **attached,
        }

    def _problem(self, entry: dict[str, Any]) -> str:
        """Say what an entry contradicts, given the ones before it; or nothing."""
        kind, name, said = entry["kind"], entry["subject"], entry["statement"]["predicate"]
        if not all(_is_day(said[key]) for key in DAYS & said.keys()):
            return "holds a day that is not written YYYY-MM-DD"
        if said.get("role", entry["person"].role) != entry["person"].role:
            return f"says that the {said['role']} signed; it was the {entry['person'].role}"
        if name.startswith(MODEL) and kind != "model-manifest":
            known = self.manifests.get(name)
            if known is None or known["statement"]["subject"] != entry["statement"]["subject"]:
                return f"is about other bytes than the manifest of {name}"
        rule = self._rules.get(kind)
        return rule(entry) if rule else ""

    def _manifest_problem(self, entry: dict[str, Any]) -> str:
        name, statement = entry["subject"], entry["statement"]
        number = name.removeprefix(MODEL)
        if not number.isascii() or not number.isdigit() or name != f"{MODEL}{int(number)}":
            return "is a manifest of no version number"
        if name in self.manifests:
            return f"is a second manifest of {name}; a version number is given once"
        if manifest_digest(statement["predicate"]["files"]) != _sha256(entry):
            return f"lists other files than the bytes of {name}"
        self.manifests[name] = entry
        return ""

    def _appetite_problem(self, entry: dict[str, Any]) -> str:
        said = entry["statement"]["predicate"]
        appetite = said["appetite"]
        found, named = digest(appetite), (str(appetite["id"]), str(appetite["version"]))
        if found != said["digest"] or found != _sha256(entry):
            return "holds another risk appetite than its digest says"
        if self._appetites.setdefault(named, found) != found:
            return (
                f"changes the risk appetite {' '.join(named)}, which was signed with other "
                "thresholds; another appetite needs another version"
            )
        agreed = self.agreed.setdefault(found, [])
        agreed.append(entry)
        for other in agreed[:-1]:
            if are_two(other["person"], entry["person"]):
                on = max(one["statement"]["predicate"]["on"] for one in (other, entry))
                self.adoptions.append(Adoption(entry["seq"], on, found, appetite))
                self.agreed.clear()
                break
        return ""

    def _evidence_problem(self, entry: Said) -> str:
        said, manifest = entry["statement"]["predicate"], self.manifests[entry["subject"]]
        about, sha256 = said["evidence"]["subject"], _sha256(entry)
        if digest(said["evidence"]) != said["digest"]:
            return "is evidence that is not what its digest says"
        if about.get("model", "" if entry["kind"] == "validation-evidence" else sha256) != sha256:
            return "is evidence about another model than its subject"
        held = manifest["statement"]["predicate"]
        policies = {_policy_file(held), held["declared"].get("policy_digest")}
        if about.get("policy", _policy_file(held)) not in policies:
            return "is evidence about another policy than its subject's"
        return ""

    def _decision_problem(self, entry: Said) -> str:
        """Say what a decision contradicts; whether it follows from its evidence is not asked."""
        said, name = entry["statement"]["predicate"], entry["subject"]
        decision, appetite = said["decision"], self.appetite(said["decision"]["decided_on"])
        if digest(decision) != said["digest"]:
            return "is a gate decision that is not what its digest says"
        measured, attached = self.said("validation-evidence", name), self.attached(name)
        if not measured:
            return "is a gate decision without evidence"
        if not digest(said["appetite"]) == decision["appetite"] == (appetite or [""] * 3)[2]:
            return "was not judged by the risk appetite that both approvers signed"
        judged = [measured[-1], *attached.values()]
        if appetite and min(item["seq"] for item in judged) < appetite.seq:
            return "was judged on evidence that is older than the signing of its risk appetite"
        found = {
            item: digest(attached[item]["statement"]["predicate"]["evidence"]) for item in attached
        }
        told = {item: decision["subject"].get(item) for item in POLICY_EVIDENCE}
        evidence = digest(measured[-1]["statement"]["predicate"]["evidence"])
        if decision["evidence"] != evidence or told != {**dict.fromkeys(POLICY_EVIDENCE), **found}:
            return "is a gate decision on other evidence than the newest"
        problems = (
            waiver_problem(
                waiver, said["appetite"], decision["decided_on"], self.said("waiver", name)
            )
            for waiver in decision["waived"]
        )
        return next((f"used a waiver {problem}" for problem in problems if problem), "")

    def _approval_problem(self, entry: Said) -> str:
        said, name = entry["statement"]["predicate"], entry["subject"]
        if said["binds"] != self.bindings(name):
            return "approves other digests than the present ones"
        if said["binds"]["decision"] in self.closed(name):
            return "approves behind a closed gate"
        if said["closed_before"] != self.closed(name):
            return "does not name every closed decision that came before"
        if not said["approved_on"] <= said["expires_on"]:
            return "ends before it begins"
        return ""

    def _event_problem(self, entry: dict[str, Any]) -> str:
        said = entry["statement"]["predicate"]
        match said["event"]:
            case "promotion-intent":
                problem = self._intent_problem(entry)
                self._pending = entry
                return problem and f"is a promotion that {problem}"
            case "promotion-applied":
                intent = self._pending
                wanted = intent and {
                    **intent["statement"]["predicate"],
                    "event": "promotion-applied",
                    "intent": intent["seq"],
                }
                if not intent or said != wanted or intent["subject"] != entry["subject"]:
                    return "is a promotion that was not intended so"
                self._pending = None
                self.promotions.append(entry)
            case "promotion-abandoned":
                self._pending = None
        return ""

    def _intent_problem(self, entry: Said) -> str:
        said, name, on = (
            entry["statement"]["predicate"],
            entry["subject"],
            entry["statement"]["predicate"]["on"],
        )
        before = champion(self)
        if name != f"{MODEL}{said['version']}":
            return "names another version than it is about"
        if said["previous"] != (before and before["statement"]["predicate"]["version"]):
            return "names another champion before it than there was"
        if before and on < before["statement"]["predicate"]["on"]:
            return "is for a day before the promotion that it follows"
        if said["binds"] != self.bindings(name):
            return "is not bound to the present model, evidence, appetite and decision"
        decision = self.said("gate-decision", name)[-1]["statement"]["predicate"]["decision"]
        if decision["outcome"] != "PASS" or decision["decided_on"] > on:
            return "had no open gate"
        appetite = self.appetite(on)
        if appetite is None or appetite.digest != said["binds"]["appetite"]:
            return "was judged by another risk appetite than the one that held"
        return self._people_problem(entry)

    def _people_problem(self, entry: Said) -> str:
        """Say what is wrong with the people of a promotion: four, and two of them approve."""
        said, name = entry["statement"]["predicate"], entry["subject"]
        attached = list(self.attached(name).values())
        acting = [self.manifests[name], self.said("validation-evidence", name)[-1]]
        if said["manifest"] != acting[0]["seq"] or said["evidence"] != acting[1]["seq"]:
            return "rests on another manifest or other evidence than the version's"
        if said["policy_evidence"] != [item["seq"] for item in attached]:
            return "rests on other policy evidence than the newest"
        given = {item["seq"]: item for item in self.said("approval", name)}
        approvals = [given[seq] for seq in said["approvals"] if seq in given]
        if len(approvals) != len(said["approvals"]) or any(
            not self.counts(approval, said["binds"], said["on"]) for approval in approvals
        ):
            return "rests on an approval that was not in force for what was promoted"
        return people_problem(
            [item["person"] for item in approvals],
            [item["person"] for item in acting],
            [item["person"] for item in attached],
        )

    def counts(self, approval: Said, binds: Mapping[str, str], on: str) -> bool:
        """Tell whether an approval holds for exactly `binds` on a day."""
        said = approval["statement"]["predicate"]
        is_for = said["binds"] == dict(binds) and approval["person"].key_id in self.roll.active
        return bool(is_for and said["approved_on"] <= on <= said["expires_on"])


def waiver_problem(waiver: Said, appetite: Said, on: str, given: Sequence[Said]) -> str:
    """Say why a waiver does not count on a day, given the statements of waivers until then."""
    signed = [
        entry["person"] for entry in given if entry["statement"]["predicate"]["waiver"] == waiver
    ]
    if not signed:
        return "that nobody had signed"
    if not waiver["granted_on"] <= on <= waiver["expires_on"]:
        return "that was not in force"
    threshold = next((one for one in appetite["thresholds"] if _concerns(one, waiver, on)), None)
    if threshold is None or not threshold["is_waivable"]:
        return "of what may not be waived"
    term = date.fromisoformat(waiver["expires_on"]) - date.fromisoformat(waiver["granted_on"])
    if term.days > threshold.get("waiver_max_days", WAIVER_MAX_DAYS):
        return "of a longer term than its threshold allows"
    grave = SEVERITIES.index(appetite.get("countersigned_from", "severe"))
    is_grave = SEVERITIES.index(threshold.get("severity", "medium")) >= grave
    if is_grave and not any(are_two(one, other) for one in signed for other in signed):
        return "that takes both approvers, and has one"
    return ""


def _concerns(threshold: Said, waiver: Said, on: str) -> bool:
    """Tell whether a threshold is in force and speaks about the measure and scope of a waiver."""
    scope, ends = waiver["scope"], threshold["effective_to"]
    is_in_force = threshold["effective_from"] <= on and (ends is None or on <= ends)
    is_about = all(
        name in scope and wanted in ("*", scope[name])
        for name, wanted in threshold["scope"].items()
    )
    return bool(is_in_force and is_about and threshold["measure"] == waiver["measure"])


def people_problem(
    approvers: Sequence[Person], makers: Sequence[Person], measurers: Sequence[Person]
) -> str:
    """Say what is wrong with the people behind a promotion, or nothing.

    Both approver roles; developer, validator and approvers four people with four keys; and no
    approver among those who measured the policy.
    """
    if sorted(person.role for person in approvers) != sorted(APPROVERS):
        return "lacks an approval by each approver role"
    acting = [*approvers, *makers]
    names = {holder(person.name) for person in acting}
    if len(names) != len(acting) or len({person.key_id for person in acting}) != len(acting):
        return "has one person in two roles"
    if {holder(one.name) for one in measurers} & {holder(one.name) for one in approvers}:
        return "has one person who measured the policy and approved it"
    return ""


def are_two(one: Person, other: Person) -> bool:
    """Tell whether two signatures are of two roles, two people and two keys."""
    is_other = one.role != other.role and one.key_id != other.key_id
    return is_other and holder(one.name) != holder(other.name)


def champion(history: History, on: str | None = None) -> dict[str, Any] | None:
    """Return the entry of the promotion whose version is champion on a day, or by the newest word.

    Only promotions that `History.take` let in count: open gate, two approvals in force by two
    people, all for exactly the same bytes, evidence, appetite and decision.
    """
    made = [
        entry
        for entry in history.promotions
        if on is None or entry["statement"]["predicate"]["on"] <= on
    ]
    return made[-1] if made else None


def waivers_used(history: History) -> int:
    """Return how many waivers the gate decisions of a ledger used; each was let in as it should."""
    made = (entry for entry in history.entries if entry["kind"] == "gate-decision")
    return sum(len(entry["statement"]["predicate"]["decision"]["waived"]) for entry in made)


def open_findings(history: History, on: str) -> list[str]:
    """Return the ids of the findings that are open on a day: two people must agree to close one."""
    opened: dict[str, str] = {}
    closings: dict[str, list[tuple[Person, str]]] = {}
    for entry in history.entries:
        if entry["kind"] == "finding":
            said = entry["statement"]["predicate"]
            name = str(said["finding"]["id"])
            if said["event"] == "opened":
                opened.setdefault(name, said["finding"]["opened_on"])
            elif name in opened:
                closed = (entry["person"], said["finding"]["closed_on"])
                closings.setdefault(name, []).append(closed)
    return sorted(
        name
        for name, day in opened.items()
        if day <= on and not _has_ended(closings.get(name, []), on)
    )


def freezes(history: History, on: str) -> list[str]:
    """Return the ids of the freezes that stop raises on a day: two approvers must lift one."""
    frozen: dict[str, str] = {}
    releases: dict[str, list[tuple[Person, str]]] = {}
    for entry in history.entries:
        if entry["kind"] == "freeze":
            said = entry["statement"]["predicate"]
            if said["event"] == "frozen":
                frozen[_sha256(entry)] = said["on"]
            elif said["freeze"] in frozen and said["on"] >= frozen[said["freeze"]]:
                releases.setdefault(said["freeze"], []).append((entry["person"], said["on"]))
    return sorted(
        f"freeze-{name[:12]}"
        for name, day in frozen.items()
        if day <= on and not _has_ended(releases.get(name, []), on)
    )


def _has_ended(agreed: Sequence[tuple[Person, str]], on: str) -> bool:
    """Tell whether two different people in two roles had agreed by a day."""
    by_then = [person for person, day in agreed if day <= on]
    return any(are_two(one, other) for one in by_then for other in by_then)


def signers(history: History) -> list[dict[str, Any]]:
    """Return every key that was ever listed: whose it is, how much it signed, whether it counts."""
    return [
        {
            "key_id": person.key_id,
            "role": person.role,
            "name": person.name,
            "signed": sum(entry["person"].key_id == person.key_id for entry in history.entries),
            "is_active": person.key_id in history.roll.active,
        }
        for person in sorted(history.roll.known.values(), key=lambda one: (one.role, one.name))
    ]


def _policy_file(manifest: Said) -> str:
    """Return the SHA-256 of the policy file that a manifest lists, or the empty text."""
    files = {file["path"]: str(file["sha256"]) for file in manifest["files"]}
    return files.get("artifacts/limit_policy.toml", "")


def _sha256(entry: Said) -> str:
    return str(entry["statement"]["subject"][0]["digest"]["sha256"])


def _is_day(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


def read_history(bodies: Sequence[bytes]) -> History:
    """Return what these entries say, each verified against the ones before it."""
    history = History()
    for body in bodies:
        history.take(body)
    return history


def verify_ledger(
    bodies: Sequence[bytes], checkpoint: str, people: People | None = None
) -> History:
    """Verify a whole ledger against its signed head, and against a copy of its people if given.

    Entries after the head are allowed (the head is written after them) and checked one by one.

    Raises
    ------
    VerificationError
        On the first thing that does not fit.
    """
    head = read_checkpoint(checkpoint, bodies)
    if head.size > len(bodies):
        raise VerificationError(f"The ledger has {len(bodies)} entries; its head says {head.size}.")
    if tree_root([leaf_hash(body) for body in bodies[: head.size]]) != head.root:
        raise VerificationError(
            "The ledger's entries differ from its signed head: history was rewritten."
        )
    history = read_history(bodies)
    if people is not None:
        compare_people(people, history.roll)
    return history


def compare_people(copy: People, roll: Roll) -> None:
    """Refuse a copy of the people unless it lists exactly the keys that the root listed.

    Raises
    ------
    VerificationError
        Naming a key that only one of the two lists, or lists differently.
    """
    for identity in sorted(copy.keys() | roll.known.keys()):
        listed, signed = copy.get(identity), roll.known.get(identity)
        if listed != signed:
            how = "otherwise than" if listed and signed else "that is not in"
            where = "the ledger" if listed else "people.json"
            person = listed or signed or Person("nobody", "nothing", identity, b"")
            raise VerificationError(
                f"A key is listed {how} {where}: {person.name!r} as {person.role}, "
                f"{identity[:12]}. Only the root's signed statements say who may sign."
            )


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
    path: Path, *, people_file: Path | None = None, witness_file: Path | None = None
) -> dict[str, Any]:
    """Verify an evidence pack, folder or zip, and return what was checked.

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
        checkpoint = files["checkpoint.txt"].decode()
        _, head, _ = _note(checkpoint)
    if bodies.pop() or len(bodies) != head.size:
        raise VerificationError(
            f"ledger.jsonl holds {len(bodies)} entries; its head says {head.size}."
        )
    with reading("ledger.jsonl"):
        history = verify_ledger(bodies, checkpoint, people)
    if read_json(files[LIST], LIST)["keyid"] not in history.roll.active:
        raise VerificationError(f"{LIST} is signed by a key of the ledger that was revoked.")
    _verify_receipts(files, bodies)
    kept = witnessed(witness_file, bodies)
    with reading("ledger.jsonl"):
        return {
            "on": on,
            "files": len(files),
            "entries": len(bodies),
            "promotions": len(history.promotions),
            "waivers": waivers_used(history),
            **_stated(files, history, on),
            "root": head.root.hex(),
            "witnessed": kept,
            "keys": signers(history),
            "manifests": {
                name: entry["statement"]["predicate"]["files"]
                for name, entry in history.manifests.items()
            },
        }


def _stated(files: Mapping[str, bytes], history: History, on: str) -> dict[str, Any]:
    """Return champion, open findings and freezes of a day, once ``status.json`` tells the same."""
    name = "status.json"
    now = champion(history, on)
    stands = {
        "champion": now and now["statement"]["predicate"]["version"],
        "findings_open": open_findings(history, on),
        "freezes": freezes(history, on),
    }
    with reading(name):
        told = json.loads(files[name])
        said = {
            "champion": told["champion"],
            "findings_open": sorted(finding["id"] for finding in told["findings_open"]),
            "freezes": sorted(freeze["id"] for freeze in told["freezes"]),
        }
        wrong = [part for part in stands if stands[part] != said[part]]
        wrong += ["on"] * (told["on"] != on)
    if wrong:
        raise VerificationError(f"{name} says otherwise than the ledger: {', '.join(wrong)}.")
    return stands


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


def witnessed(witness_file: Path | None, bodies: Sequence[bytes]) -> int | None:
    """Return how many entries the head had that the auditor kept, if the ledger continues it."""
    if witness_file is None:
        return None
    name = shown(witness_file.name)
    with reading(name):
        old = read_checkpoint(witness_file.read_bytes().decode(), bodies)
    if not is_prefix(old, bodies):
        raise VerificationError(
            f"ledger.jsonl does not continue the head of {old.size} entries in {name}: history was "
            "rewritten, or set back to an earlier day."
        )
    return old.size


def told(found: Mapping[str, Any], *, people_file: Path | None = None) -> list[str]:
    """Say in sentences what was verified and what was not."""
    lines = [
        f"VERIFIED: {found['entries']} entries, {found['promotions']} promotions with four eyes.",
        f"{found['waivers']} waivers were used by gate decisions, each signed before and in force.",
        NOT_JUDGED,
    ]
    if found["witnessed"] is None:
        lines.append(NOT_WITNESSED)
    else:
        lines.append(f"The ledger continues the head of {found['witnessed']} entries you kept.")
    if "on" in found:
        lines.append(
            f"On {found['on']}: champion version {found['champion']}, "
            f"{len(found['findings_open'])} findings open, {len(found['freezes'])} freezes in "
            "force, by the signatures that each takes."
        )
    lines += [f"Ledger root {found['root']}.", OWN_KEYS if people_file else PACK_KEYS]
    return lines + [told_signer(key) for key in found["keys"]]


def told_signer(key: Mapping[str, Any]) -> str:
    """Say in one line what `signers` says of one key."""
    until = "" if key["is_active"] else "  (revoked)"
    signed = f"{key['signed']:5} signed"
    return f"  {key['role']:18} {key['key_id']}  {signed}  {shown(key['name'])}{until}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a pack from the command line; 0 when it holds, 15 when it does not."""
    parser = argparse.ArgumentParser(description="Verify a Limitline evidence pack.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--people", type=Path, help="public keys obtained another way")
    parser.add_argument("--checkpoint", type=Path, help="a ledger head witnessed earlier")
    parser.add_argument("--model", type=Path, help="a model folder to compare with its manifest")
    parser.add_argument("--version", help="the version that the model folder is said to be")
    asked = parser.parse_args(arguments)
    if (asked.model is None) != (asked.version is None):
        parser.error("--model FOLDER and --version NUMBER go together.")
    try:
        found = verify_pack(asked.pack, people_file=asked.people, witness_file=asked.checkpoint)
        if asked.model:
            signed = found["manifests"].get(f"credit-limit@{asked.version}", [])
            compare_manifests(manifest(asked.model), signed)
    except (VerificationError, OSError) as error:
        sys.stderr.write(f"NOT VERIFIED: {error}\n")
        return 15
    lines = told(found, people_file=asked.people)
    lines += [f"Model folder equals the signed manifest of {asked.version}."] if asked.model else []
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
