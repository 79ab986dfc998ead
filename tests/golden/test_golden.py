"""What any released version signed or sealed is read and verified by the code of today.

A red test here means that evidence in somebody's archive could no longer be checked. The code has
to learn to read the old form beside the new one; the golden sets are never written anew.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from decisions.decision_log import DecisionLog
from decisions.model_reasons import Method
from governance import gate
from governance.errors import ContractError, IntegrityError, KeyringError, LimitlineError
from governance.evidence import Decision, Waiver
from privacy.feature_table import FeatureTable, Part
from privacy.keyring import Keyring
from registry import evidence, rules
from registry.record import Record, read_decision, read_evidence
from tests.golden.write import DECLARED, GOLDEN, TEST_KEY, sums

SETS = sorted(path for path in GOLDEN.iterdir() if (path / "expected.json").is_file())
EXACT = {"explanation.json": Method}
pytestmark = pytest.mark.parametrize("golden", SETS, ids=lambda path: path.name, indirect=True)


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of one set, with the modes that a checkout does not keep."""
    folder = tmp_path / "golden"
    shutil.copytree(request.param, folder)
    for file in (folder / "ring").iterdir():
        file.chmod(0o600)
    for place in (folder / "ring", table_of(folder)):
        place.chmod(0o700)
    return folder


def table_of(golden: Path) -> Path:
    """Return the folder of the sealed table, whose name says which table it is."""
    (place,) = (golden / "table").iterdir()
    return place


def expected(golden: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden / "expected.json").read_text("utf-8"))
    return found


def unpacked(golden: Path) -> Path:
    with zipfile.ZipFile(golden / "pack.zip") as archive:
        archive.extractall(golden / "pack")
    return golden / "pack"


def record(golden: Path) -> Record:
    """Return the statements of the pack as the registry reads those of its own ledger."""
    bodies = (unpacked(golden) / "ledger.jsonl").read_bytes().splitlines()
    return Record(rules.read_history(bodies))


def test_the_pack_verifies(golden: Path) -> None:
    found = evidence.verify(golden / "pack.zip")
    wanted = expected(golden)["pack"]
    assert {name: found[name] for name in wanted if name != "kinds"} == {
        name: wanted[name] for name in wanted if name != "kinds"
    }


def test_the_pack_verifies_by_the_verifier_that_it_brought(golden: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "."],
        cwd=unpacked(golden),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert expected(golden)["pack"]["root"] in done.stdout


def test_every_kind_of_statement_is_read_by_the_registry(golden: Path) -> None:
    found = record(golden)
    assert [e.statement.kind.value for e in found.entries] == expected(golden)["pack"]["kinds"]
    assert found.champion() == 1
    assert found.pending() is None
    assert [finding.closed_on is None for finding in found.findings(1)] == [False]
    for entry in (found.evidence(1), *found.attached(1).values()):
        assert entry is not None
        assert read_evidence(entry).digest == entry.statement.predicate["digest"]


def test_the_gate_decides_again_what_it_decided(golden: Path) -> None:
    found = record(golden)
    signed = found.decision(1)
    measured = found.evidence(1)
    assert signed is not None
    assert measured is not None
    decision, appetite = read_decision(signed)
    attached = [read_evidence(entry) for entry in found.attached(1).values()]
    waivers: tuple[Waiver, ...] = found.waivers(1)
    on: date = decision.decided_on
    again: Decision = gate.judge(read_evidence(measured), appetite, waivers, on, attached=attached)
    assert again.digest == decision.digest == signed.statement.predicate["digest"]
    assert again.is_open
    assert again.waived


def test_a_sealed_table_is_read(golden: Path) -> None:
    ring = Keyring.open(golden / "ring")
    table = FeatureTable.open(table_of(golden), keyring=ring, part=Part.ALL)
    found = {"digest": table.digest, "rows": table.num_rows, "sums": sums(table.read())}
    assert found == expected(golden)["table"]


def test_a_vintage_of_decisions_is_read(golden: Path) -> None:
    log = DecisionLog.open(golden / "decisions", keyring=Keyring.open(golden / "ring"))
    rows = log.read()
    found = {"digest": log.digest, "rows": rows.num_rows, "sums": sums(rows)}
    assert found == expected(golden)["decisions"]
    assert log.manifest["counts"]["customers"] == rows.num_rows


