"""The registry's homes, for attacks on them."""

from tests.registry.conftest import (
    _champion_template,
    _migrated,
    _template,
    champion,
    empty_home,
    home,
    signer,
)

__all__ = [
    "_champion_template",
    "_migrated",
    "_template",
    "champion",
    "empty_home",
    "home",
    "signer",
]
