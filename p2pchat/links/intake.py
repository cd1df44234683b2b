"""Lines that arrived over one link, taken in turns with those of the others (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime

from p2pchat.protocol.framing import LineBuffer, TooLong

#: Lines that one link may bring before the others have their turn, about half a millisecond of work. A
#: read brings 64 KiB; a neighbour that floods us would else keep everybody waiting for all of it.
LINES_A_TURN = 32


@attrs.define(eq=False)
class Intake:
    """Cuts what arrives into lines and hands them on, a few at a time. Its link creates, owns and ends it.

    While lines wait here nothing more is read, so that the other end feels it.

    :param take: takes the lines of one turn, and returns how many of them it took.
    """

    _transport: IPushProducer
    _clock: IReactorTime
    _take: Callable[[list[bytes | TooLong]], int]
    _buffer: LineBuffer = attrs.Factory(LineBuffer)
    _waiting: list[bytes | TooLong] = attrs.Factory(list)
    _hold_s: float = 0.0
    _is_taking: bool = False
    _is_paused: bool = False
    _is_closed: bool = False
    _wakeup: IDelayedCall | None = None

    @property
    def is_held(self) -> bool:
        """No more lines are to be taken for now."""
        return self._hold_s > 0

    @property
    def waiting(self) -> int:
        """Lines that arrived and were not taken yet."""
        return len(self._waiting)

    @property
    def is_behind(self) -> bool:
        """More arrived than the line that is being taken."""
        return len(self._waiting) > 1 or not self._buffer.is_empty

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._is_closed:
            return
        self._waiting += self._buffer.feed(data)
        if self._wakeup is None:
            self._turn()

    def hold(self, seconds: float) -> None:
        """Take nothing more for a while."""
        if self._is_closed:
            return
        self._hold_s = max(self._hold_s, seconds)
        if not self._is_taking and self._wakeup is None:
            self._wait()

    def end(self) -> None:
        """Take all that waits, at once, whatever holds it up, and then no more: the connection is gone.

        Whoever sends and closes at once has said all of it; a reset must not take it back.
        """
        while self._waiting and not self._is_taking:
            self._hold_s = 0.0
            self._take_some()
        self._is_closed = True
        self._waiting.clear()
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None

    def _woken(self) -> None:
        self._wakeup = None
        self._turn()

    def _turn(self) -> None:
        if self._waiting:
            self._take_some()
        if self._is_closed:
            return
        if self._waiting or self._hold_s:
            self._wait()
        elif self._is_paused:
            self._is_paused = False
            self._transport.resumeProducing()

    def _take_some(self) -> None:
        self._is_taking = True
        try:
            taken = self._take(self._waiting[:LINES_A_TURN])
            del self._waiting[:taken]
        finally:
            self._is_taking = False

    def _wait(self) -> None:
        """Let the others have their turn."""
        if not self._is_paused:
            self._is_paused = True
            self._transport.pauseProducing()
        self._wakeup = self._clock.callLater(self._hold_s, self._woken)
        self._hold_s = 0.0
