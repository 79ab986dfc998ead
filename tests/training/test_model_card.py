from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from governance.settings import HOME_VARIABLE
from limitline.commands import app
from privacy.gate import FILE_TIME
from registry import traceability
from registry.record import Record
from training import lineage, model_card
from training.model_card import LANGUAGES, CardFacts, texts

FILES = {
    f"{name}.{language}.md"
    for name in ("model_card", "technical_file")
    for language in ("en", "zh")
}


@pytest.fixture(scope="module")
def facts(world: Any) -> CardFacts:
    folder = world.made.version.folder / "artifacts"
    return CardFacts(
        spec=FeatureSpec.load(folder / "features.toml"),
        policy=LimitPolicy.load(folder / "limit_policy.toml"),
        metadata=json.loads((folder / "limitline.json").read_bytes()),
    )


@pytest.fixture(scope="module")
def written(facts: CardFacts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = model_card.write(tmp_path_factory.mktemp("documents"), facts)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_run_and_the_verb_write_the_same_documents(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(world.home.home))
    version = str(world.made.version.version)
    ran = CliRunner().invoke(
        app, ["document", "--version", version, "--output", str(tmp_path), "--json"]
    )
    assert ran.exit_code == 0, ran.output
    assert set(json.loads(ran.stdout)["files"]) == FILES
    for name in FILES:
        logged = list(world.home.mlflow_artifacts.glob(f"{world.made.version.run_id}/**/{name}"))
        assert len(logged) == 1, name
        assert logged[0].read_bytes() == (tmp_path / name).read_bytes()


def numbers_in(fact: object) -> Iterator[float]:
    """Yield every number of a fact, those that stand in its sentences included."""
    if isinstance(fact, Mapping):
        for value in fact.values():
            yield from numbers_in(value)
    elif isinstance(fact, str):
        yield from (float(number) for number in re.findall(NUMBER, fact))
    elif isinstance(fact, int | float):
        yield float(fact)
    elif isinstance(fact, Iterable):
        for value in fact:
            yield from numbers_in(value)


NUMBER = r"(?<![\w#.@-])-?\d+(?:\.\d+)?(?![\w.-])"


def made_up(text: str, facts: CardFacts) -> set[str]:
    """Return the numbers in the cells of a document that stand in none of its facts."""
    known = {round(number, 4) for number in numbers_in(facts.metadata)}
    known |= {round(number, 4) for number in numbers_in(facts.spec.model_dump())}
    cells = [cell.strip() for line in text.splitlines() for cell in line.split(" | ")]
    ends = [end for cell in cells for end in cell.strip("| ").split(" – ")]
    told = {end for end in ends if re.fullmatch(r"-?\d+(\.\d+)?", end)}
    return {number for number in told if round(float(number), 4) not in known}


def test_every_number_of_a_document_stands_in_the_facts(
    written: dict[str, str], facts: CardFacts
) -> None:
    for name, text in written.items():
        assert made_up(text, facts) == set(), name
        assert len(re.findall(r"\d\.\d{4} – \d\.\d{4}", text)) > 5, name


def test_a_number_that_stands_in_no_fact_would_be_found(
    written: dict[str, str], facts: CardFacts
) -> None:
    (auc,) = (m for m in facts.metadata["evaluation"] if m["measure"] == "discrimination.auc")
    value, n = f"{float(auc['value']):.4f}", str(auc["n"])
    text = written["model_card.en.md"]
    for right in (value, n, f"{float(auc['low']):.4f}"):
        # The last digit is another one; a number that begins like a known one is not known.
        wrong = f"{right[:-1]}{9 - int(right[-1])}"
        assert made_up(text.replace(right, wrong), facts) == {wrong}
    assert made_up(text.replace(f"| {n} |", f"| {n}9 |"), facts) == {f"{n}9"}


def test_each_measure_stands_in_its_row_with_interval_n_and_outcome(
    written: dict[str, str], facts: CardFacts
) -> None:
    rows = {line for line in written["model_card.en.md"].splitlines() if line.startswith("| ")}
    known = [
        item
        for item in facts.metadata["evaluation"]
        if None not in (item["value"], item["low"], item["high"])
    ]
    assert len(known) > 5
    for item in known:
        value, low, high = (f"{float(item[name]):.4f}" for name in ("value", "low", "high"))
        told = f"| {item['measure']} | all | {value} | {low} – {high} | {item['n']} | "
        assert told + f"{item['outcome']} |" in rows


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_document_claims_no_law_and_lists_what_is_not_evidenced(
    written: dict[str, str], name: str
) -> None:
    text = written[name]
    assert "complian" not in text.lower()
    assert "合规" not in text
    language = name.split(".")[1]
    assert texts()["words"]["origin"][language] in text
    for line in texts()["lists"]["not_evidenced"][language]:
        assert line in text


def test_features_are_told_with_direction_and_reason(written: dict[str, str]) -> None:
    card = written["model_card.en.md"]
    assert "| arrears | may only raise the risk | delinquency | late | no | Months late. |" in card
    assert "| turnover | 只能降低风险 | income | turnover |" in written["model_card.zh.md"]


def test_the_chinese_documents_name_facts_measures_and_policy_in_chinese(
    written: dict[str, str], facts: CardFacts
) -> None:
    for name in ("model_card.zh.md", "technical_file.zh.md"):
        text = written[name]
        assert f"训练行数(data_rows): `{facts.text('data_rows')}`" in text
        assert "| 区分度AUC(discrimination.auc) | 全部 |" in text
        assert "风险档" in text
        # A recorded sentence stays as it was signed, as a quotation.
        for line in text.splitlines():
            assert not re.match(r"(- )?(The slope|Calibrated|bands|step|cap of)", line), line
    asked = [n for item in traceability.MODELING for n in (*item.names, *item.where_it_applies)]
    assert [name for name in asked if name not in texts()["facts"]] == []
    bare = [name for name in facts.metadata if name not in texts()["facts"]]
    listed = [
        n for n in bare if n.startswith(("data_", "label", "recipe")) or n.endswith("_digest")
    ]
    assert listed == []


def test_the_technical_file_gives_each_formula_as_it_was_declared(
    written: dict[str, str], facts: CardFacts
) -> None:
    for language in LANGUAGES:
        for feature in facts.spec.features:
            sql = " ".join(feature.sql.split())
            assert f"- {feature.name}: `{sql}`" in written[f"technical_file.{language}.md"]


def test_every_item_of_the_modeling_list_is_answered_from_what_is_signed(world: Any) -> None:
    record = Record.load(world.home)
    answers = traceability.of(record, world.made.version.version)
    modeling = [answer for answer in answers if answer.item in traceability.MODELING]
    said = record.manifest(world.made.version.version).statement.predicate

    assert {answer.name: answer.where for answer in modeling if answer.value is None} == {}
    for answer in modeling:
        place = "lineage" if answer.where == traceability.LINEAGE else "observed"
        assert str(said[place][answer.name]) == answer.value
    software = next(item for item in traceability.MODELING if item.asked == "Modeling: software")
    assert set(lineage.SOFTWARE) <= set(software.names)


def test_what_varies_by_run_is_signed_and_is_no_part_of_the_candidate(world: Any) -> None:
    from registry.catalogue import Catalogue

    version = world.made.version
    observed = Record.load(world.home).manifest(version.version).statement.predicate["observed"]
    tags = Catalogue.open(world.home)._client.get_run(version.run_id).data.tags
    assert observed.items() <= tags.items()
    assert not set(observed) & set(world.made.lineage)
    assert set(lineage.hardware()) <= set(observed)
    assert observed["data_acquired_at_is"] == FILE_TIME
    assert observed["started_at"] < observed["finished_at"]


def test_a_feature_that_is_named_like_a_protected_attribute_is_marked(
    facts: CardFacts, tmp_path: Path
) -> None:
    first, *others = facts.spec.features
    named = first.model_copy(update={"sources": (*first.sources, "marital_state")})
    spec = facts.spec.model_copy(update={"features": (named, *others)})
    folder = model_card.write(
        tmp_path, CardFacts(spec=spec, policy=facts.policy, metadata=facts.metadata)
    )
    rows = (folder / "model_card.en.md").read_text(encoding="utf-8").splitlines()
    marked = [row.split(" | ")[0] for row in rows if "| named like one |" in row]
    assert marked == [f"| {first.name}"]
    assert "| 名称相似 |" in (folder / "model_card.zh.md").read_text(encoding="utf-8")


def test_what_nobody_recorded_is_told_as_such_in_both_languages(
    facts: CardFacts, tmp_path: Path
) -> None:
    bare = CardFacts(spec=facts.spec, policy=facts.policy, metadata=facts.metadata)
    folder = model_card.write(tmp_path, bare)
    english = (folder / "technical_file.en.md").read_text(encoding="utf-8")
    chinese = (folder / "technical_file.zh.md").read_text(encoding="utf-8")
    assert "| Data: storage medium | data_storage_medium |  | not recorded |" in english
    assert "| 数据:存储介质标识 | 存储介质(data_storage_medium) |  | 未记录 |" in chinese


def test_a_declared_text_cannot_break_the_form(facts: CardFacts, tmp_path: Path) -> None:
    first, *others = facts.spec.features
    odd = first.model_copy(update={"why": "a | b\n# <script>"})
    spec = facts.spec.model_copy(update={"features": (odd, *others)})
    folder = model_card.write(
        tmp_path, CardFacts(spec=spec, policy=facts.policy, metadata=facts.metadata)
    )
    text = (folder / "model_card.en.md").read_text(encoding="utf-8")
    assert "a \\| b # &lt;script> |" in text
