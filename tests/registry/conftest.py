from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from governance import canonical, settings
from governance.appetite import RiskAppetite
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.settings import Settings
from registry import attestation, judgement, promotion, serialize, signing
from registry.catalogue import Catalogue
from registry.ledger import Ledger
from registry.record import Record
from registry.signing import Signer
from registry.submission import CandidateFiles, ModelVersion, RunFacts, submit
from tests import appetites
from tests.appetites import appetite_text, threshold

DAY = date(2026, 1, 5)

PYTHON_MODEL = """
import mlflow

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

mlflow.models.set_model(Model())
"""

THRESHOLDS = (
    threshold("accuracy.auc", "at_least = 0.70", "is_waivable = false"),
    threshold("fairness.raise_ratio", 'scope = { attribute = "*" }', "at_least = 0.80"),
    threshold("stability.index", "at_most = 0.25", 'basis = "point"', 'need = "reported"'),
)
APPETITE = appetite_text(*THRESHOLDS)


def fit(seed: int = 0) -> HistGradientBoostingClassifier:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(200, 3))
    labels = (features[:, 0] + rng.normal(size=200) > 0).astype(int)
    return HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(features, labels)


def lay_out(folder: Path, *, policy: str = "step = 1\n", seed: int = 0) -> CandidateFiles:
    folder.mkdir(parents=True)
    serialize.dump(fit(seed), folder / "default_model.skops")
    (folder / "features.toml").write_text("utilization = 1\n")
    (folder / "limit_policy.toml").write_text(policy)
    # Like the policy's own digest, it is one of what is said and not of how it is written.
    said = "\n".join(line.partition("#")[0].strip() for line in policy.strip().splitlines())
    (folder / "limitline.json").write_text(
        json.dumps({"horizon_months": 1, "policy_digest": canonical.digest(said)})
    )
    (folder / "model.py").write_text(PYTHON_MODEL)
    code = folder / "code" / "travelling"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text('"""Code that travels."""\n')
    names = ("default_model.skops", "features.toml", "limit_policy.toml", "limitline.json")
    return CandidateFiles(
        python_model=folder / "model.py",
        artifacts={Path(name).stem: folder / name for name in names},
        code_paths=[code],
        signature_input=pa.schema([("utilization", pa.float64()), ("months", pa.int64())]),
        signature_output=pa.schema([("limit_after_minor", pa.int64())]),
        pip_requirements=["scikit-learn==1.9.1"],
        signature_params={"as_of": "2026-01-05"},
    )


@pytest.fixture
def candidate(tmp_path: Path) -> Callable[..., CandidateFiles]:
    """Lay out one more candidate, each in a folder of its own."""

    def make(**wanted: object) -> CandidateFiles:
        number = len(list(tmp_path.glob("candidate*")))
        return lay_out(tmp_path / f"candidate {number}", **wanted)

    return make


LINEAGE = {"data_digest": "ab" * 32, "code_commit": "cd" * 20, "lock_digest": "ef" * 32, "seed": 7}


def begin(home: Settings) -> None:
    people = signing.create_people(home.keyring)
    Ledger.open(home.ledger, Signer.open(home.keyring, "ledger"), people=people)


