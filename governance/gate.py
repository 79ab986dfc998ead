"""The gate: evidence, appetite, waivers and a day in; a decision with reasons out.

It does no I/O, asks no clock and knows no measure by name. The rules, in order:

* the evidence is everything that was measured: the validator's, and what is attached to it;
* every required threshold in force must find a measurement it concerns, or as many as it asks;
* every measurement that a required threshold concerns must pass;
* one that does not may be answered for by a waiver for exactly that measure and scope, in force on
  the day, unless the threshold says that it is not waivable; a waiver of a longer term than the
  threshold allows, with too few signatures or with words that say nothing does not count;
* whatever is left closes the gate, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from governance.appetite import RiskAppetite, Threshold
from governance.evidence import Decision, Evidence, Waiver
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome, worst

NOT_MEASURED = "was not measured."
"""How a refusal ends when a required threshold found nothing to judge."""


def judge(
    evidence: Evidence,
    appetite: RiskAppetite,
    waivers: Sequence[Waiver],
    on: date,
    *,
    attached: Sequence[Evidence] = (),
) -> Decision:
    """Decide whether `evidence`, with what is `attached` to it, opens the gate on the day `on`.

    Parameters
    ----------
    waivers : sequence of Waiver
        One that two approvers signed is in it twice.
    attached : sequence of Evidence
        Further evidence on the same version, at most one of each kind. The decision's subject names
        the digest of each by its kind; without any, the decision is the same to the byte as ever.

    Returns
    -------
    Decision
        ``PASS`` opens; ``BREACH`` and ``INCONCLUSIVE`` are both closed, with one refusal per
        reason.

    Raises
    ------
    ValueError
        If two attachments are of one kind, or one is of a kind that the subject names already.
    """
    subject = dict(evidence.subject)
    for item in attached:
        if item.kind in subject:
            raise ValueError(f"The gate was given two things called {item.kind}.")
        subject[item.kind] = item.digest
    measurements = [m for item in (evidence, *attached) for m in item.measurements]
    judged = tuple(appetite.judge(measurement, on) for measurement in measurements)
    required = [threshold for threshold in appetite.in_force(on) if threshold.need == "required"]
    refusals: list[str] = []
    outcomes: list[Outcome] = []
    used: list[Waiver] = []
    if not required:
        refusals.append("The risk appetite requires nothing on this day, so nothing can be shown.")
    for threshold in required:
        concerned = [m for m in judged if appetite.threshold_for(m, on) is threshold]
        found = len({measurement.key for measurement in concerned})
        if found < threshold.minimum_count:
            refusals.append(_missing(threshold, found))
            outcomes.append(Outcome.INCONCLUSIVE)
        for measurement in concerned:
            waiver = answering(waivers, appetite, measurement, on)
            if measurement.outcome is Outcome.PASS:
                outcomes.append(Outcome.PASS)
            elif waiver is not None:
                used.append(waiver)
            else:
                outcomes.append(measurement.outcome)
                why = _uncounted(waivers, appetite, measurement, on)
                refusals.append(refusal(measurement, threshold) + why)
    outcome = worst(outcomes) if refusals else Outcome.PASS
    return Decision(
        outcome=outcome,
        decided_on=on,
        evidence=evidence.digest,
        appetite=appetite.digest,
        subject=subject,
        judged=judged,
        refusals=tuple(refusals),
        waived=tuple(used),
    )


def refusal(measurement: Measurement, threshold: Threshold) -> str:
    """Say in one line why `measurement` closes the gate."""
    numbers = "undefined"
    if measurement.value is not None:
        numbers = f"{measurement.value:.4g}"
        if measurement.low is not None and measurement.high is not None:
            numbers += f" [{measurement.low:.4g}, {measurement.high:.4g}]"
    waivable = "" if threshold.is_waivable else "; not waivable"
    where = describe_scope(measurement.scope)
    return (
        f"{measurement.measure} ({where}) = {numbers}, n = {measurement.n}: "
        f"{measurement.outcome.value}, {measurement.reason.rstrip('.')}{waivable}."
    )


def _missing(threshold: Threshold, found: int) -> str:
    # Without the scope, an attribute that nobody measured would read like a measure nobody took.
    where = describe_scope(threshold.scope)
    if not found:
        told = f" ({where})" if threshold.scope else ""
        return f"{threshold.measure}{told} {NOT_MEASURED}"
    return (
        f"{threshold.measure} ({where}) was measured {found} times; "
        f"{threshold.minimum_count} are needed."
    )


def answering(
    waivers: Sequence[Waiver], appetite: RiskAppetite, measurement: Measurement, on: date
) -> Waiver | None:
    """Return the waiver that counts for `measurement` on the day `on`, if any."""
    covering = [waiver for waiver in waivers if waiver.covers(measurement, on)]
    threshold = appetite.threshold_for(measurement, on)
    if threshold is None or not threshold.is_waivable:
        return None
    counted = (w for w in covering if not waiver_problem(w, threshold, appetite, covering))
    return next(counted, None)


def waiver_problem(
    waiver: Waiver, threshold: Threshold, appetite: RiskAppetite, signed: Sequence[Waiver]
) -> str:
    """Say why `waiver` (in `signed` once for each signature) does not count, or nothing."""
    if waiver.says_nothing:
        return waiver.says_nothing
    if waiver.days > threshold.waiver_max_days:
        return f"its term is {waiver.days} days and may be {threshold.waiver_max_days}"
    needed = appetite.waiver_signatures(threshold)
    if signed.count(waiver) < needed:
        return f"a breach of severity {threshold.severity.value} takes both approvers' signatures"
    return ""


def _uncounted(
    waivers: Sequence[Waiver], appetite: RiskAppetite, measurement: Measurement, on: date
) -> str:
    """Say why the newest waiver of `measurement` did not count, if there is one."""
    covering = [waiver for waiver in waivers if waiver.covers(measurement, on)]
    threshold = appetite.threshold_for(measurement, on)
    if not covering or threshold is None or not threshold.is_waivable:
        return ""
    problem = waiver_problem(covering[-1], threshold, appetite, covering)
    return f" Its waiver does not count: {problem}."
