from __future__ import annotations

import dataclasses
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from decisions import features, scoring
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError, KeyringError
from governance.settings import Settings
from privacy import assignment, gate
from privacy.feature_table import FeatureTable, Part, TableFacts
from privacy.keyring import Keyring
from registry import serialize
from registry.catalogue import Catalogue
from registry.load import load_verified
from tests.planting import write_unchecked
from training import candidate, evaluation, recipes, reproduction, sample
from training import job as jobs
from training.candidate import STEPS, Candidate
from training.job import Job

Release = Callable[..., Path]
Shops = Callable[..., pa.Table]
Jobs = Callable[..., Job]


def fit(job: Job, home: Settings) -> candidate.FittedJob:
    spec = FeatureSpec.parse(job.features_text)
    table = FeatureTable.open(job.table, keyring=Keyring.open(home.keyring))
    rows = sample.read(table, job.question(spec))
    return candidate.fit(job, spec, rows)


def noon() -> datetime:
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def trained(world: Any) -> Candidate:
    return world.made


@pytest.fixture
def world_home(world: Any) -> Settings:
    return world.home


def test_what_was_fitted_is_what_the_registry_loads(
    world_home: Settings, trained: Candidate
) -> None:
    loaded = load_verified(world_home, trained.version.version)
    spec = FeatureSpec.parse(loaded.features_text)
    rows = np.random.default_rng(0).uniform(0, 2, size=(50, len(spec.names)))
    told, kept = (
        evaluation.predict(model, rows)
        for model in (trained.fitted.model.estimator, loaded.estimator)
    )
    assert (told == kept).all()
    assert LimitPolicy.parse(loaded.policy_text).digest == trained.lineage["policy_digest"]


def test_the_lineage_says_what_an_auditor_asks(world_home: Settings, trained: Candidate) -> None:
    loaded = load_verified(world_home, trained.version.version)
    assert dict(loaded.lineage) == dict(trained.lineage)
    for asked in (
        *("data_contract", "data_contract_digest", "data_digest", "data_rows", "data_part"),
        *("target", "horizon_months", "features_id", "features_digest", "policy_id"),
        *("policy_digest", "recipe", "recipe_parameters", "seed", "operator"),
        *("code_commit", "code_is_dirty", "lock_digest", "python", "platform", "scikit_learn"),
    ):
        assert trained.lineage[asked], asked
        assert loaded.metadata[asked], asked
    assert trained.lineage["data_part"] == "open"
    assert trained.lineage["operator"] == "developer"
    assert len(trained.lineage["lock_digest"]) == 64
    measured = {found["measure"] for found in loaded.metadata["evaluation"]}
    assert measured == {found.measure for found in trained.fitted.model.evaluation}
    directions = loaded.metadata["evaluation_directions"]
    assert (directions["measure"], directions["value"]) == (
        "soundness.monotonicity_violations",
        "0",
    )


def test_times_are_shown_and_are_no_part_of_the_candidate(
    world_home: Settings, trained: Candidate
) -> None:
    run = Catalogue.open(world_home)._client.get_run(trained.version.run_id)
    assert run.data.tags["started_at"] == "2026-03-01T12:00:00+00:00"
    assert run.data.tags["finished_at"] > run.data.tags["started_at"]
    assert not any("2026-03-01" in value for value in trained.lineage.values())
    assert run.data.metrics["out_of_fold.discrimination.auc"] == pytest.approx(
        trained.fitted.model.evaluation[0].value
    )


def test_the_same_job_is_submitted_once_and_another_seed_anew(
    world_home: Settings, trained: Candidate, job: Jobs
) -> None:
    table = gate.latest(
        world_home.features,
        contract_id="corner-shops",
        purpose=Purpose.TRAINING,
        keyring=Keyring.open(world_home.keyring),
    )
    steps: list[str] = []
    again = candidate.train(job(table), settings=world_home, clock=noon, done=steps.append)
    other = candidate.train(job(table, seed=1), settings=world_home, clock=noon)
    assert (trained.version.is_new, again.version.is_new) == (True, False)
    assert again.version.manifest_digest == trained.version.manifest_digest
    assert other.version.is_new
    assert other.version.version > trained.version.version
    # What the inputs tell already is not fitted again, and says the same of itself.
    assert steps == []
    assert again.fitted is None
    assert again.lineage == trained.lineage
    assert again.caveats == trained.caveats
    for read, measured in zip(again.measurements, trained.measurements, strict=True):
        assert read.key == measured.key
        assert (read.n, read.unit, read.outcome) == (measured.n, measured.unit, measured.outcome)
        assert read.value == pytest.approx(measured.value, rel=1e-11)
    fitted_steps: list[str] = []
    candidate.train(job(table, seed=2), settings=world_home, clock=noon, done=fitted_steps.append)
    assert len(fitted_steps) == STEPS


