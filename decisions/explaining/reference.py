"""The reference: the good customer whom every explanation of one model compares with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

GOOD_BELOW = 0.10
SMALLEST_REFERENCE = 200


class Reference(BaseModel):
    """The good customer whom every explanation compares with; part of the signed model.

    Parameters
    ----------
    values : tuple of float
        One value per feature, in the order of `names`.
    n : int
        Number of good customers behind every value.
    good_below : float
        They did not default, and their out-of-fold default probability lies below this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    values: tuple[FiniteFloat, ...]
    n: int = Field(ge=SMALLEST_REFERENCE)
    good_below: float = GOOD_BELOW
    method: Literal["mean of the central tenth"] = "mean of the central tenth"

    @model_validator(mode="after")
    def _is_complete(self) -> Reference:
        if len(self.names) != len(self.values):
            raise ValueError("there must be one value per feature")
        return self
