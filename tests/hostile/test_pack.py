"""An evidence pack in hostile hands: whatever is touched is refused by name, without a traceback.

Three attackers: one who holds the pack and no key, one who holds the ledger's key as well and so
signs the list anew, and one who holds every key and so signs entries of any shape.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from governance.errors import IntegrityError
from governance.evidence import Finding, Severity
from governance.settings import Settings
from limitline.commands import app
from registry import evidence, findings, offline, signing
from registry import people as roll
from registry.ledger import Ledger
from registry.record import Record, append_event
from registry.signing import People, Signer

DAY = date(2026, 1, 5)
Files = dict[str, bytes]

NAMED = r"more is not|\.(json|jsonl|txt|md|py)|zip|pack \d|was added|is a link|checkpoint|[Ee]ntry"
"""What every refusal does: it names a file, an entry or the zip."""


@pytest.fixture(scope="session")
def keyed(_champion_template: Path) -> Settings:
    """The home behind the pack; tests only read it."""
    return Settings(home=_champion_template)


@pytest.fixture(scope="session")
def packed(keyed: Settings, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("packed") / "pack.zip"
    evidence.write_pack(keyed, path, on=DAY)
    return path.read_bytes()


@pytest.fixture
def files(packed: bytes) -> Files:
    return offline.read_zip(packed, "pack.zip")


@pytest.fixture
def place(tmp_path: Path) -> Callable[[Mapping[str, bytes] | bytes], Path]:
    """Lay out one more pack: bytes as a zip, files as a folder."""

    def lay_out(what: Mapping[str, bytes] | bytes) -> Path:
        path = tmp_path / f"pack {len(list(tmp_path.iterdir()))}"
        if isinstance(what, bytes):
            path.write_bytes(what)
            return path
        for name, data in what.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path

    return lay_out


def relisted(files: Files, home: Settings) -> Files:
    """Sign the list of files anew, as the holder of the ledger's key can."""
    others = {name: data for name, data in files.items() if name != offline.LIST}
    listed = evidence.signed_list(others, DAY, Signer.open(home.keyring, "ledger"))
    return {**others, offline.LIST: listed}


def said_of(path: Path, **kept: Path) -> str:
    """Return why the pack at `path` is refused; it is always by the exit code for integrity."""
    with pytest.raises(IntegrityError, match=NAMED) as caught:
        evidence.verify(path, **kept)
    return str(caught.value)


def test_the_pack_is_sound_as_zip_and_as_folder(
    packed: bytes, files: Files, place: Callable[..., Path]
) -> None:
    for sound in (packed, files):
        assert evidence.verify(place(sound))["files"] == len(files)


# One who holds the pack, and no key.


def test_every_file_of_a_pack_is_in_its_signed_list(files: Files) -> None:
    listed = json.loads(files[offline.LIST])["files"]

    assert {file["path"] for file in listed} == files.keys() - {offline.LIST}
    for name in ("status.json", "verify.py", "README.md", "cards/version-1.md"):
        assert name in files


