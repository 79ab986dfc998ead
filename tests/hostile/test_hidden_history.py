"""What somebody would rather have forgotten: refusals, other thresholds, and days in the past."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from governance.appetite import RiskAppetite
from governance.errors import GateClosed, IntegrityError
from governance.evidence import Evidence
from governance.settings import Settings
from limitline.commands import app
from registry import attestation, card, evidence, judgement, people, promotion, serialize
from registry.attestation import attach
from registry.load import load_verified
from registry.record import Record
from registry.signing import Kind, Role, Signer
from registry.status import render, status
from registry.submission import CandidateFiles, RunFacts, submit
from tests import appetites
from tests.appetites import APPROVERS, appetite_text, threshold
from tests.registry.conftest import (
    APPETITE,
    DAY,
    LINEAGE,
    THRESHOLDS,
    begin,
    fit,
    lay_out,
    measured_about,
    policy_evidence,
)

LENIENT = RiskAppetite.parse(
    appetite_text(threshold("accuracy.auc", "at_least = 0.40"), *THRESHOLDS[1:], version="2")
)
LATER = DAY + timedelta(days=10)


def measure(home: Settings, version: int = 1, *, on: date = DAY, **numbers: float) -> Evidence:
    """Let the validator sign figures about a version."""
    model = Record.load(home).manifest(version).statement.sha256
    about = {"subject": {"model": model}, "measured_on": on}
    found = measured_about(home, **numbers).model_copy(update=about)
    validator = Signer.open(home.keyring, "validator")
    attestation.attest(home, found, version=version, signer=validator)
    return found


def approve(home: Settings, version: int = 1, on: date = DAY) -> list[str]:
    """Let both approve, and return what the second was told."""
    told = [judgement.approve(home, version, role=role, on=on) for role in APPROVERS]
    return list(told[-1]["rests_on"])


def shown(home: Settings, on: date = DAY) -> str:
    out = io.StringIO()
    render(status(home, on), Console(file=out, width=200))
    return out.getvalue()


# Refusals.


def test_a_second_signature_on_better_figures_hides_no_breach_that_cannot_be_waived(
    home: Settings,
) -> None:
    measure(home, auc=0.5)
    refused = judgement.gate(home, 1, on=DAY)
    measure(home, auc=0.77)
    assert judgement.gate(home, 1, on=DAY).is_open

    told = approve(home)
    promotion.promote(home, 1, on=DAY)
    for text in (shown(home), card.describe(Record.load(home), 1), "\n".join(told)):
        assert "BREACH; 1 refusals, 1 of them not waivable. accuracy.auc" in text
    (version,) = status(home, DAY)["versions"]
    assert [one["outcome"] for one in version["attempts"]] == ["BREACH", "PASS"]
    assert card.tags(Record.load(home), 1)["limitline.refused_before"] == "1"
    for entry in Record.load(home).approvals(1):
        assert entry.statement.predicate["closed_before"] == [refused.digest]


def test_approvals_of_figures_that_were_refused_since_count_no_more_when_the_figures_return(
    home: Settings,
) -> None:
    measure(home, auc=0.77)
    first = judgement.gate(home, 1, on=DAY)
    approve(home)
    measure(home, auc=0.5)
    refused = judgement.gate(home, 1, on=DAY)
    measure(home, auc=0.77)
    assert judgement.gate(home, 1, on=DAY) == first

    with pytest.raises(GateClosed, match="lacks an approval in force"):
        promotion.promote(home, 1, on=DAY)
    approve(home)
    assert promotion.promote(home, 1, on=DAY).version == 1
    given = [entry.statement.predicate for entry in Record.load(home).approvals(1)]
    assert [said["closed_before"] for said in given] == [[], [], *[[refused.digest]] * 2]


def test_what_never_was_refused_is_not_said_to_be(champion: Settings) -> None:
    (version,) = status(champion, DAY)["versions"]

    assert (version["refused_before"], len(version["attempts"])) == ([], 1)
    assert "refused before" not in shown(champion)
    given = Record.load(champion).approvals(1)
    assert [entry.statement.predicate["closed_before"] for entry in given] == [[], []]


def hand_in(
    home: Settings,
    place: Path,
    *,
    seed: int = 0,
    policy: str = "step = 1\n",
    files: CandidateFiles | None = None,
) -> int:
    """Submit one more version."""
    facts = RunFacts(run_name="again")
    lineage = {**LINEAGE, "seed": seed, "place": place.name}
    developer = Signer.open(home.keyring, "developer")
    files = files or lay_out(place, seed=seed, policy=policy)
    return submit(files, facts, lineage, settings=home, signer=developer).version


@pytest.fixture
def handed_in(empty_home: Settings, tmp_path: Path) -> Settings:
    """A home that submitted version 1 itself, so that it can submit another."""
    appetites.sign(empty_home, RiskAppetite.parse(APPETITE), DAY)
    hand_in(empty_home, tmp_path / "first")
    return empty_home


def test_the_same_model_under_another_number_brings_its_refusals_along(
    handed_in: Settings, tmp_path: Path
) -> None:
    home = handed_in
    measure(home, auc=0.5)
    judgement.gate(home, 1, on=DAY)
    again = hand_in(home, tmp_path / "again", policy="step = 2\n")
    measure(home, again, auc=0.77)
    judgement.gate(home, again, on=DAY)

    said = "version 1 with the same model, by test 1"
    assert said in "\n".join(approve(home, again))
    assert said in card.describe(Record.load(home), again)


def test_the_same_policy_under_another_number_brings_along_what_was_found_of_the_policy(
    handed_in: Settings, tmp_path: Path
) -> None:
    home = handed_in
    asked = RiskAppetite.parse(
        appetite_text(
            *THRESHOLDS,
            threshold("policy.violations", "at_most = 0", 'basis = "point"', "is_waivable = false"),
            version="3",
        )
    )
    appetites.sign(home, asked, DAY)
    measure(home, auc=0.5)
    attestation.attach(home, 1, policy_evidence(home, "policy-check", 3.0), role=Role.DEVELOPER)
    assert len(judgement.gate(home, 1, on=DAY).refusals) == 2
    same = hand_in(home, tmp_path / "same", seed=1)
    other = hand_in(home, tmp_path / "other", seed=2, policy="step = 2\n")

    versions = {one["version"]: one for one in status(home, DAY)["versions"]}
    (told,) = versions[same]["refused_before"]
    assert "version 1 with the same policy" in told
    assert "1 refusals, 1 of them not waivable. policy.violations" in told
    assert versions[other]["refused_before"] == []


def test_one_more_file_beside_the_same_estimator_hides_no_refusal(
    handed_in: Settings, tmp_path: Path
) -> None:
    home = handed_in
    measure(home, auc=0.5)
    judgement.gate(home, 1, on=DAY)
    files = lay_out(tmp_path / "again", policy="step = 2\n")
    serialize.dump(fit(seed=9), tmp_path / "again" / "other.skops")
    more = {**files.artifacts, "other": tmp_path / "again" / "other.skops"}
    again = hand_in(home, tmp_path / "again", files=replace(files, artifacts=more))

    (told,) = status(home, DAY)["versions"][1]["refused_before"]
    assert "version 1 with the same model" in told
    assert status(home, DAY)["versions"][1]["version"] == again


def test_a_comment_in_the_policy_hides_no_refusal_of_the_policy(
    handed_in: Settings, tmp_path: Path
) -> None:
    home = handed_in
    asked = RiskAppetite.parse(
        appetite_text(
            *THRESHOLDS,
            threshold("policy.violations", "at_most = 0", 'basis = "point"'),
            version="3",
        )
    )
    appetites.sign(home, asked, DAY)
    measure(home)
    attestation.attach(home, 1, policy_evidence(home, "policy-check", 3.0), role=Role.DEVELOPER)
    judgement.gate(home, 1, on=DAY)
    hand_in(home, tmp_path / "again", seed=1, policy="step = 1  # as reviewed\n")

    (told,) = status(home, DAY)["versions"][1]["refused_before"]
    assert "version 1 with the same policy" in told


# Figures.


def told_everywhere(home: Settings, version: int = 1) -> list[str]:
    """Let both approve, and return all that approvers, readers of the status and the card read."""
    told = "\n".join(approve(home, version))
    return [told, shown(home), card.describe(Record.load(home), version)]


def test_figures_that_no_gate_judged_are_named_to_whoever_reads_or_approves(
    home: Settings,
) -> None:
    poor = measure(home, auc=0.5)
    poorer = measure(home, auc=0.4)
    good = measure(home, auc=0.77)
    judgement.gate(home, 1, on=DAY)

    for text in told_everywhere(home):
        assert "measured: validation 3x" in text
        for never in (poor, poorer):
            line = next(one for one in text.splitlines() if f"({never.digest[:12]})" in one)
            assert f"measured and never judged: validation of {DAY}" in line
        assert f"({good.digest[:12]})" not in text
    (version,) = status(home, DAY)["versions"]
    assert [one["is_judged"] for one in version["measured"]] == [False, False, True]


def test_figures_on_the_policy_that_no_gate_judged_are_named_too(home: Settings) -> None:
    measure(home)
    for violations in (3.0, 0.0):
        found = policy_evidence(home, "policy-check", violations)
        attestation.attach(home, 1, found, role=Role.DEVELOPER)
    judgement.gate(home, 1, on=DAY)

    for text in told_everywhere(home):
        assert "measured: policy-check 2x, validation 1x" in text
        assert text.count("measured and never judged: policy-check") == 1


def test_figures_that_were_measured_again_hide_none_that_were_never_judged(home: Settings) -> None:
    good = measure(home, auc=0.77)
    poor = measure(home, auc=0.5)
    assert measure(home, auc=0.77) == good
    judgement.gate(home, 1, on=DAY)

    for text in told_everywhere(home):
        assert "measured: validation 3x" in text
        assert text.count("measured and never judged") == 1
        assert f"({poor.digest[:12]})" in text


def test_the_same_model_under_another_number_brings_its_unjudged_figures_along(
    handed_in: Settings, tmp_path: Path
) -> None:
    home = handed_in
    poor = measure(home, auc=0.5)
    attestation.attach(home, 1, policy_evidence(home, "policy-check", 3.0), role=Role.DEVELOPER)
    same = hand_in(home, tmp_path / "same", policy="step = 2\n")
    policy = hand_in(home, tmp_path / "policy", seed=1)
    other = hand_in(home, tmp_path / "other", seed=2, policy="step = 3\n")

    told = {one["version"]: one["measured_in_words"] for one in status(home, DAY)["versions"]}
    assert [line.split(",")[:2] for line in told[same][1:]] == [
        [f"measured and never judged: {kind} of {DAY}", " version 1 with the same model"]
        for kind in ("validation", "policy-check")
    ]
    assert f"({poor.digest[:12]})" in told[same][1]
    (line,) = told[policy][1:]
    assert f"policy-check of {DAY}, version 1 with the same policy" in line
    assert (told[policy][0], told[other]) == ("measured: never", [])


def test_what_was_measured_once_and_judged_is_counted_and_nothing_more_said(
    champion: Settings,
) -> None:
    (version,) = status(champion, DAY)["versions"]
    assert version["measured_in_words"] == ["measured: validation 1x"]
    assert "measured: validation 1x" in shown(champion)
    assert "never judged" not in shown(champion)


# Thresholds.


def test_other_thresholds_for_the_same_version_are_an_event_that_everybody_reads(
    home: Settings,
) -> None:
    found = measure(home, auc=0.5)
    judgement.gate(home, 1, on=DAY)
    appetites.sign(home, LENIENT, DAY)
    with pytest.raises(GateClosed, match="recorded before its risk appetite was signed"):
        judgement.gate(home, 1, on=DAY)
    measure(home, auc=0.5)
    assert judgement.gate(home, 1, on=DAY).is_open
    signed = [entry.statement.predicate["digest"] for entry in Record.load(home).of(Kind.EVIDENCE)]
    assert signed == [found.digest] * 2

    told = "\n".join(approve(home))
    assert f"digest {LENIENT.digest}" in told
    strict = RiskAppetite.parse(APPETITE)
    both = f"test 1 ({strict.digest[:12]}), then test 2 ({LENIENT.digest[:12]})"
    for text in (told, shown(home), card.describe(Record.load(home), 1)):
        assert "more than one risk appetite" in text
        assert both in text
    assert status(home, DAY)["appetites"][-1]["changed"] == ["accuracy.auc", "accuracy.auc"]


def test_milder_thresholds_under_the_same_name_are_refused(home: Settings, tmp_path: Path) -> None:
    softened = LENIENT.model_copy(update={"version": "1"})
    with pytest.raises(IntegrityError, match="signed with other thresholds"):
        judgement.adopt(home, softened, role="risk_approver", on=DAY)
    file = tmp_path / "appetite.toml"
    file.write_text(
        appetite_text(threshold("accuracy.auc", "at_least = 0.40"), *THRESHOLDS[1:]), "utf-8"
    )
    measure(home, auc=0.5)

    about = ["--on", DAY.isoformat()]
    for verb in (
        ["appetite", "--file", str(file), "--as", "risk_approver"],
        ["gate", "--version", "1", "--appetite", str(file)],
    ):
        assert CliRunner().invoke(app, [*verb, *about]).exit_code == 15
    assert Record.load(home).decision(1) is None


def test_thresholds_of_a_file_that_nobody_signed_judge_nothing(empty_home: Settings) -> None:
    version = hand_in(empty_home, empty_home.home / "files")
    measure(empty_home, version)
    with pytest.raises(GateClosed, match="No risk appetite is signed by both approvers"):
        judgement.gate(empty_home, version, appetite=LENIENT, on=DAY)
    judgement.adopt(empty_home, LENIENT, role="risk_approver", on=DAY)
    judgement.adopt(empty_home, LENIENT, role="risk_approver", on=DAY)
    with pytest.raises(GateClosed, match="No risk appetite is signed by both approvers"):
        judgement.gate(empty_home, version, on=DAY)


def test_one_person_with_both_keys_signs_no_appetite(empty_home: Settings) -> None:
    for role, name in (("risk_approver", "Li Wei"), ("business_approver", "LI WEI")):
        people.rotate(empty_home, role, name=name, reason="A test of names")
        assert judgement.adopt(empty_home, LENIENT, role=role, on=DAY)["holds"] is False
    assert Record.load(empty_home).appetite(DAY) is None


@pytest.mark.parametrize("role", ["developer", "validator", "ledger", "nobody"])
def test_only_approvers_sign_an_appetite(empty_home: Settings, role: str) -> None:
    with pytest.raises(GateClosed, match="may not sign a risk appetite"):
        judgement.adopt(empty_home, LENIENT, role=role, on=DAY)


def test_the_verb_says_when_an_appetite_holds_and_signs_once(
    empty_home: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "appetite.toml"
    file.write_text(APPETITE, "utf-8")

    def say(role: str) -> str:
        verb = ["appetite", "--file", str(file), "--as", role, "--on", DAY.isoformat()]
        done = CliRunner().invoke(app, verb)
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    assert "waits for the other approver" in say("risk_approver")
    assert "signed by business_approver and holds" in say("business_approver")
    assert "holds" in say("risk_approver")
    assert len(tuple(Record.load(empty_home).of(Kind.APPETITE))) == 2


def test_an_appetite_holds_from_its_day_and_not_before(home: Settings) -> None:
    appetites.sign(home, LENIENT, LATER)

    held = [Record.load(home).appetite(DAY + timedelta(days=days)) for days in (-1, 0, 9, 10)]
    strict = RiskAppetite.parse(APPETITE).digest
    assert [one and one.digest for one in held] == [None, strict, strict, LENIENT.digest]


def test_an_appetite_that_was_left_holds_again_only_by_two_new_signatures(home: Settings) -> None:
    strict = RiskAppetite.parse(APPETITE)
    appetites.sign(home, LENIENT, DAY)
    assert judgement.adopt(home, strict, role="risk_approver", on=DAY)["holds"] is False
    assert judgement.adopt(home, strict, role="business_approver", on=DAY)["holds"] is True


@pytest.mark.parametrize("approved", [False, True])
def test_a_decision_by_an_appetite_that_no_longer_holds_promotes_nothing(
    home: Settings, approved: bool
) -> None:
    measure(home)
    judgement.gate(home, 1, on=DAY)
    if approved:
        approve(home)
    appetites.sign(home, LENIENT, DAY)

    with pytest.raises(GateClosed, match="recorded before its risk appetite was signed"):
        promotion.promote(home, 1, on=DAY)
    measure(home)
    with pytest.raises(GateClosed, match="test 2 holds since"):
        promotion.promote(home, 1, on=DAY) if approved else approve(home)


# Days.


def test_the_gate_does_not_decide_for_a_day_before_the_figures(home: Settings) -> None:
    appetites.sign(home, RiskAppetite.parse(APPETITE), DAY)
    measure(home, on=LATER)
    with pytest.raises(GateClosed, match=f"was measured on {LATER}; {DAY} is before that day"):
        judgement.gate(home, 1, on=DAY)
    assert judgement.gate(home, 1, on=LATER).is_open


@pytest.fixture(scope="module")
def _two(_migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion from the first day, version 2 from a later one."""
    place = tmp_path_factory.mktemp("two")
    shutil.copytree(_migrated, place / "home")
    home = Settings(home=place / "home")
    begin(home)
    appetites.sign(home, RiskAppetite.parse(APPETITE), DAY)
    for seed, on in ((1, DAY), (2, LATER)):
        version = hand_in(home, place / str(seed), seed=seed, policy=f"step = {seed}\n")
        measure(home, version, on=on)
        judgement.gate(home, version, on=on)
        approve(home, version, on=on)
        promotion.promote(home, version, on=on)
    return home.home


