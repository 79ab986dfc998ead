"""One sealed Parquet file: encrypted and authenticated to the last byte, under a key of its own.

The file is Parquet with Modular Encryption in its one safe form: uniform ``AES_GCM_V1``, because
the CTR mode leaves pages unauthenticated and column keys leave the other columns in clear, with an
AAD prefix kept outside the file, so that one file cannot take another's place. Its key is wrapped
under the ring; the wrapped key, the size and the digest are the `SealedFacts` that its owner keeps.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from governance import durable
from governance.errors import IntegrityError
from privacy.keyring import Keyring

_ALGORITHM = "AES_GCM_V1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What binds a file to its place: what its key is for, and what the file is part of.

    Keys of different uses do not open each other's files.
    """

    keyring: Keyring
    use: str
    associated_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFacts:
    """What the owner of a sealed file must keep to open it again."""

    rows: int
    size: int
    sha256: str
    dek: str

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read the facts from a manifest; a KeyError or ValueError if it is not of their form."""
        kinds = {"rows": int, "size": int, "sha256": str, "dek": str}
        return cls(**{name: kind(document[name]) for name, kind in kinds.items()})

    def as_document(self) -> dict[str, Any]:
        """Return the facts as a manifest holds them."""
        return asdict(self)


class SealedWriter:
    """Writes one sealed file, batch by batch."""

    def __init__(self, path: Path, schema: pa.Schema, seal: Seal) -> None:
        self._path, self._schema, self._seal = path, schema, seal
        self._dek, self._rows = os.urandom(32), 0
        properties = pe.create_encryption_properties(
            self._dek,
            aad_prefix=seal.associated_data,
            store_aad_prefix=False,
            encryption_algorithm=_ALGORITHM,
        )
        with durable.file_faults(path):
            # Parquet's writer would give the file the mode that the process leaves open.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
            self._file = pq.ParquetWriter(
                path, schema, compression="zstd", encryption_properties=properties
            )

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; an EnvironmentFault if the place takes no more."""
        self._rows += batch.num_rows
        with durable.file_faults(self._path):
            self._file.write(batch.cast(self._schema))

    def finish(self) -> SealedFacts:
        """Close the file and return what opens it again."""
        with durable.file_faults(self._path):
            self._file.close()
        seal = self._seal
        wrapped = seal.keyring.wrap(self._dek, seal.associated_data, use=seal.use)
        return SealedFacts(
            rows=self._rows,
            size=self._path.stat().st_size,
            sha256=_sha256(self._path),
            dek=wrapped.hex(),
        )


class SealedReader:
    """Reads one sealed file after its bytes were held against its facts.

    Raises
    ------
    IntegrityError
        If the file is missing or any byte of it differs.
    KeyringError
        If the ring is not the one that sealed it.
    """

    def __init__(self, path: Path, facts: SealedFacts, seal: Seal) -> None:
        if not path.is_file() or path.stat().st_size != facts.size or _sha256(path) != facts.sha256:
            raise _altered(path)
        self._path, self._seal = path, seal
        self._dek = seal.keyring.unwrap(
            bytes.fromhex(facts.dek), seal.associated_data, use=seal.use
        )

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream the named columns, in the order given.

        Raises
        ------
        IntegrityError
            If a page was altered since the file was opened.
        """
        properties = pe.create_decryption_properties(
            self._dek, aad_prefix=self._seal.associated_data
        )
        try:
            with pq.ParquetFile(
                self._path, decryption_properties=properties, pre_buffer=False
            ) as file:
                for batch in file.iter_batches(columns=list(columns)):
                    yield batch.select(list(columns)).replace_schema_metadata(None)
        except (OSError, pa.ArrowException):
            raise _altered(self._path) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _altered(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path.name} in {path.parent.name} was altered or is missing. Do not use it; restore a "
        "backup or make it again."
    )
