"""Reconciliation: the catalogue held against the ledger, and what a killed run left finished.

MLflow lets anybody who reaches it move aliases, edit texts and overwrite bytes, and keeps no
history of it. The ledger knows what should be there. Everything is compared before anything is
written: what differs is told and recorded, and only then, and only if asked, put right.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from governance import canonical
from governance.errors import IntegrityError
from governance.settings import Settings
from registry import card, offline, rules
from registry.catalogue import (
    CHALLENGER,
    CHAMPION,
    MODEL_TEXT,
    NO_STAGE,
    Catalogue,
    Shown,
    ShownVersion,
)
from registry.ledger import Ledger
from registry.load import verify_version
from registry.promotion import finish_pending, in_flight
from registry.record import AGREED, APPLIED, DRIFTED, Record, append
from registry.signing import Kind, People, Role, Signer
from registry.submission import run_shown

UNSIGNED_TEXT = "**Nobody signed this version.** Nothing loads or promotes it."
UNSIGNED_TAGS = {"limitline.state": "unsigned"}
_UNSHOWN = frozenset({Kind.HEARTBEAT, Kind.FREEZE, Kind.REVIEW})
"""Statements that no card shows: the card before one is the card after it."""


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

    def as_document(self) -> dict[str, Any]:
        """Return the findings as one JSON document."""
        return {
            "schema": "registry-reconcile/1",
            "champion": self.champion,
            "problems": list(self.problems),
            "repaired": list(self.repaired),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where MLflow shows something else than the ledger says.

    Parameters
    ----------
    place : str
        Its name, the same each time.
    found : str
        Digest of what stands there; what it says is nobody's to repeat.
    repair : callable or None
        Puts it right; None if only a person can.
    """

    place: str
    problem: str
    found: str
    repair: Callable[[], object] | None = field(default=None, compare=False)


def reconcile(settings: Settings, *, on: date, repair: bool = False) -> Reconciliation:
    """Compare everything that MLflow shows of the model with the ledger; finish promotions.

    Compared are aliases, description and tags of the model, other registered models, and for each
    version: whether it is there, its card, its tags, its source, its run with all files, and the
    bytes. What differs is recorded in the ledger once, and once more when it is gone. A card that
    is only older than the ledger is written anew and is no difference.

    Parameters
    ----------
    repair : bool
        Also put right what is only shown: aliases, texts, tags, stages. Bytes, runs and deleted
        versions are never repaired here.
    """
    with in_flight(settings):
        catalogue = Catalogue.open(settings)
        done = list(finish_pending(settings, Record.load(settings), catalogue))
        record = Record.load(settings)
        found = list(_differences(settings, record, catalogue))
        _remember(settings, record, found, on)
        left = found
        if repair:
            for difference in found:
                if difference.repair is not None:
                    difference.repair()
            left = list(_differences(settings, record, catalogue))
        shown = catalogue.shown()
        for version in record.versions():
            if not any(item.place.startswith(f"version {version} ") for item in left):
                _write_card(settings, record, version, shown)
        places = {item.place for item in left}
        _forget(settings, places, on)
        return Reconciliation(
            champion=record.champion(),
            problems=tuple(item.problem for item in left),
            repaired=(*done, *(item.problem for item in found if item.place not in places)),
            notes=tuple(
                f"MLflow's version {version} has no signed manifest; nothing loads or promotes it."
                for version in sorted(shown.versions.keys() - set(record.versions()))
            ),
        )


def _differences(settings: Settings, record: Record, catalogue: Catalogue) -> Iterator[Difference]:
    shown = catalogue.shown()
    yield from _model(record, shown, catalogue)
    for version in record.versions():
        yield from _bytes(settings, record, version)
        if version in shown.versions:
            yield from _version(settings, record, version, shown.versions[version], catalogue)
        else:
            yield Difference(
                place=f"version {version} in MLflow",
                problem=f"Version {version} is in the ledger and no longer in MLflow: it was "
                "deleted there. Its files and the ledger are not touched by that. MLflow gives no "
                "number twice, so restore mlflow.db from a copy.",
                found="gone",
            )
    for version in shown.versions.keys() - set(record.versions()):
        yield from _foreign(version, shown.versions[version], catalogue)


