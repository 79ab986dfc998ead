"""The record: what the ledger says about every version, read once and verified line by line.

Every verb of the registry decides from this, never from MLflow. Reading it imports no heavy
library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from governance.appetite import RiskAppetite
from governance.errors import GateClosed, IntegrityError, UsageError
from governance.evidence import Decision, Evidence, Finding, Waiver
from governance.settings import Settings
from registry import offline, rules
from registry.ledger import Entry, Ledger
from registry.offline import Person
from registry.rules import Adoption, LedgerHistory
from registry.signing import Kind, People, Role, Signer, make

INTENT = "promotion-intent"
APPLIED = "promotion-applied"
ABANDONED = "promotion-abandoned"
DRIFTED = "catalogue-drifted"
AGREED = "catalogue-agrees-again"

Read = TypeVar("Read", bound=BaseModel)

OPENED = "opened"
CLOSED = "closed"


def subject_of(version: int) -> str:
    """Return the name under which statements speak about a version."""
    return f"{rules.MODEL}{version}"


def version_of(entry: Entry) -> int:
    """Return the version that an entry is about."""
    return int(entry.statement.subject_name.rpartition("@")[2])


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that was said, in order, with the questions that the verbs ask of it.

    Parameters
    ----------
    history : registry.rules.LedgerHistory
        What the ledger says, verified entry by entry.
    on : date, optional
        Only what holds by this day is told: evidence measured, decisions made, approvals and
        waivers given, findings opened and closed, promotions made until then. When each was
        recorded is told by its entry.
    """

    history: LedgerHistory
    on: date | None = None

    @classmethod
    def load(cls, settings: Settings, on: date | None = None) -> Record:
        """Read and verify the ledger below the home.

        Raises
        ------
        IntegrityError
            If the ledger is not what was signed, or a statement in it contradicts another.
        """
        people = People.load(settings.keyring)
        return cls(Ledger.open(settings.ledger, people=people).history(), on)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry that holds by the day, oldest first."""
        return tuple(filter(self._holds, map(Entry.of, self.history.entries)))

    def of(self, kind: Kind, version: int | None = None) -> Iterator[Entry]:
        """Yield the entries of one kind about one version (or any), oldest first."""
        subject = None if version is None else self.manifest(version).statement.subject_name
        for entry in self.history.entries:
            if entry["kind"] == kind and subject in (None, entry["subject"]):
                yield from filter(self._holds, [Entry.of(entry)])

    def versions(self) -> tuple[int, ...]:
        """Return the versions that have a signed manifest, oldest first."""
        return tuple(sorted(int(name.rpartition("@")[2]) for name in self.history.manifests))

    def manifest(self, version: int) -> Entry:
        """Return the signed manifest of a version.

        Raises
        ------
        UsageError
            If the version was never submitted.
        """
        entry = self.history.manifests.get(subject_of(version))
        if entry is not None:
            return Entry.of(entry)
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
            waiver = read(
                Waiver, entry.statement.predicate["waiver"], where=f"Ledger entry {entry.seq}"
            )
            by = entry.statement.person
            if all(waiver != other or rules.are_two(by, person) for other, person in signed):
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

    def promotion(self) -> Entry | None:
        """Return the promotion by which the champion of the day is champion."""
        found = rules.champion(self.history, self.on.isoformat() if self.on else None)
        return None if found is None else Entry.of(found)

    def champion(self) -> int | None:
        """Return the champion as the ledger knows it."""
        found = self.promotion()
        return None if found is None else int(found.statement.predicate["version"])

    def past_champions(self) -> frozenset[int]:
        """Return the versions that were champion before the present one."""
        served = {int(entry.statement.predicate["version"]) for entry in self.events(APPLIED)}
        return frozenset(served - {self.champion()})

    def appetite(self, on: date) -> Adoption | None:
        """Return the risk appetite that both approvers had signed to hold on a day."""
        return self.history.appetite(on.isoformat())

    def pending(self) -> Entry | None:
        """Return the promotion that was intended and neither applied nor abandoned."""
        events = self.events(INTENT, APPLIED, ABANDONED)
        if events and events[-1].statement.predicate["event"] == INTENT:
            return events[-1]
        return None

    def findings(self, version: int | None = None) -> tuple[Finding, ...]:
        """Return every finding (about one version, or any) in its newest state, by id.

        A finding is closed once two people in two roles have signed that it is, and not before;
        what a statement says about itself does not count, only the keys that signed. Of several
        under one id each counts, and the gravest comes last.
        """
        on = self.on.isoformat() if self.on else "9999-12-31"
        found = []
        for one in rules.findings(self.history):
            entry = Entry.of(one.begun)
            if self._holds(entry) and version in (None, version_of(entry)):
                ended = one.ended_on if one.ended_on and one.ended_on <= on else None
                said = {**entry.statement.predicate["finding"], "closed_on": ended}
                found.append(read(Finding, said, where=f"Ledger entry {entry.seq}"))
        found.sort(key=lambda one: (one.id, one.severity.rank, -one.opened_on.toordinal()))
        return tuple(found)

    def is_current(self, entry: Entry, evidence: Evidence) -> bool:
        """Tell whether `entry` holds this evidence and is no older than the newest appetite.

        Thresholds are signed before figures; after another appetite the figures are signed anew.
        """
        adopted = max((one.seq for one in self.history.adoptions), default=0)
        return read_evidence(entry).digest == evidence.digest and entry.seq > adopted

    def _holds(self, entry: Entry) -> bool:
        return self.on is None or entry.statement.effective_on <= self.on.isoformat()

    def _newest(self, kind: Kind, version: int) -> Entry | None:
        newest = None
        for entry in self.of(kind, version):
            newest = entry
        return newest


def read(model: type[Read], said: object, *, where: str) -> Read:
    """Return what is said in some place as a `model`.

    Raises
    ------
    IntegrityError
        If it breaks a rule of the model: what was signed past the product is not believed.
    """
    try:
        return model.model_validate(said)
    except ValidationError as error:
        (first, *_) = error.errors(include_input=False, include_url=False, include_context=False)
        place = ".".join(map(str, first["loc"])) or model.__name__.lower()
        raise IntegrityError(
            f"{where} does not say what a statement of its kind must say: {place}."
        ) from None


def read_evidence(entry: Entry) -> Evidence:
    """Return the evidence that an entry holds."""
    return read(Evidence, entry.statement.predicate["evidence"], where=f"Ledger entry {entry.seq}")


def read_decision(entry: Entry) -> tuple[Decision, RiskAppetite]:
    """Return the decision that an entry holds, with the appetite it was made with."""
    predicate = entry.statement.predicate
    return (
        read(Decision, predicate["decision"], where=f"Ledger entry {entry.seq}"),
        read(RiskAppetite, predicate["appetite"], where=f"Ledger entry {entry.seq}"),
    )


_MODELS: Mapping[Kind, tuple[str, type[BaseModel]]] = {
    **dict.fromkeys((Kind.EVIDENCE, Kind.POLICY, Kind.ALTERNATIVES), ("evidence", Evidence)),
    Kind.APPETITE: ("appetite", RiskAppetite),
    Kind.DECISION: ("decision", Decision),
    Kind.WAIVER: ("waiver", Waiver),
    Kind.FINDING: ("finding", Finding),
}


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
    if kind in _MODELS:
        part, model = _MODELS[kind]
        read(model, predicate[part], where="The new entry")
    envelope = make(name, sha256, kind=kind, predicate=predicate, signer=signer)
    keeper = Signer.open(settings.keyring, Role.LEDGER)
    ledger = Ledger.open(settings.ledger, keeper, people=People.load(settings.keyring))
    said, again = ledger.history().words, 0
    while (signer.key_id, envelope.payload) in said:
        # The same words once more, by the same key: told apart from a copy of the old signature.
        again += 1
        numbered = {**predicate, "again": again}
        envelope = make(name, sha256, kind=kind, predicate=numbered, signer=signer)
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
    if record.evidence(version) is None:
        raise GateClosed(f"Version {version} has no validation evidence. Validate it first.")
    if record.decision(version) is None:
        raise GateClosed(f"Version {version} has no gate decision. Run `limitline gate` first.")
    try:
        return record.history.bindings(subject_of(version))
    except offline.VerificationError as error:
        raise GateClosed(f"{error} Run the gate again.") from None


def attached_digests(record: Record, version: int) -> dict[str, str]:
    """Return the digest of the newest policy evidence of each kind that a version has."""
    return {kind: read_evidence(entry).digest for kind, entry in record.attached(version).items()}


def file_digest(manifest: Entry, path: str) -> str:
    """Return the SHA-256 of one file of a version, or the empty text if it has no such file."""
    return rules.file_digest(manifest.statement.predicate, path)


def waiver_key(waiver: Waiver) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return measure and scope of a waiver, as `Measurement.key` writes them."""
    return waiver.measure, tuple(sorted(waiver.scope.items()))


def in_force(entry: Entry, on: date) -> bool:
    """Tell whether an approval holds on the day `on`."""
    predicate = entry.statement.predicate
    return bool(predicate["approved_on"] <= on.isoformat() <= predicate["expires_on"])
