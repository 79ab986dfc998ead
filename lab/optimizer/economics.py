"""Economics: what a limit earns and costs, as one reviewed file whose numbers say how they came.

The optimizer believes this file; nothing it returns is better than these assumptions. A replay with
real defaults still assumes the response to a limit, which only an experiment identifies.
"""

from __future__ import annotations

import importlib.resources
import math
from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from decisions.sections import Currency
from governance.declaration import Declaration
from governance.errors import ContractError

__all__ = ["BUDGETS", "Budget", "Economics", "packaged"]

BUDGETS = ("expected_loss", "limits", "capital")

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Assumption(BaseModel):
    """A group of numbers with the kind of knowledge behind them and its source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["measured", "stylized", "simulated"]
    source: str = Field(min_length=1)


class Margin(Assumption):
    """What a balance earns over the horizon while it is repaid.

    Parameters
    ----------
    interest, other : float
        Share of the revolving balance, and of the whole balance.
    revolving_share, revolving_share_column
        One of the two: the same share for all, or the column that holds it, 0-1.
    """

    interest: Rate
    other: Rate
    revolving_share: Rate | None = None
    revolving_share_column: str | None = None

    @model_validator(mode="after")
    def _has_one_share(self) -> Margin:
        if (self.revolving_share is None) == (self.revolving_share_column is None):
            raise ValueError("give revolving_share or revolving_share_column")
        return self


class DefaultLoss(Assumption):
    """What a default costs: share of the exposure lost, and of the unused limit drawn before."""

    given_default: Rate
    conversion: Rate


class Capital(Assumption):
    """Capital held per unit of exposure at default, and its cost over the horizon."""

    requirement: Rate
    cost: Rate


class Response(Assumption):
    """Marginal propensity to borrow at today's limit: linear in utilization and risk, clipped.

    Parameters
    ----------
    least, most : float
        Strictly between 0 and 1; outside them the response curve has no finite reach.
    """

    base: float = Field(ge=-1, le=1)
    per_utilization: float = Field(ge=-1, le=1)
    per_probability: float = Field(ge=-1, le=1)
    least: float = Field(gt=0, lt=1)
    most: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _is_ordered(self) -> Response:
        if self.least > self.most:
            raise ValueError("least must not lie above most")
        return self


class Budget(BaseModel):
    """The most that the book may hold: an amount, or a multiple of what the policy itself takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount_minor: int | None = Field(default=None, ge=0)
    of_policy: float | None = Field(default=None, ge=0, le=10)

    @model_validator(mode="after")
    def _has_one_measure(self) -> Budget:
        if (self.amount_minor is None) == (self.of_policy is None):
            raise ValueError("give amount_minor or of_policy")
        return self

    def of(self, policy_total: float) -> float:
        """Return the budget in minor units, given what the policy's own decisions take."""
        if self.amount_minor is not None:
            return float(self.amount_minor)
        return policy_total * (self.of_policy or 0.0)


class Budgets(BaseModel):
    """The budgets of the portfolio; a budget that is left out does not bind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected_loss: Budget | None = None
    limits: Budget | None = None
    capital: Budget | None = None

    def amounts(self, policy_totals: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return the three budgets in minor units in the order of `BUDGETS`; infinite if none."""
        declared = (self.expected_loss, self.limits, self.capital)
        found = [
            math.inf if budget is None else budget.of(total)
            for budget, total in zip(declared, policy_totals, strict=True)
        ]
        return found[0], found[1], found[2]


class Economics(Declaration):
    """One version of the assumptions and budgets under which limits are optimized."""

    called: ClassVar[str] = "economics file"

    schema_: Literal["limit-economics/1"] = Field(alias="schema")
    id: str
    version: str
    title: str
    currency: Currency
    horizon_months: int = Field(ge=1)
    effective_from: date
    effective_to: date | None = None
    margin: Margin
    loss: DefaultLoss
    capital: Capital
    response: Response
    budgets: Budgets = Budgets()

    @property
    def stamp(self) -> str:
        """What a recommendation carries: ``id@version#digest``."""
        return f"{self.id}@{self.version}#{self.digest[:16]}"

    @property
    def assumed(self) -> tuple[str, ...]:
        """The groups of numbers that nobody has measured, with their kind."""
        groups = {"margin": self.margin, "loss": self.loss, "capital": self.capital}
        every: dict[str, Assumption] = {**groups, "response": self.response}
        return tuple(f"{n}: {g.kind}" for n, g in every.items() if g.kind != "measured")

    def require_for(self, currency: str, as_of: date) -> None:
        """Refuse another currency than `currency`, and a day on which the file does not hold.

        Raises
        ------
        ContractError
            In either case.
        """
        if self.currency != currency:
            raise ContractError(
                f"The economics file {self.id} counts in {self.currency}, the policy in {currency}."
            )
        ended = self.effective_to is not None and as_of > self.effective_to
        if as_of < self.effective_from or ended:
            raise ContractError(
                f"The economics file {self.id} {self.version} does not hold on {as_of}; it holds "
                f"from {self.effective_from} to {self.effective_to or 'further notice'}."
            )


def packaged(name: str) -> str:
    """Return the text of an economics file that ships with the product."""
    place = importlib.resources.files("lab.optimizer") / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No economics file named {name} ships with Limitline.")
    return place.read_text(encoding="utf-8")