def test_a_flipped_bit_anywhere_in_any_file_is_refused_by_the_files_name(
    files: Files, place: Callable[..., Path]
) -> None:
    folder = place(files)
    for name, data in files.items():
        step = max(1, len(data) // 9) if name != offline.LIST else 41
        for at in [*range(0, len(data), step), len(data) - 1]:
            flipped = bytearray(data)
            flipped[at] ^= 1 << at % 8
            (folder / name).write_bytes(flipped)
            assert name in said_of(folder), (name, at)
        (folder / name).write_bytes(data)
    evidence.verify(folder)


def test_a_flipped_bit_anywhere_in_the_zip_is_refused(
    packed: bytes, place: Callable[..., Path]
) -> None:
    path = place(packed)
    directory = zipfile.ZipFile(io.BytesIO(packed)).start_dir
    inside, outside = range(0, directory, 997), range(directory, len(packed), 13)
    headers = [at + field for at in _headers(packed) for field in range(30)]
    for at in [*inside, *outside, *headers[::7], len(packed) - 1]:
        flipped = bytearray(packed)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        assert said_of(path), at


def _headers(packed: bytes) -> list[int]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return [entry.header_offset for entry in archive.infolist()]


@pytest.mark.parametrize("size", [0, 1, 21, 22, 1000, -1, -22, -200])
def test_a_zip_that_was_cut_off_is_refused(
    packed: bytes, place: Callable[..., Path], size: int
) -> None:
    assert said_of(place(packed[:size]))


def test_a_file_that_was_removed_cut_off_or_renamed_is_named(
    files: Files, place: Callable[..., Path]
) -> None:
    for name in files:
        without = {other: data for other, data in files.items() if other != name}
        assert name in said_of(place(without))
        assert name in said_of(place({**files, name: files[name][:-1]}))
        assert name in said_of(place({**without, name.upper(): files[name]}))


@pytest.mark.parametrize(
    "name",
    [
        *("more.txt", ".hidden", "cards/version-2.md", "old/ledger.jsonl", "Ledger.jsonl"),
        *("statements/00010-approval.json", "verify.pyc", "__pycache__/json.pyc", "json.py"),
    ],
)
def test_an_added_file_is_named(files: Files, place: Callable[..., Path], name: str) -> None:
    added = {**files, name: files["ledger.jsonl"]}

    assert f"{name} was added" in said_of(place(added))
    assert f"{name} was added" in said_of(place(offline.zip_bytes(added)))


def test_an_empty_folder_counts_as_added(files: Files, place: Callable[..., Path]) -> None:
    folder = place(files)
    (folder / "empty").mkdir()

    assert "empty/ was added" in said_of(folder)


@pytest.mark.parametrize("is_folder", [False, True])
def test_links_are_refused(files: Files, place: Callable[..., Path], is_folder: bool) -> None:
    folder = place(files)
    name = "cards" if is_folder else "status.json"
    (folder / name).rename(folder.with_name("elsewhere"))
    (folder / name).symlink_to(folder.with_name("elsewhere"))

    assert f"{name} is a link" in said_of(folder)


def test_a_pipe_is_refused_without_waiting_for_it(files: Files, place: Callable[..., Path]) -> None:
    folder = place(files)
    os.mkfifo(folder / "notes")

    assert "notes is a link or a special file" in said_of(folder)


@pytest.mark.parametrize(
    "name", [*("status.json", "people.json"), "statements/00006-approval.json"]
)
def test_a_key_that_occurs_twice_is_refused(
    files: Files, place: Callable[..., Path], name: str
) -> None:
    doubled = files[name].replace(b"{", b'{"schema": "x",', 1).replace(b"{", b'{"schema": "x",', 1)

    assert name in said_of(place({**files, name: doubled}))


def test_a_key_that_occurs_twice_in_the_list_is_refused(
    files: Files, place: Callable[..., Path]
) -> None:
    listed = files[offline.LIST].replace(b'{"files"', b'{"on":"2030-01-01","files"', 1)

    assert offline.LIST in said_of(place({**files, offline.LIST: listed}))


@pytest.mark.parametrize(
    "listed",
    [
        *(b"", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b'{"files":[NaN]}', b"{'a': 1}"),
        *(b'{"files":1e400}', b'{"files":[],"keyid":[],"signature":"","schema":1,"on":2}'),
    ],
)
def test_a_list_that_is_something_else_is_refused_by_its_name(
    files: Files, place: Callable[..., Path], listed: bytes
) -> None:
    assert offline.LIST in said_of(place({**files, offline.LIST: listed}))


def test_every_part_of_the_list_may_be_missing_or_of_another_type_and_is_refused(
    files: Files, place: Callable[..., Path]
) -> None:
    folder = place(files)
    for changed in mutations(json.loads(files[offline.LIST])):
        (folder / offline.LIST).write_bytes(offline.canonical(changed) + b"\n")
        assert said_of(folder)


def test_a_list_that_another_key_signed_is_refused(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    others = {name: data for name, data in files.items() if name != offline.LIST}
    listed = evidence.signed_list(others, DAY, Signer.open(keyed.keyring, "developer"))

    assert f"{offline.LIST} is signed by no key that people.json has as ledger" in said_of(
        place({**others, offline.LIST: listed})
    )


def test_a_list_signed_as_a_statement_is_refused(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    listed = json.loads(files[offline.LIST])
    signature = listed.pop("signature")
    again = Signer.open(keyed.keyring, "ledger").sign(offline.canonical(listed)).signature
    listed["signature"] = base64.b64encode(again).decode()
    assert listed["signature"] != signature

    listed_anew = {**files, offline.LIST: offline.canonical(listed) + b"\n"}
    assert f"{offline.LIST} was changed" in said_of(place(listed_anew))


# Tricks that only a zip has.


def _zip(
    entries: list[tuple[zipfile.ZipInfo | str, bytes]], how: int = zipfile.ZIP_STORED
) -> bytes:
    packed = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch, zipfile.ZipFile(packed, "w", how) as archive:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # the same name twice is the attack
        for entry, data in entries:
            archive.writestr(entry, data)
    return packed.getvalue()


def _sound(files: Files) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
    made = []
    for name, data in sorted(files.items()):
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.create_system = 3
        made.append((entry, data))
    return made


def test_a_name_that_is_in_the_zip_twice_is_refused(
    files: Files, place: Callable[..., Path]
) -> None:
    for name in ("ledger.jsonl", "status.json", offline.LIST):
        twice = [*_sound(files), (name, files[name])]
        assert f"{name} is in the zip twice" in said_of(place(_zip(twice)))


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "C:evil",
        "a\\b",
        "status.json ",
        "STATUS.JSON",
        "sta\u0074us\u200b.json",
    ],
)
def test_an_odd_name_in_the_zip_is_refused_and_nothing_is_written(
    files: Files, place: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    path = place(_zip([*_sound(files), (name, b"x")]))
    before = sorted(tmp_path.rglob("*"))

    assert f"{offline.shown(name)} was added" in said_of(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_zip_says_about_a_file_besides_its_bytes_is_held_too(
    files: Files, place: Callable[..., Path]
) -> None:
    for field, value in (
        *(("date_time", (2030, 1, 1, 0, 0, 0)), ("external_attr", 0o120777 << 16)),
        *(("comment", b"read me"), ("extra", b"xx\x00\x00"), ("create_system", 0)),
    ):
        entries = _sound(files)
        wanted = next(
            entry for entry, _ in entries if getattr(entry, "filename", "") == "verify.py"
        )
        setattr(wanted, field, value)
        assert "verify.py" in said_of(place(_zip(entries))), field


@pytest.mark.parametrize(
    "attack",
    [
        lambda packed: packed + b"more",
        lambda packed: b"more" + packed,
        lambda packed: packed[:-2] + struct.pack("<H", 4) + b"more",
        lambda packed: packed + packed,
    ],
    ids=["behind", "before", "comment", "twice"],
)
def test_bytes_around_the_zip_are_refused(
    packed: bytes, place: Callable[..., Path], attack: Callable[[bytes], bytes]
) -> None:
    assert "zip" in said_of(place(attack(packed)))


def test_another_order_and_packing_anew_are_refused(
    files: Files, place: Callable[..., Path]
) -> None:
    assert "header of" in said_of(place(_zip(_sound(files)[::-1])))
    entries = _sound(files)
    entries[0] = (entries[0][0].filename, entries[0][1])
    one = io.BytesIO(_zip(entries[1:]))
    with zipfile.ZipFile(one, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entries[0][0], entries[0][1])
    assert f"{entries[0][0]} is not stored as a pack stores it" in said_of(place(one.getvalue()))
    anew = _zip([(name, data) for name, data in files.items()], zipfile.ZIP_DEFLATED)
    assert "unpack it and verify the folder" in said_of(place(anew))


def test_a_zip_that_would_blow_up_is_refused_unread(
    files: Files, place: Callable[..., Path]
) -> None:
    bomb = _zip([*_sound(files), ("more", b"\0" * 50_000_000)], zipfile.ZIP_DEFLATED)
    huge = bytearray(_zip([("more", b"x")]))
    struct.pack_into("<I", huge, huge.index(b"PK\x01\x02") + 24, 0x7FFFFFFF)

    assert "not stored as a pack stores it" in said_of(place(bomb))
    assert "more is not stored" in said_of(place(bytes(huge)))


def test_the_verifier_that_the_pack_brings_and_the_product_agree(
    files: Files, place: Callable[..., Path]
) -> None:
    own = place({name: files[name] for name in ("verify.py", "rules.py")}) / "verify.py"
    for changed, code in (
        (files, 0),
        ({**files, "status.json": b"{}"}, 15),
        ({**files, "status.json": b"\xff", offline.LIST: b"[" * 100_000}, 15),
        ({name: files[name] for name in files if name != "README.md"}, 15),
    ):
        pack = place(changed)
        done = subprocess.run(
            [sys.executable, "-I", str(own), str(pack)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert CliRunner().invoke(app, ["verify", str(pack)]).exit_code == code


def test_without_the_rules_a_sound_pack_is_whole_and_signed_and_not_verified(
    files: Files, place: Callable[..., Path]
) -> None:
    own = place({"verify.py": files["verify.py"]}) / "verify.py"
    for changed, code, said in (
        (files, 14, "The rules (four eyes, appetite, waivers"),
        ({**files, "status.json": b"{}"}, 15, "status.json was changed"),
        ({name: files[name] for name in files if name != "rules.py"}, 15, "rules.py is missing"),
    ):
        command = [sys.executable, "-I", str(own), str(place(changed))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr
        assert "VERIFIED:" not in done.stdout


def test_verifying_an_unpacked_pack_by_its_own_verifier_leaves_nothing_in_it(
    files: Files, place: Callable[..., Path]
) -> None:
    folder = place(files)
    for _ in range(2):
        command = [sys.executable, str(folder / "verify.py"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("option", ["--people", "--checkpoint"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{}", b"[[[", b"[" * 100_000, None])
def test_an_auditors_own_file_that_cannot_be_read_is_no_traceback(
    packed: bytes,
    place: Callable[..., Path],
    option: str,
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = place(content) if content is not None else Path("/nowhere/kept.txt")
    code = offline.main([str(place(packed)), option, str(kept)])

    assert code == 15
    assert kept.name in (said := capsys.readouterr().err) or "checkpoint" in said


# One who holds the ledger's key too, and signs the list anew.


def test_a_receipt_with_an_edited_proof_is_refused_by_its_name(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    name = "statements/00006-approval.json"
    receipt = json.loads(files[name])
    proof = receipt["inclusion_proof"]
    for edited in ([], proof[1:], proof[::-1], [*proof, proof[0]], ["00" * 32, *proof[1:]]):
        changed = offline.pretty({**receipt, "inclusion_proof": edited})
        assert f"{name} is not what the ledger holds" in said_of(
            place(relisted({**files, name: changed}, keyed))
        )


def test_receipts_are_all_there_and_no_others(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    name = "statements/00006-approval.json"
    without = {other: data for other, data in files.items() if other != name}
    assert name in said_of(place(relisted(without, keyed)))
    copied = {**files, "statements/00006-approval-2.json": files[name]}
    assert "approval-2.json" in said_of(place(relisted(copied, keyed)))


def test_a_list_by_the_ledgers_revoked_key_is_refused(
    champion: Settings, place: Callable[..., Path], tmp_path: Path
) -> None:
    old = Signer.open(champion.keyring, "ledger")
    roll.rotate(champion, "ledger", name="New Keeper", reason="The old keeper left the firm")
    evidence.write_pack(champion, tmp_path / "pack.zip", on=DAY)
    found = offline.read_zip((tmp_path / "pack.zip").read_bytes(), "pack.zip")
    others = {name: found[name] for name in found if name != offline.LIST}
    listed = evidence.signed_list(others, DAY, old)

    assert "a key of the ledger that was revoked" in said_of(
        place({**others, offline.LIST: listed})
    )


def test_a_genuine_entry_beyond_the_packs_head_is_refused(
    champion: Settings, files: Files, place: Callable[..., Path]
) -> None:
    append_event(champion, 1, {"event": "promotion-abandoned", "version": 1, "intent": 5})
    bodies = Ledger.open(champion.ledger, people=People.load(champion.keyring)).bodies()
    later = {**files, "ledger.jsonl": b"".join(body + b"\n" for body in bodies)}
    later |= offline.receipts(bodies)

    assert "ledger.jsonl holds 11 entries; its head says 10" in said_of(
        place(relisted(later, champion))
    )


def test_an_entry_without_its_end_of_line_is_refused(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    ledger = files["ledger.jsonl"]
    for changed in (ledger[:-1], ledger + b"x", ledger + b"\n"):
        pack = place(relisted({**files, "ledger.jsonl": changed}, keyed))
        assert "ledger.jsonl" in said_of(pack)


@pytest.mark.parametrize("name", ["people.json", "checkpoint.txt", "ledger.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"{}", b"[]\n", b"null", b"\xff\xfe\n", b"[" * 100_000 + b"\n"),
        *(b'{"people": 7}', b'{"people": [7]}', b'{"people": [{"public_key": 7}]}', b"NaN\n"),
    ],
)
def test_a_signed_list_of_damaged_files_is_refused_by_their_names(
    keyed: Settings, files: Files, place: Callable[..., Path], name: str, content: bytes
) -> None:
    said = said_of(place(relisted({**files, name: content}, keyed)))

    assert name in said or name.removesuffix(".txt") in said


def test_any_change_of_the_list_of_people_is_refused_or_changes_nobody(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    sound = evidence.verify(place(files))
    for changed in mutations(json.loads(files["people.json"])):
        pack = place(relisted({**files, "people.json": offline.pretty(changed)}, keyed))
        try:
            found = evidence.verify(pack)
        except IntegrityError:
            continue
        assert _who_signed(found) == _who_signed(sound)


def _who_signed(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key["role"], key["key_id"]) for key in found["keys"] if key["signed"]]


@pytest.fixture
def alarmed(champion: Settings, tmp_path: Path) -> Settings:
    """A champion with a finding that one closed of two, and a freeze that one lifted of two."""
    finding = Finding(
        id="drift-1",
        measure="stability.index",
        severity=Severity.SEVERE,
        text="The book moved",
        owner="Head of Model Risk",
        opened_on=DAY,
    )
    findings.open_finding(champion, finding, version=1)
    findings.close_finding(champion, "drift-1", on=DAY, note="looked into", role="validator")
    findings.freeze(champion, role="risk_approver", reason="The book moved", on=DAY)
    findings.unfreeze(champion, role="risk_approver", reason="It moved back", on=DAY)
    return champion


def _packed(home: Settings, tmp_path: Path) -> tuple[dict[str, Any], Files]:
    path = tmp_path / f"made {len(list(tmp_path.iterdir()))}.zip"
    found = evidence.write_pack(home, path, on=DAY)
    return found, offline.read_zip(path.read_bytes(), path.name)


def test_a_finding_and_a_freeze_end_with_the_second_signature_and_not_before(
    alarmed: Settings, tmp_path: Path
) -> None:
    frozen = [found.id for found in findings.in_force(Record.load(alarmed), DAY)]
    found, _ = _packed(alarmed, tmp_path)
    assert (found["champion"], found["findings_open"], found["freezes"]) == (1, ["drift-1"], frozen)

    findings.close_finding(
        alarmed, "drift-1", on=DAY, note="looked into as well", role="risk_approver"
    )
    found, _ = _packed(alarmed, tmp_path)
    assert (found["findings_open"], found["freezes"]) == ([], frozen)

    findings.unfreeze(alarmed, role="business_approver", reason="It moved back", on=DAY)
    found, _ = _packed(alarmed, tmp_path)
    assert (found["findings_open"], found["freezes"]) == ([], [])


@pytest.mark.parametrize(
    ("part", "told"),
    [
        *(("champion", 2), ("champion", None), ("findings_open", []), ("freezes", [])),
        *(("findings_open", [{"id": "drift-2"}]), ("freezes", "none"), ("on", "2026-01-06")),
    ],
)
def test_a_status_that_says_otherwise_than_the_ledger_is_refused_although_it_is_listed(
    alarmed: Settings, place: Callable[..., Path], tmp_path: Path, part: str, told: object
) -> None:
    _, files = _packed(alarmed, tmp_path)
    status = {**json.loads(files["status.json"]), part: told}
    pack = place(relisted({**files, "status.json": offline.pretty(status)}, alarmed))

    assert "status.json" in said_of(pack)


# One who holds every key, and signs entries of any shape.


def test_entries_of_any_shape_signed_by_their_own_keys_end_in_words(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    bodies = files["ledger.jsonl"].splitlines()
    for seq, body in enumerate(bodies):
        statement = json.loads(offline.payload_of(json.loads(body)["envelope"]))
        for changed in mutations(statement, limit=40):
            forged = [*bodies[:seq], _signed(changed, body, keyed), *bodies[seq + 1 :]]
            pack = place(_rebuilt(forged, files, keyed))
            with contextlib.suppress(IntegrityError):
                evidence.verify(pack)


def _signed(statement: Any, body: bytes, home: Settings) -> bytes:
    """Sign another statement with the same key and put it where the entry `body` was."""
    entry = json.loads(body)
    keyid = entry["envelope"]["signatures"][0]["keyid"]
    role = People.load(home.keyring).by_key[keyid].role
    envelope = Signer.open(home.keyring, role).sign(offline.canonical(statement)).as_json()
    return offline.canonical({**entry, "envelope": envelope})


def _rebuilt(bodies: list[bytes], files: Files, home: Settings) -> Files:
    """Make a pack of other entries, with everything that depends on them."""
    root = offline.tree_root([offline.leaf_hash(body) for body in bodies])
    head = Signer.open(home.keyring, "ledger").sign_checkpoint(len(bodies), root)
    others = {name: files[name] for name in files if not name.startswith("statements/")}
    others["ledger.jsonl"] = b"".join(body + b"\n" for body in bodies)
    others["checkpoint.txt"] = head.encode()
    return relisted({**others, **offline.receipts(bodies)}, home)


def test_a_payload_with_a_key_twice_is_refused_although_it_is_signed(
    keyed: Settings, files: Files, place: Callable[..., Path]
) -> None:
    bodies = files["ledger.jsonl"].splitlines()
    entry = json.loads(bodies[3])
    payload = offline.payload_of(entry["envelope"])
    doubled = payload.replace(b'{"_type"', b'{"_type":"x","_type"', 1)
    envelope = Signer.open(keyed.keyring, "business_approver").sign(doubled).as_json()
    bodies[3] = offline.canonical({**entry, "envelope": envelope})
    with pytest.raises(offline.VerificationError, match="entry 3"):
        offline.receipts(bodies)


# History that was rewritten as a whole, or set back.


def test_a_ledger_that_was_set_back_is_found_with_a_kept_head_and_only_with_it(
    keyed: Settings, champion: Settings, packed: bytes, place: Callable[..., Path], tmp_path: Path
) -> None:
    append_event(champion, 1, {"event": "promotion-abandoned", "version": 1, "intent": 5})
    evidence.write_pack(champion, tmp_path / "later.zip", on=DAY)
    kept = tmp_path / "kept.txt"
    kept.write_bytes((champion.ledger / "checkpoint.txt").read_bytes())

    assert evidence.verify(tmp_path / "later.zip", witness_file=kept)["witnessed"] == 11
    assert evidence.verify(place(packed))["witnessed"] is None
    assert "does not continue the head of 11 entries in kept.txt" in said_of(
        place(packed), witness_file=kept
    )


def test_a_history_rewritten_with_its_own_keys_is_found_with_a_kept_head_and_only_with_it(
    keyed: Settings, files: Files, place: Callable[..., Path], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_bytes(files["checkpoint.txt"])
    bodies = files["ledger.jsonl"].splitlines()
    entry = json.loads(bodies[9])
    bodies[9] = offline.canonical({**entry, "recorded_at": "2020-01-01T00:00:00+00:00"})
    rewritten = place(_rebuilt(bodies, files, keyed))

    assert evidence.verify(rewritten)["entries"] == 10
    assert "history was rewritten" in said_of(rewritten, witness_file=kept)


def test_the_verifier_says_what_it_cannot_know_without_the_auditors_own_files(
    packed: bytes, files: Files, place: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    pack = place(packed)
    kept, people = place(files["checkpoint.txt"]), place(files["people.json"])
    assert offline.main([str(pack)]) == 0
    alone = capsys.readouterr().out
    assert offline.main([str(pack), "--checkpoint", str(kept), "--people", str(people)]) == 0
    together = capsys.readouterr().out

    for line in (offline.NOT_WITNESSED, offline.PACK_KEYS):
        assert line in alone
        assert line not in together
    assert "continues the head of 10 entries you kept" in together
    assert offline.OWN_KEYS in together


def test_every_key_is_printed_with_what_it_signed(
    keyed: Settings, packed: bytes, place: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    people = People.load(keyed.keyring).by_key
    assert offline.main([str(place(packed))]) == 0
    printed = capsys.readouterr().out

    assert all(person.key_id in printed and person.name in printed for person in people.values())
    found = evidence.verify(place(packed))["keys"]
    assert {key["role"]: key["signed"] for key in found} == {
        **dict.fromkeys(("root", "developer", "validator"), 1),
        # An approver signed the risk appetite before the approval.
        **dict.fromkeys(("risk_approver", "business_approver"), 2),
        "reviewer": 0,
        "ledger": 3,
    }
    assert sum(key["signed"] for key in found) == len(Record.load(keyed).entries)
    assert signing.NOTICE


def mutations(document: Any, limit: int = 10_000) -> Iterator[Any]:
    """Yield the document without each of its keys, and with each value of another type."""
    paths = list(_paths(document))
    for at, path in enumerate(paths[:: max(1, len(paths) // limit)]):
        for change in ("gone", (None, 7, "x", [], {}, True, -1, "\0" * 99)[at % 8]):
            changed = deepcopy(document)
            inside = changed
            for step in path[:-1]:
                inside = inside[step]
            if change == "gone":
                del inside[path[-1]]
            else:
                inside[path[-1]] = change
            if changed != document:
                yield changed


def _paths(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = document.keys() if isinstance(document, dict) else range(len(document))
    for step in steps:
        yield (*above, step)
        if isinstance(document[step], dict | list):
            yield from _paths(document[step], (*above, step))
