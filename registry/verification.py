"""Verification: every signature, the whole history and every model file below one home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from governance.errors import IntegrityError
from governance.settings import Settings
from registry import offline, rules, traceability
from registry.ledger import Ledger
from registry.load import verify_version
from registry.record import Record
from registry.signing import People, checked


def verify_home(settings: Settings, *, witness_file: Path | None = None) -> dict[str, Any]:
    """Verify the home and return what was verified.

    Raises
    ------
    IntegrityError
        Naming everything about the models' files that does not fit, or the first thing about the
        ledger that does not.
    """
    people = People.load(settings.keyring)
    ledger = Ledger.open(settings.ledger, people=people)
    head, history = ledger.verify(), ledger.history()
    with checked():
        waivers = rules.waivers_used(history)
        kept = offline.witnessed(witness_file, ledger.bodies(), people.by_key)
    record, problems, versions = Record.load(settings), [], {}
    for version in record.versions():
        try:
            versions[str(version)] = verify_version(settings, record, version)
        except IntegrityError as error:
            problems.append(f"Version {version}: {error}")
    if problems:
        raise IntegrityError(" ".join(problems))
    return {
        "entries": head.size,
        "promotions": len(history.promotions),
        "waivers": waivers,
        "root": head.root.hex(),
        "witnessed": kept,
        "keys": rules.signers(history),
        "versions": versions,
        "traceability": {
            str(version): [answer.as_document() for answer in traceability.of(record, version)]
            for version in record.versions()
        },
        "champion": record.champion(),
    }


def render(
    document: Mapping[str, Any], console: Console, *, people_file: Path | None = None
) -> None:
    """Print what was verified and, for a home, where the champion's model comes from."""
    traces = document.get("traceability", {})
    if traces:
        shown = str(document["champion"] or max(int(version) for version in traces))
        traceability.render(shown, traces[shown], console)
    for line in offline.told(document, people_file=people_file):
        console.print(line, markup=False, soft_wrap=True)
