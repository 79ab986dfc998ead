from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import offline, signing
from registry.offline import Checkpoint, VerificationError
from registry.signing import Kind, Signer, make

# The reference vectors of Certificate Transparency for RFC 6962.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_tree_roots_equal_the_reference_vectors(size: int) -> None:
    leaves = [offline.leaf_hash(data) for data in LEAVES[:size]]

    assert offline.tree_root(leaves).hex() == ROOTS[size - 1]


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert offline.tree_root([]) == hashlib.sha256(b"").digest()


def test_an_inclusion_proof_equals_the_reference_vector() -> None:
    proof = offline.inclusion_proof([offline.leaf_hash(data) for data in LEAVES], 0)

    assert [step.hex() for step in proof] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def verify_inclusion(leaf: bytes, index: int, *, head: Checkpoint, proof: Sequence[bytes]) -> bool:
    """Verify as RFC 9162 §2.1.3.2 writes it down: an outside reader of our proofs."""
    if not 0 <= index < head.size:
        return False
    first, last, found = index, head.size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            found = offline.node_hash(sibling, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = offline.node_hash(found, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and found == head.root


def _tree(size: int) -> list[bytes]:
    return [offline.leaf_hash(number.to_bytes(2, "big")) for number in range(size)]


@pytest.mark.parametrize("size", range(1, 41))
def test_every_entry_proves_its_place_and_no_other(size: int) -> None:
    leaves = _tree(size)
    head = Checkpoint(size, offline.tree_root(leaves))
    for index, leaf in enumerate(leaves):
        proof = offline.inclusion_proof(leaves, index)
        assert verify_inclusion(leaf, index, head=head, proof=proof)
        assert not verify_inclusion(offline.leaf_hash(b"x"), index, head=head, proof=proof)
        assert size == 1 or not verify_inclusion(leaf, (index + 1) % size, head=head, proof=proof)


@pytest.mark.parametrize("size", range(1, 41))
def test_every_earlier_head_is_shown_to_be_continued(size: int) -> None:
    bodies = [number.to_bytes(2, "big") for number in range(size)]
    for old_size in range(size + 1):
        root = offline.tree_root(_tree(size)[:old_size])
        assert offline.is_prefix(Checkpoint(old_size, root), bodies)
        assert not offline.is_prefix(Checkpoint(old_size, b"\0" * 32), bodies)


@given(st.integers(2, 60), st.data())
def test_a_rewritten_history_continues_no_earlier_head(size: int, data: st.DataObject) -> None:
    old_size = data.draw(st.integers(1, size))
    edited = data.draw(st.integers(0, old_size - 1))
    bodies = [number.to_bytes(2, "big") for number in range(size)]
    old = Checkpoint(old_size, offline.tree_root(_tree(size)[:old_size]))

    assert not offline.is_prefix(old, [*bodies[:edited], b"rewritten", *bodies[edited + 1 :]])


def test_a_tree_that_was_cut_off_continues_nothing() -> None:
    longer = Checkpoint(9, offline.tree_root(_tree(9)))

    assert not offline.is_prefix(longer, [number.to_bytes(2, "big") for number in range(5)])


def test_the_pre_authentication_encoding_is_the_one_of_the_dsse_document() -> None:
    encoded = offline.pre_authentication("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_manifest_lists_hidden_files_and_is_sorted(tmp_path: Path) -> None:
    for name in ("b", ".hidden", "a/.git/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    assert [file["path"] for file in offline.manifest(tmp_path)] == [
        ".hidden",
        "a/.git/config",
        "b",
    ]


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_manifest_refuses_links_to_files_and_to_folders(tmp_path: Path, is_folder: bool) -> None:
    target = tmp_path / "target"
    target.mkdir() if is_folder else target.write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(target)

    with pytest.raises(VerificationError, match="link is a link"):
        offline.manifest(folder)


def test_the_offline_verifier_imports_nothing_of_the_product() -> None:
    listing = """
import sys, runpy
runpy.run_path(sys.argv[1])["load_rules"]()
print(*sorted(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", listing, offline.__file__],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}

    assert "registry" not in done.stdout.split()
    assert not imported & {"governance", "pydantic", "pyarrow", "mlflow", "typer"}
    assert "cryptography" in imported


@pytest.mark.parametrize(
    "data", [b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":0.5}', b'{"a":1,"a":1}']
)
def test_json_without_one_canonical_form_is_refused_by_the_name_of_its_file(data: bytes) -> None:
    assert offline.read_json(b'{"a":1}', "x.json") == {"a": 1}
    with pytest.raises(VerificationError, match=r"x\.json is damaged"):
        offline.read_json(data, "x.json")


@pytest.fixture
def people(tmp_path: Path) -> offline.People:
    return signing.create_people(tmp_path).by_key


def statement(place: Path) -> dict[str, object]:
    signer = Signer.open(place, "validator")
    made = make("monitor:a", "a" * 64, kind=Kind.HEARTBEAT, predicate={"n": 1}, signer=signer)
    return dict(json.loads(made.payload))


def test_an_entry_is_read_at_its_place_and_in_its_own_bytes_only(
    tmp_path: Path, people: offline.People
) -> None:
    signed = Signer.open(tmp_path, "validator").sign(offline.canonical(statement(tmp_path)))
    entry = {
        "seq": 3,
        "kind": "heartbeat",
        "subject": "monitor:a",
        "envelope": signed.as_json(),
        "recorded_at": "2026-01-05T00:00:00Z",
    }
    body = offline.canonical(entry)
    assert offline.verify_entry(body, 3, people)["person"].role == "validator"
    for other, seq in ((body, 2), (body, 4), (json.dumps(entry).encode(), 3)):
        with pytest.raises(VerificationError, match="is not at its place or not canonical"):
            offline.verify_entry(other, seq, people)


def test_a_signed_payload_that_two_readers_could_read_twice_is_refused(
    tmp_path: Path, people: offline.People
) -> None:
    signer, said = Signer.open(tmp_path, "validator"), statement(tmp_path)
    good = offline.canonical(said)
    assert offline.verify_statement(signer.sign(good).as_json(), people)[0] == said
    twice = good.replace(b'"predicate":{', b'"predicate":{"n":2},"predicate":{', 1)
    for payload in (json.dumps(said).encode(), twice, offline.canonical({**said, "_type": "x"})):
        with pytest.raises(VerificationError, match="is not a canonical in-toto statement"):
            offline.verify_statement(signer.sign(payload).as_json(), people)


def test_a_checkpoint_is_one_of_this_ledger_and_signed_by_its_key(
    tmp_path: Path, people: offline.People
) -> None:
    text = Signer.open(tmp_path, "ledger").sign_checkpoint(1, b"r" * 32)
    assert offline.verify_checkpoint(text, people) == Checkpoint(1, b"r" * 32)
    foreign = Signer.open(tmp_path, "validator").sign_checkpoint(1, b"r" * 32)
    with pytest.raises(VerificationError, match="not signed by the ledger's key"):
        offline.verify_checkpoint(foreign, people)
    with pytest.raises(VerificationError, match="not one of this ledger"):
        offline.read_note(text.replace(offline.LEDGER_ORIGIN, "another", 1))


def test_a_key_that_is_listed_twice_is_refused(tmp_path: Path, people: offline.People) -> None:
    told = json.loads((tmp_path / signing.FOLDER / signing.PEOPLE_FILE).read_bytes())
    assert offline.read_people(json.dumps(told).encode()) == people
    told["people"].append({**told["people"][0], "name": "Somebody Else"})
    with pytest.raises(VerificationError, match="lists one key twice"):
        offline.read_people(json.dumps(told).encode())
