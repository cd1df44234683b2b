"""Everything that passed over every link, in a file: one JSON object a line.

The first object tells what was simulated. Each of the others has a time ``t`` in seconds, and either a
``line`` with who sent it to whom over which connection, or what ``happened``, or what a program ``told``
its user ``who``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

import msgspec
from msgspec import UNSET, Struct, UnsetType

from p2pchat import events
from p2pchat.simulation.ledger import Person
from p2pchat.simulation.transport import MemoryTransport

#: Of this file format; a file of another one is refused.
VERSION = 1

#: Digits behind the point of a time: microseconds.
DIGITS = 6


class Head(Struct, frozen=True):
    """The first object of a file.

    :param trace: the version of the format.
    :param command: what simulates the same again.
    """

    trace: int
    command: str


class Moment(Struct, frozen=True, rename={"from_": "from"}):
    """One thing that happened."""

    t: float
    line: str | UnsetType = UNSET
    from_: str | UnsetType = UNSET
    to: str | UnsetType = UNSET
    link: str | UnsetType = UNSET
    happened: str | UnsetType = UNSET
    who: str | UnsetType = UNSET
    told: str | UnsetType = UNSET


#: Boxes are others each time, but of the same size.
_SEALED = re.compile(rb'(?<="sealed":")[^"]*')


def _size(box: re.Match[bytes]) -> bytes:
    return b"<%d bytes>" % len(box[0])


class Trace:
    """Writes a file. Whoever simulates something creates it, and closes the file.

    :param name_of: who lives at an IP address.
    """

    def __init__(
        self, file: IO[bytes], command: str, now: Callable[[], float], name_of: Callable[[str], str]
    ) -> None:
        self._file = file
        self._now = now
        self._name_of = name_of
        self._encode = msgspec.json.Encoder().encode
        #: What has arrived of a line whose end has not, by who sends it; as long as its connection stands.
        self._begun: dict[MemoryTransport, bytes] = {}
        self._write(Head(VERSION, command))

    def passed(self, sender: MemoryTransport, data: bytes) -> None:
        """A piece arrived."""
        *lines, rest = (self._begun.pop(sender, b"") + data).split(b"\n")
        if rest:
            self._begun[sender] = rest
        here, there = sender.host, sender.peer
        for line in lines:
            self._write(
                Moment(
                    self._t,
                    line=_SEALED.sub(_size, line).decode("utf-8", "backslashreplace"),
                    from_=str(self._name_of(here.host)),
                    to=str(self._name_of(there.host)),
                    link=f"{here.host}:{here.port}-{there.host}:{there.port}",
                )
            )

    def happened(self, what: str) -> None:
        """Something went wrong, or is over."""
        self._write(Moment(self._t, happened=what))

    def told(self, person: Person, event: events.Event) -> None:
        """A program told its user something."""
        self._write(Moment(self._t, who=str(person.own), told=str(event)))

    @property
    def _t(self) -> float:
        return round(self._now(), DIGITS)

    def _write(self, what: Head | Moment) -> None:
        self._file.write(self._encode(what) + b"\n")
