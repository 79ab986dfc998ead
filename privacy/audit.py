"""Counting by protected attributes: rows go into the audit vault, only counts come out.

Fairness asks `count`: the pseudonyms of a purpose are translated in here, rows are reduced to
counts, what would point at a person is withheld, and the question is logged before it is answered.
Sums are not told: a caller who may weigh persons can weigh each with a power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Purpose
from governance.counts import Counts
from governance.errors import ContractError, UsageError
from privacy import disclosure, vault_file
from privacy.audit_vault import FILE, UNKNOWN, AttributeInfo, AuditVault
from privacy.disclosure import Labels, Slices
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE, as_words, invert, purpose_pseudonym

GROUP = "group"
SMALLEST_MINIMUM_CELL = 5
MOST_SLICES = 64

_Key = tuple[object, ...]


def groups(vault: Path, keyring: Keyring) -> dict[str, AttributeInfo]:
    """Return the attributes that the audit vault below `vault` knows, with their groups."""
    vault_file.require(vault / FILE, keyring)
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
    minimum_cell: int = 10,
) -> dict[str, Counts]:
    """Return, per protected attribute, counts of customers over its groups and the columns `by`.

    Parameters
    ----------
    table : pyarrow.Table
        ``customer_pseudonym`` of `purpose`, each customer once, and the columns `by`.
    by : sequence of str
        Columns of text, whole numbers or yes and no that tell at most 64 slices apart.
    mandate : str
        On whose standing order this is asked; it goes into the access log.
    minimum_cell : int
        Cells of fewer customers are withheld (null), with cells that would give them away. At
        least 5.

    Returns
    -------
    dict of str to Counts
        Keys ``group`` and `by`, additive ``n``. A customer without a known attribute is in the
        group ``unknown``; a few of them are counted with the largest group, which ``told`` says.
        An absent cell holds nobody. All cells of a slice are withheld if with all earlier answers
        of this vault, under whatever mandate, it would point too closely at somebody
        (`privacy.disclosure`): at first, a slice of fewer than 20. The same question is answered
        again.

    Raises
    ------
    UsageError
        If there is no vault, no mandate, or the minimum cell is too small.
    ContractError
        If a column or an attribute is missing, a customer comes twice, or `by` tells too much.
    IntegrityError
        If the vault was altered, or is an older state.
    """
    vault_file.require(vault / FILE, keyring)
    _check_request(mandate, minimum_cell)
    _check_columns(table, by)
    labels, keys = _sliced(table, by)
    request: dict[str, object] = {
        "purpose": purpose.value,
        "attributes": list(attributes),
        "by": list(by),
        "minimum_cell": minimum_cell,
        "rows": table.num_rows,
    }
    pseudonyms = _audit_pseudonyms(table, keyring, purpose=purpose)
    with AuditVault.opened(vault, keyring=keyring) as opened, opened.file.transaction():
        found, infos = opened.group_of(pseudonyms, attributes), opened.attributes()
        shown = _shown(opened, pseudonyms.filter(pa.array(found.is_known)), labels[found.is_known])
        # A slice of strangers alone concerns nobody.
        shown |= set(labels.tolist()) - set(labels[found.is_known].tolist())
        opened.log(mandate, {**request, "slices": len(keys), "withheld": len(keys) - len(shown)})
    answered = {keys[label] for label in shown}
    is_answered = pa.array(np.isin(labels, list(shown)))
    ones = pa.array(np.ones(table.num_rows, dtype=np.int64))
    kept = pa.table([*table.select(list(by)), ones], names=[*by, "n"])
    result = {}
    for name, known in found.groups.items():
        group, told = disclosure.with_few_unknown(known, UNKNOWN, answered=is_answered)
        seen = [UNKNOWN] if UNKNOWN in group.unique().to_pylist() else []
        groups_shown = list(dict.fromkeys([*infos[name].groups, *seen]))
        cells = _cells(kept.append_column(GROUP, group), by=by, groups_shown=groups_shown)
        result[name] = replace(_published(cells, minimum_cell, answered), told=told)
    return result


def _audit_pseudonyms(table: pa.Table, keyring: Keyring, *, purpose: Purpose) -> pa.Array:
    """Translate pseudonyms of `purpose`; the subject ids in between exist only here."""
    pseudonyms = pa.concat_arrays([pa.array([], PSEUDONYM_TYPE), *table[PSEUDONYM].chunks])
    subject_ids = invert(pseudonyms, keyring.derive("pseudonym", purpose.value))
    return purpose_pseudonym(subject_ids, keyring.derive("pseudonym", Purpose.AUDIT.value))


def _shown(vault: AuditVault, pseudonyms: pa.Array, labels: Labels) -> set[int]:
    """Return the slices that may be answered, after it was recorded that they are."""
    people = as_words(pseudonyms)[:, 0]
    order = np.argsort(people)
    asked = Slices(people=people[order], labels=labels[order])
    may, new = disclosure.answerable(vault.answered(), asked)
    if new:
        vault.keep(asked.only(new))
    return set(may)


def _check_request(mandate: str, minimum_cell: int) -> None:
    if not mandate.strip():
        raise UsageError("Counting by protected attributes needs a mandate; say whose and why.")
    if minimum_cell < SMALLEST_MINIMUM_CELL:
        raise UsageError(
            f"The minimum cell is {minimum_cell}; at least {SMALLEST_MINIMUM_CELL} is allowed, "
            "because smaller cells point at persons."
        )


def _check_columns(table: pa.Table, by: Sequence[str]) -> None:
    missing = [name for name in (PSEUDONYM, *by) if name not in table.column_names]
    if missing:
        raise ContractError(f"The table to count lacks the columns {', '.join(missing)}.")
    if table.schema.field(PSEUDONYM).type != PSEUDONYM_TYPE:
        raise ContractError(f"The column {PSEUDONYM} must be binary(16), as the gate released it.")
    repeated = table.num_rows - pc.count_distinct(table[PSEUDONYM], mode="only_valid").as_py()
    if repeated:
        raise ContractError(
            f"{repeated} rows repeat a customer or name none; whoever is counted is counted once. "
            "Give one row a customer."
        )
    for name in by:
        kind = table.schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (is_text or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise ContractError(
                f"The column {name} is {kind}; customers are counted by text, whole numbers or "
                "yes and no."
            )


def _sliced(table: pa.Table, by: Sequence[str]) -> tuple[Labels, list[_Key]]:
    """Return the slice of each row, and what the columns `by` say in each slice."""
    columns = [table[name].combine_chunks() for name in by]
    codes = [
        pc.dictionary_encode(
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column,
            null_encoding="encode",
        ).indices.to_numpy()
        for column in columns
    ]
    told = np.column_stack([np.zeros(table.num_rows, dtype=np.int32), *codes])
    _, first, labels = np.unique(told, axis=0, return_index=True, return_inverse=True)
    if len(first) > MOST_SLICES:
        raise ContractError(
            f"The columns {', '.join(by)} tell {len(first)} slices apart; at most {MOST_SLICES} "
            "are counted, because more point at persons. Count by fewer or coarser columns."
        )
    rows = table.select(list(by)).take(first).to_pylist()
    keys = [tuple(row[name] for name in by) for row in rows]
    return labels.reshape(-1).astype(np.int8), keys if by else [()] * len(first)


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


def _published(cells: Counts, minimum_cell: int, answered: set[_Key]) -> Counts:
    """Withhold small cells, those from which they could be computed, and unanswered slices."""
    rows = cells.table.to_pylist()
    keys = [tuple(row[name] for name in cells.keys) for row in rows]
    numbers = {key: row["n"] for key, row in zip(keys, rows, strict=True)}
    withheld = disclosure.withheld_cells(numbers, minimum_cell)
    slices = [
        tuple(value for name, value in zip(cells.keys, key, strict=True) if name != GROUP)
        for key in keys
    ]
    hidden = dict.fromkeys(cells.additive)
    shown = [
        row | hidden if key in withheld or slice_ not in answered else row
        for key, slice_, row in zip(keys, slices, rows, strict=True)
    ]
    return Counts(pa.Table.from_pylist(shown, schema=cells.table.schema), cells.additive)
