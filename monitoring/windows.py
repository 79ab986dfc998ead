"""Windows: what is watched, from when on it is judged, how it is cut, and what calls the watch."""

from __future__ import annotations

import importlib.resources
import itertools
import shlex
import sys
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import available_timezones

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from decisions import sql
from governance.declaration import Declaration
from governance.errors import ContractError, UsageError
from governance.evidence import Severity
from governance.settings import HOME_VARIABLE, Settings

PACKAGED = "uci_monthly"
# Longer commands are refused by crontab (MAX_COMMAND of Vixie's and cronie's cron).
_LONGEST_CRON_LINE = 998


class Window(BaseModel):
    """One period of one table, as a view of it.

    Parameters
    ----------
    columns : mapping of str to str
        Name to ANSI SQL expression over the released columns.
    compared_with : str
        Name of an earlier window that it is compared with; if left out, the one before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    later_fields: ClassVar[frozenset[str]] = frozenset({"compared_with"})

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    title: str
    title_zh: str = ""
    ends_on: date
    columns: Mapping[str, str] = Field(min_length=1)
    compared_with: str = ""

    def view(self, source: sql.Source) -> pa.Table:
        """Cut the window out of a table or a stream of released columns."""
        chosen = ", ".join(f"{text} AS {sql.quoted(name)}" for name, text in self.columns.items())
        return sql.run(f"SELECT {chosen} FROM source", source=source)  # noqa: S608  (reviewed plans, locked engine)


class WatchPlan(Declaration):
    """What is watched every month, and what is only shown.

    Parameters
    ----------
    grace_days : int
        Days after a window's end before it is judged, for late data.
    performance_days : int
        Days after a decision until its outcome has matured.
    outcome_observed_at : str
        Released column of the days on which the outcomes were observed; if left out, all were as of
        the day on which the table's data were acquired.
    longest_gap_days : int
        A window that ends more days after the one before was skipped, and says with which earlier
        one it is compared.
    time_zone : str
        Whose day it is when nobody names one, such as ``Asia/Shanghai``.
    judged : tuple of str
        Columns whose drift has a verdict; the others are shown.
    severities : mapping of str to Severity
        Start of a measure's name to how grave its breach is.
    caveats : tuple of str
        What a reader of judged decisions has to know; printed on their page.
    """

    called: ClassVar[str] = "watch plan"
    later_fields: ClassVar[frozenset[str]] = frozenset(
        {"outcome_observed_at", "longest_gap_days", "time_zone"}
    )

    schema_: Literal["watch-plan/1"] = Field(alias="schema")
    id: str
    version: str
    title: str
    contract: str
    appetite: str
    owner: str = Field(min_length=1)
    grace_days: int = Field(ge=0)
    performance_days: int = Field(ge=1)
    outcome_observed_at: str = ""
    longest_gap_days: int = Field(default=45, ge=1)
    time_zone: str = "UTC"
    tolerance: float = Field(ge=0)
    judged: tuple[str, ...]
    severities: Mapping[str, Severity]
    caveats: tuple[str, ...] = ()
    windows: tuple[Window, ...] = Field(min_length=1)

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        # Each machine gives these two a meaning of its own: one plan would have several days.
        if name not in available_timezones() - {"localtime", "Factory"}:
            raise ValueError("time_zone is no name of the time-zone database")
        return name

    @model_validator(mode="after")
    def _is_ordered(self) -> WatchPlan:
        known: list[str] = []
        for before, window in itertools.pairwise((None, *self.windows)):
            if window is None:
                continue
            if window.name in known:
                raise ValueError(f"window {window.name} is named twice")
            if before is not None and window.ends_on <= before.ends_on:
                raise ValueError(f"window {window.name} does not end after {before.name}")
            if window.compared_with and window.compared_with not in known:
                raise ValueError(
                    f"window {window.name} is compared with {window.compared_with}, which is no "
                    "earlier window"
                )
            if before is not None and not window.compared_with:
                self._refuse_a_gap(before, window)
            known.append(window.name)
        names = {name for window in self.windows for name in window.columns}
        unknown = sorted(set(self.judged) - names)
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is judged but in no window")
        return self

    def _refuse_a_gap(self, before: Window, window: Window) -> None:
        days = (window.ends_on - before.ends_on).days
        if days > self.longest_gap_days:
            raise ValueError(
                f"window {window.name} ends {days} days after {before.name}, and "
                f"{self.longest_gap_days} are the longest gap: add the window between, or say "
                "compared_with"
            )

    def due_on(self, window: Window) -> date:
        """Return the first day on which a window is judged."""
        return window.ends_on + timedelta(days=self.grace_days)

    def matured_on(self, decided_on: date) -> date:
        """Return the first day on which the outcomes of a day's decisions are known."""
        return decided_on + timedelta(days=self.performance_days)

    def before(self, window: Window) -> Window | None:
        """Return the window that a window is compared with, or None for the first one."""
        if window.compared_with:
            return next(one for one in self.windows if one.name == window.compared_with)
        place = self.windows.index(window)
        return self.windows[place - 1] if place else None

    def severity(self, measure: str) -> Severity:
        """Return how grave a breach of `measure` is; what the plan does not name is medium."""
        for start, severity in self.severities.items():
            if measure.startswith(start):
                return severity
        return Severity.MEDIUM


