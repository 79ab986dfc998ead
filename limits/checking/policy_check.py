"""Policy check: what the search found, as one document with an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from limits import engine
from limits.checking import search
from limits.checking.lawbook import Decide
from limits.checking.search import Counterexample, Found
from limits.policy import LimitPolicy
from limits.reasons import TEXTS

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


def _measured(name: str, found: Found) -> Measurement:
    checked, broken = found.checked[name], found.broken[name]
    if broken:
        outcome, reason = Outcome.BREACH, "an input breaks the law"
    elif checked:
        outcome, reason = Outcome.PASS, "no input breaks the law"
    elif name in _ALWAYS:
        outcome, reason = Outcome.INCONCLUSIVE, "no input came under the law"
    else:
        outcome, reason = Outcome.INFO, "the policy has no such section"
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
