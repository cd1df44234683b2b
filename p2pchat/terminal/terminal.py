"""A user at the full terminal of a peer."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from p2pchat.console import commands
from p2pchat.console.completion import Known
from p2pchat.console.visible import visible, visible_name
from p2pchat.control.client import NotRunning, Refused
from p2pchat.language import ntr, tr
from p2pchat.protocol.names import BadName, PeerId
from p2pchat.terminal.conversation import Conversation, Entry
from p2pchat.terminal.history import Typed
from p2pchat.terminal.screen import Screen
from p2pchat.terminal.statusline import status_line
from p2pchat.terminal.wire import Wire
from p2pchat.terminal.wrapping import Fragments

#: Seconds until the status line is asked for anew when nothing happens, and at least between two times.
STATUS_S = 5.0
STATUS_PAUSE_S = 0.2

#: Seconds between two rings of the bell.
BELL_S = 1.0

#: Peers that can be completed; more are not listed by a rendezvous either.
MAX_PEERS = 10_000

#: Events after which the status line may be another.
_TELLING = (
    "neighbour_up",
    "neighbour_down",
    "roster_changed",
    "rendezvous_found",
    "rendezvous_lost",
    "rendezvous_hosted",
    "message_confirmed",
    "message_failed",
)


class Terminal:
    """Joins the peer and the screen. Who runs the program makes it, and awaits `run`.

    :param history: makes what keeps what is typed; gets what takes why something is not kept.
    :param ends_peer: to leave ends the peer; else only this terminal.
    """

    def __init__(
        self,
        history: Callable[[Callable[[str], None]], History],
        *,
        ends_peer: bool,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._make_history = history
        self._ends_peer = ends_peer
        self._input = input
        self._output = output
        self._is_leaving = False
        self._peers: set[PeerId] = set()
        self._status: dict[str, Any] = {}
        self._to: str | None = None
        self._way: dict[str, Any] | None = None
        self._is_stale = asyncio.Event()
        #: Events from before we came, until all of them are here; None: they are shown.
        self._past: list[dict[str, Any]] | None = []
        #: Cursors: of the last of them, of the last event that is shown, of the last that the user saw.
        self._present = self._cursor = self._seen = ""
        self._rang_at_s = 0.0
        #: Why the peer does not let us in.
        self._refusal = ""
        #: Our messages that failed, or were put by, after the user left.
        self._lost: list[Entry] = []

    async def run(self, connection: socket.socket) -> list[str]:
        """Run until the user leaves or the peer ends; return what is to be said then.

        :raises NotRunning: the peer ended before it told who it is.
        :raises Refused: the peer does not talk to us.
        """
        self._wire = await Wire.open(connection, self._told)
        reading = asyncio.create_task(self._wire.run())
        try:
            try:
                await self._meet()
            except NotRunning:
                if self._refusal:
                    raise Refused(self._refusal) from None
                raise
            await self._show(reading)
            is_over = reading.done() or self._ends_peer
            await self._wire.close()
        finally:
            reading.cancel()
        return self._farewell(is_over=is_over)

    async def _meet(self) -> None:
        hello = await self._wire.ask("hello")
        self.own = PeerId(hello["peer_id"])
        self._present, self._seen = hello["cursor"], hello["seen"]
        self.conversation = Conversation(self.own, _local_time)
        for line in hello["greeting"]:
            self.conversation.shown(line)
        self.screen = Screen(
            self.conversation,
            self._make_history(self._not_kept),
            status=self._status_line,
            prompt=lambda: "" if self._to is None else visible_name(self._short(self._to)),
            known=lambda: Known(self.own, self._peers),
            typed=self._typed,
            leave=self._leave,
            looked=self._looked,
            input=self._input,
            output=self._output,
        )
        self._status = await self._wire.ask("status")
        self._peers = {PeerId(peer["peer_id"]) for peer in await self._wire.ask("peers")}
        begin = await self._wire.ask("subscribe", after="start", texts=True)
        if begin["missed"]:
            told = tr("{n} older events are not kept any more").format(n=begin["missed"])
            self.conversation.divide(told)
        if begin["cursor"] == self._present:
            self._show_past()  # nothing had happened yet

    def _not_kept(self, why: str) -> None:
        self.conversation.divide(tr("what you type is not kept: {why}").format(why=why))

    async def _show(self, reading: asyncio.Task[None]) -> None:
        """Run the screen until the user leaves, or the peer ends."""
        # Else a signal would leave the terminal as a screen on which nobody sees what he types.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._leave)
        following = asyncio.create_task(self._follow_status())
        showing = asyncio.create_task(self.screen.app.run_async(set_exception_handler=False))
        try:
            await asyncio.wait({showing, reading, following}, return_when=asyncio.FIRST_COMPLETED)
            if self.screen.app.is_running:
                self.screen.app.exit()
            elif not showing.done():
                showing.cancel()
            await asyncio.wait({showing})
        finally:
            following.cancel()
        for task in (showing, reading, following):
            if task.done() and not task.cancelled() and not isinstance(task.exception(), NotRunning | None):
                task.result()

    def _farewell(self, *, is_over: bool) -> list[str]:
        name = visible_name(self.own)
        if not is_over:
            return [tr("{peer} goes on. To come back: p2pchat attach {peer}").format(peer=name)]
        lines = ["".join(text for row in entry.rows(sys.maxsize) for _, text in row) for entry in self._lost]
        return [*lines, tr("{peer} has ended.").format(peer=name)]

    # What the peer tells.

    def _told(self, line: dict[str, Any]) -> None:
        if not self._status:  # nothing was asked for yet that could tell something else
            self._refusal = line["error"]["message"]
            return
        params = line.get("params", {})
        match line.get("method"):
            case "event":
                self._event(params)
            case "shown":
                self.conversation.shown(params["line"])
            case "destination":
                self._to = params["to"]
                self._way = None
                self._is_stale.set()
            case "missed":
                self.conversation.divide(tr("{n} events were missed here").format(n=params["events"]))
            case "left_out":
                self.conversation.divide(tr("{n} lines were left out here").format(n=params["lines"]))
            case None:
                self.conversation.shown(line["error"]["message"])
        self.screen.app.invalidate()

    def _event(self, event: dict[str, Any]) -> None:
        if self._past is not None:
            self._past.append(event)
            if event["cursor"] == self._present:
                self._show_past()
            return
        self._take(event)
        if event["kind"] == "message_arrived" and self._is_for_us(event["data"]):
            self._ring()
        if event["kind"] in _TELLING:
            self._is_stale.set()

    def _show_past(self) -> None:
        """Show what happened before we came, and where the user saw it last."""
        past, self._past = self._past or [], None
        cursors = [event["cursor"] for event in past]
        old = cursors.index(self._seen) + 1 if self._seen in cursors else 0
        for event in past[:old]:
            self._take(event)
        self.conversation.see(self.conversation.last)
        new = sum(event["kind"] == "message_arrived" for event in past[old:])
        if new:
            self.conversation.divide(ntr("{n} new message", "{n} new messages", new).format(n=new))
        for event in past[old:]:
            self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self._cursor = event["cursor"]
        entry = self.conversation.told(event)
        data = event["data"]
        match event["kind"]:
            case "message_failed" | "message_waits" if self._is_leaving and entry is not None:
                self._lost.append(entry)
            case "message_arrived":
                self._learn(data["src"])
            case "neighbour_up":
                self._learn(data["peer_id"])
            case "roster_changed":
                self._peers.difference_update(map(PeerId, data["left"]))
                for peer_id in data["came"]:
                    self._learn(peer_id)

    def _learn(self, peer_id: str) -> None:
        if len(self._peers) < MAX_PEERS and "@" in peer_id and peer_id != self.own:
            self._peers.add(PeerId(peer_id))

    def _is_for_us(self, data: dict[str, Any]) -> bool:
        """Whether a message is to us alone, or names us."""
        named = rf"(?<!\w){re.escape(self.own.name)}(?!\w)"
        return not data["is_cast"] or re.search(named, data["payload"], re.IGNORECASE) is not None

    def _ring(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._rang_at_s + BELL_S:
            self._rang_at_s = now_s
            self.screen.app.output.bell()
            self.screen.app.output.flush()

    # What the user does.

    def _typed(self, text: str) -> None:
        if not text.strip():
            return
        if _is_quit(text, self.own):
            self._leave()
            return
        if text.startswith("/") and text.split(maxsplit=1)[0] != "/msg":
            self.conversation.asked(visible(" ".join(text.split())), _now_ms())
        self._wire.tell("command", line=text, events=False)

    def _leave(self) -> None:
        if self._ends_peer and not self._is_leaving:
            self._is_leaving = True
            self._wire.tell("stop")  # and the end of the connection ends the screen
        elif self.screen.app.is_running:
            self.screen.app.exit()

    def _looked(self) -> None:
        """All that the screen shows was seen."""
        self.conversation.see(self.screen.scrolling.last_seen)
        if self.screen.scrolling.is_at_end and self._past is None and self._cursor not in ("", self._seen):
            self._seen = self._cursor
            self._wire.tell("seen", cursor=self._cursor)

    # The status line.

    async def _follow_status(self) -> None:
        while True:
            self._is_stale.clear()
            self._status = await self._wire.ask("status")
            if self._past is None and "unread" in self._status:  # a peer of an earlier version does not say
                self.conversation.see_all_but(self._status["unread"])
            to = self._to
            way = None if to is None else await self._wire.ask("way", to=to)
            if to == self._to:
                self._way = way
            self.screen.app.invalidate()
            with suppress(TimeoutError):  # it is looked at now and then all the same
                await asyncio.wait_for(self._is_stale.wait(), STATUS_S)
            await asyncio.sleep(STATUS_PAUSE_S)

    def _status_line(self) -> Fragments:
        scrolling = self.screen.scrolling
        below = 0 if scrolling.is_at_end else self.conversation.unseen_after(scrolling.last_seen)
        return status_line(self._status, self._way, unseen=self.conversation.unseen, below=below)

    def _short(self, to: str) -> str:
        """Return a destination as it is typed among peers of the same namespace."""
        return to.removesuffix(f"@{self.own.namespace}") if to.startswith("@") else to


def run(connection: socket.socket, folder: Path, *, ends_peer: bool) -> list[str]:
    """Be the terminal of a peer until the user leaves it or it ends; return what is to be said then.

    :param connection: to its control socket.
    :param folder: its state folder.
    :param ends_peer: to leave ends the peer; else only this terminal.
    :raises NotRunning: the peer ended before it told who it is.
    :raises Refused: the peer does not talk to us.
    """

    async def main() -> list[str]:
        return await Terminal(partial(Typed, folder), ends_peer=ends_peer).run(connection)

    return asyncio.run(main())


def _is_quit(text: str, own: PeerId) -> bool:
    try:
        return isinstance(commands.parse(text, own.namespace, None), commands.Quit)
    except (commands.Mistyped, BadName):
        return False


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _local_time(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000).astimezone()
