"""A world on disk: plain tables, identities in a file of their own, and the truth under seal.

The folder appears whole or not at all. It holds raw rows and belongs below ``raw/``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from governance import canonical, durable
from governance.errors import IntegrityError, UsageError
from lab.world import oracle, outcomes, panel, persons, records, statements
from lab.world.content import Content
from lab.world.settings import WorldSettings
from privacy import sealed_parquet
from privacy.keyring import Keyring
from training import source

FACTS = "world.json"
IDENTITIES = "identities"
SCHEMAS = {
    "accounts": records.ACCOUNTS,
    "panel": records.PANEL,
    "events": records.EVENTS,
    "labels": outcomes.SCHEMA,
    "statements": statements.SCHEMA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Receipt of a world that was written.

    Parameters
    ----------
    digest : str
        SHA-256 over the settings, the real rows and the content of every table, the oracle's
        included: the same settings give the same digest, however the world was cut into chunks.
    rows : dict of str to int
        Rows by table.
    """

    path: Path
    digest: str
    rows: dict[str, int]


def publish(
    settings: WorldSettings,
    out: Path,
    *,
    keyring: Keyring,
    at_once: int = panel.ACCOUNTS_AT_ONCE,
    done: Callable[[int], None] = lambda _: None,
) -> Edition:
    """Write a world to the new folder `out`; memory holds one chunk of accounts at a time.

    Parameters
    ----------
    at_once : int
        Accounts per chunk; it changes speed and memory, and nothing that is written.
    done : callable
        Told the number of accounts after every chunk.

    Raises
    ------
    UsageError
        If `out` exists: a world is never overwritten.
    """
    if os.path.lexists(out):
        raise UsageError(f"There is something at {out} already. Give --out a new folder.")
    durable.make_folder(out.parent)
    with durable.replacing_folder(out) as folder:
        digests = _write_chunks(settings, folder, keyring, at_once=at_once, done=done)
        digests[IDENTITIES] = _write(
            folder / f"{IDENTITIES}.parquet", persons.SCHEMA, persons.people(settings)
        )
        digest, facts = _facts(settings, digests)
        (folder / FACTS).write_bytes(canonical.dumps(facts) + b"\n")
    return Edition(
        path=out, digest=digest, rows={name: table.rows for name, table in digests.items()}
    )


def digest(settings: WorldSettings, *, at_once: int = panel.ACCOUNTS_AT_ONCE) -> str:
    """Return the digest that `publish` would write, without writing anything."""
    taken = {name: Content(schema) for name, schema in SCHEMAS.items()}
    taken["oracle"], taken[IDENTITIES] = Content(oracle.SCHEMA), Content(persons.SCHEMA)
    for chunk in panel.chunks(settings, at_once=at_once):
        for name, table in chunk.plain().items():
            taken[name].add(table)
        taken["oracle"].add(chunk.oracle)
    for table in persons.people(settings):
        taken[IDENTITIES].add(table)
    return _facts(settings, taken)[0]


def read_settings(folder: Path) -> WorldSettings:
    """Return the settings of the world in `folder`; with them it can be lived again.

    Raises
    ------
    UsageError
        If there is no world.
    IntegrityError
        If ``world.json`` is not what was written.
    """
    if not (folder / FACTS).is_file():
        raise UsageError(f"There is no world at {folder}. Run `python -m lab world`.")
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        settings = WorldSettings.model_validate(facts["settings"])
        claimed = facts["settings_digest"]
    except (ValueError, KeyError, TypeError):
        settings, claimed = None, ""
    if settings is None or settings.digest != claimed:
        raise IntegrityError(
            f"{FACTS} in {folder.name} was altered. Make the world again from its settings."
        )
    return settings


def _write_chunks(
    settings: WorldSettings,
    folder: Path,
    keyring: Keyring,
    *,
    at_once: int,
    done: Callable[[int], None],
) -> dict[str, Content]:
    taken = {name: Content(schema) for name, schema in SCHEMAS.items()}
    taken["oracle"] = Content(oracle.SCHEMA)
    seal = oracle.seal_of(keyring, settings.digest)
    truth = sealed_parquet.Writer(folder / oracle.FILE, oracle.SCHEMA, seal)
    files = {
        name: pyarrow.parquet.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
        for name, schema in SCHEMAS.items()
    }
    for chunk in panel.chunks(settings, at_once=at_once):
        for name, table in chunk.plain().items():
            taken[name].add(table)
            files[name].write_table(table)
        taken["oracle"].add(chunk.oracle)
        truth.write(chunk.oracle)
        done(chunk.accounts.num_rows)
    for file in files.values():
        file.close()
    sealed = {"world": settings.digest, "facts": truth.finish().as_document()}
    (folder / oracle.FACTS).write_bytes(canonical.dumps(sealed) + b"\n")
    return taken


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> Content:
    taken = Content(schema)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for table in tables:
            taken.add(table)
            file.write_table(table)
    return taken


def _facts(settings: WorldSettings, taken: dict[str, Content]) -> tuple[str, dict[str, object]]:
    """Return the digest of the world and the document that explains it."""
    tables = {
        name: {"rows": table.rows, "content": table.digest()} for name, table in taken.items()
    }
    body = {
        "schema": "limitline/world/1",
        "is_simulated": True,
        "settings": settings,
        "settings_digest": settings.digest,
        "real_rows": source.CONTENT_DIGEST,
        "tables": tables,
    }
    digest = canonical.digest(body)
    return digest, body | {"digest": digest}