@pytest.fixture
def two(empty_home: Settings, _two: Path) -> Settings:
    shutil.rmtree(empty_home.home)
    shutil.copytree(_two, empty_home.home)
    return empty_home


@pytest.mark.parametrize(
    ("on", "wanted", "states"),
    [
        (DAY - timedelta(days=1), None, ("submitted", "submitted")),
        (DAY, 1, ("champion", "submitted")),
        (LATER - timedelta(days=1), 1, ("champion", "submitted")),
        (LATER, 2, ("retired", "champion")),
    ],
)
def test_who_is_champion_is_told_as_of_the_day(
    two: Settings, on: date, wanted: int | None, states: tuple[str, str]
) -> None:
    document = status(two, on)

    assert document["champion"] == wanted
    assert tuple(one["state"] for one in document["versions"]) == states
    if wanted is None:
        assert document["promotion"] is None
        assert "champion: none" in shown(two, on)
        with pytest.raises(GateClosed, match=f"no champion on {on}; the first is one from {DAY}"):
            load_verified(two, "champion", on=on)
        return
    made = Record(Record.load(two).history, on).promotion()
    assert made is not None
    assert document["promotion"] == {
        "version": wanted,
        "effective_on": (DAY if wanted == 1 else LATER).isoformat(),
        "recorded_at": made.recorded_at,
        "entry": made.seq,
    }
    assert f"champion: version {wanted}" in shown(two, on)
    assert load_verified(two, "champion", on=on).version == wanted


