"""A program that talks to a peer that runs (docs/control.md). It waits; it has no reactor."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from p2pchat.control.place import SOCKET, NoControl, within_reach
from p2pchat.language import tr

#: Seconds until a peer that takes no connection is given up.
CONNECT_S = 5.0


class NotRunning(Exception):
    """Nobody listens at the socket, or nobody does any more; the text says how that is known."""


class Refused(Exception):
    """The peer refuses what is asked; the text says why."""


class Client:
    """A connection to a peer. Whoever makes it closes it, or uses it as a context.

    :param folder: the state folder of the peer.
    :raises NotRunning: there is no peer, or it is not ours.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = connect(folder)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()

    def ask(self, method: str, **params: object) -> Any:
        """Ask, and wait for the answer; what else comes meanwhile is dropped.

        :raises Refused: the peer does not do it.
        :raises NotRunning: the peer ended.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        # Where it was closed at the other end already, why may be there to read.
        with suppress(ConnectionError):
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = next(line for line in self._lines() if "id" in line)
        if "error" in answer:
            raise Refused(answer["error"]["message"])
        return answer["result"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the notifications that come.

        :raises NotRunning: the peer ended.
        """
        return (line for line in self._lines() if "method" in line)

    def _lines(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                line = self._file.readline()
            except ConnectionError:
                line = b""
            if not line.endswith(b"\n"):
                raise NotRunning(tr("it was stopped"))
            yield json.loads(line)


def connect(folder: Path) -> socket.socket:
    """Connect to a peer. Whoever calls it closes what it gets.

    :param folder: the state folder of the peer.
    :raises NotRunning: there is no peer, or it is not ours.
    """
    path = folder / SOCKET
    connection = socket.socket(socket.AF_UNIX)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as problem:
        connection.close()
        raise NotRunning(f"{folder}: {problem.strerror}") from None
    try:
        if path.lstat().st_uid != os.getuid():
            raise NotRunning(tr("{file} belongs to another user").format(file=path))
        connection.settimeout(CONNECT_S)
        connection.connect(within_reach(path, descriptor))
        connection.settimeout(None)
    except BaseException as problem:
        connection.close()
        if isinstance(problem, OSError):
            raise NotRunning(f"{path}: {problem.strerror or problem}") from None
        if isinstance(problem, NoControl):
            raise NotRunning(f"{path}: {problem}") from None
        raise
    finally:
        os.close(descriptor)
    return connection
