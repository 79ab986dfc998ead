from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from governance.errors import KeyringError, UsageError
from registry import offline, signing
from registry.signing import People, Role, Signer


def test_every_role_gets_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    people = signing.create_people(tmp_path)

    assert {person.role for person in people.by_key.values()} == {role.value for role in Role}
    for path in (tmp_path / "signing").glob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_making_people_again_keeps_their_keys(tmp_path: Path) -> None:
    assert signing.create_people(tmp_path).by_key == signing.create_people(tmp_path).by_key


def test_names_are_given_when_the_keys_are_made_and_for_roles_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for the roles root, developer"):
        signing.create_people(tmp_path, {"risk approver": "Li Wei"})
    people = signing.create_people(tmp_path, {"risk_approver": "Li Wei"})
    names = {person.role: person.name for person in people.by_key.values()}
    assert (names["risk_approver"], names["developer"]) == ("Li Wei", "Developer (simulated)")
    with pytest.raises(UsageError, match="people rotate"):
        signing.create_people(tmp_path, {"risk_approver": "Wang Fang"})


def test_the_people_file_says_that_the_roles_are_simulated(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    document = json.loads((tmp_path / "signing" / "people.json").read_text())

    assert "one machine" in document["notice"]
    assert all("simulated" in person["name"] for person in document["people"])


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    (tmp_path / "signing" / "developer.pem").chmod(0o640)

    with pytest.raises(KeyringError, match="open to others"):
        Signer.open(tmp_path, Role.DEVELOPER)


def test_a_key_that_is_a_link_is_refused(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    key = tmp_path / "signing" / "developer.pem"
    key.rename(tmp_path / "elsewhere.pem")
    key.symlink_to(tmp_path / "elsewhere.pem")

    with pytest.raises(KeyringError, match="no signing key"):
        Signer.open(tmp_path, Role.DEVELOPER)


def test_a_damaged_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    key = tmp_path / "signing" / "developer.pem"
    key.write_text(key.read_text()[:60])

    with pytest.raises(KeyringError, match="cannot be read"):
        Signer.open(tmp_path, Role.DEVELOPER)


def test_without_people_the_error_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="limitline keys init"):
        People.load(tmp_path)


def test_a_signer_shows_no_key_and_is_not_pickled(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    signer = Signer.open(tmp_path, Role.LEDGER)

    assert repr(signer) == f"Signer(role='ledger', key_id='{signer.key_id[:12]}')"
    with pytest.raises(KeyringError, match="not to be pickled"):
        pickle.dumps(signer)


def test_a_key_id_in_the_people_file_is_computed_and_not_believed(tmp_path: Path) -> None:
    signing.create_people(tmp_path)
    path = tmp_path / "signing" / "people.json"
    document = json.loads(path.read_text())
    document["people"][0]["key_id"] = "0" * 64
    path.write_text(json.dumps(document))

    assert "0" * 64 not in offline.read_people(path.read_bytes())
