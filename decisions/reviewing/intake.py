"""Intake: which decisions of a vintage a person looks at, and what the policy lets them decide."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow.compute as pc

from decisions import replay
from decisions.decision_log import DecisionLog
from decisions.policy import BASIS_POINTS, LimitPolicy
from decisions.reasons import Reason
from decisions.reviewing.case import Decision, Subject, Trigger, Verdict
from decisions.reviewing.docket import Docket
from decisions.standing import standing
from governance.errors import GateClosed, UsageError
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from registry.load import load_verified


def docket(settings: Settings, keyring: Keyring) -> Docket:
    """Return the one docket of a home."""
    return Docket(settings.decisions / "review.db", keyring)


def queue(
    settings: Settings, vintage: str, *, keyring: Keyring, on: date, row: int | None = None
) -> list[int]:
    """Queue every decision of a vintage that was handed to a person; return the new numbers.

    Parameters
    ----------
    row : int, optional
        Queue this row alone, counted from 0: its customer objects to the decision.

    Raises
    ------
    UsageError
        If the vintage was not decided, or has no such row.
    IntegrityError
        If log, model or table are not what they were.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    rows = log.read()
    if row is None:
        chosen = rows.filter(pc.equal(rows["action"], "review"))
    elif 0 <= row < rows.num_rows:
        chosen = rows.slice(row, 1)
    else:
        raise UsageError(f"The vintage {vintage} has the rows 0 to {rows.num_rows - 1}.")
    if not chosen.num_rows:
        return []
    policy, inputs = replay.pinned_inputs(
        settings, log, keyring=keyring, pseudonyms=chosen[PSEUDONYM]
    )
    known = {one[PSEUDONYM]: one for one in inputs.to_pylist()}
    as_of = date.fromisoformat(log.identity["as_of"])
    found = [
        (_trigger(one), _subject(one, known[one[PSEUDONYM]], policy, as_of))
        for one in chosen.to_pylist()
    ]
    held = docket(settings, keyring)
    return held.queue(vintage, found, on=on, key_version=log.key_version)


def decide(settings: Settings, number: int, verdict: Verdict, *, keyring: Keyring) -> None:
    """Record a verdict; while raises are stopped, a person does not raise either.

    Raises
    ------
    GateClosed
        If raises are stopped on that day.
    UsageError
        If the case was decided before.
    """
    if verdict.decision is Decision.RAISE:
        policy = LimitPolicy.parse(load_verified(settings, "champion", on=verdict.on).policy_text)
        stopped = standing(settings, policy, verdict.on).reasons
        if stopped:
            raise GateClosed(f"Raises are stopped, also by hand: {'; '.join(stopped)}.")
    held = docket(settings, keyring)
    held.decide(held.case(number), verdict)


def _trigger(decided: Mapping[str, Any]) -> Trigger:
    if decided["action"] != "review":
        return Trigger.OBJECTION
    refused = int(decided["reasons"]) & Reason.AUTOMATION_REFUSED
    return Trigger.AUTOMATION_REFUSED if refused else Trigger.INPUT_MISSING


def _subject(
    decided: Mapping[str, Any], inputs: Mapping[str, Any], policy: LimitPolicy, as_of: date
) -> Subject:
    before = int(decided["limit_before_minor"] or 0)
    lowest, highest = bounds(policy, inputs, before=before, as_of=as_of)
    return Subject(
        pseudonym=decided[PSEUDONYM].hex(),
        before_minor=before,
        machine_minor=int(decided["limit_after_minor"] or 0),
        lowest_minor=lowest,
        highest_minor=highest,
        reasons=int(decided["reasons"]),
        currency=policy.currency,
    )


def bounds(
    policy: LimitPolicy, inputs: Mapping[str, Any], *, before: int, as_of: date
) -> tuple[int, int]:
    """Return the lowest and highest limit that the policy lets a person decide.

    One step, the minimum limit and the balance below; one step and the cap above. What is unknown
    is taken the strict way: without a balance nothing is cut, without a known segment the lowest of
    all caps holds.
    """
    caps = policy.caps_on(as_of)
    cap = caps.get(str(inputs.get("segment")), min(caps.values(), default=0))
    highest = min(before * (BASIS_POINTS + policy.step.max_raise) // BASIS_POINTS, cap)
    balance = inputs.get("balance_minor")
    step = -(-before * (BASIS_POINTS - policy.step.max_cut) // BASIS_POINTS)
    floor = before if balance is None else max(step, balance, policy.minimum_limit_minor)
    return min(floor, before), max(highest, before)
