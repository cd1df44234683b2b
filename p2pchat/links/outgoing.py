"""The bounded queue in front of one link's socket (docs/protocol.md, sections 5 and 9.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITransport
from zope.interface import implementer

from p2pchat.links.batch import Batch
from p2pchat.protocol.names import PeerId

#: Lines that wait for one socket: most of a minute of what may be sent to a plain peer, and more than
#: a healthy link ever holds.
MAX_LINES = 1024

#: Bytes that wait for one socket: 16 of the longest lines. 512 stuck links cost at most 256 MiB.
MAX_BYTES = 512 * 1024

#: What control lines may take beyond that: they keep the link alive and confirm what arrived.
URGENT_LINES = 256
URGENT_BYTES = 64 * 1024

#: What lines that others are the source of may take of it, and what those of one source may: a neighbour
#: that sends too much fills its own share, and neither ours nor that of the others.
RELAYED_LINES = 768
RELAYED_BYTES = 384 * 1024
SOURCE_LINES = 128
SOURCE_BYTES = 64 * 1024

#: The same where lines are spaced: they leave within 4 s. Their sources send again after 5 s what was not
#: confirmed, and a plain peer that gets a message twice may show it twice.
SPACED_RELAYED_LINES = 80
SPACED_SOURCE_LINES = 40

#: Bytes that a transport holds before it says stop. What lies there is past taking turns, so that a
#: neighbour that sends too much delays the others by as many bytes; it holds the answers to one turn.
SOCKET_BYTES = 8 * 1024

#: Seconds between two lines to a plain peer: some read one line per segment and drop the rest.
PLAIN_SPACING_S = 0.05

#: Seconds from our HELLO_OK to the next line to a plain peer.
PLAIN_FIRST_S = 0.25


@attrs.define(eq=False)
class _Lane:
    """What one source has waiting."""

    lines: deque[bytes] = attrs.Factory(deque)
    bytes: int = 0


@implementer(IPushProducer)
@attrs.define(eq=False)
class Outgoing:
    """Lines on their way into one transport. Its link creates, owns and ends it.

    A line goes straight to the transport while that one drains; when it says stop, lines wait
    here, and when too many wait they are refused, so that whoever sends learns of it.
    """

    _transport: ITransport
    _clock: IReactorTime
    _batch: Batch = attrs.Factory(Batch)
    #: Lines that were refused because too many waited.
    refused: int = 0
    #: Lines that were taken.
    taken: int = 0
    _spacing_s: float = 0.0
    _next_at_s: float = 0.0
    _paused: bool = False
    _urgent: deque[bytes] = attrs.Factory(deque)
    _lines: deque[bytes] = attrs.Factory(deque)
    #: What neighbours brought, by who did; whose turn is next comes first.
    _lanes: dict[PeerId, _Lane] = attrs.Factory(dict)
    #: Those who had none waiting, and come before the others once.
    _fresh: dict[PeerId, _Lane] = attrs.Factory(dict)
    _bytes: int = 0
    _relayed: int = 0
    _relayed_bytes: int = 0
    #: Lines must be queued: the transport said stop, or the peer wants them spaced.
    _held: bool = False
    _wakeup: IDelayedCall | None = None
    _on_empty: Callable[[], None] | None = None
    #: The last line was taken: nothing goes ahead of it any more.
    _finishing: bool = False
    _closed: bool = False
    #: Lines to be written at once at `uncork`; None while there is no cork.
    _corked: list[bytes] | None = None
    _gathered: int = 0

    @property
    def waiting(self) -> int:
        """Lines that wait here, not counting what the transport holds."""
        return len(self._urgent) + len(self._lines) + self._relayed

    @property
    def ours_waiting(self) -> int:
        """Those of them that this peer is the source of."""
        return len(self._urgent) + len(self._lines)

    @property
    def leaves_in_s(self) -> float:
        """Seconds until the last line has left, as far as the spacing tells."""
        if not (self._spacing_s and self.waiting):
            return 0.0
        return max(0.0, self._next_at_s - self._clock.seconds()) + (self.waiting - 1) * self._spacing_s

    def space_out(self, first_after_s: float) -> None:
        """From now on send one line at a time, as plain peers need it (9.5).

        :param first_after_s: seconds until the first of them.
        """
        self.uncork()
        self._spacing_s = PLAIN_SPACING_S
        self._next_at_s = self._clock.seconds() + first_after_s
        self._held = True

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Send one encoded line, or keep it until it can be sent.

        :param urgent: ahead of the others: control lines and confirmations.
        :return: False where too much waits already; the line is then not kept.
        """
        if not self._held:
            self.taken += 1
            if self._corked is None and self._batch.is_open:
                self._batch.join(self)
            if self._corked is None:
                self._transport.write(line)
            else:
                self._gather(self._corked, line)
            return True
        if self._closed or not self._has_room(len(line), urgent):
            self.refused += 1
            return False
        self._keep(line, urgent and not self._finishing)
        return True

    def pass_on(self, line: bytes, source: PeerId) -> bool:
        """Send one encoded line that a neighbour brought, or keep it until it can be sent.

        Behind our own lines; those of several sources take turns, and who has sent nothing for a while
        comes first.

        :return: False where too much of that source, or of all of them, waits already.
        """
        if not self._held:
            return self.write(line)
        lane = self._lanes.get(source) or self._fresh.get(source) or _Lane()
        size = len(line)
        if (
            self._closed
            or self._finishing
            or not self._has_room(size, urgent=False)
            or not self._has_share(lane, size)
        ):
            self.refused += 1
            return False
        if source not in self._lanes:
            self._fresh[source] = lane
        lane.lines.append(line)
        lane.bytes += size
        self.taken += 1
        self._relayed += 1
        self._relayed_bytes += size
        self._bytes += size
        self._flush()
        return True

    def is_crowded(self, source: PeerId) -> bool:
        """Whether what one source has waiting is half of its share or more."""
        if not self._held:
            return False
        lane = self._lanes.get(source) or self._fresh.get(source)
        share = SPACED_SOURCE_LINES if self._spacing_s else SOURCE_LINES
        return lane is not None and (2 * len(lane.lines) >= share or 2 * lane.bytes >= SOURCE_BYTES)

    def write_last(self, line: bytes, within_s: float) -> None:
        """Send one line behind what waits, however much that is: a BYE.

        :param within_s: seconds that lines to a plain peer, spaced as they are, may take until then; the
            newest of them are given up where there are too many.
        """
        if self._closed:
            return
        while self._relayed:
            self._lines.append(self._take_relayed())
        if self._spacing_s:
            room = int(within_s / self._spacing_s) - 1
            while self.waiting > room:
                self._bytes -= len((self._lines or self._urgent).pop())
                self.refused += 1
        self.uncork()
        self._finishing = True
        self._keep(line, urgent=False)

    def cork(self) -> None:
        """Gather what is written until `uncork`."""
        if not self._held and self._corked is None:
            self._corked = []

    def uncork(self) -> None:
        """Write what was gathered."""
        lines, self._corked, self._gathered = self._corked, None, 0
        if lines:
            self._transport.write(b"".join(lines))

    def _gather(self, corked: list[bytes], line: bytes) -> None:
        """Keep a line for `uncork`, but no more of them than the transport would take before it says stop."""
        corked.append(line)
        self._gathered += len(line)
        if self._gathered > SOCKET_BYTES:
            self.uncork()

    def when_empty(self, do: Callable[[], None]) -> None:
        """Call *do* once nothing waits here any more, which may be now."""
        self.uncork()
        self._on_empty = do
        self._flush()

    def close(self) -> None:
        """Forget what waits; nothing is written any more."""
        self._held = self._closed = True
        self._on_empty = None
        self._urgent.clear()
        self._lines.clear()
        self._lanes.clear()
        self._fresh.clear()
        self._bytes = self._relayed = self._relayed_bytes = 0
        self._cancel_wakeup()

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self._paused = self._held = True

    def resumeProducing(self) -> None:
        """The transport wants more."""
        self._paused = False
        self._flush()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()

    def _keep(self, line: bytes, urgent: bool) -> None:
        self.taken += 1
        self._bytes += len(line)
        (self._urgent if urgent else self._lines).append(line)
        self._flush()

    def _has_room(self, size: int, urgent: bool) -> bool:
        max_lines = MAX_LINES + (URGENT_LINES if urgent else 0)
        max_bytes = MAX_BYTES + (URGENT_BYTES if urgent else 0)
        return self.waiting < max_lines and self._bytes + size <= max_bytes

    def _has_share(self, lane: _Lane, size: int) -> bool:
        if self._spacing_s and (
            self.waiting >= SPACED_RELAYED_LINES or len(lane.lines) >= SPACED_SOURCE_LINES
        ):
            return False
        return (
            len(lane.lines) < SOURCE_LINES
            and lane.bytes + size <= SOURCE_BYTES
            and self._relayed < RELAYED_LINES
            and self._relayed_bytes + size <= RELAYED_BYTES
        )

    def _flush(self) -> None:
        while self.waiting and not self._paused:
            if self._spacing_s and not self._may_write_now():
                return
            self._transport.write(self._take())
        if not self._paused and not self._spacing_s and not self._closed:
            self._held = False
            self._lanes.clear()  # all are empty
        if self._on_empty is not None and not self.waiting:
            do, self._on_empty = self._on_empty, None
            do()

    def _take(self) -> bytes:
        queue = self._urgent or self._lines
        line = queue.popleft() if queue else self._take_relayed()
        self._bytes -= len(line)
        return line

    def _take_relayed(self) -> bytes:
        """Take a line of the source whose turn it is; then it is the turn of the others.

        A source without lines is forgotten at its next turn only: else it would come first again with
        each line that it sends, and the others would wait for ever.
        """
        source, lane = _pop_first(self._fresh or self._lanes)
        while not lane.lines:
            source, lane = _pop_first(self._fresh or self._lanes)
        self._lanes[source] = lane
        line = lane.lines.popleft()
        lane.bytes -= len(line)
        self._relayed -= 1
        self._relayed_bytes -= len(line)
        return line

    def _may_write_now(self) -> bool:
        """Whether the spacing is kept; if not, wake up when it is."""
        now_s = self._clock.seconds()
        if now_s >= self._next_at_s:
            self._next_at_s = now_s + self._spacing_s
            return True
        if self._wakeup is None:
            self._wakeup = self._clock.callLater(self._next_at_s - now_s, self._woken)
        return False

    def _woken(self) -> None:
        self._wakeup = None
        self._flush()

    def _cancel_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None


def _pop_first(lanes: dict[PeerId, _Lane]) -> tuple[PeerId, _Lane]:
    source = next(iter(lanes))
    return source, lanes.pop(source)
