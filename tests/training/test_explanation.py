from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from decisions import reason_texts
from decisions.features import FeatureSpec
from decisions.model_reasons import Explanation, Reference, explain
from governance.errors import ContractError
from training import evaluation, reasons, recipes
from training.reasons import make_reference

Design = tuple[np.ndarray, np.ndarray]

GROUPS = """
schema = "feature-spec/1"
id = "three-groups"
version = "1"
title = "Simulated"
horizon_months = 12
currency = "TWD"
current_limit_column = "line"

[inputs]
current_limit_minor = "line"
balance_minor = "line"
utilization = "line"
months_delinquent = "line"
months_since_raise = "line"
months_since_cut = "line"
segment = "'consumer'"
"""


def spec_of(*features: tuple[str, str, int]) -> FeatureSpec:
    text = GROUPS
    for name, group, sign in features:
        text += (
            f'\n[[features]]\nname = "{name}"\nsql = "{name}"\nsources = ["{name}"]\n'
            f'sign = {sign}\nreason_group = "{group}"\nwhy = "Simulated."\n'
        )
    return FeatureSpec.parse(text)


SPEC = spec_of(
    ("late", "delinquency", 1),
    ("used", "utilization", 1),
    ("used_before", "utilization", 1),
    ("course", "balance", 0),
)
REFERENCE = Reference(names=SPEC.names, values=(0.0, 0.2, 0.2, 0.0), n=500)


class Line:
    """A logistic line, whose exact contributions anybody can work out."""

    weights = np.array([1.0, 2.0, 0.5, 0.3])

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        told = 1 / (1 + np.exp(2.0 - features @ self.weights))
        return np.column_stack([1 - told, told])


def test_the_contributions_are_as_worked_by_hand() -> None:
    rows = np.array([[2.0, 0.7, 0.2, 1.0], [0.0, 0.1, 0.2, -1.0]])
    found = explain(Line(), SPEC, REFERENCE, rows)
    assert found.groups == ("delinquency", "utilization", "balance")
    assert found.contributions[0] == pytest.approx([2.0, 1.0, 0.3])
    assert found.contributions[1] == pytest.approx([0.0, -0.2, -0.3])
    assert found.ranked.tolist() == [[0, 1, 2], [-1, -1, -1]]


def test_the_words_are_those_of_the_ranked_groups_in_both_languages() -> None:
    texts = reason_texts.packaged_texts()
    found = explain(Line(), SPEC, REFERENCE, np.array([[2.0, 0.7, 0.2, 0.0]]))
    assert found.reasons(0, texts) == (
        "Bills paid late in recent months",
        "High use of the granted limit",
    )
    assert found.reasons(0, texts, language="zh") == ("近几个月存在逾期还款", "额度使用率偏高")


def test_nobody_is_told_of_a_group_in_which_nothing_is_worse() -> None:
    class Odd(Line):
        weights = np.array([0.0, -3.0, 0.0, 0.0])

    # This model holds a low use of the limit against the customer, against its declared direction.
    found = explain(Odd(), SPEC, REFERENCE, np.array([[0.0, 0.0, 0.2, 0.0]]))
    assert found.contributions[0, 1] == pytest.approx(0.6)
    assert found.ranked[0].tolist() == [-1, -1, -1]


def test_there_are_never_more_than_four_reasons() -> None:
    names = [f"feature_{letter}" for letter in "abcdef"]
    spec = spec_of(*((name, f"group_{name[-1]}", 1) for name in names))
    reference = Reference(names=spec.names, values=(0.0,) * 6, n=500)

    class Sum(Line):
        weights = np.array([1.0, 6.0, 2.0, 5.0, 3.0, 4.0])

    found = explain(Sum(), spec, reference, np.ones((1, 6)))
    assert found.ranked.tolist() == [[1, 3, 5, 4]]


@pytest.fixture(scope="module")
def probability(uci_spec: FeatureSpec, uci_design: Design) -> np.ndarray:
    """Default probabilities by a champion that was fitted on a part of the real customers."""
    features, labels = uci_design
    estimator = recipes.CHAMPION.estimator(uci_spec.signs, seed=0)
    return evaluation.predict(evaluation.fit(estimator, features[:9_000], labels[:9_000]), features)


def test_the_reference_is_of_good_customers_and_of_nobody_in_particular(
    uci_spec: FeatureSpec, uci_design: Design, probability: np.ndarray
) -> None:
    features, labels = uci_design
    found = make_reference(uci_spec, features, labels, probability)
    good = features[(labels == 0) & (probability < 0.10)]
    assert found.n == len(good)
    values = dict(zip(found.names, found.values, strict=True))
    assert values["dlq_max_6m"] == 0.0
    assert values["months_since_dlq"] == 6.0
    median = np.median(good, axis=0)
    used = uci_spec.names.index("util_avg_6m")
    assert values["util_avg_6m"] == pytest.approx(median[used], rel=0.1)
    assert not (features[:, used] == values["util_avg_6m"]).any()
    assert Reference.model_validate_json(found.model_dump_json()) == found


def test_a_reference_of_a_few_customers_is_refused() -> None:
    few = np.zeros((150, 4)), np.zeros(150, dtype=np.int64), np.full(150, 0.01)
    with pytest.raises(ContractError, match="150 good customers"):
        make_reference(SPEC, *few)


def test_a_reference_of_other_features_is_refused() -> None:
    other = spec_of(("late", "delinquency", 1))
    with pytest.raises(ContractError, match="same spec"):
        explain(Line(), other, REFERENCE, np.zeros((1, 1)))
    with pytest.raises(ValidationError, match="one value per feature"):
        Reference(names=("late",), values=(0.0, 1.0), n=500)


def test_every_group_of_the_bundled_spec_has_its_words(uci_spec: FeatureSpec) -> None:
    reason_texts.check(uci_spec, reason_texts.packaged_texts())
    with pytest.raises(ContractError, match="group_x of three-groups has no wording"):
        reason_texts.check(spec_of(("late", "group_x", 1)), reason_texts.packaged_texts())


def test_a_wording_for_a_protected_attribute_is_refused() -> None:
    text = 'schema = "reason-texts/1"\nid = "x"\nversion = "1"\n[groups.sex]\nen = "a"\nzh = "b"\n'
    with pytest.raises(ContractError, match="never a reason: sex"):
        reason_texts.ReasonTexts.parse(text)


def told(*first: int) -> Explanation:
    ranked = np.array([[place] for place in first])
    return Explanation(
        groups=("one", "two"), contributions=np.zeros((len(first), 2)), ranked=ranked
    )


def test_who_is_given_a_reason_is_counted() -> None:
    assert reasons.measure_explained(told(0, -1)).value == 0.5


def test_a_reason_that_cannot_be_bettered_is_counted() -> None:
    rows = np.array([[0.0, 0.9, 0.5, 0.0], [0.0, 0.1, 0.2, 0.0], [3.0, 0.1, 0.2, 0.0]])
    ranked = np.array([[1, 0], [1, -1], [0, 2]])
    made = Explanation(
        groups=("delinquency", "utilization", "balance"),
        contributions=np.zeros((3, 3)),
        ranked=ranked,
    )
    # Late of the first row and used of the second are at their best; balance has no direction.
    found = reasons.measure_cited_at_best(made, SPEC, rows)
    assert (found.value, found.n) == (0.5, 4)
