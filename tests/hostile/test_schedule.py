"""The watch runs whatever the paths are called, on the day that it is where people live."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from decisions.raise_stops import find_stops
from governance import command
from governance.errors import ContractError, UsageError
from governance.settings import Settings
from limitline.commands import app
from monitoring.watch import rows_digest
from monitoring.windows import WatchPlan, schedule
from registry.findings import record_heartbeat
from tests.decisions.test_raise_stops import DAY, POLICY, PROMOTED
from tests.monitoring.test_windows import PLAN

if TYPE_CHECKING:
    from tests.conftest import World

HOMES = [
    "/srv/limitline",
    "/srv/a home",
    "/srv/50%",
    "/srv/%h and %d",
    '/srv/it\'s "quoted"',
    "/srv/back\\slash",
    "/srv/two\\\\slashes\\",
    "/srv/back\\%percent\\\\%",
    "/srv/$HOME ${x} `id` $(id)",
    "/srv/额度 监测\u3000",
    "/srv/# no comment; && true | * ? [a] {b} ~ !",
    "/srv/tab is refused, this is not: \u00a0",
]
NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1, max_size=40
)


def _cron_command(line: str, *, halves_backslashes: bool) -> str:
    """Read a crontab line as cron does: five fields, then a command up to a bare percent sign.

    crontab(5): a percent sign that no backslash stands before ends the command, and the backslash
    before one that has it is taken away. In Vixie's older cron a doubled backslash is halved too;
    a backslash that was itself escaped escapes nothing.
    """
    fields = re.match(r"(?:\S+[ \t]+){5}", line)
    assert fields is not None
    found: list[str] = []
    is_escaped = False
    for letter in line[fields.end() :]:
        if is_escaped:
            if letter == "%" or (letter == "\\" and halves_backslashes):
                found.pop()
            is_escaped = False
        elif letter == "\\":
            is_escaped = True
        elif letter == "%":
            break
        found.append(letter)
    return "".join(found)


def _systemd_words(value: str) -> list[str]:
    """Read a unit's value as systemd does: quotes, C escapes, then %% for one percent sign.

    systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers": another letter after a percent sign
    would be expanded or refused.
    """
    words, position = [], 0
    pattern = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"\\]+))(?=\s|$)')
    while position < len(value):
        match = pattern.match(value, position)
        assert match is not None, value[position:]
        words.append(match.group(1) if match.group(1) is not None else match.group(2))
        position = match.end()
    unescaped = [re.sub(r"\\(.)", lambda found: found.group(1), word) for word in words]
    assert all(not re.search(r"(?<!%)(%%)*%(?!%)", word) for word in unescaped)
    return [word.replace("%%", "%") for word in unescaped]


def _lines(home: str, plan: Path | None = None) -> dict[str, str]:
    text = schedule(Settings(home=Path(home)), plan=plan, time_zone="Asia/Shanghai")
    found = {"cron": next(line for line in text.split("\n") if line.startswith("15 6 "))}
    for line in text.split("\n"):
        name, _, value = line.partition("=")
        if name in ("Environment", "ExecStart", "OnCalendar"):
            found[name] = value
    return found


def _run_by_cron(line: str, *, halves_backslashes: bool) -> dict[str, object]:
    """Run the command of a cron line in a real shell, with Python asked for what it was given."""
    told = _cron_command(line, halves_backslashes=halves_backslashes)
    assert told.count(" -P -m limitline watch") == 1
    script = "import json, os, sys; print(json.dumps([os.environ['LIMITLINE_HOME'], sys.argv[1:]]))"
    asked = told.replace(" -P -m limitline watch", f' -I -c "{script}"')
    done = subprocess.run(
        ["/bin/sh", "-c", asked], capture_output=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    home, arguments = json.loads(done.stdout)
    return {"home": home, "arguments": arguments}


@pytest.mark.parametrize("halves_backslashes", [True, False])
@pytest.mark.parametrize("home", HOMES)
def test_cron_gives_the_watch_its_home(home: str, *, halves_backslashes: bool) -> None:
    plan = Path(home) / "my %d plan.toml"
    line = _lines(home, plan)["cron"]
    told = _run_by_cron(line, halves_backslashes=halves_backslashes)
    assert told == {"home": str(Path(home)), "arguments": ["--plan", str(plan)]}


@pytest.mark.parametrize("home", HOMES)
def test_systemd_gives_the_watch_its_home(home: str) -> None:
    lines = _lines(home, Path(home) / "plan.toml")
    assert _systemd_words(lines["Environment"]) == [f"LIMITLINE_HOME={Path(home)}"]
    # With the colon, systemd.service(5) expands no variable: a dollar sign stays one.
    assert lines["ExecStart"].startswith(":")
    words = _systemd_words(lines["ExecStart"][1:])
    assert words == [
        sys.executable, "-P", "-m", "limitline", "watch", "--plan", str(Path(home) / "plan.toml")
    ]  # fmt: skip
    assert lines["OnCalendar"] == "*-*-* 06:15 Asia/Shanghai"


@given(NAMES)
def test_whatever_a_folder_is_called_both_find_it(name: str) -> None:
    lines = _lines(f"/srv/{name}")
    home = str(Path(f"/srv/{name}"))
    for halves in (True, False):
        told = _cron_command(lines["cron"], halves_backslashes=halves)
        done = subprocess.run(
            [
                "/bin/sh",
                "-c",
                f"{told.split(shlex.quote(sys.executable))[0]} printenv LIMITLINE_HOME",
            ],
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode() == f"{home}\n"
    assert _systemd_words(lines["Environment"]) == [f"LIMITLINE_HOME={home}"]


@pytest.mark.parametrize("home", ["/srv/two\nlines", "/srv/return\r", "/srv/a\tb", "/srv/\udcff"])
def test_a_path_that_is_no_line_of_text_is_refused(home: str) -> None:
    with pytest.raises(UsageError, match="line break, a control character"):
        schedule(Settings(home=Path(home)))


@pytest.mark.parametrize(("start", "letter"), [("/", "x"), ("/%", "额")])
def test_a_command_of_998_bytes_is_the_longest_that_crontab_takes(start: str, letter: str) -> None:
    """MAX_COMMAND of Vixie's and cronie's cron; it counts bytes, of which Chinese has three."""

    def command_of(home: str) -> bytes:
        return _lines(home)["cron"].removeprefix("15 6 * * * ").encode()

    many, rest = divmod(998 - len(command_of(start + letter)), len(letter.encode()))
    longest = start + "x" * rest + letter * (many + 1)
    assert len(command_of(longest)) == 998
    with pytest.raises(UsageError, match="too long for a line of crontab"):
        command_of(longest + "x")


def test_today_is_the_plans_day_and_not_greenwichs() -> None:
    """Noon in Greenwich is tomorrow on one side of the date line, or yesterday on the other."""
    places = ("Pacific/Kiritimati", "Etc/GMT+12", "Asia/Shanghai")
    before = [datetime.now(ZoneInfo(place)).date() for place in places]
    found = [command.parse_day("", time_zone=place) for place in places]
    after = [datetime.now(ZoneInfo(place)).date() for place in places]
    assert found in (before, after)
    assert found[0] > found[1]
    assert command.parse_day("") in {datetime.now(UTC).date(), found[1], found[0]}


@pytest.mark.parametrize(
    "place",
    ["Asia/Peiping2", "localtime", "Factory", "posixrules", "right/Asia/Shanghai", "../UTC"],
)
def test_a_plan_in_a_place_that_does_not_exist_is_refused(place: str) -> None:
    """Nor one that means another place on each machine."""
    with pytest.raises(ContractError, match="no name of the time-zone database"):
        WatchPlan.parse(PLAN.replace('owner = "o"', f'owner = "o"\ntime_zone = "{place}"'))


def test_a_plan_that_skips_a_month_says_what_it_compares_with() -> None:
    skipped = PLAN.replace("ends_on = 2005-05-31", "ends_on = 2005-06-30")
    with pytest.raises(ContractError, match="second ends 61 days after first"):
        WatchPlan.parse(skipped)
    told = skipped.replace('title = "Second"', 'title = "Second"\ncompared_with = "first"')
    plan = WatchPlan.parse(told)
    assert plan.before(plan.windows[1]) is plan.windows[0]
    with pytest.raises(ContractError, match="compared with second, which is no earlier window"):
        WatchPlan.parse(told.replace('compared_with = "first"', 'compared_with = "second"'))


@pytest.mark.parametrize(("days", "is_refused"), [(31, False), (30, True)])
def test_the_longest_gap_is_no_gap(days: int, *, is_refused: bool) -> None:
    text = PLAN.replace('owner = "o"', f'owner = "o"\nlongest_gap_days = {days}')
    if is_refused:
        with pytest.raises(ContractError, match="31 days after first"):
            WatchPlan.parse(text)
    else:
        assert WatchPlan.parse(text).longest_gap_days == days


def test_the_digest_of_rows_ignores_their_order_and_nothing_else() -> None:
    table = pa.table({"a": ["ab", "a", None], "b": [1.5, None, -0.0], "c": [b"\x00", b"x", None]})
    digest = rows_digest(table)
    assert rows_digest(table.take([2, 0, 1])) == digest
    for other in (
        table.slice(0, 2),
        pa.concat_tables([table, table.slice(0, 1)]),
        table.set_column(0, "a", [["ab", "a", ""]]),
        table.set_column(0, "a", [["a", "ab", None]]),
        table.set_column(1, "b", [[1.5, 0.0, -0.0]]),
        table.rename_columns(["b", "a", "c"]),
    ):
        assert rows_digest(other) != digest
    assert rows_digest(pa.table({"a": ["ab", "c"]})) != rows_digest(pa.table({"a": ["a", "bc"]}))


@pytest.mark.parametrize("verb", [["watch"], ["watch", "--acknowledge"]])
def test_nobody_watches_on_a_day_that_has_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    today = datetime.now(ZoneInfo("Asia/Taipei")).date()
    done = CliRunner().invoke(app, [*verb, "--on", str(today + timedelta(days=1))])
    assert done.exit_code == UsageError.exit_code
    assert "Nobody can watch on" in done.output
    assert "in Asia/Taipei" in done.output
    assert not list((tmp_path / "home").rglob("*"))
    # The day that it is there can be watched, once something was protected.
    done = CliRunner().invoke(
        app, [*verb, "--on", str(datetime.now(ZoneInfo("Asia/Taipei")).date())]
    )
    assert "Nobody can watch" not in done.output


def test_a_beat_from_the_future_is_no_sign_of_life_today(own_world: World) -> None:
    here, late = own_world.settings, PROMOTED + 46 * DAY
    record_heartbeat(here, "watch", on=date(2099, 1, 1), facts={})
    assert find_stops(here, POLICY, late).reasons == (
        "monitoring has been silent for 46 days; 45 are allowed",
    )
    record_heartbeat(here, "watch", on=late, facts={})
    assert find_stops(here, POLICY, late).reasons == ()
    record_heartbeat(here, "watch", on=late + DAY, facts={})
    assert find_stops(here, POLICY, late).reasons == ()


def test_the_longest_line_that_crontab_takes_is_given() -> None:
    short = len(_lines("/" + "x" * 100)["cron"].removeprefix("15 6 * * * "))
    room = 998 - short + 100
    assert len(_lines("/" + "x" * room)["cron"].removeprefix("15 6 * * * ")) == 998
    with pytest.raises(UsageError, match="too long for a line of crontab"):
        schedule(Settings(home=Path("/" + "x" * (room + 1))))
