"""Policy check: the search for an input by which a policy breaks a law, and the smallest one found.

The laws are those that a policy *file* can break although the engine carries it out correctly. The
engine itself is tested elsewhere. A search finds breaches; it does not prove that there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from decisions import engine, policy_cases, reason_texts
from decisions.inputs import Flags
from decisions.plan import PLAIN, Climate, Freeze, Integers, Regime
from decisions.policy import LimitPolicy
from decisions.policy_cases import OTHER_RISK, Case
from decisions.reasons import Reason
from decisions.sections import BASIS_POINTS
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.outcome import Outcome, worst

VIOLATIONS = "policy.violations"
BATCH_ROWS = 16_384

NOT_EVIDENCED = (
    "Inputs that were not made up: a search finds breaches, it does not prove that there are none.",
    "Whether the policy is profitable or fair: the laws say what it must never do.",
)

_DIGITS = (1, 2, 3, 4, 6)
_ROUNDS = 200
# The law that concerns every policy; a search that never came to it has shown nothing.
_ALWAYS = "riskier_gets_no_more"
_MOVES = {"raise": "A limit is raised", "cut": "A limit is cut"}

Broken: TypeAlias = "tuple[Flags, Flags]"


class Law(NamedTuple):
    """A named law; its check returns whom it concerns and who breaks it, ``(n_rows,)`` each."""

    name: str
    check: Callable[[Case], Broken]


def _nobody(case: Case) -> Broken:
    return (np.zeros(len(case.before), np.bool_),) * 2


def _riskier(case: Case) -> Broken:
    """Compare the customer with one who differs in the default probability alone."""
    again = case.given(default_probability=case.batch.column(OTHER_RISK))
    here, there = case["default_probability"], again["default_probability"]
    compared = ~case.is_reviewed & ~again.is_reviewed & (here != there)
    gets_more = np.where(
        here > there,
        (case.after > again.after) | (case.total > again.total),
        (again.after > case.after) | (again.total > case.total),
    )
    return compared, compared & gets_more


def _warned(case: Case) -> Broken:
    warning = case.policy.early_warning
    signs = case["months_delinquent"] >= warning.months_delinquent
    if jump := warning.probability_jump:
        risk = case["default_probability"]
        signs |= (risk >= jump.ratio * case["previous_probability"]) & (risk >= jump.minimum)
    if stress := warning.stress:
        unpaid = case["payment_ratio"] <= stress.payment_ratio
        signs |= (case["utilization"] >= stress.utilization) & unpaid
    signs &= ~case.is_reviewed
    return signs, signs & case.gives


def _payments(case: Case) -> Broken:
    rule, firm = case.policy.affordability, case.policy.business
    if rule is None:
        return _nobody(case)
    payments = case.total * (rule.minimum_payment_rate / BASIS_POINTS) + case["debt_service_minor"]
    given = case.gives & ~case.belongs_to(firm.legal_persons if firm else ())
    # One minor unit of tolerance: this law reckons in fractions, the engine in integers.
    return given, given & (payments > case["income_minor"] + 1)


def _turned(case: Case, regime: Regime) -> Case | None:
    """Decide the same customers in another regime, from the neutral one."""
    dials = dict(case.policy.macro) if case.policy.macro else {}
    climate = case.moment.climate
    if climate.regime is not Regime.NEUTRAL or dials.get(regime.value) is None:
        return None
    return case.under(climate=Climate(regime=regime, demand_index=climate.demand_index))


def _downturn(case: Case) -> Broken:
    turned = _turned(case, Regime.DOWNTURN)
    return _nobody(case) if turned is None else _looser(turned, case)


def _boom(case: Case) -> Broken:
    turned = _turned(case, Regime.BOOM)
    return _nobody(case) if turned is None else _looser(case, turned)


def _looser(tight: Case, loose: Case) -> Broken:
    """Find who gets more in the case that is to be the tighter one."""
    compared = ~(tight.is_reviewed | loose.is_reviewed)
    return compared, compared & ((tight.after > loose.after) | (tight.total > loose.total))


def _trial(case: Case) -> Broken:
    if not case.has("arm"):
        return _nobody(case)
    explores: Flags = (case["arm"] == "explore") & ~case.is_reviewed
    usual = case.given(arm=np.full(len(case.before), "policy", dtype=object))
    return explores, explores & (case.after < usual.after)


def _band_near(case: Case) -> Broken:
    if not case.has("previous_band"):
        return _nobody(case)
    fresh = case.given(previous_band=np.full(len(case.before), None, dtype=object))
    decided = ~case.is_reviewed & ~fresh.is_reviewed
    return decided, decided & (np.abs(_places(case) - _places(fresh)) > 1)


def _places(case: Case) -> Integers:
    lookup = {name: place for place, name in enumerate(case.policy.bands.names)} | {None: 0}
    found: Integers = np.array([lookup[name] for name in case.decided["band"]], dtype=np.int64)
    return found


LAWS = (
    Law("riskier_gets_no_more", _riskier),
    Law("warned_gets_nothing", _warned),
    Law("payments_within_income", _payments),
    Law("downturn_is_tighter", _downturn),
    Law("boom_is_looser", _boom),
    Law("trial_harms_nobody", _trial),
    Law("band_is_near", _band_near),
)


@dataclass(slots=True)
class Search:
    """What a search found so far: per law, whom it concerned, who broke it, the smallest input."""

    policy: LimitPolicy
    inputs: int = 0
    checked: dict[str, int] = field(default_factory=lambda: {law.name: 0 for law in LAWS})
    broken: dict[str, int] = field(default_factory=lambda: {law.name: 0 for law in LAWS})
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: int = 0
    actions: set[str] = field(default_factory=set)

    def add(self, case: Case) -> None:
        """Hold one batch against every law."""
        self.inputs += case.batch.num_rows
        self.reasons |= int(np.bitwise_or.reduce(case.decided["reasons"], initial=0))
        self.actions |= set(case.decided["action"])
        for law in LAWS:
            concerned, breaks = law.check(case)
            self.checked[law.name] += int(concerned.sum())
            self.broken[law.name] += int(breaks.sum())
            if breaks.any() and law.name not in self.examples:
                row = case.batch.slice(int(np.flatnonzero(breaks)[0]), 1)
                self.examples[law.name] = shrink(law, case.of_rows(row))

    def never_acted(self) -> list[str]:
        """Name what the policy declares and no input set off; most likely it was meant otherwise.

        Whatever a policy says, it must be able to raise and to cut.
        """
        policy, warning = self.policy, self.policy.early_warning
        conditions, dials = policy.raise_conditions, dict(policy.macro or ()).values()
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
        silent = [text for action, text in _MOVES.items() if action not in self.actions]
        for reason, is_declared in declared.items():
            if is_declared and not self.reasons & reason:
                silent.append(reason_texts.TEXTS[reason].en)
        return silent


def check(
    policy: LimitPolicy,
    *,
    inputs: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Search for inputs by which `policy` breaks a law.

    Parameters
    ----------
    inputs : int
        How many customers to make up; each is decided about six times.
    seed : int
        The same seed makes up the same customers.
    progress : callable
        Receives the number of inputs after each batch.

    Returns
    -------
    dict
        ``policy-check/1``: one measurement per law, the smallest counterexamples, the rules that
        never acted, and the outcome. ``BREACH`` if a law is broken; ``INCONCLUSIVE`` if a declared
        rule or the law that concerns every policy never came into play.
    """
    found = Search(policy)
    rng = np.random.default_rng(seed)
    when = policy_cases.moments(policy, rng)
    while found.inputs < inputs:
        batch = policy_cases.draw(policy, min(BATCH_ROWS, inputs - found.inputs), rng)
        found.add(Case.of(policy, next(when), batch, engine.decide))
        progress(found.inputs)
    silent = found.never_acted()
    measured = [_measured(law.name, found) for law in LAWS]
    outcomes = [item.outcome for item in measured if item.outcome is not Outcome.INFO]
    if silent:
        outcomes.append(Outcome.INCONCLUSIVE)
    return {
        "schema": "policy-check/1",
        "policy": policy.stamp,
        "policy_digest": policy.digest,
        "engine_version": engine.ENGINE_VERSION,
        "inputs": found.inputs,
        "seed": seed,
        "outcome": worst(outcomes).value,
        "measurements": [item.as_json() for item in measured],
        "never_acted": silent,
        "counterexamples": list(found.examples.values()),
    }


