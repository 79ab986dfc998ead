"""Probe rows: a seeded set of made-up customers on which two models can be compared.

The rows are drawn inside the range of each feature and belong to nobody. A range runs from the
feature's 1st to its 99th percentile, so that no single extreme customer can be read from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.evaluation import Matrix

ROWS = 512
SEED = 20_260_301

Ranges = Sequence[tuple[float, float]]


def ranges(features: Matrix) -> list[tuple[float, float]]:
    """Return low and high of each feature."""
    low, high = np.quantile(features, [0.01, 0.99], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def rows(between: Ranges, *, seed: int = SEED) -> Matrix:
    """Return made-up rows, ``(512, n_features)``; half of them are whole numbers.

    Trees split counts between whole numbers, so fractions alone would probe them badly.
    """
    rng = np.random.default_rng(seed)
    low, high = np.array(between, dtype=np.float64).T
    made: Matrix = rng.uniform(low, high, size=(ROWS, len(low)))
    made[: ROWS // 2] = np.round(made[: ROWS // 2])
    return made
