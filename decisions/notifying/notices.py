"""Notices: what a customer is told about a changed limit, by SMS and in the App, in two languages.

A text names what changed, the principal reasons and the way to a person. It holds no score, no
probability, no band, no internal reason code and no identifier: it is read over shoulders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from decisions.explaining import adverse
from decisions.explanation import origins, principal_reasons
from decisions.reasons import TEXTS, Origin, Reason, Text
from governance.errors import ContractError, UsageError

ORIGIN_TEXTS: Mapping[Origin, Text] = {
    Origin.MODEL: Text("your repayment risk as assessed", "您的还款风险评估"),
    Origin.POLICY_CAP: Text("a bound that holds for everybody", "适用于所有客户的额度规则"),
    Origin.PORTFOLIO_ACTION: Text("an adjustment by the lender", "本机构的整体额度调整"),
}


class Kind(StrEnum):
    """What a notice is about."""

    CUT = "cut"
    RAISE = "raise"
    UPLIFT = "uplift"


class Channel(StrEnum):
    """Where a notice is read: an SMS is one sentence, the App has room for every reason."""

    SMS = "sms"
    APP = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """Who writes, and where a person can be reached who looks at the decision again."""

    name_en: str
    name_zh: str
    review_en: str = "ask for a review by a person in the app or by telephone"
    review_zh: str = "登录App或致电客服申请人工复核"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One text for one channel."""

    kind: Kind
    channel: Channel
    language: str
    text: str


def kinds(decided: Mapping[str, Any]) -> list[Kind]:
    """Return what a decision has to be announced for; a hold and a review announce nothing."""
    found = [Kind(decided["action"])] if decided["action"] in ("cut", "raise") else []
    if decided["temporary_uplift_minor"] > 0:
        found.append(Kind.UPLIFT)
    return found


def write(
    decided: Mapping[str, Any], *, lender: Lender, on: date, currency: str, language: str = "zh"
) -> list[Notice]:
    """Write the notices of one decision, one per kind and channel.

    Parameters
    ----------
    decided : mapping
        A row of `decisions.engine.OUTPUT_SCHEMA`; with ``model_texts``, sentences of
        `decisions.reasons.Text` that refine the reason which stands on the model.
    on : datetime.date
        The day from which the limit holds.
    language : {"zh", "en"}
        What the customer reads.

    Raises
    ------
    ContractError
        If a cut has no reason that may be told, or an uplift no expiry: neither may be announced.
    UsageError
        If an uplift ended before the day `on`.
    """
    speak = _chinese if language == "zh" else _english
    return [
        Notice(
            kind=kind,
            channel=channel,
            language=language,
            text=speak(kind, channel, _facts(kind, decided, lender, on, currency)),
        )
        for kind in kinds(decided)
        for channel in Channel
    ]


def _facts(
    kind: Kind, decided: Mapping[str, Any], lender: Lender, on: date, currency: str
) -> dict[str, Any]:
    mask = int(decided["reasons"])
    reasons = principal_reasons(mask, str(decided["action"])) if kind is not Kind.UPLIFT else []
    if kind is Kind.CUT and not reasons:
        raise ContractError(
            "A cut without a reason that can be told may not be announced, and not be made. Look "
            "at the decision's stages with `limitline explain`."
        )
    finer = decided.get("model_texts", ()) if kind is Kind.CUT else ()
    refined = adverse.refined(mask, str(decided["action"]))
    expiry = decided["uplift_expires_on"]
    if kind is Kind.UPLIFT and expiry is None:
        raise ContractError("A temporary uplift without an expiry may not be announced.")
    if kind is Kind.UPLIFT and expiry < on:
        raise UsageError(
            f"A temporary limit that ended on {expiry} cannot be announced from {on}. Give with "
            "--on the day on which the limits began."
        )
    return {
        "lender": lender,
        "on": on,
        "expiry": expiry,
        "currency": currency,
        "before": _amount(decided["limit_before_minor"]),
        "after": _amount(decided["limit_after_minor"]),
        "uplift": _amount(decided["temporary_uplift_minor"]),
        "reasons": _principal(reasons, refined, finer),
        "origins": {
            origin: [(TEXTS[reason], finer if reason is refined else ()) for reason in found]
            for origin, found in origins(mask).items()
            if found and kind is Kind.CUT
        },
    }


