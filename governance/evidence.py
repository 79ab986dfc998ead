"""Evidence, findings, waivers and decisions: what is signed, logged and checked by outsiders."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from governance import canonical
from governance.measurement import Measurement
from governance.outcome import Outcome


class Evidence(BaseModel):
    """What one run measured about one subject, bound to the digests of what it looked at.

    Parameters
    ----------
    kind : str
        ``validation``, ``drift``, ``misjudgment`` and the like.
    subject : mapping of str to str
        Role to SHA-256: ``model``, ``policy``, ``data``, ``features``, ...
    measured_on : date
        The day that the run was told, not the clock's.
    not_evidenced : tuple of str
        What the run did not or could not show; an empty list is a claim of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["evidence/1"] = Field(default="evidence/1", alias="schema")
    kind: str
    subject: Mapping[str, str]
    measurements: tuple[Measurement, ...]
    measured_on: date
    not_evidenced: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form: the same input gives the same bytes."""
        return canonical.digest(self)


class Severity(StrEnum):
    """How much a finding matters; ``SEVERE`` freezes raises."""

    LOW = "low"
    MEDIUM = "medium"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        """How grave it is: 0 for ``LOW``, more for more."""
        return list(Severity).index(self)


class Finding(BaseModel):
    """A breach that somebody has to answer for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    measure: str
    scope: Mapping[str, str] = {}
    severity: Severity
    text: str
    owner: str
    opened_on: date
    closed_on: date | None = None

    def outweighs(self, other: Finding) -> bool:
        """Tell whether this one is graver than another, or was opened on an earlier day."""
        return self.severity.rank > other.severity.rank or self.opened_on < other.opened_on

    def is_open(self, on: date) -> bool:
        """Tell whether the finding is open on the day `on`."""
        return self.opened_on <= on and (self.closed_on is None or on < self.closed_on)


class Waiver(BaseModel):
    """An accepted breach: one measure, one scope, one owner, one reason, one last day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    scope: Mapping[str, str] = {}
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    granted_on: date
    expires_on: date

    @model_validator(mode="after")
    def _ends(self) -> Waiver:
        if self.expires_on <= self.granted_on:
            raise ValueError("a waiver must expire after the day it is granted")
        return self

    def covers(self, measurement: Measurement, on: date) -> bool:
        """Tell whether this waiver answers for exactly `measurement` on the day `on`."""
        same = self.measure == measurement.measure and dict(self.scope) == dict(measurement.scope)
        return same and self.granted_on <= on <= self.expires_on

    @property
    def days(self) -> int:
        """How many days after the day it is granted the waiver still holds."""
        return (self.expires_on - self.granted_on).days

    @property
    def says_nothing(self) -> str:
        """What is wrong with owner and reason as words, or nothing.

        No machine can tell a good reason; this finds blanks, punctuation and fillers.
        """
        owner, reason = _letters(self.owner), _letters(self.reason)
        if _weight(owner) < OWNER_LETTERS or len(set(owner)) < 2 or owner in _FILLERS:
            return "its owner is nobody: name the person or office that answers for it"
        if _weight(reason) < REASON_LETTERS or len(set(reason)) < 5:
            return "its reason says nothing: write why the breach is acceptable, in a sentence"
        return ""


OWNER_LETTERS, REASON_LETTERS = 3, 12
_FILLERS = frozenset({"none", "nobody", "noone", "anybody", "unknown", "todo", "tbd", "test"})
_IDEOGRAPHS = "\u2e80"


def _letters(text: str) -> str:
    """Return the letters of a text, without what only looks like more."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalpha())


def _weight(letters: str) -> int:
    """Count letters; a Chinese character says as much as three."""
    return sum(3 if letter >= _IDEOGRAPHS else 1 for letter in letters)


class Decision(BaseModel):
    """What the gate says, why, and on the strength of which digests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["gate-decision/1"] = Field(default="gate-decision/1", alias="schema")
    outcome: Outcome
    decided_on: date
    evidence: str
    appetite: str
    subject: Mapping[str, str]
    judged: tuple[Measurement, ...]
    refusals: tuple[str, ...] = ()
    waived: tuple[Waiver, ...] = ()

    @property
    def is_open(self) -> bool:
        """Tell whether the gate is open; inconclusive is closed."""
        return self.outcome is Outcome.PASS

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form; an approval is bound to it."""
        return canonical.digest(self)
