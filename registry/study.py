"""Studies: what a developer measured beside a version, signed and shown as child runs of its run.

A study decides nothing: no gate reads it, and no choice rests on it without validation. It is
signed so that nobody can later show other alternatives than those that were made, or forget them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance import canonical
from governance.measurement import Measurement
from governance.settings import Settings
from registry import card, offline
from registry.catalogue import Catalogue
from registry.record import Record, append, subject_of
from registry.signing import Kind, Signer, checked
from registry.submission import RunFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study of a registered version.

    Parameters
    ----------
    name : str
        What was studied, such as ``alternatives``; a later study of that name takes its place on
        the card, and both stay in the ledger.
    document : mapping
        Everything that was found, without a time of day: the same study is recorded once.
    headlines : sequence of Measurement
        What the card shows.
    runs : sequence of RunFacts
        The child runs, in the order in which they are shown.
    """

    name: str
    document: Mapping[str, Any]
    headlines: Sequence[Measurement]
    runs: Sequence[RunFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Where a study stands: its digest, its place in the ledger and its runs."""

    digest: str
    seq: int
    run_ids: tuple[str, ...]
    is_new: bool


def record_study(settings: Settings, version: int, study: Study, *, signer: Signer) -> Recorded:
    """Log the child runs of a study, sign what was found and show it on the version's card.

    The same study again, if it is the newest of its name, is neither logged nor signed twice. A
    kill between the two leaves child runs that nobody signed for; the statement names those that
    count.

    Raises
    ------
    UsageError
        If there is no such version.
    KeyringError
        If `signer` is not the developer.
    """
    record = Record.load(settings)
    manifest = record.manifest(version)
    digest = canonical.digest(study.document)
    known = record.studies(version).get(study.name)
    if known is not None and _is_same(known.statement.predicate, digest):
        runs = tuple(known.statement.predicate["run_ids"])
        return Recorded(digest=digest, seq=known.seq, run_ids=runs, is_new=False)
    catalogue = Catalogue.open(settings)
    parent = manifest.statement.predicate["run_id"]
    # Listed before they are logged: what is signed is what was made, not what lies in the store.
    files = [_files(facts) for facts in study.runs]
    runs = tuple(catalogue.log_child(parent, facts) for facts in study.runs)
    predicate = {
        "study": study.name,
        "document": canonical.plain(study.document),
        "digest": digest,
        "headlines": canonical.plain(tuple(study.headlines)),
        "run_ids": list(runs),
        "artifacts": [
            {"run_id": run, "location": catalogue.location(run), "files": listed}
            for run, listed in zip(runs, files, strict=True)
        ],
    }
    subject = (subject_of(version), manifest.statement.sha256)
    seq = append(settings, Kind.STUDY, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return Recorded(digest=digest, seq=seq, run_ids=runs, is_new=True)


def _is_same(predicate: Mapping[str, Any], digest: str) -> bool:
    """Tell whether a signed study is this one, with its files.

    Studies from before files were listed name what they hold by digest only; the next run of such a
    study is signed anew, so that its models can be loaded.
    """
    return predicate["digest"] == digest and "artifacts" in predicate


def _files(facts: RunFacts) -> list[dict[str, Any]]:
    """List every file that a child run is about to hold: path, SHA-256 and size, sorted."""
    listed: list[dict[str, Any]] = []
    for folder, path in facts.figures.items():
        if path.is_dir():
            with checked():
                inside = offline.manifest(path)
            listed += [{**file, "path": f"{folder}/{path.name}/{file['path']}"} for file in inside]
        else:
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            listed.append({"path": f"{folder}/{path.name}", "sha256": digest, "size": len(data)})
    return sorted(listed, key=lambda file: str(file["path"]))
