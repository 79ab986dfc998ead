from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from decisions.features import FeatureSpec
from governance import canonical
from governance.errors import EnvironmentFault, IntegrityError
from governance.settings import HOME_VARIABLE, Settings
from limitline.commands import app
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from registry import submission
from registry.signing import Role, Signer
from training import candidate, lineage, recipes, reproduction, sample
from training import job as jobs
from training.candidate import Candidate
from training.job import Job

Jobs = Callable[..., Job]


@pytest.fixture
def there(world: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(HOME_VARIABLE, str(world.home.home))
    return world.home


def reproduce(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["reproduce", *arguments, "--json"])


def submit_a_lie(job: Job, told: Job, home: Settings) -> int:
    """Submit a candidate that was fitted by `job` and says that it was fitted by `told`."""
    spec = FeatureSpec.parse(job.features_text)
    table = FeatureTable.open(job.table, keyring=Keyring.open(home.keyring))
    rows = sample.read(table, job.question(spec))
    fitted = dataclasses.replace(candidate.fit(job, spec, rows), job=told)
    said = jobs.describe(told, rows)
    with tempfile.TemporaryDirectory() as place:
        files = candidate.assemble(Path(place), fitted, said)
        facts = candidate.describe_run(Path(place), fitted, files, said, {})
        signer = Signer.open(home.keyring, Role.DEVELOPER)
        return submission.submit(files, facts, said, settings=home, signer=signer).version


def test_a_version_comes_out_the_same_in_a_fresh_process(there: Settings, world: Any) -> None:
    made: Candidate = world.made
    ran = reproduce(str(made.version.version))
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["is_same"] is True
    assert (found["differences"], found["largest_gap"]) == ([], 0.0)
    assert found["manifest_digest"] == made.version.manifest_digest
    # The run id that MLflow shows names the same version.
    assert reproduction.resolve(there, made.version.run_id) == str(made.version.version)


def test_a_tampered_parameter_is_found_and_named(there: Settings, world: Any, job: Jobs) -> None:
    table = reproduction.pinned_table(there, world.made.lineage)
    honest = job(table, seed=7)
    other = dataclasses.replace(
        honest.recipe, parameters={**honest.recipe.parameters, "max_leaf_nodes": 3}
    )
    version = submit_a_lie(honest, dataclasses.replace(honest, recipe=other), there)
    ran = reproduce(str(version))
    assert ran.exit_code == 15
    told = " ".join(ran.stderr.split())
    for named in ("the estimator", "the predictions on 512 probe rows", "out-of-fold evaluation"):
        assert named in told
    assert json.loads(ran.stdout)["is_same"] is False


def test_rows_that_are_not_as_signed_are_named(there: Settings, world: Any, job: Jobs) -> None:
    made: Candidate = world.made
    found = reproduction.compare(
        reproduction.load_verified(there, made.version.version),
        {
            "estimator_digest": "0" * 64,
            "lineage": {**made.lineage, "data_rows": "1", "python": "2.7", "numpy": "0"},
            "evaluation": [],
            "ranges": [(0.0, 1.0)] * 3,
            "predictions": [0.5] * reproduction.PROBE_ROWS,
        },
        environment="this",
    )
    assert "the lineage's data_rows" in found.differences
    assert found.notes == ("another numpy", "another python")
    with pytest.raises(IntegrityError, match=r"Around it: another numpy; another python\."):
        found.refuse_difference()


def test_the_pinned_table_must_be_there_and_be_the_one(
    there: Settings, world: Any, tmp_path: Path
) -> None:
    version = str(world.made.version.version)
    said = dict(world.made.lineage)
    with pytest.raises(EnvironmentFault, match="Restore it"):
        reproduction.pinned_table(there, said | {"data_digest": "0" * 64})
    copy = tmp_path / "copy"
    shutil.copytree(reproduction.pinned_table(there, said), copy)
    content = bytearray((copy / "open.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "open.parquet").write_bytes(content)
    ran = reproduce(version, "--features", str(copy))
    assert ran.exit_code == 15
    assert ran.stdout == ""


@pytest.mark.parametrize(("which", "code"), [("99", 2), ("nobody", 2), ("0" * 32, 2)])
def test_an_unknown_version_or_run_is_a_usage_error(there: Settings, which: str, code: int) -> None:
    assert reproduce(which).exit_code == code


def test_a_recipe_is_read_back_from_its_lineage(world: Any) -> None:
    said = world.made.lineage
    assert dict(jobs.recipe_of(said).parameters) == {
        "max_iter": 20,
        "max_leaf_nodes": 6,
        "early_stopping": False,
    }
    bundled = recipes.CHALLENGER
    parameters = canonical.dumps(bundled.parameters).decode()
    said = {"recipe": bundled.name, "recipe_title": "x", "recipe_parameters": parameters}
    assert jobs.recipe_of(said) is bundled
    changed = {**said, "recipe_parameters": parameters.replace('"0.06"', '"0.05"')}
    assert jobs.recipe_of(changed).parameters["learning_rate"] == 0.05
    assert jobs.recipe_of(changed).parameters["interaction_cst"] == "no_interactions"


def test_probe_rows_are_made_up_inside_the_ranges_and_the_same_every_time() -> None:
    features = np.random.default_rng(1).gamma(2.0, 3.0, size=(500, 3))
    between = reproduction.probe_ranges(features)
    made = reproduction.probe_rows(between)
    assert made.shape == (reproduction.PROBE_ROWS, 3)
    assert (made == reproduction.probe_rows(between)).all()
    low, high = np.array(between).T
    assert ((made >= np.floor(low)) & (made <= np.ceil(high))).all()
    # No range ends at an extreme customer.
    assert (low > features.min(axis=0)).all()
    assert (high < features.max(axis=0)).all()


def test_another_lock_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="There is no lock"):
        reproduction.refuse_other_lock(tmp_path / "requirements.lock", {})
    said = {"lock_digest": lineage.environment()["lock_digest"]}
    reproduction.refuse_other_lock(lineage.LOCK, said)
    with pytest.raises(IntegrityError, match="Check out the commit"):
        reproduction.refuse_other_lock(lineage.LOCK, {"lock_digest": "0" * 64})


def test_an_environment_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0 --hash=sha256:00\n", encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="No fresh environment could be made"):
        reproduction.fresh_python(tmp_path / "environment", lock)


def test_a_lineage_of_other_code_is_a_contract_error(world: Any, tmp_path: Path) -> None:
    order = {"table": "x", "features_text": "", "policy_text": "", "keyring": "x", "lineage": {}}
    asked = tmp_path / "order.json"
    asked.write_text(json.dumps(order), encoding="utf-8")
    assert reproduction.main(asked, tmp_path / "result.json") == 10
    assert not (tmp_path / "result.json").exists()
