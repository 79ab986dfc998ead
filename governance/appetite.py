"""Risk appetite: every threshold as dated data, with an owner, a source and a kind.

Code knows no legal number. A threshold says which measure it is about, where the good side lies,
who owns it, where it comes from, from when to when it holds, whether a promotion needs it
(``required``) or merely shows it (``reported``), and whether it may be waived at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from governance.declaration import Declaration
from governance.evidence import Severity
from governance.measurement import Measurement
from governance.outcome import Outcome

WAIVER_MAX_DAYS = 180
"""How long a waiver may last where its threshold does not say."""

LONGEST_WAIVER_DAYS = 366
"""What no threshold may exceed: whoever accepts a breach looks at it again within a year."""


class Basis(StrEnum):
    """What is held against the threshold."""

    INTERVAL = "interval"
    POINT = "point"


class Threshold(BaseModel):
    """One line that a measurement must not cross.

    With ``basis = "interval"`` the whole 95 % interval must lie on the good side to pass, wholly on
    the bad side to breach, and anything between is inconclusive. ``basis = "point"`` is for exact
    quantities, such as a number of violations.

    Parameters
    ----------
    minimum_n : int
        Fewer customers or events than this behind a measurement cannot tell.
    minimum_count : int
        So many measurements with different scopes the gate must find, such as one for each seed.
    waiver_max_days : int
        The longest term of a waiver, counted from the day it is granted.
    severity : Severity
        How grave a breach is; see `RiskAppetite.countersigned_from`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    later_fields: ClassVar[frozenset[str]] = frozenset(
        {"minimum_count", "waiver_max_days", "severity"}
    )

    measure: str
    scope: Mapping[str, str] = {}
    at_least: float | None = None
    at_most: float | None = None
    basis: Basis = Basis.INTERVAL
    minimum_n: int = Field(default=1, ge=1)
    minimum_count: int = Field(default=1, ge=1)
    need: Literal["required", "reported"] = "required"
    is_waivable: bool = True
    waiver_max_days: int = Field(default=WAIVER_MAX_DAYS, ge=1, le=LONGEST_WAIVER_DAYS)
    severity: Severity = Severity.MEDIUM
    kind: Literal["law", "guidance", "house"]
    owner: str = Field(min_length=1)
    source: str = Field(min_length=1)
    effective_from: date
    effective_to: date | None = None

    @model_validator(mode="after")
    def _has_a_side(self) -> Threshold:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"The threshold for {self.measure} has neither at_least nor at_most.")
        return self

    def is_in_force(self, on: date) -> bool:
        """Tell whether the threshold holds on the day `on`."""
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)

    def concerns(self, measurement: Measurement) -> bool:
        """Tell whether the threshold speaks about `measurement`.

        Every scope entry of the threshold must be met; an entry ``*`` asks only that the
        measurement has that scope name.
        """
        return self.measure == measurement.measure and all(
            name in measurement.scope and wanted in ("*", measurement.scope[name])
            for name, wanted in self.scope.items()
        )

    def judge(self, measurement: Measurement) -> Measurement:
        """Return `measurement` with the outcome that this threshold gives it."""
        if measurement.outcome is Outcome.INCONCLUSIVE or measurement.value is None:
            reason = measurement.reason or "The measure is undefined here."
            return measurement.judged(Outcome.INCONCLUSIVE, reason)
        if measurement.n < self.minimum_n:
            reason = f"n = {measurement.n} is below the minimum of {self.minimum_n}."
            return measurement.judged(Outcome.INCONCLUSIVE, reason)
        if self.basis is Basis.POINT:
            low = high = measurement.value
        elif measurement.low is None and measurement.high is None:
            return measurement.judged(Outcome.INCONCLUSIVE, "The measure has no interval.")
        else:
            # An interval may have one end only: a ratio to nobody has no upper one.
            low = float("-inf") if measurement.low is None else measurement.low
            high = float("inf") if measurement.high is None else measurement.high
        floor = float("-inf") if self.at_least is None else self.at_least
        ceiling = float("inf") if self.at_most is None else self.at_most
        if floor <= low and high <= ceiling:
            return measurement.judged(Outcome.PASS, f"within {self.allowed}")
        if high < floor or low > ceiling:
            return measurement.judged(Outcome.BREACH, f"outside {self.allowed}")
        return measurement.judged(Outcome.INCONCLUSIVE, f"the interval crosses {self.allowed}")

    @property
    def allowed(self) -> str:
        """The good side in words: ``[0.8, 1.25]``, ``>= 0.74``, ``<= 0``."""
        if self.at_least is not None and self.at_most is not None:
            return f"[{self.at_least:g}, {self.at_most:g}]"
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


class RiskAppetite(Declaration):
    """All thresholds of one model purpose, as one reviewed file.

    Every gate decision is bound to its digest.

    Parameters
    ----------
    countersigned_from : Severity
        From this severity of its threshold on, a waiver counts only once both approvers signed it.
    """

    called: ClassVar[str] = "risk appetite"
    later_fields: ClassVar[frozenset[str]] = frozenset({"countersigned_from"})

    schema_: Literal["risk-appetite/1"] = Field(alias="schema")
    id: str
    version: str
    countersigned_from: Severity = Severity.SEVERE
    thresholds: tuple[Threshold, ...]

    def in_force(self, on: date) -> tuple[Threshold, ...]:
        """Return the thresholds that hold on the day `on`."""
        return tuple(threshold for threshold in self.thresholds if threshold.is_in_force(on))

    def judge(self, measurement: Measurement, on: date) -> Measurement:
        """Judge one measurement by the first threshold in force that concerns it.

        A measurement that no threshold concerns stays as it is: ``INFO``, or ``INCONCLUSIVE`` if
        the measure could not tell.
        """
        threshold = self.threshold_for(measurement, on)
        return measurement if threshold is None else threshold.judge(measurement)

    def threshold_for(self, measurement: Measurement, on: date) -> Threshold | None:
        """Return the one threshold that judges `measurement`: the first in force, if any."""
        return next((t for t in self.in_force(on) if t.concerns(measurement)), None)

    def requires(self, measurement: Measurement, on: date) -> bool:
        """Tell whether a promotion needs `measurement` to pass."""
        threshold = self.threshold_for(measurement, on)
        return threshold is not None and threshold.need == "required"

    def waiver_signatures(self, threshold: Threshold) -> int:
        """Return how many approvers must have signed a waiver of a breach of `threshold`."""
        grades = list(Severity)
        is_grave = grades.index(threshold.severity) >= grades.index(self.countersigned_from)
        return 2 if is_grave else 1
