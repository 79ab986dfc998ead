"""Where the product keeps its state, and the switches that keep it from calling out.

Everything lives under one home, ``LIMITLINE_HOME`` (default ``var/`` below the working directory).
Importing this module sets the environment switches of the libraries behind the rooms, so that a
command started by cron is as quiet as one started by make. It must run before scikit-learn loads
its OpenMP runtime, which reads its wait policy once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "LIMITLINE_HOME"

_SWITCHES = {
    # MLflow compares with the word "true"; Evidently only asks whether the variable is set.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Spinning OpenMP threads make fits on a busy two-core machine ten times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
}

for _name, _value in _SWITCHES.items():
    os.environ.setdefault(_name, _value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The places below one home; nothing here creates them."""

    home: Path

    @property
    def raw(self) -> Path:
        """The only folder that ever holds raw rows."""
        return self.home / "raw"

    @property
    def keyring(self) -> Path:
        """Data keys and signing keys, readable by their owner alone."""
        return self.home / "keyring"

    @property
    def vault(self) -> Path:
        """Subject vault and audit vault."""
        return self.home / "vault"

    @property
    def features(self) -> Path:
        """Released feature tables."""
        return self.home / "features"

    @property
    def decisions(self) -> Path:
        """Decision logs."""
        return self.home / "decisions"

    @property
    def ledger(self) -> Path:
        """The append-only ledger and its signed heads."""
        return self.home / "ledger"

    @property
    def reports(self) -> Path:
        """Reports for people."""
        return self.home / "reports"

    @property
    def evidently(self) -> Path:
        """The Evidently workspace, a view that can be rebuilt."""
        return self.home / "evidently"

    @property
    def mlflow_database(self) -> Path:
        """The SQLite file behind MLflow."""
        return self.home / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """The artifact folder behind MLflow."""
        return self.home / "mlartifacts"


def load() -> Settings:
    """Read the settings from the environment."""
    return Settings(home=Path(os.environ.get(HOME_VARIABLE) or "var").absolute())
