"""Bad input ends in an error with a name or before a person, and never in a silent limit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from decisions import policy_cases as cases
from decisions.policy import LimitPolicy, packaged
from governance.errors import ContractError, EnvironmentFault
from governance.table import PlainFile
from limitline.commands import app

TEXT = packaged("consumer_sme")
POLICY = LimitPolicy.parse(TEXT)
DAY = "2026-04-01"
CAP = 'segment = "sole_trader"\ncap_minor = 50_000_000\neffective_from = 2026-01-01'


def mutated(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def with_row(kind: str, amount: str) -> str:
    """The policy with one more dated row, which begins while another still holds."""
    row = f'[[{kind}]]\n{amount}\neffective_from = 2026-06-01\nkind = "house"\nsource = "test"'
    return f"{TEXT}\n{row}\n"


POLICIES = {
    "a matrix that is not monotone": (
        mutated("C = [1.00, 1.10, 1.10, 1.00]", "C = [1.00, 1.40, 1.10, 1.00]"),
        "band C is worse than B but gets a larger multiplier",
    ),
    "an unknown key": (mutated("[step]", "[step]\nsurprise = 1"), "surprise"),
    "a cap without a date": (
        mutated(CAP, CAP.partition("\neffective")[0]),
        "effective_from",
    ),
    "overlapping caps": (
        with_row("caps", 'segment = "sole_trader"\ncap_minor = 1'),
        "hold on the same day",
    ),
    "gapped caps": (
        mutated(CAP, CAP + "\neffective_to = 2026-05-30")
        + '\n[[caps]]\nsegment = "sole_trader"\ncap_minor = 1_000\neffective_from = 2026-06-01\n'
        'kind = "house"\nsource = "test"\n',
        "days without a row",
    ),
    "overlapping ceilings": (with_row("ceilings", "ceiling_minor = 1"), "hold on the same day"),
    "a season longer than its expiry": (
        mutated("expires_on = 2026-03-20", "expires_on = 2026-02-20"),
        "Spring Festival 2026 is longer than its expiry",
    ),
}


def decide(
    folder: Path, rows: list[dict[str, Any]], *more: str, policy: str = TEXT, day: str = DAY
) -> Any:
    (folder / "policy.toml").write_text(policy, encoding="utf-8")
    names = pa.schema([*cases.schema(POLICY), ("account", pa.string()), ("currency", pa.string())])
    told = [{"account": f"a{place}", "currency": "CNY"} | row for place, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(told, names), folder / "book.parquet")
    arguments = ["decide", "--policy", str(folder / "policy.toml"), "--as-of", day, "--json"]
    arguments += ["--input", str(folder / "book.parquet"), "--output", str(folder / "out.parquet")]
    return CliRunner().invoke(app, [*arguments, *more])


def plain(**changed: Any) -> dict[str, Any]:
    return cases.plain(POLICY) | {"arm": "policy", "assignment": 0} | changed


def test_the_plain_customer_is_decided_by_the_machine(tmp_path: Path) -> None:
    done = decide(tmp_path, [plain()])
    assert done.exit_code == 0, done.output
    assert pq.read_table(tmp_path / "out.parquet")["action"].to_pylist() == ["raise"]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("verb", ["decide", "check"])
def test_a_policy_that_cannot_be_meant_is_refused_by_every_verb(
    tmp_path: Path, name: str, verb: str
) -> None:
    text, said = POLICIES[name]
    done = decide(tmp_path, [plain()], policy=text)
    if verb == "check":
        checked = ["policy", "check", str(tmp_path / "policy.toml"), "--inputs", "100"]
        done = CliRunner().invoke(app, checked)
    assert done.exit_code == 10, done.output
    assert said in done.output
    assert not (tmp_path / "out.parquet").exists()


NAN, HUGE = math.nan, 10**17
ROUTED = {
    "a missing income": {"income_minor": None},
    "a negative income": {"income_minor": -1},
    "an absurd income": {"income_minor": HUGE},
    "a missing debt service": {"debt_service_minor": None},
    "a probability that is not a number": {"default_probability": NAN},
    "a missing probability": {"default_probability": None},
    "a probability above one": {"default_probability": 1.5},
    "a negative probability": {"default_probability": -0.1},
    "an infinite probability": {"default_probability": math.inf},
    "a missing limit": {"current_limit_minor": None},
    "a negative limit": {"current_limit_minor": -1},
    "a negative balance": {"balance_minor": -1},
    "a utilization that is not a number": {"utilization": NAN},
    "a previous band that there is not": {"previous_band": "Z"},
}


@pytest.mark.parametrize("name", ROUTED)
def test_a_row_that_cannot_be_judged_goes_to_a_person_and_its_limit_stays(
    tmp_path: Path, name: str
) -> None:
    done = decide(tmp_path, [plain(**ROUTED[name]), plain()])
    assert done.exit_code == 0, done.output
    bad, good = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (bad["action"], good["action"]) == ("review", "raise")
    assert bad["limit_after_minor"] == max(bad["current_limit_minor"] or 0, 0)
    assert bad["temporary_uplift_minor"] == 0


TABLES = {
    "a customer twice": ([plain(account="a"), plain(account="a")], "appear more than once"),
    "a customer in two segments": (
        [plain(account="a"), plain(account="a", segment="sole_trader", product=None)],
        "in two segments",
    ),
    "a row without a customer": ([plain(account="a"), plain(account=None)], "have no customer"),
    "two currencies": ([plain(), plain(currency="USD")], "another currency than CNY"),
    "a row without a currency": ([plain(), plain(currency=None)], "another currency than CNY"),
    "an unknown segment": ([plain(segment="secret-7")], "cap"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_meant_is_refused_and_no_value_is_repeated(
    tmp_path: Path, name: str
) -> None:
    rows, said = TABLES[name]
    done = decide(tmp_path, rows, "--customer", "account")
    assert done.exit_code == 10, done.output
    assert said in done.output
    assert "secret-7" not in done.output
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("income_minor", pa.array(["secret-7"])),
        ("income_minor", pa.array([777.77])),
        ("income_minor", pa.array([True])),
        ("default_probability", pa.array([True])),
        ("months_delinquent", pa.array([0], pa.date32())),
        ("current_limit_minor", pa.array([2**63], pa.uint64())),
        ("has_consent", pa.array(["secret-7"])),
    ],
)
def test_a_column_of_another_type_is_refused_by_name_and_no_value_is_repeated(
    tmp_path: Path, column: str, value: pa.Array
) -> None:
    """A flag read as a probability would be 0 or 1, and a day read as months thousands of them."""
    names = pa.schema([*cases.schema(POLICY), ("account", pa.string()), ("currency", pa.string())])
    book = pa.Table.from_pylist([plain(account="a", currency="CNY")], names)
    book = book.set_column(book.column_names.index(column), column, value)
    pq.write_table(book, tmp_path / "book.parquet")
    (tmp_path / "policy.toml").write_text(TEXT, encoding="utf-8")
    arguments = ["decide", "--policy", str(tmp_path / "policy.toml"), "--as-of", DAY]
    arguments += ["--input", str(tmp_path / "book.parquet")]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out.parquet")])
    assert done.exit_code == 10, done.output
    assert column in done.output
    assert "secret-7" not in done.output
    assert "777" not in done.output
    assert {item.name for item in tmp_path.iterdir()} == {"book.parquet", "policy.toml"}


@pytest.mark.parametrize("name", [*TABLES, "nothing"])
def test_an_earlier_output_is_kept_when_the_next_run_is_refused(tmp_path: Path, name: str) -> None:
    assert decide(tmp_path, [plain()]).exit_code == 0
    before = (tmp_path / "out.parquet").read_bytes()
    rows = TABLES[name][0] if name in TABLES else []
    assert decide(tmp_path, rows, "--customer", "account").exit_code == 10
    assert (tmp_path / "out.parquet").read_bytes() == before


def test_a_table_decided_by_a_file_says_that_no_gate_was_asked(tmp_path: Path) -> None:
    document = json.loads(decide(tmp_path, [plain()]).stdout)
    assert "no gate was asked" in document["not_evidenced"][0]
    arguments = ["decide", "--policy", str(tmp_path / "policy.toml"), "--as-of", DAY]
    arguments += ["--input", str(tmp_path / "book.parquet")]
    people = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out.parquet")])
    assert "no gate was asked" in " ".join(people.output.split())


def test_customers_who_cannot_be_told_apart_are_not_called_unique(tmp_path: Path) -> None:
    rows = [plain(account="a"), plain(account="a")]
    assert json.loads(decide(tmp_path, rows).stdout)["are_customers_unique"] is None
    rows[1]["account"] = "b"
    found = decide(tmp_path, rows, "--customer", "account")
    assert json.loads(found.stdout)["are_customers_unique"] is True


@pytest.mark.parametrize(
    ("day", "policy", "said"),
    [
        ("2025-12-31", TEXT, "2026-01-01"),
        ("2019-01-01", TEXT, "2026-01-01"),
        # The one cap of the plain customer has ended: no cap is no limit without a bound.
        (
            "2026-07-01",
            mutated(
                "effective_from = 2020-07-12",
                "effective_from = 2020-07-12\neffective_to = 2026-06-30",
            ),
            "cap",
        ),
    ],
)
def test_a_day_outside_the_policy_is_refused(
    tmp_path: Path, day: str, policy: str, said: str
) -> None:
    done = decide(tmp_path, [plain()], policy=policy, day=day)
    assert done.exit_code == 10, done.output
    assert said in done.output


def test_a_damaged_page_is_the_file_s_fault_and_an_unreadable_place_is_not(tmp_path: Path) -> None:
    path = tmp_path / "suggestions.parquet"
    pq.write_table(pa.table({"amount": list(range(50_000))}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(ContractError, match="cannot be read as Parquet: it is cut off"):
        PlainFile(path=path).read()
    # The memory of the process is a file that exists and does not let itself be read.
    with pytest.raises(EnvironmentFault, match="cannot be read here: Input/output error"):
        PlainFile(path=Path("/proc/self/mem")).read()
    missing = PlainFile(path=tmp_path / "missing.csv", what="history of limits")
    with pytest.raises(ContractError, match=r"There is no history of limits at .*missing\.csv"):
        missing.read()


def test_a_csv_value_of_the_wrong_type_is_refused_with_its_column_and_without_itself(
    tmp_path: Path,
) -> None:
    (tmp_path / "policy.toml").write_text(TEXT, encoding="utf-8")
    wrong = ["" if value is None else str(value) for value in plain().values()]
    header = list(plain())
    wrong[header.index("income_minor")] = "CANARY-88"
    (tmp_path / "book.csv").write_text(f"{','.join(header)}\n{','.join(wrong)}\n", encoding="utf-8")
    arguments = ["decide", "--policy", str(tmp_path / "policy.toml"), "--as-of", DAY]
    arguments += ["--output", str(tmp_path / "out.parquet"), "--input"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "book.csv")])
    assert done.exit_code == 10, done.output
    assert "The column income_minor must hold whole numbers (money in minor units)" in " ".join(
        done.output.split()
    )
    assert "CANARY" not in done.output
    # Without a header the first customer would be one, and is not repeated.
    (tmp_path / "bare.csv").write_text(f"{','.join(wrong)}\n{','.join(wrong)}\n", encoding="utf-8")
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "bare.csv")])
    assert done.exit_code == 10, done.output
    assert "CANARY" not in done.output
    assert not (tmp_path / "out.parquet").exists()
