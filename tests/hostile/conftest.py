"""The registry's homes, for attacks on them."""

from tests.registry.conftest import (
    _champion_template,
    _migrated,
    _template,
    appetite,
    candidate,
    champion,
    empty_home,
    evidence,
    home,
    judged,
    signer,
    submitted,
)

__all__ = [
    "_champion_template",
    "_migrated",
    "_template",
    "appetite",
    "candidate",
    "champion",
    "empty_home",
    "evidence",
    "home",
    "judged",
    "signer",
    "submitted",
]
