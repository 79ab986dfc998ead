"""A made-up table of a lender nobody knows, from its CSV file to a candidate, by command alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner, Result

from decisions import policy as policies
from governance import settings
from limitline.commands import app
from monitoring.validate import validate
from monitoring.watch import read_appetite
from tests.training.declared import LATE_AND_LOAD

ROWS = 3_000
LATER = date(2026, 1, 5)
MONTHS = np.array(["2025-01", "2025-02", "2025-03", "2025-04"], dtype="datetime64[M]")

CONTRACT = """
schema = "column-contract/1"
id = "tea-houses"
version = "1"
title = "Simulated credit lines of tea houses"
source = "simulated"
"""

COLUMNS: dict[str, tuple[str, str, str, str]] = {
    "house": ("string", "subject_id", "pseudonymize", ""),
    "mobile": ("string", "identity", "vault", ""),
    "sex": ("string", "protected_attribute", "audit", ""),
    "month": ("date32", "time", "keep", ""),
    "region": ("string", "feature", "keep", ""),
    "line": ("int64", "feature", "keep", ""),
    "owed": ("int64", "feature", "keep", ""),
    "late": ("int64", "feature", "keep", "may_be_null = true"),
    "sales": ("float64", "feature", "keep", "may_be_null = true"),
    "failed": ("int64", "label", "keep", "may_be_null = true"),
    "known_on": ("date32", "time", "keep", "may_be_null = true"),
}

SPEC = (
    """
schema = "feature-spec/1"
id = "tea-houses"
version = "1"
title = "Simulated tea houses"
horizon_months = 3
currency = "CNY"
current_limit_column = "line"
"""
    + LATE_AND_LOAD
    + """
[[features]]
name = "sales"
sql = "sales"
sources = ["sales"]
sign = -1
reason_group = "income"
why = "Sales of the month."

[[features]]
name = "is_north"
sql = "CASE WHEN region = 'north' THEN 1 WHEN region = 'south' THEN 0 END"
sources = ["region"]
sign = 0
reason_group = "region"
why = "Simulated."

