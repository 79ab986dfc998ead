"""Alternatives: a fixed family of structurally different models, so that a choice is a choice.

A law on fairness asks whether a less discriminatory model would have done as well. The question has
an answer only if such models were made. The family is fixed before anything is measured: picking
alternatives after seeing the figures would be picking figures. Training fits the family beside a
signed version, on the rows and folds of that version, says how well each member separates and signs
what was made. Whether one of them is fairer is for validation to say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from decisions.features import FeatureSpec
from governance import canonical, durable
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures import comparison
from governance.settings import Settings
from registry import serialize
from registry.alternatives import (
    ESTIMATOR_FILE,
    FAMILY,
    FEATURES_FILE,
    FamilyRecord,
    ModelFamily,
    record_family,
)
from registry.load import load_verified
from registry.signing import Role, Signer
from registry.submission import RunFacts
from training import candidate, recipes, reproduction
from training.candidate import ModelFit, as_metrics, say_nothing
from training.evaluation import FOLDS, LabeledRows
from training.job import Job
from training.recipes import Recipe
from training.sample import Sample

_BLOCK = "[[features]]"


class Alternative(NamedTuple):
    """One way to build the model otherwise: what is fitted, and on which feature spec."""

    name: str
    title: str
    recipe: Recipe
    features_text: str


class Evaluated(NamedTuple):
    """An alternative, fitted like any candidate, with its evaluation.

    The last measurement is the paired difference of its area to that of the first one.
    """

    alternative: Alternative
    fitted: ModelFit
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """A signed version whose alternatives are made: its job, and the rows it was fitted on."""

    version: int
    manifest_digest: str
    job: Job
    rows: Sample

    @property
    def name(self) -> str:
        """The version's name beside its alternatives."""
        return f"version-{self.version}"


def take_up(settings: Settings, which: str, *, table: Path | None = None) -> Challenged:
    """Verify a version and open its rows.

    Parameters
    ----------
    which : str
        ``champion``, ``latest``, a version number or a run id.
    table : Path or None
        Folder of the feature table; ``None`` looks for the pinned one in the home.

    Raises
    ------
    UsageError
        If there is no such version.
    EnvironmentFault
        If the pinned table is not here.
    IntegrityError
        If the model or the table is not what was signed.
    """
    verified = load_verified(settings, reproduction.resolve(settings, which))
    job, rows = reproduction.take_up(reproduction.order_for(settings, verified, table))
    return Challenged(
        version=verified.version, manifest_digest=verified.manifest_digest, job=job, rows=rows
    )


def family_of(subject: Challenged, *, proxies: Sequence[str] = ()) -> tuple[Alternative, ...]:
    """Return the version itself, then every alternative that is not the version; as `family`."""
    job = subject.job
    itself = Alternative(subject.name, job.recipe.title, job.recipe, job.features_text)
    others = family(job.features_text, proxies=proxies)
    same = (job.recipe, job.features_text)
    return (itself, *(each for each in others if (each.recipe, each.features_text) != same))


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
    made = [Alternative(r.name, r.title, r, features_text) for r in recipes.RECIPES.values()]
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
            made.append(Alternative(name, title, recipes.CHAMPION, text))
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
    rows: LabeledRows,
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
    base = None
    for alternative in alternatives:
        own = FeatureSpec.parse(alternative.features_text)
        foreign = sorted(set(own.names) - set(spec.names))
        if foreign:
            raise ContractError(
                f"The alternative {alternative.name} needs {foreign[0]}, which {spec.id} has not."
            )
        part = rows._replace(features=rows.features[:, [spec.names.index(n) for n in own.names]])
        made = candidate.fit_recipe(alternative.recipe, own.signs, part, seed=seed, done=done)
        base = made.out_of_fold if base is None else base
        difference = comparison.measure_auc_difference(
            rows.labels,
            made.out_of_fold.probability,
            base.probability,
            seed=seed,
            against=alternatives[0].name,
            customers=rows.customers,
        )
        yield Evaluated(alternative, made, (*made.evaluation, difference))


