"""Strategies: how limits move at a review, from not at all to the optimizer's recommendation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from governance.errors import ContractError
from governance.outcome import Outcome
from lab.backtest import diary
from lab.backtest.diary import REVOLVING_SHARE, Diary
from lab.backtest.filings import Filings
from lab.backtest.learner import Scorer
from lab.backtest.trial import Trial
from lab.optimizer import optimization
from lab.optimizer.economics import Economics
from lab.optimizer.envelope import Reach
from lab.optimizer.survey import Book
from lab.world.book import LIMIT_STEP, SEGMENT_NAMES
from lab.world.evolution import LARGEST_LIMIT, MINOR, State
from limits import engine, inputs, scoring
from limits import model as models
from limits.engine import Freeze, Regime
from limits.features import FeatureSpec
from limits.policy import LimitPolicy
from limits.scoring import DEFAULT_PROBABILITY
from limits.sections import REFERENCE
from limits.stages.climate import Climate
from limits.stages.plan import Plan

CURRENCY = "TWD"
BLANKET_RAISE, BLANKET_MONTHS = 0.10, 6

Integers = NDArray[np.int64]


class Strategy(StrEnum):
    """What is compared; ``FREE`` is there to show what an optimizer does without an envelope."""

    STATIC = "static"
    BLANKET = "blanket"
    RULE = "rule"
    OPTIMIZED = "optimized"
    FREE = "free"


MEANING = {
    Strategy.STATIC: "every limit stays as granted",
    Strategy.BLANKET: "every limit is raised by 10 % every six months",
    Strategy.RULE: "the policy as filed",
    Strategy.OPTIMIZED: "the optimizer inside the policy's envelope",
    Strategy.FREE: "the optimizer with every step allowed to every band, for comparison",
}

# What the loop itself makes is never taken from a spec that was written for one moment.
_HISTORY = ("months_since_raise", "months_since_cut", "previous_band", "previous_probability")
_FOR_OPTIMIZER = (REVOLVING_SHARE, REFERENCE)
_KEPT = (*_HISTORY, "arm", "assignment", *_FOR_OPTIMIZER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review of limits: who is looked at, on which day and with which files.

    Parameters
    ----------
    rows : ndarray of int64
        Positions of the open accounts.
    """

    files: Files
    trial: Trial
    month: int
    state: State
    seen: Diary
    filings: Filings
    rows: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The reviewed files of a backtest, checked against each other."""

    policy: LimitPolicy
    economics: Economics
    scorer: Scorer

    def __post_init__(self) -> None:
        require_together(self.scorer.spec, self.policy, self.economics)

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments of the world that the policy covers; the others are left out."""
        return _covered(self.policy)


def require_together(spec: FeatureSpec, policy: LimitPolicy, economics: Economics) -> None:
    """Refuse files that cannot be lived together in a simulated world.

    Raises
    ------
    ContractError
        If currencies differ, the policy reads an input that neither spec nor loop gives, or it
        covers no segment of the world.
    """
    models.require_fit(_with_history(spec), policy)
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
            f"The policy {policy.id} has no cap for {' or '.join(SEGMENT_NAMES)}, the segments of "
            "a simulated world."
        )


def _covered(policy: LimitPolicy) -> tuple[str, ...]:
    covered = {cap.segment for cap in policy.caps}
    return tuple(name for name in SEGMENT_NAMES if name in covered)


