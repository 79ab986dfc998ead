"""Notices: what a customer is told about a changed limit, by SMS and in the App, in two languages.

A text names what changed, the principal reasons and the way to a person. It holds no score, no
probability, no band, no internal reason code and no identifier: it is read over shoulders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from decisions import explanation, reason_texts
from decisions.decision_log import DecisionLog
from decisions.explanation import VintageReasons
from decisions.outbox import Message, Outbox
from decisions.reason_texts import TEXTS, Text, origins, principal_reasons
from decisions.reasons import Origin, Reason
from decisions.routes import Route
from governance.errors import ContractError, UsageError
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring

ORIGIN_TEXTS: Mapping[Origin, Text] = {
    Origin.MODEL: Text("your repayment risk as assessed", "您的还款风险评估"),
    Origin.POLICY_CAP: Text("a bound that holds for everybody", "适用于所有客户的额度规则"),
    Origin.PORTFOLIO_ACTION: Text("an adjustment by the lender", "本机构的整体额度调整"),
}
_USE = "notice-key"
_COLUMNS = (
    *(PSEUDONYM, "action", "reasons", "limit_before_minor", "limit_after_minor"),
    *("temporary_uplift_minor", "uplift_expires_on"),
)


class Topic(StrEnum):
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
class Announcement:
    """What a vintage is announced with: who writes, in which language, from which day."""

    lender: Lender
    language: str
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One text for one channel."""

    topic: Topic
    channel: Channel
    text: str


def queue(
    settings: Settings,
    vintage: str,
    announcement: Announcement,
    *,
    keyring: Keyring,
    routes: Sequence[Route],
) -> tuple[int, VintageReasons]:
    """Queue the notices of a vintage for these routes; return how many are new, and why cuts were.

    The key of a notice is a MAC under the ring: it says nothing about the customer to others, and
    who holds the ring finds the customer by computing the keys of the vintage again.

    Raises
    ------
    UsageError
        If the vintage was not decided, its limits would begin before their decision, or a temporary
        limit would be announced after its last day.
    ContractError
        If a cut has no reason that can be told.
    IntegrityError
        If log, model or table are not what they were when the decisions were made.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    decided_on = date.fromisoformat(log.identity["as_of"])
    if announcement.on < decided_on:
        raise UsageError(
            f"--on {announcement.on} lies before the day of the decisions, {decided_on}. Give that "
            "day or a later one."
        )
    # Reasons come first: the outbox is locked while notices are queued.
    found = explanation.of_log(settings, log, keyring=keyring)
    messages = _messages(log, found, announcement, keyring)
    return outbox(settings).queue(vintage, messages, routes), found


def outbox(settings: Settings) -> Outbox:
    """Return the one outbox of a home."""
    return Outbox(settings.home / "outbox" / "notices.db")


def key_of(decision: bytes, vintage: str, notice: Notice) -> str:
    """Return the stable key of a notice: the same decision gives the same key on every attempt.

    Parameters
    ----------
    decision : bytes
        A keyed digest that stands for customer and vintage. It must not be the pseudonym itself:
        the key leaves the house with the text.
    """
    total = hashlib.sha256()
    texts = (vintage, notice.topic.value, notice.channel.value)
    for part in (decision, *(text.encode() for text in texts)):
        total.update(len(part).to_bytes(4, "big") + part)
    return total.hexdigest()[:32]


def write(decided: Mapping[str, Any], announcement: Announcement, *, currency: str) -> list[Notice]:
    """Write the notices of one decision, one per topic and channel; a hold announces nothing.

    Parameters
    ----------
    decided : mapping
        A row of `decisions.engine.OUTPUT_SCHEMA`; with ``model_texts``, sentences of
        `decisions.reasons.Text` that refine the reason which stands on the model.

    Raises
    ------
    ContractError
        If a cut has no reason that may be told, or an uplift no expiry: neither may be announced.
    UsageError
        If an uplift ended before the day of the announcement.
    """
    topics = [Topic(decided["action"])] if decided["action"] in ("cut", "raise") else []
    if decided["temporary_uplift_minor"] > 0:
        topics.append(Topic.UPLIFT)
    speak = _chinese if announcement.language == "zh" else _english
    made = []
    for topic in topics:
        facts = {**_amounts(decided, currency), "on": announcement.on}
        facts |= _expiry(decided, announcement.on) if topic is Topic.UPLIFT else {}
        facts |= _reasons(decided) if topic is Topic.CUT else {}
        for channel in Channel:
            text = speak(topic, channel, announcement.lender, facts)
            made.append(Notice(topic=topic, channel=channel, text=text))
    return made


def _messages(
    log: DecisionLog, found: VintageReasons, announcement: Announcement, keyring: Keyring
) -> Iterator[Message]:
    vintage, currency = log.identity["vintage"], log.identity["currency"]
    for batch in log.reader(_COLUMNS):
        for row, texts in zip(batch.to_pylist(), found.texts(batch), strict=True):
            stands_for = keyring.mac(row[PSEUDONYM], use=_USE, version=log.key_version)
            for one in write({**row, "model_texts": texts}, announcement, currency=currency):
                yield Message(key_of(stands_for, vintage, one), one.channel.value, one.text)


def _amounts(decided: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Write amounts to the cent; a limit that was kept at the balance may have cents."""
    names = ("limit_before", "limit_after", "temporary_uplift")
    found = {"currency": currency}
    for name in names:
        whole, cents = divmod(decided[f"{name}_minor"], 100)
        amount = f"{whole:,}.{cents:02d}" if cents else f"{whole:,}"
        # Chinese readers call only two currencies simply 元.
        in_chinese = f"{amount}元" if currency in ("CNY", "TWD") else f"{currency} {amount}"
        found |= {name: amount, f"{name}_zh": in_chinese}
    return found


