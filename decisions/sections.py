"""The sections of a limit policy: each is small, frozen, and refuses what cannot be meant.

Multipliers and shares are read as decimals and kept as integer basis points, and money is integer
minor units, so that a limit is computed in integers and is the same to the cent on every machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# ISO 4217 divides most currencies into a hundred parts. These it divides otherwise or not at all,
# so an amount told as hundredths would be ten or a hundred times wrong.
DIVIDED_OTHERWISE = (
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "  # no smaller unit
    "BHD IQD JOD KWD LYD OMR TND "  # a thousand parts
    "CLF UYW"  # ten thousand parts
)


def _has_hundredths(code: str) -> str:
    if code in DIVIDED_OTHERWISE.split():
        raise ValueError(
            f"{code} is not divided into a hundred parts (ISO 4217), and every amount here is "
            "whole hundredths. Its amounts would be told wrong, so it is not supported"
        )
    return code


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_has_hundredths)]


BASIS_POINTS = 10_000
LONGEST_UPLIFT_DAYS = 92
LARGEST_SHARE = 10
REFERENCE = "reference_limit_minor"
"""The optional column with the limit once granted, by which an envelope bounds repeated cuts."""


def _basis_points(value: object) -> object:
    """Read a decimal share such as 1.30 as 13000; refuse what needs a finer grain."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a share or multiplier is a number, such as 0.30 or 1.2")
    if not 0 <= value <= LARGEST_SHARE:
        raise ValueError(f"a share or multiplier lies between 0 and {LARGEST_SHARE}")
    points = round(value * BASIS_POINTS)
    if abs(points - value * BASIS_POINTS) > 1e-6:
        raise ValueError("a share or multiplier is written with at most four decimals")
    return points


def _at_most_one(points: int) -> int:
    if points > BASIS_POINTS:
        raise ValueError("this share lies between 0 and 1")
    return points


