"""A misjudgment rate is a number only when the labels can carry it."""

from __future__ import annotations

import pytest

from governance.counts import Counts
from governance.outcome import Outcome
from monitoring.misjudgment import measure_misjudgment


def _counts(*cells: tuple[str, str, int | None]) -> Counts:
    return Counts.from_rows({"action": a, "outcome": o, "n": n} for a, o, n in cells)


def test_labels_that_arrived_so_far_never_become_a_rate() -> None:
    early = _counts(("raise", "bad", 40), ("raise", "pending", 960), ("cut", "pending", 500))
    found = {m.measure: m for m in measure_misjudgment(early)}
    assert {m.value for m in found.values()} == {None}
    raised = found["misjudgment.bad_share_of_raised"]
    assert raised.outcome is Outcome.INCONCLUSIVE
    assert "2.7%" in raised.reason
    assert "40 matured, 1460 pending" in raised.reason


def test_a_few_pending_labels_do_not_silence_a_matured_vintage() -> None:
    counts = _counts(("cut", "good", 30), ("hold", "good", 960), ("hold", "pending", 10))
    found = {m.measure: m for m in measure_misjudgment(counts, scope={"vintage": "2005-09"})}
    rate = found["misjudgment.good_cut"]
    assert rate.value == pytest.approx(30 / 990)
    assert rate.outcome is Outcome.INFO
    assert rate.scope == {"vintage": "2005-09"}
    assert rate.reason == "30 of 990; 990 matured, 10 pending"


@pytest.mark.parametrize(
    ("known", "pending", "is_told"),
    [(95, 5, True), (94, 6, False), (949, 51, False), (19, 1, True)],
)
def test_ninety_five_percent_of_the_outcomes_are_enough_and_one_fewer_is_not(
    known: int, pending: int, *, is_told: bool
) -> None:
    counts = _counts(("cut", "good", known), ("hold", "pending", pending))
    found = {m.measure: m for m in measure_misjudgment(counts)}["misjudgment.good_cut"]
    assert (found.value is not None) is is_told
    assert (found.outcome is Outcome.INFO) is is_told


def test_a_withheld_number_of_pending_decisions_is_not_taken_for_none() -> None:
    counts = _counts(("cut", "good", 900), ("hold", "pending", None))
    found = {m.measure: m for m in measure_misjudgment(counts)}["misjudgment.good_cut"]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "pending is withheld" in found.reason


def test_nobody_raised_is_undefined_and_not_zero() -> None:
    found = {m.measure: m for m in measure_misjudgment(_counts(("hold", "good", 900)))}
    rate = found["misjudgment.bad_share_of_raised"]
    assert (rate.value, rate.outcome) == (None, Outcome.INCONCLUSIVE)
    assert found["misjudgment.good_cut"].value == 0.0


def test_a_withheld_cell_silences_the_rates_that_need_it() -> None:
    counts = _counts(("cut", "good", None), ("hold", "good", 900), ("raise", "bad", 10))
    found = {m.measure: m for m in measure_misjudgment(counts)}
    assert found["misjudgment.good_cut"].outcome is Outcome.INCONCLUSIVE
    assert found["misjudgment.good_cut"].value is None


def test_reviews_count_among_the_good_but_are_no_cut() -> None:
    counts = _counts(("review", "good", 50), ("cut", "good", 50))
    found = {m.measure: m.value for m in measure_misjudgment(counts)}
    assert found["misjudgment.good_cut"] == 0.5


def test_the_money_of_a_handful_of_customers_is_withheld() -> None:
    cells = [
        {"action": "raise", "outcome": "bad", "n": 9, "amount_minor": 123_456},
        {"action": "cut", "outcome": "good", "n": 10, "amount_minor": 1_000},
    ]
    found = {
        item.measure: item
        for item in measure_misjudgment(Counts.from_rows(cells, ("n", "amount_minor")))
    }
    withheld = found["misjudgment.wrong_raise"]
    assert withheld.value is None
    assert "123456" not in withheld.model_dump_json()
    assert found["misjudgment.wrong_cut"].value == 1_000.0
