"""The limit policy: how a risk becomes a limit, as one reviewed file with a digest.

Multipliers and shares are read as decimals and kept as integer basis points, and money is integer
minor units, so that a limit is computed in integers and is the same to the cent on every machine.
"""

from __future__ import annotations

import importlib.resources
import itertools
from collections.abc import Mapping
from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from governance.declaration import Declaration
from governance.errors import ContractError

BASIS_POINTS = 10_000


def _basis_points(value: object) -> object:
    """Read a decimal share such as 1.30 as 13000; refuse what needs a finer grain."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    points = round(value * BASIS_POINTS)
    if abs(points - value * BASIS_POINTS) > 1e-6:
        raise ValueError("a share or multiplier is written with at most four decimals")
    return points


Share = Annotated[int, BeforeValidator(_basis_points), Field(ge=0, le=10 * BASIS_POINTS)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bands(_Part):
    """Risk bands by default probability: band i holds probabilities up to ``upper[i]``."""

    names: tuple[str, ...] = Field(min_length=2)
    upper: tuple[float, ...]

    @model_validator(mode="after")
    def _is_ordered(self) -> Bands:
        if len(self.upper) != len(self.names) - 1:
            raise ValueError("there is one upper edge fewer than there are bands")
        if (
            list(self.upper) != sorted(set(self.upper))
            or not 0 < self.upper[0] <= self.upper[-1] < 1
        ):
            raise ValueError("upper edges must ascend strictly between 0 and 1")
        return self


class UtilizationClasses(_Part):
    """Classes of utilization, 0-1: class i holds utilization up to ``upper[i]``."""

    upper: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_ordered(self) -> UtilizationClasses:
        if list(self.upper) != sorted(set(self.upper)):
            raise ValueError("upper edges must ascend strictly")
        return self


class Step(_Part):
    """Bounds of one change; a change smaller than ``minimum_change`` is not made."""

    max_raise: Share
    max_cut: Share
    minimum_change: Share


class CoolDown(_Part):
    """Months that must pass after a change before the next raise or cut."""

    raise_months: int = Field(ge=0)
    cut_months: int = Field(ge=0)


class EarlyWarning(_Part):
    """Months behind at which a limit is cut to a share, whatever the band says."""

    months_delinquent: int = Field(ge=1)
    cut_to: Share


class Cap(_Part):
    """The highest limit of a segment, in minor units, from one day to another, with its source."""

    segment: str
    cap_minor: int = Field(gt=0)
    effective_from: date
    effective_to: date | None = None
    kind: Literal["law", "guidance", "house"]
    source: str = Field(min_length=1)


class LimitPolicy(Declaration):
    """One version of the rules by which limits move; every decision carries its digest."""

    called: ClassVar[str] = "limit policy"

    schema_: Literal["limit-policy/1"] = Field(alias="schema")
    id: str
    version: str
    title: str
    currency: str
    effective_from: date
    effective_to: date | None = None
    rounding_minor: int = Field(gt=0)
    minimum_limit_minor: int = Field(ge=0)
    bands: Bands
    utilization: UtilizationClasses
    matrix: Mapping[str, tuple[Share, ...]]
    step: Step
    cool_down: CoolDown
    early_warning: EarlyWarning
    caps: tuple[Cap, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_coherent(self) -> LimitPolicy:
        if set(self.matrix) != set(self.bands.names):
            raise ValueError("the matrix must have exactly one row for each band")
        columns = len(self.utilization.upper) + 1
        if any(len(row) != columns for row in self.matrix.values()):
            raise ValueError(f"each matrix row needs {columns} multipliers, one per class")
        for better, worse in itertools.pairwise(self.bands.names):
            pairs = zip(self.matrix[better], self.matrix[worse], strict=True)
            if any(high_risk > low_risk for low_risk, high_risk in pairs):
                raise ValueError(
                    f"band {worse} is worse than {better} but gets a larger multiplier"
                )
        self._refuse_unclear_caps()
        return self

    def _refuse_unclear_caps(self) -> None:
        for segment in {cap.segment for cap in self.caps}:
            rows = sorted(
                (cap for cap in self.caps if cap.segment == segment), key=lambda c: c.effective_from
            )
            for earlier, later in itertools.pairwise(rows):
                if earlier.effective_to is None or earlier.effective_to >= later.effective_from:
                    raise ValueError(f"two caps of segment {segment} hold on the same day")
                if (later.effective_from - earlier.effective_to).days > 1:
                    raise ValueError(f"segment {segment} has days without a cap")

    @property
    def stamp(self) -> str:
        """What every decision row carries: ``id@version#digest``."""
        return f"{self.id}@{self.version}#{self.digest[:16]}"

    def caps_on(self, as_of: date) -> dict[str, int]:
        """Return segment to cap in minor units on the day `as_of`."""
        return {
            cap.segment: cap.cap_minor
            for cap in self.caps
            if cap.effective_from <= as_of
            and (cap.effective_to is None or as_of <= cap.effective_to)
        }

    def require_in_force(self, as_of: date) -> None:
        """Refuse a day on which this policy does not hold.

        Raises
        ------
        ContractError
            If `as_of` lies outside the policy's dates.
        """
        ended = self.effective_to is not None and as_of > self.effective_to
        if as_of < self.effective_from or ended:
            raise ContractError(
                f"The limit policy {self.id} {self.version} is not in force on {as_of}; it holds "
                f"from {self.effective_from} to {self.effective_to or 'further notice'}."
            )


def packaged(name: str) -> str:
    """Return the text of a limit policy that ships with the product."""
    place = importlib.resources.files("limits") / "policies" / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No limit policy named {name} ships with Limitline.")
    return place.read_text(encoding="utf-8")
