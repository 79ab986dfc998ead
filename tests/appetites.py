"""Risk appetites for tests: each says what it limits, and the rest is the same in all."""

from __future__ import annotations

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


def appetite_text(*thresholds: str) -> str:
    """Return a risk appetite as TOML."""
    return HEAD + "".join(thresholds)
