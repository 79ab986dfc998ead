"""Decisions with outcomes: rows become the counts that misjudgment and fairness are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Purpose
from governance.counts import Counts
from governance.errors import ContractError
from governance.measurement import Measurement
from monitoring.misjudgment import BAD, CUT, GOOD, MONEY, PENDING
from privacy import audit as audit_vault
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE

ACTION, OUTCOME = "action", "outcome"

_CUT, _KEPT = CUT[0], "hold"


def outcomes(label: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Translate a default label (0, 1 or missing) into good, bad and pending.

    Raises
    ------
    ContractError
        If the label holds anything else.
    """
    number = pc.cast(label, pa.int64())
    known = pc.is_in(pc.drop_null(number), value_set=pa.array([0, 1], pa.int64()))
    if not pc.all(known, min_count=0).as_py():
        raise ContractError("The outcome holds other values than 0, 1 and missing.")
    return pc.fill_null(pc.if_else(pc.equal(number, 1), BAD, GOOD), PENDING)


def observed_in_time(
    outcome: pa.ChunkedArray | pa.Array,
    *,
    decided_on: pa.ChunkedArray | pa.Array | pa.Scalar,
    observed_on: pa.ChunkedArray | pa.Array | pa.Scalar,
    performance_days: int,
    until: date | None,
) -> pa.ChunkedArray | pa.Array:
    """Return the outcomes that were observed after the decision and its window; others are pending.

    Parameters
    ----------
    outcome : Arrow array, shape (n_rows,)
        good, bad or pending.
    decided_on, observed_on : Arrow array of date32, shape (n_rows,), or one scalar
        A missing day proves nothing, so its outcome is pending.
    performance_days : int
        An outcome of the last day of the window counts.
    until : date or None
        Nobody can have observed anything later, if it is known; databases write 9999-12-31 for a
        day that is not known yet.
    """
    observed, decided = (
        pc.cast(pc.cast(day, pa.int32()), pa.int64()) for day in (observed_on, decided_on)
    )
    in_time = pc.greater_equal(pc.subtract(observed, decided), performance_days)
    if until is not None:
        in_time = pc.and_(in_time, pc.less_equal(observed_on, pa.scalar(until)))
    in_time = pc.fill_null(in_time, fill_value=False)
    return pc.if_else(in_time, outcome, PENDING)


def confusion(decided: pa.Table) -> Counts:
    """Count decisions by action and outcome, and add up the limit changes in minor units.

    Parameters
    ----------
    decided : pyarrow.Table
        ``action``, ``outcome``, ``limit_before_minor``, ``limit_after_minor``.
    """
    change = pc.abs(pc.subtract(decided["limit_after_minor"], decided["limit_before_minor"]))
    columns = {
        ACTION: decided[ACTION],
        OUTCOME: decided[OUTCOME],
        "n": np.ones(decided.num_rows, dtype=np.int64),
        MONEY: change,
    }
    return Counts(pa.table(columns), ("n", MONEY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the audit vault is asked.

    Parameters
    ----------
    mandate : str
        On whose standing order; the vault refuses an empty one and logs every question.
    """

    keyring: Keyring
    vault: Path
    purpose: Purpose
    mandate: str

    def count(self, table: pa.Table, by: Sequence[str]) -> dict[str, Counts]:
        """Return counts by protected attribute over its groups and the columns `by`."""
        # SQL engines know bytes, not sixteen of them.
        place = table.column_names.index(PSEUDONYM)
        table = table.set_column(place, PSEUDONYM, pc.cast(table[PSEUDONYM], PSEUDONYM_TYPE))
        return audit_vault.count(
            table,
            keyring=self.keyring,
            vault=self.vault,
            purpose=self.purpose,
            attributes=list(self.references()),
            by=by,
            mandate=self.mandate,
        )

    def references(self) -> dict[str, str]:
        """Return every attribute that the vault knows, with its reference group."""
        infos = audit_vault.groups(self.vault, self.keyring)
        return {name: info.reference_group or "" for name, info in infos.items()}


def measure_fairness(
    decided: pa.Table, matured: pa.Table, *, asking: Asking
) -> tuple[Measurement, ...]:
    """Audit decisions by every protected attribute that the audit vault knows.

    The vault is asked twice: by action, and by cut or not and outcome. Asking by action and
    outcome at once would make more cells small, and each withheld cell hides a neighbor too.

    Parameters
    ----------
    decided : pyarrow.Table
        ``customer_pseudonym`` of the purpose that is asked for, ``action``, ``outcome``.
    matured : pyarrow.Table
        Those of `decided` that are judged by their outcome.
    """
    from monitoring.fairness import audit

    is_cut = pc.is_in(matured[ACTION], value_set=pa.array(CUT))
    halves = matured.select([PSEUDONYM, OUTCOME]).append_column(
        ACTION, pc.if_else(is_cut, _CUT, _KEPT)
    )
    asked: tuple[tuple[pa.Table, Sequence[str], Sequence[str]], ...] = (
        (decided, [ACTION], ("approve", "raise", "cut")),
        (halves, [ACTION, OUTCOME], ("good_cut",)),
    )
    references = asking.references()
    measured: list[Measurement] = []
    for table, by, columns in asked:
        for attribute, counts in asking.count(table.select([PSEUDONYM, *by]), by).items():
            reference = references[attribute]
            found = audit(counts, attribute=attribute, reference_group=reference, columns=columns)
            # Both questions cover the same customers; that is told once.
            known = {m.key for m in measured}
            measured += [m for m in found if m.key not in known]
    return tuple(sorted(measured, key=lambda m: m.scope["attribute"]))
