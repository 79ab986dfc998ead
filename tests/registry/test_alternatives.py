from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import pytest

from governance.errors import KeyringError, UsageError
from governance.measurement import Measurement
from governance.settings import Settings
from registry import card, evidence, offline
from registry.alternatives import ModelFamily, record_family
from registry.catalogue import Catalogue
from registry.record import Record
from registry.signing import Kind, Role, Signer
from registry.submission import RunFacts

VERSION = 1
DIFFERENCE = Measurement(
    measure="comparison.auc_difference",
    scope={"alternative": "floor"},
    value=-0.006,
    low=-0.008,
    high=-0.004,
    n=24_000,
)


def family(value: float = -0.006) -> ModelFamily:
    found = DIFFERENCE.model_copy(update={"value": value})
    return ModelFamily(
        document={"schema": "limitline/test/1", "measurements": [found]},
        headlines=[found],
        runs=[
            RunFacts(
                run_name=f"alternative {name}",
                params={"recipe": name},
                metrics={"out_of_fold.discrimination.auc": 0.78},
                tags={"limitline.study": "alternatives"},
            )
            for name in ("floor", "pairwise")
        ],
    )


def developer(home: Settings, role: Role = Role.DEVELOPER) -> Signer:
    return Signer.open(home.keyring, role)


def test_a_study_is_child_runs_a_signed_statement_and_a_part_of_the_card(home: Settings) -> None:
    made = record_family(home, VERSION, family(), signer=developer(home))
    client = Catalogue.open(home)._client
    parent = Record.load(home).manifest(VERSION).statement.predicate["run_id"]
    runs = [client.get_run(run_id) for run_id in made.run_ids]
    assert [run.info.run_name for run in runs] == ["alternative floor", "alternative pairwise"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent}
    assert {run.info.status for run in runs} == {"FINISHED"}
    (entry,) = Record.load(home).of(Kind.STUDY, VERSION)
    assert entry.statement.person.role == "developer"
    assert entry.statement.predicate["run_ids"] == list(made.run_ids)
    assert entry.statement.predicate["digest"] == made.digest
    shown = card.describe(Record.load(home), VERSION)
    assert "| comparison.auc_difference | alternative=floor | -0.006 [-0.008, -0.004] |" in shown
    assert shown == client.get_model_version("credit-limit", str(VERSION)).description


def test_the_same_study_is_recorded_once_and_another_one_takes_its_place(home: Settings) -> None:
    first, again, other, back = (
        record_family(home, VERSION, family(value), signer=developer(home))
        for value in (-0.006, -0.006, -0.009, -0.006)
    )
    assert [made.is_new for made in (first, again, other, back)] == [True, False, True, True]
    assert dataclasses.replace(again, is_new=True) == first
    assert len(tuple(Record.load(home).of(Kind.STUDY, VERSION))) == 3
    assert card.describe(Record.load(home), VERSION).count("**alternatives**") == 1


def test_nobody_but_the_developer_signs_a_study(home: Settings) -> None:
    with pytest.raises(KeyringError, match="may not sign developer-study"):
        record_family(home, VERSION, family(), signer=developer(home, Role.VALIDATOR))
    with pytest.raises(UsageError, match="no version 9"):
        record_family(home, 9, family(), signer=developer(home))
    assert tuple(Record.load(home).of(Kind.STUDY)) == ()


def test_an_evidence_pack_holds_the_study_and_verifies(home: Settings, tmp_path: Path) -> None:
    record_family(home, VERSION, family(), signer=developer(home))
    verdict = evidence.write_pack(home, tmp_path / "pack.zip", on=date(2026, 1, 5))
    assert json.dumps(verdict)


def test_what_a_child_run_holds_is_signed_file_by_file(home: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "floor"
    folder.mkdir()
    (folder / "model.txt").write_text("model")
    (tmp_path / "curve.png").write_bytes(b"curve")
    figures = {"alternatives": folder, "curve": tmp_path / "curve.png"}
    made = dataclasses.replace(family(), runs=[RunFacts(run_name="floor", figures=figures)])
    recorded = record_family(home, VERSION, made, signer=developer(home))
    entry = Record.load(home).studies(VERSION)["alternatives"]
    (held,) = entry.statement.predicate["artifacts"]
    assert held["run_id"] == recorded.run_ids[0]
    assert [file["path"] for file in held["files"]] == [
        "alternatives/floor/model.txt",
        "curve/curve.png",
    ]
    assert held["location"] == f"{held['run_id']}/artifacts"
    # The listing is of what was made; what the store gives back is just that.
    given_back = Catalogue.open(home)._client.download_artifacts(held["run_id"], "")
    assert offline.manifest(Path(given_back)) == held["files"]
