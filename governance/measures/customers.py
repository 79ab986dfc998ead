"""Customers of several rows: what keeps the rows of one customer together.

Two rows of one customer are no two witnesses. A fold that holds one and learns from the other
tests memory, and an interval that counts both as news is too narrow. Where every customer has one
row there is nothing to keep together; ``None`` says so, and nothing here changes anything then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Customers = NDArray[np.int64]
"""The number of each row's customer, shape ``(n_rows,)``."""

Rows = NDArray[np.intp]


def split(
    splitter: Any, labels: NDArray[np.int64], customers: Customers | None
) -> Iterator[tuple[Rows, Rows]]:
    """Yield rows to learn from and rows to test, with no customer among both.

    Parameters
    ----------
    splitter
        A splitter of scikit-learn that keeps shares of outcomes. A customer's outcome is whether
        any of its rows defaulted.
    """
    if customers is None:
        yield from splitter.split(np.zeros((len(labels), 1)), labels)
        return
    _, own = np.unique(customers, return_inverse=True)
    worst = np.zeros(own.max() + 1, dtype=np.int64)
    np.maximum.at(worst, own, labels)
    for _, left_out in splitter.split(worst[:, None], worst):
        is_left_out = np.zeros(len(worst), dtype=np.bool_)
        is_left_out[left_out] = True
        yield np.flatnonzero(~is_left_out[own]), np.flatnonzero(is_left_out[own])


def draws(customers: Customers, number: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Yield how often each row is in a draw of customers with replacement, ``(n_rows,)``."""
    _, own = np.unique(customers, return_inverse=True)
    n = int(own.max()) + 1
    for _ in range(number):
        yield np.bincount(rng.integers(0, n, n), minlength=n)[own]


def error_of_sum(parts: NDArray[np.float64], customers: Customers) -> float:
    """Return the standard error of the sum of centered parts, one a row, over drawn customers.

    Not a number with one customer, whose spread nobody knows.

    References
    ----------
    Obuchowski, N. (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53.
    """
    covariance = covariance_of_sum(parts[:, None], customers)
    return float(np.sqrt(covariance[0, 0]))


def covariance_of_sum(parts: NDArray[np.float64], customers: Customers) -> NDArray[np.float64]:
    """Return the covariance of the column sums of ``(n_rows, n_columns)`` over drawn customers."""
    _, own = np.unique(customers, return_inverse=True)
    n = int(own.max()) + 1
    if n < 2:
        return np.full((parts.shape[1], parts.shape[1]), np.nan)
    sums = np.column_stack([np.bincount(own, weights=column) for column in parts.T])
    covariance: NDArray[np.float64] = (sums.T @ sums).astype(np.float64) * (n / (n - 1))
    return covariance
