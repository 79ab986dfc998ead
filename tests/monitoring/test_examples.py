"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("bins", "discrimination", "drift", "intervals", "misjudgment")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"monitoring.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
