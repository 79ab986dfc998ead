"""The refit: fits a signed version again from what was signed, in a process of its own.

``python -m training.refit ORDER RESULT`` reads a JSON order and writes a JSON result. It knows
nothing of the registered estimator, so it cannot copy it. The result holds digests, measurements,
feature ranges and predictions for made-up rows; nothing of a customer.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from governance import canonical
from governance.errors import ContractError, IntegrityError, LimitlineError
from privacy.feature_table import FeatureTable
from privacy.keyring import Keyring
from registry import serialize
from training import candidate, evaluation, fitted, probe, recipes, sample
from training.job import NONE, Job, declarations
from training.recipes import Recipe
from training.sample import Sample
from training.suspicion import Allowance, Kind


def run(order: Mapping[str, Any]) -> dict[str, Any]:
    """Fit what `order` describes and return what came out.

    Parameters
    ----------
    order : mapping
        ``keyring`` and ``table`` (folders), ``features_text``, ``policy_text`` and ``lineage``.

    Raises
    ------
    IntegrityError
        If the table is not the one in the lineage.
    ContractError
        As `training.sample.read`, or if the lineage cannot be read.
    """
    job, rows = take_up(order)
    spec, policy = declarations(job)
    made = fitted.fit(job, spec, rows)
    between = probe.ranges(rows.features)
    with tempfile.TemporaryDirectory(prefix="limitline-refit-") as place:
        digest = serialize.dump(made.estimator, Path(place) / "refit.skops")
    return {
        "estimator_digest": digest,
        "lineage": candidate.describe(job, spec, policy, rows),
        "evaluation": canonical.plain(made.evaluation),
        "ranges": between,
        "predictions": evaluation.predict(made.estimator, probe.rows(between)).tolist(),
    }


def take_up(order: Mapping[str, Any]) -> tuple[Job, Sample]:
    """Return the job that `order` describes and the very rows that it was done on.

    Raises
    ------
    IntegrityError
        If the table is not the one in the lineage.
    ContractError
        As `run`.
    """
    said = order["lineage"]
    job = job_of(said, order)
    spec, _ = declarations(job)
    table = FeatureTable.open(job.table, keyring=Keyring.open(Path(order["keyring"])))
    if table.digest != said["data_digest"]:
        raise IntegrityError(
            f"The table {table.path.name} is not the one that the version was fitted on. Give the "
            "folder of that table with --features."
        )
    return job, sample.read(table, job.question(spec))


def job_of(said: Mapping[str, str], order: Mapping[str, Any]) -> Job:
    """Return the job that a lineage describes.

    Raises
    ------
    ContractError
        If the lineage lacks something that a fit needs.
    """

    def optional(name: str) -> str | None:
        value = said.get(name, NONE)
        return None if value == NONE else value

    cutoff = optional("label_cutoff")
    try:
        return Job(
            table=Path(order["table"]),
            target=said["target"],
            features_text=order["features_text"],
            policy_text=order["policy_text"],
            recipe=recipe_of(said),
            seed=int(said["seed"]),
            observed_at=optional("label_observed_at"),
            vintage=optional("vintage"),
            cutoff=date.fromisoformat(cutoff) if cutoff else None,
            segment=optional("segment"),
            allowances=tuple(
                Allowance(kind=Kind(item["kind"]), name=item["name"], reason=item["reason"])
                for item in json.loads(said.get("allowances", "[]"))
            ),
        )
    except (KeyError, ValueError, TypeError):
        raise ContractError(
            "The lineage of the version lacks what a refit needs; it was written by other code."
        ) from None


def recipe_of(said: Mapping[str, str]) -> Recipe:
    """Return the recipe in a lineage: the bundled one if it is the same, else one made of it."""
    name, parameters = said["recipe"], said["recipe_parameters"]
    bundled = [item for item in vars(recipes).values() if isinstance(item, Recipe)]
    for recipe in bundled:
        if recipe.name == name and canonical.dumps(recipe.parameters).decode() == parameters:
            return recipe
    nearest = next((item for item in bundled if item.name == name), recipes.CHAMPION)
    values = {key: _number(value) for key, value in json.loads(parameters).items()}
    return dataclasses.replace(nearest, name=name, title=said["recipe_title"], parameters=values)


def _number(value: Any) -> Any:
    """Turn a decimal string of canonical JSON back into a number; other text stays text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def main(order: Path, result: Path) -> int:
    """Read the order, write the result and return the exit code."""
    try:
        made = run(json.loads(order.read_bytes()))
    except LimitlineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    result.write_text(json.dumps(made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
