"""A plan: the policy as arrays, for one day, one climate and one freeze.

Everything that depends on the day alone is looked up once, so that the stages compute and do not
search.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from decisions.inputs import Exact, Flags, vocabulary
from decisions.policy import LimitPolicy
from decisions.sections import BASIS_POINTS, Dial, Season
from governance.errors import ContractError, UsageError


class Freeze(StrEnum):
    """What the lender has stopped for now; cuts are never stopped and never caused by a freeze."""

    NOTHING = "nothing"
    RAISES = "raises"


class Regime(StrEnum):
    """The macro regime in which the lender has declared itself to be."""

    NEUTRAL = "neutral"
    DOWNTURN = "downturn"
    BOOM = "boom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Regime and demand as of the day of the decision.

    Parameters
    ----------
    regime : Regime
        Turns the dials of the policy's ``macro`` section.
    demand_index : float or None
        Demand against an ordinary month (1.0); None if nobody measured it.
    """

    regime: Regime = Regime.NEUTRAL
    demand_index: float | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Climate:
        """Read a climate back from what `as_document` wrote; nothing written is the plain one.

        Raises
        ------
        UsageError
            If the regime is unknown or the demand index is no positive number.
        """
        regime, demand = document.get("regime", "neutral"), document.get("demand_index")
        if regime not in set(Regime):
            raise UsageError(f"A macro regime is one of {', '.join(Regime)}.")
        try:
            index = None if demand in (None, "") else float(demand)
        except (TypeError, ValueError):
            index = math.nan
        if index is not None and not (math.isfinite(index) and index >= 0):
            raise UsageError("A demand index is a number from 0 up; an ordinary month is 1.0.")
        return cls(regime=Regime(regime), demand_index=index)

    def as_document(self) -> dict[str, Any]:
        """Return the canonical form; the index is text, as all fractions in signed documents."""
        index = None if self.demand_index is None else repr(float(self.demand_index))
        return {"regime": self.regime.value, "demand_index": index}


PLAIN = Climate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The day, the freeze and the climate of a run."""

    as_of: date
    freeze: Freeze = Freeze.NOTHING
    climate: Climate = PLAIN


Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_CAP = -1
_LARGEST_MULTIPLIER = 10 * BASIS_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the stages need to know beside the rows.

    Parameters
    ----------
    edges : array of float
        Upper edges of the bands on this day, ``(n_bands - 1,)``.
    matrix, neutral_matrix : array of int
        Multipliers in basis points, ``(n_bands, n_classes)``, with and without the regime's dial.
    classes : array of float
        Upper edges of the utilization classes.
    caps : array of int
        ``(n_segments, n_products + 1)``; the last column is the cap without regard to a product.
    ceiling_minor : int or None
        The aggregate ceiling of the day.
    uplift : int
        Share of the season's uplift that the demand calls for, in basis points.
    in_season, in_trial : array of bool
        Which bands the season of the day is for, and which the exploration, ``(n_bands,)``.
    """

    policy: LimitPolicy
    freeze: Freeze
    climate: Climate
    edges: Floats
    neutral_edges: Floats
    matrix: Integers
    neutral_matrix: Integers
    classes: Floats
    caps: Integers
    ceiling_minor: int | None
    season: Season | None
    uplift: int
    in_season: Flags
    in_trial: Flags

    @classmethod
    def of(cls, policy: LimitPolicy, *, as_of: date, freeze: Freeze, climate: Climate) -> Plan:
        """Look up everything that the day decides.

        Raises
        ------
        ContractError
            If the policy is not in force, has no dial for the regime, no ceiling for the day, or
            needs a demand index that nobody passed.
        """
        return _planned(Exact(policy), as_of, freeze, climate)

    def turned(self, multipliers: Integers) -> Integers:
        """Return `multipliers`, ``(n_bands, n_classes)``, as the dial of the regime turns them."""
        return _dialled(self.policy, multipliers, _dial(self.policy, self.climate.regime))


