"""Counting by protected attributes: rows go into the audit vault, only counts come out.

Fairness asks `count`: the pseudonyms of a purpose are translated in here, rows are reduced to
counts, small cells are withheld, and the question is logged before it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from governance.contract import Purpose
from governance.counts import Counts
from governance.errors import ContractError, UsageError
from privacy import disclosure, vault_file
from privacy.audit_vault import FILE, UNKNOWN, AttributeInfo, AuditVault
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE, invert, purpose_pseudonym

GROUP = "group"
SMALLEST_MINIMUM_CELL = 5


def groups(vault: Path, keyring: Keyring) -> dict[str, AttributeInfo]:
    """Return the attributes that the audit vault below `vault` knows, with their groups."""
    vault_file.require(vault / FILE)
    with AuditVault.opened(vault, keyring=keyring) as opened:
        return opened.attributes()


def count(
    table: pa.Table,
    *,
    keyring: Keyring,
    vault: Path,
    purpose: Purpose,
    attributes: Sequence[str],
    by: Sequence[str],
    mandate: str,
    additive: Sequence[str] = (),
    minimum_cell: int = 10,
) -> dict[str, Counts]:
    """Return, per protected attribute, counts over its groups and the columns `by`.

    Parameters
    ----------
    table : pyarrow.Table
        ``customer_pseudonym`` of `purpose`, the columns `by`, and integer columns `additive`.
    mandate : str
        On whose standing order this is asked; it goes into the access log.
    minimum_cell : int
        Cells of fewer customers are withheld (null), with cells that would give them away. At
        least 5.

    Returns
    -------
    dict of str to Counts
        Keys ``group`` and `by`, additive ``n`` and `additive`. A customer without a known
        attribute is in the group ``unknown``. An absent cell holds nobody.

    Raises
    ------
    UsageError
        If there is no vault, no mandate, or the minimum cell is too small.
    ContractError
        If a column or an attribute is missing, or an additive column is not of whole numbers.
    """
    vault_file.require(vault / FILE)
    _check_request(mandate, minimum_cell)
    _check_columns(table, by=by, additive=additive)
    request = {
        "purpose": purpose.value,
        "attributes": list(attributes),
        "by": list(by),
        "additive": list(additive),
        "minimum_cell": minimum_cell,
        "rows": table.num_rows,
    }
    with AuditVault.opened(vault, keyring=keyring) as opened:
        opened.log(mandate, request)
        found = opened.group_of(_audit_pseudonyms(table, keyring, purpose=purpose), attributes)
        infos = opened.attributes()
    ones = pa.array(np.ones(table.num_rows, dtype=np.int64))
    kept = pa.table([*table.select(list(by)), ones], names=[*by, "n"])
    for column in additive:
        kept = kept.append_column(column, table[column])
    result = {}
    for name, group in found.items():
        seen = [UNKNOWN] if UNKNOWN in group.unique().to_pylist() else []
        groups_shown = list(dict.fromkeys([*infos[name].groups, *seen]))
        cells = _cells(kept.append_column(GROUP, group), by=by, groups_shown=groups_shown)
        result[name] = _published(cells, minimum_cell)
    return result


def _audit_pseudonyms(table: pa.Table, keyring: Keyring, *, purpose: Purpose) -> pa.Array:
    """Translate pseudonyms of `purpose`; the subject ids in between exist only here."""
    pseudonyms = pa.concat_arrays([pa.array([], PSEUDONYM_TYPE), *table[PSEUDONYM].chunks])
    subject_ids = invert(pseudonyms, keyring.derive("pseudonym", purpose.value))
    return purpose_pseudonym(subject_ids, keyring.derive("pseudonym", Purpose.AUDIT.value))


def _check_request(mandate: str, minimum_cell: int) -> None:
    if not mandate.strip():
        raise UsageError("Counting by protected attributes needs a mandate; say whose and why.")
    if minimum_cell < SMALLEST_MINIMUM_CELL:
        raise UsageError(
            f"The minimum cell is {minimum_cell}; at least {SMALLEST_MINIMUM_CELL} is allowed, "
            "because smaller cells point at persons."
        )


def _check_columns(table: pa.Table, *, by: Sequence[str], additive: Sequence[str]) -> None:
    missing = [name for name in (PSEUDONYM, *by, *additive) if name not in table.column_names]
    if missing:
        raise ContractError(f"The table to count lacks the columns {', '.join(missing)}.")
    if table.schema.field(PSEUDONYM).type != PSEUDONYM_TYPE:
        raise ContractError(f"The column {PSEUDONYM} must be binary(16), as the gate released it.")
    for name in additive:
        kind = table.schema.field(name).type
        if not pa.types.is_integer(kind) or table[name].null_count:
            raise ContractError(
                f"The column {name} is {kind} with {table[name].null_count} nulls; an additive "
                "column is of whole numbers (minor units for money) without nulls."
            )


def _cells(table: pa.Table, *, by: Sequence[str], groups_shown: Sequence[str]) -> Counts:
    """Reduce rows to counts over every group, the empty ones included."""
    names = [GROUP, *by]
    additive = tuple(name for name in table.column_names if name not in names)
    found = Counts(table, additive).table
    schema = pa.schema(
        [*(table.schema.field(name) for name in names), *((name, pa.int64()) for name in additive)]
    )
    slices = {tuple(row[name] for name in by) for row in found.to_pylist()}
    empty = [
        dict(zip(names, (group, *rest), strict=True)) | dict.fromkeys(additive, 0)
        for rest in slices
        for group in groups_shown
    ]
    rows = [found.select(schema.names), pa.Table.from_pylist(empty, schema=schema)]
    return Counts(pa.concat_tables(rows), additive)


def _published(cells: Counts, minimum_cell: int) -> Counts:
    """Withhold small cells and those from which they could be computed."""
    rows = cells.table.to_pylist()
    keys = [tuple(row[name] for name in cells.keys) for row in rows]
    numbers = {key: row["n"] for key, row in zip(keys, rows, strict=True)}
    withheld = disclosure.withheld_cells(numbers, minimum_cell)
    hidden = dict.fromkeys(cells.additive)
    shown = [row | hidden if key in withheld else row for key, row in zip(keys, rows, strict=True)]
    return Counts(pa.Table.from_pylist(shown, schema=cells.table.schema), cells.additive)
