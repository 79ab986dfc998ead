"""What people look at, in a real browser: the report page and the registry's version page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import demo

pytestmark = pytest.mark.system

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1600",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("system") / "var"
    done = demo(place)
    assert done.returncode == 0, done.stdout[-3_000:]
    return place


@pytest.fixture(scope="module")
def registry_page(home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "limitline", "serve", "--port", str(port)],
        env={**os.environ, "LIMITLINE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{base}/health", server)
        yield base
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the server did not answer within 90 seconds")


def rendered(address: str, profile: Path, *, patience_ms: int = 8_000) -> str:
    """Return the page's text as the browser sees it after its scripts ran."""
    browser = shutil.which("chromium")
    assert browser, "Chromium is missing; .ci/run installs it"
    done = subprocess.run(
        [
            browser,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={patience_ms}",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def test_the_report_page_shows_the_september_alarm(home: Path, tmp_path: Path) -> None:
    text = rendered((home / "reports" / "2005-09" / "index.html").as_uri(), tmp_path)
    assert "Statements of September 2005" in text
    assert '<header class="BREACH">' in text
    silent = rendered((home / "reports" / "2005-08" / "index.html").as_uri(), tmp_path)
    assert '<header class="PASS">' in silent


def test_an_auditor_sees_verdicts_approvals_and_digests_in_the_registry(
    registry_page: str, tmp_path: Path
) -> None:
    address = f"{registry_page}/#/models/credit-limit/versions/3"
    text = rendered(address, tmp_path, patience_ms=25_000)
    for wanted in ("champion", "Risk approver", "Business approver", "fairness.raise_ratio"):
        assert wanted in text, wanted
