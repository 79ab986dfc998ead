"""What is told to customers is fixed, complete, free of persons, and signed with the model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from decisions import features, model, reason_texts
from decisions import model_reasons as method
from decisions.features import FeatureSpec
from decisions.model_reasons import Method, Reference
from decisions.reason_texts import ReasonTexts
from governance.errors import ContractError, IntegrityError
from governance.outcome import Outcome
from registry import offline
from registry.load import load_verified

if TYPE_CHECKING:
    from tests.conftest import World

SPEC = FeatureSpec.parse(features.packaged("uci_features"))
TEXTS = reason_texts.packaged_texts()
GOLDEN = {
    "delinquency": ("Bills paid late in recent months", "近几个月存在逾期还款"),
    "utilization": ("High use of the granted limit", "额度使用率偏高"),
    "payment": ("Low payments in recent months", "近几个月还款偏少"),
    "balance": ("Level and course of the billed balance", "账单余额水平及变化"),
    "account_use": ("Pattern of account use in recent months", "近期账户使用情况"),
}


def made(**changed: object) -> Method:
    usual: dict[str, object] = {
        "outcome": Outcome.PASS,
        "features_id": SPEC.id,
        "features_digest": SPEC.digest,
        "reference": Reference(names=SPEC.names, values=(0.1,) * len(SPEC.names), n=500),
        "texts_id": "reason-texts@1",
        "texts": {name: TEXTS.groups[name] for name in GOLDEN},
        "levers": TEXTS.levers,
    }
    return Method.model_validate(usual | changed)


def wording(group: str = "thrift", en: str = "Something", zh: str = "某事", more: str = "") -> str:
    head = 'schema = "reason-texts/1"\nid = "own"\nversion = "1"\n'
    return f'{head}[groups.{group}]\nen = "{en}"\nzh = "{zh}"\n{more}'


def test_the_bundled_wording_is_the_reviewed_one() -> None:
    assert {n: (TEXTS.groups[n].en, TEXTS.groups[n].zh) for n in GOLDEN} == GOLDEN
    assert set(SPEC.reason_groups) == set(GOLDEN)


def test_the_planted_fault_of_the_demonstration_can_be_worded_too() -> None:
    leak = FeatureSpec.parse(features.packaged("uci_features_limit_leak"))
    assert reason_texts.unworded(leak, TEXTS) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (wording(group="sex"), "never a reason: sex"),
        (wording(en="Young age"), "names a protected attribute: age"),
        (wording(en="A married customer"), "names a protected attribute: married"),
        (wording(zh="客户年龄偏低"), "names a protected attribute: 年龄"),
        (wording(zh="所在地区风险较高"), "names a protected attribute: 地区"),
        (wording(en="More than 3 late bills"), "holds no number"),
        (wording(more='covered_by = ["BAD_LUCK"]'), "no reason of the policy"),
        (wording(en=""), "en"),
    ],
)
def test_a_text_that_may_not_be_told_is_refused(text: str, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        ReasonTexts.parse(text)


@pytest.mark.parametrize("en", ["Average balance", "Usage of the account", "Management of bills"])
def test_an_ordinary_word_is_not_mistaken_for_an_attribute(en: str) -> None:
    assert ReasonTexts.parse(wording(en=en)).groups["thrift"].en == en


def test_an_own_wording_can_bring_what_customers_can_change() -> None:
    lever = '[[levers]]\nname = "{}"\nreason_group = "thrift"\nen = "Save"\nzh = "节省"\n'
    lever += '[levers.columns]\npay_amt1 = "2 * pay_amt1"\n'
    assert ReasonTexts.parse(wording(more=lever.format("save"))).levers[0].name == "save"
    with pytest.raises(ContractError, match="two levers change the same column"):
        ReasonTexts.parse(wording(more=lever.format("save") + lever.format("earn")))


def test_a_method_is_read_back_to_the_last_bit() -> None:
    text = made().dumps()
    assert Method.loads(text) == made()
    assert Method.loads(text).dumps() == text
    assert Method.loads(text).digest == made().digest
    assert made(texts_id="others@1").digest != made().digest


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reference": None}, "nothing is explained"),
        ({"reason": "No."}, "exactly where the outcome is not PASS"),
        ({"outcome": Outcome.INCONCLUSIVE}, "exactly where the outcome is not PASS"),
        ({"outcome": Outcome.BREACH}, "Input should be"),
        ({"texts": {"sex": TEXTS.groups["payment"]}}, "never a reason: sex"),
    ],
)
def test_a_method_says_either_how_or_why_not(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(**changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"features_digest": "0" * 64}, "Make it from the spec"),
        ({"texts": {"payment": TEXTS.groups["payment"]}}, "account_use of uci-features has no"),
        (
            {"reference": Reference(names=("a",), values=(0.0,), n=500)},
            "not that of the features",
        ),
    ],
)
def test_a_method_of_other_features_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        made(**changed).require_fit(SPEC)


def test_what_cannot_be_told_in_full_may_still_be_said_to_be_so() -> None:
    partial = {"texts": {}, "outcome": Outcome.INCONCLUSIVE, "reason": "No words."}
    made(**partial).require_fit(SPEC)


def parts_of(world: World) -> tuple[model.ModelParts, Path]:
    """What makes the champion of the small world, without what explains it."""
    from decisions import book

    verified = load_verified(world.settings, "champion")
    kept = Path(tempfile.mkdtemp())
    shutil.copytree(verified.folder, kept / "model")
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    parts = model.ModelParts(
        estimator=kept / "model" / "artifacts" / "default_model.skops",
        features_text=verified.features_text,
        policy_text=verified.policy_text,
        facts={},
        released=table.schema,
    )
    return parts, kept


def test_a_model_is_laid_out_with_its_explanation_or_refused(world: World, tmp_path: Path) -> None:
    parts, kept = parts_of(world)
    whole = replace(parts, explanation=made())
    files = model.assemble(tmp_path / "whole", whole)
    assert "explanation" in files.artifacts
    described = json.loads(files.artifacts["limitline"].read_bytes())
    assert described["explanation_digest"] == made().digest
    with pytest.raises(ContractError, match="has no wording"):
        model.assemble(tmp_path / "b", replace(whole, explanation=made(texts={})))
    bare = model.assemble(tmp_path / "bare", parts)
    assert "explanation" not in bare.artifacts
    shutil.rmtree(kept)


def test_the_signed_folder_holds_the_explanation_and_verifies_offline(world: World) -> None:
    verified = load_verified(world.settings, "champion")
    listed = {item["path"] for item in offline.manifest(verified.folder)}
    assert "artifacts/explanation.json" in listed
    found = method.of_folder(verified.folder, SPEC)
    assert found is not None
    assert found.outcome is Outcome.PASS
    assert found.digest == verified.metadata["explanation_digest"]
    assert found.reference is not None
    assert found.reference.n == verified.metadata["explanation"]["reference_n"]
    assert (verified.folder / "artifacts" / "explanation.json").read_bytes() == found.dumps()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda path: path.write_text(path.read_text().replace("逾期", "按期")),
            r"explanation\.json was changed",
        ),
        (lambda path: path.unlink(), r"explanation\.json is missing"),
        (lambda path: (path.parent / "other.json").write_text("{}"), r"other\.json was added"),
    ],
    ids=["a word changed", "taken away", "a file put beside it"],
)
def test_another_explanation_than_the_signed_one_is_not_loaded(
    own_world: World, spoil: object, problem: str
) -> None:
    (path,) = own_world.settings.mlflow_artifacts.rglob("explanation.json")
    spoil(path)  # type: ignore[operator]
    with pytest.raises(IntegrityError, match=problem):
        load_verified(own_world.settings, "champion")


def test_a_folder_that_contradicts_itself_is_not_used(tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
    place.mkdir()
    assert method.of_folder(tmp_path, SPEC) is None
    (place / method.FILE).write_bytes(made(features_digest="0" * 64).dumps())
    with pytest.raises(IntegrityError, match="contradicts itself"):
        method.of_folder(tmp_path, SPEC)
    (place / method.FILE).write_text('{"schema": "explanation-method/2"}')
    with pytest.raises(IntegrityError, match="not an explanation method"):
        method.of_folder(tmp_path, SPEC)


def test_the_code_that_decides_carries_none_of_the_code_that_explains() -> None:
    assert not [name for name in model.TRAVELLING_CODE["decisions"] if "explain" in name]


def test_reading_a_method_needs_no_library_of_models() -> None:
    program = (
        "import sys\n"
        "from decisions import model_reasons\n"
        "assert not {name.partition('.')[0] for name in sys.modules} & {'sklearn', 'skops', "
        "'mlflow'}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)
