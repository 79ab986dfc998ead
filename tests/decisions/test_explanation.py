"""A customer and an auditor are told which behavior stood behind a risk, and always the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import book, explanation, features, notices, replay, routes, scoring
from decisions.decision_log import DecisionLog
from decisions.engine import Action, Freeze
from decisions.explanation import Explainer, counterfactual, of_vintage
from decisions.model_reasons import changed
from decisions.notices import Announcement, Channel, Lender, Topic
from decisions.reason_texts import REFINED, Text, packaged_texts, principal_reasons, refined
from decisions.reasons import Reason
from governance import settings as governance_settings
from governance.errors import IntegrityError, UsageError
from governance.outcome import Outcome
from governance.settings import HOME_VARIABLE
from privacy.feature_table import PSEUDONYM

if TYPE_CHECKING:
    from tests.conftest import World

AS_OF, VINTAGE = date(2005, 10, 1), "2005-10"
LENDER = Lender(name_en="Example Bank", name_zh="示例银行")
FINER = (Text("Bills paid late", "存在逾期还款"), Text("High use", "使用率偏高"))
CUT: dict[str, Any] = {
    "limit_before_minor": 10_000_000,
    "limit_after_minor": 7_000_000,
    "temporary_uplift_minor": 0,
    "uplift_expires_on": None,
    "action": "cut",
}


@pytest.fixture(scope="module")
def decided(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, DecisionLog]]:
    """A copy of the small world with one decided vintage, which no test here changes."""
    home = tmp_path_factory.mktemp("decided") / "home"
    shutil.copytree(world.settings.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        own = replace(world, settings=governance_settings.load())
        table = book.open_table(own.settings, "uci-credit", keyring=own.keyring)
        made = book.decide(
            own.settings, table, keyring=own.keyring, as_of=AS_OF, freeze=Freeze.NOTHING
        )
        yield own, made.log


def rows_of(log: DecisionLog, action: str, reason: Reason) -> list[int]:
    """Return the rows so decided; a test of rows that are not there would pass and say nothing."""
    told = zip(log.read()["action"].to_pylist(), log.read()["reasons"].to_pylist(), strict=True)
    rows = [
        row
        for row, (found, mask) in enumerate(told)
        if found == action and reason in principal_reasons(mask, found)
    ]
    assert len(rows) > 20
    return rows


def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limitline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_a_cut_names_the_behavior_behind_the_risk(decided: tuple[World, DecisionLog]) -> None:
    world, log = decided
    cut = rows_of(log, "cut", Reason.HIGH_RISK)
    for row in cut[:5]:
        found = of_vintage(world.settings, VINTAGE, row)
        told = found["model_reasons"]
        assert told["outcome"] == "PASS"
        assert told["refines"] == "HIGH_RISK"
        assert 1 <= len(told["reasons"]) <= 4
        assert all(reason["origin"] == "model" for reason in told["reasons"])
        assert len({reason["group"] for reason in told["reasons"]}) == len(told["reasons"])
        assert found["counterfactual"]["outcome"] in ("PASS", "INFO")


def test_a_raise_is_not_explained_by_what_raises_a_risk(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    found = of_vintage(world.settings, VINTAGE, rows_of(log, "raise", Reason.LOW_RISK)[0])
    assert found["model_reasons"]["outcome"] == "INFO"
    assert found["model_reasons"]["reasons"] == []
    assert found["counterfactual"] is None
    with pytest.raises(UsageError, match="rows 0 to 1999"):
        of_vintage(world.settings, VINTAGE, 2_000)


def test_the_third_cut_is_found_without_counting_rows(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    kinds = log.read()["action"].to_pylist()
    cuts = [row for row, kind in enumerate(kinds) if kind == "cut"]
    third = of_vintage(world.settings, VINTAGE, 2, kind=Action.CUT)
    assert (third["vintage"], third["row"], third["action"]) == (VINTAGE, cuts[2], "cut")
    assert third == of_vintage(world.settings, VINTAGE, cuts[2])
    with pytest.raises(UsageError, match=f"has {len(cuts)} decisions of the kind cut"):
        of_vintage(world.settings, VINTAGE, len(cuts), kind=Action.CUT)


def test_the_same_decision_is_explained_alike_every_time_and_in_batch(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    row = rows_of(log, "cut", Reason.HIGH_RISK)[3]
    asked = ("explain", "--vintage", VINTAGE, "--row", str(row), "--json")
    first, second = verb(*asked), verb(*asked)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    alone = [item["group"] for item in json.loads(first.stdout)["model_reasons"]["reasons"]]
    together = explanation.of_log(world.settings, log, keyring=world.keyring)
    place = together.customers.to_pylist().index(log.read()[PSEUDONYM][row].as_py())
    groups = together.explainer.groups
    assert [groups[found] for found in together.cited[place] if found >= 0] == alone
    assert len(together.customers) == len(rows_of(log, "cut", Reason.HIGH_RISK))


def test_an_explanation_leaks_no_score_no_value_and_no_pseudonym(
    decided: tuple[World, DecisionLog],
) -> None:
    _, log = decided
    row = rows_of(log, "cut", Reason.HIGH_RISK)[0]
    logged = log.read().slice(row, 1).to_pylist()[0]
    for arguments in (["--json"], ["--language", "zh"], ["--language", "en"]):
        ran = verb("explain", "--vintage", VINTAGE, "--row", str(row), *arguments)
        assert ran.returncode == 0, ran.stderr
        said = ran.stdout + ran.stderr
        assert logged[PSEUDONYM].hex() not in said
        assert f"{logged['default_probability']:.4f}"[1:] not in said
        # Digests, stamps and the place in the log aside, the limits are the only numbers.
        place = rf'{VINTAGE}|--row {row}\b|"row": {row}\b'
        bare = re.sub(rf"[0-9a-f]{{16,64}}|@[0-9.]+|explanation/1|{place}", "", said)
        numbers = set(re.findall(r"\d[\d,.]*\d", bare))
        assert "TWD" in said
        limits = {logged["limit_before_minor"], logged["limit_after_minor"]}
        told = json.loads(ran.stdout) if arguments == ["--json"] else {}
        limits.add((told.get("counterfactual") or {}).get("limit_after_minor", 0))
        known = {str(limit) for limit in limits} | {f"{limit / 100:,.2f}" for limit in limits}
        assert numbers <= known, numbers - known


def test_no_group_is_cited_in_which_a_customer_has_the_best_value_of_all(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    everyone = replay.pin(
        world.settings, log, keyring=world.keyring, pseudonyms=log.read()[PSEUDONYM]
    )
    spec, explainer = everyone.engine.spec, Explainer.of(everyone.engine)
    matrix = scoring.design_matrix(spec, features.compute(spec, everyone.rows))
    signs, cited = np.array(spec.signs), explainer.cited(everyone.rows)
    best = np.where(signs > 0, matrix.min(axis=0), matrix.max(axis=0))
    asked = 0
    for place, group in enumerate(explainer.groups):
        columns = [c for c, name in enumerate(spec.reason_groups) if name == group and signs[c]]
        if columns:
            is_best = (matrix[:, columns] == best[columns]).all(axis=1)
            assert not (cited[is_best] == place).any(), group
            # A group that nobody is cited for would show nothing.
            asked += is_best.any() and (cited == place).any()
    assert asked


def test_what_would_have_helped_helps_when_it_is_decided_again(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    known = {lever.en: lever for lever in packaged_texts().levers}
    told = 0
    for row in rows_of(log, "cut", Reason.HIGH_RISK)[:14]:
        one = log.read().slice(row, 1)
        pinned = replay.pin(world.settings, log, keyring=world.keyring, pseudonyms=one[PSEUDONYM])
        explainer, mask = Explainer.of(pinned.engine), int(one["reasons"][0].as_py())
        found = counterfactual(explainer, pinned, mask, "cut")
        assert found is not None
        levers = [known[change["en"]] for change in found["changes"]]
        if levers:
            told += 1
            again = pinned.decide(changed(pinned.rows, levers))
            assert again["action"][0].as_py() in ("hold", "raise")
            assert again["limit_after_minor"][0].as_py() == found["limit_after_minor"]
            assert found["limit_after_minor"] >= one["limit_before_minor"][0].as_py()
    assert told > 0


def test_a_decision_that_comes_out_differently_is_reported_and_not_explained(
    decided: tuple[World, DecisionLog],
) -> None:
    from decisions import decision_log

    world, log = decided
    row = rows_of(log, "cut", Reason.HIGH_RISK)[0]
    rows = log.read()
    forged = rows["limit_after_minor"].to_pylist()
    forged[row] -= 1
    place = rows.column_names.index("limit_after_minor")
    rows = rows.set_column(place, "limit_after_minor", pa.array(forged, pa.int64()))
    identity = {**log.identity, "vintage": "2005-12"}
    decision_log.write(
        world.settings.decisions / "2005-12", [rows], identity, keyring=world.keyring
    )
    with pytest.raises(IntegrityError, match="comes out differently"):
        of_vintage(world.settings, "2005-12", row)


def test_a_version_without_an_explanation_says_so_and_still_decides(
    decided: tuple[World, DecisionLog], tmp_path: Path
) -> None:
    """The folder is laid out as it was before models explained themselves."""
    world, log = decided
    row = rows_of(log, "cut", Reason.HIGH_RISK)[0]
    one = log.read().slice(row, 1)
    pinned = replay.pin(world.settings, log, keyring=world.keyring, pseudonyms=one[PSEUDONYM])
    shutil.copytree(pinned.engine.verified.folder, tmp_path / "old")
    (tmp_path / "old" / "artifacts" / "explanation.json").unlink()
    verified = replace(pinned.engine.verified, folder=tmp_path / "old")
    engine = book.Engine.of(verified)
    assert replace(pinned, engine=engine).decide().equals(pinned.decide())
    explainer, mask = Explainer.of(engine), int(one["reasons"][0].as_py())
    told = explainer.reasons(pinned.rows, mask, "cut")
    assert told["outcome"] == "INCONCLUSIVE"
    assert "without explanation.json" in told["reason"]
    assert "未附explanation.json" in told["reason_zh"]
    undone = counterfactual(explainer, pinned, mask, "cut")
    assert undone is not None
    assert (undone["outcome"], undone["changes"]) == ("INCONCLUSIVE", [])
    assert explainer.told([0], mask, "cut") == ()


def test_policy_and_model_together_give_at_most_four_reasons(
    decided: tuple[World, DecisionLog],
) -> None:
    world, log = decided
    explainer = Explainer.of(replay.pinned_engine(world.settings, log))
    everything = list(range(len(explainer.groups)))[:4]
    for extra in range(1 << 7):
        masks = [reason for place, reason in enumerate(LOWERING_BITS) if extra >> place & 1]
        mask = int(sum(masks))
        policy = principal_reasons(mask, "cut")
        told = explainer.told(everything, mask, "cut")
        assert bool(told) == any(reason in REFINED for reason in policy)
        assert len(policy) - 1 + len(told) <= 4 or len(told) == 1
        if Reason.EARLY_WARNING in policy:
            assert "近几个月存在逾期还款" not in [text.zh for text in told]


LOWERING_BITS = (
    Reason.HIGH_RISK,
    Reason.EARLY_WARNING,
    Reason.PROBABILITY_JUMP,
    Reason.PAYMENT_STRESS,
    Reason.BUSINESS_SOUNDNESS,
    Reason.AFFORDABILITY,
    Reason.MACRO_REGIME,
)


def texts(mask: Reason, finer: tuple[Text, ...], language: str = "zh") -> dict[Channel, str]:
    row = {**CUT, "reasons": int(mask), "model_texts": finer}
    said = Announcement(lender=LENDER, language=language, on=date(2026, 2, 10))
    written = notices.write(row, said, currency="CNY")
    return {notice.channel: notice.text for notice in written if notice.topic is Topic.CUT}


def test_the_notice_of_a_cut_is_as_it_was_reviewed() -> None:
    told = texts(Reason.HIGH_RISK | Reason.MACRO_REGIME, FINER)
    assert told[Channel.SMS] == (
        "【示例银行】自2026年02月10日起,您的额度由100,000元调整为70,000元。"
        "主要原因:存在逾期还款;使用率偏高。如有异议,可登录App或致电客服申请人工复核。"
    )
    assert told[Channel.APP] == (
        "【示例银行】自2026年02月10日起,您的额度由100,000元调整为70,000元。主要原因——"
        "您的还款风险评估:综合信用评估风险上升(存在逾期还款、使用率偏高)。"
        "本机构的整体额度调整:宏观经济形势调整。如有异议,可登录App或致电客服申请人工复核。"
    )
    english = texts(Reason.HIGH_RISK, FINER, "en")
    assert "Main reasons: Bills paid late; High use. If" in english[Channel.SMS]
    assert "Raised assessed repayment risk (Bills paid late, High use)" in english[Channel.APP]


def test_a_jump_is_still_called_one_and_a_bare_risk_still_has_its_words() -> None:
    jump = texts(Reason.PROBABILITY_JUMP, FINER)[Channel.SMS]
    assert "主要原因:信用风险短期内明显上升;存在逾期还款。" in jump
    assert "主要原因:综合信用评估风险上升。" in texts(Reason.HIGH_RISK, ())[Channel.SMS]


def test_only_a_risk_that_cut_or_withheld_is_refined() -> None:
    assert refined(Reason.HIGH_RISK | Reason.PROBABILITY_JUMP, "cut") is Reason.HIGH_RISK
    assert refined(Reason.PROBABILITY_JUMP, "cut") is Reason.PROBABILITY_JUMP
    assert refined(Reason.HIGH_RISK, "hold") is Reason.HIGH_RISK
    assert refined(Reason.HIGH_RISK, "review") is None
    assert refined(Reason.LOW_RISK | Reason.HIGH_RISK, "raise") is None


def test_the_notices_of_a_vintage_say_why_and_nothing_that_is_nobodys_business(
    decided: tuple[World, DecisionLog], tmp_path: Path
) -> None:
    world, log = decided
    path = tmp_path / "notices.jsonl"
    ran = verb("notify", "--vintage", VINTAGE, "--on", "2005-10-02", "--to", str(path), "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    cuts = rows_of(log, "cut", Reason.HIGH_RISK)
    assert document["model_reasons"] == {"outcome": "PASS", "reason": ""}
    assert document["explained_by_model"] == len(cuts)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    app = [x["text"] for x in lines if x["channel"] == "app" and "主要原因" in x["text"]]
    assert sum("综合信用评估风险上升(" in text for text in app) == len(cuts)
    rows = log.read()
    secret = {value.hex() for value in rows[PSEUDONYM].to_pylist()}
    secret |= {f"{value:.6f}" for value in rows["default_probability"].to_pylist()}
    money = {
        f"{value // 100:,}"
        for name in ("limit_before_minor", "limit_after_minor")
        for value in rows[name].to_pylist()
    }
    for line in lines:
        assert not any(word in line["text"] for word in secret)
        bare = re.sub(r"\d{4}年\d{2}月\d{2}日", "", line["text"])
        assert set(re.findall(r"\d[\d,.]*", bare)) <= money
        assert line["text"].count(";") <= 1 or line["channel"] == "app"
    announcement = Announcement(lender=LENDER, language="zh", on=AS_OF)
    new, reasons = notices.queue(
        world.settings,
        VINTAGE,
        announcement,
        keyring=world.keyring,
        routes=[routes.File(path=path)],
    )
    assert (new, len(reasons.customers), reasons.outcome) == (0, len(cuts), Outcome.PASS)
