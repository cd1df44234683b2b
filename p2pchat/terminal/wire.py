"""The connection of a terminal with its peer (docs/control.md), on asyncio, which prompt_toolkit runs on."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from p2pchat.control.client import NotRunning, Refused
from p2pchat.language import tr

#: The longest line that a peer writes, in bytes: the longest text, escaped as wide as JSON can, and what is
#: around it. The counters and a list of all peers are shorter.
MAX_LINE = 16 * 1024 * 1024

#: Lines that are taken before the keyboard has its turn.
LINES_AT_ONCE = 100


class Wire:
    """Asks, and hands over what the peer tells. Whoever opens it runs it until its end.

    :param told: takes each notification, and errors that answer nothing that was asked.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        told: Callable[[dict[str, Any]], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._told = told
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    async def open(cls, connection: socket.socket, told: Callable[[dict[str, Any]], None]) -> Wire:
        """Begin on a connection; it belongs to the wire from now on."""
        return cls(*await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE), told)

    async def ask(self, method: str, **params: object) -> Any:
        """Ask, and wait for the answer.

        :raises Refused: the peer does not do it.
        :raises NotRunning: the peer has ended.
        """
        if self._writer.is_closing():
            raise NotRunning(tr("it was stopped"))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request_id = next(self._ids)
        self._waiting[request_id] = answer
        self._write({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return await answer

    def tell(self, method: str, **params: object) -> None:
        """Ask for something whose answer nobody waits for."""
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    async def close(self) -> None:
        """End the connection, once all is written."""
        self._writer.close()
        with suppress(ConnectionError):  # it was ended at the other end
            await self._writer.wait_closed()

    async def run(self) -> None:
        """Read until the peer closes the connection."""
        count = 0
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
                count += 1
                if not count % LINES_AT_ONCE:
                    await asyncio.sleep(0)
        except ConnectionError:
            pass  # it was killed
        finally:
            self._writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(NotRunning(tr("it was stopped")))
            self._waiting.clear()

    def _take(self, line: dict[str, Any]) -> None:
        answer = self._waiting.pop(line["id"], None) if line.get("id") is not None else None
        if answer is None:
            if "method" in line or "error" in line:
                self._told(line)
        elif answer.done():
            pass  # who asked did not wait
        elif "error" in line:
            answer.set_exception(Refused(line["error"]["message"]))
        else:
            answer.set_result(line["result"])

    def _write(self, request: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(request).encode() + b"\n")
