"""Lines that are meant to hurt: every one is a message or a `ProtocolError`, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import check_size, decode, encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Error, Message, Ping, Pong, Send
from tests.protocol.strategies import damaged_lines, mutated_objects

#: Where a value can stand: in a field of ours, in one that only `_forgive` looks at, in an unknown one.
PLACES = (
    b'{"type":"SEND","msg_id":"m","src":"a@n","dst":"b@n","payload":%s}',
    b'{"type":"SEND","msg_id":"m","src":"a@n","dst":"b@n","payload":"hi","ttl":%s}',
    b'{"type":"SEND","msg_id":"m","src":"a@n","dst":"b@n","payload":"hi","extra":%s}',
    b'{"type":"SEND","ttl":"wrong","msg_id":"m","src":"a@n","dst":"b@n","payload":"hi","extra":%s}',
    b'{"type":"HELLO","peer_id":"a@n","version":%s}',
    b'{"type":"HELLO","peer_id":"a@n","features":%s}',
    b'{"type":"PING","msg_id":"m","timestamp":%s}',
    b'{"type":"BYE","reason":%s}',
    b'{"type":"ERROR","detail":%s}',
    b'{"status":"ERROR","message":%s}',
    b'{"type":%s}',
    b"{%s:1}",
    b"%s",
)

#: Values of every kind, for a field of any other.
STRANGE_VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**400, "", "\x00", [], {}, [[]], {"a": [{}]})


class LineTestCase(SynchronousTestCase):
    """What may come of any line."""

    def outcome(self, line: bytes) -> Message | None:
        """Decode *line*; assert that what comes of it can be sent again, or answered."""
        try:
            message = decode(line)
        except ProtocolError as problem:
            self.assertEqual(problem.code, ErrorCode.BAD_FORMAT)
            answer = Error.about(problem, dst="a@n")
            check_size(answer)
            self.assertEqual(decode(encode(answer)), answer)
            return None
        self.assertIsInstance(message, Message)
        self.assertEqual(decode(encode(message)), message)
        encode_plain(message)
        return message

    def assert_refused(self, line: bytes) -> None:
        """Assert that *line* is no message."""
        self.assertIsNone(self.outcome(line), line[:80])


class HostileLineTests(LineTestCase):
    """Single lines that are known to break decoders."""

    def test_no_number(self) -> None:
        """NaN and the infinities are no JSON, wherever they stand."""
        for value in (b"NaN", b"nan", b"Infinity", b"-Infinity", b"inf"):
            for place in PLACES:
                self.assert_refused(place % value)

    def test_huge_numbers(self) -> None:
        """Numbers of 5000 digits and floats beyond every range end in a message or a refusal."""
        digits = b"9" * 5000
        for value in (digits, b"-" + digits, b"0." + digits, b"1e5000", b"-1e5000", b"1e-5000", b"1e308"):
            for place in PLACES:
                self.outcome(place % value)

    def test_huge_ttl(self) -> None:
        """A number of 5000 digits is refused where a number is wanted, and skipped where it is not."""
        digits = b"9" * 5000
        self.assert_refused(PLACES[1] % digits)
        self.assertEqual(self.outcome(PLACES[2] % digits), Send("m", "a@n", "b@n", "hi"))

    def test_strange_numbers(self) -> None:
        """Numbers that JSON does not know are refused."""
        for value in (b"01", b"+1", b"1.", b".5", b"0x10", b"1_000", b"1e", b"--1", "١".encode()):
            for place in PLACES:
                self.assert_refused(place % value)

    def test_duplicate_keys(self) -> None:
        """Of a key that comes twice the last one counts, the type included, for both decoders."""
        self.assertEqual(self.outcome(b'{"type":"PING","msg_id":"m","msg_id":"n"}'), Ping("n"))
        self.assertEqual(self.outcome(b'{"type":"PING","type":"PONG","msg_id":"m"}'), Pong("m"))
        self.assertEqual(self.outcome(b'{"type":"X","type":"PONG","msg_id":"m","ttl":null}'), Pong("m"))
        self.assertEqual(self.outcome(b'{"type":"PING","msg_id":1,"msg_id":"n"}'), Ping("n"))
        self.assert_refused(b'{"type":"PING","msg_id":"m","msg_id":1}')

    def test_lone_surrogates(self) -> None:
        """Half a character, escaped or in bytes, is refused wherever we would read it."""
        for half in (
            b"\\ud800",
            b"\\udfff",
            b"\\ud800\\ud800",
            b"\\udc00\\ud800",
            b"\\ud83dx",
            b"\xed\xa0\x80",
        ):
            for place in (PLACES[0], PLACES[4], PLACES[6], PLACES[8], PLACES[10]):
                self.assert_refused(place % (b'"' + half + b'"'))

    def test_surrogate_pair(self) -> None:
        """Two halves that belong together are a character."""
        message = self.outcome(PLACES[0] % b'"\\ud83d\\ude00"')
        self.assertEqual(message, Send("m", "a@n", "b@n", "😀"))

    def test_not_utf8(self) -> None:
        """Overlong, truncated and impossible UTF-8 is refused wherever we would read it."""
        for wrong in (
            b"\xc0\xaf",  # overlong slash
            b"\xc0\x80",  # overlong NUL
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xe2\x82",  # truncated euro sign
            b"\xf0\x9f\x98",
            b"\x80",
            b"\xff",
            b"\xfe\xff",
            b"\xf4\x90\x80\x80",  # above U+10FFFF
            b"caf\xe9",  # Latin-1
        ):
            for place in (PLACES[0], PLACES[4], PLACES[6], PLACES[8], PLACES[10]):
                self.assert_refused(place % (b'"' + wrong + b'"'))

    def test_bad_bytes_in_what_is_skipped(self) -> None:
        """What stands in a field that nobody reads is a message or a refusal like everything else."""
        for wrong in (b"\xc0\xaf", b"\xff", b"\xed\xa0\x80"):
            self.outcome(PLACES[2] % (b'"' + wrong + b'"'))
            self.outcome(PLACES[3] % (b'"' + wrong + b'"'))
            self.outcome(b'{"type":"PING","msg_id":"m","' + wrong + b'":1}')

    def test_nul(self) -> None:
        """A raw NUL is refused wherever it stands; an escaped one is a character like others."""
        self.assert_refused(b"\x00")
        self.assert_refused(PLACES[0] % b'"\x00"')
        self.assert_refused(b'{"type":"PING","msg_id":"m"}\x00')
        self.assertEqual(self.outcome(b'{"type":"PING","msg_id":"\\u0000"}'), Ping("\x00"))

    def test_control_characters(self) -> None:
        """Raw control characters in a text are refused, as JSON demands."""
        for byte in range(0x20):
            self.assert_refused(PLACES[0] % (b'"' + bytes([byte]) + b'"'))

    def test_byte_order_mark(self) -> None:
        """A byte order mark, and UTF-16 behind one, is refused."""
        text = '{"type":"PING","msg_id":"m"}'
        self.assert_refused(text.encode("utf-8-sig"))
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            self.assert_refused(text.encode(encoding))

    def test_depth(self) -> None:
        """Brackets 16000 deep, closed or not, in any place, exhaust nothing."""
        for value in (b"[" * 16000, b"[" * 16000 + b"]" * 16000, b'{"a":' * 5000, b'[{"a":' * 4000):
            for place in PLACES:
                self.assert_refused(place % value)

    def test_depth_at_the_edge(self) -> None:
        """A line may be nested 64 deep and no deeper, whatever the interpreter would stand."""
        for extra, is_read in ((62, True), (63, True), (64, False), (900, False)):
            for value in (b"[" * extra + b"]" * extra, b'{"a":' * extra + b"1" + b"}" * extra):
                line = b'{"type":"PING","msg_id":"m","more":' + value + b"}"
                if is_read:
                    self.assertEqual(decode(line), Ping("m"))
                else:
                    self.assert_refused(line)

    def test_brackets_that_are_not_deep(self) -> None:
        """Many brackets side by side, or in a text, are no nesting."""
        text = '"[{' * 1000
        line = json.dumps({"type": "PING", "msg_id": "m", "more": [{}, []] * 1000, "text": text})
        self.assertEqual(decode(line.encode()), Ping("m"))

    def test_strange_error_fields(self) -> None:
        """Both forms of ERROR stand any value in any field."""
        for name in ("type", "status", "error", "code", "ref", "detail", "message", "dst", "ttl", "limit"):
            for value in STRANGE_VALUES:
                for form in ({"type": "ERROR"}, {"status": "ERROR"}):
                    self.outcome(json.dumps({**form, name: value}).encode())


class AnyLineTests(LineTestCase):
    """Any line at all."""

    @given(st.binary(max_size=300))
    def test_any_bytes(self, line: bytes) -> None:
        """Any bytes at all end in a message or a ProtocolError."""
        self.outcome(line)

    @given(damaged_lines())
    def test_damaged_lines(self, line: bytes) -> None:
        """A valid line with some bytes replaced ends in a message or a ProtocolError."""
        self.outcome(line)

    @given(mutated_objects())
    def test_mutated_objects(self, line: bytes) -> None:
        """A valid message with any JSON in its fields ends in a message or a ProtocolError."""
        self.outcome(line)
