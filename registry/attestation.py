"""Attestation: what was measured about a version, signed and bound to its bytes.

The validator measures model and policy together. What a policy does by itself (whether any input
makes it break a law, whom it would concern) is measured by other commands and attached; a
developer's attachment is never the validator's evidence, and speaks of no measure that is the
validator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from governance import canonical
from governance.errors import ContractError, IntegrityError
from governance.evidence import Evidence
from governance.settings import Settings
from registry import card
from registry.ledger import Entry
from registry.record import Record, append, subject_of
from registry.rules import POLICY_EVIDENCE, about_problem
from registry.signing import Kind, Role, Signer


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
    """Refuse evidence whose digests are not those of the version; `needed` must be there."""
    statement = manifest.statement
    problem = about_problem(evidence.subject, statement.sha256, statement.predicate, needed)
    if problem:
        raise IntegrityError(
            f"What was measured {problem}, {statement.subject_name}. Measure the version as it is "
            "registered."
        )


def document(model: Any) -> Mapping[str, Any]:
    """Return a declaration or an evidence as plain canonical values, under its public names."""
    plain: Mapping[str, Any] = canonical.plain(model)
    return plain


class Measured(NamedTuple):
    """What one kind of policy evidence may speak of, and the command that measures it."""

    measures: tuple[str, ...]
    command: str


KINDS: Mapping[str, Measured] = {
    kind: Measured(measures, f"limitline {kind.replace('-', ' ')} --version {{}}")
    for kind, measures in POLICY_EVIDENCE.items()
}
"""Every kind of policy evidence."""


def attach(settings: Settings, version: int, evidence: Evidence, *, role: Role) -> int:
    """Sign `evidence` about a version's policy as `role`; return its place in the ledger.

    The same evidence again, if it is still the newest of its kind, is not recorded twice under one
    appetite.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``policy-check`` or ``policy-impact``; its subject names the
        digest of the version's policy as ``policy``.
    role : Role
        Whose key signs: the developer's or the validator's.

    Raises
    ------
    ContractError
        If the kind is not one of these, or a measure does not belong to the kind.
    IntegrityError
        If the evidence is about another policy, or about another model.
    KeyringError
        If the role may not sign such evidence.
    UsageError
        If there is no such version.
    """
    record = Record.load(settings)
    manifest = record.manifest(version)
    check_attached(evidence, manifest)
    newest = record.attached(version).get(evidence.kind)
    if newest is not None and record.is_current(newest, evidence):
        return newest.seq
    subject = (subject_of(version), manifest.statement.sha256)
    predicate = {
        "evidence": document(evidence),
        "digest": evidence.digest,
        "role": Role(role).value,
    }
    signer = Signer.open(settings.keyring, role)
    seq = append(settings, Kind.POLICY, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return seq


def check_attached(evidence: Evidence, manifest: Entry) -> None:
    """Refuse policy evidence that is not about the policy in `manifest`, or says too much."""
    kind = KINDS.get(evidence.kind)
    if kind is None:
        raise ContractError(
            f"Evidence of kind {evidence.kind} is not about a policy; known: {', '.join(KINDS)}."
        )
    foreign = sorted(
        {
            item.measure
            for item in evidence.measurements
            if not item.measure.startswith(kind.measures)
        }
    )
    if foreign or not evidence.measurements:
        found = f"speaks of {', '.join(foreign[:3])}" if foreign else "measures nothing"
        raise ContractError(
            f"Evidence of kind {evidence.kind} {found}; it may speak of "
            f"{', '.join(kind.measures)} and of nothing else."
        )
    check_subject(evidence, manifest, needed="policy")


def how_to_measure(measure: str, version: int) -> str:
    """Return the sentence that names the command for `measure`, or nothing for other measures."""
    for kind in KINDS.values():
        if measure.startswith(kind.measures):
            return f"Run `{kind.command.format(version)}`."
    return ""
