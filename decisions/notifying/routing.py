"""Routing: which routes a user has configured, by a file in the home or on the command line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from decisions.notifying.routes import Route
from governance.declaration import Declaration
from governance.errors import KeyringError, UsageError
from governance.settings import Settings

FROM_ENVIRONMENT = "env:"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TAKEN = frozenset({"console", "file"})


class Declared(BaseModel):
    """One configured route; its address is an Apprise address, or ``env:NAME`` of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: str = Field(repr=False)
    channels: frozenset[Literal["sms", "app"]] = frozenset({"sms", "app"})


class Routes(Declaration):
    """The routes of a home: ``routes.toml``, readable by its owner alone."""

    called: ClassVar[str] = "list of routes"

    schema_: Literal["routes/1"] = Field(alias="schema")
    routes: tuple[Declared, ...]


def configured(settings: Settings, given: Sequence[str]) -> list[Route]:
    """Return the routes given as ``NAME=ADDRESS``, or else those of the home; maybe none.

    Raises
    ------
    UsageError
        If a name is badly written or used twice, a variable is not set, or an address is none.
    KeyringError
        If the file is open to others: it holds passwords.
    ContractError
        If the file breaks a rule.
    """
    declared = [_declared(text) for text in given] or _of_home(settings.home / "routes.toml")
    names = [item.name for item in declared]
    for name in names:
        if not _NAME.fullmatch(name) or name in _TAKEN or names.count(name) > 1:
            raise UsageError(
                "A route has a name of its own, written in small letters, digits and hyphens; "
                "console and file are taken."
            )
    if not declared:
        return []
    from decisions.notifying.messenger import Messenger

    return [
        Messenger.of(item.name, _address(item), channels=frozenset(item.channels))
        for item in declared
    ]


def _declared(text: str) -> Declared:
    name, mark, address = text.partition("=")
    if not mark or not address or "://" in name:
        # The text is not repeated: it may be an address with a password.
        raise UsageError("A route is written NAME=ADDRESS, such as gateway=env:GATEWAY_ADDRESS.")
    return Declared(name=name, address=address)


def _of_home(path: Path) -> list[Declared]:
    if not path.exists():
        return []
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyringError(f"The list of routes {path} is open to others. Run `chmod 600` on it.")
    return list(Routes.load(path).routes)


def _address(item: Declared) -> str:
    if not item.address.startswith(FROM_ENVIRONMENT):
        return item.address
    variable = item.address.removeprefix(FROM_ENVIRONMENT)
    found = os.environ.get(variable, "")
    if not found:
        raise UsageError(f"The route {item.name} reads a variable that is not set.")
    return found
