"""Texts to many. In the first seconds they wait, else what a script says at once would reach nobody."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail

from p2pchat.language import tr
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import ToAll, ToNamespace

#: Casts that may wait for the first links.
MAX_WAITING = 1000


@attrs.define
class Casts:
    """Holds casts back until the first links stand. The node creates and owns it, and says when.

    :param publish: sends a text; returns how many neighbours took it, or raises `ProtocolError`.
    """

    _publish: Callable[[ToNamespace | ToAll, str], int]
    #: They need not wait any more.
    is_open: bool = False
    _waiting: list[tuple[ToNamespace | ToAll, str, Deferred[int]]] = attrs.Factory(list)

    def __len__(self) -> int:
        return len(self._waiting)

    def say(self, to: ToNamespace | ToAll, payload: str) -> Deferred[int]:
        """Send a text, now or when it may; fires with the number of neighbours that took it.

        Fails with `ProtocolError`: it is too long, or too many wait already.
        """
        done: Deferred[int] = Deferred()
        if self.is_open:
            self._send(to, payload, done)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append((to, payload, done))
        else:
            detail = tr("{n} messages wait for the first link").format(n=MAX_WAITING)
            return fail(ProtocolError(ErrorCode.BUSY, detail))
        return done

    def open(self) -> None:
        """Send what waits, and from now on everything at once."""
        self.is_open = True
        waiting, self._waiting = self._waiting, []
        for to, payload, done in waiting:
            self._send(to, payload, done)

    def _send(self, to: ToNamespace | ToAll, payload: str, done: Deferred[int]) -> None:
        try:
            took = self._publish(to, payload)
        except ProtocolError as problem:
            done.errback(problem)
        else:
            done.callback(took)