def as_evidence(document: Mapping[str, Any], *, on: date) -> Evidence:
    """Return the document of `check` as evidence that a gate can judge.

    ``policy.violations`` counts the inputs that broke any law; it is ``INCONCLUSIVE`` when a
    declared rule or the law that concerns every policy never came into play. The outcomes of the
    single laws are left to the gate.
    """
    laws = [Measurement.model_validate(item) for item in document["measurements"]]
    unclear = [law for law in laws if law.outcome is Outcome.INCONCLUSIVE]
    broken = sum(int(item.value or 0) for item in laws)
    is_known = broken > 0 or document["outcome"] != Outcome.INCONCLUSIVE
    silent = [*document["never_acted"], *(f"the law {law.scope['law']}" for law in unclear)]
    total = Measurement(
        measure=VIOLATIONS,
        value=float(broken),
        n=document["inputs"],
        unit="count",
        outcome=Outcome.INFO if is_known else Outcome.INCONCLUSIVE,
        reason="" if is_known else f"never came into play: {'; '.join(silent)}",
    )
    single = [law if law in unclear else law.judged(Outcome.INFO, "") for law in laws]
    return Evidence(
        kind="policy-check",
        subject={"policy": document["policy_digest"]},
        measurements=(total, *single),
        measured_on=on,
        not_evidenced=NOT_EVIDENCED,
    )


