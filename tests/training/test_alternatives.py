from __future__ import annotations

import numpy as np
import pytest

from decisions import features as declared
from decisions.features import FeatureSpec
from governance.errors import ContractError
from training import alternatives
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
