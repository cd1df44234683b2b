"""What happened lately, kept so that a client that comes back misses nothing (docs/control.md)."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any, get_args

import attrs
import msgspec

from p2pchat.addresses import Address
from p2pchat.console.rendering import notice
from p2pchat.events import Event

#: How much is kept: so many events, and so many bytes of them as they are written.
MAX_EVENTS = 10_000
MAX_BYTES = 8 * 1024 * 1024

#: In the place of a cursor: all that is kept.
START = "start"

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class NoSuchCursor(ValueError):
    """A cursor that nobody was given; the text says what is one."""


@attrs.frozen
class Entry:
    """One event.

    :param event: it itself.
    :param kind: what it is, as in ``message_arrived``.
    :param line: the notification that tells it, with its line end.
    """

    event: Event
    kind: str
    line: bytes

    def with_text(self) -> bytes:
        """Return the line with what a console says of it; null for messages, which are shown as such."""
        told = json.loads(self.line)
        told["params"]["text"] = notice(self.event)
        return json.dumps(told).encode() + b"\n"


def kind_of(event: type) -> str:
    """Return what an event is called in JSON."""
    return _WORDS.sub("_", event.__name__).lower()


def _data(event: Event) -> Any:
    """Return the fields of an event in values of JSON; addresses as people write them."""
    fields = ((name, getattr(event, name)) for name in event.__struct_fields__)
    plain = {name: str(value) if isinstance(value, Address) else value for name, value in fields}
    return msgspec.to_builtins(plain, enc_hook=str)  # a PeerId is a str, but of another type


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) <= 16


#: All kinds of events.
KINDS = frozenset(kind_of(event) for event in get_args(Event))


class Journal:
    """The last events of a node, numbered from 1. Whoever makes the control socket creates it.

    :param run: a text that no other run of any node has, so that cursors of another run are told apart.
    :param now_ms: the time of day, in ms since 1970.
    """

    def __init__(self, run: str, now_ms: Callable[[], int]) -> None:
        self._run = run
        self._now_ms = now_ms
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        #: The number of the last event that the user has seen, at whatever surface.
        self.seen = 0
        #: The number that the next event gets.
        self.next = 1
        #: Called after each event.
        self.followers: dict[Callable[[], None], None] = {}

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept."""
        return self.next - len(self._entries)

    def __getitem__(self, number: int) -> Entry:
        return self._entries[number - self.first]

    def cursor(self, number: int) -> str:
        """Return the cursor of one who has seen all up to an event."""
        return f"{self._run}-{number}"

    def add(self, event: Event) -> None:
        """Keep an event, and tell the followers; the oldest go where it becomes too much."""
        kind = kind_of(type(event))
        params = {
            "cursor": self.cursor(self.next),
            "time_ms": self._now_ms(),
            "kind": kind,
            "data": _data(event),
        }
        # In ASCII, since half a character, which JSON can write, cannot be written in UTF-8.
        line = json.dumps({"jsonrpc": "2.0", "method": "event", "params": params}).encode() + b"\n"
        self._entries.append(Entry(event, kind, line))
        self._bytes += len(line)
        self.next += 1
        while len(self._entries) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._entries.popleft().line)
        for follower in [*self.followers]:
            follower()

    def saw(self, cursor: str) -> None:
        """Take note that the user has seen all up to an event.

        :raises NoSuchCursor: nobody was given that cursor, or another run of the node gave it.
        """
        run, _, digits = cursor.rpartition("-")
        if run != self._run or not _is_number(digits) or int(digits) >= self.next:
            raise NoSuchCursor(f"expected a cursor as an event has it, got {cursor[:80]!a}")
        self.seen = max(self.seen, int(digits))

    def resume(self, cursor: str) -> tuple[int, int | None]:
        """Return where one goes on who has seen all up to a cursor, and how many events it missed.

        :returns: the number of the first event for it, which may be that of the next to come; and how many
            before that are kept no more, None where nobody knows since the node was started anew.
        :raises NoSuchCursor: nobody was given it.
        """
        if cursor == START:
            return self.first, self.first - 1
        run, _, digits = cursor.rpartition("-")
        if not (run and _is_number(digits)):
            raise NoSuchCursor(f"expected a cursor as an event has it, or {START}, got {cursor[:80]!a}")
        if run != self._run:
            return self.first, None
        number = int(digits) + 1
        if number > self.next:
            raise NoSuchCursor(f"no event has had the cursor {cursor[:80]!a} yet")
        return max(number, self.first), max(0, self.first - number)

    def sizes(self) -> dict[str, int]:
        """How much is kept, and for how many."""
        return {
            "control_events": len(self._entries),
            "control_event_bytes": self._bytes,
            "control_followers": len(self.followers),
        }
