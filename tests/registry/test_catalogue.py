from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.errors import EnvironmentFault, IntegrityError
from governance.settings import Settings
from registry.catalogue import Catalogue
from registry.submission import CandidateFiles, ModelVersion, RunFacts

ROOT = Path(__file__).parents[2]


def test_a_report_is_logged_once(empty_home: Settings, tmp_path: Path) -> None:
    report = tmp_path / "drift report.html"
    report.write_text("<html>counts only</html>")
    catalogue = Catalogue.open(empty_home)
    runs = [catalogue.log_report(report, "watch 2005-09", {"drift": 0.4}) for _ in range(2)]
    (kept,) = empty_home.mlflow_artifacts.rglob("drift report.html")

    assert runs[0] == runs[1]
    assert kept.read_text() == report.read_text()


def test_mlflows_message_is_withheld(home: Settings) -> None:
    with pytest.raises(IntegrityError, match="RESOURCE_DOES_NOT_EXIST") as caught:
        Catalogue.open(home).set_alias("secret-value-of-a-row", 99)
    assert "secret-value-of-a-row" not in str(caught.value)


def test_a_failed_log_leaves_a_failed_run_and_no_version(
    empty_home: Settings, candidate: Callable[..., CandidateFiles]
) -> None:
    files = candidate()
    files.python_model.write_text("raise ValueError('a broken model file')\n")
    catalogue = Catalogue.open(empty_home)

    with pytest.raises(EnvironmentFault, match="MLflow failed at logging a model"):
        catalogue.log_model(files, facts=RunFacts(run_name="broken"))
    assert catalogue.versions() == ()


def test_a_missing_model_folder_is_an_integrity_error(
    home: Settings, submitted: ModelVersion, tmp_path: Path
) -> None:
    from registry.load import copy_folder

    with pytest.raises(IntegrityError, match="missing"):
        copy_folder(tmp_path / "nothing", tmp_path)


def test_two_processes_at_once_are_quiet_and_leave_one_sound_database(
    empty_home: Settings,
) -> None:
    code = (
        "from governance import settings; from registry.catalogue import Catalogue\n"
        "from governance.errors import EnvironmentFault\n"
        "try: Catalogue.open(settings.load()).versions()\n"
        "except EnvironmentFault as error: raise SystemExit(error.exit_code)"
    )
    empty_home.mlflow_database.unlink()
    (empty_home.home / ".mlflow-version").unlink()
    running = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    complaints = [process.communicate()[1] for process in running]

    assert {process.returncode for process in running} <= {0, 16}, complaints
    assert complaints == [b"", b""]
    assert Catalogue.open(empty_home).versions() == ()
