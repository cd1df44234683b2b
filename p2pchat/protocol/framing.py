"""Bytes to lines, bounded (docs/protocol.md, section 2).

Not `LineOnlyReceiver`: that one closes the connection at a line that is too long, and loses the
lines behind it; the protocol wants the line answered and the link to go on.
"""

from __future__ import annotations

import attrs

#: The longest line of the protocol in bytes, newline not counted.
MAX_LINE = 32768

#: How much of a line that is too long is read over in search of its end, in bytes.
MAX_DISCARD = 1024 * 1024


@attrs.frozen
class TooLong:
    """Stands in the place of a line that was longer than the limit; its bytes are gone.

    :param endless: comes second, where no end was found within `MAX_DISCARD` bytes: the connection is
        of no more use.
    """

    endless: bool = False


class LineBuffer:
    """Cuts a stream of bytes into lines. Each connection owns one.

    Keeps at most one line's worth of bytes, whatever arrives.

    :param limit: the longest line in bytes, without its ``\\n`` and a ``\\r`` before it.
    """

    def __init__(self, limit: int = MAX_LINE, max_discard: int = MAX_DISCARD) -> None:
        self._limit = limit
        self._max_discard = max_discard
        self._rest = bytearray()
        #: Bytes read over of a line that is too long; 0 when not inside one.
        self._discarded = 0

    @property
    def is_empty(self) -> bool:
        """Nothing came after the last line end."""
        return not (self._rest or self._discarded)

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """Return the lines that *data* completes, in order, each without its end.

        A line that is too long is reported once, as soon as it is known to be, and once more where it
        turns out to be endless. How the stream was cut into *data* makes no difference.
        """
        lines: list[bytes | TooLong] = []
        if self._discarded:
            end = data.find(b"\n")
            if end < 0:
                return [*self._read_over(len(data))]
            lines += self._read_over(end)
            self._discarded = 0
            data = data[end + 1 :]
        if self._rest and b"\n" in data:
            data = bytes(self._rest) + data
            self._rest.clear()
        pieces = data.split(b"\n")
        # Appended in place: a stream of small pieces must not cost the square of its length.
        self._rest += pieces.pop()
        for piece in pieces:
            line = piece[:-1] if piece.endswith(b"\r") else piece
            if len(line) <= self._limit:
                lines.append(line)
            else:
                lines += self._read_over(len(piece))
                self._discarded = 0
        # A byte beyond the limit may be the \r of a line that still fits.
        if len(self._rest) > self._limit + self._rest.endswith(b"\r"):
            lines += self._read_over(len(self._rest))
            self._rest.clear()
        return lines

    def take_rest(self) -> bytes:
        """Return what came after the last line end, once; for a stream that ended there."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _read_over(self, size: int) -> list[TooLong]:
        """Count *size* more bytes of a line that is too long; return what they made known."""
        before = self._discarded
        self._discarded += size
        known = [] if before else [TooLong()]
        if before <= self._max_discard < self._discarded:
            known.append(TooLong(endless=True))
        return known
