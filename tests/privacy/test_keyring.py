"""A key that others can read, that is missing or that does not fit is never used."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.errors import IntegrityError, KeyringError
from privacy import keyring
from privacy.keyring import KEK_FILE, RING_FILE, Keyring, NotingRing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keyring.create(tmp_path / "keys")
    return tmp_path / "keys"


def test_a_ring_opens_again_with_the_same_keys(folder: Path) -> None:
    first, second = Keyring.open(folder), Keyring.open(folder)
    assert first.ring_id == second.ring_id
    assert first.derive("pseudonym", "training") == second.derive("pseudonym", "training")


def test_a_ring_is_never_overwritten(folder: Path) -> None:
    before = (folder / RING_FILE).read_bytes()
    with pytest.raises(KeyringError, match="never overwritten"):
        keyring.create(folder)
    assert (folder / RING_FILE).read_bytes() == before


def test_a_run_killed_between_the_two_files_is_finished_by_the_next(folder: Path) -> None:
    (folder / RING_FILE).unlink()
    assert keyring.create(folder).key_version == 1


def test_every_use_context_and_ring_has_its_own_key(folder: Path, tmp_path: Path) -> None:
    ring, other = Keyring.open(folder), keyring.create(tmp_path / "other")
    keys = [
        ring.derive("a", "bc"),
        ring.derive("ab", "c"),
        ring.derive("a", "b", "c"),
        ring.derive("a"),
        ring.derive_lasting("a"),
        other.derive("a"),
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def _readable_by_group(folder: Path) -> None:
    (folder / KEK_FILE).chmod(0o640)


def _readable_by_others(folder: Path) -> None:
    (folder / KEK_FILE).chmod(0o604)


def _ring_readable_by_others(folder: Path) -> None:
    (folder / RING_FILE).chmod(0o644)


def _symbolic_link(folder: Path) -> None:
    (folder / KEK_FILE).rename(folder / "elsewhere")
    (folder / KEK_FILE).symlink_to(folder / "elsewhere")


def _missing_key(folder: Path) -> None:
    (folder / KEK_FILE).unlink()


def _missing_ring(folder: Path) -> None:
    (folder / RING_FILE).unlink()


def _wrong_key(folder: Path) -> None:
    (folder / KEK_FILE).write_text("00" * 32)


def _short_key(folder: Path) -> None:
    (folder / KEK_FILE).write_text("00" * 16)


def _no_hex(folder: Path) -> None:
    (folder / KEK_FILE).write_bytes(b"\xff" * 32)


def _folder_instead(folder: Path) -> None:
    (folder / KEK_FILE).unlink()
    (folder / KEK_FILE).mkdir()


def _pipe_instead(folder: Path) -> None:
    (folder / KEK_FILE).unlink()
    os.mkfifo(folder / KEK_FILE, 0o600)


def _altered_header(folder: Path) -> None:
    text = (folder / RING_FILE).read_text()
    (folder / RING_FILE).write_text(text.replace('"key_version":1', '"key_version":2'))


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (_readable_by_group, "kek.key has mode 0640"),
        (_readable_by_others, "kek.key has mode 0604"),
        (_ring_readable_by_others, "ring.json has mode 0644"),
        (_symbolic_link, "is a symbolic link"),
        (_missing_key, "no key file .*kek.key"),
        (_missing_ring, "no key file .*ring.json"),
        (_wrong_key, "does not open ring.json"),
        (_short_key, "does not hold a key of 32 bytes"),
        (_no_hex, "does not hold a key of 32 bytes"),
        (_folder_instead, "is not a regular file"),
        (_pipe_instead, "is not a regular file"),
        (_altered_header, "does not open ring.json"),
    ],
)
def test_a_ring_that_is_not_as_it_was_made_does_not_open(
    folder: Path, harm: Callable[[Path], None], problem: str
) -> None:
    secret = (folder / KEK_FILE).read_text().strip()
    harm(folder)
    with pytest.raises(KeyringError, match=problem) as refused:
        Keyring.open(folder)
    assert secret not in str(refused.value)


def test_a_key_file_of_somebody_else_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(KeyringError, match="another user"):
        Keyring.open(folder)


def test_any_flipped_byte_of_the_ring_is_refused(folder: Path) -> None:
    good = (folder / RING_FILE).read_bytes()
    for place in range(0, len(good) - 1, 5):
        changed = bytearray(good)
        changed[place] ^= 0x01
        (folder / RING_FILE).write_bytes(changed)
        with pytest.raises(KeyringError, match=r"does not open ring\.json"):
            Keyring.open(folder)


def test_a_keyring_neither_prints_nor_pickles_its_secrets(folder: Path) -> None:
    ring = Keyring.open(folder)
    assert repr(ring) == str(ring) == f"Keyring(ring_id={ring.ring_id!r}, key_version=1)"
    for act in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            act(ring)
    for act in (dataclasses.asdict, dataclasses.astuple):
        with pytest.raises(TypeError, match="not copied or pickled"):
            act(ring)
    noting = NotingRing.over(ring)
    key = noting.derive("one use")
    for held in (ring._secrets, noting._secrets, noting._noted):
        assert repr(held) == str(held) == f"KeyMap({len(held)} keys)"
        assert key.hex() not in repr(held)


def test_a_wrapped_key_opens_only_for_what_it_was_wrapped_for(folder: Path) -> None:
    ring, dek = Keyring.open(folder), os.urandom(32)
    wrapped = ring.wrap(dek, b"table 1", use="dek")
    assert ring.unwrap(wrapped, b"table 1", use="dek") == dek
    elsewhere, malformed = "belongs to something else", "is malformed"
    for data, use, stored, problem in (
        (b"table 2", "dek", wrapped, elsewhere),
        (b"table 1", "other", wrapped, elsewhere),
        (b"table 1", "dek", wrapped[:-1] + bytes([wrapped[-1] ^ 1]), elsewhere),
        (b"table 1", "dek", b"XXXX" + wrapped[4:], malformed),
        (b"table 1", "dek", wrapped[:12], malformed),
    ):
        with pytest.raises(IntegrityError, match=problem):
            ring.unwrap(stored, data, use=use)


def test_an_unknown_key_version_is_an_error_and_no_other_is_tried(folder: Path) -> None:
    ring = Keyring.open(folder)
    with pytest.raises(KeyringError, match="no key version 2"):
        ring.derive("pseudonym", version=2)
    later = ring.wrap(b"k" * 32, b"", use="dek")
    with pytest.raises(KeyringError, match="no key version 9"):
        ring.unwrap(later[:4] + (9).to_bytes(4, "big") + later[8:], b"", use="dek")


def test_a_ring_behind_a_link_that_leads_nowhere_is_not_overwritten_either(folder: Path) -> None:
    (folder / RING_FILE).unlink()
    (folder / RING_FILE).symlink_to(folder / "nowhere")
    with pytest.raises(KeyringError, match="never overwritten"):
        keyring.create(folder)
    assert (folder / RING_FILE).is_symlink()
