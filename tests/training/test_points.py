from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from governance.errors import ContractError, IntegrityError
from limits import features as declared
from limits import scoring
from limits.explaining.points import PointsTable, Steps
from training import evaluation, points, recipes

NAMES = ("arrears", "load", "turnover")
SIGNS = (1, 0, -1)


def world(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.poisson(0.5, n), rng.normal(size=n), rng.gamma(2, 1, n)])
    odds = features[:, 0] + np.sin(features[:, 1]) - features[:, 2] - 0.5
    return features, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def additive(**changed: object) -> HistGradientBoostingClassifier:
    usual = {"max_iter": 60, "interaction_cst": "no_interactions", "max_leaf_nodes": 6}
    return HistGradientBoostingClassifier(**(usual | changed), random_state=0)


@pytest.fixture(scope="module")
def sigmoid() -> CalibratedClassifierCV:
    features, labels = world(2_000)
    wrapped = CalibratedClassifierCV(additive(), method="sigmoid", cv=5, ensemble=False)
    return evaluation.fit(wrapped, features, labels)


@pytest.fixture(scope="module")
def table(sigmoid: CalibratedClassifierCV) -> PointsTable:
    return points.export(sigmoid, NAMES)


def test_the_table_is_the_model_on_the_real_customers(
    uci_spec: declared.FeatureSpec, uci_design: tuple[np.ndarray, np.ndarray]
) -> None:
    features, labels = uci_design
    recipe = recipes.CHALLENGER.estimator(uci_spec.signs, seed=0)
    fitted = evaluation.fit(recipe, features[:8_000], labels[:8_000])
    found = points.export(fitted, uci_spec.names)
    error = np.abs(found.decision_function(features) - fitted.decision_function(features))
    assert error.max() <= 1e-12
    assert np.abs(found.predict_proba(features) - fitted.predict_proba(features)).max() <= 1e-12
    for steps, sign in zip(found.features, uci_spec.signs, strict=True):
        assert sign == 0 or (np.diff(steps.points) * sign >= -1e-12).all()


def test_the_sigmoid_is_part_of_the_table(
    sigmoid: CalibratedClassifierCV, table: PointsTable
) -> None:
    features, _ = world(3_000, seed=1)
    assert np.abs(table.predict_proba(features) - sigmoid.predict_proba(features)).max() <= 1e-12
    assert table.slope != 1.0


def test_the_terms_add_up_to_the_log_odds(table: PointsTable) -> None:
    features, _ = world(20_000, seed=2)
    total = table.constant + table.terms(features).sum(axis=1)
    assert np.abs(total - table.decision_function(features)).max() <= 1e-12


@given(value=st.floats(allow_nan=False), column=st.integers(0, 2))
@settings(deadline=None, max_examples=200)
def test_no_value_is_scored_otherwise_than_by_the_model(
    sigmoid: CalibratedClassifierCV, table: PointsTable, value: float, column: int
) -> None:
    row = np.array([[0.0, 0.1, 2.0]])
    row[0, column] = value
    told, known = table.predict_proba(row), sigmoid.predict_proba(row)
    assert np.abs(told - known).max() <= 1e-12


def test_an_edge_belongs_to_the_step_on_its_left(
    sigmoid: CalibratedClassifierCV, table: PointsTable
) -> None:
    edges = np.array(table.features[1].edges)
    around = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)])
    rows = np.column_stack([np.zeros_like(around), around, np.ones_like(around)])
    assert np.abs(table.predict_proba(rows) - sigmoid.predict_proba(rows)).max() <= 1e-12


def test_a_missing_value_is_refused_where_the_model_saw_none(table: PointsTable) -> None:
    features, _ = world(10)
    features[3, 1] = np.nan
    with pytest.raises(ContractError, match="load is missing in 1 rows"):
        table.predict_proba(features)


