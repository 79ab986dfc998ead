"""Risk appetites for tests: each says what it limits, and the rest is the same in all."""

from __future__ import annotations

from datetime import date

from governance.appetite import RiskAppetite
from governance.settings import Settings
from registry import judgement

APPROVERS = ("risk_approver", "business_approver")
HEAD = 'schema = "risk-appetite/1"\nid = "test"\nversion = "1"\n'


def threshold(measure: str, *said: str) -> str:
    """Return one threshold of the house as TOML; `said` are its own lines."""
    lines = (
        "[[thresholds]]",
        f'measure = "{measure}"',
        *said,
        'kind = "house"',
        'owner = "Head of Model Risk"',
        'source = "test"',
        "effective_from = 2005-01-01",
    )
    return "\n".join(lines) + "\n"


def sign(home: Settings, appetite: RiskAppetite, on: date) -> None:
    """Let both approvers sign the appetite that judges from the day `on`."""
    for role in APPROVERS:
        judgement.adopt(home, appetite, role=role, on=on)


def appetite_text(*thresholds: str, version: str = "1") -> str:
    """Return a risk appetite as TOML."""
    return HEAD.replace('version = "1"', f'version = "{version}"') + "".join(thresholds)
