"""Reconciliation: the catalogue held against the ledger, and what a killed run left finished.

MLflow lets anybody who reaches it move aliases, edit texts and overwrite bytes, and keeps no
history of it. The ledger knows what should be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from governance.errors import IntegrityError
from governance.settings import Settings
from registry import card
from registry.catalogue import CHAMPION, Catalogue
from registry.load import verify_version
from registry.promotion import finish_pending, in_flight
from registry.record import DRIFTED, Record, append_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What was found.

    Parameters
    ----------
    problems : tuple of str
        What differs from the ledger and is still so.
    repaired : tuple of str
        What differed and was put right.
    notes : tuple of str
        What is odd and harmless, such as a version that a killed submission left unsigned.
    """

    champion: int | None
    problems: tuple[str, ...]
    repaired: tuple[str, ...]
    notes: tuple[str, ...]


def reconcile(settings: Settings, *, on: date, repair: bool = False) -> Reconciliation:
    """Compare aliases, versions and bytes with the ledger; finish promotions; write cards anew.

    Parameters
    ----------
    repair : bool
        Also move the alias back to the ledger's champion. Bytes are never repaired here.
    """
    with in_flight(settings):
        catalogue = Catalogue.open(settings)
        repaired = list(finish_pending(settings, Record.load(settings), catalogue))
        record = Record.load(settings)
        problems = [*_bytes(settings, record), *_missing(record, catalogue)]
        drift = _drift(settings, record, catalogue, on)
        if drift and repair and record.champion() is not None:
            catalogue.set_alias(CHAMPION, int(record.champion() or 0))
            repaired += drift
        else:
            problems += drift
        present = set(catalogue.versions())
        for version in present.intersection(record.versions()):
            card.project(settings, version)
        unsigned = sorted(present.difference(record.versions()))
        notes = tuple(
            f"MLflow's version {version} has no signed manifest; nothing loads or promotes it."
            for version in unsigned
        )
        return Reconciliation(
            champion=record.champion(),
            problems=tuple(problems),
            repaired=tuple(repaired),
            notes=notes,
        )


def _bytes(settings: Settings, record: Record) -> list[str]:
    problems = []
    for version in record.versions():
        try:
            verify_version(settings, record, version)
        except IntegrityError as error:
            problems.append(f"Version {version}: {error}")
    return problems


def _missing(record: Record, catalogue: Catalogue) -> list[str]:
    gone = sorted(set(record.versions()).difference(catalogue.versions()))
    return [f"Version {version} is in the ledger and no longer in MLflow." for version in gone]


def _drift(settings: Settings, record: Record, catalogue: Catalogue, on: date) -> list[str]:
    """Find an alias that moved outside the ledger, and record that it was found, once per move."""
    expected, found = record.champion(), catalogue.alias_version(CHAMPION)
    if expected == found:
        return []
    known = record.events(DRIFTED)
    told = known[-1].statement.predicate if known else {}
    subject = expected if expected is not None else found
    if (told.get("found"), told.get("expected")) != (
        found,
        expected,
    ) and subject in record.versions():
        predicate = {
            "event": DRIFTED,
            "alias": CHAMPION,
            "expected": expected,
            "found": found,
            "on": on.isoformat(),
        }
        append_event(settings, int(subject or 0), predicate)
    problem = (
        f"MLflow's alias {CHAMPION} points at {_named(found)}; the ledger says {_named(expected)}. "
        "Nobody was asked. `reconcile --repair` moves it back."
    )
    return [problem]


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
