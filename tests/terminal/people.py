"""A person at a terminal, and a peer that says what a test wants."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyte
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput
from prompt_toolkit.output.vt100 import Vt100_Output

from p2pchat.terminal.terminal import Terminal
from tests.terminal.test_statusline import STATUS

#: Seconds that anything may take; a loaded machine must not make a test fail.
DEADLINE_S = 30.0


class Glass:
    """A screen of so many rows and columns; what prompt_toolkit writes to, and a test reads."""

    encoding = "utf-8"

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.bells = 0
        #: All that was written.
        self.raw = ""
        self.output = Vt100_Output(
            self,  # type: ignore[arg-type]
            lambda: Size(rows=rows, columns=columns),
            term="xterm-256color",
            enable_bell=True,
        )

    def write(self, text: str) -> None:
        """Draw."""
        # A bell ends what sets a title as well; nobody sets one.
        self.bells += text.count("\a")
        self.raw += text
        self._stream.feed(text)

    def flush(self) -> None:
        """All is drawn already."""

    def isatty(self) -> bool:
        """Be one."""
        return True

    def fileno(self) -> int:
        """Be none that can be asked."""
        raise OSError("it is in memory")

    def rows(self) -> list[str]:
        """Return what is seen, without what is empty."""
        # What follows a wide letter is an empty cell.
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def __str__(self) -> str:
        return "\n".join(f"    {row}" for row in self.rows())


class Peer:
    """Answers at the other end of the control socket.

    :param past: events that happened before.
    :param seen: the cursor of the last one that the user saw.
    """

    def __init__(self, connection: socket.socket, past: list[dict[str, Any]], seen: str) -> None:
        self._connection = connection
        self._past = past
        #: What happens just then, so that it comes in one piece with what happened before.
        self.at_once: list[dict[str, Any]] = []
        #: Why it lets nobody in; empty: it does not say; None: it does.
        self.turns_away: str | None = None
        #: What was asked for, without what each terminal asks for.
        self.asked: list[tuple[str, dict[str, Any]]] = []
        last = past[-1]["cursor"] if past else "run-0"
        self.answers: dict[str, Any] = {
            "hello": {
                "peer_id": "alice@UnB",
                "cursor": last,
                "seen": seen,
                "greeting": ["You are alice@UnB."],
            },
            "status": STATUS,
            "peers": [{"peer_id": "bob@UnB"}, {"peer_id": "zoé@USP"}],
            "subscribe": {"cursor": "run-0", "missed": 0},
            "way": {"to": "@bob@UnB", "via": None, "protection": "link"},
        }

    async def run(self) -> None:
        """Answer until the terminal is gone."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._connection)
        with suppress(ConnectionError):
            if self.turns_away:
                self.writes({"jsonrpc": "2.0", "id": None, "error": {"message": self.turns_away}})
            if self.turns_away is not None:
                self.ends()
            while line := await reader.readline():
                self._take(json.loads(line))

    def tells(self, *events: dict[str, Any]) -> None:
        """Tell what happens."""
        for event in events:
            self.says("event", **event)

    def says(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self.writes({"jsonrpc": "2.0", "method": method, "params": params})

    def writes(self, line: dict[str, Any]) -> None:
        """Send a line."""
        self._writer.write(json.dumps(line).encode() + b"\n")

    def ends(self) -> None:
        """Close the connection."""
        self._writer.close()

    def _take(self, request: dict[str, Any]) -> None:
        method = request["method"]
        if "id" in request:
            self.writes({"jsonrpc": "2.0", "id": request["id"], **self._answer(method)})
        else:
            self.asked.append((method, request["params"]))
        if method == "subscribe":
            self.tells(*self._past, *self.at_once)
        if method == "stop":
            self.ends()

    def _answer(self, method: str) -> dict[str, Any]:
        answer = self.answers[method]
        return answer if "error" in answer else {"result": answer}


class Person:
    """Types at a terminal, and reads it. A test makes one inside its loop, and awaits `leaves` or `gone`."""

    def __init__(self, keys: PipeInput, *, ends_peer: bool, **peer: Any) -> None:
        ours, theirs = socket.socketpair()
        self._keys = keys
        self.glass = Glass()
        self.history = InMemoryHistory()
        self.terminal = Terminal(
            lambda trouble: self.history, ends_peer=ends_peer, input=keys, output=self.glass.output
        )
        self.peer = Peer(theirs, peer.get("past", []), peer.get("seen", "run-0"))
        self.peer.at_once = peer.get("at_once", [])
        self._answering = asyncio.create_task(self.peer.run())
        self._running = asyncio.create_task(self.terminal.run(ours))
        self._changed = asyncio.Event()

    def types(self, keys: str) -> None:
        """Press keys."""
        self._keys.send_text(keys)

    def pastes(self, text: str) -> None:
        """Paste, as a terminal tells it."""
        self.types(f"\x1b[200~{text}\x1b[201~")

    async def sees(self, *texts: str) -> None:
        """Wait until the screen shows all of these."""
        await self.until(lambda: all(text in str(self.glass) for text in texts))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it is looked at in each turn of the loop."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds():
                    if self._running.done():
                        self._running.result()
                        raise AssertionError(f"the terminal has ended:\n{self.glass}")
                    await asyncio.sleep(0)
        except TimeoutError:
            raise AssertionError(f"not so within {DEADLINE_S} s:\n{self.glass}") from None

    async def gone(self) -> list[str]:
        """Wait for the end; return what is said then."""
        async with asyncio.timeout(DEADLINE_S):
            said = await self._running
            await self._answering
        return said
