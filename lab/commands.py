"""Commands of the lab: a simulated world, policies lived in it, and what-if reports.

Nothing here decides about a customer, and no gate reads what it prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Inconclusive, UsageError
from limits.options import AsOf, DemandIndex, Regime

if TYPE_CHECKING:
    from governance.settings import Settings
    from lab.backtest.strategy import Files
    from lab.world.settings import WorldSettings

app = command.room("lab", "Rehearse a policy in a simulated world; nothing here decides anybody.")

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
    """Write a simulated world: monthly panel, labels, statements, identities, sealed truth."""
    from lab.world import edition
    from lab.world.settings import WorldSettings, packaged
    from privacy.keyring import Keyring

    home = command.load_home()
    declared = (
        WorldSettings.load(settings_file) if settings_file else WorldSettings.parse(packaged())
    )
    asked = {"accounts": accounts, "months": months, "seed": seed}
    wanted = declared.changed(**{name: value for name, value in asked.items() if value is not None})
    ring = Keyring.open(home.keyring)
    with command.progress(f"World {wanted.id}", wanted.accounts) as done:
        made = edition.publish(
            wanted,
            out or home.raw / f"world-{wanted.id}",
            keyring=ring,
            done=lambda lived: done("accounts", lived),
        )
    document = {
        "schema": "limitline/lab-world/1",
        "path": str(made.path),
        "digest": made.digest,
        "settings_digest": wanted.digest,
        "rows": made.rows,
        "is_simulated": True,
    }
    lines = [
        f"Simulated world: {made.path}",
        *(f"  {name:<11}{rows:>12,} rows" for name, rows in made.rows.items()),
        "The oracle is sealed under the audit key.",
        f"Digest {made.digest}: the same settings give it again.",
    ]
    text = "\n".join(lines)
    command.emit(
        document, as_json=as_json, people=lambda console: console.print(text, markup=False)
    )


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
    from lab.world import applicants, edition, extract
    from lab.world.snapshot import Moment

    if of not in list(extract.Shape):
        raise UsageError(f"--of is one of {', '.join(extract.Shape)}.")
    home = command.load_home()
    settings = edition.read_settings(world or home.raw / "world-baseline")
    shape = extract.Shape(of)
    days = [command.parse_day(text) for text in as_of or ()]
    if shape is extract.Shape.APPLICANT and not days:
        days = [applicants.day(settings)]
    known = command.parse_day(known_on)
    moments = [Moment(as_of=day, horizon_months=horizon, known_on=known) for day in sorted(days)]
    target = out or home.raw / f"{settings.id}-{shape}.parquet"
    with command.progress(f"{shape} of {settings.id}", settings.accounts) as done:
        rows = extract.write(
            settings,
            target,
            shape,
            moments=moments,
            done=lambda lived: done("accounts", lived),
        )
    document = {
        "schema": "limitline/lab-snapshot/1",
        "path": str(target),
        "rows": rows,
        "of": shape.value,
        "as_of": [day.isoformat() for day in sorted(days)],
        "horizon_months": horizon,
        "known_on": known.isoformat(),
        "settings_digest": settings.digest,
        "contract": f"world_{shape}",
        "is_simulated": True,
    }
    text = f"{rows:,} simulated rows, contract world_{shape}: {target}"
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
        str, typer.Option(help="What is compared; static always is. There is free as well.")
    ] = "static,blanket,rule,optimized",
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Live a limit policy for two simulated years, a downturn included, and compare strategies."""
    from lab.backtest import report
    from lab.backtest.trial import Trial, checked_seeds
    from lab.world.settings import WorldSettings, packaged

    filed = WorldSettings.load(world) if world else WorldSettings.parse(packaged())
    question = report.Question(
        trial=Trial(filed=filed, months=months, every=every),
        seeds=checked_seeds(_numbers(seeds)),
        accounts=accounts,
        strategies=report.chosen(strategies),
    )
    files = _files(policy, economics, features, filed)
    with command.progress("backtest", question.steps) as done:
        found = report.run(question, files, on=command.parse_day(on), done=done)
    document = found.as_document()
    command.emit(document, as_json=as_json, people=lambda console: report.show(console, document))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError("Seeds are whole numbers with commas between them: 101,102,103.") from None


