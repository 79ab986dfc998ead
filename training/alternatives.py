"""Alternatives: a fixed family of structurally different models, so that a choice is a choice.

A law on fairness asks whether a less discriminatory model would have done as well. The question has
an answer only if such models were made. The family is fixed before anything is measured: picking
alternatives after seeing the figures would be picking figures. Training measures how well they
separate; whether one of them is fairer is for monitoring to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from decisions.features import FeatureSpec
from governance.errors import ContractError
from governance.measurement import Measurement
from training import comparison, fitted, recipes
from training.evaluation import OutOfFold
from training.fitted import Fitted, Lesson, say_nothing
from training.recipes import Recipe

_BLOCK = "[[features]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One way to build the model otherwise.

    Parameters
    ----------
    recipe : Recipe
        What is fitted.
    features_text : str
        The feature spec that it is fitted on; travels inside the model like any other.
    """

    name: str
    title: str
    recipe: Recipe
    features_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """An alternative with its out-of-fold evaluation.

    Parameters
    ----------
    fitted : Fitted
        Made like any candidate: calibrated if needed, fitted on all rows.
    measurements : tuple of Measurement
        Of the alternative as it would be handed over, then the paired difference of its area to
        that of the first one.
    """

    alternative: Alternative
    fitted: Fitted
    measurements: tuple[Measurement, ...]


def family(features_text: str, *, proxies: Sequence[str] = ()) -> tuple[Alternative, ...]:
    """Return the family on a feature spec, the champion first.

    Parameters
    ----------
    proxies : sequence of str
        Features that monitoring found to stand in for a protected attribute; training cannot know.
        Without them the alternative that drops them is left out.

    Raises
    ------
    ContractError
        If the spec cannot be used, a proxy is no feature of it, or nothing would be left.
    """
    spec = FeatureSpec.parse(features_text)
    structures = [recipes.CHAMPION, recipes.CHALLENGER, recipes.PAIRWISE, recipes.SIMPLER]
    made = [
        Alternative(name=r.name, title=r.title, recipe=r, features_text=features_text)
        for r in (*structures, recipes.FLOOR)
    ]
    derived = tuple(
        feature.name
        for feature in spec.features
        if any(name == spec.current_limit_column or is_limit(name) for name in feature.sources)
    )
    for name, title, dropped in (
        ("no_limit", "Nothing derived from the limit", derived),
        ("no_proxies", "Without the strongest proxies of protected attributes", tuple(proxies)),
    ):
        # Where every feature is derived from the limit, there is no model without it.
        if dropped and (name == "no_proxies" or set(dropped) != set(spec.names)):
            text = without(features_text, dropped, suffix=name)
            recipe = recipes.CHAMPION
            made.append(Alternative(name=name, title=title, recipe=recipe, features_text=text))
    return tuple(made)


def is_limit(column: str) -> bool:
    """Tell whether a column is named like a limit; a spec declares only the one under decision.

    Examples
    --------
    >>> is_limit("reference_limit_minor"), is_limit("unlimited")
    (True, False)
    """
    return not {"limit", "limits"}.isdisjoint(column.split("_"))


def without(features_text: str, dropped: Sequence[str], *, suffix: str) -> str:
    """Return the text of a feature spec without some features, everything else to the letter.

    Parameters
    ----------
    suffix : str
        Appended to the id, because another list of features is another spec.

    Raises
    ------
    ContractError
        If a feature is not in the spec, or nothing would be left.
    """
    spec = FeatureSpec.parse(features_text)
    foreign = sorted(set(dropped) - set(spec.names))
    if foreign:
        raise ContractError(f"The feature spec {spec.id} has no feature {foreign[0]} to drop.")
    kept = tuple(name for name in spec.names if name not in dropped)
    if not kept:
        raise ContractError(f"Every feature of {spec.id} would be dropped; keep at least one.")
    blocks = re.split(r"(?m)^(?=\[)", features_text)
    named = iter(spec.names)
    # The blocks are in the order of the features, so the parsed names tell which is which.
    text = "".join(
        block for block in blocks if not block.startswith(_BLOCK) or next(named) not in dropped
    )
    text = re.sub(r'(?m)^id = "[^"]*"', f'id = "{spec.id}-{suffix}"', text, count=1)
    if FeatureSpec.parse(text).names != kept:
        raise ContractError(
            f"The text of {spec.id} is not laid out as one {_BLOCK} block per feature."
        )
    return text


def evaluate_family(
    alternatives: Sequence[Alternative],
    spec: FeatureSpec,
    lesson: Lesson,
    *,
    seed: int,
    done: Callable[[str], None] = say_nothing,
) -> Iterator[Evaluated]:
    """Make every alternative on the same folds of the same customers, one by one.

    Parameters
    ----------
    alternatives : sequence of Alternative
        The first one is what the others are compared with.
    spec : FeatureSpec
        The full spec, whose columns the features have; alternatives use some of them.

    Raises
    ------
    ContractError
        If an alternative needs a feature that the full spec has not.
    """
    base: OutOfFold | None = None
    for alternative in alternatives:
        columns, signs = _columns(alternative, spec)
        rows = lesson._replace(features=lesson.features[:, columns])
        made = fitted.make(alternative.recipe, signs, rows, seed=seed, done=done)
        result = made.out_of_fold
        base = base or result
        difference = comparison.measure_auc_difference(
            lesson.labels,
            result.probability,
            base.probability,
            seed=seed,
            against=alternatives[0].name,
            customers=lesson.customers,
        )
        yield Evaluated(
            alternative=alternative, fitted=made, measurements=(*made.evaluation, difference)
        )


def _columns(alternative: Alternative, spec: FeatureSpec) -> tuple[list[int], tuple[int, ...]]:
    own = FeatureSpec.parse(alternative.features_text)
    foreign = sorted(set(own.names) - set(spec.names))
    if foreign:
        raise ContractError(
            f"The alternative {alternative.name} needs {foreign[0]}, which {spec.id} has not."
        )
    return [spec.names.index(name) for name in own.names], own.signs
