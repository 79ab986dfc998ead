"""Commands of the lab: a simulated world, policies lived in it, and what-if reports.

Nothing here decides about a customer, and no gate reads what it prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decisions.options import AsOf, DemandIndex, Regime
from governance import command
from governance.command import AsJson, Encoding
from governance.errors import Inconclusive, UsageError
from governance.measurement import Measurement, describe_scope

if TYPE_CHECKING:
    from governance.settings import Settings
    from lab.backtest.strategy import ReviewedFiles
    from lab.world.settings import WorldSettings

app = typer.Typer()

WORLD_POLICY = "world_demo"
WORLD_FEATURES = "world_features"
WORLD_ECONOMICS = "world"

WorldFile = Annotated[
    Path | None, typer.Option(help="World file (TOML); default: the bundled world.")
]
KnownOn = Annotated[
    str,
    typer.Option(metavar="YYYY-MM-DD", help="Outcomes of a later day are left empty."),
]


@app.command()
@command.guarded
def world(
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="World file (TOML); default: the bundled one.")
    ] = None,
    accounts: Annotated[
        int | None, typer.Option(help="How many accounts; default: as filed.")
    ] = None,
    months: Annotated[int | None, typer.Option(help="How many months; default: as filed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all luck; default: as filed.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder; default: raw/world-<id> in home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a simulated world: monthly panel, outcomes, statements and identities."""
    from lab.world import records

    home = command.load_home()
    asked = {"accounts": accounts, "months": months, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None}
    wanted = _world(settings_file).changed(**given)
    path = out or home.raw / f"world-{wanted.id}"
    with command.progress(f"World {wanted.id}", wanted.accounts) as done:
        rows = records.publish(wanted, path, done=lambda lived: done("accounts", lived))
    document = {
        "schema": "limitline/lab-world/2",
        "path": str(path),
        "settings_digest": wanted.digest,
        "rows": rows,
        "is_simulated": True,
    }
    lines = [
        f"Simulated world: {path}",
        *(f"  {name:<11}{count:>12,} rows" for name, count in rows.items()),
    ]
    _say(document, lines, as_json=as_json)


