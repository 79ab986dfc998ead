"""A customer is told why, until when and whom to ask, and nothing that is nobody's business."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions import explanation, notices, reason_texts
from decisions.notices import Announcement, Channel, Lender, Topic
from decisions.plan import Moment
from decisions.policy import LimitPolicy, packaged
from decisions.reasons import LOWERING, Origin, Reason
from governance.errors import ContractError, UsageError

if TYPE_CHECKING:
    from tests.conftest import World

LENDER = Lender(name_en="Example Bank", name_zh="示例银行")
ON = date(2026, 2, 10)
CUT: dict[str, Any] = {
    "limit_before_minor": 10_000_000,
    "limit_after_minor": 7_000_000,
    "temporary_uplift_minor": 0,
    "uplift_expires_on": None,
    "action": "cut",
    "reasons": int(
        Reason.LOW_RISK | Reason.PAYMENT_STRESS | Reason.AFFORDABILITY | Reason.MACRO_REGIME
    ),
}
RAISE = CUT | {"limit_after_minor": 13_000_000, "action": "raise", "reasons": int(Reason.LOW_RISK)}
SEASON = RAISE | {"temporary_uplift_minor": 2_600_000, "uplift_expires_on": date(2026, 3, 20)}


def announcement(language: str) -> Announcement:
    return Announcement(lender=LENDER, language=language, on=ON)


def texts(decided: dict[str, object], language: str = "zh") -> dict[tuple[Topic, Channel], str]:
    written = notices.write(decided, announcement(language), currency="CNY")
    return {(notice.topic, notice.channel): notice.text for notice in written}


def test_a_cut_says_what_why_and_whom_to_ask() -> None:
    assert texts(CUT)[Topic.CUT, Channel.SMS] == (
        "【示例银行】自2026年02月10日起,您的额度由100,000元调整为70,000元。"
        "主要原因:额度使用率过高且还款比例偏低;收入与现有负债水平。"
        "如有异议,可登录App或致电客服申请人工复核。"
    )
    english = texts(CUT, "en")[Topic.CUT, Channel.SMS]
    assert "CNY 70,000 instead of 100,000" in english
    assert "review by a person" in english


@pytest.mark.parametrize(
    ("currency", "language", "said"),
    [
        ("CNY", "zh", "由100,000元调整为21,590.07元"),
        ("TWD", "zh", "由100,000元调整为21,590.07元"),
        ("USD", "zh", "由USD 100,000调整为USD 21,590.07"),
        ("USD", "en", "USD 21,590.07 instead of 100,000"),
    ],
)
def test_an_amount_is_told_to_the_cent_and_in_its_currency(
    currency: str, language: str, said: str
) -> None:
    """A limit that was kept at the balance is no round sum, and 元 is not every currency."""
    kept = CUT | {"limit_after_minor": 2_159_007}
    written = notices.write(kept, announcement(language), currency=currency)
    assert all(said in notice.text for notice in written)


def test_the_app_splits_the_reasons_of_a_cut_by_where_they_come_from() -> None:
    english = texts(CUT, "en")[Topic.CUT, Channel.APP]
    assert "your repayment risk as assessed: Nearly the whole limit is used" in english
    assert "a bound that holds for everybody: Income and present debts" in english
    assert "an adjustment by the lender: The lender's view of the economy" in english
    assert reason_texts.origins(int(CUT["reasons"]))[Origin.POLICY_CAP] == [Reason.AFFORDABILITY]


@pytest.mark.parametrize(("language", "expiry"), [("zh", "2026年03月20日"), ("en", "2026-03-20")])
def test_a_seasonal_notice_states_the_expiry(language: str, expiry: str) -> None:
    said = texts(SEASON, language)
    assert set(said) == set(itertools.product((Topic.RAISE, Topic.UPLIFT), Channel))
    assert all(expiry in said[Topic.UPLIFT, channel] for channel in Channel)


def test_an_uplift_without_expiry_and_a_cut_without_reason_are_not_announced() -> None:
    with pytest.raises(ContractError, match="without an expiry"):
        texts(SEASON | {"uplift_expires_on": None})
    with pytest.raises(ContractError, match="without a reason"):
        texts(CUT | {"reasons": int(Reason.LOW_RISK)})


def test_an_uplift_that_has_ended_is_not_announced() -> None:
    with pytest.raises(UsageError, match="cannot be announced from"):
        texts(SEASON | {"uplift_expires_on": ON - timedelta(days=1)})
    assert texts(SEASON | {"uplift_expires_on": ON})


def test_a_hold_and_a_review_announce_nothing() -> None:
    assert texts(CUT | {"action": "hold"}) == texts(CUT | {"action": "review"}) == {}


@given(
    st.integers(0, 2**28 - 1).filter(lambda mask: any(mask & reason for reason in LOWERING)),
    st.sampled_from(["zh", "en"]),
)
def test_no_text_holds_a_score_a_code_or_an_identifier(mask: int, language: str) -> None:
    decided = SEASON | {"limit_after_minor": 7_000_000, "action": "cut", "reasons": mask}
    for text in texts(decided, language).values():
        assert not re.search(r"probab|score|band|概率|评分|分数|\d{11}|0\.\d|[A-Z]+_[A-Z]+", text)
        assert (
            text.count("人工") + text.count("person") + text.count("temporary") + text.count("临时")
        )


@given(st.integers(0, 2**28 - 1), st.sampled_from(["cut", "raise", "hold", "review"]))
def test_at_most_four_reasons_are_told_and_each_was_noted(mask: int, action: str) -> None:
    told = reason_texts.principal_reasons(mask, action)
    assert len(told) <= 4
    assert all(mask & reason for reason in told)
    if action == "cut":
        assert set(told) <= set(LOWERING)


def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limitline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_a_vintage_is_announced_and_explained(own_world: World, tmp_path: Path) -> None:
    decided = verb("decide", "--as-of", "2005-10-01", "--json")
    counts = json.loads(decided.stdout)["counts"]["actions"]
    path = tmp_path / "notices.jsonl"
    early = verb("notify", "--vintage", "2005-10", "--on", "2005-09-30", "--to", str(path))
    assert early.returncode == 2
    assert "lies before the day of the decisions" in early.stderr
    foreign = verb("notify", "--vintage", "2005-10", "--language", "fr", "--to", str(path))
    assert foreign.returncode == 2
    assert not path.exists()
    arguments = ["--vintage", "2005-10", "--on", "2005-10-02", "--to", str(path), "--json"]
    first = verb("notify", *arguments)
    assert first.returncode == 0, first.stderr
    announced = json.loads(first.stdout)
    assert announced["delivered"] == 2 * (counts["raise"] + counts["cut"])
    assert json.loads(verb("notify", *arguments).stdout)["queued"] == 0
    explained = verb("explain", "--vintage", "2005-10", "--row", "3", "--json")
    assert explained.returncode == 0, explained.stderr
    assert json.loads(explained.stdout)["schema"] == "explanation/1"
    assert "default_probability" not in explained.stdout
    assert verb("explain", "--vintage", "2005-10", "--row", "2000").returncode == 2


def test_an_explanation_names_the_stages_that_moved_the_limit() -> None:
    import pyarrow as pa

    from decisions import policy_cases as cases

    policy = LimitPolicy.parse(packaged("consumer_sme"))
    row = cases.plain(policy) | {"months_delinquent": 2}
    one = pa.RecordBatch.from_pylist([row], schema=cases.schema(policy))
    found = explanation.explain(policy, one, Moment(as_of=date(2026, 4, 1)))
    assert found["action"] == "cut"
    assert [reason["code"] for reason in found["reasons"]] == ["EARLY_WARNING"]
    assert [move["stage"] for move in found["stages"]] == ["matrix", "early_warning"]
    with pytest.raises(UsageError, match="One decision"):
        explanation.explain(policy, one.slice(0, 0), Moment(as_of=date(2026, 4, 1)))
