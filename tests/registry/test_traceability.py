"""The list of JR/T 0221-2021: every item is there, with its place, and nothing is made up."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from governance.settings import Settings
from registry import evidence, traceability
from registry.evidence import write_pack
from registry.record import Record
from registry.signing import Signer
from registry.submission import CandidateFiles, RunFacts, submit
from tests.registry.conftest import DAY, LINEAGE

SEEN = {"started_at": "2026-01-05T08:00:00+00:00", "data_storage_medium": "ext4 on /dev/disk1"}


def test_a_run_at_another_time_is_the_same_candidate_and_the_first_time_stays_signed(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    developer = Signer.open(empty_home.keyring, "developer")
    files, facts = candidate(), RunFacts(run_name="run", observed=SEEN)
    later = replace(facts, observed={**SEEN, "started_at": "2026-02-05T08:00:00+00:00"})
    first, again = (
        submit(files, told, LINEAGE, settings=empty_home, signer=developer)
        for told in (facts, later)
    )
    signed = Record.load(empty_home).manifest(first.version).statement.predicate["observed"]

    assert (first.is_new, again.is_new) == (True, False)
    assert first.version == again.version
    assert signed == {**SEEN, "operator_key_id": developer.key_id}


def test_the_key_that_signed_cannot_be_told_otherwise(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    developer = Signer.open(empty_home.keyring, "developer")
    facts = RunFacts(run_name="run", observed={"operator_key_id": "somebody else"})
    made = submit(candidate(), facts, LINEAGE, settings=empty_home, signer=developer)
    signed = Record.load(empty_home).manifest(made.version).statement.predicate["observed"]

    assert signed["operator_key_id"] == developer.key_id


def test_every_item_is_listed_and_what_nobody_recorded_is_not_invented(champion: Settings) -> None:
    answers = traceability.of(Record.load(champion), 1)
    by_name = {answer.name: answer for answer in answers}

    items = traceability.MODELING + traceability.DEPLOYMENT
    assert [item for item in items if item not in {a.item for a in answers}] == []
    assert by_name["data_digest"].where == traceability.LINEAGE
    assert by_name["data_digest"].value == LINEAGE["data_digest"]
    for name in ("data_acquired_at", "data_storage_medium", "deployment_environment"):
        assert (by_name[name].where, by_name[name].value) == ("not recorded", None)
    assert by_name["deployed_on"].value == DAY.isoformat()
    assert by_name["deployed_by"].value == (
        "Business approver (simulated), Risk approver (simulated)"
    )


def test_a_fact_that_applies_to_some_candidates_is_listed_where_it_stands_and_is_no_gap() -> None:
    told = {"data_rows": "900", "data_customers": "300", "labels_awaited": "12"}
    with_them = traceability.trace(traceability.MODELING, {"lineage": told})
    without = traceability.trace(traceability.MODELING, {"lineage": {"data_rows": "900"}})
    found = {answer.name: answer for answer in with_them}
    assert (found["data_customers"].value, found["data_customers"].where) == ("300", "lineage")
    assert found["data_customers"].item.asked == "Data: volume"
    assert (found["labels_awaited"].value, found["labels_awaited"].item.asked) == (
        *("12", "Data: sampling"),
    )
    assert {"data_customers", "labels_awaited"}.isdisjoint(answer.name for answer in without)


def test_a_version_that_never_went_live_has_no_deployer(home: Settings) -> None:
    answers = {answer.name: answer for answer in traceability.of(Record.load(home), 1)}

    assert answers["deployed_by"].value is None


def test_verify_prints_the_list_and_the_pack_holds_it(champion: Settings, tmp_path: Path) -> None:
    text = StringIO()
    document = evidence.verify_home(champion)
    evidence.render(document, Console(file=text, width=200))
    write_pack(champion, tmp_path / "pack.zip", on=DAY)
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        page = pack.read("traceability/version-1.md").decode()

    for line in (
        "| Data: checksum | 数据:校验值 | data_digest | manifest: lineage |",
        "| Data: storage medium | 数据:存储介质标识 | data_storage_medium | not recorded |",
    ):
        assert line in page
    assert "Data: storage medium" in text.getvalue()
    assert "Nothing was judged or measured again" in text.getvalue()
    rows = document["traceability"]["1"]
    assert {"item", "item_zh", "fact", "where", "value", "remark"} == set(rows[0])


def test_a_line_break_in_a_fact_does_not_break_the_page(home: Settings) -> None:
    record = Record.load(home)
    said = record.history.manifests["credit-limit@1"]["statement"]["predicate"]
    said["observed"] = {"data_source": "a | b\nc"}

    assert "a \\| b c |" in traceability.as_markdown(record, 1)