@app.command()
@command.guarded
def snapshot(
    of: Annotated[str, typer.Option("--of", help="consumer, business or applicant.")],
    world: Annotated[
        Path | None, typer.Option("--world", help="Folder of a world; default: raw/world-baseline.")
    ] = None,
    as_of: Annotated[
        list[str] | None,
        typer.Option(
            "--as-of",
            metavar="YYYY-MM-DD",
            help="Day of the book; repeat it and every account is seen on one of the days.",
        ),
    ] = None,
    horizon: Annotated[int, typer.Option(help="Months over which the outcome is asked.")] = 12,
    known_on: KnownOn = "9999-12-31",
    out: Annotated[
        Path | None, typer.Option(help="Parquet file; default: raw/<world>-<of>.parquet in home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cut a raw table from a simulated world, one row per customer, for the release gate."""
    from lab.world import records
    from lab.world import snapshot as tables
    from lab.world.snapshot import Shape, StudyDay

    if of not in list(Shape):
        raise UsageError(f"--of is one of {', '.join(Shape)}.")
    home, shape = command.load_home(), Shape(of)
    settings = records.read_settings(world or home.raw / "world-baseline")
    days = sorted(command.parse_day(text) for text in as_of or ())
    if shape is Shape.APPLICANT and not days:
        days = [tables.application_day(settings)]
    known = command.parse_day(known_on)
    moments = [StudyDay(as_of=day, horizon_months=horizon, known_on=known) for day in days]
    target = out or home.raw / f"{settings.id}-{shape}.parquet"
    with command.progress(f"{shape} of {settings.id}", settings.accounts) as done:
        rows = tables.write(
            settings, target, shape, days=moments, done=lambda lived: done("accounts", lived)
        )
    document = {
        "schema": "limitline/lab-snapshot/1",
        "path": str(target),
        "rows": rows,
        "of": shape.value,
        "as_of": [day.isoformat() for day in days],
        "horizon_months": horizon,
        "known_on": known.isoformat(),
        "settings_digest": settings.digest,
        "contract": f"world_{shape}",
        "is_simulated": True,
    }
    said = f"{rows:,} simulated rows, contract world_{shape}: {target}"
    _say(document, [said], as_json=as_json)


def _world(path: Path | None) -> WorldSettings:
    from lab.world.settings import WorldSettings, packaged

    return WorldSettings.load(path) if path else WorldSettings.parse(packaged())


def _say(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    text = "\n".join(lines)
    command.emit(
        document,
        as_json=as_json,
        people=lambda console: console.print(text, soft_wrap=True, markup=False),
    )


@app.command()
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
    world: WorldFile = None,
    accounts: Annotated[int, typer.Option(help="Applicants in each world.")] = 3_000,
    months: Annotated[int, typer.Option(help="Months under each strategy.")] = 24,
    every: Annotated[int, typer.Option(help="Months between two reviews of limits.")] = 3,
    seeds: Annotated[
        str, typer.Option(help="Worlds to live, by seed; none that anything was tuned on.")
    ] = "101,102,103",
    strategies: Annotated[
        str, typer.Option(help="What is compared; static always is.")
    ] = "static,blanket,rule,optimized",
    as_json: AsJson = False,
) -> None:
    """Live a limit policy for two simulated years, a downturn included, and compare strategies."""
    from lab.backtest import comparison
    from lab.backtest.trial import Trial, checked_seeds

    filed = _world(world)
    contest = comparison.Contest(
        trial=Trial(filed=filed, months=months, every=every),
        seeds=checked_seeds(_numbers(seeds)),
        accounts=accounts,
        strategies=comparison.chosen(strategies),
    )
    files = _files(policy, economics, features, filed)
    with command.progress("backtest", len(contest.seeds) * len(contest.strategies)) as done:
        document = comparison.compare(contest, files, done=done)
    command.emit(
        document, as_json=as_json, people=lambda console: comparison.show(console, document)
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError("Seeds are whole numbers with commas between them: 101,102,103.") from None


def _files(
    policy: Path | None, economics: Path | None, features: Path | None, filed: WorldSettings
) -> ReviewedFiles:
    """Read the files, hold them against each other, and fit the default model."""
    from decisions import features as specs
    from decisions import policy as policies
    from decisions.features import FeatureSpec
    from decisions.policy import LimitPolicy
    from lab.backtest import default_model
    from lab.backtest.strategy import ReviewedFiles, require_together
    from lab.optimizer import economics as prices
    from lab.optimizer.economics import Economics

    bundled = prices.packaged(WORLD_ECONOMICS)
    agreed = Economics.load(economics) if economics else Economics.parse(bundled)
    text = command.read_text(policy) if policy else policies.packaged(WORLD_POLICY)
    spec = command.read_text(features) if features else specs.packaged(WORLD_FEATURES)
    rules, declared = LimitPolicy.parse(text), FeatureSpec.parse(spec)
    # The files are held against each other before a model is fitted, which takes seconds.
    require_together(declared, rules, agreed)
    with command.stderr.status("Fitting a default model on an earlier simulated world"):
        model = default_model.learn(filed, declared)
    return ReviewedFiles(policy=rules, economics=agreed, model=model)


@app.command()
@command.guarded
def optimize(
    policy: Annotated[Path, typer.Option(help="A limit policy file; its bounds are kept.")],
    input_file: Annotated[Path, typer.Option("--input", help="A plain Parquet or CSV table.")],
    economics: Annotated[Path, typer.Option(help="The reviewed economics and budgets.")],
    history: Annotated[Path, typer.Option(help="Past limit changes, which bound what is tried.")],
    output: Annotated[Path, typer.Option(help="Where the recommendations go (Parquet).")],
    as_of: AsOf = "",
    freeze: Annotated[str, typer.Option(help="nothing, or raises.")] = "nothing",
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Recommend limits within policy and budgets; exit 14 if a budget cannot be met."""
    from decisions.plan import Climate, Freeze
    from lab.optimizer import recommendation

    if freeze not in set(Freeze):
        raise UsageError("--freeze takes nothing or raises.")
    files = recommendation.OptimizationFiles(
        policy=policy,
        economics=economics,
        table=input_file,
        history=history,
        as_of=command.parse_day(as_of),
        freeze=Freeze(freeze),
        climate=Climate.read({"regime": regime, "demand_index": demand_index}),
        encoding=encoding,
    )
    with command.stderr.status("Optimizing ..."):
        document = recommendation.recommend(files, output)
    _say(document, recommendation.in_words(document), as_json=as_json)
    if document["outcome"] != "PASS":
        raise Inconclusive(" ".join(document["reasons"]))


@app.command("reject-inference")
@command.guarded
def reject_inference(
    refused: Annotated[str, typer.Option(help="Column that says who was turned away.")],
    spec: Annotated[Path, typer.Option(help="Feature spec of what is known at the application.")],
    features: Annotated[
        Path | None, typer.Option(help="Folder of a feature table; default: the latest one.")
    ] = None,
    contract: Annotated[
        str, typer.Option(help="Contract id whose latest table is taken without --features.")
    ] = "world-applicant",
    target: Annotated[
        str | None, typer.Option(help="Outcome column; default: the contract's label.")
    ] = None,
    accepted_anyway: Annotated[
        str | None,
        typer.Option("--accepted-anyway", help="Column that says who was let in at random."),
    ] = None,
    uplift: Annotated[
        float, typer.Option(help="Assumed in parcelling: risk beyond the line against before it.")
    ] = 1.25,
    widest: Annotated[
        float, typer.Option(help="Worst-case bounds wider than this are INCONCLUSIVE.")
    ] = 0.10,
    seed: Annotated[int, typer.Option(help="Seed of folds, trees and draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Report what the refused may hide: rates, scenarios and bounds; nothing is applied."""
    from decisions.features import FeatureSpec
    from lab import reject_inference
    from privacy.feature_table import FeatureTable
    from privacy.keyring import Keyring
    from training.recipes import CHAMPION

    if uplift <= 0 or not 0 < widest <= 1:
        raise UsageError("--uplift is above 0, --widest a share up to 1.")
    home = command.load_home()
    place = features or _newest(home, contract)
    table = FeatureTable.open(place, keyring=Keyring.open(home.keyring))
    declared, outcome = FeatureSpec.parse(command.read_text(spec)), target or table.label
    if outcome is None:
        raise UsageError("The contract names no label; say which column is the outcome.")
    matrix, people = reject_inference.read(table, declared, outcome, refused, accepted_anyway)
    with command.stderr.status("Fitting models of the accepted ..."):
        probability = reject_inference.accepted_only(
            lambda: CHAMPION.estimator(declared.signs, seed=seed), matrix, people, seed=seed
        )
    found = reject_inference.measure(people, probability, uplift=uplift, widest=widest)
    document = {
        "schema": "limitline/reject-inference/2",
        "data_contract": table.contract_id,
        "data_digest": table.digest,
        "features_digest": declared.digest,
        "horizon_months": declared.horizon_months,
        "rules": {"uplift": uplift, "widest": widest},
        "counts": people.counts(),
        "measurements": [measured.as_json() for measured in found],
        "applied": "nothing",
        "caveats": [reject_inference.APPLIED],
    }
    said = ", ".join(f"{count:,} {name}" for name, count in people.counts().items())
    _say(document, [said, *map(_line, found), reject_inference.APPLIED], as_json=as_json)


def _line(found: Measurement) -> str:
    value = "undefined" if found.value is None else f"{found.value:.4f}"
    bounds = "" if found.low is None else f" [{found.low:.4f}, {found.high:.4f}]"
    where = describe_scope(found.scope)
    return f"{found.measure}, {where}: {value}{bounds}, {found.outcome}. {found.reason}"


def _newest(home: Settings, contract: str) -> Path:
    from governance.contract import Purpose
    from privacy import gate
    from privacy.keyring import Keyring

    ring = Keyring.open(home.keyring)
    return gate.latest(home.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=ring)
