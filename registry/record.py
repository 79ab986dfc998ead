"""The record: what the ledger says about every version, read once and verified line by line.

Every verb of the registry decides from this, never from MLflow. Reading it imports no heavy
library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from governance import canonical
from governance.appetite import RiskAppetite
from governance.errors import GateClosed, UsageError
from governance.evidence import Decision, Evidence, Finding, Waiver
from governance.settings import Settings
from registry.catalogue import MODEL_NAME
from registry.ledger import Entry, Ledger
from registry.offline import POLICY_EVIDENCE, Person
from registry.signing import People, Role, Signer
from registry.statement import Kind, make

INTENT = "promotion-intent"
APPLIED = "promotion-applied"
ABANDONED = "promotion-abandoned"
DRIFTED = "alias-moved-outside"

OPENED = "opened"
CLOSED = "closed"


def subject_of(version: int) -> str:
    """Return the name under which statements speak about a version."""
    return f"{MODEL_NAME}@{version}"


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that was said, in order, with the questions that the verbs ask of it."""

    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, settings: Settings) -> Record:
        """Read and verify the ledger below the home.

        Raises
        ------
        IntegrityError
            If the ledger is not what was signed.
        """
        people = People.load(settings.keyring)
        return cls(Ledger.open(settings.ledger, people=people).entries())

    def of(self, kind: Kind, version: int | None = None) -> Iterator[Entry]:
        """Yield the entries of one kind about one version (or any), oldest first.

        What was said about other bytes under the same version number does not count.
        """
        subject = None if version is None else subject_of(version)
        digest = None if version is None else self._digest(version)
        for entry in self.entries:
            statement = entry.statement
            if statement.kind is kind and (
                subject is None or (statement.subject_name, statement.sha256) == (subject, digest)
            ):
                yield entry

    def versions(self) -> tuple[int, ...]:
        """Return the versions that have a signed manifest, oldest first."""
        names = {entry.statement.subject_name for entry in self.of(Kind.MANIFEST)}
        return tuple(sorted(int(name.rpartition("@")[2]) for name in names))

    def manifest(self, version: int) -> Entry:
        """Return the signed manifest of a version.

        Raises
        ------
        UsageError
            If the version was never submitted.
        """
        for entry in reversed(self.entries):
            statement = entry.statement
            if statement.kind is Kind.MANIFEST and statement.subject_name == subject_of(version):
                return entry
        known = ", ".join(str(number) for number in self.versions()) or "none"
        raise UsageError(f"There is no version {version} with a signed manifest; known: {known}.")

    def evidence(self, version: int) -> Entry | None:
        """Return the newest validation evidence of a version."""
        return self._newest(Kind.EVIDENCE, version)

    def attached(self, version: int) -> dict[str, Entry]:
        """Return the newest policy evidence of a version, by kind of evidence."""
        newest = {
            str(entry.statement.predicate["evidence"]["kind"]): entry
            for entry in self.of(Kind.POLICY, version)
        }
        return {kind: newest[kind] for kind in sorted(newest)}

    def decision(self, version: int) -> Entry | None:
        """Return the newest gate decision of a version."""
        return self._newest(Kind.DECISION, version)

    def waivers(self, version: int) -> tuple[Waiver, ...]:
        """Return every waiver granted to a version once, also the expired ones."""
        found: list[Waiver] = []
        for waiver in self.signed_waivers(version):
            if waiver not in found:
                found.append(waiver)
        return tuple(found)

    def signed_waivers(self, version: int) -> tuple[Waiver, ...]:
        """Return every waiver once for each person, role and key that signed it."""
        signed: list[tuple[Waiver, Person]] = []
        for entry in self.of(Kind.WAIVER, version):
            waiver = Waiver.model_validate(entry.statement.predicate["waiver"])
            by = entry.statement.person
            if all(waiver != other or are_two(by, person) for other, person in signed):
                signed.append((waiver, by))
        return tuple(waiver for waiver, _ in signed)

    def approvals(self, version: int) -> tuple[Entry, ...]:
        """Return every approval of a version, also the expired ones."""
        return tuple(self.of(Kind.APPROVAL, version))

    def studies(self, version: int) -> Mapping[str, Entry]:
        """Return the newest study of each name about a version, by name."""
        found = {
            str(entry.statement.predicate["study"]): entry for entry in self.of(Kind.STUDY, version)
        }
        return {name: found[name] for name in sorted(found)}

    def judged_alternatives(self, version: int) -> Entry | None:
        """Return the newest judgement of a version's alternatives."""
        return self._newest(Kind.ALTERNATIVES, version)

    def events(self, *names: str) -> tuple[Entry, ...]:
        """Return the life-cycle events with these names, oldest first."""
        found = self.of(Kind.LIFECYCLE)
        return tuple(entry for entry in found if entry.statement.predicate["event"] in names)

    def champion(self) -> int | None:
        """Return the champion as the ledger knows it."""
        applied = self.events(APPLIED)
        return int(applied[-1].statement.predicate["version"]) if applied else None

    def past_champions(self) -> frozenset[int]:
        """Return the versions that were champion before the present one."""
        served = {int(entry.statement.predicate["version"]) for entry in self.events(APPLIED)}
        return frozenset(served - {self.champion()})

    def pending(self) -> Entry | None:
        """Return the promotion that was intended and neither applied nor abandoned."""
        events = self.events(INTENT, APPLIED, ABANDONED)
        if events and events[-1].statement.predicate["event"] == INTENT:
            return events[-1]
        return None

    def findings(self, version: int | None = None) -> tuple[Finding, ...]:
        """Return every finding (about one version, or any) in its newest state, by id.

        A finding is closed once two people in two roles have signed that it is, and not before;
        what a statement says about itself does not count, only the keys that signed.
        """
        found: dict[str, Finding] = {}
        agreed: dict[str, list[Entry]] = {}
        for entry in self.of(Kind.FINDING, version):
            said = entry.statement.predicate
            finding = Finding.model_validate({**said["finding"], "closed_on": None})
            if said["event"] == OPENED:
                # The first opening stands: a milder one under the same id would be a closing.
                found.setdefault(finding.id, finding)
            elif finding.id in found:
                agreed.setdefault(finding.id, []).append(entry)
        for name, entries in agreed.items():
            closed_on = _agreed_on(entries)
            found[name] = found[name].model_copy(update={"closed_on": closed_on})
        return tuple(found[name] for name in sorted(found))

    def _digest(self, version: int) -> str:
        return self.manifest(version).statement.sha256

    def _newest(self, kind: Kind, version: int) -> Entry | None:
        newest = None
        for entry in self.of(kind, version):
            newest = entry
        return newest