@pytest.mark.parametrize(
    "changed", [{"seed": 9}, {"segment": "late"}, {"reasons_text": "[groups.income]"}]
)
def test_whatever_goes_into_a_candidate_is_in_the_digest_of_its_inputs(
    world_home: Settings, trained: Candidate, job: Jobs, changed: dict[str, Any]
) -> None:
    table = reproduction.pinned_table(world_home, trained.lineage)
    usual, other = job(table), job(table, **changed)
    first, second = (
        jobs.inputs_digest(each, {**trained.lineage, "seed": str(each.seed)})
        for each in (usual, other)
    )
    lineage_has_it = "segment" in changed
    assert (first != second) is not lineage_has_it
    assert jobs.inputs_digest(usual, {**trained.lineage, "data_digest": "0"}) != first
    altered = dataclasses.replace(usual, policy_text=usual.policy_text + "\n# Reviewed again.")
    assert jobs.inputs_digest(altered, trained.lineage) != first


def test_a_version_whose_bytes_were_changed_is_fitted_anew(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    asked = job(release(make_shops(400)))
    first = candidate.train(asked, settings=home, clock=noon)
    policy = first.version.folder / "artifacts" / "limit_policy.toml"
    policy.chmod(0o600)
    policy.write_text(policy.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    again = candidate.train(asked, settings=home, clock=noon)
    assert again.fitted is not None
    assert (again.version.is_new, again.version.version) == (True, first.version.version + 1)


def test_nothing_of_the_sealed_customers_reaches_a_candidate(
    home: Settings, release: Release, make_shops: Shops, job: Jobs, tmp_path: Path
) -> None:
    # Two tables with the same open customers; in the second one every sealed value is another.
    path = release(make_shops(800))
    ring = Keyring.open(home.keyring)
    rows = FeatureTable.open(path, keyring=ring, part=Part.ALL).read()
    sealed = assignment.is_sealed(rows["assignment"])
    spoiled = rows
    for name, value in {"late": 7, "turnover": 1e6, "owed": 1e-6, "failed": 1}.items():
        position = rows.column_names.index(name)
        changed = pc.if_else(sealed, pa.scalar(value, rows[name].type), rows[name])
        spoiled = spoiled.set_column(position, name, changed)
    facts = TableFacts(contract=contract_of(rows), purpose=Purpose.TRAINING, source="spoiled")
    other = write_unchecked(spoiled.to_batches(), facts, keyring=ring, out=tmp_path / "spoiled")
    assert sum(sealed.to_pylist()) > 100
    digests = []
    for table in (path, other):
        fitted = fit(job(table), home)
        digests.append(serialize.dump(fitted.model.estimator, tmp_path / "model.skops"))
        digests.append(fitted.model.evaluation)
    assert digests[:2] == digests[2:]


def contract_of(rows: pa.Table) -> ColumnContract:
    kept = [name for name in rows.column_names if name not in ("customer_pseudonym", "assignment")]
    columns = [
        {"name": "shop", "type": "string", "role": "subject_id", "action": "pseudonymize"},
        *(
            {
                "name": name,
                "type": {"double": "float64"}.get(str(rows[name].type), "int64"),
                "role": "label" if name == "failed" else "feature",
                "action": "keep",
                "purposes": ["training"],
            }
            for name in kept
        ),
    ]
    return ColumnContract.model_validate(
        {
            "schema": "column-contract/1",
            "id": "spoiled",
            "version": "1",
            "title": "Spoiled",
            "source": "simulated",
            "columns": [{"sensitivity": "C1", "why": "Simulated."} | column for column in columns],
        }
    )


def test_a_candidate_that_is_not_calibrated_gets_a_sigmoid(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    # Two hundred deep trees with a high learning rate are far too sure of themselves.
    usual = job(release(make_shops(1_800)))
    sure = dataclasses.replace(
        usual.recipe, parameters={"max_iter": 200, "learning_rate": 0.5, "early_stopping": False}
    )
    fitted = fit(dataclasses.replace(usual, recipe=sure), home).model
    assert fitted.verdict.is_sigmoid_needed
    assert type(fitted.estimator).__name__ == "CalibratedClassifierCV"
    assert "Behind a sigmoid" in fitted.calibration
    bare = re.search(r"The slope is (\d\.\d+), outside", fitted.verdict.reason)
    slope = next(found for found in fitted.evaluation if found.measure == "calibration.slope")
    assert bare is not None
    # Too sure means too steep: what is handed over is nearer to 1, and 1 lies in its interval.
    assert float(bare[1]) < 0.9
    assert abs((slope.value or 0) - 1) < 1 - float(bare[1])
    assert (slope.low or 9) < 1 < (slope.high or 0)
    assert set(fitted.out_of_fold.fold.tolist()) == set(range(evaluation.FOLDS))


def test_the_figures_are_pictures_of_a_candidate(world_home: Settings, trained: Candidate) -> None:
    drawn = sorted(world_home.mlflow_artifacts.rglob("*.png"))
    assert {path.name for path in drawn} == {
        "reliability.png",
        "separation.png",
        "directions.png",
        "lift.png",
    }
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in drawn)


def opened(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file and everything that is packed in it: a model is a zip, a picture compressed."""
    yield name, content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from opened(f"{name}/{member}", archive.read(member))
    if content.startswith(b"\x89PNG"):
        with Image.open(io.BytesIO(content)) as picture:
            yield f"{name}/pixels", picture.tobytes()
            yield f"{name}/words", repr(picture.info).encode()


def traces_of(table: pa.Table) -> list[bytes]:
    """Return what shows that a row was written: who it was, a number as text, two numbers of it."""
    rows = table.select(["turnover", "owed"]).to_pylist()[:50]
    traces = [repr(row["turnover"]).encode() for row in rows]
    traces += [struct.pack("<2d", row["turnover"], row["owed"]) for row in rows]
    traces += [struct.pack("<2d", row["owed"], row["turnover"]) for row in rows]
    whose = table["customer_pseudonym"].to_pylist()[:50]
    return traces + [form for value in whose for form in (value, value.hex().encode())]


def test_no_row_is_written_outside_the_feature_table(
    world_home: Settings, trained: Candidate
) -> None:
    """A model's thresholds may be single values of a column; nothing says whose they are."""
    ring = Keyring.open(world_home.keyring)
    path = gate.latest(
        world_home.features, contract_id="corner-shops", purpose=Purpose.TRAINING, keyring=ring
    )
    traces = traces_of(FeatureTable.open(path, keyring=ring).read())
    written = [
        world_home.mlflow_database,
        *world_home.mlflow_artifacts.rglob("*"),
        *world_home.ledger.rglob("*"),
    ]
    looked_at = [
        (name, content)
        for path in written
        if path.is_file()
        for name, content in opened(path.name, path.read_bytes())
    ]
    assert {".npy", "/pixels", "/words"} <= {name[name.rfind("/") :] for name, _ in looked_at} | {
        Path(name).suffix for name, _ in looked_at
    }
    for name, content in looked_at:
        assert not any(trace in content for trace in traces), name


def test_a_row_that_was_packed_away_would_be_found() -> None:
    row = {"turnover": [0.123456789], "owed": [2.5], "customer_pseudonym": [b"0123456789abcdef"]}
    traces = traces_of(pa.table(row))
    said = PngInfo()
    said.add_text("Comment", "0.123456789", zip=True)
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "png", pnginfo=said)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner.npy", bytes(64) + struct.pack("<2d", 2.5, 0.123456789) + bytes(64))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner.zip", archive.getvalue())
    for content in (picture.getvalue(), outer.getvalue()):
        assert not any(trace in content for trace in traces)
        assert any(trace in found for _, found in opened("x", content) for trace in traces)


def test_without_a_signing_key_nothing_is_fitted(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    steps: list[str] = []
    (home.keyring / "signing" / "developer.pem").unlink()
    with pytest.raises(KeyringError, match="signing key"):
        candidate.train(job(release(make_shops(400))), settings=home, clock=noon, done=steps.append)
    assert steps == []


def test_an_unusable_declaration_is_refused(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    table = release(make_shops(400))
    for changed, problem in (
        ({"features_text": "schema = 1"}, "The feature spec cannot be used"),
        ({"policy_text": "not toml"}, "The limit policy cannot be used"),
    ):
        with pytest.raises(ContractError, match=problem):
            candidate.train(job(table, **changed), settings=home, clock=noon)
    assert not home.mlflow_database.exists()


@pytest.mark.parametrize(
    ("packaged", "does_leak"), [("uci_features", False), ("uci_features_limit_leak", True)]
)
def test_only_the_planted_fault_rewards_a_raise(
    uci: pa.Table, packaged: str, does_leak: bool
) -> None:
    spec = FeatureSpec.parse(features.packaged(packaged))
    rows = uci.slice(0, 6_000)
    computed = features.compute(spec, rows, keep=("default_next_month",))
    labels = computed["default_next_month"].to_numpy()
    recipe = recipes.CHAMPION.estimator(spec.signs, seed=0)
    fitted = evaluation.fit(recipe, scoring.design_matrix(spec, computed), labels)
    position = rows.column_names.index("limit_bal")
    raised = rows.set_column(
        position, "limit_bal", pc.cast(pc.multiply(rows["limit_bal"], 1.3), pa.int64())
    )
    before, after = (
        scoring.score(fitted, spec, table)["default_probability"].to_numpy()
        for table in (rows, raised)
    )
    if does_leak:
        assert after.mean() < 0.98 * before.mean()
        assert (after < before).mean() > 0.5
    else:
        assert (after == before).all()


def test_the_declarations_travel_to_the_letter(world_home: Settings, trained: Candidate) -> None:
    folder = trained.version.folder / "artifacts"
    facts = json.loads((folder / "limitline.json").read_text(encoding="utf-8"))
    assert facts["horizon_months"] == 12
    assert facts["features_digest"] == FeatureSpec.load(folder / "features.toml").digest
    assert not [path for path in trained.version.folder.rglob("*") if "training" in path.parts]