def test_a_missing_value_has_the_points_that_the_model_gives_it() -> None:
    features, labels = world(3_000)
    rng = np.random.default_rng(5)
    # Customers without a turnover default more often, so that missing is information.
    is_missing = (labels == 1) & (rng.random(3_000) < 0.6) | (rng.random(3_000) < 0.05)
    features[is_missing, 2] = np.nan
    fitted = evaluation.fit(additive(), features, labels)
    found = points.export(fitted, NAMES, missing_in=("turnover",))
    known = fitted.decision_function(features)
    assert np.abs(found.decision_function(features) - known).max() <= 1e-12
    assert found.features[2].missing > max(found.features[2].points) - 1.0  # type: ignore[operator]
    assert PointsTable.loads(found.dumps()) == found


def test_the_text_is_the_table_to_the_last_bit(table: PointsTable) -> None:
    again = PointsTable.loads(table.dumps())
    assert again == table
    assert again.dumps() == table.dumps()
    assert again.digest == table.digest
    features, _ = world(500, seed=3)
    assert (again.predict_proba(features) == table.predict_proba(features)).all()


def test_a_table_scores_where_there_is_no_scikit_learn(table: PointsTable, tmp_path: Path) -> None:
    features, _ = world(50, seed=4)
    (tmp_path / "points.json").write_bytes(table.dumps())
    np.save(tmp_path / "rows.npy", features)
    program = (
        "import sys, pathlib, numpy as np\n"
        "from limits.explaining.points import PointsTable\n"
        f"place = pathlib.Path({str(tmp_path)!r})\n"
        "table = PointsTable.loads((place / 'points.json').read_bytes())\n"
        "np.save(place / 'told.npy', table.predict_proba(np.load(place / 'rows.npy')))\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'sklearn', 'skops', 'scipy'}\n"
    )
    root = Path(points.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
    assert (np.load(tmp_path / "told.npy") == table.predict_proba(features)).all()


def test_the_one_path_to_a_limit_takes_a_table_for_a_model(
    shop_spec: str, make_shops: object, table: PointsTable
) -> None:
    spec, rows = declared.FeatureSpec.parse(shop_spec), make_shops(40)  # type: ignore[operator]
    scored = scoring.score(table, spec, rows)
    assert scored.num_rows == 40
    assert 0 < min(scored["default_probability"].to_pylist()) < 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain["features"][0]["points"].pop(),
        lambda plain: plain["features"][1]["edges"].reverse(),
        lambda plain: plain.pop("constant"),
        lambda plain: plain.update(note="extra"),
        lambda plain: plain.update(schema="points-table/2"),
    ],
    ids=["too few points", "edges descend", "no constant", "unknown key", "another schema"],
)
def test_a_spoiled_table_is_refused(table: PointsTable, spoil: object) -> None:
    plain = json.loads(table.dumps())
    spoil(plain)  # type: ignore[operator]
    with pytest.raises(IntegrityError, match="not a points table"):
        PointsTable.loads(json.dumps(plain))


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Steps(name="load", edges=(0.0,), points=(0.0, float("nan")))


def test_only_a_sum_of_steps_has_a_table() -> None:
    features, labels = world(800)
    isotonic = CalibratedClassifierCV(additive(), method="isotonic", cv=3, ensemble=False)
    three = np.arange(800) % 3
    for estimator, outcome in (
        (additive(interaction_cst=None, max_leaf_nodes=20), labels),
        (additive(categorical_features=[0]), labels),
        (additive(max_iter=5), three),
        (isotonic, labels),
        (CalibratedClassifierCV(additive(max_iter=5), cv=3), labels),
        (LogisticRegression(), labels),
    ):
        fitted = evaluation.fit(estimator, features, outcome)
        with pytest.raises(ContractError, match="points table"):
            points.export(fitted, NAMES)


def test_names_and_columns_must_fit(table: PointsTable) -> None:
    features, labels = world(400)
    fitted = evaluation.fit(additive(max_iter=3), features, labels)
    with pytest.raises(ContractError, match="3 features and 2 names"):
        points.export(fitted, NAMES[:2])
    with pytest.raises(ContractError, match="3 features"):
        table.terms(features[:, :2])
