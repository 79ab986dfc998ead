"""The subject vault: who is behind a subject id, sealed; and the one way from a customer to it.

A customer is found by a blind index (AES-CMAC of the customer id under a key of its own) and has a
random 16-byte subject id, from which the pseudonym of every purpose is computed. Identities are
sealed one record per subject with AES-256-GCM, bound to the subject id. Which customer has which
subject id is part of the seal of the whole file (`privacy.vault_file`).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from governance.contract import Action, ColumnContract
from governance.errors import IntegrityError, UsageError
from privacy import vault_file
from privacy.keyring import Keyring
from privacy.pseudonym import BLOCK, PSEUDONYM_TYPE, pseudonymize
from privacy.subject_id import FORM, canonical
from privacy.vault_file import RecordCipher, VaultFile

FILE = "subjects.db"

_TABLES = """
CREATE TABLE IF NOT EXISTS subject (
    blind_index BLOB PRIMARY KEY,
    subject_id BLOB NOT NULL,
    key_version INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""
_WANTED = "CREATE TEMP TABLE wanted (place INTEGER PRIMARY KEY, blind_index BLOB NOT NULL) STRICT"
_KNOWN = """
SELECT wanted.place, subject.subject_id FROM wanted JOIN subject USING (blind_index)
"""
_ENROL = """
INSERT INTO subject VALUES (?, ?, ?, ?)
ON CONFLICT (blind_index) DO UPDATE SET key_version = excluded.key_version, record = excluded.record
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectVault:
    """An open subject vault."""

    file: VaultFile
    keyring: Keyring

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, *, keyring: Keyring) -> Iterator[SubjectVault]:
        """Open the subject vault below `folder`; it is made if it is missing."""
        path = folder / FILE
        with vault_file.opened(path, keyring=keyring, tables=_TABLES) as file:
            file.connection.execute(_WANTED)
            yield cls(file=file, keyring=keyring)

    def enrol(
        self,
        batch: pa.RecordBatch,
        contract: ColumnContract,
        *,
        is_newest: NDArray[np.bool_] | None = None,
    ) -> pa.Array:
        """Return the subject id of each row as ``binary(16)``; unknown customers get a new one.

        It must run inside ``file.transaction()``. A known customer keeps the subject id and
        gets the newer identity record.

        Parameters
        ----------
        is_newest : ndarray of bool, shape (n_rows,), or None
            Which rows are the newest of their customers, whose identity is held; None if every
            customer has one row in the table.
        """
        subject = contract.subject_column.name
        blind = blind_index(batch[subject], contract, self.keyring).to_pylist()
        known = self._known(blind)
        fresh = os.urandom(BLOCK * len(blind))
        ids: list[bytes] = []
        held: dict[bytes, int] = {}
        for row, index in enumerate(blind):
            first = ids[held[index]] if index in held else None
            ids.append(known.get(row) or first or fresh[row * BLOCK : (row + 1) * BLOCK])
            # An older row stands in until the newest one comes, maybe in another batch.
            is_new = row not in known and index not in held
            if is_newest is None or is_newest[row] or is_new:
                held[index] = row
        names = [subject, *(column.name for column in contract.with_action(Action.VAULT))]
        records = batch.select(names).to_pylist()
        cipher, version = self._cipher(self.keyring.key_version), self.keyring.key_version
        sealed = []
        for row in held.values():
            text = json.dumps(records[row], ensure_ascii=False, default=str).encode()
            sealed.append((version, cipher.seal(text, ids[row])))
        rows = (
            (index, ids[row], *own) for (index, row), own in zip(held.items(), sealed, strict=True)
        )
        self.file.connection.executemany(_ENROL, rows)
        return pa.array(ids, type=PSEUDONYM_TYPE)

    def record(self, customer_id: str, contract: ColumnContract) -> dict[str, object]:
        """Return the identity of one customer, for the rights that the law gives him.

        Raises
        ------
        UsageError
            If the vault does not know the customer.
        IntegrityError
            If the record was altered or is another customer's.
        """
        blind = blind_index(pa.array([customer_id]), contract, self.keyring)[0].as_py()
        query = "SELECT subject_id, key_version, record FROM subject WHERE blind_index = ?"
        row = self.file.connection.execute(query, (blind,)).fetchone()
        if row is None:
            raise UsageError("The subject vault does not know this customer.")
        subject_id, version, sealed = row
        record: dict[str, object] = json.loads(self._cipher(version).open(sealed, subject_id))
        own = pa.array([record.get(contract.subject_column.name)], pa.string())
        if own.null_count or blind_index(own, contract, self.keyring)[0].as_py() != blind:
            raise IntegrityError("An identity record is another customer's. Restore the vault.")
        return record

    def count(self) -> int:
        """Return the number of enrolled subjects."""
        rows: sqlite3.Cursor = self.file.connection.execute("SELECT count(*) FROM subject")
        return int(rows.fetchone()[0])

    def _known(self, blind: list[bytes]) -> dict[int, bytes]:
        connection = self.file.connection
        connection.execute("DELETE FROM wanted")
        connection.executemany("INSERT INTO wanted VALUES (?, ?)", enumerate(blind))
        return dict(connection.execute(_KNOWN))

    def _cipher(self, version: int) -> RecordCipher:
        return RecordCipher(self.keyring.derive("identity-record", version=version))


def blind_index(
    customer_ids: pa.Array | pa.ChunkedArray, contract: ColumnContract, keyring: Keyring
) -> pa.Array:
    """Return the blind index of each customer id, whatever its spelling.

    The key belongs to the subject column, by name and kind of id: a customer number and a business
    number that look alike are two subjects, and one customer in two contracts is one.

    Raises
    ------
    ContractError
        If some are no ids of the declared kind.
    """
    column = contract.subject_column
    context = (column.name, column.id_kind, FORM)
    key = keyring.derive("blind-index", *context)
    return pseudonymize(canonical(customer_ids, column), key)
