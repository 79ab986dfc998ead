"""A less discriminatory alternative is found; what cannot be verified is not judged."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from governance.appetite import RiskAppetite
from governance.contract import Purpose
from governance.errors import ContractError, IntegrityError, KeyringError
from governance.outcome import Outcome
from governance.settings import HOME_VARIABLE, Settings
from limitline.commands import app
from monitoring.alternatives import FamilyQuestion, JudgedFamily, judge_alternatives, of_model
from monitoring.verdict import Verdict
from monitoring.watch import read_appetite
from privacy import gate, leak_scan
from privacy.feature_table import PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring
from registry import card, evidence
from registry.alternatives import attest_alternatives, load_alternatives
from registry.record import Record, append, subject_of
from registry.signing import Kind, Role, Signer
from registry.status import status
from tests.monitoring import family
from tests.monitoring.family import Book
from training import alternatives as making

if TYPE_CHECKING:
    from tests.conftest import World

DAY = date(2026, 3, 1)
APPETITE = RiskAppetite.parse(family.APPETITE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The book with its family, which no test changes."""
    place = tmp_path_factory.mktemp("a book")
    book = family.submit(family.furnish(place / "home", 8_000), place / "model")
    family.log_family(book, place / "family")
    return book


@pytest.fixture(scope="module")
def judged(made: Book) -> JudgedFamily:
    return judge_alternatives(made.settings, question(made))


@pytest.fixture
def book(made: Book, tmp_path: Path) -> Book:
    """A copy that a test may break, with a catalogue that writes into it."""
    home = tmp_path / "own"
    shutil.copytree(made.settings.home, home)
    settings = Settings(home=home)
    with sqlite3.connect(settings.mlflow_database) as connection:
        place = settings.mlflow_artifacts.as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ?", (place,))
    connection.close()
    return dataclasses.replace(made, settings=settings)


def question(book: Book, **changed: object) -> FamilyQuestion:
    usual: dict[str, object] = {
        "version": str(book.version),
        "contract": family.CONTRACT_ID,
        "appetite": APPETITE,
        "on": DAY,
    }
    return FamilyQuestion(**(usual | changed))  # type: ignore[arg-type]


def run(book: Book, folder: Path, *arguments: str) -> Result:
    """Run the command on a book; the appetite and the contract are its own."""
    toml = folder / "appetite.toml"
    toml.write_text(family.APPETITE)
    common = ["--contract", family.CONTRACT_ID, "--appetite", str(toml), "--on", DAY.isoformat()]
    home = {HOME_VARIABLE: str(book.settings.home)}
    return CliRunner().invoke(app, ["alternatives", *common, *arguments], env=home)


def test_the_planted_alternative_is_found_and_no_other(judged: JudgedFamily) -> None:
    verdicts = {found.alternative: found.verdict for found in judged.judgements}
    assert verdicts["fair"] is Verdict.FOUND
    assert verdicts["clone"] is Verdict.NOT_SHOWN
    # Knowing nothing is as equal as it gets; that it separates nothing is said beside it.
    assert verdicts["blind"] in (Verdict.COSTLY, Verdict.NOT_SHOWN, Verdict.UNKNOWN)
    assert judged.outcome is Outcome.BREACH


def test_a_clone_differs_from_the_version_in_nothing(judged: JudgedFamily) -> None:
    for figure in ("auc", "ks", "brier", "ece"):
        found = of_model(
            judged.measurements, f"alternatives.{figure}_difference", alternative="clone"
        )
        assert found is not None
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    moved = of_model(judged.measurements, "alternatives.other_action_share", alternative="clone")
    assert moved is not None
    assert moved.value == 0.0


def test_every_model_has_accuracy_actions_and_ratios_with_interval_and_n(
    judged: JudgedFamily,
) -> None:
    for name in (judged.itself, "fair", "clone", "blind"):
        mine = [m for m in judged.measurements if m.scope.get("alternative") == name]
        measured = {m.measure for m in mine if m.value is not None}
        wanted = {
            "discrimination.auc",
            "discrimination.ks",
            "calibration.brier",
            "calibration.ece",
            "alternatives.action_share",
        }
        assert wanted <= measured, name
        assert all(m.n > 1_000 for m in mine if m.measure in wanted)
        assert all(m.low <= m.high for m in mine if m.value is not None), name  # type: ignore[operator]
    ratio = [m for m in judged.measurements if m.measure == "fairness.raise_ratio"]
    assert {m.scope["group"] for m in ratio} == {"male"}


