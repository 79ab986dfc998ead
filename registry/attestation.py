"""Attestation: what a validation run measured, signed by the validator and bound to the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import canonical
from governance.errors import IntegrityError
from governance.evidence import Evidence
from governance.settings import Settings
from registry import card
from registry.ledger import Entry
from registry.load import FEATURES_FILE, POLICY_FILE
from registry.record import Record, append, file_digest, subject_of
from registry.signing import Signer
from registry.statement import Kind


def attest(settings: Settings, evidence: Evidence, *, version: int, signer: Signer) -> int:
    """Sign `evidence` about a version, record it and return its place in the ledger.

    The same evidence again, if it is still the newest, is not recorded twice under one appetite.

    Raises
    ------
    IntegrityError
        If the evidence speaks about other bytes than the version's.
    KeyringError
        If `signer` is not the validator: training never marks its own homework.
    """
    record = Record.load(settings)
    manifest = record.manifest(version)
    check_subject(evidence, manifest)
    newest = record.evidence(version)
    if newest is not None and record.is_current(newest, evidence):
        return newest.seq
    subject = (subject_of(version), manifest.statement.sha256)
    predicate = {"evidence": document(evidence), "digest": evidence.digest}
    seq = append(settings, Kind.EVIDENCE, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return seq


def check_subject(evidence: Evidence, manifest: Entry, *, needed: str = "model") -> None:
    """Refuse evidence whose digests are not those of the version.

    `needed` must be there. ``policy`` and ``features`` may be the digest of the file, or the
    digest of the declaration in it that ``limitline.json`` states and the developer signed.
    """
    statement = manifest.statement
    declared = statement.predicate["declared"]
    allowed = {
        "model": {statement.sha256},
        "policy": {file_digest(manifest, POLICY_FILE), declared.get("policy_digest")},
        "features": {file_digest(manifest, FEATURES_FILE), declared.get("features_digest")},
    }
    wrong = [
        role
        for role, digests in allowed.items()
        if (role == needed or role in evidence.subject)
        and evidence.subject.get(role) not in digests
    ]
    if wrong:
        raise IntegrityError(
            f"The evidence is about another {' and '.join(wrong)} than "
            f"{statement.subject_name} holds. Measure the version as it is registered."
        )


def document(model: Any) -> Mapping[str, Any]:
    """Return a declaration or an evidence as plain canonical values, under its public names."""
    plain: Mapping[str, Any] = canonical.plain(model)
    return plain
