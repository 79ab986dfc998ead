"""The decision log: one sealed, never rewritten folder per vintage.

``decisions.parquet`` holds one row per customer under the decision pseudonym; ``manifest.json``
says by which model, policy, features, table, history and code it was decided, with the counts that
must reconcile, under a MAC. What is decided stays decided: a second run for the same vintage finds
the first.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from decisions import engine
from decisions.plain_table import DecisionCounts
from decisions.scoring import DEFAULT_PROBABILITY
from governance import canonical, durable
from governance.errors import ContractError, EnvironmentFault, IntegrityError, UsageError
from privacy import sealed_parquet
from privacy.feature_table import ASSIGNMENT, PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE
from privacy.sealed_parquet import Seal, SealedFacts

LOCK = ".decide.lock"
MANIFEST = "manifest.json"
FILE = "decisions.parquet"

SCHEMA = pa.schema(
    [
        (PSEUDONYM, PSEUDONYM_TYPE),
        (ASSIGNMENT, pa.uint32()),
        (DEFAULT_PROBABILITY, pa.float64()),
        *engine.OUTPUT_SCHEMA,
        ("model_stamp", pa.string()),
        ("policy_stamp", pa.string()),
        ("features_stamp", pa.string()),
        ("human_involvement", pa.string()),
    ]
)

_SCHEMA_NAME = "decision-log/3"
_USE = "decision-log"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLog:
    """An opened vintage of decisions, every byte of which was checked.

    Parameters
    ----------
    manifest : mapping
        ``identity`` (what decided), ``counts`` (rows, actions, money) and the file's facts.
    """

    path: Path
    manifest: Mapping[str, Any]
    keyring: Keyring

    @classmethod
    def open(cls, path: Path, *, keyring: Keyring) -> DecisionLog:
        """Open the vintage in the folder `path`.

        Raises
        ------
        UsageError
            If the vintage was not decided.
        IntegrityError
            If any byte of it differs from what was written.
        """
        if not (path / MANIFEST).is_file():
            raise UsageError(f"There are no decisions at {path}. Run `limitline decide`.")
        try:
            sealed = json.loads((path / MANIFEST).read_bytes())
            manifest, mac = sealed["manifest"], bytes.fromhex(sealed["mac"])
            SealedFacts.read(manifest["file"])
            version = _key_version(manifest)
        except (ValueError, KeyError, TypeError):
            raise _altered(path) from None
        expected = keyring.mac(canonical.dumps(manifest), use=_USE, version=version)
        if not hmac.compare_digest(expected, mac):
            raise _altered(path)
        # Only a manifest that is authentic may say that another release wrote it.
        if manifest.get("schema") != _SCHEMA_NAME:
            raise ContractError(
                f"The decisions in {path.name} have the form {manifest.get('schema')}, which this "
                "release does not know. Use the release that wrote them."
            )
        return cls(path=path, manifest=manifest, keyring=keyring)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Digests and dates of everything that decided."""
        identity: Mapping[str, Any] = self.manifest["identity"]
        return identity

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which names the file's digest: the stable id of the vintage."""
        return canonical.digest(self.manifest)

    @property
    def key_version(self) -> int:
        """The version of the ring that the vintage was sealed under, for as long as it exists.

        What is named after a decision is named under this version: under the newest one, a ring
        that was rotated would give every customer a second notice and a second case.
        """
        return _key_version(self.manifest)

    def reader(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """Stream the decisions, in the order in which they were made.

        Raises
        ------
        IntegrityError
            If the file was altered.
        """
        wanted = SCHEMA.names if columns is None else list(columns)
        seal = _seal(self.keyring, self.identity)
        facts = SealedFacts.read(self.manifest["file"])
        opened = sealed_parquet.SealedReader(self.path / FILE, facts, seal)
        schema = pa.schema([SCHEMA.field(name) for name in wanted])
        return pa.RecordBatchReader.from_batches(schema, opened.batches(wanted))

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all decisions."""
        return self.reader(columns).read_all()


def write(
    folder: Path, batches: Iterable[pa.Table], identity: Mapping[str, Any], *, keyring: Keyring
) -> DecisionLog:
    """Write one vintage, whole or not at all, and open it.

    Parameters
    ----------
    folder : Path
        Where the vintage will be; it must not exist.
    batches : iterable of pyarrow.Table
        Tables of `SCHEMA`.
    identity : mapping
        What decided, JSON types only.

    Raises
    ------
    EnvironmentFault
        If another run decides a vintage of this home, or has just decided this one.
    """
    counter, lock = DecisionCounts(), folder.parent / LOCK
    # Without the lock a second run would take the first one's folder for what a killed run left.
    with durable.locked(lock, what="Deciding"), _new(folder) as temporary:
        writer = sealed_parquet.SealedWriter(temporary / FILE, SCHEMA, _seal(keyring, identity))
        for table in batches:
            counter.add(table)
            writer.write(table.select(SCHEMA.names))
        manifest = {
            "schema": _SCHEMA_NAME,
            "key_version": keyring.key_version,
            "identity": dict(identity),
            "counts": counter.as_document(),
            "file": writer.finish().as_document(),
        }
        mac = keyring.mac(canonical.dumps(manifest), use=_USE).hex()
        text = json.dumps({"manifest": manifest, "mac": mac}, sort_keys=True, ensure_ascii=False)
        (temporary / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return DecisionLog.open(folder, keyring=keyring)


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder`, unless another run was faster."""
    if folder.exists():
        raise EnvironmentFault(
            f"Another run has just decided {folder.name}. Nothing was rewritten; run this again."
        )
    with durable.replacing_folder(folder) as temporary:
        yield temporary


def _seal(keyring: Keyring, identity: Mapping[str, Any]) -> Seal:
    return Seal(keyring=keyring, use=_USE, associated_data=canonical.dumps([_USE, identity]))


def _key_version(manifest: Mapping[str, Any]) -> int:
    version = int(manifest.get("key_version", 1))
    if version < 1:
        raise ValueError("rings count their key versions from 1")
    return version


def _altered(path: Path) -> IntegrityError:
    return IntegrityError(
        f"The manifest of the decisions in {path.name} was altered. Do not use them; restore a "
        "backup."
    )