def steps(members: Sequence[Alternative]) -> int:
    """Return how often `challenge` reports."""
    return len(members) * (FOLDS + 1)


def challenge(
    subject: Challenged,
    members: Sequence[Alternative],
    place: Path,
    *,
    proxies: Sequence[str] = (),
    done: Callable[[str], None] = say_nothing,
) -> ModelFamily:
    """Make the family and write each member's files into a folder below `place`.

    Raises
    ------
    ContractError
        If a member holds a type outside the list of `registry.serialize`.
    """
    spec, rows, job = FeatureSpec.parse(subject.job.features_text), subject.rows, subject.job
    told: list[dict[str, Any]] = []
    headlines: list[Measurement] = []
    runs: list[RunFacts] = []
    for made in evaluate_family(members, spec, rows.labeled, seed=job.seed, done=done):
        name = made.alternative.name
        scoped = [
            found.model_copy(update={"scope": {**found.scope, "alternative": name}})
            for found in made.measurements
        ]
        # The area, and how far it is from the version's own.
        headlines += [scoped[0], scoped[-1]] if name != subject.name else [scoped[0]]
        facts = _lay_down(made, place / name)
        told.append({**facts, "measurements": scoped})
        runs.append(_run(subject, made, facts, place / name))
    document = {
        "schema": f"limitline/training-{FAMILY}/1",
        "study": FAMILY,
        "version": subject.version,
        "manifest_digest": subject.manifest_digest,
        "recipe": job.recipe.name,
        "seed": job.seed,
        "data_digest": rows.table.digest,
        "rows": len(rows.labels),
        **rows.number_of_customers,
        "judged_by": "nobody yet: a study is the developer's, validation judges",
        "compared_with": subject.name,
        "proxies": sorted(proxies),
        "alternatives": told,
    }
    return ModelFamily(document=document, headlines=headlines, runs=runs)


def publish(settings: Settings, subject: Challenged, family: ModelFamily) -> FamilyRecord:
    """Sign a family and log its runs; as `registry.alternatives.record_family`."""
    signer = Signer.open(settings.keyring, Role.DEVELOPER)
    return record_family(settings, subject.version, family, signer=signer)


def _lay_down(made: Evaluated, folder: Path) -> dict[str, Any]:
    """Write the fitted estimator and its features; return what identifies and describes them."""
    alternative = made.alternative
    spec, text = FeatureSpec.parse(alternative.features_text), alternative.features_text.encode()
    durable.write_bytes(durable.make_folder(folder) / FEATURES_FILE, text)
    return {
        "name": alternative.name,
        "title": alternative.title,
        "recipe": alternative.recipe.name,
        "recipe_parameters": canonical.dumps(alternative.recipe.parameters).decode(),
        "features_id": spec.id,
        "features_digest": spec.digest,
        "features_file_sha256": hashlib.sha256(text).hexdigest(),
        "features": list(spec.names),
        "estimator_digest": serialize.dump(made.fitted.estimator, folder / ESTIMATOR_FILE),
        "calibration": made.fitted.calibration,
        "is_sigmoid_fitted": made.fitted.verdict.is_sigmoid_needed,
    }


def _run(subject: Challenged, made: Evaluated, facts: dict[str, Any], folder: Path) -> RunFacts:
    shown = ("title", "features_id", "features_digest", "features_file_sha256", "estimator_digest")
    return RunFacts(
        run_name=f"alternative {facts['name']} of version {subject.version}",
        params={
            **{name: str(value) for name, value in made.alternative.recipe.parameters.items()},
            "recipe": facts["recipe"],
            "alternative": facts["name"],
            "seed": str(subject.job.seed),
        },
        metrics={**as_metrics(made.measurements), "out_of_fold.n": float(len(subject.rows.labels))},
        tags={
            "limitline.study": FAMILY,
            "limitline.version": str(subject.version),
            "limitline.manifest_sha256": subject.manifest_digest,
            "limitline.data_digest": subject.rows.table.digest,
            **{name: str(facts[name]) for name in (*shown, "calibration")},
        },
        figures={FAMILY: folder},
    )
