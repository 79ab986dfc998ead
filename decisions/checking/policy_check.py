"""Policy check: what the search found, as one document with an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from decisions import engine
from decisions.checking import search
from decisions.checking.lawbook import Decide
from decisions.checking.search import Counterexample, Found
from decisions.policy import LimitPolicy
from decisions.reasons import TEXTS
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.outcome import Outcome, worst

VIOLATIONS = "policy.violations"

NOT_EVIDENCED = (
    "Inputs that were not made up: a search finds breaches, it does not prove that there are none.",
    "Whether the policy is profitable or fair: the laws say what it must never do.",
)

# Whatever the policy says, it must be able to raise, to cut and to stop at a cap; a search in which
# one of these never happened has shown nothing.
_ALWAYS = frozenset(
    {"sound_row_decided", "raise_step", "cut_step", "never_above_cap", "riskier_gets_no_more"}
)


def check(
    policy: LimitPolicy,
    *,
    inputs: int,
    seed: int,
    decide: Decide = engine.decide,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Search for inputs by which `policy`, as the engine carries it out, breaks a law.

    Returns
    -------
    dict
        ``policy-check/1``: one measurement per law, the minimal counterexamples, the rules that
        never acted, and the outcome. ``BREACH`` if a law is broken; ``INCONCLUSIVE`` if a declared
        rule or a law that concerns every policy never came into play.
    """
    found = search.search(policy, inputs=inputs, seed=seed, decide=decide, progress=progress)
    silent = search.silent(policy, found)
    measured = [_measured(name, found) for name in found.checked]
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
        "never_acted": [TEXTS[reason].en for reason in silent],
        "counterexamples": [_told(example) for example in found.examples.values()],
    }


def as_evidence(document: Mapping[str, Any], *, on: date) -> Evidence:
    """Return the document of `check` as evidence that a gate can judge.

    ``policy.violations`` counts the inputs that broke any law; it is ``INCONCLUSIVE`` when a
    declared rule or a law that concerns every policy never came into play. The outcomes of the
    single laws are left to the gate.
    """
    laws = [Measurement.model_validate(item) for item in document["measurements"]]
    broken = sum(int(item.value or 0) for item in laws)
    is_told = broken > 0 or document["outcome"] != Outcome.INCONCLUSIVE
    silent = [*document["never_acted"], *(_law(one) for one in laws if _is_unclear(one))]
    total = Measurement(
        measure=VIOLATIONS,
        value=float(broken),
        n=document["inputs"],
        unit="count",
        outcome=Outcome.INFO if is_told else Outcome.INCONCLUSIVE,
        reason="" if is_told else f"never came into play: {'; '.join(silent)}",
    )
    single = [one if _is_unclear(one) else one.judged(Outcome.INFO, "") for one in laws]
    return Evidence(
        kind="policy-check",
        subject={"policy": document["policy_digest"]},
        measurements=(total, *single),
        measured_on=on,
        not_evidenced=NOT_EVIDENCED,
    )


def _is_unclear(law: Measurement) -> bool:
    return law.outcome is Outcome.INCONCLUSIVE


def _law(law: Measurement) -> str:
    return f"the law {law.scope['law']}"


def _measured(name: str, found: Found) -> Measurement:
    checked, broken = found.checked[name], found.broken[name]
    if broken:
        outcome, reason = Outcome.BREACH, "an input breaks the law"
    elif checked:
        outcome, reason = Outcome.PASS, "no input breaks the law"
    elif name in _ALWAYS:
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


def _told(example: Counterexample) -> dict[str, Any]:
    return {
        "law": example.law.name,
        "text_en": example.law.text.en,
        "text_zh": example.law.text.zh,
        "as_of": example.moment.as_of.isoformat(),
        "freeze": example.moment.freeze.value,
        **example.moment.climate.as_document(),
        "differs": {name: _json(value) for name, value in example.differs.items()},
        "decided": {name: _json(value) for name, value in example.decided.items()},
    }


def _json(value: Any) -> Any:
    """Keep what JSON knows; NaN, infinity and days become text."""
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
