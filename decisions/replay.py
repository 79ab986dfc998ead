"""Replay: the same features, model and policy must give the same limit again, to the cent.

A replay takes nothing from the decision log but the question. The model comes verified from the
registry, by the digest that the log names; the rows come from the pinned feature table; the rest is
computed again and compared value by value.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions import features, model
from decisions.book import Engine
from decisions.decision_log import DecisionLog
from decisions.history import History
from decisions.plan import Climate, Freeze, Moment
from decisions.policy import LimitPolicy
from governance import durable
from governance.errors import IntegrityError, UsageError
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring, NotingRing
from registry.ledger import CHECKPOINT, DATABASE, WITNESS
from registry.load import load_verified
from registry.record import Record
from registry.signing import FOLDER, PEOPLE_FILE

# How many differing decisions a replay names; each can then be replayed or explained by itself.
MOST_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay found.

    Parameters
    ----------
    decisions : int
        How many decisions were made again.
    differing : mapping of str to int
        Column to number of decisions that came out differently; empty means all are equal.
    rows : tuple of int
        The first rows of the vintage, from 0, whose decision came out differently.
    other_code : str
        Both digests, in words, if other code decided than the one at hand.
    """

    vintage: str
    model: str
    decisions: int
    differing: dict[str, int]
    rows: tuple[int, ...] = ()
    other_code: str = ""

    @property
    def is_equal(self) -> bool:
        """Every replayed decision equals the logged one."""
        return not self.differing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What decided some customers of a vintage, ready to decide them again.

    Parameters
    ----------
    rows : pyarrow.Table
        Their released columns, as they were when the decision was made.
    history : History
        What had been decided about them before.
    """

    engine: Engine
    rows: pa.Table
    moment: Moment
    history: History

    def decide(self, rows: pa.Table | None = None) -> pa.Table:
        """Decide the pinned rows, or others of their schema, on the same day as then."""
        batches = (self.rows if rows is None else rows).to_batches()
        decide = self.engine.decide
        return pa.concat_tables(
            [decide(batch, self.moment, history=self.history) for batch in batches]
        )


def replay(
    settings: Settings, vintage: str, *, keyring: Keyring, sample: int, seed: int
) -> Replayed:
    """Make a seeded sample of a vintage's decisions again and compare.

    Raises
    ------
    UsageError
        If the vintage was not decided, or the sample is empty.
    IntegrityError
        If log, model or table are not what they were when the decisions were made.
    """
    if sample < 1:
        raise UsageError("A replay needs a sample of at least one decision.")
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    everything = log.read()
    size = min(sample, everything.num_rows)
    chosen = np.random.default_rng(seed).choice(everything.num_rows, size, replace=False)
    return _compared(settings, log, everything=everything, chosen=np.sort(chosen), keyring=keyring)


def replay_one(settings: Settings, vintage: str, row: int, *, keyring: Keyring) -> Replayed:
    """Make one decision again and compare; vintage and row are its id, for a log stays as it is.

    Raises
    ------
    UsageError
        If the vintage was not decided, or has no such row.
    IntegrityError
        As `replay`.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    everything = log.read()
    if not 0 <= row < everything.num_rows:
        raise UsageError(f"The vintage {vintage} has the rows 0 to {everything.num_rows - 1}.")
    return _compared(settings, log, everything=everything, chosen=np.array([row]), keyring=keyring)


def _compared(
    settings: Settings,
    log: DecisionLog,
    *,
    everything: pa.Table,
    chosen: npt.NDArray[np.int64],
    keyring: Keyring,
) -> Replayed:
    """Decide the rows `chosen` of a vintage again and compare them with what the log holds."""
    logged = everything.take(pa.array(chosen))
    order = pc.sort_indices(logged[PSEUDONYM])
    again = pin(settings, log, keyring=keyring, pseudonyms=logged[PSEUDONYM]).decide()
    masks = _unequal(logged.take(order), again.sort_by(PSEUDONYM))
    is_other = np.logical_or.reduce(list(masks.values()) or [np.zeros(len(chosen), np.bool_)])
    rows = np.sort(chosen[order.to_numpy()][is_other])
    code, here = str(log.identity["code_digest"]), model.code_digest()
    other = f"decided by the code {code[:16]}, made again by {here[:16]}" if code != here else ""
    return Replayed(
        vintage=log.identity["vintage"],
        model=log.identity["model"],
        decisions=logged.num_rows,
        differing={name: int(mask.sum()) for name, mask in masks.items()},
        rows=tuple(rows[:MOST_ROWS].tolist()),
        other_code=other,
    )


