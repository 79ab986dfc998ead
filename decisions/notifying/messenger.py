"""The door to Apprise: one address of the user's becomes a route.

Apprise knows more than a hundred messengers and gateways. What it can do beside delivering is
switched off here: no redirects to another host, no templates or emoji in the text, no keys made on
disk, no cache on disk, no plug-ins from files. An address holds passwords and tokens, and a library
below may log it, so nothing is logged while Apprise works; what failed is said by name alone.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyFormat

from decisions.notifying.routes import EVERY_CHANNEL, DeliveryFailed
from governance.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Messenger:
    """One Apprise address as a route; the key travels as the title, the text as the body."""

    name: str
    channels: frozenset[str]
    _service: Any
    _apprise: Apprise

    @classmethod
    def of(cls, name: str, address: str, *, channels: frozenset[str] = EVERY_CHANNEL) -> Messenger:
        """Read an Apprise address such as ``json://user:password@127.0.0.1:8080/notices``.

        Raises
        ------
        UsageError
            If Apprise cannot read it; the message names the route and not the address.
        """
        held = Apprise(asset=_asset())
        with _in_silence():
            # One at a time: Apprise takes a list in one text, and one route has one state.
            is_read = not any(mark in address for mark in "\r\n") and held.add(address)
        if not is_read or len(held) != 1:
            raise UsageError(
                f"The route {name} is no Apprise address, or not one alone. Write one address, "
                "such as json://host:port/path; the address itself is not repeated here."
            )
        return cls(name=name, channels=channels, _service=held[0], _apprise=held)

    def deliver(self, key: str, channel: str, text: str) -> None:  # noqa: ARG002  (the outbox chose by channel)
        """Deliver, or say that this route did not take the text.

        A text that the messenger would cut is not sent at all: half a reason is a wrong reason.
        """
        longest = int(getattr(self._service, "body_maxlen", 0) or 0)
        if longest and len(key) + len(text) + 2 > longest:
            raise DeliveryFailed(f"the text is longer than the {longest} signs this route takes")
        with _in_silence():
            is_taken = self._apprise.notify(body=text, title=key, body_format=NotifyFormat.TEXT)
        if not is_taken:
            raise DeliveryFailed("the messenger did not take it")

    def __repr__(self) -> str:
        """Say the name; the address stays unsaid."""
        return f"Messenger(name={self.name!r})"


def _asset() -> AppriseAsset:
    return AppriseAsset(
        app_id="Limitline",
        app_desc="",
        app_url="",
        # The default pictures are links to the project's page, which a reader's client would open.
        image_url_mask=None,
        image_url_logo=None,
        image_path_mask=None,
        http_redirects=False,
        allow_templates=False,
        interpret_escapes=False,
        interpret_emojis=False,
        pem_autogen=False,
        pgp_autogen=False,
        storage_mode="memory",
        secure_logging=True,
        async_mode=False,
    )


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
