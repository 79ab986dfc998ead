"""The survey: one pass over the book that finds envelopes, adds up totals and keeps a sample.

What the later passes need is spooled to a file of the caller's, best a temporary one without a
name. So the engine runs once over the book and memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lab.optimizer.accounts import Accounts, Terms, Totals, open_accounts, totals
from lab.optimizer.economics import Economics
from lab.optimizer.envelope import Reach, find_envelope
from lab.optimizer.support import Support
from limits.stages.plan import Integers, Plan

CHUNK_ROWS = 65_536
SAMPLE_ROWS = 50_000

Statuses = npt.NDArray[np.uint8]


class Status(IntEnum):
    """Why a customer has the recommendation that they have."""

    OPTIMIZED = 0
    NO_CHOICE = 1
    REVIEW = 2
    RESPONSE_UNKNOWN = 3
    OUTSIDE_SUPPORT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is to be optimized, and under which rules.

    Parameters
    ----------
    plan : Plan
        The policy on the day.
    economics : Economics
        Assumptions and budgets.
    batches : callable
        Begins a new stream of the same record batches each time; it is read twice.
    support : Support or None
        The observed range of changes. None only where a caller answers for going without it.
    """

    plan: Plan
    economics: Economics
    batches: Callable[[], Iterator[pa.RecordBatch]]
    support: Support | None
    reach: Reach = Reach.DECLARED

    @property
    def terms(self) -> Terms:
        """The numbers that are the same for every customer."""
        return Terms.of(self.economics, self.plan.policy)

    def chunks(self) -> Iterator[pa.RecordBatch]:
        """Stream the book in pieces that stay in the processor's cache."""
        for batch in self.batches():
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                yield batch.slice(start, CHUNK_ROWS)


@dataclass(slots=True)
class Survey:
    """What one pass over the book found.

    Parameters
    ----------
    before, policy, fixed, least : Totals
        At today's limits, at the policy's decisions, of those without a choice, and at the lowest
        limit of everybody.
    policy_open : Totals
        The policy's decisions for those with a choice.
    without_reference : int
        Customers whose limit once granted is not told, though the policy declares a floor of it.
    """

    terms: Terms
    spool: IO[bytes]
    chunks: int = 0
    customers: int = 0
    counts: Integers = field(default_factory=lambda: np.zeros(len(Status), np.int64))
    before: Totals = field(default_factory=Totals)
    policy: Totals = field(default_factory=Totals)
    fixed: Totals = field(default_factory=Totals)
    least: Totals = field(default_factory=Totals)
    policy_open: Totals = field(default_factory=Totals)
    without_reference: int = 0

    def add(self, accounts: Accounts, status: Statuses, policy: Integers) -> Accounts:
        """Add one chunk to the totals and the spool; return the accounts with a choice."""
        is_open = status == Status.OPTIMIZED
        chosen, held = accounts.take(is_open), accounts.take(~is_open)
        fixed = totals(held, held.policy, self.terms)
        self.fixed += fixed
        self.least += fixed + totals(chosen, chosen.lower, self.terms)
        self.before += totals(accounts, accounts.before, self.terms)
        self.policy_open += totals(chosen, chosen.policy, self.terms)
        self.policy = self.fixed + self.policy_open
        self.customers += len(accounts)
        self.counts += np.bincount(status, minlength=len(Status))
        self.chunks += 1
        for values in (status, policy, chosen.stacked()):
            np.save(self.spool, values, allow_pickle=False)
        return chosen

    def spooled(self) -> Iterator[tuple[Statuses, Integers, Accounts]]:
        """Stream back, chunk by chunk, status, policy's decision, and accounts with a choice."""
        self.spool.seek(0)
        for _ in range(self.chunks):
            status, policy, stacked = (np.load(self.spool, allow_pickle=False) for _ in range(3))
            yield status, policy, Accounts.unstacked(stacked)


@dataclass(slots=True)
class Sample:
    """Every so-many-th open account of a book of unknown length; all of them if it is small."""

    most: int = SAMPLE_ROWS
    stride: int = 1
    seen: int = 0
    parts: list[Accounts] = field(default_factory=list)
    size: int = 0

    def add(self, accounts: Accounts) -> None:
        """Keep the accounts whose position is a multiple of the stride; thin out when full."""
        kept = accounts.take(slice(-self.seen % self.stride, None, self.stride))
        self.seen += len(accounts)
        self.parts.append(kept)
        self.size += len(kept)
        while self.size > self.most:
            whole = self.whole().take(slice(0, None, 2))
            self.parts, self.size, self.stride = [whole], len(whole), self.stride * 2

    def whole(self) -> Accounts:
        """Return the sample as one piece."""
        return Accounts.unstacked(np.concatenate([part.stacked() for part in self.parts], axis=1))


def survey(book: Book, spool: IO[bytes], sample_rows: int = SAMPLE_ROWS) -> tuple[Survey, Sample]:
    """Read the book once.

    Raises
    ------
    ContractError
        As `limits.engine.decide`, or if a column that the economics declare is missing.
    """
    found = Survey(terms=book.terms, spool=spool)
    sample = Sample(most=sample_rows)
    for batch in book.chunks():
        envelope = find_envelope(book.plan, batch, book.reach)
        accounts, is_known = open_accounts(envelope, batch, book.economics)
        is_outside = np.zeros(len(accounts), np.bool_)
        if book.support is not None:
            accounts, is_outside = book.support.narrow(accounts, envelope.cell, found.terms)
        # The bounds of the policy itself are asked, so that nobody without a choice is called
        # outside the support, and a choice that the support took away is.
        had_choice = is_known & (envelope.lower < envelope.upper)
        status = np.full(len(accounts), Status.OPTIMIZED, np.uint8)
        status[had_choice & (is_outside | (accounts.lower == accounts.upper))] = (
            Status.OUTSIDE_SUPPORT
        )
        status[envelope.is_decided & ~is_known] = Status.RESPONSE_UNKNOWN
        status[envelope.lower == envelope.upper] = Status.NO_CHOICE
        status[~envelope.is_decided] = Status.REVIEW
        found.without_reference += int(envelope.has_no_reference.sum())
        sample.add(found.add(accounts, status, envelope.policy))
    return found, sample
