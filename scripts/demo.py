"""The main job, end to end: every step is a command that you can run by itself.

The script holds no logic of the product. It runs the verbs in order, shows each command,
checks that what must be refused is refused with the right exit code, and says how long it took.
All verbs run in this one process, so that the libraries are imported once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from governance import command, durable, settings
from governance.errors import GateClosed, Inconclusive, LimitlineError
from limitline.commands import app

RAW = "raw/uci_credit.parquet"
DAY = "2005-10-01"
# The outcome of the month after the decision is known a month later.
OUTCOME_DAY = "2005-11-01"
WAIVER_ENDS = "2005-12-31"
APPROVERS = ("risk_approver", "business_approver")
SMALL_WORLD = 6_000
SHOWN = ("auc", "ks", "brier")

out = Console(highlight=False)


class StepFailed(Exception):
    """A step ended with another exit code than it should have."""


@dataclass
class Demo:
    """Runs commands and remembers how long each step took."""

    customers: int
    with_alternatives: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    _step: str = ""
    _began: float = 0.0

    def step(self, title: str) -> None:
        """Begin a step."""
        self.end()
        self._step, self._began = title, time.monotonic()
        out.print()
        out.print(Rule(f"[bold]{len(self.seconds) + 1}. {title}", align="left"))

    def end(self) -> None:
        """End the step that is running, if any."""
        if self._step:
            self.seconds[self._step] = time.monotonic() - self._began
            self._step = ""

    def run(self, line: str, *, expect: tuple[int, ...] = (0,)) -> int:
        """Run one verb with its output on the terminal."""
        return self._finish(line, expect, contextlib.nullcontext())

    def ask(self, line: str, *, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """Run one verb and return the JSON document that it prints."""
        printed = io.StringIO()
        self._finish(f"{line} --json", expect, contextlib.redirect_stdout(printed))
        document: dict[str, Any] = json.loads(printed.getvalue())
        return document

    def _finish(
        self, line: str, expect: tuple[int, ...], output: contextlib.AbstractContextManager[Any]
    ) -> int:
        out.print(f"$ limitline {line}", style="cyan", soft_wrap=True)
        with output:
            code = _ended(shlex.split(line))
        if code not in expect:
            wanted = " or ".join(str(each) for each in expect)
            raise StepFailed(f"`limitline {line}` ended with {code}, not {wanted}.")
        return code


def _ended(arguments: list[str]) -> int:
    """Run one verb as the console script does and return its exit code."""
    try:
        app(arguments, prog_name="limitline")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def main() -> int:
    """Run the demonstration; returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=30_000)
    parser.add_argument(
        "--alternatives", action="store_true", help="also judge other models; a minute more"
    )
    asked = parser.parse_args()
    try:
        home = command.load_home().home
        with durable.locked(home / ".demo.lock", what="The demonstration"):
            demo = Demo(asked.customers, with_alternatives=asked.alternatives)
            journey(demo)
            close(demo)
    except LimitlineError as error:
        out.print(f"limitline: {error}", markup=False)
        return error.exit_code
    except StepFailed as error:
        out.print(f"The demonstration stopped: {error}", style="red", markup=False)
        return 1
    return 0


def journey(demo: Demo) -> None:
    """Go through the main job."""
    out.print("[bold]Limitline[/bold]: governance and monitoring for credit-limit models")
    out.print(
        f"{demo.customers:,} real customers (UCI, Taiwan 2005); names and numbers of persons are "
        "simulated."
    )
    protect(demo)
    versions = train(demo)
    refuse_the_fault(demo, versions["fault"])
    promote(demo, versions["sound"])
    demo.step("Decide every limit, do it again, and say why")
    demo.run(f"decide --as-of {DAY}")
    demo.run(f"replay --vintage {DAY[:7]} --sample 10000 --seed 1")
    demo.run(f"explain --vintage {DAY[:7]} --action cut")
    demo.run(f"explain --vintage {DAY[:7]} --action cut --language zh")
    demo.step("Watch the six monthly statements")
    demo.run(f"watch --on {OUTCOME_DAY}", expect=(0, 13, 14))


