"""Notification: the decisions of a vintage become notices in the outbox, and leave by a route."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from governance.settings import Settings
from limits.decision_log import DecisionLog
from limits.notifying import notices
from limits.notifying.notices import Lender, Notice
from limits.notifying.outbox import Outbox, key_of
from limits.notifying.routes import Route
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


def queue(
    settings: Settings,
    vintage: str,
    announcement: Announcement,
    *,
    keyring: Keyring,
    routes: Sequence[Route],
) -> int:
    """Queue the notices of every decision of a vintage for these routes; return how many were new.

    The key of a notice is a MAC under the ring: it says nothing about the customer to others, and
    who holds the ring finds the customer by computing the keys of the vintage again.

    Raises
    ------
    UsageError
        If the vintage was not decided.
    ContractError
        If a cut has no reason that can be told.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    written = _written(log, vintage, announcement, keyring)
    return outbox(settings).queue(vintage, written, routes)


def _written(
    log: DecisionLog, vintage: str, announcement: Announcement, keyring: Keyring
) -> Iterator[tuple[str, Notice]]:
    for batch in log.reader(_COLUMNS):
        for row in batch.to_pylist():
            stands_for = keyring.mac(row[PSEUDONYM], use=_USE)
            written = notices.write(
                row,
                lender=announcement.lender,
                on=announcement.on,
                currency=log.identity["currency"],
                language=announcement.language,
            )
            for notice in written:
                yield key_of(stands_for, vintage, notice), notice