def read_evidence(entry: Entry) -> Evidence:
    """Return the evidence that an entry holds."""
    return Evidence.model_validate(entry.statement.predicate["evidence"])


def read_decision(entry: Entry) -> tuple[Decision, RiskAppetite]:
    """Return the decision that an entry holds, with the appetite it was made with."""
    predicate = entry.statement.predicate
    return (
        Decision.model_validate(predicate["decision"]),
        RiskAppetite.model_validate(predicate["appetite"]),
    )


def append(
    settings: Settings,
    kind: Kind,
    *,
    subject: tuple[str, str],
    predicate: Mapping[str, Any],
    signer: Signer,
) -> int:
    """Sign a statement about ``(name, sha256)`` and append it to the ledger."""
    name, sha256 = subject
    envelope = make(name, sha256, kind=kind, predicate=predicate, signer=signer)
    keeper = Signer.open(settings.keyring, Role.LEDGER)
    ledger = Ledger.open(settings.ledger, keeper, people=People.load(settings.keyring))
    return ledger.append(envelope, kind=kind, subject=name)


def append_event(settings: Settings, version: int, predicate: Mapping[str, Any]) -> int:
    """Append a life-cycle event about a version, signed by the ledger."""
    digest = Record.load(settings).manifest(version).statement.sha256
    signer = Signer.open(settings.keyring, Role.LEDGER)
    subject = (subject_of(version), digest)
    return append(settings, Kind.LIFECYCLE, subject=subject, predicate=predicate, signer=signer)


def bindings(record: Record, version: int) -> dict[str, str]:
    """Return the digests that an approval is bound to.

    Raises
    ------
    GateClosed
        If the version has no evidence or no gate decision on exactly its newest evidence.
    """
    manifest, evidence, decision = (
        record.manifest(version),
        record.evidence(version),
        record.decision(version),
    )
    if evidence is None:
        raise GateClosed(f"Version {version} has no validation evidence. Validate it first.")
    if decision is None:
        raise GateClosed(
            f"Version {version} has no gate decision. Run `python -m registry gate` first."
        )
    made, appetite = read_decision(decision)
    measured = read_evidence(evidence)
    attached = attached_digests(record, version)
    if (made.evidence, judged_with(made)) != (measured.digest, attached):
        raise GateClosed(
            f"Version {version} has newer evidence than its gate decision. Run the gate again."
        )
    lineage = manifest.statement.predicate["lineage"]
    return {
        "model": manifest.statement.sha256,
        "policy": file_digest(manifest, "artifacts/limit_policy.toml"),
        "lineage": canonical.digest(lineage),
        "evidence": measured.digest,
        "appetite": appetite.digest,
        "decision": made.digest,
        **attached,
    }


def attached_digests(record: Record, version: int) -> dict[str, str]:
    """Return the digest of the newest policy evidence of each kind that a version has."""
    return {kind: read_evidence(entry).digest for kind, entry in record.attached(version).items()}


def judged_with(decision: Decision) -> dict[str, str]:
    """Return the digests of the policy evidence that a decision was made on, by kind."""
    return {kind: decision.subject[kind] for kind in POLICY_EVIDENCE if kind in decision.subject}


def file_digest(manifest: Entry, path: str) -> str:
    """Return the SHA-256 of one file of a version, or the empty text if it has no such file."""
    for file in manifest.statement.predicate["files"]:
        if file["path"] == path:
            return str(file["sha256"])
    return ""


def waiver_key(waiver: Waiver) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return measure and scope of a waiver, as `Measurement.key` writes them."""
    return waiver.measure, tuple(sorted(waiver.scope.items()))


def are_two(one: Person, other: Person) -> bool:
    """Tell whether two signatures are of two roles, two people and two keys."""
    return one.role != other.role and one.name != other.name and one.key_id != other.key_id


def _agreed_on(closings: Sequence[Entry]) -> date | None:
    """Return the first day on which two different people in two roles had agreed, or None."""
    days = [
        max(date.fromisoformat(said.statement.predicate["finding"]["closed_on"]) for said in pair)
        for pair in combinations(closings, 2)
        if are_two(pair[0].statement.person, pair[1].statement.person)
    ]
    return min(days, default=None)


def in_force(entry: Entry, on: date) -> bool:
    """Tell whether an approval holds on the day `on`."""
    predicate = entry.statement.predicate
    return bool(predicate["approved_on"] <= on.isoformat() <= predicate["expires_on"])
