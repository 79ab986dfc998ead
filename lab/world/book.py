"""Accounts: what each of them is for life, drawn from a real row and the account's own luck."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lab.world import anchors, chain, climate, draws
from lab.world.draws import Bits, Reals, Use
from lab.world.settings import Segment, WorldSettings

if TYPE_CHECKING:
    from lab.world.anchors import Anchors

INCOME_SOURCES = ("salary", "self_employed", "pension", "business")
INCOME_SPREAD = (0.03, 0.25, 0.01, 0.20)
SME_SCALE = 5
SMALLEST_LIMIT = 10_000
LIMIT_STEP = 1_000

_SALARY, _SELF_EMPLOYED, _PENSION, _BUSINESS = range(4)
_PENSION_AGE = 62
_SELF_EMPLOYED_SHARE = 0.18
_SCORE_NOISE = 0.35
_INCOME_NOISE = 0.45
_LONGEST_TENURE = 240

Integers = NDArray[np.int64]
Small = NDArray[np.int8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Accounts ``first`` to ``first + n``, whatever the chunk; every array has shape ``(n,)``.

    Parameters
    ----------
    frailty : ndarray of float32
        What makes this account late more or less often than others that behaved alike.
    reference_limit : ndarray of int64
        The limit granted at the start, in whole units; the limit's effects are measured from it.
    borrowing : ndarray of float32
        Marginal propensity to borrow out of a higher limit, 0-1.
    is_refused : ndarray of bool
        The old rule turned the customer away and no experiment let him in.
    """

    settings: WorldSettings
    account: Integers
    key: Bits
    row: Integers
    segment: Small
    profile: Small
    source: Small
    frailty: Reals
    reference_limit: Integers
    borrowing: Reals
    purchases: Reals
    payment_share: Reals
    income: Reals
    tenure_months: Integers
    arm: Small
    is_refused: Flags
    is_accepted_anyway: Flags

    def __len__(self) -> int:
        return len(self.account)

    def take(self, kept: Flags) -> Book:
        """Return the accounts that `kept` names."""
        values = {
            field.name: getattr(self, field.name)[kept]
            for field in fields(self)
            if field.name != "settings"
        }
        return replace(self, **values)


ARMS = ("policy", "hold_out", "explore")


def enroll(settings: WorldSettings, first: int, last: int) -> Book:
    """Return the accounts `first` to `last` - 1 of a world, at the start of its first month."""
    account = np.arange(first, last, dtype=np.int64)
    key = draws.keys(account, settings.seed)
    real = anchors.load()
    row, kind = _rows(key)
    is_firm = kind < settings.population.sme_share
    frailty = _frailty(settings, real.own_risk[row], key)
    limit = _granted(settings, real, row, is_firm)
    traits = draws.quantiles(draws.bits(key, Use.TRAITS))
    source, profile = _source(real.age[row], is_firm, traits[0]), _profile(is_firm, traits[1])
    refused, anyway, arm = _selection(settings, real, row, key)
    scale = np.where(is_firm, SME_SCALE, 1)
    return Book(
        settings=settings,
        account=account,
        key=key,
        row=row,
        segment=is_firm.astype(np.int8),
        profile=profile,
        source=source,
        frailty=frailty,
        reference_limit=limit,
        borrowing=_borrowing(settings, frailty),
        purchases=(real.purchases[row] * scale).astype(np.float32),
        payment_share=real.payment_share[row].astype(np.float32),
        income=_income(limit, real.age[row], frailty, traits[2]),
        tenure_months=1 + _skewed(traits[3], _LONGEST_TENURE),
        arm=arm,
        is_refused=refused,
        is_accepted_anyway=anyway,
    )


def rows_of(settings: WorldSettings, first: int, last: int) -> Integers:
    """Return the real row that each account starts from."""
    return _rows(draws.keys(np.arange(first, last, dtype=np.int64), settings.seed))[0]


def _rows(key: Bits) -> tuple[Integers, Reals]:
    """Return the real row of each account, and the luck that decides who is a firm."""
    high, low = draws.uniforms(draws.bits(key, Use.ROW))
    rows = len(anchors.load().limit)
    return (high.astype(np.float64) * rows).astype(np.int64), low


def _frailty(settings: WorldSettings, own_risk: Floats, key: Bits) -> Reals:
    spread = settings.delinquency
    luck = draws.normal_table().take(draws.quantiles(draws.bits(key, Use.FRAILTY))[0])
    mixed = spread.own_risk_weight * own_risk + spread.frailty_sd * luck
    return np.round(mixed, 6).astype(np.float32)


def _granted(settings: WorldSettings, real: Anchors, row: Integers, is_firm: Flags) -> Integers:
    """Return the limit that the real row has, less what bias takes from its group."""
    scaled = real.limit[row] * np.where(is_firm, SME_SCALE, 1)
    share = np.where(_is_wronged(settings, real, row), settings.bias.limit_share, 1.0)
    steps = np.floor(scaled * share / LIMIT_STEP).astype(np.int64)
    return np.maximum(steps * LIMIT_STEP, SMALLEST_LIMIT)


