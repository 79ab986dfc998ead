"""A test of a refusal says which refusal it expects, so that no other error can pass for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def expected_errors() -> Iterator[tuple[str, ast.Call]]:
    """Yield every place where a test expects an error, and the call that says which."""
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
                yield f"{path.relative_to(TESTS)}:{node.lineno}", node


def says_something(call: ast.Call) -> bool:
    """Tell whether the reason is there and has a word in it; one that is computed is believed."""
    reason = next((word.value for word in call.keywords if word.arg == "match"), None)
    if not isinstance(reason, ast.Constant):
        return reason is not None
    return any(letter.isalnum() for letter in str(reason.value))


def test_every_expected_error_names_its_reason() -> None:
    found = list(expected_errors())
    assert len(found) > 300
    assert [place for place, call in found if not says_something(call)] == []


def test_an_empty_reason_and_one_that_fits_everything_are_none() -> None:
    for text in ("pytest.raises(X)", "pytest.raises(X, match='')", "pytest.raises(X, match='.*')"):
        (call,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        assert not says_something(call)
