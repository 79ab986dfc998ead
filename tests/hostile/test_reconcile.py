"""MLflow edited behind the ledger's back: found, told, recorded, and only then put right."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from governance.appetite import RiskAppetite
from governance.errors import IntegrityError
from governance.settings import Settings
from limitline.commands import app
from registry import attestation, card, findings, judgement, promotion, submission
from registry.catalogue import CHALLENGER, CHAMPION, MODEL_NAME, Catalogue
from registry.evidence import write_pack
from registry.load import load_verified
from registry.reconciliation import UNSIGNED_TEXT, reconcile
from registry.record import AGREED, DRIFTED, Record
from registry.signing import Signer
from registry.submission import CandidateFiles, ModelVersion, RunFacts
from tests import appetites
from tests.registry.conftest import DAY, LINEAGE, measured_about


def sql(home: Settings, command: str, *values: object) -> None:
    with closing(sqlite3.connect(home.mlflow_database)) as connection, connection:
        assert connection.execute(command, values).rowcount == 1


def a_version_tag(home: Settings) -> None:
    Catalogue.open(home).set_tags(1, {"validated_by": "CRO"})


def an_own_tag(home: Settings) -> None:
    Catalogue.open(home).set_tags(1, {"limitline.gate": "PASS without looking"})


def a_missing_tag(home: Settings) -> None:
    Catalogue.open(home).remove_tag("limitline.waivers", 1)


def a_card(home: Settings) -> None:
    Catalogue.open(home).set_description("Everything is fine.", 1)


def an_empty_card(home: Settings) -> None:
    Catalogue.open(home).set_description("", 1)


def a_model_description(home: Settings) -> None:
    Catalogue.open(home).set_description("Approved by the board.")


def a_model_tag(home: Settings) -> None:
    Catalogue.open(home)._client.set_registered_model_tag(MODEL_NAME, "approved", "yes")


def an_alias(home: Settings) -> None:
    Catalogue.open(home).set_alias("production", 1)


def a_challenger(home: Settings) -> None:
    Catalogue.open(home).set_alias(CHALLENGER, 1)


def no_champion(home: Settings) -> None:
    Catalogue.open(home).remove_alias(CHAMPION)


def a_stage(home: Settings) -> None:
    sql(home, "UPDATE model_versions SET current_stage = 'Production'")


def a_source(home: Settings) -> None:
    sql(home, "UPDATE model_versions SET source = 'models:/m-0123456789'")


def a_run_id(home: Settings) -> None:
    sql(home, "UPDATE model_versions SET run_id = 'another'")


def a_run_tag(home: Settings) -> None:
    run = Record.load(home).manifest(1).statement.predicate["run_id"]
    Catalogue.open(home)._client.set_tag(run, "validated_by", "CRO")


def a_run_note(home: Settings) -> None:
    run = Record.load(home).manifest(1).statement.predicate["run_id"]
    Catalogue.open(home)._client.set_tag(run, "mlflow.note.content", "Approved")


def a_run_metric(home: Settings) -> None:
    run = Record.load(home).manifest(1).statement.predicate["run_id"]
    Catalogue.open(home)._client.log_metric(run, "auc", 0.99)


def a_deleted_run(home: Settings) -> None:
    run = Record.load(home).manifest(1).statement.predicate["run_id"]
    Catalogue.open(home)._client.delete_run(run)


def a_run_document(home: Settings) -> None:
    _run_folder(home).joinpath("documents", "card.md").write_text("Everything is fine.")


def an_added_document(home: Settings) -> None:
    _run_folder(home).joinpath("documents", "approval.md").write_text("Approved.")


def a_removed_document(home: Settings) -> None:
    _run_folder(home).joinpath("documents", "card.md").unlink()


def a_model_bytes(home: Settings) -> None:
    location = Record.load(home).manifest(1).statement.predicate["location"]
    (home.mlflow_artifacts / location / "MLmodel").write_text("edited")


def a_deleted_version(home: Settings) -> None:
    Catalogue.open(home)._client.delete_model_version(MODEL_NAME, "1")


def a_registered_model(home: Settings) -> None:
    Catalogue.open(home)._client.create_registered_model("credit-limit-approved")


def a_foreign_version(home: Settings) -> None:
    client = Catalogue.open(home)._client
    client.create_model_version(MODEL_NAME, client.get_model_version(MODEL_NAME, "1").source)


def _run_folder(home: Settings) -> Path:
    run = Record.load(home).manifest(1).statement.predicate["run_id"]
    return home.mlflow_artifacts / Catalogue.open(home).location(run)


SHOWN = {
    a_version_tag: "version 1 has the foreign tag validated_by",
    an_own_tag: "the tag limitline.gate was edited",
    a_missing_tag: "another card of version 1",
    a_card: "its card was edited",
    an_empty_card: "its card was edited, removed or never written",
    a_model_description: "description of the registered model was edited",
    a_model_tag: "registered model has the foreign tag approved",
    an_alias: "alias production points at version 1; the ledger says no version",
    a_challenger: "alias challenger points at version 1; the ledger says no version",
    no_champion: "alias champion points at no version; the ledger says version 1",
    a_stage: "shows version 1 in a stage",
    a_foreign_version: "version 2 has no signed manifest",
}
"""What MLflow shows otherwise, and what is said of it: `--repair` puts it right."""

LASTING = {
    a_source: "version 1 points at another model or run",
    a_run_id: "version 1 points at another model or run",
    a_run_tag: "its name, parameters, metrics or tags were changed",
    a_run_note: "its name, parameters, metrics or tags were changed",
    a_run_metric: "its name, parameters, metrics or tags were changed",
    a_deleted_run: "its name, parameters, metrics or tags were changed",
    a_run_document: "documents/card.md was changed",
    an_added_document: "documents/approval.md was added",
    a_removed_document: "documents/card.md is missing",
    a_model_bytes: "MLmodel was changed",
    a_registered_model: "the foreign registered model credit-limit-approved",
}
"""What no command of ours can put right."""


@pytest.fixture
def documented(
    empty_home: Settings, candidate: Callable[..., CandidateFiles], tmp_path: Path
) -> Settings:
    """A home whose one version was handed over with a document, and is no champion."""
    folder = tmp_path / "written" / "documents"
    folder.mkdir(parents=True)
    (folder / "card.md").write_text("What the developer wrote.")
    facts = RunFacts(
        run_name="first", metrics={"auc": 0.77}, figures={"documents": folder / "card.md"}
    )
    developer = Signer.open(empty_home.keyring, "developer")
    submission.submit(candidate(), facts, LINEAGE, settings=empty_home, signer=developer)
    return empty_home


def bring(home: Settings, candidate: CandidateFiles) -> int:
    """Bring one more version up to the door: measured, judged and approved by both."""
    signers = {role: Signer.open(home.keyring, role) for role in ("developer", "validator")}
    facts = RunFacts(run_name="one more")
    made = submission.submit(candidate, facts, LINEAGE, settings=home, signer=signers["developer"])
    found = measured_about(home, subject={"model": made.manifest_digest})
    attestation.attest(home, found, version=made.version, signer=signers["validator"])
    judgement.gate(home, made.version, on=DAY)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(home, made.version, role=role, on=DAY)
    return made.version


@pytest.fixture
def succession(
    empty_home: Settings, candidate: Callable[..., CandidateFiles], appetite: RiskAppetite
) -> Settings:
    """A home with version 1 as champion and version 2 approved to follow it."""
    appetites.sign(empty_home, appetite, DAY)
    promotion.promote(empty_home, bring(empty_home, candidate()), on=DAY)
    bring(empty_home, candidate(policy="step = 2\n"))
    return empty_home


def events(home: Settings) -> list[tuple[str, str]]:
    found = Record.load(home).events(DRIFTED, AGREED)
    return [(e.statement.predicate["event"], e.statement.predicate["place"]) for e in found]


def test_a_sound_home_agrees_and_nothing_is_recorded(champion: Settings) -> None:
    before = len(Record.load(champion).entries)
    found = reconcile(champion, on=DAY, repair=True)

    assert (found.problems, found.repaired, found.notes) == ((), (), ())
    assert len(Record.load(champion).entries) == before


@pytest.mark.parametrize("edit", SHOWN, ids=lambda edit: edit.__name__)
def test_what_mlflow_shows_otherwise_is_told_recorded_once_and_put_right_when_asked(
    champion: Settings, edit: Callable[[Settings], None]
) -> None:
    edit(champion)
    before = Catalogue.open(champion).shown()
    for _ in range(2):
        (problem,) = reconcile(champion, on=DAY).problems
        assert SHOWN[edit] in problem
    assert Catalogue.open(champion).shown() == before
    ((event, place),) = events(champion)
    assert event == DRIFTED

    found = reconcile(champion, on=DAY, repair=True)
    assert found.problems == ()
    assert SHOWN[edit] in found.repaired[0]
    assert events(champion) == [(DRIFTED, place), (AGREED, place)]
    assert reconcile(champion, on=DAY).problems == ()
    edit(champion)
    assert len(reconcile(champion, on=DAY).problems) == 1
    assert len(events(champion)) == 3


@pytest.mark.parametrize("edit", LASTING, ids=lambda edit: edit.__name__)
def test_what_no_command_can_put_right_stays_a_problem(
    documented: Settings, edit: Callable[[Settings], None]
) -> None:
    assert reconcile(documented, on=DAY).problems == ()
    edit(documented)
    for repair in (False, True):
        (problem,) = reconcile(documented, on=DAY, repair=repair).problems
        assert LASTING[edit] in problem
    assert [event for event, _ in events(documented)] == [DRIFTED]


def test_several_edits_are_each_told_and_each_recorded(champion: Settings) -> None:
    edits = (a_version_tag, a_card, an_alias, a_model_tag, a_registered_model)
    for edit in edits:
        edit(champion)
    found = reconcile(champion, on=DAY, repair=True)

    assert len(found.repaired) == 4
    assert len(found.problems) == 1
    assert [event for event, _ in events(champion)].count(DRIFTED) == len(edits)
    assert [event for event, _ in events(champion)].count(AGREED) == 4


def test_the_command_exits_15_with_every_difference_and_0_when_put_right(
    champion: Settings,
) -> None:
    a_version_tag(champion)
    a_model_description(champion)
    ask = ["reconcile", "--on", DAY.isoformat()]
    told = CliRunner().invoke(app, ask)

    assert told.exit_code == 15
    assert "validated_by" in told.output
    assert "description of the registered model" in told.output
    assert CliRunner().invoke(app, [*ask, "--repair"]).exit_code == 0
    assert "MLflow shows what the ledger says" in CliRunner().invoke(app, ask).output


def test_neither_the_words_of_an_edit_nor_a_name_like_a_persons_id_is_repeated(
    champion: Settings, tmp_path: Path
) -> None:
    number = "110101199003071234"
    Catalogue.open(champion).set_tags(1, {f"id {number}": f"value {number}"})
    Catalogue.open(champion).set_description(f"Customer {number} complained.")
    found = reconcile(champion, on=DAY)
    write_pack(champion, tmp_path / "pack.zip", on=DAY)

    assert len(found.problems) == 2
    assert number not in " ".join(found.problems)
    assert number.encode() not in (tmp_path / "pack.zip").read_bytes()


def test_a_card_that_is_only_older_than_the_ledger_is_written_anew_and_is_no_drift(
    champion: Settings,
) -> None:
    old = card.describe(Record.load(champion), 1)
    findings.record_heartbeat(champion, "monthly", on=DAY, facts={})
    approved_again = date(2026, 1, 6)
    judgement.approve(champion, 1, role="risk_approver", on=approved_again, valid_days=200)
    judgement.approve(champion, 1, role="business_approver", on=date(2026, 4, 30))
    assert card.describe(Record.load(champion), 1) != old
    found = reconcile(champion, on=DAY)

    assert (found.problems, found.repaired) == ((), ())
    assert events(champion) == []
    shown = Catalogue.open(champion).shown().versions[1]
    assert shown.description == card.describe(Record.load(champion), 1)
    assert dict(shown.tags) == card.tags(Record.load(champion), 1)


def test_a_version_deleted_in_mlflow_is_said_to_be_and_no_disk_is_blamed(
    champion: Settings,
) -> None:
    a_deleted_version(champion)
    for asked in ([], ["--repair"]):
        done = CliRunner().invoke(app, ["reconcile", "--on", DAY.isoformat(), *asked])
        assert done.exit_code == 15
        assert "Version 1 is in the ledger and no longer in MLflow: it was deleted" in done.output
        assert "disk" not in done.output
        assert "moves it back" not in done.output


def test_a_version_deleted_in_mlflow_is_not_promoted_and_nothing_is_applied(
    champion: Settings,
) -> None:
    a_deleted_version(champion)
    before = len(Record.load(champion).entries)

    with pytest.raises(IntegrityError, match="Version 1 was deleted in MLflow, so nothing was"):
        promotion.promote(champion, 1, on=DAY)
    assert len(Record.load(champion).entries) == before


def test_a_champion_deleted_in_mlflow_does_not_stop_its_successor(succession: Settings) -> None:
    a_deleted_version(succession)
    done = promotion.promote(succession, 2, on=DAY)

    assert (done.version, done.previous, done.note) == (2, 1, "")
    assert Record.load(succession).champion() == 2


def test_a_promotion_that_is_done_is_no_fault_of_the_place_when_its_card_cannot_be_written(
    succession: Settings,
) -> None:
    refuse = "BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'full'); END"
    with closing(sqlite3.connect(succession.mlflow_database)) as connection, connection:
        connection.execute(f"CREATE TRIGGER full {refuse}")
    done = CliRunner().invoke(app, ["promote", "--version", "2", "--on", DAY.isoformat()])

    assert done.exit_code == 0
    assert "Version 2 is champion" in done.output
    assert "MLflow does not show it yet" in done.output
    assert Record.load(succession).champion() == 2


def test_an_unsigned_version_is_labelled_and_noted_from_then_on(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    Catalogue.open(empty_home).log_model(candidate(), facts=RunFacts(run_name="interrupted"))
    (problem,) = reconcile(empty_home, on=DAY).problems
    assert "version 1 has no signed manifest" in problem

    for repair in (True, False):
        found = reconcile(empty_home, on=DAY, repair=repair)
        assert found.problems == ()
        assert "no signed manifest" in found.notes[0]
    assert Catalogue.open(empty_home).shown().versions[1].description == UNSIGNED_TEXT
    Catalogue.open(empty_home).set_tags(1, {"validated_by": "CRO"})
    assert len(reconcile(empty_home, on=DAY).problems) == 1


def test_bytes_and_a_deleted_version_stay_told_after_every_repair(
    champion: Settings, submitted: ModelVersion
) -> None:
    a_model_bytes(champion)
    a_deleted_version(champion)
    found = reconcile(champion, on=DAY, repair=True)

    assert len(found.problems) == 3  # bytes, the version, and the alias that went with it
    with pytest.raises(IntegrityError, match="MLmodel was changed"):
        load_verified(champion, "champion")
