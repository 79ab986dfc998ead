"""Involvement: what people did with cases, signed in the ledger, without who or how much.

An auditor who may not see a customer can still count how often a person looked, how often the
machine was overruled and how it turned out, and that the docket was not thinned out afterwards. A
case is named by a MAC under the ring. The docket comes first and the ledger follows: what a killed
run left unsigned is signed by the next verb.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decisions.reviewing.docket import Docket
from governance import canonical
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from registry.record import Record, append
from registry.signing import Kind, Role, Signer

QUEUED, DECIDED, OUTCOME = "queued", "decided", "outcome"

Place = tuple[str, str]
Group = tuple[str, str, str]


def publish(settings: Settings, docket: Docket) -> int:
    """Sign every act of the docket that the ledger does not hold yet; return how many.

    Acts of one kind, vintage and day become one statement, signed by the reviewer's key.

    Raises
    ------
    KeyringError
        If there is no reviewer's key.
    IntegrityError
        If docket or ledger are not what was sealed and signed.
    """
    known = signed(Record.load(settings))
    groups: dict[Group, list[dict[str, Any]]] = {}
    for group, act in acts(docket):
        if (group[0], act["case"]) not in known:
            groups.setdefault(group, []).append(act)
    if not groups:
        return 0
    signer = Signer.open(settings.keyring, Role.REVIEWER)
    for (event, vintage, on), found in sorted(groups.items()):
        found.sort(key=lambda act: str(act["case"]))
        predicate = {"event": event, "vintage": vintage, "on": on, "acts": found}
        subject = (f"review:{vintage}", canonical.digest(predicate))
        append(settings, Kind.REVIEW, subject=subject, predicate=predicate, signer=signer)
    return sum(len(found) for found in groups.values())


def acts(docket: Docket) -> Iterator[tuple[Group, dict[str, Any]]]:
    """Yield every act of the docket: kind, vintage and day, and what may be said about it."""
    for case in docket.cases():
        name = case.key[:32]
        yield (
            (QUEUED, case.vintage, case.queued_on.isoformat()),
            {"case": name, "trigger": case.trigger.value},
        )
        if case.verdict is None:
            continue
        yield (
            (DECIDED, case.vintage, case.verdict.on.isoformat()),
            {
                "case": name,
                "decision": case.verdict.decision.value,
                "is_override": bool(case.is_override),
            },
        )
        if case.turned is not None and case.turned_on is not None:
            yield (
                (OUTCOME, case.vintage, case.turned_on.isoformat()),
                {"case": name, "turned": case.turned.value},
            )


def signed(record: Record) -> set[Place]:
    """Return event and case of every act that the ledger holds."""
    return {
        (str(entry.statement.predicate["event"]), str(act["case"]))
        for entry in record.of(Kind.REVIEW)
        for act in entry.statement.predicate["acts"]
    }


def measure(settings: Settings, docket: Docket) -> Measurement:
    """Count the acts that docket and ledger do not both hold; none is allowed.

    An act in the ledger alone was taken out of the docket; one in the docket alone was not signed.
    """
    here = {(group[0], str(act["case"])) for group, act in acts(docket)}
    there = signed(Record.load(settings))
    missing, unsigned = len(there - here), len(here - there)
    found = Measurement(
        measure="review.unaccounted", value=missing + unsigned, n=len(here | there), unit="count"
    )
    said = f"{missing} in the ledger are gone from the docket, {unsigned} were not signed"
    return found.judged(Outcome.BREACH if missing or unsigned else Outcome.PASS, said)
