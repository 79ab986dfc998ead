"""Attempts: every time a version was measured or judged, and by which thresholds.

A version that is measured again, or handed in again under another number, keeps what was found
before: whoever approves it is told, and so is everybody who reads its status or its card.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.ledger import Entry
from registry.load import POLICY_FILE
from registry.record import Record, file_digest, read_decision, read_evidence
from registry.rules import POLICY_EVIDENCE
from registry.signing import Kind

NOT_WAIVABLE = "not waivable"
"""What a refusal says when no waiver may answer for it."""

SAME_MODEL, SAME_POLICY = "the same model", "the same policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One decision of the gate that concerns a version.

    Parameters
    ----------
    version : int
        Whose decision it is: the version's own, or that of another one that shares something.
    shares : str
        What the two share; empty for the version's own.
    appetite : str
        Id, version and the beginning of the digest of what it was judged by.
    """

    version: int
    shares: str
    entry: int
    decided_on: str
    outcome: str
    appetite: str
    refusals: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """The attempt in one line: day, thresholds, outcome and the gravest refusal."""
        whose = f", version {self.version} with {self.shares}" if self.shares else ""
        said = f"{self.decided_on}{whose}, by {self.appetite}: {self.outcome}"
        lasting = [line for line in self.refusals if NOT_WAIVABLE in line]
        if not self.refusals:
            return said
        counted = f"{len(self.refusals)} refusals, {len(lasting)} of them not waivable"
        return f"{said}; {counted}. {(lasting or self.refusals)[0]}"

    def as_document(self) -> dict[str, Any]:
        """Return what status and approvals say about it."""
        return {**asdict(self), "refusals": list(self.refusals)}


def attempts(record: Record, version: int) -> tuple[Attempt, ...]:
    """Return every decision that concerns a version, oldest first.

    Its own, open and closed; every closed one of another version with the same estimators; and of
    another version with the same policy, the refusals that speak of the policy.
    """
    found: list[Attempt] = []
    for other in record.versions():
        shares = _shared(record, version, other)
        for entry in record.of(Kind.DECISION, other) if shares is not None else ():
            attempt = _attempt(record, entry, other, shares or "")
            if other == version or attempt.refusals:
                found.append(attempt)
    return tuple(sorted(found, key=lambda attempt: attempt.entry))


def earlier_closed(record: Record, version: int) -> tuple[Attempt, ...]:
    """Return the attempts that were refused, but for the newest decision of the version itself."""
    newest = record.decision(version)
    seq = -1 if newest is None else newest.seq
    return tuple(one for one in attempts(record, version) if one.refusals and one.entry != seq)


def measured(record: Record, version: int) -> list[dict[str, Any]]:
    """Return every evidence that concerns a version, oldest first: what, when, by whom, if judged.

    Its own, and of another version with the same estimators or the same policy what was never
    judged: figures that were measured and not handed to the gate could be chosen among.
    """
    found: list[dict[str, Any]] = []
    for other in record.versions():
        shares = _shared(record, version, other)
        if shares is None:
            continue
        judged = _judged_digests(record, other)
        for entry in (*record.of(Kind.EVIDENCE, other), *record.of(Kind.POLICY, other)):
            said = entry.statement.predicate
            is_judged = said["digest"] in judged
            is_about = shares != SAME_POLICY or entry.statement.kind is Kind.POLICY
            if other == version or (is_about and not is_judged):
                found.append(
                    {
                        "kind": said["evidence"]["kind"],
                        "version": other,
                        "shares": shares,
                        "entry": entry.seq,
                        "measured_on": said["evidence"]["measured_on"],
                        "by": entry.statement.person.name,
                        "digest": said["digest"],
                        "is_judged": is_judged,
                    }
                )
    return sorted(found, key=lambda one: int(one["entry"]))


def _judged_digests(record: Record, version: int) -> set[str]:
    """Return the digest of every evidence that a gate decision about a version rests on."""
    made = [entry.statement.predicate["decision"] for entry in record.of(Kind.DECISION, version)]
    return {said["evidence"] for said in made}.union(
        *({said["subject"].get(kind, "") for kind in POLICY_EVIDENCE} for said in made)
    )


