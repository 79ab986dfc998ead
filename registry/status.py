"""Status: what happened, what was refused and why, and where to look; from the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from governance.appetite import RiskAppetite
from governance.evidence import Decision, Waiver
from governance.measurement import describe_scope
from governance.settings import Settings
from registry import findings, pages, rules
from registry.attempts import (
    NOT_WAIVABLE,
    appetites,
    attempts,
    earlier_closed,
    judged_by,
    measured,
    measured_in_words,
)
from registry.card import alternatives, state
from registry.catalogue import MODEL_NAME
from registry.judgement import unmeasured
from registry.ledger import Entry, Ledger
from registry.record import Record, in_force, read_decision, read_evidence, waiver_key
from registry.signing import NOTICE, Kind, People

PORT = 5000
MAX_LINES = 6


def status(settings: Settings, on: date, *, port: int = PORT) -> dict[str, Any]:
    """Return the state of every version on a day as one JSON document.

    What became so later is not told; when each statement was recorded is another matter, and told.

    Raises
    ------
    IntegrityError
        If the ledger is not what was signed.
    """
    record = Record.load(settings, on)
    head = Ledger.open(settings.ledger, people=People.load(settings.keyring)).verify()
    beats = [entry.statement.effective_on for entry in record.of(Kind.HEARTBEAT)]
    still_open = [finding for finding in record.findings() if finding.is_open(on)]
    return {
        "schema": "registry-status/1",
        "on": on.isoformat(),
        "champion": record.champion(),
        "promotion": _promotion(record),
        "appetites": appetites(record),
        "versions": [_version(record, version, on) for version in record.versions()],
        "freezes": [found.as_document() for found in findings.in_force(record, on)],
        "findings_open": [finding.model_dump(mode="json") for finding in still_open],
        "last_heartbeat": max(beats, default=None),
        "ledger": {"entries": head.size, "root": head.root.hex()},
        "keys": NOTICE,
        "signers": rules.signers(record.history),
        "where": where(settings, record.versions(), port=port),
    }


def where(settings: Settings, versions: Sequence[int], *, port: int = PORT) -> dict[str, str]:
    """Return where a person looks next: commands, links and paths."""
    address = f"http://127.0.0.1:{port}/#/models/{MODEL_NAME}"
    newest = f"/versions/{versions[-1]}" if versions else ""
    return {
        "catalogue": f"limitline serve --port {port}, then {address}{newest}",
        "reports": str(settings.reports),
        "ledger": str(settings.ledger),
        "evidence": "limitline evidence",
    }


def render(document: Mapping[str, Any], console: Console) -> None:
    """Print the status for people; a line after a dash hangs behind it."""
    versions = document["versions"]
    waived = {
        one["version"]: [waiver for waiver in one["waivers"] if waiver["is_in_force"]]
        for one in versions
    }
    page = pages.render(
        "status.txt",
        **document,
        colors=COLORS,
        max_lines=MAX_LINES,
        approved_by={one["version"]: _approved_by(one) for one in versions},
        refusals={one["version"]: sorted(one["refusals"], key=_gravity) for one in versions},
        waived=waived,
        accepted={version: _accepted(waivers) for version, waivers in waived.items()},
    )
    for line in page.splitlines():
        dash, text = line[:4], line[4:]
        if dash == "  - ":
            grid = Table.grid(padding=(0, 1))
            grid.add_row("  -", Text.from_markup(text))
            console.print(grid)
        else:
            console.print(Text.from_markup(line))


def _approved_by(version: Mapping[str, Any]) -> str:
    roles = {item["role"] for item in version["approvals"] if item["is_in_force"]}
    return ", ".join(sorted(role.removesuffix("_approver") for role in roles)) or "-"


def _gravity(refusal: str) -> tuple[bool, bool]:
    """Put what no waiver can answer for first, then what is wrong, then what cannot be told."""
    return NOT_WAIVABLE not in refusal, "BREACH" not in refusal


def _accepted(waivers: Sequence[Mapping[str, Any]]) -> list[str]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for waiver in waivers:
        key = (waiver["measure"], waiver["owner"], waiver["expires_on"])
        groups.setdefault(key, []).append(describe_scope(waiver["scope"]))
    return [
        f"{measure} until {expires}, {owner}: {'; '.join(scopes)}"
        for (measure, owner, expires), scopes in groups.items()
    ]


def _promotion(record: Record) -> dict[str, Any] | None:
    """Say by which promotion the champion of the day is one, since when and recorded when."""
    found = record.promotion()
    if found is None:
        return None
    when = {"effective_on": found.statement.effective_on, "recorded_at": found.recorded_at}
    return {"version": found.statement.predicate["version"], **when, "entry": found.seq}


def _version(record: Record, version: int, on: date) -> dict[str, Any]:
    entry, manifest = record.decision(version), record.manifest(version)
    decision = read_decision(entry)[0] if entry else None
    return {
        "version": version,
        "state": state(record, version),
        "gate": decision.outcome.value if decision else "not judged",
        "decided_on": decision.decided_on.isoformat() if decision else None,
        "refusals": list(decision.refusals) if decision else [],
        "measured": measured(record, version),
        "measured_in_words": measured_in_words(record, version),
        "attempts": [one.as_document() for one in attempts(record, version)],
        "refused_before": [one.in_words for one in earlier_closed(record, version)],
        "judged_by": judged_by(record, version),
        "policy_evidence": [_attached(found) for found in record.attached(version).values()],
        "alternatives": _alternatives(record, version),
        "waivers": [_waiver(waiver, on) for waiver in record.waivers(version)],
        "approvals": [
            {
                "role": found.statement.person.role,
                "by": found.statement.person.name,
                "approved_on": found.statement.predicate["approved_on"],
                "expires_on": found.statement.predicate["expires_on"],
                "is_in_force": in_force(found, on),
            }
            for found in record.approvals(version)
        ],
        "manifest_sha256": manifest.statement.sha256,
        "submitted_at": manifest.recorded_at,
        "kind": str(manifest.statement.predicate["lineage"].get("recipe", "")),
    }


def _attached(entry: Entry) -> dict[str, Any]:
    evidence = read_evidence(entry)
    return {
        "kind": evidence.kind,
        "digest": evidence.digest,
        "measured_on": evidence.measured_on.isoformat(),
        "role": entry.statement.person.role,
        "by": entry.statement.person.name,
    }


def _alternatives(record: Record, version: int) -> dict[str, Any] | None:
    said = alternatives(record, version)
    return said and {
        **{name: value for name, value in said.items() if name != "rule"},
        "verdicts": [
            {name: one[name] for name in ("alternative", "outcome", "verdict")}
            for one in said["verdicts"]
        ],
    }


def _waiver(waiver: Waiver, on: date) -> dict[str, Any]:
    return {
        "measure": waiver.measure,
        "scope": dict(waiver.scope),
        "owner": waiver.owner,
        "reason": waiver.reason,
        "expires_on": waiver.expires_on.isoformat(),
        "is_in_force": on <= waiver.expires_on,
    }


COLORS = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow", "not judged": "dim"}


class Rows(StrEnum):
    """Which judged measurements are printed."""

    REQUIRED = "required"
    ALL = "all"


def render_decision(
    version: int, decision: Decision, appetite: RiskAppetite, console: Console, *, rows: Rows
) -> None:
    """Print the judged measurements, the gravest first, and whether the gate is open."""
    waived = {waiver_key(waiver) for waiver in decision.waived}
    shown = [
        item
        for item in decision.judged
        if rows is Rows.ALL or appetite.requires(item, decision.decided_on)
    ]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("outcome", "measure", "scope", "value [95 % interval]", "n"):
        table.add_column(name, overflow="fold", justify="right" if name == "n" else "left")
    for item in pages.gravest_first(shown):
        outcome = Text(item.outcome.value, style=COLORS.get(item.outcome.value, ""))
        outcome.append(" waived" if item.key in waived else "", style="dim")
        scope = Text(describe_scope(item.scope))
        table.add_row(outcome, item.measure, scope, Text(pages.numbers(item)), f"{item.n:,}")
    console.print(table)
    others = Counter(item.outcome.value for item in decision.judged if item not in shown)
    if others:
        said = ", ".join(f"{number} {name}" for name, number in sorted(others.items()))
        console.print(f"Not required for promotion: {said}; --all lists them.", markup=False)
    for line in unmeasured(version, decision):
        console.print(f"missing: {line}", markup=False, soft_wrap=True)
    word = "open" if decision.is_open else "closed"
    said = f"The gate is {word} for version {version}: {len(decision.refusals)} refusals, "
    said += f"{len(decision.waived)} answered by waivers. Decision {decision.digest[:12]}."
    console.print(said, markup=False)
