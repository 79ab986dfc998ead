"""Alternatives: the models that a developer made beside a version, signed, loaded and judged.

The developer signs which files each alternative has, so that nobody can later show other ones than
those that were made, or forget them; they are shown as child runs of the version's run. A judge
must look at those and at no others: the files of each are copied to a private place, every byte of
the copy is compared with what was signed about this version, the types with this host's list, and
only then is anything loaded. What the judge finds is signed by the validator and bound to the
family that was judged. No gate reads either statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance import canonical
from governance.errors import IntegrityError, UsageError
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.settings import Settings
from registry import card, offline, serialize
from registry.attestation import check_subject, document
from registry.catalogue import Catalogue
from registry.ledger import Entry
from registry.load import PrivateFolder, copy_folder
from registry.record import Record, append, subject_of
from registry.signing import Kind, Signer, checked
from registry.submission import RunFacts

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

FAMILY = "alternatives"
ESTIMATOR_FILE = "default_model.skops"
FEATURES_FILE = "features.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """What a developer made beside a registered version.

    Parameters
    ----------
    document : mapping
        Everything that was found, without a time of day: the same family is recorded once.
    headlines : sequence of Measurement
        What the card shows.
    runs : sequence of RunFacts
        The child runs, in the order in which they are shown.
    """

    document: Mapping[str, Any]
    headlines: Sequence[Measurement]
    runs: Sequence[RunFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRecord:
    """Where a family stands: its digest, its place in the ledger and its runs."""

    digest: str
    seq: int
    run_ids: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAlternative:
    """One alternative whose every byte was verified before any of it was used.

    Parameters
    ----------
    digest : str
        SHA-256 of the list of its files: the identity of the bytes.
    """

    name: str
    title: str
    estimator: BaseEstimator
    features_text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFamily:
    """The newest signed family of a version, without the version's own refit.

    Parameters
    ----------
    entry : int
        Place of the developer's statement in the ledger.
    digest : str
        What was found, as the developer signed it.
    """

    version: int
    entry: int
    digest: str
    members: tuple[VerifiedAlternative, ...]


def record_family(
    settings: Settings, version: int, family: ModelFamily, *, signer: Signer
) -> FamilyRecord:
    """Log the child runs of a family, sign what was found and show it on the version's card.

    The same family again, if it is the newest, is neither logged nor signed twice. A kill between
    the two leaves child runs that nobody signed for; the statement names those that count.

    Raises
    ------
    UsageError
        If there is no such version.
    KeyringError
        If `signer` is not the developer.
    """
    record = Record.load(settings)
    manifest = record.manifest(version)
    digest = canonical.digest(family.document)
    known = record.studies(version).get(FAMILY)
    if known is not None and known.statement.predicate["digest"] == digest:
        runs = tuple(known.statement.predicate["run_ids"])
        return FamilyRecord(digest=digest, seq=known.seq, run_ids=runs, is_new=False)
    catalogue = Catalogue.open(settings)
    parent = manifest.statement.predicate["run_id"]
    # Listed before they are logged: what is signed is what was made, not what lies in the store.
    files = [_files(facts) for facts in family.runs]
    runs = tuple(catalogue.log_child(parent, facts) for facts in family.runs)
    predicate = {
        "study": FAMILY,
        "document": canonical.plain(family.document),
        "digest": digest,
        "headlines": canonical.plain(tuple(family.headlines)),
        "run_ids": list(runs),
        "artifacts": [
            {"run_id": run, "location": catalogue.location(run), "files": listed}
            for run, listed in zip(runs, files, strict=True)
        ],
    }
    subject = (subject_of(version), manifest.statement.sha256)
    seq = append(settings, Kind.STUDY, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return FamilyRecord(digest=digest, seq=seq, run_ids=runs, is_new=True)


def load_alternatives(settings: Settings, version: int) -> VerifiedFamily:
    """Load every alternative of a version but the version's own refit, after verifying each byte.

    Raises
    ------
    UsageError
        If no alternatives of the version were logged, or there is no such version.
    IntegrityError
        If the statement speaks of another version or lists no files, or a file was changed, added,
        removed or replaced, or an estimator names a type that this host does not allow.
    """
    record = Record.load(settings)
    record.manifest(version)
    entry = record.studies(version).get(FAMILY)
    if entry is None:
        others = [str(one) for one in record.versions() if FAMILY in record.studies(one)]
        known = f"; there are alternatives of version {', '.join(others)}, which are not its own"
        raise UsageError(
            f"No alternatives of version {version} were logged{known if others else ''}. Run "
            f"`limitline challenge --version {version}` first."
        )
    said = entry.statement.predicate
    told, artifacts = said["document"], said.get("artifacts", ())
    _refuse_another_version(told, entry, version)
    if len(artifacts) != len(told["alternatives"]):
        raise IntegrityError(
            f"Ledger entry {entry.seq} lists the files of {len(artifacts)} of "
            f"{len(told['alternatives'])} alternatives, so not all can be verified. Run "
            f"`limitline challenge --version {version}`."
        )
    members = [
        _load(settings, one, files)
        for one, files in zip(told["alternatives"], artifacts, strict=True)
        if one["name"] != told["compared_with"]
    ]
    if not members:
        raise UsageError(f"The family of version {version} holds no alternative to it.")
    return VerifiedFamily(
        version=version, entry=entry.seq, digest=said["digest"], members=tuple(members)
    )


def attest_alternatives(
    settings: Settings, evidence: Evidence, judgement: Mapping[str, Any], *, signer: Signer
) -> int:
    """Sign what was found about a version's alternatives; return its place in the ledger.

    The same evidence with the same judgement, if it is still the newest, is not recorded twice.

    Parameters
    ----------
    judgement : mapping
        ``version``, ``study`` (digest of the family that was judged), the rule, the lines that were
        used and a verdict for each alternative.

    Raises
    ------
    IntegrityError
        If the evidence is about another model, or another family than the version's newest.
    KeyringError
        If `signer` is not the validator: a developer does not judge alternatives.
    """
    version = int(judgement["version"])
    record = Record.load(settings)
    manifest, family = record.manifest(version), record.studies(version).get(FAMILY)
    check_subject(evidence, manifest)
    if family is None or family.statement.predicate["digest"] != judgement["study"]:
        raise IntegrityError(
            f"The alternatives that were judged are not those of version {version} any more. "
            "Judge them again."
        )
    told = canonical.plain(dict(judgement))
    predicate = {"evidence": document(evidence), "digest": evidence.digest, "judgement": told}
    newest = record.judged_alternatives(version)
    if newest is not None and canonical.plain(dict(newest.statement.predicate)) == predicate:
        return newest.seq
    subject = (subject_of(version), manifest.statement.sha256)
    seq = append(settings, Kind.ALTERNATIVES, subject=subject, predicate=predicate, signer=signer)
    card.project(settings, version)
    return seq


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


def _refuse_another_version(told: Mapping[str, Any], entry: Entry, version: int) -> None:
    if (told.get("version"), told.get("manifest_digest")) != (version, entry.statement.sha256):
        raise IntegrityError(
            f"The alternatives in ledger entry {entry.seq} were made for version "
            f"{told.get('version')}, and are signed for version {version}. They are not loaded."
        )


def _load(
    settings: Settings, told: Mapping[str, Any], signed: Mapping[str, Any]
) -> VerifiedAlternative:
    """Copy, verify the copy, and load from nothing but the copy."""
    private = PrivateFolder()
    try:
        folder = copy_folder(settings.mlflow_artifacts / signed["location"], private.path)
        with checked():
            found = offline.manifest(folder)
            offline.compare_manifests(found, signed["files"])
    except IntegrityError as error:
        raise IntegrityError(f"The alternative {told['name']} was not loaded: {error}") from None
    inside = folder / FAMILY / str(told["name"])
    return VerifiedAlternative(
        name=str(told["name"]),
        title=str(told["title"]),
        estimator=serialize.load(_file(inside, ESTIMATOR_FILE)),
        features_text=_file(inside, FEATURES_FILE).read_text(encoding="utf-8"),
        digest=offline.manifest_digest(found),
    )


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise IntegrityError(f"The alternative {folder.name} has no {name}; it cannot be judged.")
    return path