def _files(
    policy: Path | None, economics: Path | None, features: Path | None, filed: WorldSettings
) -> Files:
    """Read the files, hold them against each other, and fit the default model."""
    from lab.backtest import learner
    from lab.backtest.strategy import Files, require_together
    from lab.optimizer import economics as prices
    from lab.optimizer.economics import Economics
    from limits import features as specs
    from limits import policy as policies
    from limits.features import FeatureSpec
    from limits.policy import LimitPolicy

    bundled = prices.packaged(WORLD_ECONOMICS)
    agreed = Economics.load(economics) if economics else Economics.parse(bundled)
    text = command.read_text(policy) if policy else policies.packaged(WORLD_POLICY)
    spec = command.read_text(features) if features else specs.packaged(WORLD_FEATURES)
    rules, declared = LimitPolicy.parse(text), FeatureSpec.parse(spec)
    # The files are held against each other before a model is fitted, which takes seconds.
    require_together(declared, rules, agreed)
    with command.stderr.status("Fitting a default model on an earlier simulated world"):
        scorer = learner.learn(filed, declared)
    return Files(policy=rules, economics=agreed, scorer=scorer)


@app.command()
@command.guarded
def optimize(
    policy: Annotated[Path, typer.Option(help="A limit policy file; its bounds are kept.")],
    input_file: Annotated[Path, typer.Option("--input", help="A plain Parquet or CSV table.")],
    economics: Annotated[Path, typer.Option(help="The reviewed economics and budgets.")],
    history: Annotated[Path, typer.Option(help="Past limit changes, which bound what is tried.")],
    output: Annotated[Path, typer.Option(help="Where the recommendations go (Parquet).")],
    reach: Annotated[
        str,
        typer.Option(
            help="declared: what the policy's envelope says. To compare: matrix, direction, step."
        ),
    ] = "declared",
    as_of: AsOf = "",
    freeze: Annotated[str, typer.Option(help="nothing, or raises.")] = "nothing",
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Recommend limits within policy and budgets; exit 14 if a budget cannot be met."""
    from lab.optimizer import recommendation
    from lab.optimizer.envelope import Reach
    from limits.stages.climate import Climate, Freeze

    if reach not in set(Reach):
        raise UsageError(f"--reach takes one of {', '.join(Reach)}.")
    if freeze not in set(Freeze):
        raise UsageError("--freeze takes nothing or raises.")
    request = recommendation.Request(
        policy=policy,
        economics=economics,
        table=input_file,
        history=history,
        reach=Reach(reach),
        as_of=command.parse_day(as_of),
        freeze=Freeze(freeze),
        climate=Climate.read({"regime": regime, "demand_index": demand_index}),
        encoding=encoding,
    )
    with command.stderr.status("Optimizing ..."):
        document = recommendation.recommend(request, output)
    lines = "\n".join(recommendation.in_words(document))
    command.emit(document, as_json=as_json, people=lambda out: out.print(lines, markup=False))
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
    clip: Annotated[float, typer.Option(help="Largest weight of an explored customer.")] = 5.0,
    uplift: Annotated[
        float, typer.Option(help="Assumed in parcelling: risk beyond the line against before it.")
    ] = 1.25,
    widest: Annotated[
        float, typer.Option(help="Worst-case bounds wider than this are INCONCLUSIVE.")
    ] = 0.10,
    seed: Annotated[int, typer.Option(help="Seed of folds, trees and draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Report what the refused may hide: weights, scenarios and bounds; nothing is applied."""
    from lab.reject_inference import applications, study, telling
    from lab.reject_inference.intake import Rules
    from limits.features import FeatureSpec
    from privacy.feature_table import FeatureTable
    from privacy.keyring import Keyring
    from training.recipes import CHAMPION

    if clip < 1 or uplift <= 0 or not 0 < widest <= 1:
        raise UsageError("--clip is at least 1, --uplift above 0, --widest a share up to 1.")
    home = command.load_home()
    place = features or _newest(home, contract)
    table = FeatureTable.open(place, keyring=Keyring.open(home.keyring))
    declared, outcome = FeatureSpec.parse(command.read_text(spec)), target or table.label
    if outcome is None:
        raise UsageError("The contract names no label; say which column is the outcome.")
    columns = applications.Columns(target=outcome, refused=refused, explored=accepted_anyway)
    matrix, people = applications.read(table, declared, columns)
    rules = Rules(clip=clip, uplift=uplift, widest=widest)
    with command.progress("reject inference", study.STEPS) as done:
        found = study.measure(
            lambda: CHAMPION.estimator(declared.signs, seed=seed),
            matrix,
            people,
            rules,
            seed=seed,
            done=done,
        )
    document = telling.as_document(found, table, declared, rules)
    command.emit(document, as_json=as_json, people=lambda console: telling.show(console, found))


def _newest(home: Settings, contract: str) -> Path:
    from governance.contract import Purpose
    from privacy import gate
    from privacy.keyring import Keyring

    ring = Keyring.open(home.keyring)
    return gate.latest(home.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=ring)
