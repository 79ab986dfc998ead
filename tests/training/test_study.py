"""Studies of a signed version: by command, in the catalogue, in the ledger and on the card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from decisions.features import FeatureSpec
from governance.errors import ContractError
from governance.settings import HOME_VARIABLE, Settings
from limitline.commands import app
from registry import card, serialize
from registry.alternatives import ESTIMATOR_FILE, FAMILY, FEATURES_FILE
from registry.catalogue import Catalogue
from registry.record import Record
<<<<<<< HEAD
from registry.signing import Kind
from training import challenge, evaluation, study
=======
from registry.signing import Kind
from training import alternatives, evaluation
>>>>>>> d9b9337 (Training is fourteen modules, an unchanged candidate is known by its inputs before anything is fitted, and the demonstration imports its libraries once)


@pytest.fixture(scope="module")
def studied(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the world's home, so that other tests see no studies."""
    place = tmp_path_factory.mktemp("studied") / "home"
    shutil.copytree(world.home.home, place)
    return Settings(home=place)


def run(home: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={HOME_VARIABLE: str(home.home)})


def told(ran: Result) -> dict[str, Any]:
    assert ran.exit_code == 0, ran.output
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


@pytest.fixture(scope="module")
def challenged(studied: Settings) -> dict[str, Any]:
    return told(run(studied, "challenge", "--version", "1", "--proxy", "load", "--json"))


def test_the_family_is_fitted_measured_and_compared_with_the_version(
    challenged: dict[str, Any],
) -> None:
    names = [made["name"] for made in challenged["alternatives"]]
    assert names == [
        *("version-1", "champion", "challenger", "pairwise", "simpler", "floor", "no_proxies")
    ]
    assert challenged["compared_with"] == "version-1"
    assert challenged["is_new"] is True
    assert challenged["proxies"] == ["load"]
    for made in challenged["alternatives"]:
        for found in made["measurements"]:
            assert found["n"] == challenged["rows"]
            assert found["scope"]["alternative"] == made["name"]
        difference = made["measurements"][-1]
        assert difference["measure"] == "comparison.auc_difference"
        assert difference["low"] <= difference["value"] <= difference["high"]
    without = challenged["alternatives"][-1]
    assert without["features"] == ["arrears", "turnover"]
    assert without["measurements"][-1]["value"] < 0


def test_each_alternative_is_a_child_run_that_holds_what_was_fitted(
    studied: Settings, challenged: dict[str, Any], tmp_path: Path
) -> None:
    client = Catalogue.open(studied)._client
    parent = Record.load(studied).manifest(1).statement.predicate["run_id"]
    for made, run_id in zip(challenged["alternatives"], challenged["run_ids"], strict=True):
        child = client.get_run(run_id)
        assert child.data.tags["mlflow.parentRunId"] == parent
        assert child.data.tags["estimator_digest"] == made["estimator_digest"]
        assert child.data.metrics["out_of_fold.comparison.auc_difference"] == pytest.approx(
            made["measurements"][-1]["value"]
        )
        folder = Path(client.download_artifacts(run_id, FAMILY, str(tmp_path)))
        (estimator,) = folder.rglob(ESTIMATOR_FILE)
        assert serialize.canonical_digest(estimator) == made["estimator_digest"]
        text = next(folder.rglob(FEATURES_FILE)).read_text(encoding="utf-8")
        spec = FeatureSpec.parse(text)
        assert spec.digest == made["features_digest"]
        scores = evaluation.predict(serialize.load(estimator), np.ones((4, len(spec.names))))
        assert ((scores > 0) & (scores < 1)).all()
        shutil.rmtree(folder)


def test_the_ledger_and_the_card_know_the_family(
    studied: Settings, challenged: dict[str, Any]
) -> None:
    record = Record.load(studied)
    (entry,) = [
        found for found in record.of(Kind.STUDY, 1) if found.statement.predicate["study"] == FAMILY
    ]
    assert entry.statement.person.role == "developer"
    assert entry.statement.predicate["digest"] == challenged["digest"]
    shown = card.describe(record, 1)
    for name in ("challenger", "pairwise", "floor", "no_proxies"):
        assert f"| comparison.auc_difference | against=version-1, alternative={name} |" in shown
        assert f"| discrimination.auc | alternative={name} |" in shown
    # The gate reads evidence; a study is none.
    assert record.evidence(1) is None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["challenge", "--version", "9"], 2, "no version 9"),
        (["challenge", "--proxy", "weather"], 10, "no feature weather to drop"),
        (["challenge", "--version", "1", "--features", "nowhere"], 2, "no feature table"),
        (["challenge", "--version", "champion"], 12, "no champion yet"),
    ],
)
def test_a_bad_request_is_one_line_and_an_exit_code(
    studied: Settings, arguments: list[str], code: int, says: str
) -> None:
    ran = run(studied, *arguments)
    assert ran.exit_code == code, ran.output
    assert says in " ".join(ran.stderr.split())
    assert ran.stdout == ""


def test_a_version_of_the_family_is_not_its_own_alternative(
    studied: Settings, challenged: dict[str, Any]
) -> None:
    subject = alternatives.take_up(studied, "1")
    assert subject.job.recipe.name == "quick"
    first, *others = alternatives.family_of(subject)
    assert first.name == "version-1"
    assert first.recipe not in [other.recipe for other in others]
    with pytest.raises(ContractError, match="no feature weather"):
        alternatives.family_of(subject, proxies=("weather",))
