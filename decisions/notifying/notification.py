"""Notification: the decisions of a vintage become notices in the outbox, and leave by a route."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from decisions.decision_log import DecisionLog
from decisions.explaining import vintage as reasons
from decisions.explaining.vintage import VintageReasons
from decisions.notifying import notices
from decisions.notifying.notices import Lender, Notice
from decisions.notifying.outbox import Outbox, key_of
from decisions.notifying.routes import Route
from governance.errors import UsageError
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring

_USE = "notice-key"
_COLUMNS = (
    PSEUDONYM,
    "limit_before_minor",
    "limit_after_minor",
    "temporary_uplift_minor",
    "uplift_expires_on",
    "action",
    "reasons",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a vintage is announced with: who writes, in which language, from which day."""

    lender: Lender
    language: str
    on: date


def outbox(settings: Settings) -> Outbox:
    """Return the one outbox of a home."""
    return Outbox(settings.home / "outbox" / "notices.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """What was queued.

    Parameters
    ----------
    new : int
        Notices that were not in the outbox yet.
    explained : int
        Customers whose cut the model's own reasons refine.
    outcome : Outcome
        ``INCONCLUSIVE`` if the model gives no reasons; `reason` says why.
    """

    new: int
    explained: int
    outcome: Outcome
    reason: str


def queue(
    settings: Settings,
    vintage: str,
    announcement: Announcement,
    *,
    keyring: Keyring,
    routes: Sequence[Route],
) -> Queued:
    """Queue the notices of a vintage for these routes, cuts with the model's reasons.

    The key of a notice is a MAC under the ring: it says nothing about the customer to others, and
    who holds the ring finds the customer by computing the keys of the vintage again.

    Raises
    ------
    UsageError
        If the vintage was not decided, its limits would begin before their decision, or a temporary
        limit would be announced after its last day.
    ContractError
        If a cut has no reason that can be told.
    IntegrityError
        If log, model or table are not what they were when the decisions were made.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    _require_day(log, announcement.on)
    # Reasons come first: the outbox is locked while notices are queued.
    found = reasons.of_log(settings, log, keyring=keyring)
    written = _written(log, found, announcement, keyring)
    return Queued(
        new=outbox(settings).queue(vintage, written, routes),
        explained=int((found.cited >= 0).any(axis=1).sum()),
        outcome=found.outcome,
        reason=found.explainer.problem,
    )


def _require_day(log: DecisionLog, on: date) -> None:
    """Refuse a first day on which nothing was decided yet."""
    decided_on = date.fromisoformat(log.identity["as_of"])
    if on < decided_on:
        raise UsageError(
            f"--on {on} lies before the day of the decisions, {decided_on}. Give that day or a "
            "later one."
        )


def _written(
    log: DecisionLog, found: VintageReasons, announcement: Announcement, keyring: Keyring
) -> Iterator[tuple[str, Notice]]:
    for batch in log.reader(_COLUMNS):
        for row, texts in zip(batch.to_pylist(), found.texts(batch), strict=True):
            stands_for = keyring.mac(row[PSEUDONYM], use=_USE, version=log.key_version)
            written = notices.write(
                {**row, "model_texts": texts},
                lender=announcement.lender,
                on=announcement.on,
                currency=log.identity["currency"],
                language=announcement.language,
            )
            for notice in written:
                yield key_of(stands_for, log.identity["vintage"], notice), notice
