"""The replay kit: what another machine needs to decide a vintage again, with nothing beside it.

It is a home of its own: the ledger with its signed heads, the public keys of people, the folder of
the one model, the pinned feature table, the decision log, and a narrow ring with the few keys that
open those two. No MLflow database, no vault, no raw row, no other table, no private signing key.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from decisions import replay
from decisions.decision_log import DecisionLog
from governance import durable
from governance.errors import UsageError
from governance.settings import Settings
from privacy.keyring import Keyring, NotingRing
from registry.ledger import CHECKPOINT, DATABASE, WITNESS
from registry.record import Record
from registry.signing import FOLDER, PEOPLE_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What was packed.

    Parameters
    ----------
    files : tuple of str
        Every file, relative to the kit.
    keys : int
        How many derived keys its ring holds.
    """

    path: Path
    files: tuple[str, ...]
    keys: int


def pack(settings: Settings, vintage: str, output: Path, *, keyring: Keyring) -> Kit:
    """Pack what replaying a vintage takes into the new folder `output`, whole or not at all.

    Which keys it takes is found by replaying one decision with a ring that notes what is asked of
    it, so the kit holds the keys of exactly that.

    Raises
    ------
    UsageError
        If the vintage was not decided, or `output` exists.
    IntegrityError
        If log, model, table or ledger are not what they were.
    """
    if output.exists():
        raise UsageError(f"There is something at {output} already; name a new folder.")
    noting = NotingRing.over(keyring)
    replay.replay(settings, vintage, keyring=noting, sample=1, seed=0)
    identity = DecisionLog.open(settings.decisions / vintage, keyring=keyring).identity
    manifest = Record.load(settings).manifest(int(identity["model_version"]))
    location = str(manifest.statement.predicate["location"])
    durable.make_folder(output.absolute().parent)
    with durable.replacing_folder(output.absolute()) as folder:
        there = Settings(home=folder)
        shutil.copytree(settings.decisions / vintage, there.decisions / vintage)
        table = str(identity["table"])
        shutil.copytree(settings.features / table, there.features / table)
        shutil.copytree(settings.mlflow_artifacts / location, there.mlflow_artifacts / location)
        _copy_ledger(settings.ledger, there.ledger)
        keys = noting.hand_over(there.keyring)
        durable.make_folder(there.keyring / FOLDER)
        shutil.copyfile(
            settings.keyring / FOLDER / PEOPLE_FILE, there.keyring / FOLDER / PEOPLE_FILE
        )
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return Kit(path=output, files=tuple(files), keys=keys)


def _copy_ledger(source: Path, target: Path) -> None:
    """Copy database and heads; SQLite copies itself, for its newest pages may lie beside it."""
    durable.make_folder(target / WITNESS)
    origin = sqlite3.connect(source / DATABASE)
    copy = sqlite3.connect(target / DATABASE)
    try:
        origin.backup(copy)
    finally:
        copy.close()
        origin.close()
    (target / DATABASE).chmod(0o600)
    for name in (CHECKPOINT, f"{WITNESS}/{CHECKPOINT}"):
        shutil.copyfile(source / name, target / name)
