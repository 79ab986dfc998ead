from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.outcome import Outcome
from training.lift import measure_lift


def test_the_table_is_as_worked_by_hand() -> None:
    # Ten customers, four defaults: three among the riskier five, one among the safer five.
    labels = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
    told = np.linspace(0.9, 0.1, 10)
    ratio, captured, second, whole = measure_lift(labels, told, parts=2)
    assert ratio.value == pytest.approx((3 / 5) / 0.4)
    assert captured.value == pytest.approx(3 / 4)
    assert second.value == pytest.approx((1 / 5) / 0.4)
    assert whole.value == 1.0
    assert (ratio.n, captured.n) == (5, 4)
    # Wilson's interval of 3 in 5 is 0.2307 to 0.8824.
    assert ratio.low == pytest.approx(0.2307 / 0.4, abs=1e-3)
    assert ratio.high == pytest.approx(0.8824 / 0.4, abs=1e-3)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=10, max_size=80))
def test_the_parts_add_up_to_the_whole(rows: list[tuple[int, int]]) -> None:
    labels, told = (np.array(part) for part in zip(*rows, strict=True))
    table = measure_lift(labels, told / 10)
    if len(np.unique(labels)) < 2:
        assert [found.outcome for found in table] == [Outcome.INCONCLUSIVE]
        return
    ratios, captured = table[::2], table[1::2]
    assert sum(found.n for found in ratios) == len(labels)
    mean = sum(found.value * found.n for found in ratios) / len(labels)  # type: ignore[operator]
    assert mean == pytest.approx(1.0)
    shares = [found.value for found in captured]
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert shares[-1] == 1.0


def test_too_few_customers_are_inconclusive() -> None:
    (found,) = measure_lift(np.array([0, 1]), np.array([0.1, 0.9]))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "fewer than 10" in found.reason
