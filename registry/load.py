"""Verified load: the one way in which a model becomes an object.

MLflow's own loaders run code from the folder they load, even with their pickle switch off. Here
the folder is copied to a private place, every file of the copy is held against the manifest that
the developer signed and the ledger recorded, the types in the estimator are held against this
host's list, and only then is the estimator, and nothing else, loaded from that same copy.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.errors import EnvironmentFault, GateClosed, IntegrityError, UsageError
from governance.settings import Settings
from registry import offline, serialize
from registry.catalogue import CHAMPION
from registry.ledger import Entry
from registry.record import Record, file_digest
from registry.signing import checked

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

LATEST = "latest"
ESTIMATOR_FILE = "artifacts/default_model.skops"
FEATURES_FILE = "artifacts/features.toml"
POLICY_FILE = "artifacts/limit_policy.toml"
METADATA_FILE = "artifacts/limitline.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """A model whose every byte was verified before any of it was used.

    Parameters
    ----------
    manifest_digest : str
        Identity of the bytes.
    metadata : mapping
        What ``limitline.json`` in the folder says.
    lineage : mapping
        What the developer signed about data, code, environment and seed.
    observed : mapping
        What was seen in the run that made it: times, machine, storage medium; signed as well.
    subject : mapping of str to str
        Role to digest, ready for `governance.evidence.Evidence.subject`.
    folder : Path
        The private copy; it disappears with this object.
    """

    version: int
    manifest_digest: str
    estimator: BaseEstimator
    features_text: str
    policy_text: str
    metadata: Mapping[str, Any]
    lineage: Mapping[str, Any]
    observed: Mapping[str, str]
    subject: Mapping[str, str]
    folder: Path
    _copy: PrivateFolder


def load_verified(settings: Settings, which: str | int, *, on: date | None = None) -> VerifiedModel:
    """Load ``"champion"``, ``"latest"`` or a version number, after verifying every byte.

    Who is champion is read from the ledger; MLflow's alias is a view of that.

    Parameters
    ----------
    on : date, optional
        Whose champion is meant: the one of this day, or by the newest promotion if left out.

    Raises
    ------
    IntegrityError
        If a file was changed, added, removed or replaced by a link, the manifest is not signed by
        the developer, or the estimator names a type that this host does not allow.
    GateClosed
        If there is no champion yet, or was none on the day.
    UsageError
        If there is no such version.
    """
    record = Record.load(settings, on)
    version = resolve(record, which)
    entry = record.manifest(version)
    copy = PrivateFolder()
    folder = copy_verified(settings, entry, copy.path)
    try:
        metadata = json.loads(_text(folder, METADATA_FILE))
    except ValueError:
        raise IntegrityError(f"{METADATA_FILE} of version {version} is not JSON.") from None
    return VerifiedModel(
        version=version,
        manifest_digest=entry.statement.sha256,
        estimator=serialize.load(folder / ESTIMATOR_FILE),
        features_text=_text(folder, FEATURES_FILE),
        policy_text=_text(folder, POLICY_FILE),
        metadata=metadata,
        lineage=entry.statement.predicate["lineage"],
        observed=entry.statement.predicate["observed"],
        subject={
            "model": entry.statement.sha256,
            "features": file_digest(entry, FEATURES_FILE),
            "policy": file_digest(entry, POLICY_FILE),
        },
        folder=folder,
        _copy=copy,
    )


def resolve(record: Record, which: str | int) -> int:
    """Return the version number that `which` means."""
    versions = record.versions()
    if which == CHAMPION:
        champion = record.champion()
        if champion is None and record.history.promotions:
            first = record.history.promotions[0]["statement"]["predicate"]["on"]
            raise GateClosed(
                f"There was no champion on {record.on}; the first is one from {first}."
            )
        if champion is None:
            raise GateClosed("There is no champion yet. Approve and promote a version first.")
        return champion
    if which == LATEST and versions:
        return versions[-1]
    if isinstance(which, int) or which.isdecimal():
        return int(which)
    known = ", ".join(str(number) for number in versions) or "none"
    raise UsageError(f"A model is named champion, latest or by its version number; known: {known}.")


def copy_verified(settings: Settings, manifest: Entry, into: Path) -> Path:
    """Copy a version's folder into the private folder `into` and verify the copy.

    Verifying the copy, and using only the copy, leaves no moment between check and use.
    """
    statement = manifest.statement
    source = settings.mlflow_artifacts / statement.predicate["location"]
    folder = copy_folder(source, into)
    with checked():
        found = offline.manifest(folder)
        offline.compare_manifests(found, statement.predicate["files"])
    if offline.manifest_digest(found) != statement.sha256:
        raise IntegrityError(
            f"The manifest of {statement.subject_name} is not the one that was signed."
        )
    return folder


def verify_version(settings: Settings, record: Record, version: int) -> str:
    """Verify the bytes of one version and return its manifest digest."""
    place = PrivateFolder()
    copy_verified(settings, record.manifest(version), place.path)
    return record.manifest(version).statement.sha256


def _text(folder: Path, name: str) -> str:
    path = folder / name
    if not path.is_file():
        raise IntegrityError(f"The model folder has no {name}; it is not a credit-limit model.")
    return path.read_text(encoding="utf-8")


def copy_folder(folder: Path, into: Path) -> Path:
    """Copy a model folder to the fresh folder ``into/model`` without following links."""
    if not folder.is_dir():
        raise IntegrityError(f"The model folder {folder} is missing; restore it or train again.")
    try:
        return Path(shutil.copytree(folder, into / "model", symlinks=True))
    except shutil.Error:
        # It gathers what went wrong with each file and has no error number of its own.
        raise EnvironmentFault(
            f"The model folder cannot be copied to {into} for verification: the temporary folder "
            "is full, or a file of the model cannot be read."
        ) from None


class PrivateFolder:
    """A temporary folder that only this user can read, for bytes under verification.

    It goes with the last reference to it, so whoever holds what was verified holds the bytes.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="limitline-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
