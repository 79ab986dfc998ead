"""Alternatives: the models that a developer made beside a version, loaded once verified.

A study signs which files each alternative has; a judge must look at those and at no others. So the
files of each are copied to a private place, every byte of the copy is held against what was signed
about this version, the types are held against this host's list, and only then is anything loaded.
What the judge finds is signed by the validator and bound to the study that it judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance import canonical
from governance.errors import IntegrityError, UsageError
from governance.evidence import Evidence
from governance.settings import Settings
from registry import card, offline, serialize
from registry.attestation import check_subject, document
from registry.ledger import Entry
from registry.load import PrivateFolder, copy_folder
from registry.record import Record, append, subject_of
from registry.signing import Kind, Signer, checked

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

STUDY = "alternatives"
ESTIMATOR_FILE = "default_model.skops"
FEATURES_FILE = "features.toml"


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
class Alternatives:
    """The newest signed family of a version.

    Parameters
    ----------
    entry : int
        Place of the developer's study in the ledger.
    digest : str
        What the study found, as the developer signed it.
    """

    version: int
    entry: int
    digest: str
    members: tuple[VerifiedAlternative, ...]


def load_alternatives(settings: Settings, version: int) -> Alternatives:
    """Load every alternative of a version but the version's own refit, after verifying each byte.

    Raises
    ------
    UsageError
        If no alternatives of the version were logged, or there is no such version.
    IntegrityError
        If the study speaks of another version or lists no files, or a file was changed, added,
        removed or replaced, or an estimator names a type that this host does not allow.
    """
    record = Record.load(settings)
    record.manifest(version)
    entry = record.studies(version).get(STUDY)
    if entry is None:
        raise UsageError(_nothing_logged(record, version))
    said = entry.statement.predicate
    told = said["document"]
    _check(told, entry, version)
    members = [
        _load(settings, one, files)
        for one, files in zip(told["alternatives"], said["artifacts"], strict=True)
        if one["name"] != told["compared_with"]
    ]
    if not members:
        raise UsageError(f"The family of version {version} holds no alternative to it.")
    return Alternatives(
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
    manifest, study = record.manifest(version), record.studies(version).get(STUDY)
    check_subject(evidence, manifest)
    if study is None or study.statement.predicate["digest"] != judgement["study"]:
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


def _nothing_logged(record: Record, version: int) -> str:
    others = [str(one) for one in record.versions() if STUDY in record.studies(one)]
    known = f"; there are alternatives of version {', '.join(others)}, which are not its own"
    return (
        f"No alternatives of version {version} were logged{known if others else ''}. Run "
        f"`limitline challenge --version {version}` first."
    )


def _check(told: Mapping[str, Any], entry: Entry, version: int) -> None:
    """Refuse a study that was made about something else than the version it is signed for."""
    statement = entry.statement
    if (told.get("version"), told.get("manifest_digest")) != (version, statement.sha256):
        raise IntegrityError(
            f"The alternatives in ledger entry {entry.seq} were made for version "
            f"{told.get('version')}, and are signed for version {version}. They are not loaded."
        )
    if "artifacts" not in statement.predicate:
        raise IntegrityError(
            f"The study in ledger entry {entry.seq} is from before files were listed, so its "
            f"models cannot be verified. Run `limitline challenge --version {version}`."
        )
    if len(statement.predicate["artifacts"]) != len(told["alternatives"]):
        raise IntegrityError(
            f"The study in ledger entry {entry.seq} lists the files of "
            f"{len(statement.predicate['artifacts'])} of {len(told['alternatives'])} alternatives."
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
    inside = folder / STUDY / str(told["name"])
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
