"""A raw table (Parquet or CSV) as a stream of batches of exactly the columns of its contract.

What a file can be instead of a table ends in `governance.table`; what a table can be instead of
what the contract says ends here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pyarrow as pa

from governance.contract import ColumnContract
from governance.errors import ContractError, EnvironmentFault, UsageError
from governance.table import PlainFile


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file with the rows of a contract.

    Parameters
    ----------
    encoding : str
        Of a CSV; empty means that it is told from the file.
    """

    path: Path
    encoding: str = ""

    def digest(self) -> bytes:
        """Return the SHA-256 of the file's bytes and of the encoding, if one was declared.

        Raises
        ------
        UsageError
            If there is no such file.
        EnvironmentFault
            If the place does not let it be read.
        """
        self._require_file()
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise EnvironmentFault(
                f"The raw table {self.path.name} cannot be read here: {error.strerror}."
            ) from None
        # The same bytes are other text in another encoding.
        found.update(self.encoding.encode())
        return found.digest()

    def batches(self, contract: ColumnContract) -> Iterator[pa.RecordBatch]:
        """Stream the raw table in contract order and with the contract's types.

        Raises
        ------
        UsageError
            If there is no such file.
        ContractError
            If the file is empty, truncated, not a table, or its columns differ from the contract.
        """
        self._require_file()
        file = PlainFile(path=self.path, what="raw table", encoding=self.encoding)
        _check_names(file.names, contract, self.path)
        declared = {column.name: pa.type_for_alias(column.type) for column in contract.columns}
        for batch in file.batches(list(declared), types=declared):
            _check_types(batch.schema, contract)
            yield batch

    def _require_file(self) -> None:
        if not self.path.is_file():
            raise UsageError(f"There is no raw table at {self.path}.")


def packaged_contract(name: str) -> ColumnContract:
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


def find_contract(name_or_path: str) -> ColumnContract:
    """Return the contract in a TOML file, or the packaged one of that name."""
    path = Path(name_or_path)
    return ColumnContract.load(path) if path.suffix == ".toml" else packaged_contract(name_or_path)


def _check_names(found: Sequence[str], contract: ColumnContract, source: Path) -> None:
    declared = [column.name for column in contract.columns]
    missing = [name for name in declared if name not in found]
    extra = [str(place) for place, name in enumerate(found, 1) if name not in declared]
    problems = []
    if missing:
        problems.append(f"the declared columns {', '.join(missing)} are missing")
    if extra:
        # The names of unknown columns are withheld: without a header they are somebody's data.
        problems.append(f"the columns at position {', '.join(extra)} are not declared")
    if problems:
        raise ContractError(
            f"{source.name} differs from the contract {contract.id}: {'; '.join(problems)}. "
            "Classify every column in the contract, or correct the export."
        )


def _check_types(schema: pa.Schema, contract: ColumnContract) -> None:
    for column in contract.columns:
        found = schema.field(column.name).type
        if found != pa.type_for_alias(column.type):
            raise ContractError(
                f"The column {column.name} is {found}; the contract {contract.id} declares "
                f"{column.type}. Correct the export or the contract."
            )