def _with_history(spec: FeatureSpec) -> FeatureSpec:
    """Return the spec as if it declared what the loop itself keeps: the history of each limit."""
    return spec.model_copy(update={"inputs": {**spec.inputs, **{n: n for n in _HISTORY}}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a review decided: permanent limits of all accounts, and uplifts with their last day.

    Parameters
    ----------
    is_kept : bool
        The optimizer could not recommend anything, so every limit is the policy's decision.
    """

    seen: Diary
    uplift: Integers
    expires: np.datetime64 | None = None
    is_kept: bool = False


def decide(strategy: Strategy, review: Review) -> Moved:
    """Decide the limits of a review."""
    return _DECIDERS[strategy](review)


def _static(review: Review) -> Moved:
    return Moved(seen=review.seen, uplift=np.zeros_like(review.seen.limit))


def _blanket(review: Review) -> Moved:
    if review.month == 0 or review.month % BLANKET_MONTHS:
        return _static(review)
    seen, unit = review.seen, LIMIT_STEP * MINOR
    raised = seen.limit[review.rows] * (1 + BLANKET_RAISE)
    bounded = np.minimum(np.floor(raised / unit + 1e-6) * unit, LARGEST_LIMIT * MINOR)
    limit = seen.limit.copy()
    limit[review.rows] = np.maximum(bounded.astype(np.int64), limit[review.rows])
    return Moved(seen=seen.moved(limit), uplift=np.zeros_like(limit))


def _rule(review: Review) -> Moved:
    batch, decided = _ruled(review)
    return _applied(review, batch, decided, decided.column("limit_after_minor").to_numpy())


def _optimized(review: Review) -> Moved:
    return _recommended(review, None)


def _free(review: Review) -> Moved:
    return _recommended(review, Reach.STEP)


_DECIDERS: dict[Strategy, Callable[[Review], Moved]] = {
    Strategy.STATIC: _static,
    Strategy.BLANKET: _blanket,
    Strategy.RULE: _rule,
    Strategy.OPTIMIZED: _optimized,
    Strategy.FREE: _free,
}


def _ruled(review: Review) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Score the open accounts and ask the engine."""
    files, day = review.files, review.trial.day(review.month)
    known = diary.table(review.seen, review.state, review.rows, on=day, filings=review.filings)
    # A review scores thousands of rows many times over: threads cost more than they save.
    with threadpool_limits(limits=1, user_api="openmp"):
        scored = scoring.score(files.scorer.estimator, files.scorer.spec, known)
    for name in _KEPT:
        if name in scored.column_names:
            scored = scored.drop_columns(name)
        scored = scored.append_column(name, known[name])
    kinds = {DEFAULT_PROBABILITY: None, **inputs.needed(files.policy)}
    batch = scored.select([*kinds, *_FOR_OPTIMIZER]).combine_chunks().to_batches()[0]
    climate = _climate(review)
    return batch, engine.decide(files.policy, batch, as_of=day, climate=climate)


def has_dial(policy: LimitPolicy, regime: Regime) -> bool:
    """Tell whether a policy says what changes in a regime."""
    return policy.macro is not None and getattr(policy.macro, regime.value, None) is not None


def _climate(review: Review) -> Climate:
    """Return what is known of the economy; a policy without a dial decides as in normal times."""
    regime = review.trial.known_regime(review.month)
    told = regime if has_dial(review.files.policy, regime) else Regime.NEUTRAL
    return Climate(regime=told, demand_index=1.0)


def _recommended(review: Review, reach: Reach | None) -> Moved:
    batch, decided = _ruled(review)
    day, files = review.trial.day(review.month), review.files
    climate = _climate(review)
    plan = Plan.of(files.policy, as_of=day, freeze=Freeze.NOTHING, climate=climate)

    def batches() -> Iterator[pa.RecordBatch]:
        yield batch

    chosen = {} if reach is None else {"reach": reach}
    book = Book(plan=plan, economics=files.economics, batches=batches, support=None, **chosen)
    with tempfile.TemporaryFile() as spool:
        found = optimization.optimize(book, spool)
        parts = [recommended for _, recommended, _ in found.recommendations()]
    moved = _applied(review, batch, decided, np.concatenate(parts))
    return replace(moved, is_kept=found.outcome is not Outcome.PASS)


def _applied(
    review: Review, batch: pa.RecordBatch, decided: pa.RecordBatch, after: Integers
) -> Moved:
    """Write limits, bands and uplifts of the reviewed rows into the whole book."""
    rows, seen = review.rows, review.seen
    limit, uplift = seen.limit.copy(), np.zeros_like(seen.limit)
    limit[rows] = after
    # A recommendation above the rule's limit takes the place of the uplift, so that both together
    # never exceed what the policy would have let the customer draw.
    total = decided.column("limit_after_minor").to_numpy()
    total = total + decided.column("temporary_uplift_minor").to_numpy()
    given = decided.column("temporary_uplift_minor").to_numpy() > 0
    uplift[rows] = np.where(given, np.maximum(total - after, 0), 0)
    names = list(review.files.policy.bands.names)
    band = np.array([_place(names, name) for name in decided.column("band").to_pylist()])
    probability = batch.column(DEFAULT_PROBABILITY).to_numpy()
    days = decided.column("uplift_expires_on").drop_null()
    expires = np.datetime64(days[0].as_py()) if len(days) else None
    moved = seen.moved(limit).judged(rows, band.astype(np.int64), probability)
    return Moved(seen=moved, uplift=uplift, expires=expires)


def _place(names: list[str], name: str | None) -> int:
    return -1 if name is None else names.index(name)
