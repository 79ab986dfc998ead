"""A version's own policy is checked and weighed on the book, and the gate reads what was found."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from decisions import activation, book, features, policy
from decisions.policy import LimitPolicy
from decisions.policy_check import VIOLATIONS, as_evidence, check
from decisions.policy_review import STATIC_DIGEST
from governance.errors import ContractError
from governance.evidence import Evidence
from governance.outcome import Outcome
from registry import attestation, judgement
from registry.record import Record, read_evidence
from registry.signing import Kind, Role, Signer
from tests import appetites

if TYPE_CHECKING:
    from tests.conftest import World

ON = date(2005, 10, 1)
SEARCH = activation.Search(inputs=30_000, seed=0)
QUESTION = activation.Question(as_of=ON)


def values(evidence: Evidence) -> dict[tuple[str, Mapping[str, str]], float | None]:
    return {(m.measure, " ".join(m.scope.values())): m.value for m in evidence.measurements}


def test_the_search_is_attached_to_the_version_it_searched(own_world: World) -> None:
    document, attached = activation.check(own_world.settings, "champion", search=SEARCH, on=ON)
    again = activation.check(own_world.settings, "champion", search=SEARCH, on=ON)[1]
    entry = Record.load(own_world.settings).attached(own_world.champion)["policy-check"]

    assert document["outcome"] == "PASS"
    assert entry.seq == attached.entry == again.entry
    assert entry.statement.person.role == "developer"
    evidence = read_evidence(entry)
    assert evidence.subject["policy"] == document["policy_digest"]
    total = evidence.measurements[0]
    assert (total.measure, total.value, total.n) == (VIOLATIONS, 0.0, 30_000)


def test_a_broken_law_is_counted_and_a_silent_rule_cannot_tell() -> None:
    rules = LimitPolicy.parse(policy.packaged("uci_demo"))
    looser = policy.packaged("consumer_sme").replace("raise_scale = 0.50", "raise_scale = 1.50")
    broken = as_evidence(check(LimitPolicy.parse(looser), inputs=65_536, seed=0), on=ON)
    silent = as_evidence(check(rules, inputs=20, seed=0), on=ON)

    assert (broken.measurements[0].value or 0) > 100
    assert broken.measurements[0].outcome is Outcome.INFO
    assert silent.measurements[0].outcome is Outcome.INCONCLUSIVE
    assert "never came into play" in silent.measurements[0].reason
    assert {m.outcome for m in broken.measurements} <= {Outcome.INFO, Outcome.INCONCLUSIVE}


def test_the_impact_counts_what_a_decision_of_the_same_book_does(own_world: World) -> None:
    settings, keyring = own_world.settings, own_world.keyring
    attached = activation.weigh(settings, "champion", table="uci-credit", question=QUESTION)
    found = values(attached.evidence)
    table = book.open_table(settings, "uci-credit", keyring=keyring)
    decided = book.decide(settings, table, keyring=keyring, as_of=ON).log.manifest["counts"]

    for action, number in decided["actions"].items():
        assert found["policy.impact.action", f"new {action}"] == pytest.approx(number / 2_000)
    assert found["policy.impact.limits", "new TWD"] == decided["limits_after_minor"]
    assert found["policy.impact.limits", "old TWD"] == decided["limits_before_minor"]
    assert found["policy.impact.action", "old hold"] == 1.0
    assert attached.evidence.subject["against"] == STATIC_DIGEST
    assert attached.evidence.subject["data"] == table.digest
    assert any("no other version is champion" in line for line in attached.evidence.not_evidenced)


def test_a_challenger_is_weighed_against_the_champions_policy(own_world: World) -> None:
    from governance.contract import Purpose
    from privacy import gate
    from training import candidate, recipes

    settings = own_world.settings
    with sqlite3.connect(settings.mlflow_database) as connection:
        # The catalogue of a copied home must write into the copy.
        place = settings.mlflow_artifacts.as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ?", (place,))
    connection.close()
    table = gate.latest(
        settings.features, contract_id="uci-credit", purpose=Purpose.TRAINING,
        keyring=own_world.keyring,
    )  # fmt: skip
    text = policy.packaged("uci_demo")
    for row in ("A = [1.10, 1.30, 1.30, 1.20]", "B = [1.05, 1.20, 1.20, 1.10]"):
        assert row in text
        text = text.replace(row, f"{row[0]} = [1.00, 1.00, 1.00, 1.00]")
    job = candidate.Job(
        table=table,
        target=None,
        features_text=features.packaged("uci_features"),
        policy_text=text,
        recipe=recipes.CHAMPION,
    )
    version = candidate.train(job, settings=settings, clock=lambda: datetime.now(UTC)).version
    attached = activation.weigh(settings, "latest", table="uci-credit", question=QUESTION)
    found = values(attached.evidence)
    rules = LimitPolicy.parse(policy.packaged("uci_demo"))

    assert attached.version == version.version != own_world.champion
    assert attached.evidence.subject["against"] == rules.digest
    # Its matrix raises nobody, so it moves exactly those lower whom the champion's policy raises.
    lower = found["policy.impact.moved", "lower"]
    assert lower is not None
    assert lower > 0.1
    assert lower == found["policy.impact.action", "old raise"]
    assert found.get(("policy.impact.action", "new raise"), 0.0) == 0.0
    assert found["policy.impact.moved", "higher"] == 0.0


def test_a_column_that_is_not_released_is_refused_before_anything_is_signed(
    own_world: World,
) -> None:
    question = activation.Question(as_of=ON, by=("sex",))
    with pytest.raises(ContractError, match="lacks the columns sex"):
        activation.weigh(own_world.settings, "champion", table="uci-credit", question=question)
    assert Record.load(own_world.settings).attached(own_world.champion) == {}


def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limitline", "policy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_the_verbs_attach_what_the_demo_appetite_asks_of_a_policy(
    own_world: World,
) -> None:
    settings, champion = own_world.settings, own_world.champion
    appetites.sign(settings, judgement.read_appetite(None), ON)
    (measured,) = Record.load(settings).of(Kind.EVIDENCE)
    validator = Signer.open(settings.keyring, Role.VALIDATOR)
    attestation.attest(settings, read_evidence(measured), version=champion, signer=validator)
    checked = verb(
        "check", "--version", "champion", "--on", "2005-10-01", "--inputs", "100000", "--json"
    )
    weighed = verb("impact", "--version", "champion", "--as-of", "2005-10-01")
    assert checked.returncode == 0, checked.stderr
    assert weighed.returncode == 0, weighed.stderr
    assert json.loads(checked.stdout)["attached"]["signed_by"] == "developer"
    assert "signed by the developer" in " ".join(weighed.stdout.split())

    decision = judgement.gate(settings, champion, on=ON)
    missing = judgement.unmeasured(champion, decision)
    assert [line for line in missing if "Run `" in line] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "policy.toml", "--version", "1"),
        ("impact", "--version", "1", "--policy", "policy.toml"),
        ("impact", "--policy", "policy.toml"),
    ],
)
def test_a_file_and_a_version_are_not_mixed(arguments: tuple[str, ...]) -> None:
    assert verb(*arguments).returncode == 2


def test_an_impact_is_not_measured_on_a_table_for_training(own_world: World) -> None:
    from governance.contract import Purpose
    from privacy import gate

    table = gate.latest(
        own_world.settings.features, contract_id="uci-credit", purpose=Purpose.TRAINING,
        keyring=own_world.keyring,
    )  # fmt: skip
    with pytest.raises(ContractError, match="purpose training cannot be decided on"):
        activation.weigh(own_world.settings, "champion", table=table, question=QUESTION)
