"""Column contracts: what every column of a raw table is, and what may happen to it.

Two questions are asked of each column, because one is not enough: how sensitive it is (``C1`` to
``C3``, after JR/T 0171-2020, or ``none``) and what role it plays. An income is sensitive and yet a
legitimate feature; a telephone number is as sensitive and never one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from governance.declaration import Declaration


class Purpose(StrEnum):
    """What a pseudonym may be used for; tables of different purposes do not join by it."""

    TRAINING = "training"
    DECISION = "decision"
    AUDIT = "audit"


class Role(StrEnum):
    """What a column is to the product."""

    SUBJECT_ID = "subject_id"
    IDENTITY = "identity"
    PROTECTED = "protected_attribute"
    FEATURE = "feature"
    LABEL = "label"
    TIME = "time"
    FREE_TEXT = "free_text"


class Action(StrEnum):
    """What the release gate does with a column."""

    PSEUDONYMIZE = "pseudonymize"
    VAULT = "vault"
    AUDIT = "audit"
    KEEP = "keep"
    DROP = "drop"


class Sensitivity(StrEnum):
    """Sensitivity class after JR/T 0171-2020; ``C3`` data never enter."""

    NONE = "none"
    C1 = "C1"
    C2 = "C2"
    C3 = "C3"


ColumnType = Literal["int64", "float64", "string", "bool", "date32"]
IdKind = Literal["code", "token", "mobile", "resident_id"]

_ALLOWED_ACTIONS: Mapping[Role, frozenset[Action]] = {
    Role.SUBJECT_ID: frozenset({Action.PSEUDONYMIZE}),
    Role.IDENTITY: frozenset({Action.VAULT, Action.DROP}),
    Role.PROTECTED: frozenset({Action.AUDIT, Action.DROP}),
    Role.FEATURE: frozenset({Action.KEEP, Action.DROP}),
    Role.LABEL: frozenset({Action.KEEP, Action.DROP}),
    Role.TIME: frozenset({Action.KEEP, Action.DROP}),
    Role.FREE_TEXT: frozenset({Action.DROP}),
}


class Column(BaseModel):
    """The declaration of one raw column.

    Parameters
    ----------
    codes : mapping of str to str
        Code book of a protected attribute: raw code (as text) to group name. A code that is not in
        the book is refused: a swapped code book silently turns women into men.
    upper : tuple of int
        Ascending inclusive upper edges of bands for a protected number, such as age.
    id_kind : str
        What kind of id the subject column holds, which says what spellings are one customer:
        ``code`` (case means nothing), ``token`` (case matters), ``mobile``, ``resident_id``.
    """

    later_fields: ClassVar[frozenset[str]] = frozenset({"id_kind"})

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: ColumnType
    sensitivity: Sensitivity
    role: Role
    action: Action
    purposes: frozenset[Purpose] = frozenset()
    may_be_null: bool = False
    minimum: float | None = None
    maximum: float | None = None
    codes: Mapping[str, str] = {}
    upper: tuple[int, ...] = ()
    group_name: str | None = None
    reference_group: str | None = None
    id_kind: IdKind = "code"
    why: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_admissible(self) -> Column:
        if self.action not in _ALLOWED_ACTIONS[self.role]:
            raise ValueError(
                f"column {self.name}: a {self.role} may not be handled by {self.action}"
            )
        if self.sensitivity is Sensitivity.C3 and self.action is not Action.DROP:
            raise ValueError(
                f"column {self.name}: C3 data have no admissible use and must be dropped"
            )
        if self.action is Action.KEEP and not self.purposes:
            raise ValueError(f"column {self.name}: kept without a purpose")
        if self.action is Action.AUDIT and not (self.codes or self.upper):
            raise ValueError(
                f"column {self.name}: a protected attribute needs codes or upper edges"
            )
        if self.id_kind != "code" and self.role is not Role.SUBJECT_ID:
            raise ValueError(f"column {self.name}: only a subject_id has an id_kind")
        if list(self.upper) != sorted(set(self.upper)):
            raise ValueError(f"column {self.name}: upper edges must ascend")
        if any(not name.strip() for name in self.codes.values()):
            raise ValueError(f"column {self.name}: a group needs a name")
        if self.reference_group is not None and self.reference_group not in self.groups:
            raise ValueError(f"the reference group of {self.name} is none of its groups")
        return self

    @property
    def attribute(self) -> str:
        """The name under which a protected column is audited, such as ``age_band``."""
        return self.group_name or self.name

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group this protected column can fall in, in order of the code book or the edges."""
        if self.codes:
            return tuple(dict.fromkeys(self.codes.values()))
        first, *rest = self.upper
        middle = [f"{low + 1}-{high}" for low, high in zip(self.upper, rest, strict=False)]
        return (f"<={first}", *middle, f"{self.upper[-1] + 1}+")


class ColumnContract(Declaration):
    """What a raw table must look like, column by column; a feature table carries its digest.

    Parameters
    ----------
    row : tuple of str
        What makes a row one of its kind: empty for one row per customer; the subject column and a
        column of days, ``["customer_id", "as_of"]``, for one row per customer and day.
    """

    called: ClassVar[str] = "column contract"
    later_fields: ClassVar[frozenset[str]] = frozenset({"row"})

    schema_: Literal["column-contract/1"] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: str
    title: str
    source: str
    legal_basis: str = "not stated"
    minimum_rows: int = Field(default=1, ge=1)
    row: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_coherent(self) -> ColumnContract:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is declared twice")
        if len([c for c in self.columns if c.role is Role.SUBJECT_ID]) != 1:
            raise ValueError("exactly one column must have the role subject_id")
        if self.row:
            self._refuse_strange_rows()
        return self

    def _refuse_strange_rows(self) -> None:
        subject = self.subject_column.name
        day = next((c for c in self.columns if c.name == self.row[-1]), None)
        if len(self.row) != 2 or self.row[0] != subject or day is None or day.name == subject:
            raise ValueError(
                f'row must be ["{subject}", "..."], the subject column and a declared column of '
                "days; leave it out if every customer has one row"
            )
        if day.type != "date32" or day.may_be_null or day.role is not Role.TIME:
            raise ValueError(
                f"the day of a row, {day.name}, must be a date32 without nulls in the role time"
            )
        # Whoever reads the table must be able to tell a customer's rows apart.
        used = frozenset().union(*(c.purposes for c in self.with_action(Action.KEEP)))
        if day.action is not Action.KEEP or day.purposes < used:
            raise ValueError(
                f"the day of a row, {day.name}, must be kept for every purpose that another "
                "column is kept for"
            )

    @property
    def subject_column(self) -> Column:
        """The column that says whose row it is."""
        return next(c for c in self.columns if c.role is Role.SUBJECT_ID)

    @property
    def day_column(self) -> Column | None:
        """The column of days, if a customer has one row a day and not one row in all."""
        return next((c for c in self.columns if self.row and c.name == self.row[1]), None)

    @property
    def label_column(self) -> Column | None:
        """The outcome column, if the table has one."""
        return next((c for c in self.columns if c.role is Role.LABEL), None)

    def with_action(self, action: Action) -> tuple[Column, ...]:
        """Return the columns that the gate handles by `action`, in file order."""
        return tuple(column for column in self.columns if column.action is action)

    def released(self, purpose: Purpose) -> tuple[Column, ...]:
        """Return the columns that a feature table of `purpose` holds, in file order."""
        return tuple(c for c in self.with_action(Action.KEEP) if purpose in c.purposes)