def _model(record: Record, shown: Shown, catalogue: Catalogue) -> Iterator[Difference]:
    """Compare what MLflow shows of the registered model as a whole."""
    wanted = {CHAMPION: record.champion(), CHALLENGER: _challenger(record)}
    for alias in sorted(wanted.keys() | shown.aliases.keys()):
        expected, found = wanted.get(alias), shown.aliases.get(alias)
        if expected == found:
            continue
        put_back: Callable[[], object] | None = partial(catalogue.remove_alias, alias)
        if expected is not None:
            is_there = expected in shown.versions
            put_back = partial(catalogue.set_alias, alias, expected) if is_there else None
        yield Difference(
            place=f"alias {_named(alias)}",
            problem=f"MLflow's alias {_named(alias)} points at {_numbered(found)}; the ledger says "
            f"{_numbered(expected)}. Nobody was asked."
            + (" `reconcile --repair` moves it back." if put_back else ""),
            found=str(found),
            repair=put_back,
        )
    if shown.description not in ("", MODEL_TEXT):
        yield Difference(
            place="model description",
            problem="MLflow's description of the registered model was edited.",
            found=canonical.digest(shown.description),
            repair=partial(catalogue.set_description, MODEL_TEXT),
        )
    for name, value in sorted(shown.tags.items()):
        yield Difference(
            place=f"model tag {_named(name)}",
            problem=f"MLflow's registered model has the foreign tag {_named(name)}.",
            found=canonical.digest(value),
            repair=partial(catalogue.remove_tag, name),
        )
    for name in shown.others:
        yield Difference(
            place=f"registered model {_named(name)}",
            problem=f"MLflow holds the foreign registered model {_named(name)}; the ledger knows "
            "nothing of it. Delete it there, or keep it elsewhere.",
            found=canonical.digest(name),
        )


def _challenger(record: Record) -> int | None:
    """Return the newest version, unless it was champion already."""
    served = {entry.statement.predicate["version"] for entry in record.events(APPLIED)}
    newest = max(record.versions(), default=None)
    return None if newest in served else newest


def _bytes(settings: Settings, record: Record, version: int) -> Iterator[Difference]:
    try:
        verify_version(settings, record, version)
    except IntegrityError as error:
        problem = f"Version {version}: {error}"
        yield Difference(
            place=f"version {version} files", problem=problem, found=canonical.digest(problem)
        )


def _version(
    settings: Settings, record: Record, version: int, shown: ShownVersion, catalogue: Catalogue
) -> Iterator[Difference]:
    """Compare what MLflow shows of one version of the ledger."""
    wanted = card.tags(record, version)
    edited = {
        name for name in wanted.keys() & shown.tags.keys() if wanted[name] != shown.tags[name]
    }
    if shown.description != card.describe(record, version) or edited or wanted.keys() - shown.tags:
        ours = {name: value for name, value in shown.tags.items() if name in wanted}
        if not _was_shown(settings, version, shown.description, ours):
            what = ", ".join(f"the tag {name}" for name in sorted(edited)) or "its card"
            yield Difference(
                place=f"version {version} card",
                problem=f"MLflow shows another card of version {version} than the ledger makes, or "
                f"ever made: {what} was edited, removed or never written.",
                found=canonical.digest([shown.description, ours]),
                repair=partial(card.project, settings, version),
            )
    for name in sorted(shown.tags.keys() - wanted.keys()):
        yield Difference(
            place=f"version {version} tag {_named(name)}",
            problem=f"MLflow's version {version} has the foreign tag {_named(name)}.",
            found=canonical.digest(shown.tags[name]),
            repair=partial(catalogue.remove_tag, name, version),
        )
    if shown.stage != NO_STAGE:
        yield Difference(
            place=f"version {version} stage",
            problem=f"MLflow shows version {version} in a stage; stages were never used here.",
            found=shown.stage,
            repair=partial(catalogue.clear_stage, version),
        )
    yield from _origin(settings, record, version, shown, catalogue)


