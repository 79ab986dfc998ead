"""Model recipes: which estimator, with which parameters, made of scikit-learn classes only.

A recipe never reweights classes: balanced weights move the mean of the default probability away
from the default rate, and a limit is decided on the probability, not on its rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sklearn.ensemble import HistGradientBoostingClassifier

Parameter = int | float | str | bool


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
        Parameters of ``HistGradientBoostingClassifier``; recorded with every candidate.
    """

    name: str
    title: str
    parameters: Mapping[str, Parameter]

    def estimator(self, signs: Sequence[int], *, seed: int) -> HistGradientBoostingClassifier:
        """Return an unfitted estimator for features with these declared directions.

        Parameters
        ----------
        signs : sequence of {-1, 0, 1}
            Direction in which each feature may move the default probability, in model order.
        """
        return HistGradientBoostingClassifier(
            **self.parameters, monotonic_cst=list(signs), random_state=seed
        )


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
CHALLENGER = Recipe(
    name="challenger",
    title="Monotone additive gradient boosting, an exact points table",
    parameters={
        **_SHARED,
        "max_iter": 500,
        "max_leaf_nodes": 6,
        "interaction_cst": "no_interactions",
    },
)