def measured_in_words(record: Record, version: int) -> list[str]:
    """Say how often a version was measured, and name what of it no gate ever judged."""
    found = measured(record, version)
    counted = Counter(one["kind"] for one in found if one["version"] == version)
    if not found:
        return []
    times = ", ".join(f"{kind} {number}x" for kind, number in sorted(counted.items()))
    lines = [f"measured: {times or 'never'}"]
    for one in found:
        if not one["is_judged"]:
            whose = f", version {one['version']} with {one['shares']}" if one["shares"] else ""
            lines.append(
                f"measured and never judged: {one['kind']} of {one['measured_on']}{whose}, signed "
                f"by {one['by']}, entry {one['entry']} ({one['digest'][:12]})"
            )
    return lines


def judged_by(record: Record, version: int) -> list[str]:
    """Return the risk appetites that judged a version; more than one is an event to look at."""
    own = [one.appetite for one in attempts(record, version) if one.version == version]
    return list(dict.fromkeys(own))


def appetites(record: Record) -> list[dict[str, Any]]:
    """Return every risk appetite that both approvers signed, oldest first, with what it changed."""
    on = record.on.isoformat() if record.on else None
    held = [one for one in record.history.adoptions if on is None or one.on <= on]
    return [
        {
            "id": one.appetite["id"],
            "version": one.appetite["version"],
            "digest": one.digest,
            "on": one.on,
            "entry": one.seq,
            "recorded_at": record.history.entries[one.seq]["recorded_at"],
            "changed": sorted(_changed(held[place - 1].appetite, one.appetite)) if place else [],
        }
        for place, one in enumerate(held)
    ]


def _attempt(record: Record, entry: Entry, version: int, shares: str) -> Attempt:
    decision, appetite = read_decision(entry)
    refusals = decision.refusals
    if shares == SAME_POLICY:
        found = [read_evidence(one) for one in record.attached(version).values()]
        about = {measured.measure for one in found for measured in one.measurements}
        refusals = tuple(line for line in refusals if line.partition(" ")[0] in about)
    return Attempt(
        version=version,
        shares=shares,
        entry=entry.seq,
        decided_on=decision.decided_on.isoformat(),
        outcome=decision.outcome.value,
        appetite=f"{appetite.id} {appetite.version} ({appetite.digest[:12]})",
        refusals=refusals,
    )


def _shared(record: Record, version: int, other: int) -> str | None:
    """Say what another version shares with this one, or None."""
    if version == other:
        return ""
    mine, theirs = record.manifest(version), record.manifest(other)
    estimators, policies = (
        [set(digests(one)) for one in (mine, theirs)] for digests in (_estimators, _policies)
    )
    if estimators[0] & estimators[1]:
        return SAME_MODEL
    return SAME_POLICY if policies[0] & policies[1] else None


def _estimators(manifest: Entry) -> Iterator[str]:
    """Yield what names each estimator of a version, whatever its file is called."""
    yield from manifest.statement.predicate["estimators"].values()


def _policies(manifest: Entry) -> Iterator[str]:
    """Yield what names the policy of a version: its file and, without comments, what it declares.

    A manifest that names none shares none.
    """
    declared = manifest.statement.predicate["declared"].get("policy_digest", "")
    yield from filter(None, (file_digest(manifest, POLICY_FILE), declared))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the measure, with its scope, of every line that two appetites do not share."""
    lines = [
        {json.dumps(line, sort_keys=True): line for line in one["thresholds"]}
        for one in (before, after)
    ]
    differing = lines[0].keys() ^ lines[1].keys()
    for line in {**lines[0], **lines[1]}.items():
        if line[0] in differing:
            scope = ", ".join(f"{name}={value}" for name, value in line[1]["scope"].items())
            yield f"{line[1]['measure']} ({scope})" if scope else str(line[1]["measure"])
