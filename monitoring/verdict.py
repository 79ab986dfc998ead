"""Verdicts: whether an alternative is less discriminatory at no measurable loss.

The rule is fixed here; each number that it needs stands in the risk appetite, dated and owned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from governance.appetite import RiskAppetite, Threshold
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.comparison import AUC_DIFFERENCE
from governance.outcome import Outcome
from governance.proportion import CONFIDENCE, normal_quantile
from monitoring.paired_fairness import GAIN

RULE = (
    "An alternative is less discriminatory if, for one attribute and kind of decision at least, "
    "the whole interval of its gain, widened for the number of gains that were looked at in the "
    "family (Bonferroni), lies above the line of the risk appetite, and no gain lies wholly below "
    "zero. It is so at no measurable loss if the whole interval of its AUC minus the version's "
    "lies above the line for that. It is not shown to be if every gain lies within the line, or if "
    "its AUC lies wholly below. Everything else cannot be told."
)


class Verdict(StrEnum):
    """What is said of one alternative."""

    FOUND = "less discriminatory at no measurable loss"
    COSTLY = "less discriminatory, at a measured loss"
    NOT_SHOWN = "not shown"
    TRADE = "cannot tell: a trade between groups"
    UNKNOWN = "cannot tell"


OUTCOMES: Mapping[Verdict, Outcome] = {
    Verdict.FOUND: Outcome.BREACH,
    Verdict.COSTLY: Outcome.PASS,
    Verdict.NOT_SHOWN: Outcome.PASS,
    Verdict.TRADE: Outcome.INCONCLUSIVE,
    Verdict.UNKNOWN: Outcome.INCONCLUSIVE,
}
"""What a verdict means for the version: a breach is an alternative that it has to answer for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one alternative, with its reason in one sentence."""

    alternative: str
    title: str
    verdict: Verdict
    why: str

    @property
    def outcome(self) -> Outcome:
        """What the verdict means for the version."""
        return OUTCOMES[self.verdict]

    def as_json(self) -> dict[str, str]:
        """Return the public JSON form."""
        return {
            "alternative": self.alternative,
            "title": self.title,
            "verdict": self.verdict.value,
            "outcome": self.outcome.value,
            "why": self.why,
        }


def lines(appetite: RiskAppetite, on: date) -> tuple[Threshold, ...]:
    """Return the lines that judge alternatives on a day.

    Raises
    ------
    ContractError
        If the appetite has none for the gain, or none for the loss.
    """
    found = tuple(t for t in appetite.in_force(on) if t.measure in (GAIN, AUC_DIFFERENCE))
    missing = [name for name in (GAIN, AUC_DIFFERENCE) if name not in {t.measure for t in found}]
    wrong = [t for t in found if (t.at_most if t.measure == GAIN else t.at_least) is None]
    if missing or wrong:
        problem = f"has no line for {missing[0]}" if missing else "has a line without its side"
        raise ContractError(
            f"The risk appetite {appetite.id} {problem}: alternatives are judged by {GAIN} "
            f"(at_most) and {AUC_DIFFERENCE} (at_least)."
        )
    return found


def judge(
    name: str, title: str, measured: Sequence[Measurement], appetite: RiskAppetite, on: date
) -> Judgement:
    """Judge one alternative by its measurements, as the `RULE` says.

    Parameters
    ----------
    measured : sequence of Measurement
        Of the whole family, judged by the appetite: the more gains are looked at, the more often
        chance alone lifts one of them above its line.
    """
    looks = sum(m.measure == GAIN and bool(appetite.threshold_for(m, on)) for m in measured)
    mine = [found for found in measured if found.scope.get("alternative") == name]
    lined = [(m, appetite.threshold_for(m, on)) for m in mine if m.measure == GAIN]
    gains = [_widened(m, line, looks) for m, line in lined if line is not None]
    losses = [m.outcome for m in mine if m.measure == AUC_DIFFERENCE]
    loss = losses[0] if losses else Outcome.INCONCLUSIVE
    verdict, why = _verdict(gains, loss)
    return Judgement(alternative=name, title=title, verdict=verdict, why=why)


def told(thresholds: Sequence[Threshold]) -> list[dict[str, Any]]:
    """Return the lines as they are signed with a judgement."""
    return [
        {
            "measure": line.measure,
            "scope": dict(line.scope),
            "allowed": line.allowed,
            "minimum_n": line.minimum_n,
            "kind": line.kind,
            "owner": line.owner,
            "source": line.source,
            "effective_from": line.effective_from.isoformat(),
        }
        for line in thresholds
    ]


def _widened(gain: Measurement, line: Threshold, looks: int) -> Measurement:
    """Return a gain that is above its line only if it is so among all gains looked at."""
    if gain.outcome is not Outcome.BREACH or gain.value is None or gain.low is None:
        return gain
    stretch = normal_quantile(1 - (1 - CONFIDENCE) / max(looks, 1)) / normal_quantile()
    low = gain.value - (gain.value - gain.low) * stretch
    if line.at_most is not None and low > line.at_most:
        return gain
    reason = f"alone it would be above {line.at_most:g}, among {looks} gains it is not"
    return gain.judged(Outcome.INCONCLUSIVE, reason)


def _verdict(gains: Sequence[Measurement], loss: Outcome) -> tuple[Verdict, str]:
    fairer = [m for m in gains if m.outcome is Outcome.BREACH]
    worse = [m for m in gains if m.high is not None and m.high < 0]
    unclear = [m for m in gains if m.outcome is Outcome.INCONCLUSIVE]
    if loss is Outcome.BREACH and not fairer:
        return Verdict.NOT_SHOWN, "it separates measurably worse than the version"
    if fairer and worse:
        return Verdict.TRADE, f"nearer to equality in {_where(fairer)}, further in {_where(worse)}"
    if fairer and loss is Outcome.PASS:
        return Verdict.FOUND, f"nearer to equality in {_where(fairer)}"
    if fairer and loss is Outcome.BREACH:
        return Verdict.COSTLY, f"nearer to equality in {_where(fairer)}; people weigh the loss"
    if fairer:
        return Verdict.UNKNOWN, f"nearer to equality in {_where(fairer)}; the loss is not known"
    if not gains:
        return Verdict.UNKNOWN, "there is no gain that the risk appetite speaks about"
    if unclear:
        return (
            Verdict.UNKNOWN,
            f"{len(unclear)} of {len(gains)} gains are open; {_largest(unclear)}",
        )
    return Verdict.NOT_SHOWN, "no gain above the line, and the intervals rule one out"


def _where(found: Sequence[Measurement]) -> str:
    shown = [f"{m.scope['attribute']}, {m.scope['of']}" for m in found[:3]]
    return "; ".join(shown) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _largest(found: Sequence[Measurement]) -> str:
    """Say which gain is the largest, and why it does not decide."""
    known = [m for m in found if m.value is not None]
    if not known:
        return found[0].reason.partition(": ")[0].rstrip(".")
    most = max(known, key=lambda m: m.value or 0.0)
    ends = "" if most.low is None or most.high is None else f" [{most.low:+.3f}, {most.high:+.3f}]"
    why = most.reason.partition(": ")[0].rstrip(".")
    return f"the largest, {_where([most])}, is {most.value:+.3f}{ends}, {why}"
