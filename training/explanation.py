"""The measured reference: who the good customers of a training table are, feature by feature."""

from __future__ import annotations

import numpy as np

from decisions.explaining.reference import GOOD_BELOW, SMALLEST_REFERENCE, Reference
from decisions.features import FeatureSpec
from governance.errors import ContractError
from governance.measures.discrimination import Labels, Scores
from training.evaluation import Matrix


def make_reference(
    spec: FeatureSpec, features: Matrix, labels: Labels, probability: Scores
) -> Reference:
    """Return the reference: per feature, the middle of the good customers.

    Good customers did not default and have a default probability below 10 %. The middle is the mean
    of the central tenth and not the median, which would be one customer's value; it is rounded to
    six digits, so that the documented number is the one that is used.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_rows,)
        Out-of-fold default probabilities.

    Raises
    ------
    ContractError
        If there are fewer than 200 good customers.
    """
    good = features[(labels == 0) & (probability < GOOD_BELOW)]
    n = len(good)
    if n < SMALLEST_REFERENCE:
        raise ContractError(
            f"There are {n} good customers below a default probability of {GOOD_BELOW}; a "
            f"reference needs {SMALLEST_REFERENCE}. Explain with a reference from more customers."
        )
    middle = np.sort(good, axis=0)[int(0.45 * n) : int(0.55 * n)].mean(axis=0)
    values = tuple(float(f"{value:.6g}") for value in middle)
    return Reference(names=spec.names, values=values, n=n)