def _amount(minor: int) -> str:
    """Write an amount to the cent; a limit that was kept at the balance may have cents."""
    whole, cents = divmod(minor, 100)
    return f"{whole:,}.{cents:02d}" if cents else f"{whole:,}"


def _yuan(facts: Mapping[str, Any], name: str) -> str:
    """Write an amount as Chinese readers do; only two currencies are simply called 元."""
    amount, currency = facts[name], facts["currency"]
    return f"{amount}元" if currency in ("CNY", "TWD") else f"{currency} {amount}"


def _principal(
    reasons: Sequence[Reason], refined: Reason | None, finer: Sequence[Text]
) -> list[Text]:
    """Return what an SMS chooses from: behavior that was seen comes before an assessment of it."""
    told: list[Text] = []
    for reason in reasons:
        # That the risk is high says nothing beside what made it high; that it jumped does.
        if reason is not refined or reason is not Reason.HIGH_RISK or not finer:
            told.append(TEXTS[reason])
        if reason is refined:
            told.extend(finer)
    return told


def _chinese(kind: Kind, channel: Channel, facts: dict[str, Any]) -> str:
    lender: Lender = facts["lender"]
    head = f"【{lender.name_zh}】"
    day = f"{facts['on']:%Y年%m月%d日}"
    if kind is Kind.UPLIFT:
        end = f"{facts['expiry']:%Y年%m月%d日}"
        return (
            f"{head}自{day}起,您的额度临时增加{_yuan(facts, 'uplift')},"
            f"有效期至{end},到期自动恢复,固定额度不变。请理性消费。"
        )
    change = f"自{day}起,您的额度由{_yuan(facts, 'before')}调整为{_yuan(facts, 'after')}。"
    way = f"如有异议,可{lender.review_zh}。"
    if kind is Kind.RAISE:
        return f"{head}{change}如不需要,可在App内调低或拒绝。{way}"
    if channel is Channel.SMS:
        told = ";".join(text.zh for text in facts["reasons"][:2])
        return f"{head}{change}主要原因:{told}。{way}"
    parts = [
        f"{ORIGIN_TEXTS[origin].zh}:{';'.join(_in_chinese(*item) for item in found)}"
        for origin, found in facts["origins"].items()
    ]
    return f"{head}{change}主要原因——{'。'.join(parts)}。{way}"


def _english(kind: Kind, channel: Channel, facts: dict[str, Any]) -> str:
    lender: Lender = facts["lender"]
    unit, head = facts["currency"], f"{lender.name_en}: "
    day = facts["on"].isoformat()
    if kind is Kind.UPLIFT:
        end = facts["expiry"].isoformat()
        return (
            f"{head}from {day} you have a temporary extra limit of {unit} {facts['uplift']}. It "
            f"ends on {end} by itself; your permanent limit does not change."
        )
    change = f"from {day} your limit is {unit} {facts['after']} instead of {facts['before']}. "
    way = f"If you disagree, {lender.review_en}."
    if kind is Kind.RAISE:
        return f"{head}{change}You may lower or refuse it in the app. {way}"
    if channel is Channel.SMS:
        told = "; ".join(text.en for text in facts["reasons"][:2])
        return f"{head}{change}Main reasons: {told}. {way}"
    parts = [
        f"{ORIGIN_TEXTS[origin].en}: {'; '.join(_in_english(*item) for item in found)}"
        for origin, found in facts["origins"].items()
    ]
    return f"{head}{change}Main reasons - {'. '.join(parts)}. {way}"


def _in_chinese(text: Text, finer: Sequence[Text]) -> str:
    return f"{text.zh}({'、'.join(item.zh for item in finer)})" if finer else text.zh


def _in_english(text: Text, finer: Sequence[Text]) -> str:
    return f"{text.en} ({', '.join(item.en for item in finer)})" if finer else text.en
