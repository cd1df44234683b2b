"""Bytes to lines (docs/protocol.md, section 2)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.framing import MAX_LINE, LineBuffer, TooLong

#: Every framing test is repeated for these sizes of chunks, in bytes.
CHUNK_SIZES = range(1, 10)

TOO_LONG = TooLong(endless=False)
ENDLESS = TooLong(endless=True)

#: Streams rich in line ends, around a limit of 8 and a discard of 20 bytes.
STREAMS = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bcdefgh", b"ijklmnop", b"\x00\xff", b"x" * 13]),
    max_size=40,
).map(b"".join)


def cut(stream: bytes, size: int) -> list[bytes]:
    """Cut *stream* into chunks of *size* bytes."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def lines_of(buffer: LineBuffer, chunks: list[bytes]) -> list[bytes | TooLong]:
    """Feed all *chunks* and return all lines."""
    return [line for chunk in chunks for line in buffer.feed(chunk)]


class LineTests(SynchronousTestCase):
    """Lines that fit."""

    def assert_lines(
        self, stream: bytes, expected: list[bytes | TooLong], rest: bytes = b"", limit: int = MAX_LINE
    ) -> None:
        """Assert what *stream* gives, in one piece and for every size of chunks."""
        for size in (len(stream) or 1, *CHUNK_SIZES):
            buffer = LineBuffer(limit=limit, max_discard=20)
            self.assertEqual(lines_of(buffer, cut(stream, size)), expected, f"chunks of {size}")
            self.assertEqual(buffer.take_rest(), rest, f"chunks of {size}")

    def test_lines_in_order(self) -> None:
        """Lines come in order, each without its end."""
        self.assert_lines(b"one\ntwo\nthree\n", [b"one", b"two", b"three"])

    def test_carriage_return(self) -> None:
        """One carriage return before the line end is ignored; others belong to the line."""
        self.assert_lines(b"one\r\ntwo\r\r\nth\rree\n", [b"one", b"two\r", b"th\rree"])

    def test_empty_lines(self) -> None:
        """Empty lines come as empty lines; the link ignores them."""
        self.assert_lines(b"\n\r\n\n", [b"", b"", b""])

    def test_any_bytes(self) -> None:
        """Only the newline ends a line, whatever other bytes are in it."""
        line = bytes(byte for byte in range(256) if byte not in b"\n\r")
        self.assert_lines(line + b"\n\xe2\x80\xa8\x0b\x0c\x85\n", [line, b"\xe2\x80\xa8\x0b\x0c\x85"])

    def test_two_messages_in_one_segment(self) -> None:
        """9.9: what arrives right behind a HELLO, in the same segment, is kept and comes after it."""
        self.assert_lines(b'{"type":"HELLO"}\n{"type":"SEND"}\n', [b'{"type":"HELLO"}', b'{"type":"SEND"}'])

    def test_rest(self) -> None:
        """What came after the last line end can be taken, once, when the stream ended there."""
        self.assert_lines(b"one\ntwo", [b"one"], rest=b"two")
        buffer = LineBuffer()
        buffer.feed(b"two")
        self.assertEqual((buffer.take_rest(), buffer.take_rest()), (b"two", b""))

    def test_nothing(self) -> None:
        """No bytes make no lines."""
        self.assertEqual(LineBuffer().feed(b""), [])
        self.assert_lines(b"", [])

    def test_exactly_the_limit(self) -> None:
        """A line of the limit fits, its ``\\n`` or ``\\r\\n`` not counted."""
        self.assert_lines(b"12345678\n12345678\r\n", [b"12345678", b"12345678"], limit=8)

    def test_one_more_than_the_limit(self) -> None:
        """A line of one byte more is too long, and the line behind it is read."""
        self.assert_lines(b"123456789\nnext\n", [TOO_LONG, b"next"], limit=8)
        self.assert_lines(b"123456789\r\nnext\n", [TOO_LONG, b"next"], limit=8)
        self.assert_lines(b"12345678\r\r\nnext\n", [TOO_LONG, b"next"], limit=8)

    def test_several_too_long(self) -> None:
        """Each line that is too long is reported once, in its place."""
        self.assert_lines(
            b"a\n" + b"x" * 12 + b"\nb\n" + b"y" * 20 + b"\r\n" + b"z" * 9 + b"\n\n",
            [b"a", TOO_LONG, b"b", TOO_LONG, ENDLESS, TOO_LONG, b""],
            limit=8,
        )

    def test_end_within_the_discard(self) -> None:
        """A line of as many bytes as may be read over is too long, but its end was found in time."""
        self.assert_lines(b"x" * 20 + b"\nnext\n", [TOO_LONG, b"next"], limit=8)

    def test_end_beyond_the_discard(self) -> None:
        """One byte more is endless, though its end may be there, and even in the same segment."""
        self.assert_lines(b"x" * 21 + b"\nnext\n", [TOO_LONG, ENDLESS, b"next"], limit=8)

    def test_endless_is_said_once(self) -> None:
        """A line without an end is reported as too long and then as endless, each once."""
        self.assert_lines(b"x" * 200, [TOO_LONG, ENDLESS], limit=8)

    def test_rest_of_a_line_too_long(self) -> None:
        """Nothing is left to take of a line that was too long."""
        self.assert_lines(b"x" * 15, [TOO_LONG], limit=8)


