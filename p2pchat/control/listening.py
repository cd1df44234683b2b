"""The control socket of a node: where it is, who may use it (docs/control.md)."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from p2pchat.console.session import Session
from p2pchat.control.connection import ControlProtocol
from p2pchat.control.journal import Journal
from p2pchat.control.methods import Methods
from p2pchat.control.place import SOCKET, NoControl, within_reach
from p2pchat.control.rpc import Code, RpcError

#: Programs that may be there at once.
MAX_CLIENTS = 64

#: Seconds until a program that does not take a connection counts as one that listens.
PROBE_S = 1.0

#: What Linux tells of who connected: process, user, group.
_CREDENTIALS = struct.Struct("3i")


class ControlFactory(Factory):
    """Lets programs of our own user in, a bounded number. `tap.makeService` creates it.

    :param session: makes a console for a client; gets where to show lines, what ends the connection, and
        whether to show events.
    """

    noisy = False

    def __init__(
        self,
        reactor: IReactorTime,
        methods: Methods,
        journal: Journal,
        session: Callable[[Callable[[str], None], Callable[[], None], bool], Session],
    ) -> None:
        self._parts = methods, journal, session, lambda function: reactor.callLater(0, function)
        self.clients: set[ControlProtocol] = set()
        #: Connections that were turned away.
        self.refused = 0

    def buildProtocol(self, address: object) -> ControlProtocol:
        """Take a client, who may be turned away once it can be told why."""
        client = ControlProtocol(*self._parts, self._turn_away, self.clients.discard)
        self.clients.add(client)
        return client

    def sizes(self) -> dict[str, int]:
        """How many clients there are, and were turned away."""
        return {"control_clients": len(self.clients), "control_refused": self.refused}

    def _turn_away(self, client: ControlProtocol) -> RpcError | None:
        problem = None
        if peer_user(client.transport) not in (None, 0, os.getuid()):
            problem = RpcError(Code.REFUSED, "this socket is of another user", "unauthorized")
        elif len(self.clients) > MAX_CLIENTS:
            problem = RpcError(Code.REFUSED, f"{MAX_CLIENTS} programs are here already", "busy")
        self.refused += problem is not None
        return problem


class ControlService(Service):
    """Listens at the control socket. `tap.makeService` creates it below the node.

    A node without it still is a node, so what goes wrong here is logged and ends nothing.

    :param reactor: one that can listen at UNIX sockets.
    :param folder: the state folder of the peer.
    """

    _log = Logger()

    def __init__(self, reactor: Any, folder: Path, factory: ControlFactory) -> None:
        self._reactor = reactor
        self._path = folder / SOCKET
        self._factory = factory
        self._port: Any = None
        self._folder = -1

    @property
    def is_listening(self) -> bool:
        """Whether programs can connect."""
        return self._port is not None

    def startService(self) -> None:
        """Listen."""
        super().startService()
        try:
            self._listen()
        except (OSError, CannotListenError, NoControl) as problem:
            self._log.error("no control socket at {path!a}: {problem}", path=str(self._path), problem=problem)

    def stopService(self) -> Deferred[None]:
        """Remove the socket, and end all connections once all is written."""
        super().stopService()
        for client in [*self._factory.clients]:
            client.close()
        stopped = maybeDeferred(lambda: self._port and self._port.stopListening())
        return stopped.addBoth(self._let_go)

    def _listen(self) -> None:
        remove_dead(self._path)
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        # Nobody else may connect before it has its mode either.
        before = os.umask(0o177)
        try:
            self._port = self._reactor.listenUNIX(
                within_reach(self._path, self._folder), self._factory, mode=0o600
            )
        finally:
            os.umask(before)

    def _let_go(self, result: Any) -> Any:
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        return result


def peer_user(transport: Any) -> int | None:
    """Return the number of the user who connected, on systems where a socket tells; else the mode counts."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def remove_dead(path: Path) -> None:
    """Remove the socket that a node left which was killed.

    :raises NoControl: a node still listens there, or it is no socket.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise NoControl("there is something else in its place; remove it")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PROBE_S)
            probe.connect(within_reach(path, folder))
    except ConnectionRefusedError:
        path.unlink()
    else:
        raise NoControl("another program listens there; end it, or choose another --data-dir")
    finally:
        os.close(folder)
