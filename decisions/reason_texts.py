"""Every reason in two languages: those of the policy, those of a model, what a customer can change.

The words of the policy stand in ``texts.toml``; those of a model's reason groups are a reviewed
file of their own, ``reason_texts.toml``, which a lender can replace.
"""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from decisions.features import FeatureSpec
from decisions.reasons import LOWERING, MOST_REASONS, Origin, Reason
from governance.declaration import Declaration
from governance.errors import ContractError

_PROTECTED_WORDS = frozenset(
    {"age", "disability", "education", "ethnicity", "gender", "health", "marital_status"}
    | {"marriage", "nationality", "race", "region", "religion", "sex"}
)
_PROTECTED_EN = re.compile(
    r"\b(age[ds]?|birth\w*|disab\w+|educat\w+|ethnic\w*|gender|health|female|male|wom[ae]n|m[ae]n|"
    r"marital|marri\w+|nationalit\w+|pregnan\w+|race|racial|regions?|religio\w+|sex(?:es)?)\b",
    re.IGNORECASE,
)
_PROTECTED_ZH = re.compile(
    "年龄|岁|出生|残疾|学历|教育|民族|种族|性别|男性|女性|男士|女士|健康|疾病|婚姻|已婚|未婚|国籍|"
    "怀孕|地区|地域|籍贯|户籍|宗教|信仰"
)


class Text(NamedTuple):
    """A sentence in the two languages that customers and supervisors read."""

    en: str
    zh: str


def _packaged(name: str) -> str:
    return (importlib.resources.files("decisions") / name).read_text(encoding="utf-8")


_WORDS: dict[str, dict[str, Text]] = {
    table: {key: Text(*pair) for key, pair in pairs.items()}
    for table, pairs in tomllib.loads(_packaged("texts.toml")).items()
}
TEXTS: dict[Reason, Text] = {Reason[name]: text for name, text in _WORDS["reasons"].items()}
LAWS, POLICY_KEYS = _WORDS["laws"], _WORDS["policy_keys"]
UNEXPLAINED, TERMS = _WORDS["unexplained"], _WORDS["terms"]


def explain(mask: int, language: str = "en") -> list[str]:
    """Spell out a reason mask, in the order of the bits.

    Examples
    --------
    >>> explain(Reason.HIGH_RISK | Reason.BALANCE_FLOOR)
    ['Raised assessed repayment risk', 'Not lowered below the balance in use']
    """
    found = [TEXTS[reason] for reason in Reason if mask & reason]
    return [text.zh if language == "zh" else text.en for text in found]


REFINED = (Reason.HIGH_RISK, Reason.PROBABILITY_JUMP)
"""The policy reasons that stand on the default probability and on nothing else."""

# What a customer asks about comes first; what merely bounded a change comes last.
_ORDER = (
    *(Reason.AUTOMATION_REFUSED, Reason.INPUT_MISSING, Reason.EARLY_WARNING),
    *(Reason.PROBABILITY_JUMP, Reason.PAYMENT_STRESS, Reason.BUSINESS_SOUNDNESS),
    *(Reason.HIGH_RISK, Reason.AFFORDABILITY, Reason.OVER_INDEBTED, Reason.DEBT_COVERAGE),
    *(Reason.BUSINESS_REVENUE, Reason.MACRO_REGIME, Reason.WHOLE_BOOK, Reason.RAISES_FROZEN),
    *(Reason.CONSENT_MISSING, Reason.ASSESSMENT_STALE, Reason.HISTORY_UNKNOWN),
    *(Reason.COOL_DOWN, Reason.POLICY_CAP, Reason.AGGREGATE_CEILING, Reason.HOLD_OUT),
    *(Reason.EXPLORATION, Reason.LOW_RISK, Reason.SEASONAL_UPLIFT, Reason.STEP_BOUND),
    *(Reason.BALANCE_FLOOR, Reason.MINIMUM_LIMIT, Reason.SMALL_CHANGE, Reason.BAND_KEPT),
)


def principal_reasons(mask: int, action: str) -> list[Reason]:
    """Return the reasons that a customer is given, the principal one first, four at most.

    A cut is explained by what lowered the limit alone: that it might also have been raised, or was
    bounded in size, is no reason for it.

    References
    ----------
    Regulation B, 12 CFR 1002.9(b)(2): specific, principal reasons of an adverse action.

    Examples
    --------
    >>> principal_reasons(Reason.LOW_RISK | Reason.EARLY_WARNING | Reason.STEP_BOUND, "cut")
    [<Reason.EARLY_WARNING: 4>]
    """
    found: list[Reason] = [reason for reason in _ORDER if mask & reason]
    if action == "cut":
        found = [reason for reason in found if reason in LOWERING]
    elif action == "hold":
        # What would have raised the limit did not; the customer asks what stood against it.
        found = [reason for reason in found if reason is not Reason.LOW_RISK] or found
    elif action == "raise":
        found.sort(key=lambda reason: reason not in (Reason.LOW_RISK, Reason.EXPLORATION))
    return found[:MOST_REASONS]


