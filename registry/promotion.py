"""Promotion: a version becomes champion, by four eyes, in steps that survive a kill.

Order: check, write the intent, move the alias, read it back, write that it was applied. The alias
may be moved twice without harm, so whatever a killed run left behind is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import product

from governance import durable
from governance.errors import EnvironmentFault, GateClosed, IntegrityError
from governance.settings import Settings
from registry import card
from registry.catalogue import CHALLENGER, CHAMPION, Catalogue
from registry.judgement import evidence_of, require_open
from registry.ledger import Entry
from registry.load import verify_version
from registry.offline import APPROVERS
from registry.record import ABANDONED, APPLIED, INTENT, Record, append_event, bindings
from registry.rules import people_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion did.

    Parameters
    ----------
    previous : int or None
        The champion before.
    is_new : bool
        False when the version already was champion by the same approvals.
    note : str
        What MLflow does not show of it yet, if anything.
    """

    version: int
    previous: int | None
    is_new: bool
    note: str = ""


def promote(settings: Settings, version: int, *, on: date) -> Promotion:
    """Make a version champion; doing it again changes nothing.

    Raises
    ------
    GateClosed, Inconclusive
        If the gate is not open on this day, or approvals by two different approver roles for
        exactly these digests are not in force, or one person would act twice.
    IntegrityError
        If the version's bytes are not what the developer signed.
    EnvironmentFault
        If another promotion is running.
    """
    with in_flight(settings):
        record = Record.load(settings)
        approvals = check(record, version, on)
        verify_version(settings, record, version)
        catalogue = Catalogue.open(settings)
        if version not in catalogue.versions():
            raise IntegrityError(
                f"Version {version} was deleted in MLflow, so nothing was promoted. Restore "
                "mlflow.db from a copy; `limitline reconcile` says what differs."
            )
        finish_pending(settings, record, catalogue)
        record = Record.load(settings)
        previous = record.champion()
        promotion = record.promotion()
        held = promotion.statement.predicate["binds"] if promotion else {}
        is_new = previous != version or held != bindings(record, version)
        if is_new:
            _intend(settings, record, version, approvals, on)
            apply_intent(settings, catalogue)
        elif catalogue.alias_version(CHAMPION) != version:
            raise IntegrityError(
                f"Version {version} is champion in the ledger; MLflow's alias was moved outside. "
                "Run `limitline reconcile`."
            )
        note = _show(settings, catalogue, version, previous)
        return Promotion(version=version, previous=previous, is_new=is_new, note=note)


def _show(settings: Settings, catalogue: Catalogue, version: int, previous: int | None) -> str:
    """Write the cards of a promotion that is done; what fails here undoes nothing."""
    try:
        if catalogue.alias_version(CHALLENGER) == version:
            catalogue.remove_alias(CHALLENGER)
        for touched in {version, previous or version}.intersection(catalogue.versions()):
            card.project(settings, touched)
    except EnvironmentFault as fault:
        return f"MLflow does not show it yet: {fault} Then run `limitline reconcile`."
    return ""


def check(record: Record, version: int, on: date) -> tuple[Entry, ...]:
    """Return the two approvals under which a version may be promoted on the day `on`."""
    require_open(record, version, on)
    binds = bindings(record, version)
    present = record.promotion()
    if present is not None and on.isoformat() < present.statement.predicate["on"]:
        raise GateClosed(
            f"Version {record.champion()} is champion since {present.statement.predicate['on']}; "
            f"a promotion for {on} would come before that."
        )
    given = [
        entry
        for entry in reversed(record.approvals(version))
        if record.history.counts(record.history.entries[entry.seq], binds, on.isoformat())
    ]
    missing = sorted(APPROVERS - {entry.statement.person.role for entry in given})
    if missing:
        raise GateClosed(
            f"Version {version} lacks an approval in force on {on} by: {', '.join(missing)}. "
            "It must be for the present gate decision; one given before something changed does "
            "not count."
        )
    return _two_of(record, version, given)


def _two_of(record: Record, version: int, given: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return two approvals by people who did nothing else for the version."""
    makers = [record.manifest(version), evidence_of(record, version)]
    measurers = [entry.statement.person for entry in record.attached(version).values()]
    problems = []
    by_role = [
        [entry for entry in given if entry.statement.person.role == role]
        for role in sorted(APPROVERS)
    ]
    for pair in product(*by_role):
        approvers = [entry.statement.person for entry in pair]
        problem = people_problem(approvers, [entry.statement.person for entry in makers], measurers)
        if not problem:
            return pair
        problems.append(problem)
    raise GateClosed(
        f"The approvals of version {version} do not count: it {problems[-1]}. Developer, validator "
        "and both approvers are four people with four keys, and no approver measures the policy."
    )


@contextmanager
def in_flight(settings: Settings) -> Iterator[None]:
    """Hold the promotion lock; one promotion or reconciliation at a time."""
    with durable.locked(settings.ledger / ".promotion.lock", what="A promotion"):
        yield


def apply_intent(settings: Settings, catalogue: Catalogue) -> int:
    """Carry out the pending intent: move the alias, read it back, write that it was applied."""
    pending = Record.load(settings).pending()
    if pending is None:
        raise IntegrityError("There is no promotion to carry out.")
    said = pending.statement.predicate
    version = int(said["version"])
    catalogue.set_alias(CHAMPION, version)
    found = catalogue.alias_version(CHAMPION)
    if found != version:
        raise IntegrityError(
            f"MLflow's alias {CHAMPION} reads {found} after it was set to {version}."
        )
    predicate = {**said, "event": APPLIED, "intent": pending.seq}
    append_event(settings, version, predicate)
    return version


def _intend(
    settings: Settings, record: Record, version: int, approvals: tuple[Entry, ...], on: date
) -> None:
    predicate = {
        "event": INTENT,
        "alias": CHAMPION,
        "version": version,
        "previous": record.champion(),
        "on": on.isoformat(),
        "manifest": record.manifest(version).seq,
        "evidence": evidence_of(record, version).seq,
        "policy_evidence": [entry.seq for entry in record.attached(version).values()],
        "approvals": [entry.seq for entry in approvals],
        "binds": bindings(record, version),
    }
    append_event(settings, version, predicate)


def finish_pending(settings: Settings, record: Record, catalogue: Catalogue) -> tuple[str, ...]:
    """Close what a killed run left behind, and say how.

    If the alias had moved, the promotion is applied. If it had not, the intent is abandoned:
    nothing had happened yet, and the gate may have closed since.
    """
    pending = record.pending()
    if pending is None:
        return ()
    intended = int(pending.statement.predicate["version"])
    if catalogue.alias_version(CHAMPION) == intended:
        apply_intent(settings, catalogue)
        return (f"The interrupted promotion of version {intended} was completed.",)
    predicate = {"event": ABANDONED, "version": intended, "intent": pending.seq}
    append_event(settings, intended, predicate)
    return (
        f"The interrupted promotion of version {intended} had moved nothing and was abandoned.",
    )