def _origin(
    settings: Settings, record: Record, version: int, shown: ShownVersion, catalogue: Catalogue
) -> Iterator[Difference]:
    """Compare where MLflow says that a version comes from: its source, its run and their files."""
    signed = record.manifest(version).statement.predicate
    source = f"models:/{signed['model_id']}"
    if (shown.source, shown.run_id) != (source, signed["run_id"]):
        yield Difference(
            place=f"version {version} source",
            problem=f"MLflow's version {version} points at another model or run than the one that "
            "was signed. Nothing here loads from there; whoever loads through MLflow does. Restore "
            "mlflow.db from a copy.",
            found=canonical.digest([shown.source, shown.run_id]),
        )
    wanted = signed["run"]
    try:
        found = run_shown(catalogue, settings, signed["run_id"], signed["model_id"])
        wrong = offline.differences(found["files"], wanted["files"])
        wrong += ["its name, parameters, metrics or tags were changed"] * (
            found["shown"] != wanted["shown"]
        )
    except IntegrityError as error:
        found, wrong = {"error": str(error)}, [str(error)]
    if wrong:
        yield Difference(
            place=f"version {version} run",
            problem=f"MLflow shows the run of version {version} otherwise than it was handed over: "
            f"{'; '.join(wrong)}.",
            found=canonical.digest(found),
        )


def _foreign(version: int, shown: ShownVersion, catalogue: Catalogue) -> Iterator[Difference]:
    """Find a version that nobody signed, unless MLflow says so on its page already."""
    if (shown.description, shown.tags) == (UNSIGNED_TEXT, UNSIGNED_TAGS):
        return

    def label() -> None:
        for name in shown.tags:
            catalogue.remove_tag(name, version)
        catalogue.set_description(UNSIGNED_TEXT, version)
        catalogue.set_tags(version, UNSIGNED_TAGS)

    yield Difference(
        place=f"version {version} in MLflow",
        problem=f"MLflow's version {version} has no signed manifest: a killed submission left it, "
        "or somebody put it there. `reconcile --repair` says so on its page.",
        found=canonical.digest([shown.description, shown.tags, shown.source]),
        repair=label,
    )


def _was_shown(settings: Settings, version: int, description: str, tags: Mapping[str, str]) -> bool:
    """Tell whether this was the card of a version at some earlier moment of the ledger."""
    ledger = Ledger.open(settings.ledger, people=People.load(settings.keyring))
    history = rules.LedgerHistory()
    for body in ledger.bodies():
        history.take(body)
        then = Record(history)
        is_news = history.entries[-1]["kind"] not in _UNSHOWN and version in then.versions()
        if is_news and (description, tags) == (
            card.describe(then, version),
            card.tags(then, version),
        ):
            return True
    return False


def _write_card(settings: Settings, record: Record, version: int, shown: Shown) -> None:
    """Bring the card of a version up to the ledger, if it is behind."""
    there = shown.versions[version]
    now = card.describe(record, version), card.tags(record, version)
    if (there.description, there.tags) != now:
        card.project(settings, version)


def _remember(settings: Settings, record: Record, found: list[Difference], on: date) -> None:
    """Record each difference in the ledger, once for as long as it stays the same."""
    known = _open(record)
    for item in found:
        digest = hashlib.sha256(item.found.encode()).hexdigest()
        if known.get(item.place) != digest:
            said = {"event": DRIFTED, "place": item.place, "found": digest, "on": on.isoformat()}
            _append(settings, said)


def _forget(settings: Settings, places: set[str], on: date) -> None:
    """Record that MLflow agrees with the ledger again where it had differed."""
    for place in _open(Record.load(settings)).keys() - places:
        _append(settings, {"event": AGREED, "place": place, "on": on.isoformat()})


def _open(record: Record) -> dict[str, str]:
    """Return the recorded differences that are not known to be gone, by place."""
    found: dict[str, str] = {}
    for entry in record.events(DRIFTED, AGREED):
        said = entry.statement.predicate
        if said["event"] == DRIFTED:
            found[said["place"]] = said["found"]
        else:
            found.pop(said["place"], None)
    return found


def _append(settings: Settings, said: Mapping[str, str]) -> None:
    keeper = Signer.open(settings.keyring, Role.LEDGER)
    subject = ("catalogue", canonical.digest(said))
    append(settings, Kind.LIFECYCLE, subject=subject, predicate=said, signer=keeper)


def _named(name: str) -> str:
    """Return a name that somebody else chose, or a digest of it if it could be about a person."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z_.:/ -]{0,59}", name)
    return name if is_plain else f"(sha256 {hashlib.sha256(name.encode()).hexdigest()[:12]})"


def _numbered(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
