"""Routes: where a notice goes. Another messenger is another small class with one method."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from governance import durable

EVERY_CHANNEL = frozenset({"sms", "app"})


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
class Console:
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
            self._append(descriptor, said.encode() + b"\n")
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, line: bytes) -> None:
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
