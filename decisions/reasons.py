"""Why a limit is what it is: one bit per reason, one sentence per language.

A decision keeps its reasons as a 32-bit mask, so the whole trail of a decision is four bytes. The
order of the bits is part of the decision log's format and never changes; new reasons are appended.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum
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
    BAND_KEPT = 1 << 13
    MACRO_REGIME = 1 << 14
    PROBABILITY_JUMP = 1 << 15
    PAYMENT_STRESS = 1 << 16
    BUSINESS_SOUNDNESS = 1 << 17
    DEBT_COVERAGE = 1 << 18
    BUSINESS_REVENUE = 1 << 19
    AFFORDABILITY = 1 << 20
    OVER_INDEBTED = 1 << 21
    CONSENT_MISSING = 1 << 22
    ASSESSMENT_STALE = 1 << 23
    AGGREGATE_CEILING = 1 << 24
    AUTOMATION_REFUSED = 1 << 25
    EXPLORATION = 1 << 26
    SEASONAL_UPLIFT = 1 << 27
    WHOLE_BOOK = 1 << 28


class Origin(StrEnum):
    """Who is behind a reason: what is known of the customer, a bound, or the lender's own will."""

    MODEL = "model"
    POLICY_CAP = "policy_cap"
    PORTFOLIO_ACTION = "portfolio_action"


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
    Reason.BAND_KEPT: Text(
        "Risk moved too little to change its class", "风险变动较小,维持原风险等级"
    ),
    Reason.MACRO_REGIME: Text("The lender's view of the economy", "宏观经济形势调整"),
    Reason.PROBABILITY_JUMP: Text(
        "Repayment risk rose within a short time", "信用风险短期内明显上升"
    ),
    Reason.PAYMENT_STRESS: Text(
        "Nearly the whole limit is used and little is repaid", "额度使用率过高且还款比例偏低"
    ),
    Reason.BUSINESS_SOUNDNESS: Text("Weak accounts of the business", "企业财务稳健性指标偏低"),
    Reason.DEBT_COVERAGE: Text("Cash flow is short for the debt service", "偿债现金流不足"),
    Reason.BUSINESS_REVENUE: Text("Revenue of the business", "企业营业收入水平"),
    Reason.AFFORDABILITY: Text("Income and present debts", "收入与现有负债水平"),
    Reason.OVER_INDEBTED: Text("Debts are already high for the income", "现有负债相对收入过高"),
    Reason.CONSENT_MISSING: Text("No consent to a raise is on file", "未取得提额授权"),
    Reason.ASSESSMENT_STALE: Text("The last assessment is too old", "最近一次授信评估已过期"),
    Reason.AGGREGATE_CEILING: Text(
        "Limits held with all lenders together", "在各机构的授信总额上限"
    ),
    Reason.AUTOMATION_REFUSED: Text(
        "You asked that a person decides", "您已拒绝自动化决策,转人工审核"
    ),
    Reason.EXPLORATION: Text("Drawn for a trial with a higher limit", "参与额度试点"),
    Reason.SEASONAL_UPLIFT: Text("Temporary limit for the season", "节庆临时额度"),
    Reason.WHOLE_BOOK: Text("The lender's adjustment of all its limits", "本机构整体额度优化"),
}

# A decrease is explained by what lowered the limit, not by what merely bounded the lowering.
LOWERING: dict[Reason, Origin] = {
    Reason.HIGH_RISK: Origin.MODEL,
    Reason.PROBABILITY_JUMP: Origin.MODEL,
    Reason.EARLY_WARNING: Origin.MODEL,
    Reason.PAYMENT_STRESS: Origin.MODEL,
    Reason.BUSINESS_SOUNDNESS: Origin.MODEL,
    Reason.AFFORDABILITY: Origin.POLICY_CAP,
    Reason.MACRO_REGIME: Origin.PORTFOLIO_ACTION,
    Reason.WHOLE_BOOK: Origin.PORTFOLIO_ACTION,
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
