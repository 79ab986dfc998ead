"""The column contracts that come with the room."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from governance.contract import ColumnContract
from governance.errors import UsageError


def packaged(name: str) -> ColumnContract:
    """Return the contract ``privacy/contracts/<name>.toml``.

    Raises
    ------
    UsageError
        If the room has no such contract.
    """
    folder = resources.files("privacy").joinpath("contracts")
    names = sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".toml"))
    if name not in names:
        raise UsageError(
            f"There is no contract of that name; the packaged ones are {', '.join(names)}. "
            "A contract of your own is given as the path of its TOML file."
        )
    return ColumnContract.parse(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def find(name_or_path: str) -> ColumnContract:
    """Return the contract in a TOML file, or the packaged one of that name."""
    path = Path(name_or_path)
    return ColumnContract.load(path) if path.suffix == ".toml" else packaged(name_or_path)
