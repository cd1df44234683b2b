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

    :param endless: no end was found within `MAX_DISCARD` bytes: the connection is of no more use.
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
        self._rest = b""
        #: Bytes read over of a line that is too long; 0 when not inside one.
        self._discarded = 0

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """Return the lines that *data* completes, in order, each without its end.

        A line that is too long is reported once, as soon as it is known to be.
        """
        if self._discarded:
            data, found = self._read_over(data)
            if found is not None:
                return found
        pieces = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = pieces.pop()
        lines: list[bytes | TooLong] = []
        for piece in pieces:
            line = piece[:-1] if piece.endswith(b"\r") else piece
            lines.append(line if len(line) <= self._limit else TooLong())
        # One more byte than the limit may be the \r of a line that still fits.
        if len(self._rest) > self._limit + 1:
            self._discarded = len(self._rest)
            self._rest = b""
            lines.append(TooLong(endless=self._discarded > self._max_discard))
        return lines

    def take_rest(self) -> bytes:
        """Return what came after the last line end, once; for a stream that ended there."""
        rest, self._rest = self._rest, b""
        return rest

    def _read_over(self, data: bytes) -> tuple[bytes, list[bytes | TooLong] | None]:
        """Skip to the end of the line that was too long; None says that it was found."""
        end = data.find(b"\n")
        if end >= 0:
            self._discarded = 0
            return data[end + 1 :], None
        before = self._discarded
        self._discarded += len(data)
        gave_up = before <= self._max_discard < self._discarded
        return b"", [TooLong(endless=True)] if gave_up else []
