"""The job: which table to learn from, towards what and how, and the lineage that records it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from governance import canonical
from governance.errors import ContractError
from registry.signing import Role
from training import data_checks, lineage, recipes
from training.data_checks import Allowance, CheckKind
from training.label import LabelRule
from training.recipes import Recipe
from training.sample import Sample, SampleQuestion

NONE = "none"
"""What the lineage says where nothing was asked for; an empty tag would look forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train on, towards what, and how.

    Parameters
    ----------
    table : Path
        Folder of a feature table that was released for training.
    target : str or None
        Outcome column; ``None`` takes the label that the table's contract names.
    features_text, policy_text : str
        The reviewed declarations; they travel inside the model to the letter.
    observed_at, vintage, cutoff
        When an outcome counts as known; see `training.label.LabelRule`.
    segment : str or None
        Column by whose values the evaluation is broken down as well.
    allowances : tuple of Allowance
        Data checks that are lifted, with the reasons that the lineage keeps.
    reasons_text : str or None
        The own wording of the reason groups; ``None`` takes the one that ships.
    """

    table: Path
    target: str | None
    features_text: str
    policy_text: str
    recipe: Recipe
    seed: int = 0
    observed_at: str | None = None
    vintage: str | None = None
    cutoff: date | None = None
    segment: str | None = None
    allowances: tuple[Allowance, ...] = ()
    reasons_text: str | None = None

    def question(self, spec: FeatureSpec) -> SampleQuestion:
        """Return what is asked of the table.

        Raises
        ------
        UsageError
            If the day columns and the cutoff do not fit together.
        """
        rule = LabelRule(
            target=self.target,
            observed_at=self.observed_at,
            cutoff=self.cutoff,
            vintage=self.vintage,
        )
        return SampleQuestion(
            spec=spec, rule=rule, segment=self.segment, allowances=self.allowances
        )


def declarations(job: Job) -> tuple[FeatureSpec, LimitPolicy]:
    """Read both declarations and refuse what cannot belong together.

    Raises
    ------
    ContractError
        If a declaration is unusable or they count in different currencies.
    UsageError
        If an allowance names nothing in the feature spec.
    """
    spec, policy = FeatureSpec.parse(job.features_text), LimitPolicy.parse(job.policy_text)
    if spec.currency != policy.currency:
        raise ContractError(
            f"The feature spec {spec.id} counts in {spec.currency}, the policy {policy.id} in "
            f"{policy.currency}. Give the policy of the same currency with --policy."
        )
    data_checks.refuse_unknown_allowances(spec, job.allowances)
    return spec, policy


def describe(job: Job, rows: Sample) -> dict[str, str]:
    """Return the lineage: everything that makes this candidate this candidate, and no time of day.

    References
    ----------
    JR/T 0221-2021, traceability: data source, volume, digest and sampling; script, environment,
    operator and parameters. Times, machine and storage medium are observed, signed beside this.
    """
    spec, policy = declarations(job)
    return {
        "data_contract": rows.table.contract_id,
        "data_contract_digest": rows.table.contract_digest,
        "data_digest": rows.table.digest,
        "data_part": rows.table.part.value,
        **rows.as_lineage(),
        "target": rows.target,
        "label_observed_at": job.observed_at or NONE,
        "label_cutoff": job.cutoff.isoformat() if job.cutoff else NONE,
        "vintage": job.vintage or NONE,
        "segment": job.segment or NONE,
        "allowances": data_checks.as_lineage(job.allowances),
        "horizon_months": str(spec.horizon_months),
        "features_id": spec.id,
        "features_title": spec.title,
        "features_digest": spec.digest,
        "policy_id": policy.id,
        "policy_digest": policy.digest,
        "recipe": job.recipe.name,
        "recipe_title": job.recipe.title,
        "recipe_parameters": canonical.dumps(job.recipe.parameters).decode(),
        "seed": str(job.seed),
        "operator": Role.DEVELOPER.value,
        "script": "limitline train",
        "script_digest": lineage.script(),
        **lineage.code(),
        **lineage.environment(),
    }


def inputs_digest(job: Job, facts: Mapping[str, str]) -> str:
    """Return one digest of all that goes into a candidate, known before anything is fitted.

    It is over the lineage, the declarations to the letter and the code of every room that fits,
    measures or writes the candidate: whatever could make another one makes another digest.
    """
    texts = {"features": job.features_text, "policy": job.policy_text}
    wording = {} if job.reasons_text is None else {"reasons": job.reasons_text}
    code = {room: lineage.script(lineage.ROOT / room) for room in lineage.ROOMS}
    return canonical.digest({"lineage": facts, "texts": texts | wording, "code": code})


def of_lineage(said: Mapping[str, str], order: Mapping[str, Any]) -> Job:
    """Return the job that a lineage describes.

    Parameters
    ----------
    order : mapping
        ``table`` (folder), ``features_text`` and ``policy_text``.

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
                Allowance(kind=CheckKind(item["kind"]), name=item["name"], reason=item["reason"])
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
    bundled = recipes.RECIPES.get(name, recipes.CHAMPION)
    if bundled.name == name and canonical.dumps(bundled.parameters).decode() == parameters:
        return bundled
    values = {key: _number(value) for key, value in json.loads(parameters).items()}
    return dataclasses.replace(bundled, name=name, title=said["recipe_title"], parameters=values)


def _number(value: Any) -> Any:
    """Turn a decimal string of canonical JSON back into a number; other text stays text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
