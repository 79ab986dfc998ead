"""Studies: what a developer measured beside a version, signed and shown as child runs of its run.

A study decides nothing: no gate reads it, and no choice rests on it without validation. It is
signed so that nobody can later show other alternatives than those that were made, or forget them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance import canonical
from governance.measurement import Measurement
from governance.settings import Settings
from registry import card
from registry.candidate import RunFacts
from registry.catalogue import Catalogue
from registry.record import Record, append, subject_of
from registry.signing import Signer
from registry.statement import Kind


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
    if known is not None and known.statement.predicate["digest"] == digest:
        runs = tuple(known.statement.predicate["run_ids"])
        return Recorded(digest=digest, seq=known.seq, run_ids=runs, is_new=False)
    catalogue = Catalogue.open(settings)
    parent = manifest.statement.predicate["run_id"]
    runs = tuple(catalogue.log_child(parent, facts) for facts in study.runs)
    predicate = {
        "study": study.name,
        "document": canonical.plain(study.document),
        "digest": digest,
        "headlines": canonical.plain(tuple(study.headlines)),
        "run_ids": list(runs),
    }
    subject = (subject_of(version), manifest.statement.sha256)
    seq = append(settings, Kind.STUDY, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return Recorded(digest=digest, seq=seq, run_ids=runs, is_new=True)
