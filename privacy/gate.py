"""The release gate: the one way from a raw table to a feature table, closed unless all is well.

The raw table is read twice. The first pass checks everything and writes nothing; the second enrols
customers in the vaults, one transaction each, and writes the feature table into a temporary folder
that gets its name last. A kill at any moment leaves either no table or a finished one, and running
again succeeds: customers who were enrolled already keep their subject ids.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from governance import canonical, durable
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError, IntegrityError, UsageError
from privacy import assignment, feature_table, vault_file
from privacy.audit_vault import AuditVault
from privacy.feature_table import PSEUDONYM, FeatureTable, TableFacts
from privacy.inspection import Inspected, Inspection
from privacy.keyring import Keyring
from privacy.pseudonym import purpose_pseudonym
from privacy.raw_table import RawTable
from privacy.subject_vault import SubjectVault
from privacy.vault_file import LastSeen

DECLARED = "declared when the data were protected"
FILE_TIME = "the time of the raw file, which nobody confirmed"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def protect(
    source: Path,
    contract: ColumnContract,
    *,
    keyring: Keyring,
    out: Path,
    purpose: Purpose,
    vault: Path,
    acquired_on: date | None = None,
    encoding: str = "",
    clock: Callable[[], datetime] = _utc_now,
) -> FeatureTable:
    """Release the raw table `source` as an encrypted feature table of one purpose.

    Parameters
    ----------
    out : Path
        The folder of feature tables; the table's own folder below it is named after its content,
        so that the same input gives the same table again.
    vault : Path
        The folder of the subject vault and the audit vault.
    acquired_on : datetime.date or None
        When the lender got the data. None records the time of the raw file, and that it is that.
    encoding : str
        Of a CSV; empty means that it is told from the file.
    clock : callable
        Says when the table was released. Neither day is part of what the table is.

    Returns
    -------
    FeatureTable
        The open part of the table.

    Raises
    ------
    ContractError
        If the raw table is not what the contract says; nothing was written then.
    EnvironmentFault
        If the place is full or another run is protecting.
    """
    check_purpose(contract, purpose)
    raw = RawTable(source, encoding)
    before = raw.digest()
    inspected = inspect(raw, contract, keyring=keyring)
    with (
        durable.locked(vault / ".lock", what="The vault"),
        SubjectVault.opened(vault, keyring=keyring) as subjects,
        AuditVault.opened(vault, keyring=keyring) as audit,
    ):
        facts = TableFacts(
            contract=contract,
            purpose=purpose,
            source=keyring.mac(before, use="source-digest").hex(),
            vault=f"{subjects.file.vault_id}-{audit.file.vault_id}",
            about={
                **provenance(source, contract, acquired_on=acquired_on, released_at=clock()),
                **_told(inspected),
            },
        )
        path = out / facts.folder_name(keyring)
        if not path.exists():
            vaults = _Vaults(subjects=subjects, audit=audit)
            _release(raw, facts, vaults, inspected, out=out)
        table = FeatureTable.open(path, keyring=keyring)
        if table.digest != canonical.digest(facts.identity(keyring)):
            raise IntegrityError(
                f"{path.name} is another table than the one of this input. Move it away, then "
                "protect again."
            )
        publish(path, contract_id=contract.id, purpose=purpose, keyring=keyring)
    return table


def provenance(
    source: Path, contract: ColumnContract, *, acquired_on: date | None, released_at: datetime
) -> dict[str, str]:
    """Return what a table tells about its data: title, source, legal basis and times.

    References
    ----------
    JR/T 0221-2021, traceability: acquisition time and source of the data.
    """
    file_at = datetime.fromtimestamp(source.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return {
        "title": contract.title,
        "source": contract.source,
        "legal_basis": contract.legal_basis,
        "acquired_at": acquired_on.isoformat() if acquired_on else file_at,
        "acquired_at_is": DECLARED if acquired_on else FILE_TIME,
        "released_at": released_at.astimezone(UTC).isoformat(timespec="seconds"),
    }


def inspect(source: RawTable, contract: ColumnContract, *, keyring: Keyring) -> Inspected:
    """Check the whole raw table against the contract and return what was found.

    Raises
    ------
    ContractError
        At the first thing that the contract does not allow.
    """
    inspection = Inspection(contract, keyring)
    for batch in source.batches(contract):
        inspection.look_at(batch)
    return inspection.close()


def check_purpose(contract: ColumnContract, purpose: Purpose) -> None:
    """Refuse a purpose for which the contract releases nothing.

    Raises
    ------
    ContractError
        If no column is kept for `purpose`, or `purpose` is the audit vault's own.
    """
    if purpose is Purpose.AUDIT or not contract.released(purpose):
        raise ContractError(
            f"The contract {contract.id} releases no column for the purpose {purpose}. "
            "Add the purpose to the columns that it needs."
        )


def publish(path: Path, *, contract_id: str, purpose: Purpose, keyring: Keyring) -> None:
    """Make the finished table in the folder `path` the latest of its contract and purpose."""
    pointer = _pointer(path.parent, contract_id, purpose)
    for stray in path.parent.glob(f".{pointer.name}.*.tmp"):
        stray.unlink(missing_ok=True)
    seen = vault_file.last_at(pointer, keyring)
    state = LastSeen(
        name=seen.name if seen else secrets.token_hex(8),
        place=vault_file.place_of(pointer, keyring),
        number=seen.number + 1 if seen else 1,
    )
    told = {"folder": path.name, "name": state.name, "number": state.number}
    document = {**told, "mac": _pointer_mac(told, keyring)}
    durable.write_bytes(pointer, canonical.dumps(document) + b"\n")
    state.note(keyring)


def latest(features: Path, *, contract_id: str, purpose: Purpose, keyring: Keyring) -> Path:
    """Return the folder of the newest finished table of one contract and purpose.

    Raises
    ------
    UsageError
        If there is none yet.
    IntegrityError
        If the pointer was altered, is an older one, or names no table beside it.
    """
    pointer = _pointer(features, contract_id, purpose)
    if not pointer.is_file():
        raise UsageError(
            f"There is no feature table of {contract_id} for {purpose} below {features}. "
            "Run `limitline protect` first."
        )
    # Read before the pointer, which meanwhile can only become newer.
    seen = vault_file.last_at(pointer, keyring)
    try:
        told = json.loads(pointer.read_bytes())
        mac, name = bytes.fromhex(told.pop("mac")), str(told["folder"])
        is_genuine = hmac.compare_digest(bytes.fromhex(_pointer_mac(told, keyring)), mac)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_genuine = False
    if not is_genuine:
        raise IntegrityError(f"The pointer {pointer} was altered. Protect again.")
    if seen is None or seen.name != told["name"] or told["number"] < seen.number:
        raise IntegrityError(f"The pointer {pointer} is not the newest one. Protect again.")
    if not name.startswith(f"{contract_id}-{purpose}-") or not (features / name).is_dir():
        raise IntegrityError(f"The pointer {pointer} names no table beside it. Protect again.")
    return features / name


def _pointer_mac(told: Mapping[str, object], keyring: Keyring) -> str:
    return keyring.lasting_mac(canonical.dumps(told), use="pointer").hex()


def _told(inspected: Inspected) -> dict[str, str]:
    """Return what a table of several rows a customer tells about them; nothing for any other."""
    if inspected.is_newest is None:
        return {}
    differing = ", ".join(f"{name} of {n} customers" for name, n in inspected.differs.items())
    return {
        "customers": str(inspected.customers),
        "differing_rows": f"{differing}: the newest row is held" if differing else "none",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vaults:
    subjects: SubjectVault
    audit: AuditVault


def _release(
    source: RawTable, facts: TableFacts, vaults: _Vaults, inspected: Inspected, *, out: Path
) -> None:
    """Enrol and write every row.

    The blocks end in reverse order: subjects are on disk before their attributes, which nobody
    could find otherwise, and both before the table gets its name.
    """
    subjects, audit = vaults.subjects, vaults.audit
    start = 0
    with (
        feature_table.releasing(facts, keyring=subjects.keyring, out=out) as writer,
        audit.file.transaction(),
        subjects.file.transaction(),
    ):
        for batch in source.batches(facts.contract):
            newest = inspected.is_newest
            if newest is None:
                ids = subjects.enrol(batch, facts.contract)
                audit.enrol(batch, facts.contract, subject_ids=ids)
            else:
                own = newest[start : start + batch.num_rows]
                if len(own) < batch.num_rows:
                    raise _changed(source.path)
                ids = subjects.enrol(batch, facts.contract, is_newest=own)
                kept = pa.array(own)
                audit.enrol(batch.filter(kept), facts.contract, subject_ids=ids.filter(kept))
            start += batch.num_rows
            writer.write(_released(batch, ids, facts=facts, keyring=subjects.keyring))
        now = subjects.keyring.mac(source.digest(), use="source-digest").hex()
        if now != facts.source:
            raise _changed(source.path)
        writer.finish()


def _changed(source: Path) -> ContractError:
    return ContractError(f"{source.name} changed while it was read. Run this again.")


def _released(
    batch: pa.RecordBatch, subject_ids: pa.Array, *, facts: TableFacts, keyring: Keyring
) -> pa.RecordBatch:
    purpose = facts.purpose
    columns = [
        purpose_pseudonym(subject_ids, keyring.derive("pseudonym", purpose.value)),
        assignment.draw(subject_ids, assignment.keys(keyring, purpose)),
        *(batch[column.name] for column in facts.contract.released(purpose)),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=facts.schema)
    # The order of the raw rows would join the tables of two purposes row by row.
    day = facts.contract.day_column
    by = [PSEUDONYM] if day is None else [PSEUDONYM, day.name]
    return rows.sort_by([(name, "ascending") for name in by])


def _pointer(features: Path, contract_id: str, purpose: Purpose) -> Path:
    return features / f"{contract_id}-{purpose}.latest.json"
