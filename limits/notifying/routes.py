"""Routes: where a notice goes. Another messenger is another small class with one method."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from governance import durable


class Route(Protocol):
    """One way to deliver a text.

    A route may be handed the same key twice, after a crash between delivery and note; whoever can
    tell keys apart should drop the second.
    """

    def deliver(self, key: str, channel: str, text: str) -> None:
        """Deliver `text`, or raise `DeliveryFailed`."""


class DeliveryFailed(Exception):
    """The route could not deliver now; the outbox tries again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Say the text on a terminal, for a look at what would be sent."""

    say: Callable[[str], None]

    def deliver(self, key: str, channel: str, text: str) -> None:  # noqa: ARG002  (a screen keeps no keys)
        """Say the text."""
        self.say(f"[{channel}] {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Append one JSON line per text to a file that another system picks up."""

    path: Path

    def deliver(self, key: str, channel: str, text: str) -> None:
        """Append and flush to disk."""
        durable.make_folder(self.path.parent)
        line = json.dumps({"key": key, "channel": channel, "text": text}, ensure_ascii=False)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            raise DeliveryFailed("the file cannot be opened") from None
        try:
            os.write(descriptor, (line + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
