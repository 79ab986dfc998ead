"""The currency of a policy, whose amounts are whole hundredths everywhere in this house."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

# ISO 4217 divides most currencies into a hundred parts. These it divides otherwise or not at all,
# so an amount told as hundredths would be ten or a hundred times wrong.
DIVIDED_OTHERWISE = (
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "  # no smaller unit
    "BHD IQD JOD KWD LYD OMR TND "  # a thousand parts
    "CLF UYW"  # ten thousand parts
)


def _has_hundredths(code: str) -> str:
    if code in DIVIDED_OTHERWISE.split():
        raise ValueError(
            f"{code} is not divided into a hundred parts (ISO 4217), and every amount here is "
            "whole hundredths. Its amounts would be told wrong, so it is not supported"
        )
    return code


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_has_hundredths)]
