"""The served catalogue: MLflow's own web page on the loopback address."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable

from governance import durable
from governance.settings import Settings
from registry.catalogue import MODEL_NAME, Catalogue, tracking_uri

HOST = "127.0.0.1"


def links(versions: Iterable[int], *, port: int) -> list[str]:
    """Return the pages of these versions, then of the experiments.

    MLflow opens on a page that does not lead to the registry, so people are given the links.
    """
    address = f"http://{HOST}:{port}"
    pages = [f"{address}/#/models/{MODEL_NAME}/versions/{version}" for version in versions]
    return [*pages, f"{address}/#/experiments"]


def serve(settings: Settings, *, port: int) -> int:
    """Run MLflow's server until it is interrupted and return its exit code.

    It answers on the loopback address and to loopback host names only, which also stops a web page
    elsewhere from reaching it through the browser (DNS rebinding).
    """
    Catalogue.open(settings)
    quiet = {"MLFLOW_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    # MLflow starts workers of its own; a group of their own lets all of them end with this process.
    child = subprocess.Popen(  # noqa: S603  (our own interpreter and fixed arguments)
        arguments(settings, port), env={**os.environ, **quiet}, start_new_session=True
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return child.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        child.wait()


def arguments(settings: Settings, port: int) -> list[str]:
    """Return the command that serves the catalogue."""
    artifacts = durable.make_folder(settings.mlflow_artifacts)
    hosts = f"{HOST}:{port},localhost:{port}"
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
        *("--backend-store-uri", tracking_uri(settings)),
        *("--registry-store-uri", tracking_uri(settings)),
        *("--artifacts-destination", artifacts.as_uri()),
        *(
            "--allowed-hosts",
            hosts,
            "--cors-allowed-origins",
            f"http://{hosts.replace(',', ',http://')}",
        ),
        *("--workers", "1", "--uvicorn-opts", "--log-level warning"),
    ]
