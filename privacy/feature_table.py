"""The feature table: what leaves the gate, encrypted, authenticated and bound to one purpose.

A table is a folder of exactly three files. ``manifest.json`` says what it holds and carries a MAC
under the ring; ``open.parquet`` holds the customers that training may see, ``sealed.parquet`` those
kept for validation. Each of the two is a sealed Parquet file bound to its table and its part, so
that files cannot be exchanged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance import canonical, durable
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError, IntegrityError, KeyringError, UsageError
from privacy import assignment, sealed_parquet
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE
from privacy.sealed_parquet import Seal, SealedFacts

PSEUDONYM = "customer_pseudonym"
ASSIGNMENT = "assignment"
MANIFEST = "manifest.json"

_SCHEMA_NAME = "feature-table/1"
_MAC_USE = "feature-table-manifest"
_RESTORE = "Do not use the table; protect the raw table again or restore a backup"


class Part(StrEnum):
    """Which customers of a table are read."""

    OPEN = "open"
    SEALED = "sealed"
    ALL = "all"

    @property
    def files(self) -> tuple[Part, ...]:
        """The parts that are files of their own."""
        return (Part.OPEN, Part.SEALED) if self is Part.ALL else (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What a table is before its rows are written.

    Parameters
    ----------
    source : str
        Keyed digest of the raw input.
    vault : str
        The vaults that know the table's customers.
    about : mapping of str to str
        What is told about the data and changes nothing of them: title, source, times. It is
        authenticated with the manifest and no part of the table's identity.
    """

    contract: ColumnContract
    purpose: Purpose
    source: str
    vault: str = ""
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the released columns, in contract order."""
        released = self.contract.released(self.purpose)
        fields = [pa.field(column.name, pa.type_for_alias(column.type)) for column in released]
        head = [pa.field(PSEUDONYM, PSEUDONYM_TYPE), pa.field(ASSIGNMENT, pa.uint32())]
        return pa.schema([*head, *fields])

    def identity(self, keyring: Keyring) -> dict[str, Any]:
        """Return what makes two tables the same table."""
        label = self.contract.label_column
        columns = [{"name": f.name, "type": str(f.type)} for f in self.schema]
        day = self.contract.day_column
        # A table of one row per customer has the identity that it had before there were others.
        several = {} if day is None else {"day": day.name}
        return {
            **several,
            "schema": _SCHEMA_NAME,
            "contract_id": self.contract.id,
            "contract_digest": self.contract.digest,
            "purpose": self.purpose.value,
            "ring_id": keyring.ring_id,
            "key_version": keyring.key_version,
            "source": self.source,
            "vault": self.vault,
            "columns": columns,
            "label": label.name if label and label.name in self.schema.names else None,
        }

    def folder_name(self, keyring: Keyring) -> str:
        """Return the name of the table's folder: contract, purpose, start of the digest."""
        return _folder_name(self.identity(keyring))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """An opened feature table, every byte of whose folder was checked.

    Parameters
    ----------
    digest : str
        SHA-256 of what the table is (contract, purpose, input, keys): its stable id. Protecting
        the same input again gives the same digest.
    num_rows : int
        Rows of the opened part.
    about : mapping of str to str
        What `privacy.gate.protect` recorded about the data; empty for a table from before that.
    day : str or None
        The column that tells the rows of one customer apart; None if every customer has one row.
    """

    path: Path
    part: Part
    schema: pa.Schema
    num_rows: int
    purpose: Purpose
    contract_id: str
    contract_digest: str
    digest: str
    key_version: int
    label: str | None
    feature_columns: tuple[str, ...]
    about: Mapping[str, str]
    day: str | None
    _readers: tuple[sealed_parquet.SealedReader, ...]

    def __repr__(self) -> str:
        return f"FeatureTable({self.path.name!r}, part={self.part.value!r}, rows={self.num_rows})"

    @classmethod
    def open(cls, path: Path, *, keyring: Keyring, part: Part = Part.OPEN) -> FeatureTable:
        """Open the table in the folder `path`.

        Raises
        ------
        UsageError
            If there is no table.
        KeyringError
            If the table belongs to another ring.
        IntegrityError
            If any byte of the folder or its name differs from what the gate wrote.
        EnvironmentFault
            If others may write to the folder, or it is a symbolic link.
        """
        manifest = _read_manifest(path, keyring)
        identity = manifest["identity"]
        # Files of parts that are not read are checked as well: a table is whole or it is refused.
        files = [
            (piece, SealedFacts.read(manifest["parts"][piece]), _seal(keyring, identity, piece))
            for piece in Part.ALL.files
        ]
        readers = {
            piece: sealed_parquet.SealedReader(path / f"{piece}.parquet", facts, seal)
            for piece, facts, seal in files
        }
        names = [column["name"] for column in identity["columns"]]
        types = [_plain_type(column["type"]) for column in identity["columns"]]
        label = identity["label"]
        return cls(
            path=path,
            part=part,
            schema=pa.schema(list(zip(names, types, strict=True))),
            num_rows=sum(facts.rows for piece, facts, _ in files if piece in part.files),
            purpose=Purpose(identity["purpose"]),
            contract_id=identity["contract_id"],
            contract_digest=identity["contract_digest"],
            digest=canonical.digest(identity),
            key_version=identity["key_version"],
            label=label,
            feature_columns=tuple(n for n in names if n not in (PSEUDONYM, ASSIGNMENT, label)),
            about=manifest.get("about", {}),
            day=identity.get("day"),
            _readers=tuple(readers[piece] for piece in part.files),
        )

    def reader(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """Stream the rows as record batches; open customers first, in the order they were written.

        Raises
        ------
        IntegrityError
            While it is read, if a page was altered since the table was opened.
        """
        wanted = list(columns) if columns is not None else self.schema.names
        unknown = [name for name in wanted if name not in self.schema.names]
        if unknown:
            raise ContractError(
                f"The table {self.path.name} has no column {', '.join(unknown)}; it has "
                f"{', '.join(self.schema.names)}."
            )
        schema = pa.schema([self.schema.field(name) for name in wanted])
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows of the opened part."""
        return self.reader(columns).read_all()

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for reader in self._readers:
            yield from reader.batches(schema.names)


class TableWriter:
    """Writes the rows of one table into a folder that does not have its final name yet."""

    def __init__(self, folder: Path, facts: TableFacts, keyring: Keyring) -> None:
        self._folder, self._keyring = folder, keyring
        self._identity, self._about = facts.identity(keyring), dict(facts.about)
        self._files = {
            part: sealed_parquet.SealedWriter(
                folder / f"{part}.parquet", facts.schema, _seal(keyring, self._identity, part)
            )
            for part in Part.ALL.files
        }

    def write(self, batch: pa.RecordBatch) -> None:
        """Write released rows, each into the part that its assignment says."""
        in_seal = assignment.is_sealed(batch[ASSIGNMENT])
        self._files[Part.SEALED].write(batch.filter(in_seal))
        self._files[Part.OPEN].write(batch.filter(pc.invert(in_seal)))

    def finish(self) -> None:
        """Close both files and write the manifest that binds them."""
        parts = {part.value: file.finish().as_document() for part, file in self._files.items()}
        body = {"identity": self._identity, "parts": parts, "about": self._about}
        text = canonical.dumps(body)
        sealed = {
            "body": body,
            "sha256": hashlib.sha256(text).hexdigest(),
            "mac": self._keyring.mac(text, use=_MAC_USE).hex(),
        }
        with durable.file_faults(self._folder):
            durable.write_bytes(self._folder / MANIFEST, canonical.dumps(sealed) + b"\n")


@contextmanager
def releasing(facts: TableFacts, *, keyring: Keyring, out: Path) -> Iterator[TableWriter]:
    """Yield a writer whose table appears below `out` when the block ends well, and not before."""
    durable.make_folder(out)
    durable.require_own_folder(out)
    with durable.replacing_folder(out / facts.folder_name(keyring)) as folder:
        yield TableWriter(folder, facts, keyring)


def _read_manifest(path: Path, keyring: Keyring) -> dict[str, Any]:
    """Return the manifest's body after its form, its ring and its MAC were checked, in this order.

    The plain digest comes before the ring: a flipped byte in the ring's name is an altered table,
    not another ring.
    """
    if not (path / MANIFEST).is_file():
        raise UsageError(f"There is no feature table at {path}. Run `limitline protect`.")
    durable.require_own_folder(path)
    raw = (path / MANIFEST).read_bytes()
    try:
        sealed = json.loads(raw)
        body, claimed, mac = sealed["body"], sealed["sha256"], bytes.fromhex(sealed["mac"])
        text = canonical.dumps(body)
        ring_id = body["identity"]["ring_id"]
        key_version = int(body["identity"]["key_version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(f"The manifest of {path.name} was altered. {_RESTORE}.") from None
    if canonical.dumps(sealed) + b"\n" != raw or hashlib.sha256(text).hexdigest() != claimed:
        raise IntegrityError(f"The manifest of {path.name} was altered. {_RESTORE}.")
    if ring_id != keyring.ring_id:
        raise KeyringError(
            f"The table {path.name} was protected with the ring {ring_id}; the ring at hand is "
            f"{keyring.ring_id}. Use the ring that the table was protected with."
        )
    if not hmac.compare_digest(keyring.mac(text, use=_MAC_USE, version=key_version), mac):
        raise IntegrityError(f"The manifest of {path.name} was altered. {_RESTORE}.")
    expected = {MANIFEST, *(f"{part}.parquet" for part in Part.ALL.files)}
    if {item.name for item in path.iterdir()} != expected:
        raise IntegrityError(f"{path.name} holds other files than the gate wrote. {_RESTORE}.")
    if path.resolve().name != _folder_name(body["identity"]):
        raise IntegrityError(
            f"The folder {path.name} holds another table, {_folder_name(body['identity'])}. "
            f"{_RESTORE}."
        )
    return body  # type: ignore[no-any-return]


def _folder_name(identity: Mapping[str, Any]) -> str:
    digest = canonical.digest(identity)
    return f"{identity['contract_id']}-{identity['purpose']}-{digest[:12]}"


def _seal(keyring: Keyring, identity: dict[str, Any], part: Part) -> Seal:
    return Seal(
        keyring=keyring,
        use=canonical.dumps(["feature-table-dek", identity["purpose"], part]).decode(),
        associated_data=canonical.dumps([_SCHEMA_NAME, canonical.digest(identity), part]),
    )


def _plain_type(name: str) -> pa.DataType:
    return PSEUDONYM_TYPE if name == str(PSEUDONYM_TYPE) else pa.type_for_alias(name)
