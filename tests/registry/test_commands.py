from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from governance.evidence import Evidence
from governance.settings import Settings
from limitline.commands import app
from registry.attestation import attest
from registry.catalogue import CHAMPION, Catalogue
from registry.record import Record
from registry.signing import Signer
from registry.submission import ModelVersion

ROOT = Path(__file__).parents[2]
DAY = "2026-01-05"
VERBS = ("serve", "gate", "waive", "approve", "promote", "status", "verify", "evidence")


def _run(*arguments: str | Path, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    def shrink() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "limitline", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=shrink,
    )


def _say(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def attested(
    home: Settings, evidence: Callable[..., Evidence], signer: Callable[[str], Signer]
) -> Callable[..., None]:
    def make(**numbers: object) -> None:
        attest(home, evidence(**numbers), version=1, signer=signer("validator"))

    return make


def test_a_version_goes_from_evidence_to_champion(
    home: Settings, attested: Callable[..., None], appetite_file: Path, tmp_path: Path
) -> None:
    attested(raise_ratio={"female": 0.5, "male": 1.0})
    version = ("--version", "1", "--on", DAY)
    judge = ("gate", *version, "--appetite", appetite_file)
    _say(*judge, code=12)
    words = ("--owner", "Head of Conduct", "--reason", "a known gap, under remediation")
    waiver = ("--measure", "fairness.*", "--scope", "group=female", "--expires", "2026-06-30")
    assert "1 waivers for version 1" in _say("waive", *version, *waiver, *words)
    assert "The gate is open for version 1" in _say(*judge)
    _say("promote", *version, code=12)
    for role in ("risk_approver", "business_approver"):
        _say("approve", *version, "--as", role)
    assert "Version 1 is champion." in _say("promote", *version)
    assert "already" in _say("promote", *version)
    assert "champion: version 1" in _say("status", "--on", DAY)
    assert "1 promotions" in _say("verify")
    _say("evidence", "--output", tmp_path / "pack.zip", "--on", DAY)
    assert "1 promotions" in _say("verify", tmp_path / "pack.zip")


@pytest.mark.parametrize(("auc", "code"), [(0.77, 0), (0.5, 12), (0.7, 14)])
def test_the_gate_exits_as_it_decides_and_gives_its_reasons(
    home: Settings, attested: Callable[..., None], appetite_file: Path, auc: float, code: int
) -> None:
    attested(auc=auc)
    ask = ("gate", "--version", "1", "--on", DAY, "--appetite", appetite_file, "--json")
    done = _run(*ask)
    document = json.loads(done.stdout)

    assert done.returncode == code
    assert document["schema"] == "registry-gate/1"
    assert bool(document["decision"]["refusals"]) is (code != 0)
    assert ("accuracy.auc" in done.stderr) is (code != 0)
    assert "Traceback" not in done.stderr


def test_an_alias_moved_outside_exits_15(home: Settings) -> None:
    Catalogue.open(home).set_alias(CHAMPION, 1)

    assert "points at version 1" in _say("reconcile", "--on", DAY, code=15)


def test_an_edited_model_exits_15(home: Settings, submitted: ModelVersion) -> None:
    (submitted.folder / "model.py").write_text("edited")

    assert "model.py was changed" in _say("verify", code=15)


def test_an_edited_ledger_exits_15(home: Settings) -> None:
    (home.ledger / "checkpoint.txt").write_text("edited")

    for verb in ("verify", "status"):
        assert "checkpoint is damaged" in _say(verb, code=15)


@pytest.mark.parametrize(
    "arguments",
    [
        ("gate", "--version", "9", "--on", DAY),
        ("approve", "--version", "1", "--as", "risk_approver", "--on", "yesterday"),
        ("waive", "--version", "1", "--measure", "x", "--owner", "o", "--reason", "r"),
    ],
)
def test_a_request_that_makes_no_sense_exits_2(
    home: Settings, appetite_file: Path, arguments: tuple[str, ...]
) -> None:
    extra = ("--appetite", appetite_file) if arguments[0] == "gate" else ()
    done = CliRunner().invoke(app, [*map(str, (*arguments, *extra))])

    assert done.exit_code == 2


def test_a_home_without_keys_exits_11_and_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "nothing"))

    assert "limitline keys init" in _say("status", code=11)


def test_init_twice_keeps_keys_and_ledger(home: Settings) -> None:
    first, again = (json.loads(_say("keys", "init", "--json")) for _ in range(2))

    assert (first.pop("created"), again.pop("created")) == (True, False)
    assert first == again
    assert first["entries"] == 4


@pytest.mark.parametrize("limit", [0, 4_000])
def test_a_full_home_exits_16_and_keeps_the_ledger(
    home: Settings, attested: Callable[..., None], appetite_file: Path, limit: int
) -> None:
    attested()
    done = _run("gate", "--version", "1", "--on", DAY, "--appetite", appetite_file, limit=limit)

    assert done.returncode == 16, done.stderr
    assert "Traceback" not in done.stderr
    assert Record.load(home).decision(1) is None
    assert "open" in _say("gate", "--version", "1", "--on", DAY, "--appetite", appetite_file)


def test_init_in_a_full_home_leaves_no_half_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "full"))
    assert _run("keys", "init", limit=0).returncode == 16
    assert not (tmp_path / "full" / "keyring" / "signing").exists()
    assert _run("keys", "init").returncode == 0


OFFLINE = """
import sys
from typer.testing import CliRunner
from limitline.commands import app
about = ["--version", "1", "--on", "2026-01-05"]
waiver = ["--measure", "a", "--owner", "o", "--reason", "r", "--expires", "2026-06-30"]
for verb in (["status"], ["verify"], ["gate", *about, "--appetite", sys.argv[1]],
             ["waive", *about, *waiver], ["approve", *about, "--as", "risk_approver"]):
    assert CliRunner().invoke(app, verb).exit_code in (0, 2), verb
print(sorted(set(sys.modules) & {"mlflow", "sklearn", "skops", "pandas"}))
"""


def test_verbs_that_need_no_catalogue_do_not_import_it(
    champion: Settings, appetite_file: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, appetite_file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "[]\n"


def test_help_is_fast_and_names_every_verb(home: Settings) -> None:
    started = time.monotonic()
    said = _run("--help").stdout

    assert all(f"│ {verb} " in said for verb in VERBS)
    assert time.monotonic() - started < 5


def test_every_verb_that_reports_speaks_json(home: Settings) -> None:
    for schema, verb in {
        "keys-init/1": ("keys", "init"),
        "registry-status/1": ("status",),
        "registry-verify/2": ("verify",),
    }.items():
        assert json.loads(_say(*verb, "--json"))["schema"] == schema
