from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from governance.errors import IntegrityError
from governance.settings import Settings
from registry import evidence as pack
from registry import offline, rules
from registry.signing import Signer
from registry.submission import ModelVersion
from tests.registry.forging import forge_event

DAY = date(2026, 1, 5)


@pytest.fixture
def unpacked(champion: Settings, tmp_path: Path) -> Path:
    pack.write_pack(champion, tmp_path / "pack.zip", on=DAY)
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(tmp_path / "pack")
    return tmp_path / "pack"


def _outside(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the pack's own verifier, where the product cannot be imported."""
    return subprocess.run(
        [sys.executable, "-I", "verify.py", ".", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_pack_verifies_where_the_product_is_not_installed(unpacked: Path) -> None:
    done = _outside(unpacked)

    assert done.returncode == 0, done.stderr
    assert "VERIFIED: 10 entries, 1 promotions with four eyes." in done.stdout
    assert "risk_approver" in done.stdout


def test_the_same_ledger_on_the_same_day_is_the_same_pack(
    champion: Settings, tmp_path: Path
) -> None:
    for name in ("a.zip", "b.zip"):
        pack.write_pack(champion, tmp_path / name, on=DAY)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_pack_says_what_no_machine_checked(unpacked: Path) -> None:
    assert "read what was signed" in (unpacked / "NOT-MACHINE-CHECKABLE.md").read_text()
    assert "one machine" in (unpacked / "README.md").read_text()
    assert (unpacked / "verify.py").read_bytes() == Path(offline.__file__).read_bytes()
    assert (unpacked / "rules.py").read_bytes() == Path(rules.__file__).read_bytes()


def test_a_model_folder_is_held_against_its_manifest(
    unpacked: Path, submitted: ModelVersion
) -> None:
    asked = ("--model", str(submitted.folder), "--version", "1")
    assert "equals the signed manifest" in _outside(unpacked, *asked).stdout

    (submitted.folder / "MLmodel").write_text("edited")
    done = _outside(unpacked, *asked)
    assert done.returncode == 15
    assert "MLmodel was changed" in done.stderr


def _drop_a_line(folder: Path) -> None:
    path = folder / "ledger.jsonl"
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[1:]))


def _edit_a_line(folder: Path) -> None:
    path = folder / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"recorded_at":"2', b'"recorded_at":"1', 1))


def _swap_people(folder: Path) -> None:
    path = folder / "people.json"
    document = json.loads(path.read_text())
    keys = [person["public_key"] for person in document["people"]]
    document["people"][0]["public_key"], document["people"][4]["public_key"] = keys[4], keys[0]
    path.write_text(json.dumps(document))


def _edit_receipt(folder: Path) -> None:
    path = folder / "statements" / "00006-approval.json"
    document = json.loads(path.read_text())
    document["entry"]["subject"] = "credit-limit@2"
    path.write_text(json.dumps(document))


def _edit_readable_statement(folder: Path) -> None:
    path = folder / "statements" / "00005-gate-decision.json"
    document = json.loads(path.read_text())
    document["statement"]["predicate"]["decision"]["outcome"] = "BREACH"
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("attack", "problem"),
    [
        (_drop_a_line, "holds 9 entries; its head says 10"),
        (_edit_a_line, "history was rewritten"),
        (_swap_people, "only the root|may not sign|A key is listed"),
        (_edit_receipt, "00006-approval.json is not what the ledger holds"),
        (_edit_readable_statement, "00005-gate-decision.json is not what the ledger holds"),
        (
            lambda folder: (folder / "checkpoint.txt").write_text(
                "limitline.dev/ledger\n7\nAA==\n\n-"
            ),
            "checkpoint is damaged",
        ),
        (lambda folder: (folder / "people.json").unlink(), "people.json"),
    ],
    ids=["dropped", "edited", "keys", "receipt", "readable", "checkpoint", "missing"],
)
def test_an_edited_pack_is_refused_although_the_ledgers_key_listed_its_files_anew(
    champion: Settings, unpacked: Path, attack: Callable[[Path], object], problem: str
) -> None:
    attack(unpacked)
    (unpacked / offline.LIST).unlink()
    keeper = Signer.open(champion.keyring, "ledger")
    listed = pack.signed_list(offline.read_folder(unpacked), DAY, keeper)
    (unpacked / offline.LIST).write_bytes(listed)

    assert _outside(unpacked).returncode == 15
    with pytest.raises(IntegrityError, match=problem):
        pack.verify(unpacked)


def test_people_and_heads_kept_elsewhere_are_used(
    unpacked: Path, champion: Settings, tmp_path: Path
) -> None:
    people = shutil.copy(unpacked / "people.json", tmp_path / "people.json")
    head = shutil.copy(unpacked / "checkpoint.txt", tmp_path / "head.txt")
    assert pack.verify(unpacked, people_file=Path(people), witness_file=Path(head))["entries"] == 10

    from registry import signing

    signing.create_people(tmp_path / "others")
    with pytest.raises(IntegrityError, match=r"by no key that people\.json has as ledger"):
        pack.verify(unpacked, people_file=tmp_path / "others" / "signing" / "people.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approvals": [6]}, "each approver role"),
        ({"approvals": [6, 6]}, "each approver role"),
        ({"approvals": [6, 5]}, "approval that was not in force"),
        ({"approvals": [6, 99]}, "approval that was not in force"),
        ({"on": "2030-01-01"}, "not in force"),
        ({"on": "2026-1-5"}, "does not say what"),
        ({"binds": {"decision": "0" * 64}}, "not bound to the present"),
    ],
)
def test_a_promotion_that_the_ledgers_key_made_up_makes_no_pack(
    champion: Settings, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    forge_event(champion, 1, **{"previous": 1, **change})

    with pytest.raises(IntegrityError, match=words):
        pack.write_pack(champion, tmp_path / "pack.zip", on=DAY)
    assert not (tmp_path / "pack.zip").exists()


def test_a_payload_is_what_the_receipt_shows(unpacked: Path) -> None:
    receipt = json.loads((unpacked / "statements" / "00006-approval.json").read_text())
    payload = base64.b64decode(receipt["entry"]["envelope"]["payload"])

    assert json.loads(payload) == receipt["statement"]
