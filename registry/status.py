"""Status: what happened, what was refused and why, and where to look; from the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from governance.appetite import RiskAppetite
from governance.evidence import Decision, Waiver
from governance.measurement import describe_scope
from governance.settings import Settings
from registry import freeze
from registry.card import ORDER, numbers, state
from registry.catalogue import MODEL_NAME
from registry.judgement import unmeasured
from registry.ledger import Entry, Ledger
from registry.record import Record, in_force, read_decision, read_evidence, waiver_key
from registry.signing import NOTICE, People
from registry.statement import Kind

PORT = 5000
MAX_LINES = 6
NOT_WAIVABLE = "not waivable"

_COLORS = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow", "not judged": "dim"}


def status(settings: Settings, on: date, *, port: int = PORT) -> dict[str, Any]:
    """Return the state of every version on a day as one JSON document.

    Raises
    ------
    IntegrityError
        If the ledger is not what was signed.
    """
    record = Record.load(settings)
    head = Ledger.open(settings.ledger, people=People.load(settings.keyring)).verify()
    beats = [entry.statement.predicate["on"] for entry in record.of(Kind.HEARTBEAT)]
    findings = [finding for finding in record.findings() if finding.is_open(on)]
    return {
        "schema": "registry-status/1",
        "on": on.isoformat(),
        "champion": record.champion(),
        "versions": [_version(record, version, on) for version in record.versions()],
        "freezes": [found.as_document() for found in freeze.in_force(record, on)],
        "findings_open": [finding.model_dump(mode="json") for finding in findings],
        "last_heartbeat": max((day for day in beats if day <= on.isoformat()), default=None),
        "ledger": {"entries": head.size, "root": head.root.hex()},
        "keys": NOTICE,
        "where": where(settings, record.versions(), port=port),
    }


def where(settings: Settings, versions: Sequence[int], *, port: int = PORT) -> dict[str, str]:
    """Return where a person looks next: commands, links and paths."""
    address = f"http://127.0.0.1:{port}/#/models/{MODEL_NAME}"
    newest = f"/versions/{versions[-1]}" if versions else ""
    return {
        "catalogue": f"python -m registry serve, then {address}{newest}",
        "reports": str(settings.reports),
        "ledger": str(settings.ledger),
        "evidence": "python -m registry evidence",
    }


class Rows(StrEnum):
    """Which judged measurements are printed."""

    REQUIRED = "required"
    ALL = "all"


def render(document: Mapping[str, Any], console: Console) -> None:
    """Print the status for people."""
    console.print(Group(*_parts(document)))


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
    for item in sorted(shown, key=lambda item: (ORDER.index(item.outcome), item.key)):
        outcome = Text(item.outcome.value, style=_COLORS.get(item.outcome.value, ""))
        outcome.append(" waived" if item.key in waived else "", style="dim")
        scope = Text(describe_scope(item.scope))
        table.add_row(outcome, item.measure, scope, Text(numbers(item)), f"{item.n:,}")
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


def _version(record: Record, version: int, on: date) -> dict[str, Any]:
    entry, manifest = record.decision(version), record.manifest(version)
    decision = read_decision(entry)[0] if entry else None
    waivers = [waiver for waiver in record.waivers(version) if waiver.granted_on <= on]
    return {
        "version": version,
        "state": state(record, version),
        "gate": decision.outcome.value if decision else "not judged",
        "decided_on": decision.decided_on.isoformat() if decision else None,
        "refusals": list(decision.refusals) if decision else [],
        "policy_evidence": [_attached(found) for found in record.attached(version).values()],
        "alternatives": _alternatives(record, version),
        "waivers": [_waiver(waiver, on) for waiver in waivers],
        "approvals": [
            {
                "role": found.statement.predicate["role"],
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
        "role": entry.statement.predicate["role"],
        "by": entry.statement.person.name,
    }


def _alternatives(record: Record, version: int) -> dict[str, Any] | None:
    entry = record.judged_alternatives(version)
    if entry is None:
        return None
    said, study = entry.statement.predicate, record.studies(version)["alternatives"]
    judgement = said["judgement"]
    return {
        "entry": entry.seq,
        "digest": said["digest"],
        "measured_on": said["evidence"]["measured_on"],
        "by": entry.statement.person.name,
        "is_newest_family": judgement["study"] == study.statement.predicate["digest"],
        "outcome": judgement["outcome"],
        "verdicts": [
            {name: one[name] for name in ("alternative", "outcome", "verdict")}
            for one in judgement["verdicts"]
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


def _parts(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    champion = document["champion"]
    named = f"version {champion}" if champion is not None else "none"
    yield Text.assemble(
        ("Credit-limit models", "bold"), f" on {document['on']}   champion: ", (named, "bold")
    )
    yield _versions(document["versions"])
    for version in document["versions"]:
        yield from _refusals(version)
    for version in document["versions"]:
        yield from _waivers(version)
        yield from _judged_alternatives(version)
    yield from _freezes(document)
    yield from _findings(document)
    yield from _closing(document)


def _versions(versions: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for name in (
        "version",
        "state",
        "gate",
        "approved by",
        "waivers",
        "bytes (sha256)",
    ):
        table.add_column(name, no_wrap=name != "approved by")
    for version in versions:
        in_force_now = [item for item in version["approvals"] if item["is_in_force"]]
        approvals = [item["role"].removesuffix("_approver") for item in in_force_now]
        waivers = sum(item["is_in_force"] for item in version["waivers"])
        table.add_row(
            str(version["version"]),
            version["state"],
            Text(version["gate"], style=_COLORS.get(version["gate"], "")),
            ", ".join(sorted(set(approvals))) or "-",
            str(waivers or "-"),
            version["manifest_sha256"][:12],
        )
    return table


def _refusals(version: Mapping[str, Any]) -> Iterator[RenderableType]:
    refusals = version["refusals"]
    if refusals:
        yield Text(
            f"\nWhy version {version['version']} was refused on {version['decided_on']}",
            style="bold",
        )
        # What no waiver can answer for says most, then what is wrong, then what cannot be told.
        yield from _bullets(
            sorted(refusals, key=lambda line: (NOT_WAIVABLE not in line, "BREACH" not in line))
        )


def _waivers(version: Mapping[str, Any]) -> Iterator[RenderableType]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for waiver in version["waivers"]:
        if waiver["is_in_force"]:
            key = (waiver["measure"], waiver["owner"], waiver["expires_on"])
            groups.setdefault(key, []).append(describe_scope(waiver["scope"]))
    if groups:
        yield Text(f"\nAccepted for version {version['version']} by waiver", style="bold")
        yield from _bullets(
            [
                f"{measure} until {expires}, {owner}: {'; '.join(scopes)}"
                for (measure, owner, expires), scopes in groups.items()
            ]
        )


def _judged_alternatives(version: Mapping[str, Any]) -> Iterator[RenderableType]:
    judged = version["alternatives"]
    if judged:
        older = "" if judged["is_newest_family"] else ", of an older family"
        said = f"\nAlternatives to version {version['version']}, judged for "
        yield Text(f"{said}{judged['measured_on']}{older}: {judged['outcome']}", style="bold")
        names: dict[str, list[str]] = {}
        for one in judged["verdicts"]:
            names.setdefault(one["verdict"], []).append(one["alternative"])
        yield from _bullets([f"{verdict}: {', '.join(some)}" for verdict, some in names.items()])


def _freezes(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    if document["freezes"]:
        yield Text("\nRaises are frozen; two different approvers end it", style="bold yellow")
        yield from _bullets(
            [
                f"{item['id']}, since {item['frozen_on']}, by {item['by']}: {item['reason']}; "
                f"released by {', '.join(one['role'] for one in item['released_by']) or 'nobody'}"
                for item in document["freezes"]
            ]
        )


def _findings(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(f"\nOpen findings: {len(document['findings_open']) or 'none'}", style="bold")
    yield from _bullets(
        [
            f"{item['severity']}: {item['measure']} ({describe_scope(item['scope'])}), since "
            f"{item['opened_on']}, {item['owner']}"
            for item in document["findings_open"]
        ]
    )
    yield Text(f"Monitoring last ran for {document['last_heartbeat'] or 'no day yet'}.")


def _closing(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    ledger = document["ledger"]
    yield Text("\nWhere to look", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, place in document["where"].items():
        table.add_row(f"  {name}", place)
    yield table
    entries, root = ledger["entries"], ledger["root"][:16]
    yield Text(f"\nThe ledger holds {entries} signed entries, all verified; root {root}.")
    yield Text(f"Simulated roles: {document['keys']}.", style="dim")


def _bullets(lines: Sequence[str]) -> Iterator[RenderableType]:
    for line in lines[:MAX_LINES]:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("-", Text(line))
        yield Padding(grid, (0, 0, 0, 2))
    if len(lines) > MAX_LINES:
        yield Padding(
            Text(f"and {len(lines) - MAX_LINES} more: --json lists them", style="dim"), (0, 0, 0, 4)
        )
