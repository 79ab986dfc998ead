"""The same facts are the same bytes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from governance import canonical

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Color(StrEnum):
    RED = "red"


def test_one_document_byte_for_byte() -> None:
    document = {
        "b": [1, 0.1, None, True],
        "a": "额度",
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, 8, tzinfo=timezone(timedelta(hours=8))),
        "bytes": b"\x00\xff",
        "enum": Color.RED,
        "set": {"y", "x"},
    }
    expected = (
        '{"a":"额度","at":"2026-01-02T00:00:00.000000+00:00","b":[1,"0.1",null,true],'
        '"bytes":"00ff","day":"2026-01-02","enum":"red","set":["x","y"]}'
    )
    assert canonical.dumps(document) == expected.encode()


@given(values)
def test_canonical_json_is_json_and_a_fixed_point(value: object) -> None:
    once = canonical.dumps(value)
    assert canonical.dumps(json.loads(once)) == once


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_insertion_does_not_matter(value: dict[str, int]) -> None:
    assert canonical.digest(value) == canonical.digest(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime(2026, 1, 1), object()])  # noqa: DTZ001
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError), match="canonical form"):
        canonical.dumps([value])


def test_a_time_is_the_same_in_every_zone() -> None:
    utc = datetime(2026, 1, 2, tzinfo=UTC)
    assert canonical.digest(utc) == canonical.digest(utc.astimezone(timezone(timedelta(hours=8))))


class Declared(BaseModel):
    """A file that grew a field after the first digests were signed."""

    later_fields: ClassVar[frozenset[str]] = frozenset({"younger"})

    schema_: str = Field(default="x/1", alias="schema")
    size: int = 7
    younger: int = 0


def test_only_a_field_that_came_later_is_left_out_at_its_default() -> None:
    assert canonical.plain(Declared()) == {"schema": "x/1", "size": 7}
    assert canonical.plain(Declared(younger=1)) == {"schema": "x/1", "size": 7, "younger": 1}


def test_twelve_digits_count_and_the_thirteenth_does_not() -> None:
    assert canonical.digest(0.1 + 0.2) == canonical.digest(0.3)
    assert canonical.dumps(1.23456789012) != canonical.dumps(1.23456789013)
    assert canonical.dumps(1.234567890123) == canonical.dumps(1.234567890124)