def test_without_a_day_the_newest_promotion_counts(two: Settings) -> None:
    assert Record.load(two).champion() == load_verified(two, "champion").version == 2


def test_status_and_card_of_a_day_know_nothing_that_came_later(two: Settings) -> None:
    before = DAY - timedelta(days=1)
    (first, second) = status(two, before)["versions"]

    for one in (first, second):
        assert (one["gate"], one["approvals"], one["attempts"]) == ("not judged", [], [])
    assert "Not validated yet" in card.describe(Record.load(two, before), 1)
    assert status(two, before)["appetites"] == []
    assert len(status(two, DAY)["versions"][0]["approvals"]) == 2
    assert status(two, DAY)["versions"][1]["approvals"] == []


def test_a_pack_tells_the_truth_of_its_day(two: Settings, tmp_path: Path) -> None:
    evidence.write_pack(two, tmp_path / "pack.zip", on=DAY)
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        assert b"version 1: champion" in pack.read("cards/version-1.md")
        assert b"version 2: submitted" in pack.read("cards/version-2.md")


def test_nobody_is_promoted_for_a_day_before_the_present_champions(
    two: Settings,
) -> None:
    with pytest.raises(GateClosed, match=f"champion since {LATER}; a promotion for {DAY}"):
        promotion.promote(two, 1, on=DAY)
    assert promotion.promote(two, 1, on=LATER).previous == 2


