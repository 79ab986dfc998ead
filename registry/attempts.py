"""Attempts: every time the gate judged a version, and by which thresholds.

A version that is measured again, or handed in again under another number, keeps what was found
before: whoever approves it is told, and so is everybody who reads its status or its card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.ledger import Entry
from registry.load import POLICY_FILE
from registry.record import Record, file_digest, read_decision, read_evidence
from registry.statement import Kind

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
    mine, theirs = record.manifest(version), record.manifest(other)
    estimators = mine.statement.predicate["estimators"]
    if version == other:
        return ""
    if estimators and estimators == theirs.statement.predicate["estimators"]:
        return SAME_MODEL
    is_same = file_digest(mine, POLICY_FILE) == file_digest(theirs, POLICY_FILE)
    return SAME_POLICY if is_same else None


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
