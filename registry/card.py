"""The card: what the catalogue shows about a version, a projection of the ledger and nothing else.

Anybody with access to MLflow can edit it there; `limitline reconcile` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from governance.appetite import RiskAppetite
from governance.evidence import Decision
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from registry import card_zh
from registry.attempts import attempts, earlier_closed, judged_by, measured_in_words
from registry.catalogue import Catalogue
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

ORDER = (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)


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
    parts = (
        *(_summary, _verdicts, _attempts, _people, _findings, _studies),
        *(_alternatives, _lineage, _digests),
    )
    return "\n".join(line for part in parts for line in part(record, version)) + "\n"


def numbers(measurement: Measurement) -> str:
    """Write value and interval for people; undefined is said, not shown as 0."""
    if measurement.value is None:
        return "undefined"
    if measurement.low is None or measurement.high is None:
        return f"{measurement.value:.4g}"
    return f"{measurement.value:.4g} [{measurement.low:.4g}, {measurement.high:.4g}]"


def _summary(record: Record, version: int) -> Iterator[str]:
    stands = state(record, version)
    yield f"# Credit-limit model, version {version}: {stands}"
    yield ""
    yield "**Purpose.** Sets revolving credit limits of existing customers: a calibrated default "
    yield "probability and a limit policy, governed as one model. **Not for** new applications, "
    yield "pricing or collections."
    yield ""
    yield from (_cell(line) for line in card_zh.summarize(record, version, stands))
    yield ""
    yield "**Documents 文档。** Model card and technical file, in English and Chinese, as "
    run = record.manifest(version).statement.predicate["run_id"]
    yield f"written from the facts at the hand-over: [source run](#/runs/{run}) `{run}`, "
    yield "Artifacts, `documents` （模型卡与技术文件，中英文，见来源运行的 Artifacts）。Or: "
    yield f"`limitline document --version {version}`."
    yield ""


def _verdicts(record: Record, version: int) -> Iterator[str]:
    entry, evidence = record.decision(version), record.evidence(version)
    yield "## Verdicts"
    yield ""
    if entry is not None:
        decision, appetite = read_decision(entry)
        yield f"Gate on {decision.decided_on}: **{decision.outcome.value}**."
        yield from (f"- refused: {_cell(line)}" for line in decision.refusals)
        yield ""
        yield from _judged(decision, appetite)
    elif evidence is not None:
        yield "Measured, not yet judged by the gate."
        yield ""
        yield from _table(read_evidence(evidence).measurements, set())
    else:
        yield "Not validated yet."
        yield ""
    if evidence is not None:
        yield "**Not evidenced:** " + (
            "; ".join(read_evidence(evidence).not_evidenced) or "nothing listed"
        )
        yield ""
    yield from _attached(record, version)


def _attached(record: Record, version: int) -> Iterator[str]:
    """Show the evidence on the policy by itself: who signed what, and what it does not show."""
    attached = record.attached(version)
    if not attached:
        return
    yield "## Evidence on the policy"
    yield ""
    for kind, entry in attached.items():
        evidence, signed_by = read_evidence(entry), entry.statement.person.name
        yield f"- {kind}, measured on {evidence.measured_on}, signed by {signed_by}"
        for line in evidence.not_evidenced:
            yield _cell(f"  - not evidenced: {line}")
    yield ""


def _judged(decision: Decision, appetite: RiskAppetite) -> Iterator[str]:
    """Show what a promotion needs, and of the rest only what is wrong."""
    required = [item for item in decision.judged if appetite.requires(item, decision.decided_on)]
    wrong = [
        item for item in decision.judged if item not in required and item.outcome is Outcome.BREACH
    ]
    yield "Required for promotion:"
    yield ""
    yield from _table(required, {waiver_key(waiver) for waiver in decision.waived})
    if wrong:
        yield "Not required, but outside the appetite:"
        yield ""
        yield from _table(wrong, set())
    others = len(decision.judged) - len(required) - len(wrong)
    yield f"{others} further measurements are in the evidence pack."
    yield ""


def _attempts(record: Record, version: int) -> Iterator[str]:
    """Show every time the gate was asked: a newer signature hides no earlier refusal."""
    judged = judged_by(record, version)
    yield "## Attempts"
    yield ""
    if len(judged) > 1:
        yield _cell(f"**Judged by more than one risk appetite:** {', then '.join(judged)}.")
        yield ""
    found = [*measured_in_words(record, version)]
    found += [one.in_words for one in attempts(record, version)]
    yield from (f"- {_cell(line)}" for line in found or ["None yet."])
    yield ""


def _table(measurements: Sequence[Measurement], waived: set[object]) -> Iterator[str]:
    yield "| outcome | measure | scope | value [95 % interval] | n | why |"
    yield "|---|---|---|---|---|---|"
    ordered = sorted(measurements, key=lambda item: (ORDER.index(item.outcome), item.key))
    for item in ordered[:MAX_ROWS]:
        outcome = f"{item.outcome.value} (waived)" if item.key in waived else item.outcome.value
        cells = (
            outcome,
            item.measure,
            describe_scope(item.scope),
            numbers(item),
            item.n,
            item.reason,
        )
        yield "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"
    if len(ordered) > MAX_ROWS:
        yield ""
        yield f"{len(ordered) - MAX_ROWS} more are in the evidence pack."
    yield ""


def _people(record: Record, version: int) -> Iterator[str]:
    yield "## Approvals"
    yield ""
    for entry in record.approvals(version):
        said, person = entry.statement.predicate, entry.statement.person
        yield f"- {person.name}, {said['approved_on']}, valid to {said['expires_on']}"
    if not record.approvals(version):
        yield "None."
    yield ""
    yield "## Waivers"
    yield ""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for waiver in record.waivers(version):
        days = f"{waiver.granted_on} to {waiver.expires_on}"
        key = (waiver.measure, waiver.owner, waiver.reason, days)
        groups.setdefault(key, []).append(f"({describe_scope(waiver.scope)})")
    for (measure, owner, reason, days), scopes in groups.items():
        yield _cell(f"- {measure} {', '.join(scopes)}: {reason} — {owner}, {days}")
    if not record.waivers(version):
        yield "None."
    yield ""
    yield f"*{NOTICE[0].upper()}{NOTICE[1:]}.*"
    yield ""


def _findings(record: Record, version: int) -> Iterator[str]:
    still_open = [finding for finding in record.findings(version) if finding.closed_on is None]
    yield "## Open findings"
    yield ""
    for finding in still_open:
        scope = _cell(describe_scope(finding.scope))
        yield f"- {finding.severity.value}: {finding.measure} ({scope}), since {finding.opened_on}"
    if not still_open:
        yield "None."
    yield ""


def _studies(record: Record, version: int) -> Iterator[str]:
    found = record.studies(version)
    yield "## Studies by the developer"
    yield ""
    for name, entry in found.items():
        said = entry.statement.predicate
        yield f"**{_cell(name)}**: {len(said['run_ids'])} child runs of the version's run; "
        yield f"signed digest `{said['digest']}`. Nobody chooses by these; validation judges."
        yield ""
        yield from _table(
            [read(Measurement, item, where="A study") for item in said["headlines"]], set()
        )
    if not found:
        yield "None. `limitline challenge` makes the alternatives."
        yield ""


def _alternatives(record: Record, version: int) -> Iterator[str]:
    """Show what the validator said of the alternatives; of an older family it says so."""
    entry = record.judged_alternatives(version)
    yield "## Alternatives, judged by the validator"
    yield ""
    if entry is None:
        yield f"Not judged. `limitline alternatives --version {version}` judges them."
        yield ""
        return
    said, study = entry.statement.predicate["judgement"], record.studies(version)["alternatives"]
    yield f"**{said['outcome']}**, measured on {read_evidence(entry).measured_on}, signed by "
    yield f"{entry.statement.person.name}. {_cell(said['rule'])}"
    yield ""
    if study.statement.predicate["digest"] != said["study"]:
        yield "**The family was made anew since; these verdicts are about the one before.**"
        yield ""
    yield "| outcome | alternative | verdict | why |"
    yield "|---|---|---|---|"
    for one in said["verdicts"]:
        cells = (one["outcome"], f"{one['alternative']}: {one['title']}", one["verdict"])
        yield "| " + " | ".join(_cell(str(cell)) for cell in (*cells, one["why"])) + " |"
    yield ""


def _lineage(record: Record, version: int) -> Iterator[str]:
    lineage = record.manifest(version).statement.predicate["lineage"]
    yield "## Data and environment, as the developer signed them"
    yield ""
    yield from (f"- {name}: `{value}`" for name, value in sorted(lineage.items()))
    yield ""


def _digests(record: Record, version: int) -> Iterator[str]:
    manifest, evidence, decision = (
        record.manifest(version),
        record.evidence(version),
        record.decision(version),
    )
    yield "## Digests"
    yield ""
    yield f"- model manifest (every file): `{manifest.statement.sha256}`"
    for name, digest in sorted(manifest.statement.predicate["estimators"].items()):
        yield f"- {name}, canonical: `{digest}`"
    if evidence is not None:
        yield f"- evidence: `{read_evidence(evidence).digest}`"
    for kind, digest in attached_digests(record, version).items():
        yield f"- {kind}: `{digest}`"
    if decision is not None:
        made, appetite = read_decision(decision)
        yield f"- risk appetite {appetite.id} {appetite.version}: `{appetite.digest}`"
        yield f"- gate decision: `{made.digest}`"
    yield ""
    yield "Check them: `limitline verify`, or `verify.py` in an evidence pack."


def _cell(text: str) -> str:
    """Keep a text inside its cell and its markup harmless."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
