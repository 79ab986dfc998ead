"""Statements: one signed sentence about one subject, as in-toto Statement v1 in DSSE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance import canonical
from governance.errors import KeyringError
from registry import offline
from registry.offline import Person
from registry.signing import Envelope, People, Signer, checked


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
) -> Envelope:
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


def verify(envelope: Envelope, people: People) -> Statement:
    """Return the statement in `envelope`.

    Raises
    ------
    IntegrityError
        If it is not signed by a known key whose role may say so.
    """
    with checked():
        verified, person = offline.verify_statement(envelope.as_json(), people.by_key)
    return Statement.of(verified, person)
