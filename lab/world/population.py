"""Accounts: what each of them is for life, drawn from a real row and the account's own luck.

Luck depends on who, when and what for, and on nothing else: it is read from a counter-based
generator (Philox) at the place of the account. So blocks of accounts can be of any size and in any
order, two limit policies meet the very same luck, and a break planted in month 9 leaves months 0
to 8 as they were, bit by bit.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtri

from lab.world import anchors, economy
from lab.world.anchors import Floats, Integers
from lab.world.economy import Economy
from lab.world.settings import Segment, WorldSettings
from training import demo_data

SEGMENTS = tuple(segment.value for segment in Segment)
ARMS = ("policy", "hold_out", "explore")
INCOME_SOURCES = ("salary", "self_employed", "pension", "business")
INCOME_SPREAD = np.array([0.03, 0.25, 0.01, 0.20])
CONSUMER, FIRM = range(2)
SME_SCALE = 5
SMALLEST_LIMIT = 10_000
LIMIT_STEP = 1_000

_SALARY, _SELF_EMPLOYED, _PENSION, _BUSINESS = range(4)
_PENSION_AGE, _SELF_EMPLOYED_SHARE = 62, 0.18
_SCORE_NOISE, _INCOME_NOISE = 0.35, 0.45
_LONGEST_TENURE = 240

Small = NDArray[np.int8]
Flags = NDArray[np.bool_]


class Use(IntEnum):
    """What a draw is for; two uses never share a number."""

    ROW = 0
    TRAITS = 1
    SELECTION = 2
    STATUS = 3
    FLOWS = 4
    EXPERIMENT = 5
    STATEMENT = 6
    VINTAGE = 7


def luck(account: Integers, seed: int, use: Use, month: int = -1) -> Floats:
    """Return four uniform numbers in 0-1 per account, for one use in one month or once in a life.

    Parameters
    ----------
    account : ndarray of int64, shape (n_accounts,)
        Ascending.
    """
    if not len(account):
        return np.zeros((0, 4))
    # One step of the counter yields four numbers, so an account's place in the stream is its own.
    start = [int(account[0]), month + 1, int(use), 0]
    stream = np.random.Philox(key=[seed, 0], counter=start)
    drawn = np.random.Generator(stream).random((int(account[-1] - account[0]) + 1, 4))
    own: Floats = drawn[account - account[0]]
    return own


def normals(account: Integers, seed: int, use: Use, month: int = -1) -> Floats:
    """Return four standard normal numbers per account."""
    drawn: Floats = ndtri(luck(account, seed, use, month))
    return drawn


def lognormal(normal: Floats, spread: Floats | float) -> Floats:
    """Return log-normal numbers with mean one; `spread` is the sd of the logarithm."""
    skewed: Floats = np.exp(spread * normal - np.square(spread) / 2)
    return skewed


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTraits:
    """Some accounts of a world; every array has shape ``(n_accounts,)``, money in whole units.

    Parameters
    ----------
    economy : Economy
        What the months of their world do to everybody.
    row : ndarray of int64
        The real row that the account starts from.
    frailty : ndarray of float64
        What makes this account late more or less often than others that behaved alike.
    reference_limit : ndarray of int64
        The limit granted at the start; the limit's effects are measured from it.
    borrowing : ndarray of float64
        Marginal propensity to borrow out of a higher limit, 0-1.
    is_refused : ndarray of bool
        The old rule turned the customer away and no experiment let him in.
    """

    settings: WorldSettings
    economy: Economy
    account: Integers
    row: Integers
    segment: Small
    profile: Small
    source: Small
    frailty: Floats
    reference_limit: Integers
    borrowing: Floats
    income: Floats
    tenure_months: Integers
    arm: Small
    is_refused: Flags
    is_accepted_anyway: Flags

    def __len__(self) -> int:
        return len(self.account)

    def take(self, kept: Flags) -> AccountTraits:
        """Return the accounts that `kept` names."""
        arrays = [f.name for f in fields(self) if f.name not in ("settings", "economy")]
        return replace(self, **{name: getattr(self, name)[kept] for name in arrays})

    def luck(self, use: Use, month: int = -1) -> Floats:
        """Return four uniform numbers per account."""
        return luck(self.account, self.settings.seed, use, month)

    def normals(self, use: Use, month: int = -1) -> Floats:
        """Return four standard normal numbers per account."""
        return normals(self.account, self.settings.seed, use, month)


def enroll(settings: WorldSettings, first: int = 0, last: int | None = None) -> AccountTraits:
    """Return the accounts `first` to `last` - 1 of a world (default: all)."""
    account = np.arange(first, settings.accounts if last is None else last, dtype=np.int64)
    seed, real = settings.seed, anchors.load()
    row, kind = _rows(settings, account)
    is_firm = kind < settings.population.sme_share
    drawn = luck(account, seed, Use.TRAITS)
    frailty = _frailty(settings, real.own_risk[row], ndtri(drawn[:, 0]))
    limit = _granted(settings, row, is_firm)
    self_employed = np.where(drawn[:, 1] < _SELF_EMPLOYED_SHARE, _SELF_EMPLOYED, _SALARY)
    retired = np.where(real.age[row] >= _PENSION_AGE, _PENSION, self_employed)
    refused, anyway, arm = _selection(settings, row, account)
    income_luck = normals(account, seed, Use.SELECTION)[:, 3]
    return AccountTraits(
        settings=settings,
        economy=economy.forecast(settings),
        account=account,
        row=row,
        segment=is_firm.astype(np.int8),
        profile=np.where(is_firm, economy.FIRM, drawn[:, 2] * economy.FIRM).astype(np.int8),
        source=np.where(is_firm, _BUSINESS, retired).astype(np.int8),
        frailty=frailty,
        reference_limit=limit,
        borrowing=_borrowing(settings, frailty),
        income=_income(limit, real.age[row], income_luck, frailty),
        # Small tenures are more frequent.
        tenure_months=1 + (_LONGEST_TENURE * drawn[:, 3] ** 2).astype(np.int64),
        arm=arm,
        is_refused=refused,
        is_accepted_anyway=anyway,
    )


def people(settings: WorldSettings) -> pa.Table:
    """Return the identities of all accounts, the refused included, in their order.

    They are impossible by construction; a firm has the identity of the person who signs for it.
    """
    account = np.arange(settings.accounts, dtype=np.int64)
    real, row = anchors.load(), _rows(settings, account)[0]
    made = demo_data.make_identities(
        sex=real.sex[row],
        age=real.age[row],
        observed_on=settings.starts_on.isoformat(),
        seed=settings.seed,
    )
    return made.add_column(0, "account", pa.array(account))


def _rows(settings: WorldSettings, account: Integers) -> tuple[Integers, Floats]:
    """Return the real row of each account, and the luck that decides who is a firm."""
    drawn = luck(account, settings.seed, Use.ROW)
    return (drawn[:, 0] * len(anchors.load().limit)).astype(np.int64), drawn[:, 1]


def _frailty(settings: WorldSettings, own_risk: Floats, normal: Floats) -> Floats:
    spread = settings.delinquency
    mixed: Floats = spread.own_risk_weight * own_risk + spread.frailty_sd * normal
    return mixed


def _granted(settings: WorldSettings, row: Integers, is_firm: Flags) -> Integers:
    """Return the limit that the real row has, less what bias takes from its group."""
    scaled = anchors.load().limit[row] * np.where(is_firm, SME_SCALE, 1)
    share = np.where(_is_wronged(settings, row), settings.bias.limit_share, 1.0)
    steps = np.floor(scaled * share / LIMIT_STEP).astype(np.int64)
    return np.maximum(steps * LIMIT_STEP, SMALLEST_LIMIT)


def _is_wronged(settings: WorldSettings, row: Integers) -> Flags:
    attribute: Integers = getattr(anchors.load(), settings.bias.attribute)
    wronged: Flags = attribute[row] == settings.bias.code
    return wronged


def _selection(
    settings: WorldSettings, row: Integers, account: Integers
) -> tuple[Flags, Flags, Small]:
    """Return who is refused, who was let in as an experiment, and the arm of each account."""
    asked = settings.population
    drawn = luck(account, settings.seed, Use.SELECTION)
    score = anchors.load().own_risk[row] + _SCORE_NOISE * ndtri(drawn[:, 0])
    score += settings.bias.refusal_logit * _is_wronged(settings, row)
    turned_away = score > _quantile(1.0, _SCORE_NOISE, 1.0 - asked.refused_share)
    lucky = drawn[:, 1] < asked.accepted_anyway
    edges = [asked.hold_out, asked.hold_out + asked.explore]
    arm = np.array([1, 2, 0], dtype=np.int8)[np.searchsorted(edges, drawn[:, 2], side="right")]
    return turned_away & ~lucky, turned_away & lucky, arm


@lru_cache(maxsize=16)
def _ordered(weight: float, spread: float) -> Floats:
    """Return the order statistics of weighted own risk plus noise; they belong to the rows."""
    noise = spread * ndtri((np.arange(64) + 0.5) / 64)
    mixed: Floats = np.sort((weight * anchors.load().own_risk[:, None] + noise).ravel())
    return mixed


def _quantile(weight: float, spread: float, share: float) -> float:
    return float(np.quantile(_ordered(weight, spread), share)) if share < 1 else np.inf


def _borrowing(settings: WorldSettings, frailty: Floats) -> Floats:
    """Return the marginal propensity to borrow: linear in the rank of the account's risk."""
    response, spread = settings.response, settings.delinquency
    ordered = _ordered(spread.own_risk_weight, spread.frailty_sd)
    rank = np.searchsorted(ordered, frailty) / len(ordered)
    span = response.borrowing_riskiest - response.borrowing_safest
    propensity: Floats = response.borrowing_safest + span * rank
    return propensity


def _income(limit: Integers, age: Integers, normal: Floats, frailty: Floats) -> Floats:
    """Return the monthly income, in whole units: it rises with the limit and falls with frailty."""
    working = np.clip((age - 22) / 20.0, 0.0, 1.0)
    typical = 9_000.0 + 6_000.0 * working + 35.0 * np.sqrt(limit)
    noise = np.exp(_INCOME_NOISE * normal - 0.35 * frailty)
    income: Floats = np.round(typical * noise * np.where(limit > 1_000_000, 4.0, 1.0), -2)
    return income
