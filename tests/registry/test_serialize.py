from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from governance.errors import ContractError, IntegrityError
from registry import serialize

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(150, 3))
LABELS = (FEATURES[:, 0] + RNG.normal(size=150) > 0).astype(int)

ALLOWED = {
    "boosted": HistGradientBoostingClassifier(
        max_iter=3, random_state=0, early_stopping=True, monotonic_cst=[1, 0, -1]
    ),
    "isotonic": CalibratedClassifierCV(
        HistGradientBoostingClassifier(max_iter=3, random_state=0), method="isotonic", cv=2
    ),
    "sigmoid": CalibratedClassifierCV(LogisticRegression(), method="sigmoid", cv=2, ensemble=False),
    "additive": make_pipeline(
        ColumnTransformer(
            [("curved", SplineTransformer(n_knots=4), [0, 1])], remainder=StandardScaler()
        ),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_estimators_of_the_product_come_back_and_predict_the_same(
    tmp_path: Path, name: str
) -> None:
    estimator = ALLOWED[name].fit(FEATURES, LABELS)
    serialize.dump(estimator, tmp_path / "m.skops")
    loaded = serialize.load(tmp_path / "m.skops")

    assert np.array_equal(loaded.predict_proba(FEATURES), estimator.predict_proba(FEATURES))


@pytest.mark.parametrize("name", ALLOWED)
def test_two_dumps_differ_in_bytes_and_share_a_canonical_digest(tmp_path: Path, name: str) -> None:
    ours = serialize.dump(ALLOWED[name].fit(FEATURES, LABELS), tmp_path / "ours.skops")
    for file in ("a.skops", "b.skops"):
        skops.io.dump(ALLOWED[name].fit(FEATURES, LABELS), tmp_path / file)

    assert (tmp_path / "a.skops").read_bytes() != (tmp_path / "b.skops").read_bytes()
    digests = {serialize.canonical_digest(path) for path in tmp_path.glob("*.skops")}
    assert digests == {ours}


def test_how_many_threads_fitted_it_is_no_part_of_what_was_learned(tmp_path: Path) -> None:
    digests = set()
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="openmp"):
            model = ALLOWED["boosted"].fit(FEATURES, LABELS)
        path = tmp_path / f"{threads}.skops"
        digests.add(serialize.dump(model, path))
        with zipfile.ZipFile(path) as archive:
            assert b'"n_threads"' in archive.read("schema.json")
    assert len(digests) == 1


def test_another_model_has_another_canonical_digest(tmp_path: Path) -> None:
    model = ALLOWED["boosted"]
    first = serialize.dump(model.fit(FEATURES, LABELS), tmp_path / "a.skops")

    assert serialize.dump(model.fit(-FEATURES, LABELS), tmp_path / "b.skops") != first


@pytest.mark.parametrize(
    "estimator",
    [KNeighborsClassifier(), make_pipeline(FunctionTransformer(np.log1p), LogisticRegression())],
    ids=["another class", "a function inside"],
)
def test_a_type_outside_the_list_is_not_even_written(tmp_path: Path, estimator: Any) -> None:
    path = tmp_path / "m.skops"

    with pytest.raises(ContractError, match="plain scikit-learn classes only"):
        serialize.dump(estimator.fit(np.abs(FEATURES), LABELS), path)
    assert list(tmp_path.iterdir()) == []


def test_a_type_that_skops_trusts_by_default_is_still_refused_here(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    skops.io.dump(GaussianNB().fit(FEATURES, LABELS), path)
    assert skops.io.get_untrusted_types(file=path) == []

    with pytest.raises(IntegrityError, match="GaussianNB"):
        serialize.load(path)


@pytest.mark.parametrize(
    "node",
    [
        {"__module__": "os", "__class__": "system", "__loader__": "FunctionNode"},
        {"__module__": "builtins", "__class__": "str", "__loader__": "MethodNode"},
        {"__module__": "functools", "__class__": "partial", "__loader__": "PartialNode"},
    ],
    ids=["a function", "a method", "a partial"],
)
def test_a_node_slipped_into_the_file_is_refused(tmp_path: Path, node: dict[str, str]) -> None:
    sound, crafted = tmp_path / "a.skops", tmp_path / "b.skops"
    serialize.dump(ALLOWED["boosted"].fit(FEATURES, LABELS), sound)
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(crafted, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "schema.json":
                schema = json.loads(data)
                schema["content"]["content"]["slipped"] = node
                data = json.dumps(schema).encode()
            new.writestr(name, data)

    with pytest.raises(IntegrityError, match="does not allow"):
        serialize.load(crafted)


def test_a_file_that_is_no_skops_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.skops").write_bytes(b"\x80\x04 pickled")

    with pytest.raises(IntegrityError, match="not a skops file"):
        serialize.load(tmp_path / "m.skops")


def test_a_written_estimator_holds_no_memory_address(tmp_path: Path) -> None:
    """An address of fifteen digits reads like a resident id, and differs from run to run."""
    rows = np.random.default_rng(0).normal(size=(200, 2))
    fitted = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0)
    for name in ("one.skops", "two.skops"):
        serialize.dump(fitted, tmp_path / name)
    with zipfile.ZipFile(tmp_path / "one.skops") as archive:
        ids = re.findall(r'"__id__": (\d+)', archive.read("schema.json").decode())
        names = [name.partition(".")[0] for name in archive.namelist()]
    assert len(ids) > 20
    assert max(map(len, [*ids, *names])) < 10
    assert (tmp_path / "one.skops").read_bytes() == (tmp_path / "two.skops").read_bytes()
    again = serialize.load(tmp_path / "one.skops")
    assert (again.predict_proba(rows) == fitted.predict_proba(rows)).all()