def protect(demo: Demo) -> None:
    """Keys, raw rows, encrypted feature tables."""
    demo.step("Protect: raw rows stop at the gate")
    demo.run("keys init")
    for role in APPROVERS:
        # Thresholds come before figures: nothing is judged by an appetite signed later.
        demo.run(f"appetite --as {role} --on {DAY}")
    demo.run(f"simulate --customers {demo.customers}")
    raw = settings.load().home / RAW
    for purpose in ("training", "decision"):
        demo.run(f"protect --input {shlex.quote(str(raw))} --purpose {purpose}")


def train(demo: Demo) -> dict[str, int]:
    """Three candidates: one additive, one with a planted fault, one sound."""
    demo.step("Train: three candidates, one with a planted fault")
    versions = {}
    candidates = {
        "additive": "train --challenger",
        "fault": "train --fault limit-leak",
        "sound": "train",
    }
    for name, line in candidates.items():
        document = demo.ask(line)
        versions[name] = int(document["version"])
        out.print(f"  version {document['version']} ({name}): {_figures(document)}")
    return versions


def refuse_the_fault(demo: Demo, version: int) -> None:
    """The candidate that rewards itself for raising limits must be refused."""
    demo.step("Refuse the faulty candidate")
    demo.run(f"validate --version {version} --on {DAY}")
    closed = (GateClosed.exit_code,)
    demo.run(f"gate --version {version} --on {DAY}", expect=closed)


def promote(demo: Demo, version: int) -> None:
    """The sound candidate: real findings, recorded waivers, two approvals, champion."""
    demo.step("Validate the sound candidate")
    demo.run(f"validate --version {version} --on {DAY}")
    if demo.with_alternatives:
        demo.step("Ask whether a fairer model would have done as well")
        demo.run(f"challenge --version {version}")
        demo.run(f"alternatives --version {version} --on {DAY}")
    demo.step("What its policy shows before it decides anybody: laws and impact")
    demo.run(f"policy check --version {version} --inputs 100000 --on {DAY}")
    demo.run(f"policy impact --version {version} --as-of {DAY}")
    demo.step("Waive what is known, approve and promote")
    closed = (0, GateClosed.exit_code, Inconclusive.exit_code)
    if demo.run(f"gate --version {version} --on {DAY}", expect=closed) != 0:
        demo.run(
            f"waive --version {version} --measure fairness.* --as risk_approver "
            f"--owner 'head of credit risk' --on {DAY} --expires {WAIVER_ENDS} --reason "
            "'Known finding of the demonstration book; remediation plan due before expiry'",
            expect=(0, 2),
        )
        if demo.customers < SMALL_WORLD:
            demo.run(
                f"waive --version {version} --measure * --as risk_approver "
                f"--owner 'head of credit risk' --on {DAY} --expires {WAIVER_ENDS} --reason "
                "'Small demonstration world: too few sealed customers to tell'",
                expect=(0, 2),
            )
        demo.run(f"gate --version {version} --on {DAY}")
    for role in APPROVERS:
        demo.run(f"approve --version {version} --as {role} --on {DAY}")
    demo.run(f"promote --version {version} --on {DAY}")


def close(demo: Demo) -> None:
    """Say what happened, from the ledger, and how long it took."""
    demo.step("What happened, from the ledger")
    demo.run(f"reconcile --on {OUTCOME_DAY}")
    demo.run(f"status --on {OUTCOME_DAY}")
    demo.end()
    table = Table(title="Seconds by step", title_justify="left")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for title, seconds in demo.seconds.items():
        table.add_row(title, f"{seconds:.1f}")
    table.add_row("all", f"{sum(demo.seconds.values()):.1f}", style="bold")
    out.print(table)


def _figures(document: dict[str, Any]) -> str:
    measured = document["measurements"]
    named = [(item["measure"].rpartition(".")[2], item["value"]) for item in measured]
    shown = [f"{name.upper()} {value:.4f}" for name, value in named if name in SHOWN and value]
    return ", ".join(shown) + " (out of fold)"


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