def test_what_people_reviewed_still_says_the_same(golden: Path) -> None:
    wanted = expected(golden)["declared"]
    assert {file: DECLARED[file][0].load(golden / file).digest for file in wanted} == wanted


def test_what_explains_a_model_is_read_to_the_last_bit(golden: Path) -> None:
    for file, digest in expected(golden)["exact"].items():
        document = EXACT[file].loads((golden / file).read_bytes())
        assert document.dumps() == (golden / file).read_bytes()
        assert document.digest == digest


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("checkpoint.txt", r"checkpoint\.txt was changed"),
        ("ledger.jsonl", r"ledger\.jsonl was changed"),
        ("people.json", r"people\.json"),
        ("statements", r"statements/00000-people\.json was changed"),
    ],
)
def test_a_pack_with_one_byte_flipped_is_refused(golden: Path, file: str, problem: str) -> None:
    pack = unpacked(golden)
    path = pack / file if file != "statements" else sorted((pack / file).iterdir())[0]
    flip(path)
    with pytest.raises(IntegrityError, match=problem):
        evidence.verify(pack)


@pytest.mark.parametrize(
    ("file", "error", "problem"),
    [
        ("table/*/manifest.json", IntegrityError, "manifest of uci-credit-training-.* was altered"),
        (
            "table/*/open.parquet",
            IntegrityError,
            r"open\.parquet in uci-credit-training-.* was altered",
        ),
        (
            "table/*/sealed.parquet",
            IntegrityError,
            r"sealed\.parquet in uci-credit-training-.* was altered",
        ),
        ("decisions/manifest.json", IntegrityError, "manifest of the decisions .* was altered"),
        ("decisions/decisions.parquet", IntegrityError, r"decisions\.parquet .* was altered"),
        ("ring/ring.json", KeyringError, r"ring\.json"),
        ("ring/kek.key", KeyringError, r"does not open ring\.json"),
    ],
)
def test_a_sealed_file_with_one_byte_flipped_is_refused(
    golden: Path, file: str, error: type[LimitlineError], problem: str
) -> None:
    flip(next(golden.glob(file)))

    def read() -> None:
        ring = Keyring.open(golden / "ring")
        FeatureTable.open(table_of(golden), keyring=ring, part=Part.ALL).read()
        DecisionLog.open(golden / "decisions", keyring=ring).read()

    with pytest.raises(error, match=problem):
        read()


def digest_of(file: str, path: Path) -> str:
    if file in EXACT:
        return str(EXACT[file].loads(path.read_bytes()).digest)
    return str(DECLARED[file][0].load(path).digest)


@pytest.mark.parametrize("file", [*DECLARED, *EXACT])
def test_a_declared_file_with_one_digit_changed_has_another_digest(golden: Path, file: str) -> None:
    """Every digit outside a comment is changed once; some make a file that cannot be meant."""
    wanted = (expected(golden)["declared"] | expected(golden)["exact"])[file]
    text = (golden / file).read_text("utf-8")
    digits = [found.start() for found in re.finditer(r"(?<=[. ])[1-8](?=[\s,\d])", text)]
    # What a comment says is not in the digest.
    digits = [place for place in digits if "#" not in text[text.rindex("\n", 0, place) : place]]
    read = refused = 0
    for place in digits:
        changed = f"{text[:place]}{int(text[place]) + 1}{text[place + 1 :]}"
        (golden / file).write_text(changed, "utf-8")
        try:
            found = digest_of(file, golden / file)
        except (ContractError, IntegrityError):
            refused += 1
        else:
            read += 1
            assert found != wanted, f"character {place} is not in the digest"
    assert read > refused


def test_the_keys_of_the_set_protect_nothing(golden: Path) -> None:
    assert bytes.fromhex((golden / "ring" / "kek.key").read_text()) == TEST_KEY
    assert TEST_KEY.startswith(b"TEST KEY")
    private = b"PRIVATE" + b" KEY"
    packed = [*unpacked(golden).rglob("*"), *golden.rglob("*")]
    assert not [path for path in packed if path.is_file() and private in path.read_bytes()]


def flip(path: Path) -> None:
    """Change the lowest bit of a byte in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
