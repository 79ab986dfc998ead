"""The job: which table to learn from, towards what, and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from governance.errors import ContractError
from training import suspicion
from training.label import LabelRule
from training.recipes import Recipe
from training.sample import Question
from training.suspicion import Allowance

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
        Suspicions that are lifted, with the reasons that the lineage keeps.
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

    def question(self, spec: FeatureSpec) -> Question:
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
        return Question(spec=spec, rule=rule, segment=self.segment, allowances=self.allowances)


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
    suspicion.refuse_unknown_allowances(spec, job.allowances)
    return spec, policy
