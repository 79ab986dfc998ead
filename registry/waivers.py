"""Waivers: recorded, signed, one for each breach that an approver answers for by name.

A waiver never moves a threshold. It names one measure, one exact scope, an owner, a reason and a
last day, and it holds for the bytes it was granted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from governance.appetite import RiskAppetite, Threshold
from governance.errors import GateClosed, UsageError
from governance.evidence import Decision, Waiver
from governance.gate import answering
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from registry.attestation import document
from registry.offline import APPROVERS
from registry.record import Record, append, read_decision, subject_of
from registry.signing import Kind, Role, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverRequest:
    """What somebody asks to be waived, and what that person answers for.

    Parameters
    ----------
    measure : str
        A measure, or a shell pattern over measures such as ``fairness.*``.
    scope : mapping of str to str
        Scope entries that a measurement must have; others are left open.
    role : str
        Whose key signs: an approver's.
    """

    measure: str
    owner: str
    reason: str
    granted_on: date
    expires_on: date
    role: str = Role.RISK_APPROVER.value
    scope: Mapping[str, str]

    def concerns(self, measurement: Measurement) -> bool:
        """Tell whether the request asks about `measurement`."""
        return fnmatchcase(measurement.measure, self.measure) and all(
            measurement.scope.get(name) == value for name, value in self.scope.items()
        )

    def waiver(self, measurement: Measurement) -> Waiver:
        """Return the waiver for exactly this measurement's measure and scope."""
        try:
            waiver = Waiver(
                measure=measurement.measure,
                scope=dict(measurement.scope),
                owner=self.owner,
                reason=self.reason,
                granted_on=self.granted_on,
                expires_on=self.expires_on,
            )
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in problem["loc"]) or "waiver"
            raise UsageError(f"The waiver cannot be granted: {place}: {problem['msg']}") from None
        if waiver.says_nothing:
            raise UsageError(f"The waiver cannot be granted: {waiver.says_nothing}.")
        return waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """What was waived, and what of it waits for the other approver's signature."""

    waivers: tuple[Waiver, ...]
    waiting: tuple[Waiver, ...]

    def as_document(self) -> dict[str, Any]:
        """Return the waivers and how many wait, for JSON."""
        listed = [waiver.model_dump(mode="json") for waiver in self.waivers]
        return {"waivers": listed, "waiting": len(self.waiting)}

    def lines(self, version: int) -> list[str]:
        """Say what was waived, by whom and until when."""
        told = [
            f"waived: {item.measure} ({describe_scope(item.scope)}) until {item.expires_on}, by "
            f"{item.owner}."
            for item in self.waivers
        ]
        told.append(f"{len(self.waivers)} waivers for version {version}.")
        if self.waiting:
            told.append(
                f"{len(self.waiting)} of them count once the other approver waives the same in the "
                "same words."
            )
        return told


def waive(settings: Settings, version: int, request: WaiverRequest) -> Exemption:
    """Record a waiver for every closed, required measurement that matches; return them all.

    What a recorded waiver answers for already is listed with that waiver and not waived twice. A
    waiver in the same words, which the other approver granted, is signed beside that one.

    Raises
    ------
    GateClosed
        If a match may not be waived, or not for so long, or the role may not waive. Nothing is
        recorded unless everything that matches may be waived.
    UsageError
        If the version was not judged, nothing closed matches, or owner or reason say nothing.
    """
    if request.role not in APPROVERS:
        allowed = ", ".join(sorted(APPROVERS))
        raise GateClosed(f"The role {request.role} may not waive; allowed: {allowed}.")
    record = Record.load(settings)
    entry = record.decision(version)
    if entry is None:
        raise UsageError(f"Version {version} was not judged. Run `limitline gate` first.")
    decision, appetite = read_decision(entry)
    matches = _matches(request, decision, appetite)
    _refuse_unwaivable(matches, request)
    signed = record.signed_waivers(version)
    wanted = tuple(
        answering(signed, appetite, measurement, request.granted_on)
        or _said_before(signed, request.waiver(measurement))
        for measurement, _ in matches
    )
    signer = Signer.open(settings.keyring, Role(request.role))
    subject = (subject_of(version), record.manifest(version).statement.sha256)
    for (measurement, _), waiver in zip(matches, wanted, strict=True):
        if answering(signed, appetite, measurement, request.granted_on) is None:
            predicate = {
                "waiver": document(waiver),
                "role": request.role,
                "decision": decision.digest,
            }
            append(settings, Kind.WAIVER, subject=subject, predicate=predicate, signer=signer)
    signed = Record.load(settings).signed_waivers(version)
    waiting = tuple(
        waiver
        for (measurement, _), waiver in zip(matches, wanted, strict=True)
        if answering(signed, appetite, measurement, request.granted_on) is None
    )
    return Exemption(waivers=wanted, waiting=waiting)


def _said_before(signed: Sequence[Waiver], waiver: Waiver) -> Waiver:
    """Return the waiver that says the same and was granted before, or this one."""
    alike = (
        other
        for other in signed
        if other.granted_on <= waiver.granted_on
        and other.model_copy(update={"granted_on": waiver.granted_on}) == waiver
    )
    return next(alike, waiver)


def _matches(
    request: WaiverRequest, decision: Decision, appetite: RiskAppetite
) -> list[tuple[Measurement, Threshold]]:
    found = [
        (measurement, threshold)
        for measurement in decision.judged
        if request.concerns(measurement)
        and measurement.outcome in (Outcome.BREACH, Outcome.INCONCLUSIVE)
        and appetite.requires(measurement, decision.decided_on)
        and (threshold := appetite.threshold_for(measurement, decision.decided_on)) is not None
    ]
    if not found:
        raise UsageError(
            f"Nothing that closes the gate matches {request.measure} "
            f"({describe_scope(request.scope)}). `limitline gate` lists what does."
        )
    return found


def _refuse_unwaivable(
    matches: list[tuple[Measurement, Threshold]], request: WaiverRequest
) -> None:
    refused = [
        f"{measurement.measure} ({describe_scope(measurement.scope)})"
        for measurement, threshold in matches
        if not threshold.is_waivable
    ]
    if refused:
        raise GateClosed(
            f"The risk appetite says that these may not be waived: {'; '.join(refused[:5])}. "
            "Nothing was recorded. Ask for the others by name, or change the model."
        )
    for measurement, threshold in matches:
        last = request.granted_on + timedelta(days=threshold.waiver_max_days)
        if request.waiver(measurement).expires_on > last:
            raise GateClosed(
                f"A waiver of {measurement.measure} may last {threshold.waiver_max_days} days, so "
                f"until {last}; asked was {request.expires_on}. Nothing was recorded."
            )
