"""Reproduction: the same table, declarations, recipe and seed must give the same model again.

What is compared with what was signed: the canonical digest of the estimator, its predictions on
made-up rows, the measured evaluation and the lineage. Differences of code and environment are told
as notes: they explain a difference and are none by themselves.

``python -m training.reproduction ORDER RESULT`` is the refit, in a process of its own. It reads a
JSON order and knows nothing of the registered estimator, so it cannot copy it; its JSON result
holds digests, measurements, feature ranges and predictions for made-up rows, nothing of a customer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from governance import canonical, errors
from governance.contract import Purpose
from governance.errors import EnvironmentFault, IntegrityError, LimitlineError, UsageError
from governance.settings import Settings
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from registry import serialize
from registry.load import ESTIMATOR_FILE, VerifiedModel, load_verified
from registry.record import Record
from training import candidate, evaluation, lineage, sample
from training import job as jobs
from training.evaluation import Matrix
from training.job import Job
from training.sample import Sample

SURROUNDINGS = frozenset(
    {
        *("code_commit", "code_is_dirty", "script", "script_digest"),
        *("lock_digest", "python", "platform", *lineage.SOFTWARE),
    }
)
"""What of a lineage may differ without the model being another one."""

PROBE_ROWS = 512
_PROBE_SEED = 20_260_301
_RUN_ID = re.compile(r"[0-9a-f]{32}")

Ranges = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came out of fitting a version again.

    Parameters
    ----------
    differences : tuple of str
        What differs from what was signed; empty means reproduced.
    notes : tuple of str
        What differs around it: code, lock, libraries, machine.
    largest_gap : float
        Largest difference of two predictions on the probe rows.
    environment : str
        ``this`` or ``fresh``.
    """

    version: int
    manifest_digest: str
    estimator_digest: str
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    largest_gap: float
    environment: str

    def refuse_difference(self) -> None:
        """Raise if anything differs.

        Raises
        ------
        IntegrityError
            Naming what differs, and what differs around it.
        """
        if self.differences:
            around = f" Around it: {'; '.join(self.notes)}." if self.notes else ""
            raise IntegrityError(
                f"Version {self.version} cannot be reproduced. Different: "
                f"{'; '.join(self.differences)}.{around} Do not rely on the version until the "
                "difference is explained."
            )


def reproduce(
    which: str, *, settings: Settings, table: Path | None = None, lock: Path | None = None
) -> Reproduction:
    """Fit a version again in a fresh process and compare.

    Parameters
    ----------
    which : str
        ``champion``, ``latest``, a version number or a run id.
    table : Path or None
        Folder of the feature table; ``None`` looks for the pinned one in the home.
    lock : Path or None
        A lock file: the process then runs in a new environment made from it.

    Raises
    ------
    UsageError
        If there is no such version.
    EnvironmentFault
        If the pinned table is not here, or the environment cannot be made.
    IntegrityError
        If the model, the table or the lock is not what was signed.
    """
    verified = load_verified(settings, resolve(settings, which))
    order = order_for(settings, verified, table)
    with tempfile.TemporaryDirectory(prefix="limitline-reproduce-") as place:
        python = Path(sys.executable)
        if lock is not None:
            refuse_other_lock(lock, verified.lineage)
            python = fresh_python(Path(place) / "environment", lock)
        made = _refit(Path(place), order, python)
    return compare(verified, made, environment="fresh" if lock else "this")


def order_for(settings: Settings, verified: VerifiedModel, table: Path | None) -> dict[str, Any]:
    """Return what it takes to take a version up again; raises as `reproduce` does."""
    return {
        "keyring": str(settings.keyring),
        "table": str(table or pinned_table(settings, verified.lineage)),
        "features_text": verified.features_text,
        "policy_text": verified.policy_text,
        "lineage": dict(verified.lineage),
    }


def take_up(order: Mapping[str, Any]) -> tuple[Job, Sample]:
    """Return the job that `order` describes and the very rows that it was done on.

    Raises
    ------
    IntegrityError
        If the table is not the one in the lineage.
    ContractError
        As `training.sample.read`, or if the lineage cannot be read.
    """
    said = order["lineage"]
    job = jobs.of_lineage(said, order)
    spec, _ = jobs.declarations(job)
    table = FeatureTable.open(job.table, keyring=Keyring.open(Path(order["keyring"])))
    if table.digest != said["data_digest"]:
        raise IntegrityError(
            f"The table {table.path.name} is not the one that the version was fitted on. Give the "
            "folder of that table with --features."
        )
    return job, sample.read(table, job.question(spec))


def refit(order: Mapping[str, Any]) -> dict[str, Any]:
    """Fit what `order` describes and return what came out; raises as `take_up` does."""
    job, rows = take_up(order)
    spec, _ = jobs.declarations(job)
    made = candidate.fit_recipe(job.recipe, spec.signs, rows.labeled, seed=job.seed)
    between = probe_ranges(rows.features)
    with tempfile.TemporaryDirectory(prefix="limitline-refit-") as place:
        digest = serialize.dump(made.estimator, Path(place) / "refit.skops")
    return {
        "estimator_digest": digest,
        "lineage": jobs.describe(job, rows),
        "evaluation": canonical.plain(made.evaluation),
        "ranges": between,
        "predictions": evaluation.predict(made.estimator, probe_rows(between)).tolist(),
    }


