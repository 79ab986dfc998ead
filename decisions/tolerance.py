"""Tolerance: the dated lines by which operations are judged, and who owns each of them.

The lines stand in the risk appetite like every other threshold. A caller may put a number in place
of one, and then the document says so: a tolerance that a command line can move is none by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from governance.appetite import RiskAppetite, Threshold
from governance.measurement import Measurement
from governance.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The lines that hold on a day.

    Parameters
    ----------
    given : mapping of str to float
        Measure to the highest value that the caller tolerates instead of the appetite's.
    """

    appetite: RiskAppetite
    on: date
    given: Mapping[str, float] = field(default_factory=dict)

    def judge(self, measurement: Measurement) -> Measurement:
        """Return `measurement` judged; without a line in force nothing passes."""
        threshold = self._line(measurement)
        if threshold is None:
            said = f"the risk appetite {self.appetite.id} has no line for it on {self.on}"
            return measurement.judged(Outcome.INCONCLUSIVE, said)
        judged = threshold.judge(measurement)
        if not measurement.reason or measurement.reason == judged.reason:
            return judged
        return judged.judged(judged.outcome, f"{measurement.reason}; {judged.reason}")

    def as_document(self, measurements: Sequence[Measurement]) -> dict[str, Any]:
        """Return which lines judged: each with owner, source and days, or who moved it."""
        lines: dict[str, dict[str, Any]] = {}
        for measurement in measurements:
            threshold = self._line(measurement)
            if threshold is not None:
                lines[measurement.measure] = {
                    "allowed": threshold.allowed,
                    "kind": threshold.kind,
                    "owner": threshold.owner,
                    "source": threshold.source,
                    "effective_from": threshold.effective_from.isoformat(),
                    "is_override": measurement.measure in self.given,
                }
        return {
            "appetite": f"{self.appetite.id}@{self.appetite.version}#{self.appetite.digest[:16]}",
            "on": self.on.isoformat(),
            "lines": lines,
        }

    def _line(self, measurement: Measurement) -> Threshold | None:
        found = self.appetite.threshold_for(measurement, self.on)
        if measurement.measure not in self.given or found is None:
            return found
        highest = self.given[measurement.measure]
        moved = {
            "at_most": highest,
            "at_least": None if found.at_least is None else -highest,
            "owner": "whoever ran this command",
            "source": f"given on the command line instead of {found.allowed}",
        }
        return found.model_copy(update=moved)