# One online decision would otherwise spend a tenth of its time on what the day decides.
@functools.lru_cache(maxsize=16)
def _planned(key: Exact, as_of: date, freeze: Freeze, climate: Climate) -> Plan:
    policy = key.policy
    policy.require_in_force(as_of)
    dial = _dial(policy, climate.regime)
    names = policy.bands.names
    neutral = np.array([policy.matrix[name] for name in names], dtype=np.int64)
    edges = np.asarray(policy.bands.upper)
    season, trial = policy.season_on(as_of), policy.experiment
    plan = Plan(
        policy=policy,
        freeze=freeze,
        climate=climate,
        edges=_shifted(edges, dial.logit_shift),
        neutral_edges=edges,
        matrix=_dialled(policy, neutral, dial),
        neutral_matrix=neutral,
        classes=np.asarray(policy.utilization.upper),
        caps=_caps(policy, as_of),
        ceiling_minor=_ceiling(policy, as_of),
        season=season,
        uplift=0 if season is None else _uplift(season, climate.demand_index),
        in_season=np.array([season is not None and name in season.bands for name in names]),
        in_trial=np.array([trial is not None and name in trial.bands for name in names]),
    )
    for values in (plan.edges, edges, plan.matrix, neutral, plan.classes, plan.caps):
        values.flags.writeable = False
    return plan


def _dial(policy: LimitPolicy, regime: Regime) -> Dial:
    if regime is Regime.NEUTRAL:
        return Dial()
    dials = {} if policy.macro is None else dict(policy.macro)
    dial = dials.get(regime.value)
    if not isinstance(dial, Dial):
        raise ContractError(
            f"The limit policy {policy.id} has no dials for the regime {regime}. Have them "
            "reviewed as a new version, or decide in the neutral regime."
        )
    return dial


def _shifted(edges: Floats, shift: float) -> Floats:
    """Move the edges instead of every probability: one number per edge, and no rounding per row."""
    if shift == 0:
        return edges
    shifted: Floats = edges / (edges + np.exp(shift) * (1 - edges))
    return shifted


def _dialled(policy: LimitPolicy, neutral: Integers, dial: Dial) -> Integers:
    given = np.maximum(neutral - BASIS_POINTS, 0) * dial.raise_scale // BASIS_POINTS
    taken = np.maximum(BASIS_POINTS - neutral, 0) * dial.cut_scale // BASIS_POINTS
    if dial.raise_bands is not None:
        is_open = np.array([name in dial.raise_bands for name in policy.bands.names])
        given = given * is_open[:, None]
    dialled: Integers = np.clip(BASIS_POINTS + given - taken, 0, _LARGEST_MULTIPLIER)
    return dialled


def _caps(policy: LimitPolicy, as_of: date) -> Integers:
    segments, products = vocabulary(policy, "segment"), vocabulary(policy, "product")
    caps = np.full((len(segments), len(products) + 1), NO_CAP, dtype=np.int64)
    held = [cap for cap in policy.caps if cap.holds_on(as_of)]
    for cap in sorted(held, key=lambda item: item.product is not None):
        row = caps[segments.index(cap.segment)]
        if cap.product is None:
            row[:] = cap.cap_minor
        else:
            place = products.index(cap.product)
            row[place] = cap.cap_minor if row[place] == NO_CAP else min(row[place], cap.cap_minor)
    return caps


def _ceiling(policy: LimitPolicy, as_of: date) -> int | None:
    if not policy.ceilings:
        return None
    held = [row.ceiling_minor for row in policy.ceilings if row.holds_on(as_of)]
    if not held:
        raise ContractError(f"The limit policy {policy.id} has no aggregate ceiling on {as_of}.")
    return held[0]


def _uplift(season: Season, demand_index: float | None) -> int:
    """Return the share that is uplifted: in full, or along the ramp of the demand index."""
    if season.demand is None:
        return season.uplift
    if demand_index is None:
        raise ContractError(
            f"The season {season.name} follows the demand index, and none was passed. Pass the "
            "index of the day with --demand-index (an ordinary month is 1.0)."
        )
    ramp = season.demand
    share = (demand_index - ramp.starts_at) / (ramp.full_at - ramp.starts_at)
    return int(season.uplift * min(max(share, 0.0), 1.0))
