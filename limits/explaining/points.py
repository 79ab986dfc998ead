"""The exact points table: an additive model as plain numbers that score without scikit-learn.

A model without interactions is a sum of step functions, one per feature. Written out, those steps
are the model: a person can read them, any language can add them up, and no library release can
change what they say.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from governance.errors import ContractError
from limits.explaining.exact_document import ExactDocument

Matrix = NDArray[np.float64]
Scores = NDArray[np.float64]

FILE = "points.json"

# Blocks of this many rows stay in the processor's cache while their features are looked up.
_BLOCK_ROWS = 16_384


class Steps(BaseModel):
    """The points of one feature: a step function, constant between its edges.

    Parameters
    ----------
    edges : tuple of float
        Ascending; a value equal to an edge belongs to the step on its left.
    points : tuple of float
        Log-odds of each step, one more than there are edges.
    missing : float or None
        Log-odds of a missing value; ``None`` refuses one, because the model never saw any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    edges: tuple[FiniteFloat, ...]
    points: tuple[FiniteFloat, ...] = Field(min_length=1)
    missing: FiniteFloat | None = None

    @model_validator(mode="after")
    def _is_a_step_function(self) -> Steps:
        if len(self.points) != len(self.edges) + 1:
            raise ValueError("there must be one more point than there are edges")
        if any(left >= right for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        return self


class PointsTable(ExactDocument):
    """An additive default probability, exactly.

    ``log_odds(x) = constant + sum of points``, then ``p = 1 / (1 + exp(-(intercept + slope *
    log_odds)))``; slope and intercept are 1 and 0 where the model needed no sigmoid.
    """

    called: ClassVar[str] = "a points table"

    schema_: Literal["points-table/1"] = Field(default="points-table/1", alias="schema")
    constant: FiniteFloat
    slope: FiniteFloat = 1.0
    intercept: FiniteFloat = 0.0
    features: tuple[Steps, ...] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in model order."""
        return tuple(steps.name for steps in self.features)

    @property
    def cells(self) -> int:
        """How many numbers a reader would have to look at."""
        return sum(len(steps.points) for steps in self.features)

    @cached_property
    def _arrays(self) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
        return tuple((np.array(steps.edges), np.array(steps.points)) for steps in self.features)

    def terms(self, features: Matrix) -> Matrix:
        """Return the points of every feature, ``(n_rows, n_features)``, in log-odds.

        Raises
        ------
        ContractError
            If the number of columns differs, or a value is missing where the model saw none.
        """
        self._refuse_foreign(features)
        found = np.empty(features.shape)
        for column in range(features.shape[1]):
            found[:, column] = self._points(column, features[:, column])
        return found

    def decision_function(self, features: Matrix) -> Scores:
        """Return the log-odds before the sigmoid, ``(n_rows,)``.

        Raises
        ------
        ContractError
            As `terms`.
        """
        self._refuse_foreign(features)
        total = np.full(len(features), self.constant)
        for start in range(0, len(features), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            for column in range(features.shape[1]):
                total[rows] += self._points(column, features[rows, column])
        return total

    def predict_proba(self, features: Matrix) -> Matrix:
        """Return the probabilities of no default and of default, ``(n_rows, 2)``.

        The shape is scikit-learn's, so that `limits.scoring.score` takes the table for a model.
        """
        odds = self.intercept + self.slope * self.decision_function(features)
        # The tail that is computed is the one in which the exponential cannot overflow.
        tail = np.exp(-np.abs(odds))
        likely, unlikely = 1 / (1 + tail), tail / (1 + tail)
        default = np.where(odds >= 0, likely, unlikely)
        return np.column_stack([np.where(odds >= 0, unlikely, likely), default])

    def _points(self, column: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        edges, points = self._arrays[column]
        found: NDArray[np.float64] = points[np.searchsorted(edges, values, side="left")]
        is_missing = np.isnan(values)
        if not is_missing.any():
            return found
        steps = self.features[column]
        if steps.missing is None:
            raise ContractError(
                f"The feature {steps.name} is missing in {int(is_missing.sum())} rows; the model "
                "was fitted without such values. Mend the column or declare how it is filled."
            )
        return np.where(is_missing, steps.missing, found)

    def _refuse_foreign(self, features: Matrix) -> None:
        if features.ndim != 2 or features.shape[1] != len(self.features):
            raise ContractError(
                f"The points table has {len(self.features)} features; a matrix of shape "
                f"{features.shape} was given."
            )