Share = Annotated[int, BeforeValidator(_basis_points)]
PositiveShare = Annotated[Share, Field(gt=0)]
Portion = Annotated[Share, AfterValidator(_at_most_one)]
Part = Annotated[Portion, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """Base of every section: frozen, and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bands(Section):
    """Risk bands by default probability: band i holds probabilities up to ``upper[i]``.

    Parameters
    ----------
    hysteresis : share
        A customer keeps the previous band until the probability is beyond its edge by this share
        of the edge, so that noise around an edge does not move a limit back and forth.
    """

    names: tuple[str, ...] = Field(min_length=2)
    upper: tuple[Finite, ...]
    hysteresis: Share = 0

    @model_validator(mode="after")
    def _is_ordered(self) -> Bands:
        if len(set(self.names)) != len(self.names):
            raise ValueError("a band is named twice")
        if len(self.upper) != len(self.names) - 1:
            raise ValueError("there is one upper edge fewer than there are bands")
        if (
            list(self.upper) != sorted(set(self.upper))
            or not 0 < self.upper[0] <= self.upper[-1] < 1
        ):
            raise ValueError("upper edges must ascend strictly between 0 and 1")
        return self


class UtilizationClasses(Section):
    """Classes of utilization, 0-1: class i holds utilization up to ``upper[i]``."""

    upper: tuple[Finite, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_ordered(self) -> UtilizationClasses:
        if list(self.upper) != sorted(set(self.upper)) or self.upper[0] <= 0:
            raise ValueError("upper edges must ascend strictly from above 0")
        return self


class Step(Section):
    """Bounds of one change; a change smaller than ``minimum_change`` is not made."""

    max_raise: Share
    max_cut: Portion
    minimum_change: Share


class CoolDown(Section):
    """Months that must pass after a change before the next raise or cut."""

    raise_months: int = Field(ge=0)
    cut_months: int = Field(ge=0)


class ProbabilityJump(Section):
    """A default probability that grew to ``ratio`` times the previous one, and to ``minimum``."""

    ratio: Finite = Field(gt=1)
    minimum: Probability


class Stress(Section):
    """A nearly used-up limit of which hardly anything is paid back, both 0-1."""

    utilization: Finite = Field(gt=0)
    payment_ratio: Finite = Field(ge=0)


class EarlyWarning(Section):
    """Signs upon which a limit is cut to a share, whatever the band says."""

    months_delinquent: int = Field(ge=1)
    cut_to: Share
    probability_jump: ProbabilityJump | None = None
    stress: Stress | None = None


class Affordability(Section):
    """What a person can carry: payments on limit and debts, against the income that is relied on.

    Parameters
    ----------
    applies_to : {"raises", "all"}
        ``raises`` withholds raises and never cuts; ``all`` cuts performing customers too.
    max_debt_service : share
        Highest share of the relied-on income that payments may take.
    minimum_payment_rate : share
        Monthly payment on a fully used limit.
    income_haircut : share
        Share of the declared income that is relied on.
    """

    applies_to: Literal["raises", "all"] = "raises"
    max_debt_service: PositiveShare
    minimum_payment_rate: Part
    income_haircut: Part


class OverIndebtedness(Section):
    """No raise and no uplift for who owes more than this share of a year's relied-on income."""

    max_debt_to_income: PositiveShare
    income_haircut: Part


class Dial(Section):
    """How one macro regime turns the rules; a dial changes nothing unless it says so.

    Parameters
    ----------
    logit_shift : float
        Added to the log odds of every default probability before the band is chosen.
    raise_scale, cut_scale : share
        Factors on what the matrix gives and takes.
    raise_bands : tuple of str or None
        The bands that may still be raised; None means all.
    """

    logit_shift: float = Field(default=0.0, ge=-5, le=5)
    raise_scale: Share = BASIS_POINTS
    cut_scale: Share = BASIS_POINTS
    raise_bands: tuple[str, ...] | None = None


class Macro(Section):
    """The reviewed dials of the regimes other than neutral."""

    downturn: Dial | None = None
    boom: Dial | None = None


class Demand(Section):
    """The demand index at which an uplift begins, and at which it is given in full."""

    starts_at: Finite = Field(ge=0)
    full_at: Finite

    @model_validator(mode="after")
    def _ascends(self) -> Demand:
        if self.full_at <= self.starts_at:
            raise ValueError("full_at must lie above starts_at")
        return self


class Season(Section):
    """A temporary uplift for a shopping season, granted within its days and gone on one day."""

    name: str = Field(min_length=1)
    starts_on: date
    ends_on: date
    expires_on: date
    uplift: PositiveShare
    bands: tuple[str, ...] = Field(min_length=1)
    demand: Demand | None = None

    @model_validator(mode="after")
    def _ends(self) -> Season:
        if self.ends_on < self.starts_on:
            raise ValueError(f"the season {self.name} ends before it begins")
        if self.expires_on < self.ends_on:
            raise ValueError(f"the season {self.name} is longer than its expiry")
        if (self.expires_on - self.starts_on).days > LONGEST_UPLIFT_DAYS:
            raise ValueError(
                f"the uplift of {self.name} lasts longer than {LONGEST_UPLIFT_DAYS} days"
            )
        return self


class Business(Section):
    """Rules for small firms: soundness (Altman Z''), debt service coverage, multiple of revenue.

    A legal person is judged by its accounts. A sole trader answers with what they own and has
    no balance sheet: coverage and revenue count, and affordability as for any person; Z'' does not.

    Parameters
    ----------
    altman_distress, altman_safe : float
        Below the first the limit is cut; between the two it is not raised.
    minimum_debt_service_coverage : float
        Cash flow over debt service below which nothing is raised.
    revenue_multiple : share
        Highest limit as a multiple of the monthly revenue.
    """

    legal_persons: tuple[str, ...] = ()
    sole_traders: tuple[str, ...] = ()
    altman_distress: Finite
    altman_safe: Finite
    distress_cut_to: Portion
    minimum_debt_service_coverage: Finite = Field(ge=0)
    revenue_multiple: PositiveShare

    @model_validator(mode="after")
    def _names_segments(self) -> Business:
        if not self.legal_persons and not self.sole_traders:
            raise ValueError("the business rules name no segment")
        if set(self.legal_persons) & set(self.sole_traders):
            raise ValueError("a segment holds legal persons or sole traders, not both")
        if self.altman_distress > self.altman_safe:
            raise ValueError("altman_distress lies above altman_safe")
        return self


class RaiseConditions(Section):
    """What must be on file before a limit is raised."""

    consent: Literal["required", "not_required"] = "required"
    assessment_months: int | None = Field(default=None, ge=1)


class Automation(Section):
    """What happens to a customer who refuses decisions made by a machine alone."""

    refusal: Literal["review"]


class Supervision(Section):
    """How long monitoring may be silent before raises stop."""

    max_silence_days: int = Field(ge=1)


class Experiment(Section):
    """Hold-out and exploration, by the arm that the keyed assignment drew for each customer.

    Parameters
    ----------
    bands : tuple of str
        The bands in which the exploring arm may be given more.
    multipliers : tuple of share
        Factors on the limit that the rules give, one of which is drawn.
    """

    bands: tuple[str, ...] = Field(min_length=1)
    multipliers: tuple[PositiveShare, ...] = Field(min_length=1)


class Span(Section):
    """The least and the most multiplier that a band may get from the optimizer."""

    least: Share
    most: PositiveShare

    @model_validator(mode="after")
    def _is_ordered(self) -> Span:
        if self.least > self.most:
            raise ValueError("least must not lie above most")
        return self


class Envelope(Section):
    """How far the optimizer may go from the matrix, band by band; the engine never reads it.

    Parameters
    ----------
    floor_of_reference : share
        No recommendation cuts below this share of the limit once granted (the optional column
        `REFERENCE`), so that cuts do not add up; 0 says that there is no such floor.
    """

    floor_of_reference: Portion
    bands: Mapping[str, Span]


class Dated(BaseModel):
    """Something that holds from one day to another and says where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effective_from: date
    effective_to: date | None = None
    kind: Literal["law", "guidance", "house"]
    source: str = Field(min_length=1)

    def holds_on(self, day: date) -> bool:
        """Tell whether the row is in force on `day`; both ends are included."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


class Cap(Dated):
    """The highest limit of a segment, in minor units; without a product it holds for them all."""

    segment: str
    product: str | None = None
    cap_minor: int = Field(gt=0)


class Ceiling(Dated):
    """The highest sum of limits that one customer may hold with all lenders, in minor units."""

    ceiling_minor: int = Field(gt=0)


def refuse_unclear(rows: Sequence[Dated], what: str) -> None:
    """Refuse rows of which two hold on one day, or that leave out days between them.

    Raises
    ------
    ValueError
        Naming `what` the rows are about.
    """
    ordered = sorted(rows, key=lambda row: row.effective_from)
    for row in ordered:
        if row.effective_to is not None and row.effective_to < row.effective_from:
            raise ValueError(f"{what} has a row that ends before it begins")
    for earlier, later in itertools.pairwise(ordered):
        if earlier.effective_to is None or earlier.effective_to >= later.effective_from:
            raise ValueError(f"two rows of {what} hold on the same day")
        if (later.effective_from - earlier.effective_to).days > 1:
            raise ValueError(f"{what} has days without a row")


def refuse_unclear_caps(caps: Iterable[Cap]) -> None:
    """Apply `refuse_unclear`, with what it raises, to the caps of each segment and product."""
    groups: dict[tuple[str, str | None], list[Cap]] = {}
    for cap in caps:
        groups.setdefault((cap.segment, cap.product), []).append(cap)
    for (segment, product), rows in groups.items():
        refuse_unclear(rows, f"the cap of {segment}" + (f", {product}" if product else ""))
