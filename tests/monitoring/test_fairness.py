"""Groups are compared with one fixed group, and small groups are never judged."""

from __future__ import annotations

import pandas as pd
import pytest

from governance.counts import Counts
from governance.errors import IntegrityError
from governance.measurement import Measurement
from governance.measures.intervals import mover_ratio
from governance.outcome import Outcome
from monitoring import fairness


def _audit(cells: dict[tuple[str, str, str], int | None]) -> dict[tuple[str, str], Measurement]:
    counts = Counts.from_rows(
        {"group": g, "action": a, "outcome": o, "n": n} for (g, a, o), n in cells.items()
    )
    measured = fairness.audit(counts, attribute="sex", reference_group="female")
    return {(m.measure, m.scope.get("group", "")): m for m in measured}


BOOK: dict[tuple[str, str, str], int | None] = {
    ("female", "raise", "good"): 400,
    ("female", "hold", "good"): 400,
    ("female", "cut", "good"): 100,
    ("female", "cut", "bad"): 100,
    ("male", "raise", "good"): 200,
    ("male", "hold", "good"): 500,
    ("male", "cut", "good"): 200,
    ("male", "review", "bad"): 100,
}


def test_ratios_are_group_over_reference_and_the_reference_has_none() -> None:
    found = _audit(BOOK)
    assert found["fairness.raise_ratio", "male"].value == pytest.approx(0.5)
    assert found["fairness.approve_ratio", "male"].value == pytest.approx(0.7 / 0.8)
    assert found["fairness.cut_ratio", "male"].value == pytest.approx(1.0)
    assert found["fairness.good_cut_ratio", "male"].value == pytest.approx((2 / 9) / (1 / 9))
    assert ("fairness.raise_ratio", "female") not in found


@pytest.mark.parametrize("group", ["male", "female"])
def test_fewer_than_a_hundred_customers_on_either_side_cannot_tell(group: str) -> None:
    small = {key: 20 if key[0] == group else n for key, n in BOOK.items()}
    ratio = _audit(small)["fairness.raise_ratio", "male"]
    assert (ratio.outcome, ratio.value) == (Outcome.INCONCLUSIVE, None)


def test_fewer_than_ten_events_cannot_tell_only_where_no_more_are_expected() -> None:
    rare = {**BOOK, ("male", "raise", "good"): 9, ("female", "raise", "good"): 9}
    assert _audit(rare)["fairness.raise_ratio", "male"].outcome is Outcome.INCONCLUSIVE
    # Four in ten women are raised: nine of eight hundred men are no lack of data.
    found = _audit({**BOOK, ("male", "raise", "good"): 9})
    assert found["fairness.raise_ratio", "male"].value == pytest.approx(9 / 809 / 0.4)
    assert found["fairness.approve_ratio", "male"].outcome is Outcome.INFO


def test_a_withheld_cell_is_unknown_and_not_zero() -> None:
    found = _audit({**BOOK, ("male", "review", "bad"): None})
    assert found["fairness.raise_ratio", "male"].value is None
    assert found["fairness.raise_ratio", "male"].outcome is Outcome.INCONCLUSIVE
    # Cuts of good customers do not need the withheld cell of bad ones.
    assert found["fairness.good_cut_ratio", "male"].value == pytest.approx(2.0)


def test_a_group_without_good_customers_has_no_rate_instead_of_a_perfect_one() -> None:
    found = _audit({**BOOK, ("unknown", "hold", "bad"): 500})
    rate = found["fairness.good_cut_rate", "unknown"]
    assert (rate.value, rate.outcome) == (None, Outcome.INCONCLUSIVE)


def test_a_reference_group_that_does_not_occur_cannot_tell() -> None:
    counts = Counts.from_rows([{"group": "a", "action": "raise", "outcome": "good", "n": 500}])
    measured = fairness.audit(counts, attribute="sex", reference_group="b")
    ratios = [m for m in measured if m.measure.endswith("_ratio")]
    assert {m.outcome for m in ratios} == {Outcome.INCONCLUSIVE}


def test_two_answers_for_one_rate_are_an_integrity_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = pd.DataFrame({key: {"female": 0.4, "male": 0.4} for key in ("approve", "raise", "cut")})
    monkeypatch.setattr(fairness, "by_group", lambda *_: wrong)
    with pytest.raises(IntegrityError, match="another approve rate"):
        _audit(BOOK)


def test_cuts_of_good_customers_need_outcomes_of_either_group() -> None:
    """95 % are enough, one fewer is not; what does not use outcomes is measured all the same."""
    held = ("male", "hold", "pending")
    known = sum(n or 0 for key, n in BOOK.items() if key[0] == "male")
    assert known == 1_000
    enough = _audit({**BOOK, ("male", "hold", "good"): 450, held: 50})
    assert enough["fairness.good_cut_ratio", "male"].value == pytest.approx((200 / 850) / (1 / 9))
    short = _audit({**BOOK, ("male", "hold", "good"): 449, held: 51})
    assert short["fairness.good_cut_ratio", "male"].outcome is Outcome.INCONCLUSIVE
    assert "94.9%" in short["fairness.good_cut_ratio", "male"].reason
    assert short["fairness.good_cut_rate", "male"].value is None
    assert short["fairness.good_cut_rate", "female"].value is not None
    assert short["fairness.cut_ratio", "male"].value is not None


def test_a_withheld_number_of_pending_decisions_is_not_taken_for_none() -> None:
    found = _audit({**BOOK, ("male", "hold", "pending"): None})
    assert found["fairness.good_cut_ratio", "male"].outcome is Outcome.INCONCLUSIVE
    assert "pending is withheld" in found["fairness.good_cut_ratio", "male"].reason


def test_an_interval_of_many_events_is_left_as_it_was_measured() -> None:
    found = _audit(BOOK)["fairness.cut_ratio", "male"]
    assert (found.low, found.high) == mover_ratio(200, 1000, 200, 1000)


def test_an_interval_of_few_events_reaches_equality_unless_chance_is_ruled_out() -> None:
    def ratio(events: int) -> Measurement:
        scope = {"attribute": "sex", "group": "b"}
        return fairness.measure_ratio("cut", scope, (events, 200), (250, 5_000), "a")

    by_chance, beyond = mover_ratio(22, 200, 250, 5_000), mover_ratio(40, 200, 250, 5_000)
    assert by_chance is not None
    assert (by_chance.low or 0) > 1.25
    assert (ratio(22).low, ratio(22).high) == (1.0, by_chance.high)
    assert "chance reaches to 1" in ratio(22).reason
    assert (ratio(40).low, ratio(40).high) == beyond


def test_from_two_hundred_expected_events_on_an_interval_is_left_as_it_was_measured() -> None:
    """Both exclude equality, and neither is surer than chance within a year of audits."""
    scope = {"attribute": "sex", "group": "b"}
    enough = fairness.measure_ratio("cut", scope, (172, 1_000), (228, 1_000), "a")
    assert (enough.low, enough.high) == mover_ratio(172, 1_000, 228, 1_000)
    assert (enough.high or 1) < 1
    fewer = fairness.measure_ratio("cut", scope, (171, 1_000), (228, 1_000), "a")
    assert fewer.high == 1.0