def _expiry(decided: Mapping[str, Any], on: date) -> dict[str, Any]:
    expiry = decided["uplift_expires_on"]
    if expiry is None:
        raise ContractError("A temporary uplift without an expiry may not be announced.")
    if expiry < on:
        raise UsageError(
            f"A temporary limit that ended on {expiry} cannot be announced from {on}. Give with "
            "--on the day on which the limits began."
        )
    return {"expiry": expiry}


def _reasons(decided: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an SMS chooses from, and for the App each origin's reasons with finer ones."""
    mask, action = int(decided["reasons"]), str(decided["action"])
    reasons = principal_reasons(mask, action)
    if not reasons:
        raise ContractError(
            "A cut without a reason that can be told may not be announced, and not be made. Look "
            "at the decision's stages with `limitline explain`."
        )
    finer: Sequence[Text] = decided.get("model_texts", ())
    refined = reason_texts.refined(mask, action)
    short: list[Text] = []
    for reason in reasons:
        # Behavior that was seen comes before an assessment of it. That the risk is high says
        # nothing beside what made it high; that it jumped does.
        if reason is not refined or reason is not Reason.HIGH_RISK or not finer:
            short.append(TEXTS[reason])
        if reason is refined:
            short.extend(finer)
    whole = {
        ORIGIN_TEXTS[origin]: [(TEXTS[one], finer if one is refined else ()) for one in found]
        for origin, found in origins(mask).items()
        if found
    }
    return {"short": short[:2], "whole": whole}


def _chinese(topic: Topic, channel: Channel, lender: Lender, facts: Mapping[str, Any]) -> str:
    head, day = f"【{lender.name_zh}】", f"{facts['on']:%Y年%m月%d日}"
    if topic is Topic.UPLIFT:
        return (
            f"{head}自{day}起,您的额度临时增加{facts['temporary_uplift_zh']},"
            f"有效期至{facts['expiry']:%Y年%m月%d日},到期自动恢复,固定额度不变。请理性消费。"
        )
    change = f"自{day}起,您的额度由{facts['limit_before_zh']}调整为{facts['limit_after_zh']}。"
    way = f"如有异议,可{lender.review_zh}。"
    if topic is Topic.RAISE:
        return f"{head}{change}如不需要,可在App内调低或拒绝。{way}"
    if channel is Channel.SMS:
        return f"{head}{change}主要原因:{';'.join(text.zh for text in facts['short'])}。{way}"
    parts = [
        f"{origin.zh}:"
        + ";".join(
            text.zh + (f"({'、'.join(one.zh for one in finer)})" if finer else "")
            for text, finer in found
        )
        for origin, found in facts["whole"].items()
    ]
    return f"{head}{change}主要原因——{'。'.join(parts)}。{way}"


def _english(topic: Topic, channel: Channel, lender: Lender, facts: Mapping[str, Any]) -> str:
    unit, head, day = facts["currency"], f"{lender.name_en}: ", facts["on"].isoformat()
    if topic is Topic.UPLIFT:
        return (
            f"{head}from {day} you have a temporary extra limit of {unit} "
            f"{facts['temporary_uplift']}. It ends on {facts['expiry'].isoformat()} by itself; "
            "your permanent limit does not change."
        )
    change = (
        f"from {day} your limit is {unit} {facts['limit_after']} instead of "
        f"{facts['limit_before']}. "
    )
    way = f"If you disagree, {lender.review_en}."
    if topic is Topic.RAISE:
        return f"{head}{change}You may lower or refuse it in the app. {way}"
    if channel is Channel.SMS:
        return f"{head}{change}Main reasons: {'; '.join(one.en for one in facts['short'])}. {way}"
    parts = [
        f"{origin.en}: "
        + "; ".join(
            text.en + (f" ({', '.join(one.en for one in finer)})" if finer else "")
            for text, finer in found
        )
        for origin, found in facts["whole"].items()
    ]
    return f"{head}{change}Main reasons - {'. '.join(parts)}. {way}"
