from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable

import pyarrow as pa
import pytest
import skops.io
from sklearn.neighbors import KNeighborsClassifier

from governance.errors import ContractError, IntegrityError, KeyringError
from governance.settings import Settings
from registry import offline
from registry.catalogue import CHALLENGER, MODEL_NAME, Catalogue, tracking_uri
from registry.record import Record
from registry.signing import Signer
from registry.submission import CandidateFiles, RunFacts, submit

LINEAGE = {"data_digest": "ab" * 32, "seed": 7}
FACTS = RunFacts(run_name="a run", params={"recipe": "boosted"}, metrics={"auc": 0.77})


def _submit(home: Settings, files: CandidateFiles, **lineage: object) -> object:
    developer = Signer.open(home.keyring, "developer")
    return submit(files, FACTS, {**LINEAGE, **lineage}, settings=home, signer=developer)


def test_a_candidate_is_numbered_signed_recorded_and_shown(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    made = _submit(empty_home, candidate())
    entry = Record.load(empty_home).manifest(1)
    predicate = entry.statement.predicate
    paths = {file["path"] for file in predicate["files"]}

    assert (made.version, made.is_new) == (1, True)
    assert entry.statement.person.role == "developer"
    assert entry.statement.sha256 == made.manifest_digest
    assert predicate["files"] == offline.manifest(made.folder)
    assert predicate["lineage"] == {"data_digest": "ab" * 32, "seed": 7}
    assert {"MLmodel", "model.py", "code/travelling/__init__.py"} < paths
    assert "artifacts/default_model.skops" in paths
    assert " " in str(made.folder), "The home of these tests has a space in its path."
    assert Catalogue.open(empty_home).alias_version(CHALLENGER) == 1


def test_the_catalogue_shows_run_lineage_and_signature(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    _submit(empty_home, candidate())
    connection = sqlite3.connect(empty_home.mlflow_database)
    tags = dict(connection.execute("SELECT key, value FROM model_version_tags").fetchall())
    metrics = connection.execute("SELECT key, value FROM metrics").fetchall()
    params = connection.execute("SELECT key, value FROM params").fetchall()
    status = connection.execute("SELECT status FROM runs").fetchall()
    connection.close()

    assert tags["limitline.lineage.data_digest"] == "ab" * 32
    assert tags["limitline.state"] == "submitted"
    assert ("auc", 0.77) in metrics
    assert ("recipe", "boosted") in params
    assert status == [("FINISHED",)]


def test_the_same_candidate_is_submitted_once_even_if_fitted_again(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    first, again = _submit(empty_home, candidate()), _submit(empty_home, candidate())

    assert (again.version, again.is_new) == (1, False)
    assert again.manifest_digest == first.manifest_digest


def test_another_policy_or_other_data_make_another_version(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    numbers = [
        _submit(empty_home, candidate()).version,
        _submit(empty_home, candidate(policy="step = 2\n")).version,
        _submit(empty_home, candidate(), data_digest="00" * 32).version,
    ]

    assert numbers == [1, 2, 3]


def test_a_candidate_whose_files_were_edited_since_is_submitted_anew(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    first = _submit(empty_home, candidate())
    (first.folder / "MLmodel").write_text("edited")

    assert _submit(empty_home, candidate()).version == 2


def test_a_submission_killed_before_its_statement_is_not_adopted(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    Catalogue.open(empty_home).log_model(candidate(), facts=FACTS)

    assert _submit(empty_home, candidate()).version == 2
    assert Record.load(empty_home).versions() == (2,)


def test_only_the_developer_submits(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    validator = Signer.open(empty_home.keyring, "validator")

    with pytest.raises(KeyringError, match="validator may not sign model-manifest"):
        submit(candidate(), FACTS, LINEAGE, settings=empty_home, signer=validator)


def test_an_estimator_that_could_not_be_loaded_is_not_logged(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    files = candidate()
    model = KNeighborsClassifier().fit([[0.0], [1.0]], [0, 1])
    skops.io.dump(model, files.artifacts["default_model"])

    with pytest.raises(IntegrityError, match="KNeighborsClassifier"):
        _submit(empty_home, files)
    assert Catalogue.open(empty_home).versions() == ()


def test_a_signature_column_without_a_catalogue_type_is_refused(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    files = dataclasses.replace(
        candidate(), signature_input=pa.schema([("bills", pa.list_(pa.int64()))])
    )

    with pytest.raises(ContractError, match="list<"):
        _submit(empty_home, files)


def test_a_catalogue_that_starts_numbering_again_is_refused(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    from mlflow import MlflowClient

    _submit(empty_home, candidate())
    MlflowClient(tracking_uri(empty_home)).delete_registered_model(MODEL_NAME)

    with pytest.raises(IntegrityError, match="version 1 again"):
        _submit(empty_home, candidate(policy="step = 2\n"))
