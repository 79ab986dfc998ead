"""Schedule: the lines by which cron or systemd call the watch, whatever the paths are called."""

from __future__ import annotations

import shlex
import sys
import unicodedata
from pathlib import Path

from governance.errors import UsageError
from governance.settings import HOME_VARIABLE, Settings

# Longer commands are refused by crontab (MAX_COMMAND of Vixie's and cronie's cron).
_LONGEST_CRON_LINE = 998


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
