"""What supervises the process, such as systemd or a terminal: what it hears from us, and what it tells."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger


class Supervision(Service):
    """Says when we are ready and when we stop, and listens to SIGHUP. `tap.makeService` adds it last.

    :param hung_up: what SIGHUP asks for.
    :param environment: where `NOTIFY_SOCKET` is, if somebody wants to know (sd_notify(3)). The library for
        that protocol has not been kept up; it is one datagram.
    """

    _log = Logger()

    def __init__(self, reactor: Any, hung_up: Callable[[], None], environment: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._hung_up = hung_up
        self._notify_at = environment.get("NOTIFY_SOCKET", "")
        self._before: Any = signal.SIG_DFL

    def startService(self) -> None:
        """Listen to SIGHUP, and say that we are ready: what was added before us runs."""
        super().startService()
        # The handler may run in the middle of anything.
        self._before = signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._hung_up))
        self._notify("READY=1")

    def stopService(self) -> Deferred[None]:
        """Say that we stop: what was added before us still runs."""
        super().stopService()
        signal.signal(signal.SIGHUP, self._before)
        self._notify("STOPPING=1")
        return succeed(None)

    def _notify(self, state: str) -> None:
        if not self._notify_at:
            return
        # An @ stands for the zero byte that a name outside of the file system begins with.
        address = "\0" + self._notify_at[1:] if self._notify_at.startswith("@") else self._notify_at
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.connect(address)
                channel.send(state.encode())
        except OSError as problem:
            self._log.warn("NOTIFY_SOCKET {at!a}: {problem}", at=os.fsdecode(address), problem=problem)
