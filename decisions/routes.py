"""Routes: where a notice goes, by Apprise or to a file or terminal, and which a user configured.

Apprise knows more than a hundred messengers and gateways; this is its one door. What it can do
beside delivering is switched off, and nothing is logged while it works: an address holds passwords
and tokens. What failed is named by its route alone.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from governance import durable
from governance.declaration import Declaration
from governance.errors import KeyringError, UsageError
from governance.settings import Settings

EVERY_CHANNEL = frozenset({"sms", "app"})
FROM_ENVIRONMENT = "env:"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TAKEN = frozenset({"console", "file"})
# No keys, pictures, caches or templates of Apprise's own, and no redirects to another host.
_PLAIN: dict[str, Any] = {
    "app_id": "Limitline",
    **dict.fromkeys(("app_desc", "app_url"), ""),
    **dict.fromkeys(("image_url_mask", "image_url_logo", "image_path_mask")),
    **dict.fromkeys(("http_redirects", "allow_templates", "interpret_escapes"), False),
    **dict.fromkeys(("interpret_emojis", "pem_autogen", "pgp_autogen", "async_mode"), False),
    "storage_mode": "memory",
    "secure_logging": True,
}


class Route(Protocol):
    """One way to deliver a text.

    A route may be handed the same key twice, after a crash between delivery and note; whoever can
    tell keys apart should drop the second. The outbox remembers by `name` what a route has taken.
    """

    @property
    def name(self) -> str:
        """What people call it; never an address, for addresses hold secrets."""

    @property
    def channels(self) -> frozenset[str]:
        """The channels whose texts it takes: sms, app or both."""

    def deliver(self, key: str, channel: str, text: str) -> None:
        """Deliver `text`, or raise `DeliveryFailed`."""


class DeliveryFailed(Exception):
    """The route could not deliver now; the outbox tries again later.

    The message is kept and shown: it holds no address and no text.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Say the text on a terminal, for a look at what would be sent."""

    say: Callable[[str], None]
    name: str = "console"
    channels: frozenset[str] = EVERY_CHANNEL

    def deliver(self, key: str, channel: str, text: str) -> None:  # noqa: ARG002  (a screen keeps no keys)
        """Say the text."""
        self.say(f"[{channel}] {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Append one JSON line per text to a file that another system picks up."""

    path: Path
    name: str = "file"
    channels: frozenset[str] = EVERY_CHANNEL

    def deliver(self, key: str, channel: str, text: str) -> None:
        """Append and flush to disk, the whole line or nothing of it."""
        durable.make_folder(self.path.parent)
        said = json.dumps({"key": key, "channel": channel, "text": text}, ensure_ascii=False)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            raise DeliveryFailed("the file cannot be opened") from None
        try:
            _append(descriptor, said.encode() + b"\n")
        finally:
            os.close(descriptor)


def _append(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    # A kill may have left half a line; the next one must not become part of it.
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    try:
        is_whole = os.write(descriptor, line) == len(line)
        os.fsync(descriptor)
    except OSError:
        is_whole = False
    if not is_whole:
        os.ftruncate(descriptor, size)
        raise DeliveryFailed("the file cannot be written; is the disk full?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Messenger:
    """One Apprise address as a route; the key travels as the title, the text as the body."""

    name: str
    channels: frozenset[str]
    _apprise: Any

    @classmethod
    def of(cls, name: str, address: str, *, channels: frozenset[str] = EVERY_CHANNEL) -> Messenger:
        """Read an Apprise address such as ``json://user:password@127.0.0.1:8080/notices``.

        Raises
        ------
        UsageError
            If Apprise cannot read it; the message names the route and not the address.
        """
        from apprise import Apprise, AppriseAsset

        held = Apprise(asset=AppriseAsset(**_PLAIN))
        with _in_silence():
            # One at a time: Apprise takes a list in one text, and one route has one state.
            is_read = not any(mark in address for mark in "\r\n") and held.add(address)
        if not is_read or len(held) != 1:
            raise UsageError(
                f"The route {name} is no Apprise address, or not one alone. Write one address, "
                "such as json://host:port/path; the address itself is not repeated here."
            )
        return cls(name=name, channels=channels, _apprise=held)

    def deliver(self, key: str, channel: str, text: str) -> None:  # noqa: ARG002  (the outbox chose by channel)
        """Deliver, or say that this route did not take the text.

        A text that the messenger would cut is not sent at all: half a reason is a wrong reason.
        """
        longest = int(getattr(self._apprise[0], "body_maxlen", 0) or 0)
        if longest and len(key) + len(text) + 2 > longest:
            raise DeliveryFailed(f"the text is longer than the {longest} signs this route takes")
        with _in_silence():
            is_taken = self._apprise.notify(body=text, title=key, body_format="text")
        if not is_taken:
            raise DeliveryFailed("the messenger did not take it")

    def __repr__(self) -> str:
        """Say the name; the address stays unsaid."""
        return f"Messenger(name={self.name!r})"


@contextmanager
def _in_silence() -> Iterator[None]:
    """Let no library log or warn: at debug level they write addresses and texts."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class DeclaredRoute(BaseModel):
    """One configured route; its address is an Apprise address, or ``env:NAME`` of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: str = Field(repr=False)
    channels: frozenset[Literal["sms", "app"]] = frozenset({"sms", "app"})


class Routes(Declaration):
    """The routes of a home: ``routes.toml``, readable by its owner alone."""

    called: ClassVar[str] = "list of routes"

    schema_: Literal["routes/1"] = Field(alias="schema")
    routes: tuple[DeclaredRoute, ...]


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
    return [
        Messenger.of(item.name, _address(item), channels=frozenset(item.channels))
        for item in declared
    ]


def _declared(text: str) -> DeclaredRoute:
    name, mark, address = text.partition("=")
    if not mark or not address or "://" in name:
        # The text is not repeated: it may be an address with a password.
        raise UsageError("A route is written NAME=ADDRESS, such as gateway=env:GATEWAY_ADDRESS.")
    return DeclaredRoute(name=name, address=address)


def _of_home(path: Path) -> list[DeclaredRoute]:
    if not path.exists():
        return []
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyringError(f"The list of routes {path} is open to others. Run `chmod 600` on it.")
    return list(Routes.load(path).routes)


def _address(item: DeclaredRoute) -> str:
    if not item.address.startswith(FROM_ENVIRONMENT):
        return item.address
    found = os.environ.get(item.address.removeprefix(FROM_ENVIRONMENT), "")
    if not found:
        raise UsageError(f"The route {item.name} reads a variable that is not set.")
    return found
