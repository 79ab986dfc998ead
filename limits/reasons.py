"""Why a limit is what it is: one bit per reason, one sentence per language.

A decision keeps its reasons as a 32-bit mask, so the whole trail of a decision is four bytes. The
order of the bits is part of the decision log's format and never changes; new reasons are appended.
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple


class Reason(IntFlag):
    """What a stage of the engine did to a limit."""

    LOW_RISK = 1 << 0
    HIGH_RISK = 1 << 1
    EARLY_WARNING = 1 << 2
    RAISES_FROZEN = 1 << 3
    COOL_DOWN = 1 << 4
    HISTORY_UNKNOWN = 1 << 5
    STEP_BOUND = 1 << 6
    POLICY_CAP = 1 << 7
    SMALL_CHANGE = 1 << 8
    BALANCE_FLOOR = 1 << 9
    MINIMUM_LIMIT = 1 << 10
    INPUT_MISSING = 1 << 11
    HOLD_OUT = 1 << 12


class Text(NamedTuple):
    """A sentence in the two languages that customers and supervisors read."""

    en: str
    zh: str


TEXTS: dict[Reason, Text] = {
    Reason.LOW_RISK: Text("Low assessed repayment risk", "综合信用评估风险较低"),
    Reason.HIGH_RISK: Text("Raised assessed repayment risk", "综合信用评估风险上升"),
    Reason.EARLY_WARNING: Text("Recent bills overdue", "近期账单逾期"),
    Reason.RAISES_FROZEN: Text("Limit raises are suspended for now", "暂停提升额度"),
    Reason.COOL_DOWN: Text("The limit was changed recently", "近期已调整过额度"),
    Reason.HISTORY_UNKNOWN: Text("The history of the limit is unknown", "额度调整记录不完整"),
    Reason.STEP_BOUND: Text("One change is bounded in size", "单次调整幅度限制"),
    Reason.POLICY_CAP: Text("Highest limit of the product", "产品额度上限"),
    Reason.SMALL_CHANGE: Text("The change would be too small", "调整幅度过小"),
    Reason.BALANCE_FLOOR: Text("Not lowered below the balance in use", "不低于已用额度"),
    Reason.MINIMUM_LIMIT: Text("Lowest limit of the product", "产品最低额度"),
    Reason.INPUT_MISSING: Text("Information is missing; a person decides", "信息不完整,转人工审核"),
    Reason.HOLD_OUT: Text("Limit kept unchanged for comparison", "对照组,额度保持不变"),
}


def explain(mask: int, language: str = "en") -> list[str]:
    """Spell out a reason mask, in the order of the bits.

    Examples
    --------
    >>> explain(Reason.HIGH_RISK | Reason.BALANCE_FLOOR)
    ['Raised assessed repayment risk', 'Not lowered below the balance in use']
    """
    found = [TEXTS[reason] for reason in Reason if mask & reason]
    return [text.zh if language == "zh" else text.en for text in found]
