"""Submission: a candidate becomes a numbered version with a signed manifest of every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance import canonical
from governance.errors import IntegrityError
from governance.settings import Settings
from registry import card, offline, serialize
from registry.catalogue import CHALLENGER, Catalogue, LoggedModel
from registry.record import Record, append, subject_of
from registry.signing import Kind, Signer, checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFiles:
    """The files that make one credit-limit model.

    Parameters
    ----------
    python_model : Path
        The models-from-code file.
    artifacts : mapping of str to Path
        Artifact name to file; the file keeps its own name below ``artifacts/``.
    code_paths : sequence of Path
        Packages or modules that travel with the model.
    signature_params : mapping of str to str
        Parameters of ``predict`` with their defaults, such as ``as_of``.
    """

    python_model: Path
    artifacts: Mapping[str, Path]
    code_paths: Sequence[Path]
    signature_input: pa.Schema
    signature_output: pa.Schema
    pip_requirements: Sequence[str]
    signature_params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run shows in the catalogue; nothing of it decides anything.

    Parameters
    ----------
    observed : mapping of str to str
        Times, machine and the like: signed with the version, and no part of what makes two
        candidates the same.
    """

    run_name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    observed: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)


METADATA_NAME = "limitline.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A submitted version.

    Parameters
    ----------
    manifest_digest : str
        Identity of its bytes; name and number alone identify nothing, because MLflow hands the
        same number out again when a registered model is deleted and made anew.
    is_new : bool
        False when the same candidate had been submitted before.
    """

    version: int
    manifest_digest: str
    run_id: str
    folder: Path
    is_new: bool


def submit(
    candidate: CandidateFiles,
    facts: RunFacts,
    lineage: Mapping[str, Any],
    *,
    settings: Settings,
    signer: Signer,
) -> ModelVersion:
    """Log a candidate, sign the manifest of its folder and record it; the same candidate once.

    Two candidates are the same when code, declarations, estimator (by canonical digest),
    requirements and lineage are the same. So `lineage` must not hold a duration or a time of day;
    those belong to `facts`: what it shows decides nothing, and of it `RunFacts.observed` is signed.

    Raises
    ------
    IntegrityError
        If the estimator holds types that this host would refuse to load, or the catalogue hands
        out a version number that the ledger already knows.
    """
    identity = canonical.digest({"files": _file_digests(candidate), "lineage": lineage})
    known = _find(settings, lambda said: said["submission"] == identity)
    if known is not None:
        return known
    _refuse_foreign_types(candidate)
    catalogue = Catalogue.open(settings)
    logged = catalogue.log_model(candidate, facts=facts)
    _refuse_reused_number(settings, logged.version)
    predicate = _manifest(logged, candidate, settings)
    predicate["run"] = run_shown(catalogue, settings, logged.run_id, logged.model_id)
    observed = {**facts.observed, "operator_key_id": signer.key_id}
    predicate |= {"submission": identity, "lineage": dict(lineage), "observed": observed}
    digest = offline.manifest_digest(predicate["files"])
    subject = (subject_of(logged.version), digest)
    append(settings, Kind.MANIFEST, subject=subject, predicate=predicate, signer=signer)
    catalogue.set_alias(CHALLENGER, logged.version)
    card.project(settings, logged.version)
    return ModelVersion(
        version=logged.version,
        manifest_digest=digest,
        run_id=logged.run_id,
        folder=logged.folder,
        is_new=True,
    )


def _refuse_reused_number(settings: Settings, version: int) -> None:
    if version in Record.load(settings).versions():
        raise IntegrityError(
            f"MLflow handed out version {version} again: the registered model was deleted outside. "
            "Restore the catalogue; the ledger is not rewritten."
        )


def run_shown(
    catalogue: Catalogue, settings: Settings, run_id: str, model_id: str
) -> dict[str, Any]:
    """Return what MLflow shows of a version's run: one digest, and every file with its SHA-256.

    Nothing is decided by it; signed with the version, it shows who edits the run's page later.

    Raises
    ------
    IntegrityError
        If the run is gone, or holds a link.
    """
    place = settings.mlflow_artifacts / catalogue.location(run_id)
    with checked():
        files = offline.manifest(place) if place.exists() else []
    return {"shown": catalogue.run_digest(run_id, model_id), "files": files}


def _manifest(logged: LoggedModel, candidate: CandidateFiles, settings: Settings) -> dict[str, Any]:
    estimators = [path for path in candidate.artifacts.values() if path.suffix == ".skops"]
    with checked():
        files = offline.manifest(logged.folder)
    return {
        "files": files,
        "declared": _declared(candidate),
        "estimators": {path.name: serialize.canonical_digest(path) for path in estimators},
        "location": logged.folder.relative_to(settings.mlflow_artifacts).as_posix(),
        "run_id": logged.run_id,
        "model_id": logged.model_id,
    }


def find_by_inputs(settings: Settings, inputs_digest: str) -> ModelVersion | None:
    """Return the version that was made from the same inputs, if its bytes are still as signed.

    Parameters
    ----------
    inputs_digest : str
        What `RunFacts.observed` named ``inputs_digest`` when the version was submitted: a digest of
        everything that goes into a candidate, known before anything is fitted.
    """
    return _find(
        settings, lambda said: said.get("observed", {}).get("inputs_digest") == inputs_digest
    )


def _find(settings: Settings, is_same: Callable[[Mapping[str, Any]], bool]) -> ModelVersion | None:
    """Find an earlier submission whose bytes are still as signed.

    A version that MLflow holds without a manifest in the ledger (a run that was killed in between)
    is never adopted: nobody signed its bytes. `reconcile` names it.
    """
    for entry in reversed(tuple(Record.load(settings).of(Kind.MANIFEST))):
        statement = entry.statement
        if not is_same(statement.predicate):
            continue
        folder = settings.mlflow_artifacts / statement.predicate["location"]
        try:
            same = offline.manifest(folder) == statement.predicate["files"]
        except offline.VerificationError:
            same = False
        if same:
            return ModelVersion(
                version=int(statement.subject_name.rpartition("@")[2]),
                manifest_digest=statement.sha256,
                run_id=statement.predicate["run_id"],
                folder=folder,
                is_new=False,
            )
    return None


def _declared(candidate: CandidateFiles) -> dict[str, str]:
    """Return the digests that ``limitline.json`` states about the declarations beside it."""
    described = [path for path in candidate.artifacts.values() if path.name == METADATA_NAME]
    said = json.loads(described[0].read_bytes()) if described else {}
    return {name: str(value) for name, value in said.items() if name.endswith("_digest")}


def _refuse_foreign_types(candidate: CandidateFiles) -> None:
    for path in candidate.artifacts.values():
        foreign = serialize.foreign_types(path) if path.suffix == ".skops" else []
        if foreign:
            raise IntegrityError(
                f"{path.name} names {', '.join(foreign[:3])}, which this host would refuse to load."
            )


def _file_digests(candidate: CandidateFiles) -> dict[str, Any]:
    return {
        "python_model": _digest(candidate.python_model),
        "artifacts": {name: _digest(path) for name, path in candidate.artifacts.items()},
        "code": {
            file.relative_to(root.parent).as_posix(): _digest(file)
            for root in candidate.code_paths
            for file in sorted([root] if root.is_file() else root.rglob("*.py"))
        },
        "input": _columns(candidate.signature_input),
        "output": _columns(candidate.signature_output),
        "params": dict(candidate.signature_params),
        "requirements": list(candidate.pip_requirements),
    }


def _columns(schema: Any) -> list[list[str]]:
    return [[column.name, str(column.type)] for column in schema]


def _digest(path: Path) -> str:
    if path.suffix == ".skops":
        return serialize.canonical_digest(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
