"""One shape for every number the product prints, signs or shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from governance.outcome import Outcome


class Measurement(BaseModel):
    """One number with what it takes to judge it: interval, sample size, unit and outcome.

    Parameters
    ----------
    measure : str
        Dotted name, such as ``fairness.raise_ratio``.
    scope : mapping of str to str
        What the number is about: feature, group, segment, vintage. Empty means the whole book.
    value, low, high : float or None
        Point value and 95 % interval. Undefined is ``None``; 0/0 is undefined, not zero.
    n : int
        Number of customers (or events, as the measure says) behind the value.
    unit : str
        ``rate`` (0-1), ``ratio``, ``count``, ``minor`` (money in minor units) and the like.
    outcome : Outcome
        ``INFO`` until a threshold has judged it, ``INCONCLUSIVE`` if the measure itself cannot
        tell.
    reason : str
        Why the outcome is what it is, in one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")
    scope: Mapping[str, str] = {}
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = Field(ge=0)
    unit: str = "rate"
    outcome: Outcome = Outcome.INFO
    reason: str = ""

    @field_validator("value", "low", "high")
    @classmethod
    def _undefined_is_none(cls, value: float | None) -> float | None:
        return None if value is None or math.isnan(value) else value

    @model_validator(mode="after")
    def _no_pass_without_a_value(self) -> Measurement:
        if self.value is None and self.outcome in (Outcome.PASS, Outcome.BREACH):
            raise ValueError("An undefined value can neither pass nor breach.")
        return self

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Measure and scope, hashable: what a waiver or a finding refers to."""
        return self.measure, tuple(sorted(self.scope.items()))

    def judged(self, outcome: Outcome, reason: str) -> Measurement:
        """Return this measurement with another outcome; the numbers stay as measured."""
        return self.model_copy(update={"outcome": outcome, "reason": reason})

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form; undefined numbers are null."""
        return self.model_dump(mode="json")


def describe_scope(scope: Mapping[str, str]) -> str:
    """Write a scope for people: ``age_band=<=25`` or ``whole book``."""
    return ", ".join(f"{name}={value}" for name, value in sorted(scope.items())) or "whole book"
