"""The evidence pack: everything an outsider needs to check the record, and what it cannot show."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console

from governance import durable
from governance.errors import IntegrityError
from governance.settings import Settings
from registry import card, offline, rules, traceability
from registry.ledger import Ledger
from registry.load import verify_version
from registry.record import Record
from registry.signing import FOLDER, NOTICE, PEOPLE_FILE, People, Role, Signer, checked
from registry.status import status

NOT_MACHINE_CHECKABLE = """\
# What no machine checked here

- Whether the purpose of the model is lawful, and whether customers were told.
- Whether an approver read what was signed, and thought about it.
- Whether the reason in a waiver is a good reason, and whether its owner may accept the risk.
- Whether the people behind the keys are the people named, and really are different people.
- Whether the source data are true, complete, and were allowed to be used.
- Whether thresholds in the risk appetite are the right ones.
- Whether anything was left out of the ledger before it was ever signed.
- Whether this pack is the newest: compare its head with one that you witnessed yourself.
"""

README = """\
# Evidence pack: credit-limit models, {on}

{entries} signed entries; Merkle root `{root}`.

Check it with Python 3.11 or newer and the `cryptography` package, nothing else:

    python verify.py .

`verify.py` (is the pack whole and signed?) and `rules.py` (may its entries say that?) import
nothing of the product; read them first, or use copies of your own, side by side. Any byte, file
or name that differs from the signed list is named. Then compare the printed key ids with those that
you were given another way (`--people FILE` uses your own copy), and the head with one that you kept
(`--checkpoint FILE`): without it, a ledger that was rewritten as a whole with its own key, or set
back to an earlier day, verifies just the same. Keep your own files outside this folder, where they
would count as added. `--model FOLDER --version N` holds a model folder against its signed manifest.

| file | what it is |
|---|---|
| `ledger.jsonl` | every entry, one line each: the leaves of an RFC 6962 tree |
| `checkpoint.txt` | the signed head of that tree (C2SP signed note) |
| `files.json` | path, SHA-256 and size of every other file, signed by the ledger's key |
| `people.json` | the public keys, with role and name |
| `verify.py`, `rules.py` | the verifier |
| `statements/` | each entry alone, decoded, with its inclusion proof |
| `traceability/` | the list of JR/T 0221-2021, item by item: where each answer stands |
| `cards/`, `status.json` | for reading: derived from the ledger on {on} |
| `NOT-MACHINE-CHECKABLE.md` | what none of this shows |

Keys: {notice}.
"""


def write_pack(settings: Settings, path: Path, *, on: date) -> dict[str, Any]:
    """Write the evidence pack as a zip and return what its own verifier says of it.

    The same ledger on the same day gives the same bytes.

    Raises
    ------
    IntegrityError
        If the ledger does not verify; no pack is written then.
    """
    people = People.load(settings.keyring)
    ledger = Ledger.open(settings.ledger, Signer.open(settings.keyring, Role.LEDGER), people=people)
    ledger.verify()
    files = _files(settings, ledger, on)
    files[offline.LIST] = signed_list(files, on, Signer.open(settings.keyring, Role.LEDGER))
    durable.make_folder(path.absolute().parent)
    with durable.replacing(path.absolute()) as temporary:
        temporary.write_bytes(offline.zip_bytes(files))
        return verify(temporary)


def signed_list(files: Mapping[str, bytes], on: date, signer: Signer) -> bytes:
    """Return ``files.json``: path, SHA-256 and size of every file, signed by the ledger's key."""
    listed = {
        "schema": offline.LIST_SCHEMA,
        "on": on.isoformat(),
        "files": offline.listing(files),
        "keyid": signer.key_id,
    }
    envelope = signer.sign(offline.canonical(listed), offline.LIST_TYPE)
    signature = base64.b64encode(envelope.signature).decode()
    return offline.canonical({**listed, "signature": signature}) + b"\n"


def verify(
    path: Path, *, people_file: Path | None = None, witness_file: Path | None = None
) -> dict[str, Any]:
    """Verify an evidence pack, zip or folder, as an outsider would.

    Raises
    ------
    IntegrityError
        On the first thing that does not fit.
    """
    with checked():
        found = offline.verify_pack(
            path, people_file=people_file, witness_file=witness_file, judge=rules.judge
        )
    return {name: found[name] for name in found if name != "manifests"}


def _files(settings: Settings, ledger: Ledger, on: date) -> dict[str, bytes]:
    record = Record.load(settings, on)
    bodies = ledger.bodies()
    state = status(settings, on)
    known = {"on": on, "notice": NOTICE, **state["ledger"]}
    files = {
        "README.md": README.format(**known).encode(),
        "NOT-MACHINE-CHECKABLE.md": NOT_MACHINE_CHECKABLE.encode(),
        "verify.py": resources.files("registry").joinpath("offline.py").read_bytes(),
        "rules.py": resources.files("registry").joinpath("rules.py").read_bytes(),
        "ledger.jsonl": b"".join(body + b"\n" for body in bodies),
        "checkpoint.txt": ledger.checkpoint().encode(),
        "people.json": (settings.keyring / FOLDER / PEOPLE_FILE).read_bytes(),
        "status.json": offline.pretty({name: state[name] for name in state if name != "where"}),
    }
    with checked():
        files |= offline.receipts(bodies)
    for version in record.versions():
        files[f"cards/version-{version}.md"] = card.describe(record, version).encode()
        files[f"traceability/version-{version}.md"] = traceability.as_markdown(
            record, version
        ).encode()
    return files


def verify_home(settings: Settings, *, witness_file: Path | None = None) -> dict[str, Any]:
    """Verify the home and return what was verified.

    Raises
    ------
    IntegrityError
        Naming everything about the models' files that does not fit, or the first thing about the
        ledger that does not.
    """
    people = People.load(settings.keyring)
    ledger = Ledger.open(settings.ledger, people=people)
    head, history = ledger.verify(), ledger.history()
    with checked():
        waivers = rules.waivers_used(history)
        kept = offline.witnessed(witness_file, ledger.bodies(), people.by_key)
    record, problems, versions = Record.load(settings), [], {}
    for version in record.versions():
        try:
            versions[str(version)] = verify_version(settings, record, version)
        except IntegrityError as error:
            problems.append(f"Version {version}: {error}")
    if problems:
        raise IntegrityError(" ".join(problems))
    return {
        "entries": head.size,
        "promotions": len(history.promotions),
        "waivers": waivers,
        "root": head.root.hex(),
        "witnessed": kept,
        "keys": rules.signers(history),
        "versions": versions,
        "traceability": {
            str(version): [answer.as_document() for answer in traceability.of(record, version)]
            for version in record.versions()
        },
        "champion": record.champion(),
    }


def render(
    document: Mapping[str, Any], console: Console, *, people_file: Path | None = None
) -> None:
    """Print what was verified and, for a home, where the champion's model comes from."""
    traces = document.get("traceability", {})
    if traces:
        shown = str(document["champion"] or max(int(version) for version in traces))
        traceability.render(shown, traces[shown], console)
    for line in offline.told(document, people_file=people_file):
        console.print(line, markup=False, soft_wrap=True)
