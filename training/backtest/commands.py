"""The verb ``python -m training backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import UsageError
from training.terminal import progress, read_text

if TYPE_CHECKING:
    from training.backtest.report import Question, Report
    from training.backtest.strategy import Files
    from training.world.settings import WorldSettings

WORLD_POLICY = "world_demo"
WORLD_FEATURES = "world_features"
WORLD_ECONOMICS = "world"


@command.guarded
def backtest(
    policy: Annotated[
        Path | None, typer.Option(help="A limit policy; default: the bundled one for the world.")
    ] = None,
    economics: Annotated[
        Path | None, typer.Option(help="What a limit earns and costs; default: the bundled file.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Feature spec of the default model; default: the bundled.")
    ] = None,
    version: Annotated[
        str, typer.Option(help="A version's own model and policy: champion, latest or a number.")
    ] = "",
    world: Annotated[
        Path | None, typer.Option(help="World file (TOML); default: the bundled world.")
    ] = None,
    accounts: Annotated[int, typer.Option(help="Applicants in each world.")] = 3_000,
    months: Annotated[int, typer.Option(help="Months under each strategy.")] = 24,
    every: Annotated[int, typer.Option(help="Months between two reviews of limits.")] = 3,
    seeds: Annotated[
        str, typer.Option(help="Worlds to live, by seed; none that anything was tuned on.")
    ] = "101,102,103",
    strategies: Annotated[
        str, typer.Option(help="What is compared; static always is. There is free as well.")
    ] = "static,blanket,rule,optimized",
    frontier: Annotated[
        bool, typer.Option("--frontier", help="Try the neighbors of the policy as well (slower).")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="New folder for page, pictures and evidence.")
    ] = None,
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Live a limit policy for two simulated years, a downturn included, and compare strategies."""
    from training.backtest import page, report
    from training.backtest.trial import Trial, checked_seeds
    from training.world.settings import WorldSettings, packaged

    if version and (policy or features):
        raise UsageError("--version takes model, features and policy of the version itself.")
    if out is not None and out.exists():
        raise UsageError(f"There is something at {out} already. Give --out a new folder.")
    filed = WorldSettings.load(world) if world else WorldSettings.parse(packaged())
    text, files = _files(policy, economics, features, (version, filed))
    question = report.Question(
        trial=Trial(filed=filed, months=months, every=every),
        seeds=checked_seeds(_numbers(seeds)),
        accounts=_at_least_one(accounts),
        strategies=report.chosen(strategies),
        policy_text=text if frontier else None,
    )
    found = _run(question, files, on)
    document = found.as_document()
    if out is not None:
        document["path"] = str(page.write(out, found))
    if version:
        document["attached"] = _attached(version, found)
    command.emit(document, as_json=as_json, people=lambda console: page.tell(console, document))


def _files(
    policy: Path | None,
    economics: Path | None,
    features: Path | None,
    registered: tuple[str, WorldSettings],
) -> tuple[str, Files]:
    """Read the files and fit or load the default model; return the policy's text as well."""
    from limits import features as specs
    from limits import policy as policies
    from limits.features import FeatureSpec
    from limits.optimizing import economics as prices
    from limits.optimizing.economics import Economics
    from limits.policy import LimitPolicy
    from training.backtest import learner
    from training.backtest.strategy import Files, require_together

    version, filed = registered
    terms = Economics.load(economics) if economics else prices.packaged(WORLD_ECONOMICS)
    agreed = Economics.parse(terms) if isinstance(terms, str) else terms
    if version:
        text, scorer = learner.registered(command.load_home(), version)
        return text, Files(policy=LimitPolicy.parse(text), economics=agreed, scorer=scorer)
    text = read_text(policy) if policy else policies.packaged(WORLD_POLICY)
    spec = read_text(features) if features else specs.packaged(WORLD_FEATURES)
    rules, declared = LimitPolicy.parse(text), FeatureSpec.parse(spec)
    # The files are held against each other before a model is fitted, which takes seconds.
    require_together(declared, rules, agreed)
    with command.stderr.status("Fitting a default model on an earlier simulated world"):
        scorer = learner.learn(filed, declared)
    return text, Files(policy=rules, economics=agreed, scorer=scorer)


def _attached(version: str, found: Report) -> dict[str, Any]:
    """Attach the evidence to the version in the ledger, signed by the developer."""
    from registry import attachment
    from registry.load import resolve
    from registry.record import Record
    from registry.signing import Role

    settings = command.load_home()
    number = resolve(Record.load(settings), version)
    entry = attachment.attach(settings, number, found.evidence, role=Role.DEVELOPER)
    return {
        "version": number,
        "entry": entry,
        "digest": found.evidence.digest,
        "signed_by": Role.DEVELOPER.value,
    }


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError("Seeds are whole numbers with commas between them: 101,102,103.") from None


def _at_least_one(accounts: int) -> int:
    if accounts < 1:
        raise UsageError("A world needs at least one applicant.")
    return accounts


def _run(question: Question, files: Files, on: str) -> Report:
    from training.backtest import report

    with progress("backtest", question.steps) as done:
        return report.run(question, files, on=command.parse_day(on), done=done)