def origins(mask: int) -> dict[Origin, list[Reason]]:
    """Split the reasons of a cut into model, policy cap and portfolio action."""
    split: dict[Origin, list[Reason]] = {origin: [] for origin in Origin}
    for reason in principal_reasons(mask, "cut"):
        split[LOWERING[reason]].append(reason)
    return split


def refined(mask: int, action: str) -> Reason | None:
    """Return the principal reason that the model can say more about, or ``None``.

    Examples
    --------
    >>> refined(Reason.HIGH_RISK | Reason.EARLY_WARNING, "cut")
    <Reason.HIGH_RISK: 2>
    >>> refined(Reason.EARLY_WARNING, "cut") is None
    True
    """
    if action not in ("cut", "hold"):
        return None
    principal = principal_reasons(mask, action)
    return next((reason for reason in REFINED if reason in principal), None)


class GroupText(BaseModel):
    """One reason in both languages.

    Parameters
    ----------
    covered_by : tuple of str
        Policy reasons that already say the same; a notice does not say it twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str = Field(min_length=1, max_length=80)
    zh: str = Field(min_length=1, max_length=40)
    covered_by: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_nothing_about_the_person(self) -> GroupText:
        found = _PROTECTED_EN.search(self.en) or _PROTECTED_ZH.search(self.zh)
        if found:
            raise ValueError(f"the text names a protected attribute: {found.group()}")
        # A digit would be a value of somebody, or a threshold that invites to be undercut by one.
        if re.search(r"\d", self.en + self.zh):
            raise ValueError("a reason text holds no number")
        unknown = sorted(set(self.covered_by) - set(Reason.__members__))
        if unknown:
            raise ValueError(f"covered_by names {unknown[0]}, which is no reason of the policy")
        return self


class Lever(BaseModel):
    """One thing that a customer can do.

    Parameters
    ----------
    columns : mapping of str to str
        Released column to the ANSI SQL expression of its value after the change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reason_group: str
    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)
    columns: Mapping[str, str] = Field(min_length=1)


class ReasonTexts(Declaration):
    """The reviewed wording of every reason group, with what a customer can do if declared.

    Parameters
    ----------
    levers : tuple of Lever
        What customers can change, in the order in which it is proposed; empty proposes nothing.
    """

    called: ClassVar[str] = "table of reason texts"

    schema_: Literal["reason-texts/1"] = Field(alias="schema")
    id: str
    version: str
    groups: Mapping[str, GroupText]
    levers: tuple[Lever, ...] = Field(default=(), max_length=6)

    @model_validator(mode="after")
    def _names_no_protected_attribute(self) -> ReasonTexts:
        refuse_protected(self.groups)
        columns = [column for lever in self.levers for column in lever.columns]
        if len(set(columns)) != len(columns):
            raise ValueError("two levers change the same column")
        if len({lever.name for lever in self.levers}) != len(self.levers):
            raise ValueError("a lever is declared twice")
        return self


def packaged_texts() -> ReasonTexts:
    """Return the wording that ships with the product."""
    return ReasonTexts.parse(_packaged("reason_texts.toml"))


def levers_for(spec: FeatureSpec, texts: ReasonTexts) -> tuple[Lever, ...]:
    """Return the levers that change nothing but columns which the features read."""
    read = set(spec.sources)
    return tuple(lever for lever in texts.levers if set(lever.columns) <= read)


def unworded(spec: FeatureSpec, texts: ReasonTexts) -> list[str]:
    """Return the reason groups of a spec that have no wording, sorted."""
    return sorted(set(spec.reason_groups) - set(texts.groups))


def check(spec: FeatureSpec, texts: ReasonTexts) -> None:
    """Refuse a spec whose reasons could not be told to a customer.

    Raises
    ------
    ContractError
        If a reason group has no wording.
    """
    if missing := unworded(spec, texts):
        raise ContractError(
            f"The reason group {missing[0]} of {spec.id} has no wording; {texts.id} has "
            f"{', '.join(texts.groups)}. Add the group to it in both languages."
        )


def refuse_protected(groups: Collection[str]) -> None:
    """Refuse groups that are named like a protected attribute, as a value error of their file.

    Raises
    ------
    ValueError
        If there is one.
    """
    found = sorted(set(groups) & _PROTECTED_WORDS)
    if found:
        raise ValueError(f"a protected attribute is never a reason: {', '.join(found)}")


def refuse_idle(spec: FeatureSpec, levers: Sequence[Lever], called: str) -> None:
    """Refuse a lever that changes nothing that a feature reads.

    Raises
    ------
    ContractError
        If there is such a lever.
    """
    columns = {column for lever in levers for column in lever.columns}
    foreign = sorted(columns - set(spec.sources))
    if foreign:
        raise ContractError(
            f"The levers {called} change {foreign[0]}, which no feature of {spec.id} reads; a "
            "customer would be told to do something that changes nothing."
        )
