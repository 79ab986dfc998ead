"""The card: what the catalogue shows about a version, a projection of the ledger and nothing else.

Anybody with access to MLflow can edit it there; `limitline reconcile` writes it anew.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from governance.appetite import RiskAppetite
from governance.evidence import Decision
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from registry import pages
from registry.attempts import attempts, earlier_closed, judged_by, measured_in_words
from registry.catalogue import Catalogue
from registry.ledger import Entry
from registry.record import (
    Record,
    attached_digests,
    read,
    read_decision,
    read_evidence,
    waiver_key,
)
from registry.signing import NOTICE

MAX_ROWS = 60


def project(settings: Settings, version: int) -> None:
    """Write the description and the tags of a version to the catalogue; others' tags stay."""
    record = Record.load(settings)
    catalogue = Catalogue.open(settings)
    catalogue.set_description(describe(record, version), version)
    catalogue.set_tags(version, tags(record, version))


def tags(record: Record, version: int) -> dict[str, str]:
    """Return the tags of a version: state, gate outcome, digests and lineage."""
    manifest, decision = record.manifest(version), record.decision(version)
    gate = read_decision(decision)[0].outcome.value if decision else "not judged"
    found = {
        "limitline.state": state(record, version),
        "limitline.gate": gate,
        "limitline.manifest_sha256": manifest.statement.sha256,
        "limitline.waivers": str(len(record.waivers(version))),
        "limitline.approvals": str(len(record.approvals(version))),
        "limitline.refused_before": str(len(earlier_closed(record, version))),
    }
    lineage = manifest.statement.predicate["lineage"]
    return found | {f"limitline.lineage.{name}": str(value) for name, value in lineage.items()}


def state(record: Record, version: int) -> str:
    """Say where a version stands, from ``submitted`` to ``retired``."""
    if record.champion() == version:
        return "champion"
    if version in record.past_champions():
        return "retired"
    decision = record.decision(version)
    if decision is not None:
        return "gate open" if read_decision(decision)[0].is_open else "refused"
    return "submitted" if record.evidence(version) is None else "validated"


def describe(record: Record, version: int) -> str:
    """Return the Markdown description of a version."""
    manifest, evidence = record.manifest(version).statement.predicate, record.evidence(version)
    still_open = [finding for finding in record.findings(version) if finding.closed_on is None]
    approvals = [entry.statement for entry in record.approvals(version)]
    lines = [*measured_in_words(record, version)]
    return pages.render(
        "card.md",
        version=version,
        state=state(record, version),
        zh=pages.texts("texts")["zh"],
        facts_zh=_facts_zh(manifest["lineage"]),
        run=manifest["run_id"],
        evidence=read_evidence(evidence) if evidence else None,
        **_judged(record.decision(version)),
        attached=[
            (read_evidence(entry), entry.statement.person.name)
            for entry in record.attached(version).values()
        ],
        judged_by=judged_by(record, version),
        attempts=lines + [one.in_words for one in attempts(record, version)],
        approvals=[(said.predicate, said.person.name) for said in approvals],
        waivers=record.waivers(version),
        waiver_groups=_waiver_groups(record, version),
        notice=f"{NOTICE[0].upper()}{NOTICE[1:]}",
        findings=still_open,
        studies=_studies(record, version),
        alternatives=alternatives(record, version),
        lineage=manifest["lineage"],
        digests=_digests(record, version),
        max_rows=MAX_ROWS,
    )


def _judged(entry: Entry | None) -> dict[str, Any]:
    """Return the decision, what a promotion needs of it, and of the rest only what is wrong."""
    if entry is None:
        return {"decision": None}
    decision, appetite = read_decision(entry)
    required = [item for item in decision.judged if appetite.requires(item, decision.decided_on)]
    others = [item for item in decision.judged if item not in required]
    wrong = [item for item in others if item.outcome is Outcome.BREACH]
    return {
        "decision": decision,
        "required": required,
        "wrong": wrong,
        "others": len(others) - len(wrong),
        "waived": {waiver_key(waiver) for waiver in decision.waived},
        "counted_zh": _counted_zh(decision, appetite),
    }


def _waiver_groups(record: Record, version: int) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for waiver in record.waivers(version):
        days = f"{waiver.granted_on} to {waiver.expires_on}"
        key = (waiver.measure, waiver.owner, waiver.reason, days)
        groups.setdefault(key, []).append(f"({describe_scope(waiver.scope)})")
    return [
        f"{measure} {', '.join(scopes)}: {reason} — {owner}, {days}"
        for (measure, owner, reason, days), scopes in groups.items()
    ]


def _studies(record: Record, version: int) -> list[tuple[str, Any, list[Measurement]]]:
    studies = {name: one.statement.predicate for name, one in record.studies(version).items()}
    return [
        (name, said, [read(Measurement, item, where="A study") for item in said["headlines"]])
        for name, said in studies.items()
    ]


def alternatives(record: Record, version: int) -> dict[str, Any] | None:
    """Return what the validator said of a version's alternatives, and whether they are newest."""
    entry = record.judged_alternatives(version)
    if entry is None:
        return None
    said, study = entry.statement.predicate, record.studies(version)["alternatives"]
    return {
        "entry": entry.seq,
        "digest": said["digest"],
        "measured_on": said["evidence"]["measured_on"],
        "by": entry.statement.person.name,
        "is_newest_family": said["judgement"]["study"] == study.statement.predicate["digest"],
        **{name: said["judgement"][name] for name in ("outcome", "rule", "verdicts")},
    }


def _digests(record: Record, version: int) -> list[tuple[str, str]]:
    manifest, evidence = record.manifest(version).statement, record.evidence(version)
    found = [("model manifest (every file)", manifest.sha256)]
    estimators = sorted(manifest.predicate["estimators"].items())
    found += [(f"{name}, canonical", digest) for name, digest in estimators]
    found += [("evidence", read_evidence(evidence).digest)] if evidence else []
    found += attached_digests(record, version).items()
    decision = record.decision(version)
    if decision is not None:
        made, appetite = read_decision(decision)
        found += [(f"risk appetite {appetite.id} {appetite.version}", appetite.digest)]
        found += [("gate decision", made.digest)]
    return found


def _facts_zh(lineage: dict[str, Any]) -> str:
    titles = pages.texts("texts")["zh"]["lineage"]
    told = [f"{title} {lineage[name]}" for name, title in titles.items() if name in lineage]
    return "；".join(told) or "无"


def _counted_zh(decision: Decision, appetite: RiskAppetite) -> str:
    """Count the required measurements by outcome, and how many of each are waived."""
    required = [item for item in decision.judged if appetite.requires(item, decision.decided_on)]
    waived = {waiver_key(waiver) for waiver in decision.waived}
    counted = Counter(item.outcome for item in required)
    excused = Counter(item.outcome for item in required if item.key in waived)
    told = [
        f"{title} {counted[Outcome(name)]} 项"
        + (f"（其中豁免 {excused[Outcome(name)]} 项）" if excused[Outcome(name)] else "")
        for name, title in pages.texts("texts")["zh"]["outcomes"].items()
        if counted[Outcome(name)]
    ]
    return "，".join(told) or "无"
