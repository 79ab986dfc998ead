"""Measure CatBoost, LightGBM and XGBoost on the folds of the champion, and print the table.

None of the three is a dependency, so they live in an environment of their own::

    python -m benchmarks.training --export folds.npz
    python3 -m venv peers
    peers/bin/pip install catboost lightgbm xgboost scikit-learn pyarrow duckdb pydantic
    OMP_NUM_THREADS=1 peers/bin/python -m benchmarks.training_peers folds.npz

Every model sees the same features, folds and thread; ``monotone`` models keep the same directions.
Parameters are those of the champion where a library has them, and its usual ones where not.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from governance.measures import comparison, discrimination
from training import recipes

SEED = 0
CLOSE = 0.15

Maker = Callable[[list[int]], Any]


def catboost(signs: list[int]) -> Any:
    return importlib.import_module("catboost").CatBoostClassifier(
        iterations=350,
        learning_rate=0.03,
        depth=6,
        l2_leaf_reg=5,
        rsm=0.3,
        monotone_constraints=signs,
        random_seed=SEED,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )


def lightgbm(signs: list[int]) -> Any:
    return importlib.import_module("lightgbm").LGBMClassifier(
        n_estimators=350,
        learning_rate=0.03,
        num_leaves=12,
        min_child_samples=60,
        reg_lambda=5,
        colsample_bytree=0.3,
        monotone_constraints=signs,
        random_state=SEED,
        n_jobs=1,
        verbose=-1,
    )


def xgboost(signs: list[int]) -> Any:
    return importlib.import_module("xgboost").XGBClassifier(
        n_estimators=350,
        learning_rate=0.03,
        max_leaves=12,
        grow_policy="lossguide",
        max_depth=0,
        min_child_weight=10,
        reg_lambda=5,
        colsample_bynode=0.3,
        tree_method="hist",
        monotone_constraints=tuple(signs),
        random_state=SEED,
        n_jobs=1,
    )


def champion(signs: list[int]) -> Any:
    return recipes.CHAMPION.estimator(signs, seed=SEED)


PEERS: Mapping[str, Maker] = {"catboost": catboost, "lightgbm": lightgbm, "xgboost": xgboost}


def measure(make: Maker, data: Mapping[str, np.ndarray], signs: list[int]) -> tuple[Any, float]:
    """Return out-of-fold probabilities and the mean CPU seconds of one fit."""
    told, seconds = np.empty(len(data["labels"])), []
    for fold in np.unique(data["fold"]):
        left_out = data["fold"] == fold
        estimator = make(signs)
        started = time.process_time()
        estimator.fit(data["features"][~left_out], data["labels"][~left_out])
        seconds.append(time.process_time() - started)
        told[left_out] = estimator.predict_proba(data["features"][left_out])[:, 1]
    return told, float(np.mean(seconds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folds", type=Path, help="written by benchmarks.training --export")
    with np.load(parser.parse_args().folds) as archive:
        data = dict(archive)
    labels, ours = data["labels"], data["champion"]
    signed = data["signs"].tolist()
    print("| model | AUC | 95 % interval | champion minus it, AUC points, paired | CPU s a fit |")
    print("|---|---|---|---|---|")
    runs = [("champion, scikit-learn " + version("scikit-learn"), champion, signed)]
    for name, make in PEERS.items():
        called = f"{name} {version(name)}"
        runs += [(called, make, [0] * len(signed)), (f"{called}, monotone", make, signed)]
    gaps, seconds = {}, {}
    for name, make, signs in runs:
        told, seconds[name] = measure(make, data, signs)
        auc = discrimination.measure_auc(labels, told)
        gap = comparison.measure_auc_difference(labels, ours, told, seed=SEED, against=name)
        value, low, high = (100 * edge for edge in (gap.value, gap.low, gap.high))
        gaps[name] = value
        print(
            f"| {name} | {auc.value:.4f} | {auc.low:.4f} … {auc.high:.4f} "
            f"| {value:+.2f} ({low:+.2f} … {high:+.2f}) | {seconds[name]:.2f} |",
            flush=True,
        )
    own, *others = seconds
    slower = [seconds[name] for name in others if name.startswith("catboost")]
    is_close = all(abs(gap) <= CLOSE for gap in gaps.values())
    is_fast = seconds[own] < min(slower)
    print(f"\nWithin ±{CLOSE} AUC points of every peer: {'met' if is_close else 'MISSED'}.")
    print(f"Fitted faster than CatBoost: {'met' if is_fast else 'MISSED'}.")
    return 0 if is_close and is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
