"""Judgement: the gate's decision about a version, recorded with everything it rests on."""

from __future__ import annotations

import importlib.resources
from datetime import date
from pathlib import Path

from governance import gate as pure_gate
from governance.appetite import RiskAppetite
from governance.errors import GateClosed, Inconclusive, LimitlineError
from governance.evidence import Decision, Evidence
from governance.outcome import Outcome
from governance.settings import Settings
from registry.attachment import check_attached, how_to_measure
from registry.attestation import check_subject, document
from registry.ledger import Entry
from registry.record import Record, append, read_decision, read_evidence, subject_of
from registry.signing import Role, Signer
from registry.statement import Kind

PACKAGED_APPETITE = "uci_demo"


def gate(settings: Settings, version: int, *, appetite: RiskAppetite, on: date) -> Decision:
    """Judge the newest evidence of a version, record the decision and return it, open or closed.

    Judged together: the validator's evidence and the newest policy evidence of each kind.

    The same evidence, appetite, waivers and day give the same decision to the byte; it is not
    recorded twice in a row.

    Raises
    ------
    GateClosed
        If the version has no evidence.
    IntegrityError
        If the evidence is not signed by the validator or speaks about other bytes.
    """
    record = Record.load(settings)
    manifest, entry = record.manifest(version), evidence_of(record, version)
    evidence = read_evidence(entry)
    check_subject(evidence, manifest)
    attached = attached_to(record, version)
    decision = pure_gate.judge(
        evidence, appetite, record.signed_waivers(version), on, attached=attached
    )
    newest = record.decision(version)
    if newest is None or read_decision(newest)[0].digest != decision.digest:
        predicate = {
            "decision": document(decision),
            "digest": decision.digest,
            "appetite": document(appetite),
        }
        subject = (subject_of(version), manifest.statement.sha256)
        signer = Signer.open(settings.keyring, Role.LEDGER)
        append(settings, Kind.DECISION, subject=subject, predicate=predicate, signer=signer)
    return decision


def evidence_of(record: Record, version: int) -> Entry:
    """Return the newest evidence of a version."""
    entry = record.evidence(version)
    if entry is None:
        raise GateClosed(
            f"Version {version} has no validation evidence, so nothing can open the gate. "
            f"Run `python -m monitoring validate --version {version}`."
        )
    return entry


def attached_to(record: Record, version: int) -> tuple[Evidence, ...]:
    """Return the newest policy evidence of each kind, after checking what it is about.

    Raises
    ------
    IntegrityError, ContractError
        If it is about another policy or model, or speaks of measures that are not its kind's.
    """
    found = tuple(read_evidence(entry) for entry in record.attached(version).values())
    for evidence in found:
        check_attached(evidence, record.manifest(version))
    return found


def unmeasured(version: int, decision: Decision) -> list[str]:
    """Return what the gate missed, each with the command that measures it if one is known."""
    lines = [line for line in decision.refusals if line.endswith(pure_gate.NOT_MEASURED)]
    hints = [how_to_measure(line.partition(" ")[0], version) for line in lines]
    return [f"{line} {hint}".strip() for line, hint in zip(lines, hints, strict=True)]


def closed(version: int, decision: Decision) -> LimitlineError:
    """Return the error that a closed gate raises: breached is 12, cannot tell is 14."""
    gravest = min(
        decision.refusals, key=lambda line: ("not waivable" not in line, "BREACH" not in line)
    )
    others = len(decision.refusals) - 1
    more = f" And {others} more; `python -m registry gate` lists them." if others else ""
    hint = how_to_measure(gravest.partition(" ")[0], version)
    said = f"{gravest} {hint}" if hint and gravest.endswith(pure_gate.NOT_MEASURED) else gravest
    text = f"The gate is closed for version {version} on {decision.decided_on}: {said}{more}"
    return Inconclusive(text) if decision.outcome is Outcome.INCONCLUSIVE else GateClosed(text)


def read_appetite(path: Path | None) -> RiskAppetite:
    """Read a risk appetite file; none given means the packaged demo appetite."""
    if path is not None:
        return RiskAppetite.load(path)
    packaged = importlib.resources.files("governance") / "appetite" / f"{PACKAGED_APPETITE}.toml"
    return RiskAppetite.parse(packaged.read_text(encoding="utf-8"))
