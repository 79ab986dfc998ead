"""The catalogue: the one door to MLflow, which is a view for people and never the truth.

MLflow keeps no actor and no history, and its bytes stay mutable after registration. So everything
here can be rebuilt from the ledger, and what decides anything is read from the ledger.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import pyarrow as pa

from governance import durable
from governance.errors import ContractError, EnvironmentFault, IntegrityError
from governance.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

    from registry.submission import CandidateFiles, RunFacts

MODEL_NAME = "credit-limit"
EXPERIMENT = "limitline"
CHAMPION = "champion"
CHALLENGER = "challenger"
NO_STAGE = "None"
"""How MLflow writes that a version is in none of its former stages."""

_COLUMN_TYPES = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "int64": "long",
    "uint32": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "binary": "binary",
}


_GONE = "RESOURCE_DOES_NOT_EXIST"

MODEL_TEXT = (
    "Credit-limit models under governance: a default model and a limit policy, as one. The signed "
    "ledger says what is true of them; these pages show it, and `limitline reconcile` "
    "holds the two against each other."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A registered version, with the folder that holds its bytes."""

    name: str
    version: int
    run_id: str
    model_id: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVersion:
    """What MLflow shows of one version."""

    description: str
    tags: Mapping[str, str]
    source: str
    run_id: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What MLflow shows of the registered model, and the names of other registered models."""

    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    versions: Mapping[int, ShownVersion]
    others: tuple[str, ...]


class Catalogue:
    """MLflow on SQLite and files below one home; open it with `Catalogue.open`."""

    def __init__(self, settings: Settings, client: MlflowClient) -> None:
        self._settings = settings
        self._client = client

    @classmethod
    def open(cls, settings: Settings) -> Catalogue:
        """Open the catalogue; create or upgrade its database first, one process at a time.

        Raises
        ------
        EnvironmentFault
            If another process is creating it, or the place cannot be written.
        """
        durable.make_folder(settings.home)
        uri = tracking_uri(settings)
        with _quiet("opening the catalogue"):
            import mlflow

            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            _migrate(settings, mlflow.__version__)
            return cls(settings, mlflow.MlflowClient(uri, uri))

    def log_model(self, candidate: CandidateFiles, *, facts: RunFacts) -> LoggedModel:
        """Log the model in a run of its own and register it as the next version."""
        with _quiet("logging a model"):
            import mlflow

            run = self._client.create_run(
                self._experiment(), run_name=facts.run_name, tags=dict(facts.tags)
            )
            run_id = run.info.run_id
            try:
                self._log(run_id, params=facts.params, metrics=facts.metrics, figures=facts.figures)
                with mlflow.start_run(run_id=run_id):
                    info = mlflow.pyfunc.log_model(
                        name=MODEL_NAME,
                        python_model=str(candidate.python_model),
                        artifacts={name: str(path) for name, path in candidate.artifacts.items()},
                        code_paths=[str(path) for path in candidate.code_paths] or None,
                        signature=_signature(candidate),
                        pip_requirements=list(candidate.pip_requirements),
                    )
            except BaseException:
                self._client.set_terminated(run_id, "FAILED")
                raise
            if not self._client.search_registered_models(f"name = '{MODEL_NAME}'"):
                self._client.create_registered_model(MODEL_NAME, description=MODEL_TEXT)
            version = self._client.create_model_version(
                MODEL_NAME, info.model_uri, run_id=run_id, model_id=info.model_id
            )
            return LoggedModel(
                name=MODEL_NAME,
                version=int(version.version),
                run_id=run_id,
                model_id=info.model_id,
                folder=self._folder(info.model_id),
            )

    def log_child(self, parent: str, facts: RunFacts) -> str:
        """Log a finished run that MLflow shows below the run `parent`; return its id."""
        with _quiet("logging a child run"):
            tags = {**facts.tags, "mlflow.parentRunId": parent}
            run = self._client.create_run(self._experiment(), run_name=facts.run_name, tags=tags)
            run_id = str(run.info.run_id)
            self._log(run_id, params=facts.params, metrics=facts.metrics, figures=facts.figures)
            self._client.set_terminated(run_id)
            return run_id

    def location(self, run_id: str) -> str:
        """Return where the files of a run lie, below the folder of all artifacts."""
        with _quiet("finding a run"):
            run = self._client.get_run(run_id).info
            root = self._client.get_experiment(run.experiment_id).artifact_location
        place, below = (Path(unquote(urlparse(str(uri)).path)) for uri in (run.artifact_uri, root))
        return place.relative_to(below).as_posix()

    def log_report(self, path: Path, run_name: str, metrics: Mapping[str, float]) -> str:
        """Log a report file with its metrics and return the run id; the same report only once."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with _quiet("logging a report"):
            wanted = f"tags.`limitline.report` = '{digest}' and attributes.run_name = '{run_name}'"
            known = self._client.search_runs([self._experiment()], wanted, max_results=1)
            if known:
                return str(known[0].info.run_id)
            tags = {"limitline.report": digest}
            run = self._client.create_run(self._experiment(), run_name=run_name, tags=tags)
            self._log(run.info.run_id, metrics=metrics, figures={"report": path})
            self._client.set_terminated(run.info.run_id)
            return str(run.info.run_id)

    def set_alias(self, alias: str, version: int) -> None:
        """Point `alias` at `version`; doing it twice changes nothing."""
        with _quiet("moving an alias"):
            self._client.set_registered_model_alias(MODEL_NAME, alias, str(version))

    def remove_alias(self, alias: str) -> None:
        """Take `alias` away, if it is there."""
        with _quiet("removing an alias"):
            self._client.delete_registered_model_alias(MODEL_NAME, alias)

    def alias_version(self, alias: str) -> int | None:
        """Return the version that `alias` points at, if any."""
        with _quiet("reading an alias"):
            models = self._client.search_registered_models(f"name = '{MODEL_NAME}'")
            version = models[0].aliases.get(alias) if models else None
        return None if version is None else int(version)

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        """Set tags on a version."""
        with _quiet("setting tags"):
            for name, value in tags.items():
                self._client.set_model_version_tag(MODEL_NAME, str(version), name, value)

    def remove_tag(self, name: str, version: int | None = None) -> None:
        """Take a tag off a version, or off the registered model itself."""
        with _quiet("removing a tag"):
            if version is None:
                self._client.delete_registered_model_tag(MODEL_NAME, name)
            else:
                self._client.delete_model_version_tag(MODEL_NAME, str(version), name)

    def set_description(self, text: str, version: int | None = None) -> None:
        """Set the Markdown description of a version, or of the registered model itself."""
        with _quiet("setting a description"):
            if version is None:
                self._client.update_registered_model(MODEL_NAME, text)
            else:
                self._client.update_model_version(MODEL_NAME, str(version), text)

    def clear_stage(self, version: int) -> None:
        """Put a version back to no stage; the registry of today has aliases instead."""
        with _quiet("clearing a stage"):
            self._client.transition_model_version_stage(MODEL_NAME, str(version), NO_STAGE)

    def versions(self) -> tuple[int, ...]:
        """Return the registered versions, oldest first."""
        return tuple(self.shown().versions)

    def shown(self) -> Shown:
        """Return everything that MLflow shows of the registered model; empty if there is none."""
        with _quiet("reading the catalogue"):
            ours = self._client.search_registered_models(f"name = '{MODEL_NAME}'")
            found = self._client.search_model_versions(f"name = '{MODEL_NAME}'", max_results=10_000)
            names = [model.name for model in self._client.search_registered_models()]
        versions = {
            int(item.version): ShownVersion(
                description=item.description or "",
                tags=dict(item.tags),
                source=str(item.source),
                run_id=item.run_id or "",
                stage=str(item.current_stage),
            )
            for item in sorted(found, key=lambda item: int(item.version))
        }
        return Shown(
            description=(ours[0].description or "") if ours else "",
            tags=dict(ours[0].tags) if ours else {},
            aliases={name: int(to) for name, to in ours[0].aliases.items()} if ours else {},
            versions=versions,
            others=tuple(name for name in names if name != MODEL_NAME),
        )

    def run_digest(self, run_id: str, model_id: str) -> str:
        """Return one digest of what MLflow shows of a run and of the model logged in it.

        Name, state, parameters, metrics and tags; the files of the run are not in it.
        """
        with _quiet("reading a run"):
            run, model = self._client.get_run(run_id), self._client.get_logged_model(model_id)
        shown = [
            *(run.info.run_name, run.info.status, run.info.lifecycle_stage),
            *(run.data.params, run.data.metrics, run.data.tags),
            *(model.name, str(model.status), model.params, model.tags),
        ]
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        durable.make_folder(self._settings.mlflow_artifacts)
        place = self._settings.mlflow_artifacts.as_uri()
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=place))

    def _folder(self, model_id: str) -> Path:
        place = urlparse(str(self._client.get_logged_model(model_id).artifact_location))
        return Path(unquote(place.path))

    def _log(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float],
        figures: Mapping[str, Path],
        params: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        for name, value in params.items():
            self._client.log_param(run_id, name, value)
        for name, number in metrics.items():
            self._client.log_metric(run_id, name, number)
        for folder, path in figures.items():
            self._client.log_artifact(run_id, str(path), folder)