class BoundTests(SynchronousTestCase):
    """The bounds of the protocol, at their real size."""

    def test_limit(self) -> None:
        """32768 bytes are a line, 32769 are not, however the segments are cut."""
        stream = b"x" * 32768 + b"\r\n" + b"y" * 32769 + b"\nnext\n"
        for size in (1000, 1460, 32768, 32769, 32770, 65536, len(stream)):
            lines = lines_of(LineBuffer(), cut(stream, size))
            self.assertEqual(lines, [b"x" * 32768, TOO_LONG, b"next"], f"chunks of {size}")

    def test_reported_early(self) -> None:
        """A line is reported as soon as it is known to be too long, not at its end."""
        buffer = LineBuffer()
        self.assertEqual(buffer.feed(b"x" * MAX_LINE), [])
        self.assertEqual(buffer.feed(b"\r"), [])
        self.assertEqual(buffer.feed(b"x"), [TOO_LONG])
        self.assertEqual(buffer.feed(b"x"), [])

    def test_discard(self) -> None:
        """The end of a long line is searched for within 1 MiB, and no further."""
        for size in (65536, 2 * 1024 * 1024):
            found = lines_of(LineBuffer(), cut(b"x" * 1048576 + b"\nnext\n", size))
            self.assertEqual(found, [TOO_LONG, b"next"], f"chunks of {size}")
            given_up = lines_of(LineBuffer(), cut(b"x" * 1048577, size))
            self.assertEqual(given_up, [TOO_LONG, ENDLESS], f"chunks of {size}")


class SplitTests(SynchronousTestCase):
    """The same lines, however the network cuts the stream."""

    @given(STREAMS, st.data())
    def test_any_split(self, stream: bytes, data: st.DataObject) -> None:
        """Any split of a stream gives the same lines and the same rest."""
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
        whole, parts = LineBuffer(8, 20), LineBuffer(8, 20)
        self.assertEqual(lines_of(parts, chunks), lines_of(whole, [stream]))
        self.assertEqual(parts.take_rest(), whole.take_rest())

    @given(STREAMS)
    def test_chunk_sizes(self, stream: bytes) -> None:
        """Chunks of one to nine bytes give the lines of the whole stream."""
        expected = lines_of(LineBuffer(8, 20), [stream])
        for size in CHUNK_SIZES:
            self.assertEqual(lines_of(LineBuffer(8, 20), cut(stream, size)), expected)

    @given(st.lists(st.binary(max_size=30) | st.just(b"x" * 500), max_size=12))
    def test_bounded(self, chunks: list[bytes]) -> None:
        """Never more than the limit and one byte is held, after any chunk."""
        for fed in range(len(chunks) + 1):
            buffer = LineBuffer(8, 20)
            lines = lines_of(buffer, chunks[:fed])
            self.assertLessEqual(len(buffer.take_rest()), 9)
            self.assertTrue(all(len(line) <= 8 for line in lines if isinstance(line, bytes)))

    @given(st.lists(st.binary(max_size=8).filter(lambda line: not set(line) & set(b"\r\n"))))
    def test_lines_come_back(self, lines: list[bytes]) -> None:
        """Lines that fit come back as they were written."""
        stream = b"".join(line + b"\n" for line in lines)
        self.assertEqual(LineBuffer(8, 20).feed(stream), lines)