@pytest.fixture(scope="session")
def _template(_migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one home with one submitted version; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("a home with spaces") / "var"
    shutil.copytree(_migrated, folder)
    home = Settings(home=folder)
    begin(home)
    appetites.sign(home, RiskAppetite.parse(APPETITE), DAY)
    files = lay_out(tmp_path_factory.mktemp("candidate") / "files")
    developer = Signer.open(home.keyring, "developer")
    facts = RunFacts(run_name="first", params={"recipe": "test"}, metrics={"auc": 0.77})
    submit(files, facts, LINEAGE, settings=home, signer=developer)
    return folder


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's empty database once: its migrations take longer than most tests."""
    folder = tmp_path_factory.mktemp("migrated")
    Catalogue.open(Settings(home=folder))
    return folder


@pytest.fixture
def empty_home(_migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with keys, an empty ledger and an empty catalogue."""
    shutil.copytree(_migrated, tmp_path / "my home")
    monkeypatch.setenv(settings.HOME_VARIABLE, str(tmp_path / "my home"))
    home = settings.load()
    begin(home)
    return home


@pytest.fixture
def home(_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own with one submitted version."""
    shutil.copytree(_template, tmp_path / "my home")
    monkeypatch.setenv(settings.HOME_VARIABLE, str(tmp_path / "my home"))
    return settings.load()


@pytest.fixture
def signer(home: Settings) -> Callable[[str], Signer]:
    return lambda role: Signer.open(home.keyring, role)


@pytest.fixture
def appetite() -> RiskAppetite:
    return RiskAppetite.parse(APPETITE)


@pytest.fixture
def appetite_file(tmp_path: Path) -> Path:
    path = tmp_path / "appetite.toml"
    path.write_text(APPETITE)
    return path


def measured_about(
    home: Settings,
    *,
    auc: float = 0.77,
    raise_ratio: Mapping[str, float] | None = None,
    subject: Mapping[str, str] | None = None,
) -> Evidence:
    """Make evidence about version 1: by default it opens the gate."""
    ratios = raise_ratio or {"female": 0.95, "male": 1.0}
    measurements = [_measured("accuracy.auc", auc)] + [
        _measured("fairness.raise_ratio", value, attribute="sex", group=group)
        for group, value in ratios.items()
    ]
    return Evidence(
        kind="validation",
        subject=subject or {"model": Record.load(home).manifest(1).statement.sha256},
        measurements=tuple(measurements),
        measured_on=DAY,
        not_evidenced=("outcomes after the first month",),
    )


@pytest.fixture
def evidence(home: Settings) -> Callable[..., Evidence]:
    return functools.partial(measured_about, home)


@pytest.fixture
def judged(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
    appetite: RiskAppetite,
) -> Callable[..., None]:
    """Measure version 1 as told, and let the gate judge it."""

    def make(**numbers: object) -> None:
        attestation.attest(home, evidence(**numbers), version=1, signer=signer("validator"))
        judgement.gate(home, 1, on=DAY)

    return make


POLICY_APPETITE = appetite_text(
    *THRESHOLDS,
    threshold("policy.violations", "at_most = 0", 'basis = "point"', "is_waivable = false"),
    threshold(
        "policy.impact.moved",
        'scope = { segment = "*" }',
        "at_least = 0.0",
        'basis = "point"',
        "is_waivable = false",
    ),
    version="2",
)


def policy_evidence(
    home: Settings, kind: str, *values: float, version: int = 1, measure: str = "", **subject: str
) -> Evidence:
    """Make evidence about a version's policy; one value for each segment of an impact."""
    declared = Record.load(home).manifest(version).statement.predicate["declared"]
    measures = {
        "policy-check": "policy.violations",
        "policy-impact": "policy.impact.moved",
    }
    scopes = [
        {"segment": f"segment {place}"} if kind == "policy-impact" else {}
        for place in range(len(values))
    ]
    return Evidence(
        kind=kind,
        subject={"policy": declared["policy_digest"]} | subject,
        measurements=tuple(
            Measurement(measure=measure or measures[kind], scope=scope, value=value, n=1000)
            for value, scope in zip(values, scopes, strict=True)
        ),
        measured_on=DAY,
        not_evidenced=("more than was asked",),
    )


def attach_policy_evidence(home: Settings, version: int = 1) -> None:
    """Attach every kind of policy evidence to a version, so that it opens the gate."""
    for kind, values in (
        ("policy-check", [0.0]),
        ("policy-impact", [0.08, 0.09, 0.10]),
    ):
        found = policy_evidence(home, kind, *values, version=version)
        attestation.attach(home, version, found, role=signing.Role.DEVELOPER)


@pytest.fixture(scope="session")
def _champion_template(_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one home whose version 1 went all the way; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("champion") / "var"
    shutil.copytree(_template, folder)
    home = Settings(home=folder)
    validator = Signer.open(home.keyring, "validator")
    attestation.attest(home, measured_about(home), version=1, signer=validator)
    judgement.gate(home, 1, on=DAY)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(home, 1, role=role, on=DAY)
    promotion.promote(home, 1, on=DAY)
    return folder


@pytest.fixture
def champion(home: Settings, _champion_template: Path) -> Settings:
    """The same home, with version 1 as champion."""
    shutil.rmtree(home.home)
    shutil.copytree(_champion_template, home.home)
    return home


def _measured(measure: str, value: float, **scope: str) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, value=value, low=value - 0.01, high=value + 0.01, n=6000
    )


@pytest.fixture
def submitted(home: Settings) -> ModelVersion:
    manifest = Record.load(home).manifest(1).statement
    return ModelVersion(
        version=1,
        manifest_digest=manifest.sha256,
        run_id=manifest.predicate["run_id"],
        folder=home.mlflow_artifacts / manifest.predicate["location"],
        is_new=False,
    )