def tracking_uri(settings: Settings) -> str:
    """Return the address of the database, for MLflow and for people."""
    return f"sqlite:///{settings.mlflow_database}"


def _migrate(settings: Settings, version: str) -> None:
    """Create or upgrade the database once per MLflow version.

    Three processes starting on a fresh file at once kill each other inside the migration, so it
    runs alone, and a marker file says that it has been done.
    """
    marker = settings.home / ".mlflow-version"
    if settings.mlflow_database.exists() and marker.exists() and marker.read_text() == version:
        return
    with durable.locked(settings.home / ".mlflow.lock", what="The catalogue"):
        if settings.mlflow_database.exists():
            command = [sys.executable, "-m", "mlflow", "db", "upgrade", tracking_uri(settings)]
            done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
            if done.returncode != 0:
                raise EnvironmentFault(
                    "The catalogue's database could not be upgraded. Is the disk full?"
                )
        else:
            import mlflow

            # A kill inside the first migration leaves a file that no later migration can repair.
            with durable.replacing(settings.mlflow_database) as fresh:
                mlflow.MlflowClient(f"sqlite:///{fresh}").search_experiments(max_results=1)
        durable.write_bytes(marker, version.encode())


def _signature(candidate: CandidateFiles) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    def columns(schema: pa.Schema) -> Any:
        unknown = sorted({str(item.type) for item in schema} - _COLUMN_TYPES.keys())
        if unknown:
            raise ContractError(
                f"A model signature cannot hold the column types {', '.join(unknown)}."
            )
        return Schema([ColSpec(_COLUMN_TYPES[str(item.type)], item.name) for item in schema])

    asked = [
        ParamSpec(name, "string", default) for name, default in candidate.signature_params.items()
    ]
    return ModelSignature(
        columns(candidate.signature_input),
        columns(candidate.signature_output),
        ParamSchema(asked),
    )


@contextmanager
def _quiet(doing: str) -> Iterator[None]:
    """Silence MLflow's chatter and scrub its errors, which repeat the rows they stumbled over."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Recording swallows also what MLflow warns about under filters of its own.
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        except MlflowException as error:
            code = str(error.error_code)
            if code == _GONE:
                raise IntegrityError(
                    f"MLflow failed at {doing} ({code}): it does not hold what it should; somebody "
                    "removed or never made it. Run `limitline reconcile`."
                ) from None
            raise EnvironmentFault(_scrubbed(doing, code)) from None
        except Exception as error:
            if not isinstance(error.__cause__, sqlite3.Error):
                raise
            raise EnvironmentFault(_scrubbed(doing, type(error.__cause__).__name__)) from None


def _scrubbed(doing: str, code: str) -> str:
    return (
        f"MLflow failed at {doing} ({code}). Its message is withheld, because it could hold row "
        "values. Is the disk full, or the database busy or gone?"
    )
