"""The challenge: a version's fixed family of alternatives, made, measured and laid down beside it.

Training says how well each separates and hands over what was fitted. Which of them is fairer, and
whether one should have been chosen, is asked by validation on customers that training never saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from decisions.features import FeatureSpec
from governance import canonical, durable
from governance.measurement import Measurement
from registry import serialize
from registry.study import Study
from registry.submission import RunFacts
from training import alternatives
from training.alternatives import Alternative, Evaluated
from training.candidate import as_metrics
from training.evaluation import FOLDS
from training.fitted import Lesson, say_nothing
from training.study import Subject, tags

NAME = "alternatives"
ESTIMATOR_FILE = "default_model.skops"
FEATURES_FILE = "features.toml"


def family(subject: Subject, *, proxies: Sequence[str] = ()) -> tuple[Alternative, ...]:
    """Return the version itself, then every alternative that is not the version.

    Raises
    ------
    ContractError
        As `training.alternatives.family`.
    """
    job = subject.job
    itself = Alternative(
        name=subject.name,
        title=job.recipe.title,
        recipe=job.recipe,
        features_text=job.features_text,
    )
    others = alternatives.family(job.features_text, proxies=proxies)
    return (
        itself,
        *(
            other
            for other in others
            if (other.recipe, other.features_text) != (job.recipe, job.features_text)
        ),
    )


def steps(members: Sequence[Alternative]) -> int:
    """Return how often `challenge` reports."""
    return len(members) * (FOLDS + 1)


def challenge(
    subject: Subject,
    members: Sequence[Alternative],
    place: Path,
    *,
    proxies: Sequence[str] = (),
    done: Callable[[str], None] = say_nothing,
) -> Study:
    """Make the family and write each member's files into a folder below `place`.

    Raises
    ------
    ContractError
        If a member holds a type outside the list of `registry.serialize`.
    """
    told: list[dict[str, Any]] = []
    headlines: list[Measurement] = []
    runs: list[RunFacts] = []
    rows = subject.rows
    lesson = Lesson(rows.features, rows.labels, rows.customers)
    for made in alternatives.evaluate_family(
        members, subject.spec, lesson, seed=subject.job.seed, done=done
    ):
        name = made.alternative.name
        scope = {"alternative": name}
        measured = [
            found.model_copy(update={"scope": {**found.scope, **scope}})
            for found in made.measurements
        ]
        folder = durable.make_folder(place / name)
        facts = _lay_down(made, folder)
        told.append({**facts, "measurements": measured})
        # The area, and how far it is from the version's own.
        headlines += [measured[0], measured[-1]] if name != subject.name else [measured[0]]
        runs.append(_run(subject, made, facts, folder))
    document = {
        **subject.header(NAME),
        "compared_with": subject.name,
        "proxies": sorted(proxies),
        "alternatives": told,
    }
    return Study(name=NAME, document=document, headlines=headlines, runs=runs)


def _lay_down(made: Evaluated, folder: Path) -> dict[str, Any]:
    """Write the fitted estimator and its features; return what identifies and describes them."""
    alternative = made.alternative
    spec = FeatureSpec.parse(alternative.features_text)
    text = alternative.features_text.encode()
    durable.write_bytes(folder / FEATURES_FILE, text)
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


def _run(subject: Subject, made: Evaluated, facts: dict[str, Any], folder: Path) -> RunFacts:
    shown = ("title", "features_id", "features_digest", "features_file_sha256", "estimator_digest")
    parameters = made.alternative.recipe.parameters.items()
    return RunFacts(
        run_name=f"alternative {made.alternative.name} of version {subject.version}",
        params={
            **{name: str(value) for name, value in parameters},
            "recipe": facts["recipe"],
            "alternative": facts["name"],
            "seed": str(subject.job.seed),
        },
        metrics={**as_metrics(made.measurements), "out_of_fold.n": float(len(subject.rows.labels))},
        tags={
            **tags(subject, NAME),
            **{name: str(facts[name]) for name in (*shown, "calibration")},
        },
        figures={NAME: folder},
    )
