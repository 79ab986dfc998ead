"""Each foreign library has one door, so that a change of its interface is one file's work."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("governance", "privacy", "registry", "decisions", "training", "monitoring", "lab"),
    "limitline",
)

# Library to the modules that may import it; a folder stands for all its modules.
DOORS: dict[str, set[str]] = {
    "mlflow": {"registry/catalogue.py", "decisions/credit_limit_model.py"},
    "skops": {"registry/serialize.py"},
    "evidently": {"monitoring/report.py"},
    "plotly": {"monitoring/report.py"},
    "fairlearn": {"monitoring/fairness.py"},
    "duckdb": {"decisions/sql.py"},
    "pyspark": {"decisions/spark.py"},
    "apprise": {"decisions/routes.py"},
    "faker": {"training/demo_data.py"},
    "matplotlib": {"monitoring/alternatives_report.py", "training/figures.py"},
    "cryptography": {"privacy", "registry/signing.py", "registry/offline.py"},
    "sklearn": {"training", "registry/serialize.py", "lab"},
    "typer": {f"{room}/commands.py" for room in ROOMS}
    | {
        "governance/command.py",
        "decisions/options.py",
        "decisions/case_commands.py",
        "decisions/policy_commands.py",
        "monitoring/alternatives_report.py",
        "monitoring/table_commands.py",
        "registry/gate_commands.py",
    },
}


def imports(path: Path) -> set[str]:
    """Return the top-level names that a module imports at run time, wherever in the file."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("library", DOORS)
def test_a_library_comes_in_by_its_door_alone(library: str) -> None:
    used = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if library in imports(path)
    }
    doors = DOORS[library]
    strays = {name for name in used if name not in doors and name.partition("/")[0] not in doors}
    assert strays == set()


def test_anybody_s_table_is_read_by_one_module() -> None:
    """What else opens Parquet or CSV opens our own files, or looks for what leaked into any."""
    allowed = {
        "governance/table.py",
        "privacy/file_formats.py",
        "privacy/sealed_parquet.py",
        "training/demo_data.py",
    }
    readers = ("read_parquet", "read_csv", "read_table", "ParquetFile", "open_csv")
    strays = {
        f"{path.relative_to(ROOT).as_posix()}: {word}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for word in readers
        if word in path.read_text(encoding="utf-8")
        and path.relative_to(ROOT).as_posix() not in allowed
    }
    assert strays == set()


def test_no_module_is_a_drawer_of_leftovers() -> None:
    forbidden = {"utils", "helpers", "common", "manager", "processor", "misc", "profile"}
    names = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert names & forbidden == set()


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for room in ROOMS:
        tree = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), room
        assert len(tree.body) == 1, room


@pytest.mark.parametrize("room", ROOMS)
def test_modules_stay_readable(room: str) -> None:
    long = {
        path.name: lines
        for path in (ROOT / room).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
        # Two files on purpose: an auditor copies them.
        and path.name not in {"offline.py", "rules.py"}
    }
    assert long == {}