def _is_wronged(settings: WorldSettings, real: Anchors, row: Integers) -> Flags:
    attribute: Integers = getattr(real, settings.bias.attribute)
    wronged: Flags = attribute[row] == settings.bias.code
    return wronged


def _selection(
    settings: WorldSettings, real: Anchors, row: Integers, key: Bits
) -> tuple[Flags, Flags, Small]:
    """Return who is refused, who was let in as an experiment, and the arm of each account."""
    population = settings.population
    luck = draws.quantiles(draws.bits(key, Use.SELECTION))
    noise = _SCORE_NOISE * draws.normal_table().take(luck[0])
    score = (
        real.own_risk[row] + noise + settings.bias.refusal_logit * _is_wronged(settings, real, row)
    )
    turned_away = score > _cut(population.refused_share)
    lucky = luck[1] < population.accepted_anyway * draws.QUANTILES
    place = luck[2] / draws.QUANTILES
    arm = (place < population.hold_out) + 2 * (
        (place >= population.hold_out) & (place < population.hold_out + population.explore)
    )
    return turned_away & ~lucky, turned_away & lucky, arm.astype(np.int8)


@lru_cache(maxsize=16)
def _cut(refused_share: float) -> float:
    """Return the score above which the old rule refuses; it belongs to the rows, not to a chunk."""
    own_risk = anchors.load().own_risk
    slots = draws.normal_table()[:: draws.QUANTILES // 64] * _SCORE_NOISE
    scores = np.sort((own_risk[:, None] + slots[None, :]).ravel())
    if refused_share <= 0:
        return float("inf")
    place = int((1.0 - refused_share) * (len(scores) - 1))
    return round(float(scores[place]), 6)


def _borrowing(settings: WorldSettings, frailty: Reals) -> Reals:
    """Return the marginal propensity to borrow: linear in the rank of the account's risk."""
    response = settings.response
    ranks = _frailty_ranks(settings.delinquency.own_risk_weight, settings.delinquency.frailty_sd)
    rank = np.searchsorted(ranks, frailty) / len(ranks)
    span = response.borrowing_riskiest - response.borrowing_safest
    return np.round(response.borrowing_safest + span * rank, 6).astype(np.float32)


@lru_cache(maxsize=16)
def _frailty_ranks(weight: float, spread: float) -> Floats:
    own_risk = anchors.load().own_risk[::3]
    slots = draws.normal_table()[:: draws.QUANTILES // 64] * spread
    ranks: Floats = np.sort((weight * own_risk[:, None] + slots[None, :]).ravel())
    return ranks


def _source(age: Integers, is_firm: Flags, luck: NDArray[np.uint16]) -> Small:
    employed = np.where(luck < _SELF_EMPLOYED_SHARE * draws.QUANTILES, _SELF_EMPLOYED, _SALARY)
    retired = np.where(age >= _PENSION_AGE, _PENSION, employed)
    return np.where(is_firm, _BUSINESS, retired).astype(np.int8)


def _profile(is_firm: Flags, luck: NDArray[np.uint16]) -> Small:
    return np.where(is_firm, climate.FIRM, luck % climate.FIRM).astype(np.int8)


def _income(limit: Integers, age: Integers, frailty: Reals, luck: NDArray[np.uint16]) -> Reals:
    """Return the monthly income, in whole units: it rises with the limit and falls with frailty."""
    working = np.clip((age - 22) / 20.0, 0.0, 1.0)
    typical = 9_000.0 + 6_000.0 * working + 14.0 * np.sqrt(limit.astype(np.float64)) * 2.5
    noise = _INCOME_NOISE * draws.normal_table().take(luck) - 0.35 * frailty
    raw = typical * np.exp(noise) * np.where(limit > 1_000_000, 4.0, 1.0)
    return np.round(raw, -2).astype(np.float32)


def _skewed(luck: NDArray[np.uint16], longest: int) -> Integers:
    """Return numbers from 0 to `longest`, small ones more often."""
    return (longest * (luck / draws.QUANTILES) ** 2).astype(np.int64)


def opening_cells(book: Book) -> NDArray[np.int16]:
    """Return where each account's chain stands: the real row's April to August."""
    return chain.opening_cells(anchors.load().status[book.row])


def opening_balances(book: Book) -> Reals:
    """Return what each account owes at the start: the real row's August bill, scaled for a firm."""
    real = anchors.load()
    scale = np.where(book.segment == 1, SME_SCALE, 1)
    return np.minimum(real.balance[book.row] * scale, book.reference_limit).astype(np.float32)


SEGMENT_NAMES = tuple(segment.value for segment in Segment)