def probe_ranges(features: Matrix) -> list[tuple[float, float]]:
    """Return each feature's 1st and 99th percentile: no extreme customer can be read from it."""
    low, high = np.quantile(features, [0.01, 0.99], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def probe_rows(between: Ranges) -> Matrix:
    """Return made-up rows of nobody, ``(512, n_features)``; half of them are whole numbers.

    Trees split counts between whole numbers, so fractions alone would probe them badly.
    """
    rng = np.random.default_rng(_PROBE_SEED)
    low, high = np.array(between, dtype=np.float64).T
    made: Matrix = rng.uniform(low, high, size=(PROBE_ROWS, len(low)))
    made[: PROBE_ROWS // 2] = np.round(made[: PROBE_ROWS // 2])
    return made


def compare(verified: VerifiedModel, made: Mapping[str, Any], *, environment: str) -> Reproduction:
    """Compare what came out of a refit with what was signed."""
    signed = serialize.canonical_digest(verified.folder / ESTIMATOR_FILE)
    predicted = evaluation.predict(verified.estimator, probe_rows(made["ranges"]))
    gap = float(np.abs(predicted - np.array(made["predictions"])).max())
    differences = []
    if made["estimator_digest"] != signed:
        differences.append(
            f"the estimator (signed {signed[:12]}, refitted {made['estimator_digest'][:12]})"
        )
    if gap > 0:
        differences.append(f"the predictions on {PROBE_ROWS} probe rows (up to {gap:.3g})")
    if made["evaluation"] != verified.metadata.get("evaluation"):
        differences.append("the out-of-fold evaluation")
    before, after = verified.lineage, made["lineage"]
    other = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    differences += [f"the lineage's {name}" for name in other if name not in SURROUNDINGS]
    return Reproduction(
        version=verified.version,
        manifest_digest=verified.manifest_digest,
        estimator_digest=made["estimator_digest"],
        differences=tuple(differences),
        notes=tuple(f"another {name}" for name in other if name in SURROUNDINGS),
        largest_gap=gap,
        environment=environment,
    )


def resolve(settings: Settings, which: str) -> str:
    """Return `which`, or the version number of the run if it is a run id.

    Raises
    ------
    UsageError
        If no version came from that run.
    """
    if not _RUN_ID.fullmatch(which):
        return which
    record = Record.load(settings)
    for version in record.versions():
        if record.manifest(version).statement.predicate["run_id"] == which:
            return str(version)
    raise UsageError(f"No signed version came from the run {which}.")


def pinned_table(settings: Settings, said: Mapping[str, str]) -> Path:
    """Return the folder of the table that a lineage names.

    Raises
    ------
    EnvironmentFault
        If it is not in the home.
    """
    name = f"{said['data_contract']}-{Purpose.TRAINING}-{said['data_digest'][:12]}"
    folder = settings.features / name
    if not folder.is_dir():
        raise EnvironmentFault(
            f"The table {name} that the version was fitted on is not below {settings.features}. "
            "Restore it, or name its folder with --features."
        )
    return folder


def refuse_other_lock(lock: Path, said: Mapping[str, str]) -> None:
    """Refuse a lock that is not the one in the lineage.

    Raises
    ------
    EnvironmentFault
        If there is no such lock.
    IntegrityError
        If it is another one.
    """
    found = lineage.environment(lock.parent)["lock_digest"]
    if found == lineage.UNKNOWN:
        raise EnvironmentFault(f"There is no lock {lock}; a fresh environment is made from it.")
    if found != said["lock_digest"]:
        raise IntegrityError(
            f"The lock at hand has the digest {found[:12]}; the version was fitted with "
            f"{said['lock_digest'][:12]}. Check out the commit of the version."
        )


def fresh_python(place: Path, lock: Path) -> Path:
    """Make an environment from `lock` at `place` and return its interpreter.

    Raises
    ------
    EnvironmentFault
        If it cannot be made: no network, no package index, a hash that does not fit.
    """
    python = place / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), *install, "--require-hashes", "-r", str(lock)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise EnvironmentFault(f"No fresh environment could be made from {lock.name}: {last}")
    return python


def _refit(place: Path, order: Mapping[str, Any], python: Path) -> dict[str, Any]:
    asked, result = place / "order.json", place / "result.json"
    asked.write_text(json.dumps(order), encoding="utf-8")
    done = subprocess.run(  # noqa: S603  (an interpreter of ours, our own module)
        [str(python), "-m", "training.reproduction", str(asked), str(result)],
        capture_output=True,
        text=True,
        check=False,
        cwd=lineage.ROOT,
        env={**os.environ, "PYTHONPATH": str(lineage.ROOT), "OMP_WAIT_POLICY": "PASSIVE"},
    )
    if done.returncode == 0:
        made: dict[str, Any] = json.loads(result.read_bytes())
        return made
    known = [item for item in vars(errors).values() if isinstance(item, type)]
    for kind in (item for item in known if issubclass(item, LimitlineError)):
        if 1 < kind.exit_code == done.returncode:
            raise kind(done.stderr.strip().splitlines()[-1])
    # Whatever an unexpected end printed could hold row values.
    raise EnvironmentFault(f"The refit ended with code {done.returncode}; it wrote no result.")


def main(order: Path, result: Path) -> int:
    """Read the order, write the result and return the exit code."""
    try:
        made = refit(json.loads(order.read_bytes()))
    except LimitlineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    result.write_text(json.dumps(made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
