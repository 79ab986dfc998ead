"""Dated rows: a bound with its days, its kind and its source, and no day with two answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Dated(BaseModel):
    """Something that holds from one day to another and says where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effective_from: date
    effective_to: date | None = None
    kind: Literal["law", "guidance", "house"]
    source: str = Field(min_length=1)

    def holds_on(self, day: date) -> bool:
        """Tell whether the row is in force on `day`; both ends are included."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


class Cap(Dated):
    """The highest limit of a segment, in minor units; without a product it holds for them all."""

    segment: str
    product: str | None = None
    cap_minor: int = Field(gt=0)


class Ceiling(Dated):
    """The highest sum of limits that one customer may hold with all lenders, in minor units."""

    ceiling_minor: int = Field(gt=0)


def refuse_unclear(rows: Sequence[Dated], what: str) -> None:
    """Refuse rows of which two hold on one day, or that leave out days between them.

    Raises
    ------
    ValueError
        Naming `what` the rows are about.
    """
    ordered = sorted(rows, key=lambda row: row.effective_from)
    for row in ordered:
        if row.effective_to is not None and row.effective_to < row.effective_from:
            raise ValueError(f"{what} has a row that ends before it begins")
    for earlier, later in itertools.pairwise(ordered):
        if earlier.effective_to is None or earlier.effective_to >= later.effective_from:
            raise ValueError(f"two rows of {what} hold on the same day")
        if (later.effective_from - earlier.effective_to).days > 1:
            raise ValueError(f"{what} has days without a row")


def refuse_unclear_caps(caps: Iterable[Cap]) -> None:
    """Apply `refuse_unclear` to the caps of each segment and product.

    Raises
    ------
    ValueError
        As `refuse_unclear`.
    """
    groups: dict[tuple[str, str | None], list[Cap]] = {}
    for cap in caps:
        groups.setdefault((cap.segment, cap.product), []).append(cap)
    for (segment, product), rows in groups.items():
        refuse_unclear(rows, f"the cap of {segment}" + (f", {product}" if product else ""))
