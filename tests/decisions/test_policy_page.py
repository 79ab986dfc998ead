"""The page of the policy file names every key that a policy may have: none must be guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from decisions.policy import LimitPolicy

PAGE = Path(__file__).parents[2] / "docs" / "policy-file.md"


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field holds, however they are wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, UnionType) or get_args(annotation):
        for part in get_args(annotation):
            yield from sections(part)


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield every key of a model and of the sections below it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for section in sections(field.annotation):
            yield from keys(section)


def test_a_policy_has_the_keys_that_people_know() -> None:
    found = set(keys(LimitPolicy))
    assert {"schema", "full_at", "ceiling_minor", "least", "logit_shift", "refusal"} <= found


@pytest.mark.parametrize("key", sorted(set(keys(LimitPolicy))))
def test_the_page_names_every_key(key: str) -> None:
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", PAGE.read_text("utf-8")))))
    assert key in told