[inputs]
current_limit_minor = "line * 100"
balance_minor = "owed * 100"
utilization = "owed * 1.0 / line"
months_delinquent = "late"
months_since_raise = "NULL"
months_since_cut = "NULL"
segment = "'consumer'"
"""
)


def houses(n: int = ROWS, seed: int = 3) -> pa.Table:
    """Simulated tea houses; the outcome of the newest month is not known by the end of June."""
    rng = np.random.default_rng(seed)
    month = MONTHS[rng.integers(0, 4, n)]
    late, sales = rng.poisson(0.4, n), rng.gamma(2.0, 0.5, n)
    line = rng.integers(5_000, 50_000, n)
    owed = (rng.beta(2, 3, n) * line).astype(np.int64)
    odds = -1.6 + 0.9 * late + 2.0 * owed / line - 0.8 * sales
    failed = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    refused = rng.random(n) < 0.05
    known_on = (month + 3).astype("datetime64[D]") + 5
    return pa.table(
        {
            "house": [f"house {number}" for number in range(n)],
            "mobile": [f"1{number:010d}" for number in range(n)],
            "sex": np.where(rng.random(n) < 0.5, "F", "M"),
            "month": pa.array(month.astype("datetime64[D]"), pa.date32()),
            "region": np.where(rng.random(n) < 0.5, "north", "south"),
            "line": line,
            "owed": owed,
            "late": pa.array(late, pa.int64()),
            "sales": sales,
            "failed": pa.array(failed, pa.int64(), mask=refused),
            "known_on": pa.array(known_on, pa.date32(), mask=refused),
        }
    )


def contract_text(columns: dict[str, tuple[str, str, str, str]]) -> str:
    text = CONTRACT
    for name, (kind, role, action, more) in columns.items():
        text += f'\n[[columns]]\nname = "{name}"\ntype = "{kind}"\nsensitivity = "C2"\n'
        text += f'role = "{role}"\naction = "{action}"\nwhy = "Simulated."\n{more}\n'
        if action == "keep":
            text += 'purposes = ["training", "decision"]\n'
        if action == "audit":
            text += 'codes = { F = "female", M = "male" }\nreference_group = "female"\n'
    return text


@dataclass(frozen=True)
class Desk:
    """A folder with the four files of a user and a home beside it."""

    place: Path

    def write(
        self, table: pa.Table, spec: str = SPEC, **columns: tuple[str, str, str, str]
    ) -> None:
        declared = {name: COLUMNS.get(name) or columns[name] for name in table.column_names}
        declared |= columns
        (self.place / "contract.toml").write_text(contract_text(declared), encoding="utf-8")
        (self.place / "features.toml").write_text(spec, encoding="utf-8")
        policy = policies.packaged("uci_demo").replace('currency = "TWD"', 'currency = "CNY"')
        (self.place / "policy.toml").write_text(policy, encoding="utf-8")
        pa_csv.write_csv(table, self.place / "houses.csv")

    def protect(self) -> Result:
        given = ["--contract", f"{self.place}/contract.toml", "--input", f"{self.place}/houses.csv"]
        return CliRunner().invoke(app, ["protect", *given, "--purpose", "training", "--json"])

    def train(self, *arguments: str) -> Result:
        declared = [
            "--spec",
            f"{self.place}/features.toml",
            "--policy",
            f"{self.place}/policy.toml",
        ]
        given = ["train", "--contract", "tea-houses", *declared, *arguments]
        return CliRunner().invoke(app, given)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    return Desk(tmp_path)


def said(ran: Result) -> str:
    return " ".join(ran.stderr.split())


def test_a_table_of_ones_own_goes_from_csv_to_a_candidate(desk: Desk) -> None:
    desk.write(houses())
    protected = desk.protect()
    assert protected.exit_code == 0, protected.output
    ran = desk.train(
        *("--observed-at", "known_on", "--cutoff", "2025-06-30", "--vintage", "month"),
        *("--segment", "region", "--json"),
    )
    assert ran.exit_code == 0, ran.output
    made = json.loads(ran.stdout)
    lineage = made["lineage"]
    assert lineage["data_contract"] == "tea-houses"
    assert lineage["horizon_months"] == "3"
    assert lineage["label_cutoff"] == "2025-06-30"
    # Every open row is either learned from or counted under the reason why not.
    reasons = ("labels_missing", "labels_undated", "labels_after_cutoff", "labels_immature")
    left_out = sum(int(lineage[name]) for name in reasons)
    assert int(lineage["data_rows"]) + left_out == int(lineage["data_rows_read"])
    assert int(lineage["labels_missing"]) > 50
    assert int(lineage["labels_after_cutoff"]) > 400  # The newest month, known on 6 July or later.
    assert any("known only after the cutoff" in text for text in made["caveats"])
    scopes = [found["scope"] for found in made["measurements"]]
    assert {"segment": "north"} in scopes
    assert {"split": "out-of-time", "from": "2025-03"} in scopes
    assert "uci" not in ran.stdout.lower().replace("uci-demo", "")


def test_the_validator_judges_by_the_outcomes_that_the_lineage_lets_count(desk: Desk) -> None:
    # The newest month's outcomes are planted the wrong way round: nobody could have known them yet.
    table = houses()
    is_newest = pc.equal(table["month"], pa.scalar(date(2025, 4, 1)))
    planted = pc.if_else(is_newest, pc.subtract(1, table["failed"]), table["failed"])
    desk.write(table.set_column(table.column_names.index("failed"), "failed", planted))
    assert desk.protect().exit_code == 0
    rule = ("--observed-at", "known_on", "--cutoff", "2025-06-30", "--vintage", "month")
    assert desk.train(*rule).exit_code == 0

    found = validate(
        settings.load(), "latest", contract="tea-houses", appetite=read_appetite(), on=LATER
    )
    measured = {(m.measure, m.scope.get("reason", "")): m for m in found.evidence.measurements}
    sealed = measured["labels.unknown", ""].n
    unknown = {
        reason: round((m.value or 0) * m.n)
        for (name, reason), m in measured.items()
        if name == "labels.unknown"
    }
    auc = measured["discrimination.auc", ""]
    assert unknown["known only after the cutoff"] > 80
    assert unknown["without an outcome"] > 5
    assert unknown.pop("") == sum(unknown.values()) == sealed - auc.n
    # That none of the planted quarter was judged by is told by the counts above; the draw of the
    # sealed customers moves the area itself by several points.
    assert (auc.low or 0) > 0.5
    assert any("no known outcome under" in line for line in found.evidence.not_evidenced)
    assert measured["misjudgment.good_cut", ""].n < auc.n


def test_the_command_works_in_a_process_of_its_own(desk: Desk) -> None:
    spoiled = houses(400)
    desk.write(spoiled.set_column(9, "failed", pa.array([1] * 400, pa.int64())))
    assert desk.protect().exit_code == 0
    declared = ["--spec", f"{desk.place}/features.toml", "--policy", f"{desk.place}/policy.toml"]
    ran = subprocess.run(
        [sys.executable, "-m", "limitline", "train", "--contract", "tea-houses", *declared],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 10, ran.stderr
    assert "is 1 for every customer" in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr


Spoil = Callable[[pa.Table], pa.Table]


def changed(name: str, make: Callable[[pa.Table], pa.Array]) -> Spoil:
    def spoil(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, make(table))

    return spoil


def holes(table: pa.Table, name: str) -> pa.Array:
    """Every twentieth value of a column is missing."""
    mask = pa.array(np.arange(table.num_rows) % 20 == 0)
    return pc.if_else(mask, pa.scalar(None, table[name].type), table[name])


def sometimes(table: pa.Table, name: str, value: int) -> pa.Array:
    mask = pa.array(np.arange(table.num_rows) % 30 == 0)
    return pc.if_else(mask, value, table[name])


def holes_everywhere(table: pa.Table) -> pa.Table:
    for name in ("late", "sales"):
        table = changed(name, lambda rows, name=name: holes(rows, name))(table)
    return table


def leaking(table: pa.Table) -> pa.Array:
    noise = np.random.default_rng(0).normal(0, 0.05, table.num_rows)
    return pa.array(pc.fill_null(table["failed"], 0).to_numpy() * -1.0 + noise)


def unseen_region(table: pa.Table) -> pa.Array:
    return pa.array(["north", "west"] * (table.num_rows // 2))


REFUSED: dict[str, tuple[Spoil, list[str], str]] = {
    "special codes": (
        changed("late", lambda table: sometimes(table, "late", 98)),
        [],
        "late holds conventional special codes",
    ),
    "a leak": (changed("sales", leaking), [], "sales alone separates the outcomes"),
    "5 % missing in everything": (holes_everywhere, [], "months_late is missing or not finite"),
    "an unseen category": (changed("region", unseen_region), [], "is_north is missing"),
    "all labels in the future": (
        lambda table: table,
        ["--observed-at", "known_on", "--cutoff", "2025-03-31"],
        "known only after the cutoff",
    ),
    "a day column that is none": (
        lambda table: table,
        ["--vintage", "owed"],
        "owed is int64; it must be of days",
    ),
    "an unknown segment": (lambda table: table, ["--segment", "nowhere"], "no segment column"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_a_contract_error_that_names_the_column(desk: Desk, what: str) -> None:
    spoil, arguments, message = REFUSED[what]
    desk.write(spoil(houses(600)))
    assert desk.protect().exit_code == 0
    ran = desk.train(*arguments)
    assert ran.exit_code == 10, ran.output
    assert message in said(ran)
    assert ran.stdout == ""
    assert not (desk.place / "home" / "mlflow.db").exists()


def test_infinite_values_do_not_pass_the_gate(desk: Desk) -> None:
    infinite = changed(
        "sales", lambda table: pc.if_else(table_starts(table), np.inf, table["sales"])
    )
    desk.write(infinite(houses(600)))
    ran = desk.protect()
    assert ran.exit_code == 10
    assert "sales holds infinite values" in said(ran)


def test_an_expression_that_divides_by_zero_is_refused_by_its_name(desk: Desk) -> None:
    desk.write(houses(600), SPEC.replace('sql = "sales"', 'sql = "sales / (late - late)"'))
    assert desk.protect().exit_code == 0
    ran = desk.train()
    assert ran.exit_code == 10, ran.output
    assert "The feature sales is missing or not finite" in said(ran)


def table_starts(table: pa.Table) -> pa.Array:
    return pa.array(np.arange(table.num_rows) < 5)


def test_a_protected_attribute_is_no_feature_whatever_the_contract_calls_it(desk: Desk) -> None:
    wants_sex = SPEC.replace('"CASE WHEN region =', "\"CASE WHEN sex = 'F' THEN 1 WHEN region =")
    wants_sex = wants_sex.replace('sources = ["region"]', 'sources = ["region", "sex"]')
    assert wants_sex != SPEC
    # Declared as what it is, it is in the audit vault; declared as a feature, its name is refused.
    for role in ("protected_attribute", "feature"):
        action = "audit" if role == "protected_attribute" else "keep"
        desk.write(houses(600), wants_sex, sex=("string", role, action, ""))
        assert desk.protect().exit_code == 0
        ran = desk.train()
        assert ran.exit_code == 10
        assert "sex, which is named like a protected attribute" in said(ran)


def test_a_contract_that_keeps_a_protected_attribute_is_refused(desk: Desk) -> None:
    desk.write(houses(300), sex=("string", "protected_attribute", "keep", ""))
    ran = desk.protect()
    assert ran.exit_code == 10
    assert "protected_attribute may not be handled by keep" in said(ran)


def test_an_allowed_suspicion_is_in_the_lineage_with_its_reason(desk: Desk) -> None:
    spoil, _, _ = REFUSED["special codes"]
    desk.write(changed("sales", leaking)(spoil(houses(600))))
    assert desk.protect().exit_code == 0
    allowed = ("--allow", "special-code:late=98 months did happen")
    assert "sales alone separates" in said(desk.train(*allowed))
    ran = desk.train(*allowed, "--allow", "leak:sales=known before the decision", "--json")
    assert ran.exit_code == 0, ran.output
    kept = json.loads(json.loads(ran.stdout)["lineage"]["allowances"])
    assert [(found["kind"], found["name"]) for found in kept] == [
        ("leak", "sales"),
        ("special-code", "late"),
    ]
    assert kept[0]["reason"] == "known before the decision"
    assert "Suspicion lifted (leak): sales. known before the decision" in ran.stdout


def test_special_codes_that_the_spec_maps_and_filled_gaps_are_learned_from(desk: Desk) -> None:
    spoil, _, _ = REFUSED["special codes"]
    mapped = SPEC.replace(
        'sql = "late"', 'sql = "CASE WHEN late = 98 THEN 0 ELSE coalesce(late, 0) END"'
    )
    mapped = mapped.replace('sql = "sales"', 'sql = "coalesce(sales, 1.0)"')
    desk.write(holes_everywhere(spoil(houses(600))), mapped)
    assert desk.protect().exit_code == 0
    ran = desk.train("--vintage", "month")
    assert ran.exit_code == 0, ran.output
    # Six hundred rows do not leave 200 customers on both sides with twenty of either outcome.
    assert "Version 1" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--observed-at", "known_on"], "--observed-at needs --cutoff"),
        (["--cutoff", "2025-07-31"], "--cutoff needs --observed-at or --vintage"),
        (["--vintage", "month", "--cutoff", "July"], "YYYY-MM-DD"),
        (["--allow", "leak"], "KIND:NAME=REASON"),
        (["--allow", "leak:nothing=because"], "names nothing that the feature spec"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_usage_error(
    desk: Desk, arguments: list[str], says: str
) -> None:
    desk.write(houses(300))
    assert desk.protect().exit_code == 0
    ran = desk.train(*arguments)
    assert ran.exit_code == 2
    assert says in said(ran)


def test_a_policy_of_another_currency_is_refused(desk: Desk) -> None:
    desk.write(houses(300))
    assert desk.protect().exit_code == 0
    (desk.place / "policy.toml").write_text(policies.packaged("uci_demo"), encoding="utf-8")
    ran = desk.train()
    assert ran.exit_code == 10
    assert "counts in CNY, the policy uci-demo in TWD" in said(ran)
