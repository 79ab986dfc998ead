"""The study: a signed version taken up again, on the very rows that it was fitted on.

What is found is signed by the developer and shown as child runs of the version's run. It changes
neither the version nor what the gate reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from decisions.features import FeatureSpec
from governance import canonical
from governance.measurement import Measurement
from governance.settings import Settings
from registry.load import load_verified
from registry.signing import Role, Signer
from registry.study import Recorded, Study, record_study
from training import refit, reproduction
from training.job import Job
from training.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A version under study: what was asked for when it was fitted, and on which rows."""

    version: int
    manifest_digest: str
    job: Job
    spec: FeatureSpec
    rows: Sample

    @property
    def name(self) -> str:
        """The version's name beside its alternatives."""
        return f"version-{self.version}"

    def header(self, study: str) -> dict[str, Any]:
        """Return what every study says first."""
        return {
            "schema": f"limitline/training-{study}/1",
            "study": study,
            "version": self.version,
            "manifest_digest": self.manifest_digest,
            "recipe": self.job.recipe.name,
            "seed": self.job.seed,
            "data_digest": self.rows.table.digest,
            "rows": len(self.rows.labels),
            **self.rows.customers_told,
            "judged_by": "nobody yet: a study is the developer's, validation judges",
        }


def take_up(settings: Settings, which: str, *, table: Path | None = None) -> Subject:
    """Verify a version and open its rows.

    Parameters
    ----------
    which : str
        ``champion``, ``latest``, a version number or a run id.
    table : Path or None
        Folder of the feature table; ``None`` looks for the pinned one in the home.

    Raises
    ------
    UsageError
        If there is no such version.
    EnvironmentFault
        If the pinned table is not here.
    IntegrityError
        If the model or the table is not what was signed.
    """
    verified = load_verified(settings, reproduction.resolve(settings, which))
    job, rows = refit.take_up(reproduction.order_for(settings, verified, table))
    return Subject(
        version=verified.version,
        manifest_digest=verified.manifest_digest,
        job=job,
        spec=FeatureSpec.parse(verified.features_text),
        rows=rows,
    )


def publish(settings: Settings, subject: Subject, study: Study) -> Recorded:
    """Sign a study and log its runs; as `registry.study.record_study`."""
    signer = Signer.open(settings.keyring, Role.DEVELOPER)
    return record_study(settings, subject.version, study, signer=signer)


def tags(subject: Subject, study: str) -> dict[str, str]:
    """Return the tags by which the child runs of a study are found in the catalogue."""
    return {
        "limitline.study": study,
        "limitline.version": str(subject.version),
        "limitline.manifest_sha256": subject.manifest_digest,
        "limitline.data_digest": subject.rows.table.digest,
    }


def speak(value: Any) -> Any:
    """Return a document as JSON values: numbers stay numbers, measurements have one shape."""
    match value:
        case Measurement():
            return value.as_json()
        case BaseModel():
            return canonical.plain(value)
        case Mapping():
            return {str(key): speak(item) for key, item in value.items()}
        case list() | tuple():
            return [speak(item) for item in value]
    return value
