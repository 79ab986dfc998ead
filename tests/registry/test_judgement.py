from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from governance import canonical
from governance.appetite import RiskAppetite
from governance.errors import GateClosed, IntegrityError
from governance.evidence import Evidence
from governance.outcome import Outcome
from governance.settings import Settings
from registry import record
from registry.attestation import attest, document
from registry.judgement import gate
from registry.record import Record
from registry.signing import Kind, Signer

DAY = date(2026, 1, 5)
EvidenceOf = Callable[..., Evidence]
SignerOf = Callable[[str], Signer]


def _decisions(home: Settings) -> int:
    return len(tuple(Record.load(home).of(Kind.DECISION)))


@pytest.mark.parametrize(
    ("auc", "outcome"),
    [(0.77, Outcome.PASS), (0.60, Outcome.BREACH), (0.70, Outcome.INCONCLUSIVE)],
)
def test_the_newest_evidence_is_judged_and_the_decision_recorded(
    home: Settings,
    evidence: EvidenceOf,
    signer: SignerOf,
    appetite: RiskAppetite,
    auc: float,
    outcome: Outcome,
) -> None:
    attest(home, evidence(auc=0.5), version=1, signer=signer("validator"))
    attest(home, evidence(auc=auc), version=1, signer=signer("validator"))
    decision = gate(home, 1, appetite=appetite, on=DAY)
    entry = Record.load(home).decision(1)

    assert decision.outcome is outcome
    assert entry is not None
    assert entry.statement.person.role == "ledger"
    assert record.read_decision(entry)[0].digest == decision.digest


def test_the_same_question_gets_the_same_bytes_and_is_recorded_once(
    home: Settings, evidence: EvidenceOf, signer: SignerOf, appetite: RiskAppetite
) -> None:
    attest(home, evidence(), version=1, signer=signer("validator"))
    first, again = (gate(home, 1, appetite=appetite, on=DAY) for _ in range(2))

    assert canonical.dumps(first) == canonical.dumps(again)
    assert _decisions(home) == 1


def test_the_gate_needs_evidence(home: Settings, appetite: RiskAppetite) -> None:
    with pytest.raises(GateClosed, match="no validation evidence"):
        gate(home, 1, appetite=appetite, on=DAY)


def test_evidence_that_slipped_into_the_ledger_about_other_bytes_is_refused(
    home: Settings, evidence: EvidenceOf, signer: SignerOf, appetite: RiskAppetite
) -> None:
    other = evidence(subject={"model": "0" * 64})
    predicate = {"evidence": document(other), "digest": other.digest}
    subject = ("credit-limit@1", Record.load(home).manifest(1).statement.sha256)
    keys = signer("validator")

    with pytest.raises(IntegrityError, match="another model"):
        record.append(home, Kind.EVIDENCE, subject=subject, predicate=predicate, signer=keys)
    assert _decisions(home) == 0
