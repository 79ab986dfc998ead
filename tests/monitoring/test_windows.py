"""A watch plan says what is judged from when on, and refuses to be unclear."""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa
import pytest

from governance.errors import ContractError
from governance.evidence import Severity
from monitoring.windows import WatchPlan, read_plan

PLAN = """
schema = "watch-plan/1"
id = "p"
version = "1"
title = "t"
contract = "c"
appetite = "uci_demo"
owner = "o"
grace_days = 3
performance_days = 31
tolerance = 0.01
judged = ["paid"]
[severities]
"drift." = "severe"
[[windows]]
name = "first"
title = "First"
ends_on = 2005-04-30
columns = { paid = "pay1 / 2" }
[[windows]]
name = "second"
title = "Second"
ends_on = 2005-05-31
columns = { paid = "pay2 / 2" }
"""


def test_a_window_is_a_view_of_the_table() -> None:
    plan = WatchPlan.parse(PLAN)
    view = plan.windows[1].view(pa.table({"pay1": [2.0], "pay2": [8.0]}))
    assert view.to_pydict() == {"paid": [4.0]}


def test_a_window_is_due_after_its_grace_and_a_decision_after_its_outcome() -> None:
    plan = WatchPlan.parse(PLAN)
    assert plan.due_on(plan.windows[0]) == date(2005, 5, 3)
    assert plan.matured_on(date(2005, 10, 1)) == date(2005, 11, 1)
    assert plan.before(plan.windows[0]) is None
    assert plan.before(plan.windows[1]) is plan.windows[0]


def test_severity_follows_the_start_of_the_measure() -> None:
    plan = WatchPlan.parse(PLAN)
    assert plan.severity("drift.stability_index") is Severity.SEVERE
    assert plan.severity("fairness.cut_ratio") is Severity.MEDIUM


@pytest.mark.parametrize(
    ("wrong", "right", "why"),
    [
        ("ends_on = 2005-05-31", "ends_on = 2005-04-01", "second does not end after first"),
        ("ends_on = 2005-05-31", "ends_on = 2005-04-30", "second does not end after first"),
        ('judged = ["paid"]', 'judged = ["nothing"]', "nothing is judged but in no window"),
        ('name = "second"', 'name = "../second"', "windows.1.name"),
        ('name = "second"', 'name = "first"', "first is named twice"),
        ("grace_days = 3", "grace_days = -1", "grace_days"),
        ("performance_days = 31", "performance_days = 0", "performance_days"),
    ],
)
def test_an_unclear_plan_is_refused_for_its_reason(wrong: str, right: str, why: str) -> None:
    with pytest.raises(ContractError, match=re.escape(why)):
        WatchPlan.parse(PLAN.replace(wrong, right))


def test_a_window_may_end_the_day_after_the_one_before() -> None:
    plan = WatchPlan.parse(PLAN.replace("ends_on = 2005-05-31", "ends_on = 2005-05-01"))
    assert plan.windows[1].ends_on == date(2005, 5, 1)


def test_the_packaged_plan_has_the_six_statements_and_is_due_by_the_first_of_october() -> None:
    plan = read_plan(None)
    assert [window.name for window in plan.windows] == [f"2005-{m:02}" for m in range(4, 10)]
    assert plan.judged == ("repayment_status",)
    assert plan.due_on(plan.windows[-1]) <= date(2005, 10, 1)
