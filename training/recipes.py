"""Model recipes: which estimator, with which parameters, made of scikit-learn classes only.

A recipe never reweights classes: balanced weights move the mean of the default probability away
from the default rate, and a limit is decided on the probability, not on its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from governance.errors import UsageError

Parameter = int | float | str | bool


class Family(StrEnum):
    """What kind of model a recipe fits."""

    BOOSTING = "boosting"
    SPLINES = "splines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to fit a default probability.

    Parameters
    ----------
    name : str
        Name in the catalogue, such as ``champion``.
    title : str
        One line for people.
    parameters : mapping
        Parameters of the family's model; recorded with every candidate.
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]
    family: Family = Family.BOOSTING

    def estimator(self, signs: Sequence[int], *, seed: int) -> Any:
        """Return an unfitted scikit-learn classifier for features with these declared directions.

        Parameters
        ----------
        signs : sequence of {-1, 0, 1}
            Direction in which each feature may move the default probability, in model order.
        """
        return _MAKERS[self.family](self.parameters, signs, seed)


def _boosting(
    parameters: Mapping[str, Parameter], signs: Sequence[int], seed: int
) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        **parameters, monotonic_cst=list(signs), random_state=seed
    )


def _splines(parameters: Mapping[str, Parameter], signs: Sequence[int], seed: int) -> Any:
    """Return a logistic regression on splines, which knows no directions and draws no numbers."""
    del signs, seed
    given = dict(parameters)
    regression = LogisticRegression(C=given.pop("C"), max_iter=given.pop("max_iter"))
    # Knots lie at quantiles and the curves end flat, so a payment of a million moves nothing.
    splines = SplineTransformer(
        **given, knots="quantile", extrapolation="constant", include_bias=False
    )
    return make_pipeline(splines, StandardScaler(), regression)


_MAKERS: Mapping[Family, Callable[[Mapping[str, Parameter], Sequence[int], int], Any]] = {
    Family.BOOSTING: _boosting,
    Family.SPLINES: _splines,
}

_SHARED: Mapping[str, Parameter] = {
    "learning_rate": 0.03,
    "min_samples_leaf": 60,
    "l2_regularization": 5.0,
    "max_features": 0.3,
    # Early stopping would hold rows back by chance; the number of trees is a parameter instead.
    "early_stopping": False,
}

CHAMPION = Recipe(
    name="champion",
    title="Monotone gradient boosting",
    parameters={**_SHARED, "max_iter": 350, "max_leaf_nodes": 12},
)
# A sum of steps learns slower than trees of many features: stopped at half of these iterations it
# is too flat, and no sigmoid mends that shape.
CHALLENGER = Recipe(
    name="challenger",
    title="Monotone additive gradient boosting",
    parameters={
        **_SHARED,
        "learning_rate": 0.06,
        "max_iter": 700,
        "max_leaf_nodes": 3,
        "interaction_cst": "no_interactions",
    },
)
PAIRWISE = Recipe(
    name="pairwise",
    title="Monotone gradient boosting, at most two features together",
    parameters={**CHAMPION.parameters, "interaction_cst": "pairwise"},
)
SIMPLER = Recipe(
    name="simpler",
    title="Monotone gradient boosting of four leaves",
    parameters={**CHAMPION.parameters, "max_iter": 200, "max_leaf_nodes": 4, "learning_rate": 0.06},
)
FLOOR = Recipe(
    name="floor",
    title="Logistic regression on splines, what every other model must beat",
    parameters={"n_knots": 5, "degree": 2, "C": 0.1, "max_iter": 500},
    family=Family.SPLINES,
)
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (CHAMPION, CHALLENGER, PAIRWISE, SIMPLER, FLOOR)
}


def choose(name: str | None, *, is_challenger: bool) -> Recipe:
    """Return the recipe of that name; without one, the challenger if asked, else the champion.

    Raises
    ------
    UsageError
        If there is no such recipe, or both were asked for and differ.
    """
    wanted = name or (CHALLENGER.name if is_challenger else CHAMPION.name)
    if wanted not in RECIPES:
        raise UsageError(f"There is no recipe {wanted}; known: {', '.join(RECIPES)}.")
    if is_challenger and wanted != CHALLENGER.name:
        raise UsageError(f"--challenger is --recipe {CHALLENGER.name}; give one of the two.")
    return RECIPES[wanted]