def test_a_champion_that_was_judged_anew_is_promoted_anew_and_the_same_decision_once(
    champion: Settings,
) -> None:
    assert not promotion.promote(champion, 1, on=DAY).is_new
    measure(champion, auc=0.78)
    judgement.gate(champion, 1, on=LATER)
    approve(champion, on=LATER)
    done = [promotion.promote(champion, 1, on=LATER) for _ in range(2)]

    assert [(one.previous, one.is_new) for one in done] == [(1, True), (1, False)]
    assert status(champion, LATER)["promotion"]["effective_on"] == LATER.isoformat()


@pytest.mark.parametrize("days", [(0, 10), (10, 0)])
def test_an_appetite_holds_from_the_later_of_the_days_that_the_approvers_signed_for(
    home: Settings, days: tuple[int, int]
) -> None:
    for role, day in zip(("risk_approver", "business_approver"), days, strict=True):
        judgement.adopt(home, LENIENT, role=role, on=DAY + timedelta(days=day))
    held = [Record.load(home).appetite(DAY + timedelta(days=day)) for day in (9, 10)]
    strict = RiskAppetite.parse(APPETITE).digest
    assert [one and one.digest for one in held] == [strict, LENIENT.digest]


def test_policy_evidence_from_before_the_thresholds_is_measured_again_too(home: Settings) -> None:
    attach(home, 1, policy_evidence(home, "policy-check", 0.0), role=Role.DEVELOPER)
    appetites.sign(home, LENIENT, DAY)
    validator = Signer.open(home.keyring, Role.VALIDATOR)
    attestation.attest(home, measured_about(home), version=1, signer=validator)
    with pytest.raises(GateClosed, match="The policy-evidence of version 1 was recorded before"):
        judgement.gate(home, 1, on=DAY)
    attach(home, 1, policy_evidence(home, "policy-check", 0.0), role=Role.DEVELOPER)
    assert judgement.gate(home, 1, on=DAY).is_open
