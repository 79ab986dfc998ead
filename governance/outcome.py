"""The three answers a check may give, of which only one opens a gate."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """What a check found.

    ``INCONCLUSIVE`` is a finding of its own: a check that could not be made must never look like
    one that passed. ``INFO`` marks a number that no threshold speaks about.
    """

    PASS = "PASS"  # noqa: S105  (the word of the field, not a password)
    BREACH = "BREACH"
    INCONCLUSIVE = "INCONCLUSIVE"
    INFO = "INFO"


_SEVERITY = (Outcome.INFO, Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.BREACH)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the gravest of `outcomes`; nothing measured is ``INCONCLUSIVE``, not ``PASS``.

    Examples
    --------
    >>> worst([Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.PASS]).value
    'INCONCLUSIVE'
    >>> worst([]).value
    'INCONCLUSIVE'
    """
    return max(outcomes, key=_SEVERITY.index, default=Outcome.INCONCLUSIVE)
