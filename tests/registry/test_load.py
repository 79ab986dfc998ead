from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.neighbors import KNeighborsClassifier

from governance.errors import GateClosed, IntegrityError, UsageError
from governance.settings import Settings
from registry import offline
from registry.load import load_verified
from registry.record import Record, append
from registry.signing import Kind, Signer
from registry.submission import ModelVersion

ROOT = Path(__file__).parents[2]


def test_a_sound_version_loads_with_everything_that_deciding_needs(
    home: Settings, submitted: ModelVersion
) -> None:
    model = load_verified(home, "latest")

    assert model.version == 1
    assert model.manifest_digest == submitted.manifest_digest == model.subject["model"]
    assert model.features_text == "utilization = 1\n"
    assert model.policy_text == "step = 1\n"
    assert model.metadata["horizon_months"] == 1
    assert model.lineage["seed"] == 7
    assert model.estimator.predict_proba(np.zeros((2, 3))).shape == (2, 2)


def test_what_is_used_is_a_private_copy_that_goes_away(
    home: Settings, submitted: ModelVersion
) -> None:
    model = load_verified(home, 1)
    folder = model.folder

    assert not folder.is_relative_to(home.home)
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    del model
    assert not folder.exists()


def test_verified_loading_needs_no_mlflow(home: Settings) -> None:
    code = (
        "import sys; from governance import settings; from registry.load import load_verified\n"
        "load_verified(settings.load(), '1'); assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def _flip(folder: Path) -> None:
    path = folder / "artifacts" / "limit_policy.toml"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def _link(folder: Path) -> None:
    path = folder / "artifacts" / "features.toml"
    elsewhere = folder.parent / "elsewhere.toml"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _rename(folder: Path) -> None:
    (folder / "model.py").rename(folder / "other.py")


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte": (_flip, "artifacts/limit_policy.toml was changed"),
    "an added file": (lambda f: (f / "extra.txt").write_text("x"), "extra.txt was added"),
    "an added hidden file": (lambda f: (f / ".extra").write_text("x"), ".extra was added"),
    "a removed file": (lambda f: (f / "requirements.txt").unlink(), "requirements.txt is missing"),
    "a renamed file": (_rename, "other.py was added; model.py is missing"),
    "a link with the same content": (_link, "features.toml is a link or a special file"),
    "a linked folder": (lambda f: (f / "more").symlink_to(f.parent), "more is a link"),
    "a deleted artifact": (
        lambda f: (f / "artifacts" / "default_model.skops").unlink(),
        "default_model.skops is missing",
    ),
    "edited code": (
        lambda f: (f / "code" / "travelling" / "__init__.py").write_text("1"),
        "__init__.py was changed",
    ),
    "edited environment": (
        lambda f: (f / "requirements.txt").write_text("evil==1\n"),
        "requirements.txt was changed",
    ),
    "a missing model": (lambda f: shutil.rmtree(f), "is missing; restore it"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_tampered_model_folder_is_refused(
    home: Settings, submitted: ModelVersion, attack: str
) -> None:
    spoil, problem = ATTACKS[attack]
    spoil(submitted.folder)

    with pytest.raises(IntegrityError, match=re.escape(problem)):
        load_verified(home, 1)


def test_every_flipped_byte_of_the_model_description_is_found(
    home: Settings, submitted: ModelVersion
) -> None:
    path = submitted.folder / "MLmodel"
    sound = path.read_bytes()
    for position in range(0, len(sound), 97):
        flipped = bytearray(sound)
        flipped[position] ^= 0x20
        path.write_bytes(flipped)
        with pytest.raises(IntegrityError, match="MLmodel was changed"):
            load_verified(home, 1)


def _plant(folder: Path, marker: Path) -> None:
    """Plant a loader of one's own, the way MLflow's pyfunc loader would run it."""
    (folder / "code" / "evil.py").write_text(
        f"open({str(marker)!r}, 'w').close()\n\ndef _load_pyfunc(path):\n    return None\n"
    )
    description = folder / "MLmodel"
    text = re.sub("loader_module: .*", "loader_module: evil", description.read_text())
    description.write_text(text)
    assert "loader_module: evil" in text


def test_a_foreign_loader_never_runs(
    home: Settings, submitted: ModelVersion, tmp_path: Path
) -> None:
    _plant(submitted.folder, tmp_path / "marker")

    with pytest.raises(IntegrityError, match=r"code/evil\.py was added; MLmodel was changed"):
        load_verified(home, 1)
    assert not (tmp_path / "marker").exists()


def test_mlflows_own_loader_would_have_run_it(submitted: ModelVersion, tmp_path: Path) -> None:
    _plant(submitted.folder, tmp_path / "marker")
    code = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"
    switched_off = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    command = [sys.executable, "-c", code, str(submitted.folder)]
    subprocess.run(command, env=switched_off, capture_output=True, check=False)

    assert (tmp_path / "marker").exists()


def test_a_foreign_loader_never_runs_even_if_the_developer_signed_it(
    home: Settings, submitted: ModelVersion, tmp_path: Path
) -> None:
    _plant(submitted.folder, tmp_path / "marker")
    _sign_again(home, "developer")

    assert load_verified(home, 2).version == 2
    assert not (tmp_path / "marker").exists()


def _sign_again(home: Settings, role: str, version: int = 2) -> None:
    old = Record.load(home).manifest(1).statement.predicate
    files = offline.manifest(home.mlflow_artifacts / old["location"])
    subject = (f"credit-limit@{version}", offline.manifest_digest(files))
    signer = Signer.open(home.keyring, role)
    append(home, Kind.MANIFEST, subject=subject, predicate={**old, "files": files}, signer=signer)


def test_a_listed_type_is_not_enough_when_this_host_does_not_allow_it(
    home: Settings, submitted: ModelVersion
) -> None:
    path = submitted.folder / "artifacts" / "default_model.skops"
    skops.io.dump(KNeighborsClassifier().fit([[0.0], [1.0]], [0, 1]), path)
    description = submitted.folder / "MLmodel"
    trusted = "skops_trusted_types: [sklearn.neighbors._classification.KNeighborsClassifier]\n"
    description.write_text(description.read_text() + trusted)
    _sign_again(home, "developer")

    with pytest.raises(IntegrityError, match="KNeighborsClassifier"):
        load_verified(home, 2)


def test_the_manifest_of_another_version_does_not_cover_this_one(
    home: Settings, submitted: ModelVersion
) -> None:
    other = shutil.copytree(submitted.folder, submitted.folder.parent / "other")
    (other / "artifacts" / "limit_policy.toml").write_text("step = 1000\n")
    old = Record.load(home).manifest(1).statement
    predicate = {
        **old.predicate,
        "location": str(other.relative_to(home.mlflow_artifacts)),
    }
    developer = Signer.open(home.keyring, "developer")
    subject = ("credit-limit@2", old.sha256)
    append(home, Kind.MANIFEST, subject=subject, predicate=predicate, signer=developer)

    with pytest.raises(IntegrityError, match=r"limit_policy\.toml was changed"):
        load_verified(home, 2)


def test_a_manifest_whose_subject_is_not_its_list_is_refused(
    home: Settings, submitted: ModelVersion
) -> None:
    old = Record.load(home).manifest(1).statement
    developer = Signer.open(home.keyring, "developer")
    subject = ("credit-limit@2", "0" * 64)

    with pytest.raises(IntegrityError, match="lists other files than the bytes"):
        append(home, Kind.MANIFEST, subject=subject, predicate=old.predicate, signer=developer)


def test_a_key_that_is_no_longer_among_the_people_signs_nothing(home: Settings) -> None:
    from registry import signing

    shutil.rmtree(home.keyring)
    signing.create_people(home.keyring)

    with pytest.raises(IntegrityError, match="A key is listed that is not in"):
        load_verified(home, 1)


@pytest.mark.parametrize("which", ["newest", "-1", ""])
def test_a_name_that_means_no_version_is_a_usage_error(home: Settings, which: str) -> None:
    with pytest.raises(UsageError, match="known: 1"):
        load_verified(home, which)


def test_an_unknown_version_names_the_known_ones(home: Settings) -> None:
    with pytest.raises(UsageError, match="known: 1"):
        load_verified(home, 7)


def test_there_is_no_champion_before_a_promotion(home: Settings) -> None:
    with pytest.raises(GateClosed, match="no champion yet"):
        load_verified(home, "champion")


def test_an_empty_registry_has_no_latest_version(empty_home: Settings) -> None:
    with pytest.raises(UsageError, match="known: none"):
        load_verified(empty_home, "latest")


def test_the_estimator_is_read_from_the_copy_that_was_verified(
    home: Settings, submitted: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes in the registry between the check and the use changes nothing that is used."""
    check = offline.compare_manifests

    def check_and_exchange(*asked: Any) -> None:
        check(*asked)
        (submitted.folder / "artifacts" / "default_model.skops").write_bytes(b"another model")

    monkeypatch.setattr(offline, "compare_manifests", check_and_exchange)
    assert load_verified(home, 1).estimator.predict_proba(np.zeros((2, 3))).shape == (2, 2)
