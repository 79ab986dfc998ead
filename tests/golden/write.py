"""Writes a golden set: one of each signed or sealed form, as this version of the product makes it.

Run at a release, from the repository: ``python -m tests.golden.write 0.2.0``. Times, ids and
nonces make each run another set; one that is there is therefore never written again.

Nobody is in it: the customers are made up, the ring's key is the text `TEST_KEY`, and the private
signing keys are thrown away.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decisions import decision_log, engine, features, inputs, reason_texts
from decisions.decision_log import DecisionLog
from decisions.features import FeatureSpec
from decisions.model_reasons import Method, Reference
from decisions.policy import LimitPolicy
from governance import canonical, durable
from governance.appetite import RiskAppetite
from governance.contract import Purpose
from governance.declaration import Declaration
from governance.evidence import Finding, Severity
from governance.outcome import Outcome
from governance.settings import Settings
from privacy import gate, keyring
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.keyring import KEK_FILE, RING_FILE, Keyring
from privacy.raw_table import packaged_contract
from registry import attestation, evidence, findings, judgement, promotion, waivers
from registry.alternatives import ModelFamily, record_family
from registry.catalogue import Catalogue
from registry.record import Record, append
from registry.signing import Kind, Role, Signer
from registry.submission import RunFacts, submit
from registry.waivers import WaiverRequest
from tests import appetites
from tests.privacy.conftest import raw_table
from tests.registry.conftest import (
    APPETITE,
    DAY,
    LINEAGE,
    attach_policy_evidence,
    begin,
    lay_out,
    measured_about,
)

GOLDEN = Path(__file__).parent
TEST_KEY = b"TEST KEY of a golden set: public"
VINTAGE, CUSTOMERS = "2005-10", 40

# What people review as a file, by its name in the set; where each is packaged.
DECLARED: Mapping[str, tuple[type[Declaration], str]] = {
    "contract.toml": (
        type(packaged_contract("uci_credit")),
        "privacy/contracts/uci_credit",
    ),
    "risk_appetite.toml": (RiskAppetite, "governance/appetite/uci_demo"),
    "limit_policy.toml": (LimitPolicy, "decisions/policies/uci_demo"),
    "features.toml": (FeatureSpec, "decisions/specs/uci_features"),
}


def write(version: str) -> Path:
    """Write the set of one version and return its folder."""
    with durable.replacing_folder(GOLDEN / version) as out, tempfile.TemporaryDirectory() as name:
        home = Settings(home=Path(name) / "home")
        durable.make_folder(home.keyring)
        (home.keyring / KEK_FILE).write_text(TEST_KEY.hex() + "\n")
        (home.keyring / KEK_FILE).chmod(0o600)
        ring = keyring.create(home.keyring)
        expected = {
            "pack": _pack(home, out, Path(name) / "candidate"),
            "table": _table(home, out, ring),
            "decisions": _decisions(out, ring),
            "declared": _declared(out),
            "exact": _exact(out),
        }
        (out / "ring").mkdir()
        for file in (KEK_FILE, RING_FILE):
            shutil.copyfile(home.keyring / file, out / "ring" / file)
        text = json.dumps(canonical.plain(expected), indent=1, sort_keys=True)
        (out / "expected.json").write_text(text + "\n", encoding="utf-8")
    return GOLDEN / version


def sums(table: pa.Table) -> dict[str, int]:
    """Return what a reader must find in the whole-number columns of a table."""
    numbers = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    return {name: sum(table[name].drop_null().to_pylist()) for name in numbers}


def _pack(home: Settings, out: Path, candidate: Path) -> dict[str, object]:
    """Let one version live through everything that can be signed, and pack the evidence."""
    Catalogue.open(home)
    begin(home)
    appetites.sign(home, RiskAppetite.parse(APPETITE), DAY)
    facts = RunFacts(run_name="golden", observed={"machine": "test"})
    developer = Signer.open(home.keyring, Role.DEVELOPER)
    submit(lay_out(candidate), facts, LINEAGE, settings=home, signer=developer)
    # Figures that use all digits: one digit less would be another digest.
    found = measured_about(home, auc=7 / 9, raise_ratio={"female": 2 / 3, "male": 1.0})
    attestation.attest(home, found, version=1, signer=Signer.open(home.keyring, Role.VALIDATOR))
    attach_policy_evidence(home)
    document = {"recipe": "other", "figures": [0.75, None]}
    study = ModelFamily(document=document, headlines=found.measurements, runs=())
    record_family(home, 1, study, signer=developer)
    judgement.gate(home, 1, on=DAY)
    asked = WaiverRequest(
        measure="fairness.raise_ratio",
        scope={"group": "female"},
        owner="Head of Conduct",
        reason="A golden waiver of a made-up breach",
        granted_on=DAY,
        expires_on=DAY + timedelta(days=60),
    )
    waivers.waive(home, 1, asked)
    judgement.gate(home, 1, on=DAY)
    for role in (Role.RISK_APPROVER, Role.BUSINESS_APPROVER):
        judgement.approve(home, 1, role=role, on=DAY)
    promotion.promote(home, 1, on=DAY)
    _watch(home)
    said = evidence.write_pack(home, out / "pack.zip", on=DAY)
    kinds = [entry.statement.kind.value for entry in Record.load(home).entries]
    return {
        **{name: said[name] for name in ("entries", "promotions", "waivers", "root", "keys")},
        "kinds": kinds,
    }


def _watch(home: Settings) -> None:
    """Record what comes after a promotion: heartbeat, finding, freeze, review."""
    findings.record_heartbeat(home, "monthly", on=DAY, facts={"report": "ab" * 32})
    finding = Finding(
        id="golden-1",
        measure="stability.index",
        scope={"feature": "utilization"},
        severity=Severity.SEVERE,
        text="A golden finding",
        owner="Head of Model Risk",
        opened_on=DAY,
    )
    findings.open_finding(home, finding, version=1)
    for role in (Role.VALIDATOR, Role.RISK_APPROVER):
        findings.close_finding(home, finding.id, on=DAY, note="looked into", role=role)
    findings.freeze(home, role=Role.RISK_APPROVER, reason="A golden freeze", on=DAY)
    for role in (Role.RISK_APPROVER, Role.BUSINESS_APPROVER):
        findings.unfreeze(home, role=role, reason="A golden release", on=DAY)
    acts = [{"case": "cd" * 16, "trigger": "opted_out"}]
    said = {"event": "queued", "vintage": VINTAGE, "on": DAY.isoformat(), "acts": acts}
    subject = (f"review:{VINTAGE}", canonical.digest(said))
    reviewer = Signer.open(home.keyring, Role.REVIEWER)
    append(home, Kind.REVIEW, subject=subject, predicate=said, signer=reviewer)


def _table(home: Settings, out: Path, ring: Keyring) -> dict[str, object]:
    """Protect made-up customers and keep the sealed table."""
    durable.make_folder(home.raw)
    pq.write_table(raw_table(CUSTOMERS), home.raw / "raw.parquet")
    made = gate.protect(
        home.raw / "raw.parquet",
        packaged_contract("uci_credit"),
        keyring=ring,
        out=home.features,
        purpose=Purpose.TRAINING,
        vault=home.vault,
    )
    shutil.copytree(made.path, out / "table" / made.path.name)
    whole = FeatureTable.open(made.path, keyring=ring, part=Part.ALL)
    return {"digest": whole.digest, "rows": whole.num_rows, "sums": sums(whole.read())}


def _decisions(out: Path, ring: Keyring) -> dict[str, object]:
    """Decide made-up customers and keep the vintage of the decision log."""
    policy = LimitPolicy.parse(_packaged("decisions/policies/uci_demo"))
    rng = np.random.default_rng(0)
    drawn = {
        name: pa.array(rng.integers(1, 12, CUSTOMERS)).cast(kind)
        if pa.types.is_integer(kind)
        else pa.array(rng.random(CUSTOMERS)).cast(kind)
        for name, kind in inputs.needed(policy).items()
        if not pa.types.is_string(kind) and not pa.types.is_boolean(kind)
    }
    drawn["current_limit_minor"] = pa.array(rng.integers(2, 50, CUSTOMERS) * 1_000_000)
    drawn["default_probability"] = pa.array(rng.beta(0.8, 4.0, CUSTOMERS))
    drawn["segment"] = pa.array(["consumer"] * CUSTOMERS)
    decided = engine.decide(policy, pa.RecordBatch.from_pydict(drawn), as_of=date(2005, 10, 1))
    columns = {name: decided[name] for name in decided.schema.names}
    columns["default_probability"] = drawn["default_probability"]
    columns[PSEUDONYM] = pa.array([n.to_bytes(16, "big") for n in range(CUSTOMERS)], pa.binary(16))
    columns[ASSIGNMENT] = pa.array(range(CUSTOMERS), pa.uint32())
    for name in ("model_stamp", "policy_stamp", "features_stamp", "human_involvement"):
        columns[name] = pa.array([f"golden {name}"] * CUSTOMERS)
    table = pa.table(columns).select(decision_log.SCHEMA.names).cast(decision_log.SCHEMA)
    identity = {"as_of": "2005-10-01", "policy": policy.stamp, "policy_digest": policy.digest}
    with tempfile.TemporaryDirectory() as name:
        made: DecisionLog = decision_log.write(
            Path(name) / VINTAGE, [table], identity, keyring=ring
        )
        shutil.copytree(made.path, out / "decisions")
    return {"digest": made.digest, "rows": CUSTOMERS, "sums": sums(table)}


def _declared(out: Path) -> dict[str, object]:
    """Keep one file of each kind that people review, with the digest of what it says."""
    for file, (_, place) in DECLARED.items():
        (out / file).write_text(_packaged(place), encoding="utf-8")
    return {file: kind.load(out / file).digest for file, (kind, _) in DECLARED.items()}


def _exact(out: Path) -> dict[str, object]:
    """Keep the file of a model folder that explains the model."""
    spec = FeatureSpec.parse(features.packaged("uci_features"))
    texts = reason_texts.packaged_texts()
    made = {
        "explanation.json": Method(
            outcome=Outcome.PASS,
            features_id=spec.id,
            features_digest=spec.digest,
            reference=Reference(names=spec.names, values=(0.1,) * len(spec.names), n=500),
            texts_id="golden@1",
            texts={name: texts.groups[name] for name in spec.reason_groups},
            levers=reason_texts.levers_for(spec, texts),
        ),
    }
    for file, document in made.items():
        (out / file).write_bytes(document.dumps())
    return {file: document.digest for file, document in made.items()}


def _packaged(place: str) -> str:
    room, _, rest = place.partition("/")
    return resources.files(room).joinpath(f"{rest}.toml").read_text(encoding="utf-8")


def refuse(version: str) -> str:
    """Say why a set is not written; empty if it may be."""
    if (GOLDEN / version).exists():
        return f"There is a golden set of {version} already; what was released is not rewritten."
    named = tomllib.loads((GOLDEN.parents[1] / "pyproject.toml").read_text("utf-8"))
    current = named["project"]["version"]
    if not version.startswith(current) and ".dev" not in version:
        return f"The version in pyproject.toml is {current}; a golden set of it was to be written."
    return ""


if __name__ == "__main__":
    if len(sys.argv) != 2 or refuse(sys.argv[1]):
        raise SystemExit(refuse(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
    sys.stdout.write(f"{write(sys.argv[1])}\n")
