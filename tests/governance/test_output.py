from __future__ import annotations

from io import StringIO

from rich.console import Console

from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.output import terminal


def test_what_a_table_names_is_printed_as_it_is_and_never_read_as_markup() -> None:
    """A group may be called anything; ``[/b]`` alone would end the program."""
    found = [
        Measurement(
            measure=measure,
            scope={"attribute": "branch [red]", "group": "[/b]"},
            value=0.5,
            low=0.4,
            high=0.6,
            n=200,
            unit="rate",
            outcome=Outcome.INFO,
            reason="",
        )
        for measure in ("discrimination.auc", "fairness.raise_rate")
    ]
    text = StringIO()
    out = Console(file=text, width=200)
    terminal.show(out, "Fairness [/i]", found)
    said = text.getvalue()
    assert said.count("[/b]") >= 2
    assert "branch [red]" in said
    assert "Fairness [/i]" in said
