"""What somebody can do who has keys and the ledger's file, and does not ask the product."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from governance import canonical
from governance.settings import Settings
from registry import offline
from registry.ledger import CHECKPOINT, DATABASE, WITNESS
from registry.record import Record
from registry.signing import Kind, Role, Signer


def forge(
    home: Settings,
    kind: Kind | str,
    predicate: Mapping[str, Any],
    *,
    subject: tuple[str, str],
    signer: Signer | str,
) -> None:
    """Write an entry past every check, under a fresh head and a fresh witness."""
    keys = Signer.open(home.keyring, signer) if isinstance(signer, str) else signer
    said = {
        "_type": offline.STATEMENT_TYPE,
        "subject": [{"name": subject[0], "digest": {"sha256": subject[1]}}],
        "predicateType": f"{offline.NAMESPACE}{kind}/v1",
        "predicate": predicate,
    }
    envelope = keys.sign(canonical.dumps(said)).as_json()
    write(home, str(kind), subject[0], envelope)


def write(home: Settings, kind: str, subject: str, envelope: Mapping[str, Any]) -> None:
    """Write an envelope as the newest entry, under a fresh head and a fresh witness."""
    with closing(sqlite3.connect(home.ledger / DATABASE)) as connection:
        bodies = [row[0] for row in connection.execute("SELECT body FROM entry ORDER BY seq")]
        body = offline.canonical(
            {
                "seq": len(bodies),
                "kind": kind,
                "subject": subject,
                "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "envelope": dict(envelope),
            }
        )
        row = (len(bodies), kind, subject, body)
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", row)
        connection.commit()
    leaves = [offline.leaf_hash(one) for one in [*bodies, body]]
    head = Signer.open(home.keyring, Role.LEDGER).sign_checkpoint(
        len(leaves), offline.tree_root(leaves)
    )
    for place in (home.ledger / CHECKPOINT, home.ledger / WITNESS / CHECKPOINT):
        place.write_text(head)


def forge_event(home: Settings, version: int, **changed: Any) -> dict[str, Any]:
    """Let the ledger's key alone sign a promotion like the last one, with what is changed."""
    intent = Record.load(home).events("promotion-intent")[-1]
    said = {**json.loads(json.dumps(intent.statement.predicate)), **changed}
    subject = (f"credit-limit@{version}", Record.load(home).manifest(version).statement.sha256)
    forge(home, Kind.LIFECYCLE, said, subject=subject, signer=Role.LEDGER.value)
    return said
