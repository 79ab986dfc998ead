"""A trial: which world is lived, for how long, when limits are decided, what is known by then.

Six months are lived before the trial with limits as granted, so that the first decision already has
a history to look at. The world's own schedule of regimes counts from the first month of the trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from decisions.engine import Regime
from governance.errors import ContractError, UsageError
from lab.world import economy
from lab.world.account_file import HISTORY
from lab.world.settings import RegimeTurn, WorldSettings

WARM_UP = HISTORY
KNOWN_AFTER = 3
"""Months after which the lender knows that the regime has turned."""
LONGEST = 120

# Policy and economics that ship for the world were chosen on the first; what is reported was never
# looked at before. The model comes from a world of its own.
DEVELOPMENT_SEEDS = (1, 2, 3, 4, 5, 6)
REPORT_SEEDS = (101, 102, 103)
MODEL_SEED = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What every strategy goes through alike.

    Parameters
    ----------
    filed : WorldSettings
        The world as filed.
    months : int
        Months under the strategy; month 0 is the first.
    every : int
        Months between two decisions, of which the first is at the start of month 0.
    """

    filed: WorldSettings
    months: int
    every: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.months <= LONGEST:
            raise UsageError(f"A backtest takes 1 to {LONGEST} months.")
        if not 1 <= self.every <= self.months:
            raise UsageError("Limits are decided every so many months, at least once in the trial.")
        if {turn.regime for turn in self.filed.schedule} - set(Regime):
            raise ContractError(
                f"The world {self.filed.id} has a regime that no limit policy has dials for. The "
                f"regimes are {', '.join(Regime)}."
            )
        if self.downturn is None or self.downturn + KNOWN_AFTER >= self.months:
            raise ContractError(
                f"The world {self.filed.id} has no downturn that is known within {self.months} "
                f"months ({KNOWN_AFTER} after it begins). A policy that never met bad times "
                "is not tested: declare a downturn in the schedule, or take more months."
            )

    @property
    def downturn(self) -> int | None:
        """The month in which the first downturn begins."""
        turns = self.filed.schedule
        starts = (turn.from_month for turn in turns if turn.regime == Regime.DOWNTURN.value)
        return next(starts, None)

    def lived(self, seed: int, accounts: int | None = None) -> WorldSettings:
        """Return the world that is lived: the filed one with six months before it."""
        turns = [
            RegimeTurn(
                from_month=turn.from_month + WARM_UP if turn.from_month else 0, regime=turn.regime
            )
            for turn in self.filed.schedule
        ]
        return self.filed.changed(
            seed=seed,
            accounts=accounts or self.filed.accounts,
            months=WARM_UP + self.months,
            starts_on=month_start(self.filed.starts_on, -WARM_UP),
            schedule=tuple(turns),
        )

    def day(self, month: int) -> date:
        """Return the first day of a month of the trial."""
        return month_start(self.filed.starts_on, month)

    def known_regime(self, month: int) -> Regime:
        """Return the regime that the lender knows of at the start of `month`."""
        return Regime(economy.forecast(self.filed).regimes[max(month - KNOWN_AFTER, 0)])


def checked_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse seeds on which nothing new can be shown.

    Raises
    ------
    UsageError
        If there is none, one comes twice, is negative, or was used for tuning or for the model.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UsageError("Seeds are different whole numbers from 0 up; give at least one.")
    used = sorted(set(seeds) & {*DEVELOPMENT_SEEDS, MODEL_SEED})
    if used:
        raise UsageError(
            f"The seeds {', '.join(map(str, used))} were used to tune the shipped policy or to fit "
            "the model; a result on them would be no test. Take others."
        )
    return seeds


def month_start(start: date, months: int) -> date:
    """Return the first day of the month so many months after that of `start`."""
    first: date = (np.datetime64(start, "M") + months).astype("datetime64[D]").item()
    return first
