"""Customers of several rows: no fold splits one, no interval counts one twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

from decisions.features import FeatureSpec
from governance.measurement import Measurement
from governance.measures import calibration, comparison, customers, discrimination
from training import alternatives, evaluation, recipes
from training.alternatives import Alternative
from training.evaluation import LabeledRows

PEOPLE, DAYS = 400, 3


def panel(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A feature that names the customer and says nothing else; outcomes go with the customer."""
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(PEOPLE), DAYS)
    defaults = (rng.random(PEOPLE) < 0.3).astype(np.int64)[whose]
    name = rng.permutation(PEOPLE).astype(np.float64)[whose]
    order = rng.permutation(len(whose))
    return name[order, None], defaults[order], whose[order]


def area(found: evaluation.OutOfFold) -> Measurement:
    return discrimination.measure_auc(found.labels, found.probability, customers=found.customers)


def test_a_feature_that_names_the_customer_is_worth_nothing_out_of_fold() -> None:
    features, labels, whose = panel()

    def make() -> KNeighborsClassifier:
        return KNeighborsClassifier(1)

    torn = area(evaluation.out_of_fold(make, features, labels, seed=0))
    kept = evaluation.out_of_fold(make, features, labels, seed=0, customers=whose)
    assert (torn.value or 0) > 0.85
    blind = [area(kept).value or 0]
    for seed in range(1, 5):
        more, outcome, of = panel(seed)
        again = evaluation.out_of_fold(make, more, outcome, seed=seed, customers=of)
        blind.append(area(again).value or 0)
    assert 0.45 < np.mean(blind) < 0.55
    for person in range(PEOPLE):
        assert len(set(kept.fold[whose == person])) == 1
    # Folds keep the share of defaulting customers, as they did that of rows.
    shares = [labels[kept.fold == fold].mean() for fold in range(evaluation.FOLDS)]
    assert np.ptp(shares) < 0.03


def test_a_sigmoid_keeps_customers_together_as_well() -> None:
    features, labels, whose = panel()

    slopes = []
    for of in (None, whose):
        sigmoid = CalibratedClassifierCV(
            KNeighborsClassifier(1), method="sigmoid", cv=5, ensemble=False
        )
        fitted = evaluation.fit(sigmoid, features, labels, customers=of)
        assert fitted.cv == evaluation.FOLDS
        slopes.append(abs(fitted.calibrated_classifiers_[0].calibrators[0].a_))
    # Fitted on folds that know the customer, the sigmoid believes in what is memory.
    assert slopes[0] > 5 * slopes[1]


def test_out_of_fold_a_sigmoid_learns_from_folds_that_keep_customers_together() -> None:
    """The feature is memory: with torn folds the sigmoid would believe in it."""
    features, labels, whose = panel()

    def make() -> CalibratedClassifierCV:
        return CalibratedClassifierCV(
            KNeighborsClassifier(1), method="sigmoid", cv=5, ensemble=False
        )

    kept = evaluation.out_of_fold(make, features, labels, seed=0, customers=whose)
    assert kept.probability == pytest.approx(labels.mean(), abs=0.1)
    torn = evaluation.out_of_fold(make, features, labels, seed=0)
    assert np.ptp(torn.probability) > 0.5


def test_without_customers_every_fold_and_every_number_is_what_it_was() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(300) < 0.3).astype(np.int64)
    features = rng.normal(size=(300, 2)) + labels[:, None]
    expected = list(StratifiedKFold(5, shuffle=True, random_state=9).split(features, labels))
    for one, other in zip(
        customers.split(evaluation.folds(9), labels, None), expected, strict=True
    ):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    found = evaluation.out_of_fold(LogisticRegression, features, labels, seed=9)
    for number, (seen, held_out) in enumerate(expected):
        again = LogisticRegression().fit(features[seen], labels[seen])
        assert (found.probability[held_out] == again.predict_proba(features[held_out])[:, 1]).all()
        assert (found.fold[held_out] == number).all()


def test_rows_that_are_copies_of_each_other_make_no_interval_narrower() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(500) < 0.3).astype(np.int64)
    probability = np.clip(0.3 + 0.15 * (labels - 0.3) + 0.1 * rng.normal(size=500), 0.01, 0.99)
    whose = np.repeat(np.arange(500), 4)

    def measured(copies: int, of: np.ndarray | None) -> dict[str, Measurement]:
        part = evaluation.OutOfFold(
            labels=np.repeat(labels, copies),
            probability=np.repeat(probability, copies),
            fold=np.zeros(500 * copies, dtype=np.int64),
            customers=of,
        )
        return {found.measure: found for found in evaluation.evaluate(part, seed=0)}

    def width(found: Measurement) -> float:
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    single, torn, kept = measured(1, None), measured(4, None), measured(4, whose)
    names = ("discrimination.auc", "discrimination.ks", "calibration.brier", "accuracy.log_loss")
    for name in (*names, "calibration.slope"):
        assert kept[name].value == pytest.approx(torn[name].value)
        assert width(torn[name]) < 0.6 * width(single[name])
        assert width(kept[name]) == pytest.approx(width(single[name]), rel=0.2)
    other = np.repeat(probability + 0.05 * rng.normal(size=500), 4)
    told = [
        comparison.measure_auc_difference(
            np.repeat(labels, 4), np.repeat(probability, 4), other, seed=0, customers=of
        )
        for of in (None, whose)
    ]
    assert width(told[0]) < 0.6 * width(told[1])
    errors = [
        calibration.measure_calibration_error(
            np.repeat(labels, 4), np.repeat(probability, 4), seed=0, customers=of
        )
        for of in (None, whose)
    ]
    assert width(errors[0]) < width(errors[1])


def test_a_customer_for_each_row_gives_the_intervals_of_rows() -> None:
    rng = np.random.default_rng(6)
    labels = (rng.random(400) < 0.3).astype(np.int64)
    scores = rng.normal(size=400) + labels
    plain = discrimination.measure_auc(labels, scores)
    own = discrimination.measure_auc(labels, scores, customers=np.arange(400))
    assert own.value == plain.value
    assert own.low == pytest.approx(plain.low, abs=1e-3)
    ks = [
        discrimination.measure_ks(labels, scores, seed=1, customers=of)
        for of in (None, np.arange(400)[::-1].copy())
    ]
    assert ks[0].value == ks[1].value
    assert ks[0].low == pytest.approx(ks[1].low, abs=0.03)


def test_alternatives_are_judged_on_folds_that_keep_customers_together(
    shop_spec: str,
) -> None:
    spec = FeatureSpec.parse(shop_spec)
    name, labels, whose = panel()
    rng = np.random.default_rng(1)
    features = np.column_stack([name, rng.normal(size=(len(labels), 2))])
    quick = dataclasses.replace(recipes.CHAMPION, parameters={"max_iter": 5})
    (first,) = alternatives.evaluate_family(
        [Alternative(name="own", title="Own", recipe=quick, features_text=shop_spec)],
        spec,
        LabeledRows(features, labels, whose),
        seed=0,
    )
    result = first.fitted.out_of_fold
    assert result.customers is not None
    kept = {(int(one), int(fold)) for one, fold in zip(whose, result.fold, strict=True)}
    assert len(kept) == PEOPLE