def test_nobody_but_sealed_customers_is_judged(made: Book, judged: JudgedFamily) -> None:
    sealed = {m.n for m in judged.measurements if m.measure == "discrimination.auc"}
    assert max(sealed) < 0.25 * 8_000
    data = judged.evidence.subject
    assert set(data) >= {"model", "policy", "features", "data", "study", "alternative:fair"}
    again = judge_alternatives(made.settings, question(made))
    assert again.evidence.digest == judged.evidence.digest


def test_the_command_signs_draws_and_shows_and_the_same_again_signs_nothing(
    book: Book, tmp_path: Path
) -> None:
    first = run(book, tmp_path, "--json", "--out", str(tmp_path / "out"))
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert told["outcome"] == "BREACH"
    assert {m["outcome"] for m in told["measurements"]} <= {
        "PASS",
        "BREACH",
        "INCONCLUSIVE",
        "INFO",
    }
    drawn = (tmp_path / "out" / "alternatives.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    record = Record.load(book.settings)
    entry = record.judged_alternatives(book.version)
    assert entry is not None
    assert (entry.seq, entry.statement.person.role) == (told["entry"], "validator")
    (shown,) = status(book.settings, DAY)["versions"]
    assert shown["alternatives"]["outcome"] == "BREACH"
    assert "less discriminatory at no measurable loss" in card.describe(record, book.version)
    # No gate and no state rests on it.
    assert record.evidence(book.version) is None
    again = run(book, tmp_path, "--json", "--out", str(tmp_path / "out"))
    assert json.loads(again.stdout) == told
    assert (tmp_path / "out" / "alternatives.png").read_bytes() == drawn
    assert Record.load(book.settings).judged_alternatives(book.version) == entry
    people = run(book, tmp_path)
    assert "fair: less discriminatory at no measurable loss" in people.stdout
    assert json.dumps(evidence.write_pack(book.settings, tmp_path / "pack.zip", on=DAY))


def test_what_is_written_holds_no_customer(book: Book, tmp_path: Path) -> None:
    assert run(book, tmp_path, "--out", str(tmp_path / "out")).exit_code == 0
    ring = Keyring.open(book.settings.keyring)
    path = gate.latest(
        book.settings.features,
        contract_id=family.CONTRACT_ID,
        purpose=Purpose.TRAINING,
        keyring=ring,
    )
    table = FeatureTable.open(path, keyring=ring, part=Part.ALL).read([PSEUDONYM])
    canaries = [value.hex() for value in table[PSEUDONYM].to_pylist()]
    canaries += [f"CANARY{number:06d}" for number in range(8_000)]
    for place in (tmp_path / "out", book.settings.home / "ledger"):
        assert leak_scan.scan(place, canaries=canaries).hits == (), place.name
    for m in json.loads((tmp_path / "out" / "evidence.json").read_text())["measurements"]:
        if m["measure"] == "alternatives.action_share" and m["value"] is not None:
            assert float(m["value"]) * m["n"] >= 9.5


def test_too_few_customers_cannot_tell(tmp_path: Path) -> None:
    small = family.submit(family.furnish(tmp_path / "home", 500), tmp_path / "model")
    family.log_family(small, tmp_path / "family", "fair")
    (found,) = judge_alternatives(small.settings, question(small)).judgements
    assert (found.verdict, found.outcome) == (Verdict.UNKNOWN, Outcome.INCONCLUSIVE)


def test_without_alternatives_of_its_own_a_version_is_not_judged(
    book: Book, tmp_path: Path
) -> None:
    other = family.submit(book.settings, tmp_path / "other", unfair=0.9)
    refused = run(book, tmp_path, "--version", str(other.version))
    assert refused.exit_code == 2
    assert "No alternatives of version 2 were logged" in refused.output.replace("\n", " ")
    assert "alternatives of version 1, which are not its own" in refused.output.replace("\n", " ")
    missing = run(book, tmp_path, "--version", "9")
    assert (missing.exit_code, "no version 9" in missing.output) == (2, True)
    # Another version's family, signed in the name of this one, is still another version's.
    family.log_family(other, tmp_path / "theirs", "fair", version=1, manifest_digest="0" * 64)
    with pytest.raises(IntegrityError, match="made for version 1"):
        load_alternatives(book.settings, other.version)


@pytest.mark.parametrize("how", ["changed", "added", "removed", "exchanged"])
def test_an_alternative_that_is_not_what_was_signed_is_never_loaded(
    book: Book, tmp_path: Path, how: str
) -> None:
    (fair,) = book.settings.mlflow_artifacts.rglob("fair/default_model.skops")
    (clone,) = book.settings.mlflow_artifacts.rglob("clone/default_model.skops")
    match how:
        case "changed":
            fair.write_bytes(fair.read_bytes() + b" ")
        case "added":
            (fair.parent / "more.txt").write_text("more")
        case "removed":
            fair.unlink()
        case "exchanged":
            shutil.copyfile(clone, fair)
    refused = run(book, tmp_path)
    assert refused.exit_code == 15
    assert "The alternative fair was not loaded" in refused.output.replace("\n", " ")
    assert Record.load(book.settings).judged_alternatives(book.version) is None
    assert not (book.settings.reports / "alternatives").exists()


def test_a_family_that_lists_not_all_its_files_is_not_loaded(book: Book) -> None:
    record = Record.load(book.settings)
    said = dict(record.studies(book.version)["alternatives"].statement.predicate)
    said["artifacts"] = list(said["artifacts"])[:-1]
    subject = (subject_of(book.version), book.manifest_digest)
    signer = Signer.open(book.settings.keyring, Role.DEVELOPER)
    append(book.settings, Kind.STUDY, subject=subject, predicate=said, signer=signer)
    with pytest.raises(IntegrityError, match="lists the files of 2 of 3 alternatives"):
        load_alternatives(book.settings, book.version)


def test_without_sealed_customers_nobody_is_left_to_judge_on(tmp_path: Path) -> None:
    """The gate seals a fifth by key, so a lone customer is an open one before long."""
    for attempt in range(40):
        here = family.furnish(tmp_path / f"home {attempt}", 1)
        ring = Keyring.open(here.keyring)
        path = gate.latest(
            here.features, contract_id=family.CONTRACT_ID, purpose=Purpose.TRAINING, keyring=ring
        )
        if FeatureTable.open(path, keyring=ring, part=Part.SEALED).num_rows == 0:
            break
    lone = family.submit(here, tmp_path / "model")
    family.log_family(lone, tmp_path / "family", "fair")
    refused = run(lone, tmp_path)
    assert refused.exit_code == 10
    assert "no sealed customers" in refused.output.replace("\n", " ")


def test_without_mandate_vault_or_line_nothing_is_asked(book: Book, tmp_path: Path) -> None:
    refused = run(book, tmp_path, "--mandate", " ")
    assert (refused.exit_code, "needs a mandate" in refused.output) == (2, True)
    text = family.APPETITE.replace("alternatives.ratio_gain", "alternatives.other")
    bare = question(book, appetite=RiskAppetite.parse(text))
    with pytest.raises(ContractError, match=r"no line for alternatives\.ratio_gain"):
        judge_alternatives(book.settings, bare)
    shutil.rmtree(book.settings.vault)
    with pytest.raises(IntegrityError, match="the ring has seen a vault there"):
        judge_alternatives(book.settings, question(book))


def test_nobody_but_the_validator_signs_and_only_about_the_newest_family(
    book: Book, judged: JudgedFamily, tmp_path: Path
) -> None:
    developer = Signer.open(book.settings.keyring, Role.DEVELOPER)
    with pytest.raises(KeyringError, match="may not sign alternatives-evidence"):
        attest_alternatives(book.settings, judged.evidence, judged.as_signed(), signer=developer)
    validator = Signer.open(book.settings.keyring, Role.VALIDATOR)
    attest_alternatives(book.settings, judged.evidence, judged.as_signed(), signer=validator)
    family.log_family(book, tmp_path / "newer", "fair")
    with pytest.raises(IntegrityError, match="not those of version 1 any more"):
        attest_alternatives(book.settings, judged.evidence, judged.as_signed(), signer=validator)
    (shown,) = status(book.settings, DAY)["versions"]
    assert shown["alternatives"]["is_newest_family"] is False
    assert "made anew since" in card.describe(Record.load(book.settings), book.version)


def test_what_training_makes_is_what_monitoring_judges(moved_world: World, tmp_path: Path) -> None:
    """The two rooms do not know each other; what one signs, the other verifies and loads."""
    settings = moved_world.settings
    subject = making.take_up(settings, str(moved_world.champion))
    members = [one for one in making.family_of(subject) if one.name in (subject.name, "floor")]
    made = making.challenge(subject, members, tmp_path)
    recorded = making.publish(settings, subject, made)
    asked = FamilyQuestion(
        version="champion", contract="uci-credit", appetite=read_appetite(), on=date(2005, 10, 1)
    )
    judged = judge_alternatives(settings, asked)
    # The version's own refit, by which training measures, is no alternative to it.
    assert [found.alternative for found in judged.judgements] == ["floor"]
    assert (judged.family.entry, judged.family.digest) == (recorded.seq, recorded.digest)
    assert judged.family.members[0].features_text == members[-1].features_text
