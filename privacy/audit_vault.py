"""The audit vault: protected attributes, sealed one record per customer under a key of its own.

Sex, age band, education and the like never sit beside a feature. A record is found by the audit
pseudonym and holds one byte per attribute, so that all records look alike from outside. Who asked
for what under which mandate is written to a log that the database itself refuses to change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance import canonical
from governance.contract import Action, Column, ColumnContract, Purpose
from governance.errors import ContractError
from privacy import vault_file
from privacy.disclosure import Slices
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE, purpose_pseudonym
from privacy.vault_file import RecordCipher, VaultFile

FILE = "audit.db"
UNKNOWN = "unknown"

_UNKNOWN_CODE = 255
_TABLES = """
CREATE TABLE attribute (
    name TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    groups TEXT NOT NULL,
    reference_group TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    audit_pseudonym BLOB PRIMARY KEY,
    key_version INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE population (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE answer (
    entry INTEGER PRIMARY KEY,
    population TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE access_log (
    entry INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    mandate TEXT NOT NULL,
    request TEXT NOT NULL,
    request_digest TEXT NOT NULL
) STRICT;

CREATE TRIGGER access_log_is_not_updated BEFORE UPDATE ON access_log
BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;

CREATE TRIGGER access_log_is_not_deleted BEFORE DELETE ON access_log
BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END
"""
_ENROL = """
INSERT INTO member VALUES (?, ?, ?) ON CONFLICT (audit_pseudonym)
DO UPDATE SET key_version = excluded.key_version, sealed = excluded.sealed
"""
_LOG = """
INSERT INTO access_log (at, user_id, mandate, request, request_digest) VALUES (?, ?, ?, ?, ?)
"""
_ANSWERS = "SELECT entry, population, sealed FROM answer ORDER BY entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeInfo:
    """The groups of one protected attribute, and the group that others are compared with."""

    groups: tuple[str, ...]
    reference_group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Customers by group.

    Parameters
    ----------
    groups : mapping of str to pyarrow.Array
        Per attribute the group of each customer, or ``unknown``.
    is_known : ndarray of bool, shape (n_rows,)
        Whether the vault knows the customer.
    """

    groups: Mapping[str, pa.Array]
    is_known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVault:
    """An open audit vault."""

    file: VaultFile
    keyring: Keyring

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, *, keyring: Keyring) -> Iterator[AuditVault]:
        """Open the audit vault below `folder`; it is made if it is missing."""
        with vault_file.opened(folder / FILE, keyring=keyring, tables=_TABLES) as file:
            yield cls(file=file, keyring=keyring)

    def enrol(
        self, batch: pa.RecordBatch, contract: ColumnContract, *, subject_ids: pa.Array
    ) -> None:
        """Seal the protected attributes of each row; it must run inside ``file.transaction()``."""
        columns = contract.with_action(Action.AUDIT)
        if not columns:
            return
        groups = self._declare(columns)
        places = list(groups)
        codes = np.full((batch.num_rows, len(places)), _UNKNOWN_CODE, dtype=np.uint8)
        for column in columns:
            known = groups[column.attribute]
            names = group_names(batch[column.name], column)
            found = pc.index_in(names, value_set=pa.array(known, type=pa.string()))
            codes[:, places.index(column.attribute)] = pc.fill_null(found, _UNKNOWN_CODE).to_numpy()
        key = self.keyring.derive("pseudonym", Purpose.AUDIT.value)
        pseudonyms = purpose_pseudonym(subject_ids, key).to_pylist()
        cipher, version = self._cipher(self.keyring.key_version), self.keyring.key_version
        rows = []
        for pseudonym, record in zip(pseudonyms, codes, strict=True):
            rows.append((pseudonym, version, cipher.seal(record.tobytes(), pseudonym)))
        self.file.connection.executemany(_ENROL, rows)

    def attributes(self) -> dict[str, AttributeInfo]:
        """Return the protected attributes in the order of their codes within a record."""
        query = "SELECT name, groups, reference_group FROM attribute ORDER BY place"
        return {
            name: AttributeInfo(groups=tuple(json.loads(groups)), reference_group=reference)
            for name, groups, reference in self.file.connection.execute(query)
        }

    def group_of(self, audit_pseudonyms: pa.Array, attributes: Sequence[str]) -> Grouped:
        """Return the group of each customer per attribute; only counts of it may leave the room.

        Raises
        ------
        ContractError
            If the vault has no such attribute.
        IntegrityError
            If a record was altered.
        """
        infos = self.attributes()
        missing = [name for name in attributes if name not in infos]
        if missing:
            raise ContractError(
                f"The audit vault has no attribute {', '.join(missing)}; it has {', '.join(infos)}."
            )
        members, codes = self._unsealed(len(infos))
        place = pc.index_in(audit_pseudonyms, value_set=members)
        row = pc.fill_null(place, len(members)).to_numpy()
        codes = np.vstack([codes, np.full((1, len(infos)), _UNKNOWN_CODE, dtype=np.uint8)])[row]
        groups = {}
        for name in attributes:
            own = codes[:, list(infos).index(name)].astype(np.int32)
            names = pa.array(infos[name].groups, type=pa.string())
            index = pa.array(own, mask=own == _UNKNOWN_CODE)
            groups[name] = pc.fill_null(names.take(index), UNKNOWN)
        return Grouped(groups=groups, is_known=place.is_valid().to_numpy(zero_copy_only=False))

    def answered(self) -> list[Slices]:
        """Return who was counted together in every answer so far."""
        populations: dict[str, NDArray[np.uint64]] = {}
        for name, sealed in self.file.connection.execute("SELECT name, sealed FROM population"):
            people = self._answers.open(sealed, name.encode())
            populations[name] = np.frombuffer(people, dtype=np.uint64)
        return [
            Slices(
                people=populations[name],
                labels=np.frombuffer(
                    self._answers.open(sealed, f"{name} {entry}".encode()), dtype=np.int8
                ),
            )
            for entry, name, sealed in self.file.connection.execute(_ANSWERS)
        ]

    def keep(self, asked: Slices) -> None:
        """Record who is counted together; it must run inside ``file.transaction()``."""
        connection, people = self.file.connection, asked.people.tobytes()
        name = self.keyring.lasting_mac(people, use="population").hex()
        (entry,) = connection.execute("SELECT coalesce(max(entry), 0) + 1 FROM answer").fetchone()
        row = (name, self._answers.seal(people, name.encode()))
        connection.execute("INSERT OR IGNORE INTO population VALUES (?, ?)", row)
        sealed = self._answers.seal(asked.labels.tobytes(), f"{name} {entry}".encode())
        connection.execute("INSERT INTO answer VALUES (?, ?, ?)", (entry, name, sealed))

    def log(self, mandate: str, request: Mapping[str, object]) -> None:
        """Append who asked for what and why; no person is named in it.

        It must run inside ``file.transaction()``. The time is the clock's: a log whose time the
        caller may choose would prove nothing.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        text = canonical.dumps(request).decode()
        row = (at, os.getuid(), mandate, text, canonical.digest(request))
        self.file.connection.execute(_LOG, row)

    def _unsealed(self, width: int) -> tuple[pa.Array, NDArray[np.uint8]]:
        """Return every member and the codes of shape ``(n_members, width)``."""
        query = "SELECT audit_pseudonym, key_version, sealed FROM member"
        ciphers: dict[int, RecordCipher] = {}
        members, records = [], bytearray()
        for pseudonym, version, sealed in self.file.connection.execute(query):
            if version not in ciphers:
                ciphers[version] = self._cipher(version)
            # A record from before an attribute was added is shorter: that one is unknown.
            record = ciphers[version].open(sealed, pseudonym)
            records += record.ljust(width, bytes([_UNKNOWN_CODE]))
            members.append(pseudonym)
        codes = np.frombuffer(bytes(records), dtype=np.uint8).reshape(len(members), width)
        return pa.array(members, type=PSEUDONYM_TYPE), codes

    def _declare(self, columns: Sequence[Column]) -> dict[str, list[str]]:
        """Return the code list of every attribute, after what `columns` add to it.

        Lists only grow: a code that records hold never changes its meaning.
        """
        known = {name: list(info.groups) for name, info in self.attributes().items()}
        for column in columns:
            groups = known.setdefault(column.attribute, [])
            groups += [name for name in column.groups if name not in groups]
            place = list(known).index(column.attribute)
            row = (column.attribute, place, json.dumps(groups), column.reference_group)
            self.file.connection.execute(
                "INSERT OR REPLACE INTO attribute VALUES (?, ?, ?, ?)", row
            )
        return known

    @property
    def _answers(self) -> RecordCipher:
        return RecordCipher(self.keyring.derive_lasting("answered-counts"))

    def _cipher(self, version: int) -> RecordCipher:
        return RecordCipher(self.keyring.derive("protected-attributes", version=version))


def group_names(values: pa.Array, column: Column) -> pa.Array:
    """Return the group of each raw value by the contract's code book or upper edges."""
    if column.codes:
        raw = pa.array(list(column.codes), type=pa.string())
        names = pa.array(list(column.codes.values()), type=pa.string())
        return names.take(pc.index_in(values.cast(pa.string()), value_set=raw))
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    band = np.searchsorted(np.array(column.upper), numbers, side="left")
    index = pa.array(band, mask=values.is_null().to_numpy(zero_copy_only=False))
    return pa.array(column.groups, type=pa.string()).take(index)
