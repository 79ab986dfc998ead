"""The verbs of the privacy room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from governance import command
from governance.contract import Purpose
from governance.errors import Breach, Inconclusive, UsageError

app = typer.Typer()


@app.command()
@command.guarded
def protect(
    source: Annotated[
        Path | None, typer.Option("--input", help="Raw table, Parquet or CSV.", show_default=False)
    ] = None,
    contract: Annotated[
        str, typer.Option(help="Path of a contract TOML, or the name of a packaged one.")
    ] = "uci_credit",
    purpose: Annotated[Purpose, typer.Option(help="What the table is for.")] = Purpose.TRAINING,
    output: Annotated[
        Path | None, typer.Option(help="Folder of feature tables; default: the home's.")
    ] = None,
    acquired_on: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="When you got the data; default: file time.")
    ] = "",
    encoding: command.Encoding = "",
    as_json: command.AsJson = False,
) -> None:
    """Release a raw table as an encrypted feature table; refuse it if anything is wrong."""
    from privacy import gate
    from privacy.feature_table import FeatureTable, Part
    from privacy.keyring import Keyring
    from privacy.raw_table import find_contract

    home = command.load_home()
    declared = find_contract(contract)
    keyring = Keyring.open(home.keyring)
    released = gate.protect(
        source or home.raw / "uci_credit.parquet",
        declared,
        keyring=keyring,
        out=(output or home.features).absolute(),
        purpose=purpose,
        vault=home.vault,
        acquired_on=command.parse_day(acquired_on) if acquired_on else None,
        encoding=encoding,
    )
    whole = FeatureTable.open(released.path, keyring=keyring, part=Part.ALL)
    document = describe(whole) | {
        "open_rows": released.num_rows,
        "sealed_rows": whole.num_rows - released.num_rows,
    }

    def people(console: Console) -> None:
        console.print(
            f"Protected {_counted(whole)} for {purpose} under contract {declared.id} "
            f"{declared.version}: {released.num_rows} open, {document['sealed_rows']} sealed for "
            f"validation, {len(whole.feature_columns)} features.",
            soft_wrap=True,
        )
        console.print(f"Table: {whole.path}", soft_wrap=True)

    command.emit(document, as_json=as_json, people=people)


@app.command()
@command.guarded
def scan(
    path: Annotated[Path, typer.Argument(help="File or folder to search.")],
    canaries: Annotated[
        Path | None, typer.Option(help="Text file with one planted value a line.")
    ] = None,
    as_json: command.AsJson = False,
) -> None:
    """Search files for personal data and planted values; exit 13 for hits, 14 if it cannot tell."""
    from dataclasses import asdict

    from privacy import leak_scan

    report = leak_scan.scan(path, canaries=_planted(canaries))
    document = {"schema": "leak-scan/1", "path": str(path), **asdict(report)}

    def people(console: Console) -> None:
        for hit in report.hits:
            line = f"{hit.file}: {hit.kind}, {hit.values} different values"
            console.print(line, markup=False, soft_wrap=True)
        for said, names in (
            ("could not be read", report.unread),
            ("a symbolic link that leads elsewhere, not followed", report.links),
            ("encrypted, cannot be searched", report.sealed),
        ):
            for name in names:
                console.print(f"{name}: {said}", markup=False, soft_wrap=True)
        console.print(f"{report.files} files, {report.bytes} bytes: {len(report.hits)} hits.")

    command.emit(document, as_json=as_json, people=people)
    if report.hits:
        files = len({hit.file.split("!")[0] for hit in report.hits})
        raise Breach(
            f"Personal data or planted values were found in {files} of {report.files} files; "
            "allowed is none. Delete those files and close the way they came."
        )
    if report.unread or report.links:
        raise Inconclusive(
            f"{len(report.unread)} files or parts of files could not be read and "
            f"{len(report.links)} links lead elsewhere, so nobody can say what they hold. Repair, "
            "unpack or delete the first; scan the targets of the links."
        )


def _planted(file: Path | None) -> list[str]:
    if file is None:
        return []
    if not file.is_file():
        raise UsageError(f"There is no file of canaries at {file}.")
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _counted(table: Any) -> str:
    if table.day is None:
        return f"{table.num_rows} customers"
    differing = table.about.get("differing_rows", "none")
    said = "" if differing == "none" else f" (rows differ in {differing})"
    return f"{table.num_rows} rows of {table.about.get('customers', '?')} customers{said}"


def describe(table: Any) -> dict[str, Any]:
    """Return what a feature table says of itself."""
    return {
        "schema": "feature-table-status/1",
        "path": str(table.path),
        "digest": table.digest,
        "contract_id": table.contract_id,
        "contract_digest": table.contract_digest,
        "purpose": table.purpose.value,
        "key_version": table.key_version,
        "label": table.label,
        "feature_columns": list(table.feature_columns),
        "about": dict(table.about),
    }
