"""The search: made-up customers against every law, and the smallest one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from decisions import engine
from decisions.checking import cases
from decisions.checking.cases import Moment
from decisions.checking.lawbook import Case, Decide
from decisions.checking.laws import LAWS, Law
from decisions.checking.laws_of_pairs import PAIR_LAWS
from decisions.checking.laws_of_risk import RISK_LAWS
from decisions.policy import LimitPolicy
from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from decisions.stages.climate import PLAIN, Climate, Freeze

BATCH_ROWS = 16_384
ALL_LAWS = (*LAWS, *RISK_LAWS, *PAIR_LAWS)

_DIGITS = (1, 2, 3, 4, 6)
_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """The smallest found input that breaks a law.

    Parameters
    ----------
    differs : mapping
        Input to value, only where it differs from the plainest customer
        (`decisions.checking.cases.plain`).
    decided : mapping
        What the engine decided for it.
    """

    law: Law
    moment: Moment
    differs: dict[str, Any]
    decided: dict[str, Any]


@dataclass(slots=True)
class Found:
    """What a search found, law by law."""

    inputs: int = 0
    checked: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    examples: dict[str, Counterexample] = field(default_factory=dict)
    reasons: int = 0


def search(
    policy: LimitPolicy,
    *,
    inputs: int,
    seed: int,
    decide: Decide = engine.decide,
    progress: Callable[[int], None] = lambda _: None,
) -> Found:
    """Look for inputs that break a law.

    Parameters
    ----------
    inputs : int
        How many customers to make up; each is decided about twelve times.
    seed : int
        The same seed makes up the same customers.
    decide : callable
        The engine on trial; another one is passed to see whether the laws would notice.
    progress : callable
        Told the number of inputs after each batch.
    """
    found = Found(
        checked={law.name: 0 for law in ALL_LAWS}, broken={law.name: 0 for law in ALL_LAWS}
    )
    rng = np.random.default_rng(seed)
    when = cases.moments(policy, rng)
    while found.inputs < inputs:
        size = min(BATCH_ROWS, inputs - found.inputs)
        batch = cases.draw(policy, size, rng)
        case = Case.of(policy, next(when), batch, decide)
        found.reasons |= int(np.bitwise_or.reduce(case.decided["reasons"], initial=0))
        for law in ALL_LAWS:
            concerned, breaks = law.check(case)
            found.checked[law.name] += int(concerned.sum())
            number = int(breaks.sum())
            found.broken[law.name] += number
            if number and law.name not in found.examples:
                row = batch.slice(int(np.flatnonzero(breaks)[0]), 1)
                found.examples[law.name] = shrink(law, replace_batch(case, row))
        found.inputs += size
        progress(found.inputs)
    return found


def silent(policy: LimitPolicy, found: Found) -> list[Reason]:
    """Return the rules that the policy declares and that never acted on any input.

    A rule that nothing can set off was most likely meant otherwise.
    """
    warning, conditions = policy.early_warning, policy.raise_conditions
    dials = dict(policy.macro).values() if policy.macro else ()
    declared: dict[Reason, object] = {
        Reason.LOW_RISK: any(m > BASIS_POINTS for row in policy.matrix.values() for m in row),
        Reason.HIGH_RISK: any(m < BASIS_POINTS for row in policy.matrix.values() for m in row),
        Reason.EARLY_WARNING: warning.cut_to < BASIS_POINTS,
        Reason.POLICY_CAP: True,
        Reason.BAND_KEPT: policy.bands.hysteresis,
        Reason.MACRO_REGIME: any(dials),
        Reason.PROBABILITY_JUMP: warning.probability_jump,
        Reason.PAYMENT_STRESS: warning.stress,
        Reason.BUSINESS_SOUNDNESS: policy.business and policy.business.legal_persons,
        Reason.DEBT_COVERAGE: policy.business,
        Reason.BUSINESS_REVENUE: policy.business,
        Reason.AFFORDABILITY: policy.affordability,
        Reason.OVER_INDEBTED: policy.over_indebtedness,
        Reason.CONSENT_MISSING: conditions and conditions.consent == "required",
        Reason.ASSESSMENT_STALE: conditions and conditions.assessment_months,
        Reason.AGGREGATE_CEILING: policy.ceilings,
        Reason.AUTOMATION_REFUSED: policy.automation,
        Reason.EXPLORATION: policy.experiment,
        Reason.HOLD_OUT: policy.experiment,
        Reason.SEASONAL_UPLIFT: policy.seasons,
    }
    return [
        reason for reason, is_there in declared.items() if is_there and not found.reasons & reason
    ]


def replace_batch(case: Case, batch: pa.RecordBatch) -> Case:
    """Decide other rows at the same moment, by the same rules."""
    return Case.of(case.policy, case.moment, batch, case.decide)


def shrink(law: Law, case: Case) -> Counterexample:
    """Make a broken law's input as plain as it can be while it still breaks the law.

    One value after another is replaced by that of the plainest customer, by a value half-way to it,
    or by a rounder one, until none of these still breaks the law.
    """
    simple = _simpler_moment(law, case)
    schema = cases.schema(case.policy)
    plainest = cases.plain(case.policy)
    row = simple.batch.to_pylist()[0]
    for _ in range(_ROUNDS):
        candidates = list(_simpler(row, plainest))
        if not candidates:
            break
        batch = pa.RecordBatch.from_pylist(candidates, schema=schema)
        breaks = law.check(replace_batch(simple, batch))[1]
        if not breaks.any():
            break
        row = candidates[int(np.flatnonzero(breaks)[0])]
    smallest = replace_batch(simple, pa.RecordBatch.from_pylist([row], schema=schema))
    return Counterexample(
        law=law,
        moment=simple.moment,
        differs={name: value for name, value in row.items() if not _same(value, plainest[name])},
        decided={name: _scalar(values[0]) for name, values in smallest.decided.items()},
    )


def _simpler_moment(law: Law, case: Case) -> Case:
    """Try the policy's first day, no freeze and the neutral regime."""
    moment = case.moment
    simple_index = Climate(demand_index=moment.climate.demand_index)
    tries: list[dict[str, Any]] = [
        {"as_of": case.policy.effective_from},
        {"freeze": Freeze.NOTHING},
        {"climate": simple_index},
        {"climate": PLAIN},
    ]
    for change in tries:
        candidate = replace(case.moment, **change)
        if change == {"climate": PLAIN} and case.policy.season_on(candidate.as_of):
            continue
        tried = Case.of(case.policy, candidate, case.batch, case.decide)
        if law.check(tried)[1].any():
            case = tried
    return case


def _simpler(row: dict[str, Any], plainest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    differing = [name for name, value in row.items() if not _same(value, plainest[name])]
    for name in differing:
        yield row | {name: plainest[name]}
    for name in differing:
        for value in _between(row[name], plainest[name]):
            yield row | {name: value}


def _between(value: Any, plain: Any) -> Iterator[Any]:
    """Yield rounder values and values nearer to the plain one, the largest step first."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float):
        if np.isfinite(value):
            yield from (
                round(value, d) for d in _DIGITS if len(repr(round(value, d))) < len(repr(value))
            )
        return
    if not isinstance(plain, int) or abs(value) > 2**62:
        return
    distance = value - plain
    step = abs(distance) // 2
    while step:
        yield value - step * (1 if distance > 0 else -1)
        step //= 2


def _same(left: Any, right: Any) -> bool:
    return left == right and type(left) is type(right)


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
