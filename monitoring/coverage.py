"""Coverage: what became of every column, so that none can vanish from a green report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.measurement import Measurement
from governance.outcome import Outcome
from monitoring.drift import MEASURE, NOT_LOOKED_AT

_JUDGED = (Outcome.PASS, Outcome.BREACH)
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The columns of both tables, each in exactly one of the parts.

    Parameters
    ----------
    shown : tuple of str
        Measured, and judged by nobody.
    cannot_tell, not_looked_at : mapping of str to str
        Why not.
    """

    judged: tuple[str, ...]
    shown: tuple[str, ...]
    cannot_tell: Mapping[str, str]
    not_looked_at: Mapping[str, str]

    @classmethod
    def of(cls, measurements: Iterable[Measurement], left_out: Iterable[str] = ()) -> Coverage:
        """Sort the columns of drift measurements, and those that were left out on request."""
        found = {m.scope["feature"]: m for m in measurements if m.measure == MEASURE}
        silent = {n: m.reason for n, m in found.items() if m.outcome is Outcome.INCONCLUSIVE}
        unseen = {n: reason for n, reason in silent.items() if reason.startswith(NOT_LOOKED_AT)}
        return cls(
            judged=tuple(name for name, m in found.items() if m.outcome in _JUDGED),
            shown=tuple(name for name, m in found.items() if m.outcome is Outcome.INFO),
            cannot_tell={n: reason for n, reason in silent.items() if n not in unseen},
            not_looked_at=unseen | dict.fromkeys(left_out, "Left out on request"),
        )

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The names in each part, in words; shown only if something was."""
        shown = {"only shown": self.shown} if self.shown else {}
        return {
            "judged": self.judged,
            **shown,
            "cannot tell": tuple(self.cannot_tell),
            "not looked at": tuple(self.not_looked_at),
        }

    @property
    def line(self) -> str:
        """One line that adds up, with the names of what was not judged.

        Examples
        --------
        >>> Coverage.of([], left_out=["id"]).line
        '1 column: 0 judged, 0 cannot tell, 1 not looked at (id)'
        """
        total = sum(len(names) for names in self.parts.values())
        told = [
            f"{len(names)} {part}" + ("" if part == "judged" or not names else f" ({_some(names)})")
            for part, names in self.parts.items()
        ]
        return f"{total} column{'' if total == 1 else 's'}: {', '.join(told)}"

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form: every column by name."""
        return {
            "columns": sum(len(names) for names in self.parts.values()),
            "judged": list(self.judged),
            "shown": list(self.shown),
            "cannot_tell": dict(self.cannot_tell),
            "not_looked_at": dict(self.not_looked_at),
        }


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
