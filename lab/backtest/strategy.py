"""Strategies: how limits move at a review, from not at all to the optimizer's recommendation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from decisions import engine, inputs, scoring
from decisions import model as models
from decisions.engine import Freeze, Regime
from decisions.features import FeatureSpec
from decisions.plan import Climate, Plan
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY
from decisions.sections import REFERENCE
from governance.errors import ContractError
from governance.outcome import Outcome
from lab.backtest import default_model
from lab.backtest.default_model import REVOLVING_SHARE, DefaultModel
from lab.backtest.trial import Trial
from lab.optimizer import optimization
from lab.optimizer.economics import Economics
from lab.world.account_file import LimitHistory
from lab.world.anchors import Integers
from lab.world.population import LIMIT_STEP, SEGMENTS
from lab.world.simulation import LARGEST_LIMIT, MINOR, WorldState

CURRENCY = "TWD"
BLANKET_RAISE, BLANKET_MONTHS = 0.10, 6


class Strategy(StrEnum):
    """What is compared."""

    STATIC = "static"
    BLANKET = "blanket"
    RULE = "rule"
    OPTIMIZED = "optimized"


MEANING = {
    Strategy.STATIC: "every limit stays as granted",
    Strategy.BLANKET: "every limit is raised by 10 % every six months",
    Strategy.RULE: "the policy as filed",
    Strategy.OPTIMIZED: "the optimizer inside the policy's envelope",
}

# What the loop itself makes is never taken from a spec that was written for one moment.
_HISTORY = ("months_since_raise", "months_since_cut", "previous_band", "previous_probability")
_FOR_OPTIMIZER = (REVOLVING_SHARE, REFERENCE)
_KEPT = (*_HISTORY, "arm", "assignment", *_FOR_OPTIMIZER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedFiles:
    """The reviewed files of a backtest, checked against each other."""

    policy: LimitPolicy
    economics: Economics
    model: DefaultModel

    def __post_init__(self) -> None:
        require_together(self.model.spec, self.policy, self.economics)

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments of the world that the policy covers; the others are left out."""
        return _covered(self.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReview:
    """One review of limits: who is looked at, on which day and with which files.

    Parameters
    ----------
    states : sequence of WorldState
        The last six months, the newest last.
    rows : ndarray of int64
        Positions of the open accounts.
    """

    files: ReviewedFiles
    trial: Trial
    month: int
    states: Sequence[WorldState]
    history: LimitHistory
    filings: pa.Table
    rows: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedLimits:
    """What a review decided: permanent limits of all accounts, and uplifts with their last day.

    Parameters
    ----------
    is_kept : bool
        The optimizer could not recommend anything, so every limit is the policy's decision.
    """

    history: LimitHistory
    uplift: Integers
    expires: np.datetime64 | None = None
    is_kept: bool = False


def require_together(spec: FeatureSpec, policy: LimitPolicy, economics: Economics) -> None:
    """Refuse files that cannot be lived together in a simulated world.

    Raises
    ------
    ContractError
        If currencies differ, the policy reads an input that neither spec nor loop gives, or it
        covers no segment of the world.
    """
    own = {**spec.inputs, **{name: name for name in _HISTORY}}
    models.require_fit(spec.model_copy(update={"inputs": own}), policy)
    if economics.currency != policy.currency:
        raise ContractError(
            f"The economics file {economics.id} counts in {economics.currency}, the policy "
            f"{policy.id} in {policy.currency}."
        )
    if policy.currency != CURRENCY:
        raise ContractError(
            f"The policy {policy.id} counts in {policy.currency}; the simulated world counts in "
            f"{CURRENCY}, like the rows it is anchored on. Limits are never converted on the way."
        )
    if not _covered(policy):
        raise ContractError(
            f"The policy {policy.id} has no cap for {' or '.join(SEGMENTS)}, the segments of "
            "a simulated world."
        )


def _covered(policy: LimitPolicy) -> tuple[str, ...]:
    covered = {cap.segment for cap in policy.caps}
    return tuple(name for name in SEGMENTS if name in covered)


def decide(strategy: Strategy, review: LimitReview) -> ReviewedLimits:
    """Decide the limits of a review."""
    return _DECIDERS[strategy](review)


def _static(review: LimitReview) -> ReviewedLimits:
    return ReviewedLimits(history=review.history, uplift=np.zeros_like(review.history.limit))


def _blanket(review: LimitReview) -> ReviewedLimits:
    if review.month == 0 or review.month % BLANKET_MONTHS:
        return _static(review)
    limit, unit = review.history.limit.copy(), LIMIT_STEP * MINOR
    raised = limit[review.rows] * (1 + BLANKET_RAISE)
    bounded = np.minimum(np.floor(raised / unit + 1e-6) * unit, LARGEST_LIMIT * MINOR)
    limit[review.rows] = np.maximum(bounded.astype(np.int64), limit[review.rows])
    return ReviewedLimits(history=review.history.moved(limit), uplift=np.zeros_like(limit))


def _rule(review: LimitReview) -> ReviewedLimits:
    batch, decided = _ruled(review)
    return _applied(review, batch, decided, decided.column("limit_after_minor").to_numpy())


def _optimized(review: LimitReview) -> ReviewedLimits:
    batch, decided = _ruled(review)
    files, day = review.files, review.trial.day(review.month)
    plan = Plan.of(files.policy, as_of=day, freeze=Freeze.NOTHING, climate=_climate(review))
    found = optimization.optimize(plan, files.economics, [batch], support=None)
    moved = _applied(review, batch, decided, found.recommended)
    return replace(moved, is_kept=found.outcome is not Outcome.PASS)


_DECIDERS: dict[Strategy, Callable[[LimitReview], ReviewedLimits]] = {
    Strategy.STATIC: _static,
    Strategy.BLANKET: _blanket,
    Strategy.RULE: _rule,
    Strategy.OPTIMIZED: _optimized,
}


def _ruled(review: LimitReview) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Score the open accounts and ask the engine."""
    files, day, rows = review.files, review.trial.day(review.month), review.rows
    known = default_model.known(review.states, review.history, rows, review.filings, on=day)
    # A review scores thousands of rows many times over: threads cost more than they save.
    with threadpool_limits(limits=1, user_api="openmp"):
        scored = scoring.score(files.model.estimator, files.model.spec, known)
    for name in _KEPT:
        if name in scored.column_names:
            scored = scored.drop_columns(name)
        scored = scored.append_column(name, known[name])
    kinds = {DEFAULT_PROBABILITY: None, **inputs.needed(files.policy)}
    batch = scored.select([*kinds, *_FOR_OPTIMIZER]).combine_chunks().to_batches()[0]
    return batch, engine.decide(files.policy, batch, as_of=day, climate=_climate(review))


def has_dial(policy: LimitPolicy, regime: Regime) -> bool:
    """Tell whether a policy says what changes in a regime."""
    return policy.macro is not None and getattr(policy.macro, regime.value, None) is not None


def _climate(review: LimitReview) -> Climate:
    """Return what is known of the economy; a policy without a dial decides as in normal times."""
    regime = review.trial.known_regime(review.month)
    usable = regime if has_dial(review.files.policy, regime) else Regime.NEUTRAL
    return Climate(regime=usable, demand_index=1.0)


def _applied(
    review: LimitReview, batch: pa.RecordBatch, decided: pa.RecordBatch, after: Integers
) -> ReviewedLimits:
    """Write limits, bands and uplifts of the reviewed rows into the whole book."""
    rows, history = review.rows, review.history
    limit, uplift = history.limit.copy(), np.zeros_like(history.limit)
    limit[rows] = after
    # A recommendation above the rule's limit takes the place of the uplift, so that both together
    # never exceed what the policy would have let the customer draw.
    given = decided.column("temporary_uplift_minor").to_numpy()
    total = decided.column("limit_after_minor").to_numpy() + given
    uplift[rows] = np.where(given > 0, np.maximum(total - after, 0), 0)
    places = {name: place for place, name in enumerate(review.files.policy.bands.names)}
    band = np.array([places.get(name, -1) for name in decided.column("band").to_pylist()])
    probability = batch.column(DEFAULT_PROBABILITY).to_numpy()
    days = decided.column("uplift_expires_on").drop_null()
    expires = np.datetime64(days[0].as_py()) if len(days) else None
    moved = history.moved(limit).judged(rows, band, probability)
    return ReviewedLimits(history=moved, uplift=uplift, expires=expires)
