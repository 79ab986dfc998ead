"""The settings of a world: everything that is planted in it is declared here, and nowhere else.

A world is a TOML file plus a seed. What a study wants to find again (a bias, a break, a response)
is a number in that file, so a finding can be held against the truth.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from governance.declaration import Declaration
from governance.errors import ContractError

CATEGORIES = ("groceries", "dining", "online", "travel", "household", "other")
BASELINE = "baseline"

Share = Annotated[float, Field(ge=0, le=1)]
Category = Literal["groceries", "dining", "online", "travel", "household", "other"]


class Segment(StrEnum):
    """Who holds an account."""

    CONSUMER = "consumer"
    SME = "sme"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Population(_Part):
    """Who applies and who is let in.

    ``refused_share`` is what the old rule refuses without any bias; of those, the share
    ``accepted_anyway`` gets the account as an experiment.
    """

    sme_share: Share = 0.12
    refused_share: Share = 0.15
    accepted_anyway: Share = 0.02
    hold_out: Share = 0.05
    explore: Share = 0.05


class Delinquency(_Part):
    """How accounts fall behind and recover.

    ``memory`` is added to the logit of being late next month, for accounts late now, by how many of
    the three earlier months were late (0 to 3): a chain of second order forgets too fast.
    """

    pseudo_count: float = Field(default=5.0, ge=0)
    own_risk_weight: float = Field(default=0.3, ge=0)
    frailty_sd: float = Field(default=0.3, ge=0)
    shift: float = 0.0
    memory: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    charge_off_months: int = Field(default=3, ge=1, le=12)


class LimitResponse(_Part):
    """What a limit causes.

    ``risk_per_log_limit`` is the logit per log of limit over reference limit. The marginal
    propensity to borrow falls with safety from ``borrowing_riskiest`` to ``borrowing_safest``, and
    the account moves to its new debt by ``monthly_speed`` of the way each month.
    """

    risk_per_log_limit: float = 0.10
    borrowing_riskiest: Share = 0.59
    borrowing_safest: Share = 0.0
    monthly_speed: Share = 0.153


class Prices(_Part):
    """What borrowing costs; the fee is in whole units of the currency."""

    monthly_rate: Share = 0.0125
    late_fee: int = Field(default=300, ge=0)


class RegimeEffect(_Part):
    """What an economic regime does to everybody; factors are against neutral."""

    risk_logit: float = 0.0
    sme_risk_logit: float = 0.0
    spending: float = Field(default=1.0, gt=0)
    income: float = Field(default=1.0, gt=0)


class RegimeTurn(_Part):
    """The month from which a regime rules."""

    from_month: int = Field(ge=0)
    regime: str


class Feast(_Part):
    """A feast by its dates: lifts spread over the days of its window, month by month.

    A lift of 0.5 raises the spending of a month that holds the whole window by half.
    """

    name: str
    days: tuple[date, ...] = Field(min_length=1)
    days_before: int = Field(default=0, ge=0, le=60)
    days_after: int = Field(default=0, ge=0, le=60)
    lifts: Mapping[Category, float] = {}
    income_lift: float = 0.0


class Drift(_Part):
    """Slow change per month, from ``from_month`` on."""

    from_month: int = Field(default=0, ge=0)
    risk_logit: float = 0.0
    spending: float = 0.0
    online: float = 0.0


class Break(_Part):
    """A break planted from a month on: added to the logit of risk, or a factor on spending."""

    kind: Literal["risk", "spending"]
    from_month: int = Field(ge=0)
    amount: float

    @model_validator(mode="after")
    def _is_possible(self) -> Break:
        if self.kind == "spending" and self.amount <= 0:
            raise ValueError("the amount of a spending break is a positive factor")
        return self


class Bias(_Part):
    """Injustice planted against one group: same risk, other treatment."""

    attribute: Literal["sex", "education", "marriage"] = "sex"
    code: int = 2
    refusal_logit: float = 0.0
    limit_share: float = Field(default=1.0, gt=0, le=1)


class OutcomeRecording(_Part):
    """Which outcomes are recorded, and how many months after their window ended."""

    every_months: int = Field(default=3, ge=1)
    horizons: tuple[int, ...] = (3, 12)
    delay_months: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _is_ordered(self) -> OutcomeRecording:
        if not self.horizons or any(horizon < 1 for horizon in self.horizons):
            raise ValueError("there is at least one horizon, of at least one month")
        return self


class WorldSettings(Declaration):
    """One world: what is anchored on real rows, what is invented and what is planted."""

    called: ClassVar[str] = "world"

    schema_: Literal["world/1"] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    seed: int = Field(default=0, ge=0, lt=2**63)
    accounts: int = Field(default=30_000, ge=1, le=100_000_000)
    months: int = Field(default=24, ge=1, le=240)
    starts_on: date = date(2024, 1, 1)
    population: Population = Population()
    delinquency: Delinquency = Delinquency()
    response: LimitResponse = LimitResponse()
    prices: Prices = Prices()
    regimes: Mapping[str, RegimeEffect] = {"neutral": RegimeEffect()}
    schedule: tuple[RegimeTurn, ...] = (RegimeTurn(from_month=0, regime="neutral"),)
    seasons: tuple[Feast, ...] = ()
    drift: Drift = Drift()
    breaks: tuple[Break, ...] = ()
    bias: Bias = Bias()
    labels: OutcomeRecording = OutcomeRecording()

    @model_validator(mode="after")
    def _is_consistent(self) -> WorldSettings:
        if self.starts_on.day != 1:
            raise ValueError("a world starts on the first day of a month")
        turns = [turn.from_month for turn in self.schedule]
        if not turns or turns[0] != 0 or turns != sorted(set(turns)):
            raise ValueError("the schedule of regimes starts in month 0 and ascends")
        unknown = {turn.regime for turn in self.schedule} - self.regimes.keys()
        if unknown:
            raise ValueError("the schedule names a regime that is not declared")
        return self

    def changed(self, **updates: object) -> WorldSettings:
        """Return the same world with other values, checked like a file.

        Raises
        ------
        ContractError
            If the result breaks a rule.
        """
        merged = self.model_dump(by_alias=True) | updates
        try:
            return WorldSettings.model_validate(merged)
        except ValidationError as error:
            # The rule is told and never the value, which pydantic would quote.
            told = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'world'}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            )
            names = ", ".join(sorted(updates))
            raise ContractError(
                f"The world {self.id} cannot take the values given for {names}. {told}."
            ) from None


def packaged(name: str = BASELINE) -> str:
    """Return the text of a bundled world.

    Raises
    ------
    ContractError
        If no such world is bundled.
    """
    folder = importlib.resources.files("lab.world") / "worlds"
    file = folder / f"{name}.toml"
    if not file.is_file():
        names = sorted(item.name.removesuffix(".toml") for item in folder.iterdir())
        raise ContractError(f"No world {name} is bundled; there are {', '.join(names)}.")
    return file.read_text(encoding="utf-8")
