"""The model folder stands alone: it loads and decides where this repository does not exist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from decisions import book, model, scoring
from decisions.book import Engine
from decisions.engine import Freeze
from decisions.features import FeatureSpec
from decisions.plan import Climate, Moment
from decisions.policy import LimitPolicy, packaged
from registry.load import ESTIMATOR_FILE, load_verified

if TYPE_CHECKING:
    from registry.submission import CandidateFiles
    from tests.conftest import World

FOREIGN = """
    import json, sys
    from pathlib import Path
    repository = sys.argv[1]
    sys.path = [place for place in sys.path if place and not Path(place, "decisions").is_dir()]
    sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
    for name in ("decisions", "governance", "registry"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"{name} is importable; the test would prove nothing")
    import mlflow.pyfunc, pandas as pd
    loaded = mlflow.pyfunc.load_model(sys.argv[2])
    rows = pd.read_json(sys.stdin, orient="split")
    decided = loaded.predict(rows, params=json.loads(sys.argv[3]))
    import decisions.engine
    assert not decisions.engine.__file__.startswith(repository)
    print(decided.to_json(orient="records"))
"""


def served(folder: Path, rows: pa.Table, params: dict[str, str]) -> list[dict[str, Any]]:
    """Load the folder with MLflow in a process that cannot see the repository, and predict."""
    repository = str(Path(model.__file__).parents[1])
    given = [repository, str(folder), json.dumps(params)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(FOREIGN), *given],
        input=rows.to_pandas().to_json(orient="split", index=False),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "DO_NOT_TRACK": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_model_decides_alike_where_the_repository_is_not_importable(world: World) -> None:
    verified = load_verified(world.settings, "champion")
    engine = book.Engine.of(verified)
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    batch = next(iter(table.reader())).slice(0, 200)
    here = engine.decide(batch, Moment(as_of=date(2005, 10, 1))).to_pylist()
    rows = batch.select(engine.spec.reads(batch.schema.names))
    there = served(verified.folder, pa.Table.from_batches([rows]), {"as_of": "2005-10-01"})
    for name in ("limit_before_minor", "limit_after_minor", "action", "reasons"):
        assert [row[name] for row in there] == [row[name] for row in here]
    assert [row["default_probability"] for row in there] == pytest.approx(
        [row["default_probability"] for row in here], abs=1e-9
    )


WIDE_INPUTS = """
product = "'card'"
payment_ratio = "CAST(paid_share AS DOUBLE)"
income_minor = "CAST(\\"declared income\\" AS BIGINT) * 100"
debt_service_minor = "CAST(0 AS BIGINT)"
total_debt_minor = "CAST(0 AS BIGINT)"
other_exposure_minor = "CAST(elsewhere AS BIGINT)"
altman_z = "CAST(NULL AS DOUBLE)"
debt_service_coverage = "CAST(NULL AS DOUBLE)"
monthly_revenue_minor = "CAST(NULL AS BIGINT)"
refuses_automation = "refuses"
has_consent = "TRUE"
months_since_assessment = "CAST(1 AS BIGINT)"
"""


def wide_rows(world: World, n: int) -> pa.Table:
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    rows = table.read().slice(0, n).drop_columns(["customer_pseudonym", "assignment"])
    more = {
        "paid_share": pa.array([0.5] * n),
        "declared income": pa.array([9_000_000] * n),
        "elsewhere": pa.array([0] * n),
        "refuses": pa.array([number % 5 == 0 for number in range(n)]),
        "unread": pa.array([1] * n),
        "arm": pa.array(["policy", "explore"] * (n // 2)),
        "assignment": pa.array([number << 1 for number in range(n)]),
        "previous_band": pa.array([None, "A"] * (n // 2), pa.string()),
        "previous_probability": pa.array([0.2, None] * (n // 2)),
    }
    for name, values in more.items():
        rows = rows.append_column(name, values)
    return rows


@pytest.mark.parametrize(
    "params",
    [
        {"regime": "boom", "demand_index": "1.5"},
        {"regime": "downturn", "demand_index": "1.2", "freeze": "raises"},
    ],
)
def test_a_served_model_asks_for_all_it_reads_and_obeys_climate_and_freeze(
    world: World, tmp_path: Path, params: dict[str, str]
) -> None:
    """Its policy has every section, its inputs read columns that no feature reads."""
    verified = load_verified(world.settings, "champion")
    policy_text = packaged("consumer_sme").replace('currency = "CNY"', 'currency = "TWD"')
    rows = wide_rows(world, 600)
    parts = model.ModelParts(
        estimator=verified.folder / ESTIMATOR_FILE,
        features_text=verified.features_text + WIDE_INPUTS,
        policy_text=policy_text,
        facts={},
        released=rows.schema,
    )
    candidate = model.assemble(tmp_path / "staged", parts)
    asked = set(candidate.signature_input.names)
    inputs_read = {"paid_share", "declared income", "elsewhere", "refuses", "limit_bal"}
    assert inputs_read | {"arm", "assignment", "previous_band", "previous_probability"} <= asked
    assert "unread" not in asked
    log_to(tmp_path / "served", candidate)
    as_of = date(2026, 11, 1)
    there = served(tmp_path / "served", rows, {"as_of": as_of.isoformat(), **params})
    spec, policy = FeatureSpec.parse(parts.features_text), LimitPolicy.parse(policy_text)
    scored = scoring.score(verified.estimator, spec, rows, scoring.from_elsewhere(spec, policy))
    freeze = Freeze(params.get("freeze", "nothing"))
    climate = Climate.read(params)
    here = scoring.decide(policy, scored, as_of=as_of, freeze=freeze, climate=climate).to_pylist()
    for name in ("limit_after_minor", "temporary_uplift_minor", "action", "reasons"):
        assert [row[name] for row in there] == [row[name] for row in here], name
    ends = [row["uplift_expires_on"] and str(row["uplift_expires_on"]) for row in here]
    assert [row["uplift_expires_on"] for row in there] == ends
    expected = {"2026-12-10", None} if freeze is Freeze.NOTHING else {None}
    assert set(ends) == expected
    assert ("raise" in {row["action"] for row in there}) == (freeze is Freeze.NOTHING)


def log_to(folder: Path, candidate: CandidateFiles) -> None:
    """Save the model as the registry logs it, with the registry's own signature."""
    import mlflow.pyfunc

    from registry import catalogue

    with catalogue._quiet("saving a model"):
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(candidate.python_model),
            artifacts={name: str(path) for name, path in candidate.artifacts.items()},
            code_paths=[str(path) for path in candidate.code_paths],
            signature=catalogue._signature(candidate),
            pip_requirements=list(candidate.pip_requirements),
        )


def test_a_served_model_refuses_to_decide_without_a_day(world: World) -> None:
    verified = load_verified(world.settings, "champion")
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    rows = table.read().slice(0, 3)
    with pytest.raises(AssertionError, match="as_of is the day of the decision"):
        served(verified.folder, rows.select(Engine.of(verified).spec.reads(rows.column_names)), {})


def test_the_folder_says_what_it_was_made_of(world: World) -> None:
    verified = load_verified(world.settings, "champion")
    facts = verified.metadata
    assert facts["code_digest"] == model.code_digest()
    assert facts["features_digest"] == book.Engine.of(verified).spec.digest
    assert facts["policy_stamp"].startswith("uci-demo@1.1.0#")
    assert facts["horizon_months"] == 1
    for name in ("data_digest", "seed", "code_commit", "lock_digest"):
        assert facts[name], name


def test_the_code_that_travels_reads_no_disk_and_no_key() -> None:
    forbidden = ("sqlite3", "privacy", "subprocess", "socket", "Keyring")
    for package, modules in model.TRAVELLING_CODE.items():
        for name in modules:
            text = (Path(model.__file__).parents[1] / package / f"{name}.py").read_text()
            used = [word for word in forbidden if f"import {word}" in text]
            assert not used, (package, name, used)