def pin(
    settings: Settings, log: DecisionLog, *, keyring: Keyring, pseudonyms: pa.ChunkedArray
) -> Pinned:
    """Fetch what decided these customers of a vintage: the pinned rows, model, day and climate.

    Raises
    ------
    IntegrityError
        If model, table or history are not what they were when the decisions were made.
    """
    engine = pinned_engine(settings, log)
    return Pinned(
        engine=engine,
        rows=_pinned_rows(settings, log, keyring, pseudonyms),
        moment=Moment(
            as_of=date.fromisoformat(log.identity["as_of"]),
            freeze=Freeze(log.identity["freeze"]),
            climate=Climate.read(log.identity),
        ),
        history=History.read(settings.decisions, log.identity, engine.policy, keyring=keyring),
    )


def pinned_inputs(
    settings: Settings, log: DecisionLog, *, keyring: Keyring, pseudonyms: pa.ChunkedArray
) -> tuple[LimitPolicy, pa.Table]:
    """Return the policy that decided, and what it read about these customers.

    Raises
    ------
    IntegrityError
        As `pin`.
    """
    engine = pinned_engine(settings, log)
    rows = _pinned_rows(settings, log, keyring, pseudonyms)
    return engine.policy, features.compute(engine.spec, rows, [PSEUDONYM])


def pinned_engine(settings: Settings, log: DecisionLog) -> Engine:
    """Load the model that the log names, and only if it still is that model.

    Raises
    ------
    IntegrityError
        If the registry holds another model under that version.
    """
    verified = load_verified(settings, str(log.identity["model_version"]))
    if verified.manifest_digest != log.identity["model_digest"]:
        raise IntegrityError(
            f"Version {verified.version} in the registry is not the model that made these "
            "decisions. Restore the catalogue from the backup of that day."
        )
    engine = Engine.of(verified)
    holds = {"policy": engine.policy.digest, "features": engine.spec.digest}
    for what, digest in holds.items():
        if log.identity[f"{what}_digest"] != digest:
            raise IntegrityError(
                f"The log names other {what} ({log.identity[f'{what}_digest'][:16]}) than version "
                f"{verified.version} holds ({digest[:16]}): one of the two was exchanged."
            )
    return engine


def pinned_table(settings: Settings, log: DecisionLog, *, keyring: Keyring) -> FeatureTable:
    """Open the table that was decided on, and only if it still is that table.

    Raises
    ------
    IntegrityError
        If the table is another one.
    """
    table = FeatureTable.open(
        settings.features / log.identity["table"], keyring=keyring, part=Part.ALL
    )
    if table.digest != log.identity["table_digest"]:
        raise IntegrityError(f"The table {table.path.name} is not the one that was decided on.")
    return table


def _pinned_rows(
    settings: Settings, log: DecisionLog, keyring: Keyring, pseudonyms: pa.ChunkedArray
) -> pa.Table:
    table = pinned_table(settings, log, keyring=keyring)
    wanted = pseudonyms.combine_chunks()
    batches = [
        batch.filter(pc.is_in(batch[PSEUDONYM], value_set=wanted)) for batch in table.reader()
    ]
    return pa.Table.from_batches(batches, table.schema).combine_chunks()


def differences(logged: pa.Table, again: pa.Table) -> dict[str, int]:
    """Return by column how many decisions differ; both tables are in the same order."""
    return {name: int(mask.sum()) for name, mask in _unequal(logged, again).items()}


def _unequal(logged: pa.Table, again: pa.Table) -> dict[str, npt.NDArray[np.bool_]]:
    """Return by column which decisions differ, ``(n_rows,)``; columns without any are left out."""
    if logged.num_rows != again.num_rows:
        # Rows that are gone make every comparison by place one of different customers.
        return {PSEUDONYM: np.ones(logged.num_rows, np.bool_)}
    found = {}
    for name in logged.column_names:
        left, right = logged[name], again[name]
        # Two nulls are equal here: a decision that has no band has none again.
        same = pc.or_kleene(pc.equal(left, right), pc.and_(pc.is_null(left), pc.is_null(right)))
        mask = ~pc.fill_null(same, False).to_numpy()
        if mask.any():
            found[name] = mask
    return found


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
    replay(settings, vintage, keyring=noting, sample=1, seed=0)
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
