"""The family of a version: its spec texts, its fits, its child runs, its statement and its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from decisions import features as declared
from decisions.features import FeatureSpec
from governance.errors import ContractError
from governance.settings import HOME_VARIABLE, Settings
from limitline.commands import app
from registry import card, serialize
from registry.alternatives import ESTIMATOR_FILE, FAMILY, FEATURES_FILE
from registry.catalogue import Catalogue
from registry.record import Record
from registry.signing import Kind
from training import alternatives, evaluation
from training.alternatives import Alternative, evaluate_family, family, without
from training.evaluation import LabeledRows
from training.recipes import Recipe

DERIVED = ("util_now", "util_avg_6m", "util_max_6m", "util_trend", "pay_sum_3m_to_limit")


@pytest.fixture(scope="module")
def text() -> str:
    return declared.packaged("uci_features")


def test_the_family_is_fixed_and_every_structure_is_another(text: str) -> None:
    made = family(text, proxies=("bill_min",))
    assert [alternative.name for alternative in made] == [
        *("champion", "challenger", "pairwise", "simpler", "floor", "no_limit", "no_proxies")
    ]
    told = {(a.recipe.name, FeatureSpec.parse(a.features_text).digest) for a in made}
    assert len(told) == len(made)
    assert len(family(text)) == 6


def test_nothing_derived_from_the_limit_reads_a_limit(text: str) -> None:
    spec, made = FeatureSpec.parse(text), {a.name: a for a in family(text)}
    left = FeatureSpec.parse(made["no_limit"].features_text)
    assert set(spec.names) - set(left.names) == set(DERIVED)
    assert "reference_limit" not in left.sources
    assert left.id == "uci-features-no_limit"
    kept = [feature for feature in spec.features if feature.name not in DERIVED]
    assert list(left.features) == kept
    assert left.inputs == spec.inputs


@pytest.mark.parametrize(
    ("packaged", "dropped"),
    [
        ("world_consumer_features", {"utilization_now", "utilization_mean_6m"}),
        ("world_business_features", {"utilization_now", "utilization_mean_6m"}),
    ],
)
def test_a_frozen_limit_of_another_name_is_a_limit(packaged: str, dropped: set[str]) -> None:
    whole = declared.packaged(packaged)
    made = {a.name: FeatureSpec.parse(a.features_text) for a in family(whole)}
    assert set(made["champion"].names) - set(made["no_limit"].names) == dropped


def test_dropping_nothing_known_or_everything_is_refused(shop_spec: str) -> None:
    with pytest.raises(ContractError, match="no feature weather"):
        without(shop_spec, ("weather",), suffix="x")
    with pytest.raises(ContractError, match="at least one"):
        without(shop_spec, ("arrears", "load", "turnover"), suffix="x")
    flat = shop_spec.replace("[[features]]\nname", "[[ features ]]\nname")
    with pytest.raises(ContractError, match="block per feature"):
        without(flat, ("load",), suffix="x")


def test_each_alternative_is_measured_against_the_champion_on_the_same_folds(
    shop_spec: str,
) -> None:
    spec = FeatureSpec.parse(shop_spec)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1_500, 3))
    odds = features @ np.array([1.0, 1.5, -1.0]) - 1
    labels = (rng.random(1_500) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    quick = Recipe(name="q", title="Q", parameters={"max_iter": 20, "early_stopping": False})
    made = [
        Alternative(name=name, title=name, recipe=quick, features_text=features_text)
        for name, features_text in (
            ("whole", shop_spec),
            ("less", without(shop_spec, ("load",), suffix="less")),
        )
    ]
    whole, less = evaluate_family(made, spec, LabeledRows(features, labels), seed=0)
    assert [found.alternative.name for found in (whole, less)] == ["whole", "less"]
    assert (whole.fitted.out_of_fold.fold == less.fitted.out_of_fold.fold).all()
    itself, difference = whole.measurements[-1], less.measurements[-1]
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)
    assert difference.measure == "comparison.auc_difference"
    assert difference.scope == {"against": "whole"}
    # The strongest feature is gone, so the loss is no chance.
    assert difference.high < 0  # type: ignore[operator]


def test_an_alternative_of_other_features_is_refused(shop_spec: str, text: str) -> None:
    spec = FeatureSpec.parse(shop_spec)
    with pytest.raises(ContractError, match="which corner-shops has not"):
        next(
            alternatives.evaluate_family(
                family(text)[:1],
                spec,
                LabeledRows(np.zeros((4, 3)), np.array([0, 1, 0, 1])),
                seed=0,
            )
        )


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
