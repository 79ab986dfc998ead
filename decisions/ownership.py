"""Own-computation proof: the lender decides its limits, a partner may only suggest.

A lender that pays out on a partner's word has outsourced its risk. Equal limits alone prove
nothing, for two who look at the same customer often agree; so equality is held against what the own
policy gives when it decides alone, and the partner's score against what the own decision leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from decisions import agreement, replay, suggestions
from decisions.decision_log import DecisionLog
from decisions.suggestions import OWN, Compared
from decisions.tolerance import Tolerance
from governance import column_types, durable
from governance.errors import UsageError
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE
from registry.record import APPLIED, Record

STAMPS = ("model_stamp", "policy_stamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a proof found; `compared` is None if no partner suggested anything."""

    measurements: list[Measurement]
    compared: Compared | None = None


def of_vintage(
    settings: Settings,
    vintage: str,
    *,
    keyring: Keyring,
    suggested: pa.Table | None,
    tolerance: Tolerance,
) -> Found:
    """Measure a vintage of the decision log against the ledger and a partner's suggestions.

    Every decision with a suggestion is made again from pinned rows, model and policy.

    Raises
    ------
    UsageError
        If the vintage was not decided.
    ContractError
        As `decisions.suggestions.compare`.
    IntegrityError
        If log, model, table or ledger are not what was sealed and signed.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    rows = log.read()
    known = in_ledger(Record.load(settings))
    found = [tolerance.judge(measure_provenance(rows, known))]
    if suggested is None:
        return Found(measurements=found)
    named = suggestions.with_pseudonyms(suggested)
    again = replay.decide_again(settings, log, keyring=keyring, pseudonyms=rows[PSEUDONYM])
    # The features' engine hands pseudonyms on as bytes of any length; a join wants one type.
    names = again[PSEUDONYM].cast(PSEUDONYM_TYPE)
    own = pa.table({PSEUDONYM: names, OWN: again["limit_after_minor"]})
    both = suggestions.numbered(rows).join(own, keys=PSEUDONYM)
    compared = suggestions.compare(both, named, key=PSEUDONYM)
    found += agreement.measure(compared, tolerance.judge)
    return Found(measurements=found, compared=compared)


def of_tables(decisions: pa.Table, suggested: pa.Table, *, key: str, tolerance: Tolerance) -> Found:
    """Measure anybody's decisions against a partner's suggestions.

    Raises
    ------
    ContractError
        As `decisions.suggestions.compare`.
    """
    compared = suggestions.compare(suggestions.numbered(decisions), suggested, key=key)
    provenance = tolerance.judge(measure_provenance(decisions, None))
    found = [provenance, *agreement.measure(compared, tolerance.judge)]
    return Found(measurements=found, compared=compared)


def write_list(found: Found, path: Path) -> dict[str, Any]:
    """Write which decisions are equal to the partner's suggestion: rows, no customer, no amount.

    ``own_is_equal`` says whether the own policy, decided again alone, gives that limit too; it is
    empty where nobody decided again. An equal limit where it does not is a copied one.

    Returns
    -------
    dict
        ``path`` and ``rows``.
    """
    compared = found.compared
    if compared is None:
        raise UsageError("Without suggestions there is nothing to list.")
    equal = np.flatnonzero(compared.after == compared.suggested)
    own = pa.nulls(len(equal), pa.bool_())
    if compared.own is not None:
        own = pa.array(compared.own[equal] == compared.suggested[equal])
    listed = pa.table({"row": compared.row[equal], "own_is_equal": own})
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(listed, sink)
    durable.write_bytes(path, sink.getvalue().to_pybytes())
    return {"path": str(path), "rows": listed.num_rows}


def document(
    measurements: Sequence[Measurement], tolerance: Tolerance, about: dict[str, str]
) -> dict[str, Any]:
    """Return ``ownership/2``: measurements, gravest outcome, whose lines, and what is not shown."""
    missing = ["a partner's score among the own model's features: read the feature declaration"]
    if not any(item.measure == "ownership.equal_share" for item in measurements):
        missing.append("equality with a partner's suggestions: none were given")
    judged = [item.outcome for item in measurements if item.outcome is not Outcome.INFO]
    return {
        "schema": "ownership/2",
        **about,
        "tolerance": tolerance.as_document(measurements),
        "measurements": [item.as_json() for item in measurements],
        "outcome": worst(judged).value,
        "not_evidenced": missing,
    }


def in_ledger(record: Record) -> frozenset[tuple[str, str]]:
    """Return model stamp and policy digest of every version that was signed and promoted."""
    promoted = {entry.statement.predicate["version"] for entry in record.events(APPLIED)}
    found = set()
    for version in sorted(int(number) for number in promoted):
        said = record.manifest(version).statement
        stamp = f"{said.subject_name}#{said.sha256[:16]}"
        found.add((stamp, str(said.predicate["declared"].get("policy_digest", ""))[:16]))
    return frozenset(found)


def measure_provenance(
    decisions: pa.Table, known: frozenset[tuple[str, str]] | None
) -> Measurement:
    """Count the decisions without own model and own policy.

    Parameters
    ----------
    known : frozenset of (model stamp, policy digest) or None
        What the ledger signed; None asks only whether a decision names both.

    Notes
    -----
    When it says nothing: if the table has no stamps at all.
    """
    name, n = "ownership.without_provenance", decisions.num_rows
    found = Measurement(measure=name, n=n, unit="count")
    if not set(STAMPS) <= set(decisions.column_names):
        return found.judged(Outcome.INCONCLUSIVE, f"the table has no {' and '.join(STAMPS)}")
    if n == 0:
        return found.judged(Outcome.INCONCLUSIVE, "there are no decisions")
    lacking = 0
    stamps = {name: column_types.texts(decisions[name], name=name) for name in STAMPS}
    groups = pa.table(stamps).group_by(list(STAMPS)).aggregate([([], "count_all")])
    for item in groups.to_pylist():
        model, policy = item["model_stamp"], item["policy_stamp"]
        is_named = bool(model) and bool(policy)
        if not is_named or (known is not None and (model, policy.rpartition("#")[2]) not in known):
            lacking += item["count_all"]
    asked = "named" if known is None else "signed and promoted in the ledger"
    said = f"{lacking} of {n} lack an own model and policy that are {asked}"
    return Measurement(measure=name, value=lacking, n=n, unit="count", reason=said)
