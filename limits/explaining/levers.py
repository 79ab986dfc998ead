"""Levers: what a customer can do about a default probability, as changes to released columns."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from governance.declaration import Declaration
from governance.errors import ContractError
from limits.features import FeatureSpec


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


class Levers(Declaration):
    """Everything that customers can change, in the order in which it is proposed to them."""

    called: ClassVar[str] = "table of levers"

    schema_: Literal["levers/1"] = Field(alias="schema")
    id: str
    version: str
    features_id: str
    levers: tuple[Lever, ...] = Field(min_length=1, max_length=6)

    @model_validator(mode="after")
    def _is_coherent(self) -> Levers:
        refuse_double(self.levers)
        return self


def packaged(name: str) -> Levers:
    """Return the levers that ship with the product under this name.

    Raises
    ------
    ContractError
        If there are none of that name.
    """
    place = importlib.resources.files("limits.explaining") / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No levers named {name} ship with Limitline.")
    return Levers.parse(place.read_text(encoding="utf-8"))


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
