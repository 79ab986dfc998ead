"""The model folder stands alone: it loads and decides where this repository does not exist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from limits import book, model
from limits.engine import Freeze
from registry.load import load_verified

if TYPE_CHECKING:
    from tests.conftest import World

FOREIGN = """
    import json, sys
    repository = sys.argv[1]
    sys.path = [place for place in sys.path if place not in ("", repository)]
    sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
    for name in ("limits", "governance", "registry"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"{name} is importable; the test would prove nothing")
    import mlflow.pyfunc, pandas as pd
    loaded = mlflow.pyfunc.load_model(sys.argv[2])
    rows = pd.read_json(sys.stdin, orient="split")
    decided = loaded.predict(rows, params={"as_of": "2005-10-01"})
    import limits.engine
    assert not limits.engine.__file__.startswith(repository)
    print(decided.to_json(orient="records"))
"""


def test_the_model_decides_alike_where_the_repository_is_not_importable(world: World) -> None:
    verified = load_verified(world.settings, "champion")
    engine = book.Engine.of(verified)
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    batch = next(iter(table.reader())).slice(0, 200)
    here = engine.decide(batch, as_of=date(2005, 10, 1), freeze=Freeze.NOTHING).to_pylist()
    columns = sorted({*engine.spec.sources, engine.spec.current_limit_column})
    rows = batch.select(columns).to_pandas().to_json(orient="split", index=False)
    repository = str(Path(model.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(FOREIGN), repository, str(verified.folder)],
        input=rows,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    there = json.loads(done.stdout.splitlines()[-1])
    for name in ("limit_before_minor", "limit_after_minor", "action", "reasons"):
        assert [row[name] for row in there] == [row[name] for row in here]
    assert [row["default_probability"] for row in there] == pytest.approx(
        [row["default_probability"] for row in here], abs=1e-9
    )


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
