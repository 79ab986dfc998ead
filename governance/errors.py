"""One error tree; each branch has the exit code that a scheduled job can act on.

::

    LimitlineError            1   (never raised itself)
    ├── UsageError            2   the command line asks for something that does not exist
    ├── ContractError        10   data, features or policy differ from what was declared
    ├── KeyringError         11   a key is missing, wrong, readable by others, or destroyed
    ├── GateClosed           12   a promotion or a decision is refused, with reasons
    ├── Breach               13   a measurement is outside the risk appetite
    ├── Inconclusive         14   a measurement cannot tell
    ├── IntegrityError       15   bytes differ from what was signed or sealed
    └── EnvironmentFault     16   busy, full, read-only, missing: nothing is wrong with the data

A message says what was found, what was allowed and what to do next. It never holds a row value, a
pseudonym or key bytes: messages end up in logs, and logs are read by people who may not see those.
"""

from __future__ import annotations

from typing import ClassVar


class LimitlineError(Exception):
    """Base of every error that is meant to be read by a person."""

    exit_code: ClassVar[int] = 1


class UsageError(LimitlineError):
    """The request itself cannot be carried out as written."""

    exit_code = 2


class ContractError(LimitlineError):
    """Data, features or policy differ from what was declared."""

    exit_code = 10


class KeyringError(LimitlineError):
    """A key is missing, wrong, badly protected or destroyed."""

    exit_code = 11


class GateClosed(LimitlineError):
    """A promotion or a decision is refused; the message carries the reasons."""

    exit_code = 12


class Breach(LimitlineError):
    """A measurement lies outside the risk appetite."""

    exit_code = 13


class Inconclusive(LimitlineError):
    """A measurement cannot tell, which is never taken for a pass."""

    exit_code = 14


class IntegrityError(LimitlineError):
    """Bytes differ from what was signed, sealed or logged."""

    exit_code = 15


class EnvironmentFault(LimitlineError):
    """The place is busy, full, read-only or missing; nothing is wrong with the data."""

    exit_code = 16