def read_plan(path: Path | None) -> WatchPlan:
    """Read a plan file, or the packaged one.

    Raises
    ------
    ContractError
        If there is no such file or it is no plan.
    """
    if path is not None:
        return WatchPlan.load(path)
    packaged = importlib.resources.files("monitoring") / "plans" / f"{PACKAGED}.toml"
    if not packaged.is_file():
        raise ContractError(f"No watch plan named {PACKAGED} ships with Limitline.")
    return WatchPlan.parse(packaged.read_text(encoding="utf-8"))


def schedule(settings: Settings, *, plan: Path | None = None, time_zone: str = "UTC") -> str:
    """Return a cron line and a systemd timer that run the watch every morning.

    Every day is right for a monthly watch: a tick without a due window costs little, and late data
    are picked up the next morning.

    Parameters
    ----------
    plan : Path, optional
        The plan that the watch runs with; the demonstration's if left out.
    time_zone : str
        Where it is a quarter past six in the morning, for systemd; cron knows its machine's only.

    Raises
    ------
    UsageError
        If a path holds a line break, another control character or bytes that are no UTF-8: cron
        and systemd read lines of text.
    """
    arguments = [sys.executable, "-P", "-m", "limitline", "watch"]
    arguments += [] if plan is None else ["--plan", str(plan.absolute())]
    home = str(settings.home)
    for path in (home, *arguments):
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
            raise UsageError(
                "A path of the schedule holds a line break, a control character or bytes that are "
                "no UTF-8; cron and systemd cannot run it. Rename or link the folder."
            )
    cron = f"{HOME_VARIABLE}={_for_cron(home)} {' '.join(map(_for_cron, arguments))}"
    if len(cron.encode()) > _LONGEST_CRON_LINE:
        raise UsageError("The paths are too long for a line of crontab; link the folder shorter.")
    # With the colon systemd expands no variable in the command; in Environment it never does.
    command = ":" + " ".join(map(_for_systemd, arguments))
    return (
        f"# cron: crontab -e, then\n"
        f"15 6 * * * {cron}\n\n"
        f"# systemd: ~/.config/systemd/user/limitline-watch.service\n"
        f"[Unit]\nDescription=Limitline watch\n[Service]\nType=oneshot\n"
        f"Environment={_for_systemd(f'{HOME_VARIABLE}={home}')}\n"
        f"ExecStart={command}\n\n"
        f"# systemd: ~/.config/systemd/user/limitline-watch.timer; Persistent catches up after\n"
        f"# the machine was off\n"
        f"[Timer]\nOnCalendar=*-*-* 06:15 {time_zone}\nPersistent=true\n"
        f"[Install]\nWantedBy=timers.target\n"
    )


def _for_cron(word: str) -> str:
    r"""Quote a word for the shell, and its percent signs for cron.

    Cron ends a command at a percent sign that no backslash stands before, and takes that backslash
    away (crontab(5)). Some crons halve double backslashes too, so each is followed by an empty
    quotation: no backslash of the path ever stands before a percent sign or another backslash.
    """
    return shlex.quote(word).replace("\\", "\\''").replace("%", "\\%")


def _for_systemd(word: str) -> str:
    """Quote a word for a unit file: C escapes in double quotes, percent signs doubled.

    See systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers".
    """
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