def _measured(name: str, found: Search) -> Measurement:
    checked, broken = found.checked[name], found.broken[name]
    if broken:
        outcome, reason = Outcome.BREACH, "an input breaks the law"
    elif checked:
        outcome, reason = Outcome.PASS, "no input breaks the law"
    elif name == _ALWAYS:
        outcome, reason = Outcome.INCONCLUSIVE, "no input came under the law"
    else:
        outcome, reason = Outcome.INFO, "no input came under it, or the policy has no such section"
    return Measurement(
        measure="policy.broken_law",
        scope={"law": name},
        value=float(broken) if checked or broken else None,
        n=checked,
        unit="count",
        outcome=outcome,
        reason=reason,
    )


def shrink(law: Law, case: Case) -> dict[str, Any]:
    """Make a broken law's input as plain as it can be while it still breaks the law.

    One value after another is replaced by that of the plainest customer, by a value half-way to it,
    or by a rounder one, until none of these still breaks the law.

    Returns
    -------
    dict
        The law, the moment, what ``differs`` from the plainest customer, and what was ``decided``.
    """
    simple = _simpler_moment(law, case)
    schema, plainest = policy_cases.schema(case.policy), policy_cases.plain(case.policy)
    row = simple.batch.to_pylist()[0]
    for _ in range(_ROUNDS):
        candidates = list(_simpler(row, plainest))
        if not candidates:
            break
        breaks = law.check(simple.of_rows(pa.RecordBatch.from_pylist(candidates, schema)))[1]
        if not breaks.any():
            break
        row = candidates[int(np.flatnonzero(breaks)[0])]
    smallest = simple.of_rows(pa.RecordBatch.from_pylist([row], schema))
    text = reason_texts.LAWS[law.name]
    return {
        "law": law.name,
        "text_en": text.en,
        "text_zh": text.zh,
        "as_of": simple.moment.as_of.isoformat(),
        "freeze": simple.moment.freeze.value,
        **simple.moment.climate.as_document(),
        "differs": {
            name: _json(value) for name, value in row.items() if not _same(value, plainest[name])
        },
        "decided": {name: _json(values[0]) for name, values in smallest.decided.items()},
    }


def _simpler_moment(law: Law, case: Case) -> Case:
    """Try the policy's first day, no freeze and the neutral regime."""
    tries: list[dict[str, Any]] = [
        {"as_of": case.policy.effective_from},
        {"freeze": Freeze.NOTHING},
        {"climate": Climate(demand_index=case.moment.climate.demand_index)},
        {"climate": PLAIN},
    ]
    for change in tries:
        if change == {"climate": PLAIN} and case.policy.season_on(case.moment.as_of):
            continue
        tried = case.under(**change)
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
    if isinstance(value, float) and np.isfinite(value):
        rounded = (round(value, digits) for digits in _DIGITS)
        yield from (number for number in rounded if len(repr(number)) < len(repr(value)))
    if type(value) is not int or not isinstance(plain, int) or abs(value) > 2**62:
        return
    distance = value - plain
    step = abs(distance) // 2
    while step:
        yield value - step * (1 if distance > 0 else -1)
        step //= 2


def _same(left: Any, right: Any) -> bool:
    return left == right and type(left) is type(right)


def _json(value: Any) -> Any:
    """Keep what JSON knows; NaN, infinity and days become text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
