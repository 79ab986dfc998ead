"""Canonical JSON: the same facts are the same bytes, on every machine and in every language.

Keys are sorted, there is no white space, text is UTF-8, and numbers that are not integers are
written as decimal strings of 12 significant digits, because two languages print the same binary
fraction differently and a signature does not forgive that.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel

SIGNIFICANT_DIGITS = 12


def decimal_string(value: float) -> str:
    """Write a finite number with 12 significant digits.

    Raises
    ------
    ValueError
        If `value` is not finite: an undefined number is ``None`` (null), never NaN.

    Examples
    --------
    >>> decimal_string(1 / 3)
    '0.333333333333'
    """
    if not math.isfinite(value):
        raise ValueError("A number that is not finite has no canonical form; use None.")
    return format(value, f".{SIGNIFICANT_DIGITS}g")


def plain(value: Any) -> Any:
    """Reduce `value` to what canonical JSON holds: null, booleans, integers, text, lists, maps."""
    match value:
        case Enum():
            return plain(value.value)
        case BaseModel():
            # The alias is the name that readers see: ``schema``, which pydantic keeps for itself.
            # A field that came later is not written at its default: what was signed before it
            # existed keeps its digest.
            later = getattr(type(value), "later_fields", ())
            return {
                field.alias or name: plain(getattr(value, name))
                for name, field in type(value).model_fields.items()
                if name not in later or getattr(value, name) != field.default
            }
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Set():
            return sorted(plain(item) for item in value)
        case Sequence() if not isinstance(value, str | bytes):
            return [plain(item) for item in value]
    return _atom(value)


def _atom(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return decimal_string(value)
        case datetime():
            if value.tzinfo is None:
                raise ValueError("A datetime without a time zone has no canonical form.")
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
    raise TypeError(f"{type(value).__name__} has no canonical form.")


def dumps(value: Any) -> bytes:
    """Return the canonical JSON bytes of `value`.

    Examples
    --------
    >>> dumps({"b": 0.1, "a": [1, None]})
    b'{"a":[1,null],"b":"0.1"}'
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, as 64 hex characters."""
    return hashlib.sha256(dumps(value)).hexdigest()
