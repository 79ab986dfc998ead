"""Status: what happened, what was refused and why, and where to look; from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from governance.evidence import Waiver
from governance.measurement import describe_scope
from governance.settings import Settings
from registry import freeze, rules
from registry.attempts import (
    NOT_WAIVABLE,
    appetites,
    attempts,
    earlier_closed,
    judged_by,
    measured,
    measured_in_words,
)
from registry.card import state
from registry.catalogue import MODEL_NAME
from registry.ledger import Entry, Ledger
from registry.record import Record, in_force, read_decision, read_evidence
from registry.signing import NOTICE, People
from registry.statement import Kind
from registry.verdicts import COLORS

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
    findings = [finding for finding in record.findings() if finding.is_open(on)]
    return {
        "schema": "registry-status/1",
        "on": on.isoformat(),
        "champion": record.champion(),
        "promotion": _promotion(record),
        "appetites": appetites(record),
        "versions": [_version(record, version, on) for version in record.versions()],
        "freezes": [found.as_document() for found in freeze.in_force(record, on)],
        "findings_open": [finding.model_dump(mode="json") for finding in findings],
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
    """Print the status for people."""
    console.print(Group(*_parts(document)))


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
    made = document["promotion"]
    named = f"version {made['version']}" if made else "none"
    yield Text.assemble(
        ("Credit-limit models", "bold"), f" on {document['on']}   champion: ", (named, "bold")
    )
    if made:
        since, at = made["effective_on"], made["recorded_at"][:10]
        yield Text(f"effective on {since}, recorded on {at} (entry {made['entry']})", style="dim")
    yield from _appetites(document["appetites"])
    yield _versions(document["versions"])
    for version in document["versions"]:
        yield from _refusals(version)
        yield from _before(version)
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
            Text(version["gate"], style=COLORS.get(version["gate"], "")),
            ", ".join(sorted(set(approvals))) or "-",
            str(waivers or "-"),
            version["manifest_sha256"][:12],
        )
    return table


def _appetites(adopted: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Name the appetite that judges, and every one before it with what changed."""
    for one in adopted:
        changed = f"; other lines: {', '.join(one['changed'])}" if one["changed"] else ""
        said = f"{one['id']} {one['version']} ({one['digest'][:12]}) since {one['on']}{changed}"
        yield Text(f"Risk appetite, signed by both approvers: {said}", style="dim")


def _before(version: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Tell what a newer decision would hide: refusals before it, and other thresholds."""
    name = f"version {version['version']}"
    if len(version["judged_by"]) > 1:
        said = f"\n{name} was judged by more than one risk appetite: "
        yield Text(said.capitalize() + ", then ".join(version["judged_by"]), style="bold yellow")
    if any(not one["is_judged"] for one in version["measured"]):
        yield Text(f"\nWhat was measured about {name}", style="bold")
        yield from _bullets(version["measured_in_words"])
    if version["refused_before"]:
        yield Text(f"\nWhat was refused before about {name}", style="bold")
        yield from _bullets(version["refused_before"])


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
    for one in document["signers"]:
        said = f"  {one['role']:18} {one['key_id'][:12]} {one['signed']:5} signed  {one['name']}"
        yield Text(said if one["is_active"] else f"{said}, revoked", style="dim")
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
