"""The reviewed wording of every reason group in two languages, and what a customer can change."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from decisions.features import FeatureSpec
from decisions.reasons import Reason
from governance.contract import ColumnContract, Role
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


class Text(BaseModel):
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
    def _says_nothing_about_the_person(self) -> Text:
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
    groups: Mapping[str, Text]
    levers: tuple[Lever, ...] = Field(default=(), max_length=6)

    @model_validator(mode="after")
    def _names_no_protected_attribute(self) -> ReasonTexts:
        refuse_protected(self.groups)
        refuse_double(self.levers)
        return self


def packaged_texts() -> ReasonTexts:
    """Return the wording that ships with the product."""
    place = importlib.resources.files("decisions.explaining") / "reason_texts.toml"
    return ReasonTexts.parse(place.read_text(encoding="utf-8"))


def levers_for(spec: FeatureSpec, texts: ReasonTexts) -> tuple[Lever, ...]:
    """Return the levers that change nothing but columns which the features read."""
    read = set(spec.sources)
    return tuple(lever for lever in texts.levers if set(lever.columns) <= read)


def unworded(spec: FeatureSpec, texts: ReasonTexts) -> list[str]:
    """Return the reason groups of a spec that have no wording, sorted."""
    return sorted(set(spec.reason_groups) - set(texts.groups))


def check(spec: FeatureSpec, texts: ReasonTexts, contract: ColumnContract | None = None) -> None:
    """Refuse a spec whose reasons could not be told to a customer.

    Raises
    ------
    ContractError
        If a reason group has no wording, or a group or a source is a protected attribute of the
        contract.
    """
    if missing := unworded(spec, texts):
        raise ContractError(
            f"The reason group {missing[0]} of {spec.id} has no wording; {texts.id} has "
            f"{', '.join(texts.groups)}. Add the group to it in both languages."
        )
    declared = contract.columns if contract else ()
    protected = {c.name for c in declared if c.role is Role.PROTECTED}
    protected |= {c.attribute for c in declared if c.role is Role.PROTECTED}
    found = sorted(protected & {*spec.sources, *spec.reason_groups})
    if found:
        raise ContractError(
            f"The feature spec {spec.id} reads or cites {found[0]}, a protected attribute; such an "
            "attribute is never a feature and never a reason. Take it out."
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


def refuse_double(levers: Sequence[Lever]) -> None:
    """Refuse levers that would change one column twice, as a value error of the file they are in.

    Raises
    ------
    ValueError
        If two levers share a column or a name.
    """
    columns = [column for lever in levers for column in lever.columns]
    if len(set(columns)) != len(columns):
        raise ValueError("two levers change the same column")
    if len({lever.name for lever in levers}) != len(levers):
        raise ValueError("a lever is declared twice")


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
