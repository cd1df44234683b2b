"""One line to one message and back (docs/protocol.md, sections 2, 4 and 9)."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import check_size, decode, encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError, UnknownType
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import Error, Message, Metrics, Ping, Send
from p2pchat.protocol.names import PeerId
from tests.protocol.strategies import ONE_OF_EACH

#: One character of each size that it may have in the two forms of a line.
CHARACTERS = ("x", '"', "\\", "\n", "\x00", "\x7f", "é", "\u20ac", "😀")


class RoundTripTests(SynchronousTestCase):
    """What is written is read back."""

    @given(ONE_OF_EACH)
    def test_own_kind(self, messages: tuple[Message, ...]) -> None:
        """A message of any type that was written for our own kind is read back the same."""
        for message in messages:
            self.assertEqual(decode(encode(message)[:-1]), message)

    @given(ONE_OF_EACH)
    def test_plain(self, messages: tuple[Message, ...]) -> None:
        """Written for a plain peer it is read back the same, but for the ttl and the attempt."""
        for message in messages:
            expected = msgspec.structs.replace(message, ttl=1)
            if isinstance(expected, Send):
                expected = msgspec.structs.replace(expected, attempt=msgspec.UNSET, after=msgspec.UNSET)
            self.assertEqual(decode(encode_plain(message)[:-1]), expected)

    @given(ONE_OF_EACH)
    def test_other_fields_change_nothing(self, messages: tuple[Message, ...]) -> None:
        """9.10: fields that we do not know, or know under a better name, change nothing."""
        for message in messages:
            fields = {**msgspec.to_builtins(message), "dest": "x@y", "message": "z", "color": [1, None]}
            self.assertEqual(decode(json.dumps(fields).encode()), message)

    def test_peer_id(self) -> None:
        """A `PeerId` is written like the text that it is, in both forms of a line."""
        message = Send("m", PeerId("a@n"), PeerId("bé@n"), "hi")
        for write in (encode, encode_plain):
            self.assertEqual(decode(write(message)), Send("m", "a@n", "bé@n", "hi"))

    def test_line_end_is_no_matter(self) -> None:
        """Whitespace around the object is no part of it."""
        self.assertEqual(decode(b' \t{"type" : "PING", "msg_id":"m"} \r\n'), Ping("m"))


class EncodeTests(SynchronousTestCase):
    """Lines as we send them."""

    @given(ONE_OF_EACH)
    def test_own_kind_is_one_line(self, messages: tuple[Message, ...]) -> None:
        """A line is UTF-8 and has one newline, at its end."""
        for message in messages:
            line = encode(message)
            self.assertEqual((line.count(b"\n"), line[-1:]), (1, b"\n"))
            line.decode()

    @given(ONE_OF_EACH)
    def test_plain_is_one_ascii_line(self, messages: tuple[Message, ...]) -> None:
        """9.1, 9.4: for a plain peer a line is ASCII, has ttl 1 and one newline, at its end."""
        for message in messages:
            line = encode_plain(message)
            self.assertTrue(line.isascii())
            self.assertEqual((line.count(b"\n"), line[-1:]), (1, b"\n"))
            self.assertEqual(json.loads(line)["ttl"], 1)

    def test_own_kind_keeps_ttl_and_attempt(self) -> None:
        """Our own kind gets the ttl and the attempt, which routing needs."""
        fields = json.loads(encode(Send("m", "a@n", "b@n", "hi", ttl=8, attempt=2)))
        self.assertEqual((fields["ttl"], fields["attempt"]), (8, 2))

    def test_plain_gets_no_attempt(self) -> None:
        """Plain peers get a resend as they got the first: the attempt is for relays."""
        self.assertNotIn("attempt", json.loads(encode_plain(Send("m", "a@n", "b@n", "hi", attempt=2))))

    def test_own_kind_gets_utf8(self) -> None:
        """Our own kind gets text as UTF-8, plain peers get it escaped."""
        message = Send("m", "a@n", "b@n", "é😀")
        self.assertIn("é😀".encode(), encode(message))
        self.assertIn(b'"\\u00e9\\ud83d\\ude00"', encode_plain(message))

    def test_half_a_character(self) -> None:
        """A text that UTF-8 cannot carry is refused before anything is sent."""
        message = Send("m", "a@n", "b@n", "half \ud83d")
        for write in (encode, encode_plain, check_size):
            problem = self.assertRaises(ProtocolError, write, message)
            self.assertEqual(problem.code, ErrorCode.BAD_FORMAT)

    def test_no_number(self) -> None:
        """What is not a number is written as null: JSON has no NaN and no infinity."""
        for number in (float("nan"), float("inf"), float("-inf")):
            message = Metrics("m", "é@n", rtt_ms=number)
            for write in (encode, encode_plain):
                self.assertEqual(decode(write(message)), Metrics("m", "é@n", rtt_ms=None))


class SizeTests(SynchronousTestCase):
    """`check_size`: too long is found out before anything is sent."""

    def longest(self, char: str) -> str:
        """The longest payload of *char* alone that passes."""
        message = Send("m", "a@n", "b@n", "")
        low, high = 0, MAX_LINE
        while low < high:
            middle = (low + high + 1) // 2
            try:
                check_size(msgspec.structs.replace(message, payload=char * middle))
                low = middle
            except ProtocolError:
                high = middle - 1
        return char * low

    def test_every_form_of_what_passes_fits(self) -> None:
        """What passes fits into a line in every form: plain, UTF-8, any ttl, up to 99 attempts."""
        for char in CHARACTERS:
            payload = self.longest(char)
            for ttl, attempt in ((1, msgspec.UNSET), (8, 2), (0, 99)):
                message = Send("m", "a@n", "b@n", payload, True, ttl, attempt)
                check_size(message)
                for write in (encode, encode_plain):
                    self.assertLessEqual(len(write(message)) - 1, MAX_LINE)

    def test_no_more_than_needed_is_refused(self) -> None:
        """The longest message that passes leaves room for the attempt and for less than a character."""
        for char in CHARACTERS:
            line = encode_plain(Send("m", "a@n", "b@n", self.longest(char)))
            room = MAX_LINE - (len(line) - 1) - len(',"attempt":99')
            self.assertTrue(0 <= room < len(json.dumps(char)) - 2, char)

    @given(st.text(max_size=20), st.integers(1, 3000))
    def test_never_longer_than_measured(self, text: str, times: int) -> None:
        """A line is never longer than the size that was measured, and the limit is held to the byte."""
        message = Send("m", "a@n", "b@n", text * times, ttl=8, attempt=99)
        size = len(encode_plain(message)) - 1 + len(',"attempt":99')
        self.assertLessEqual(len(encode(message)) - 1, size)
        try:
            check_size(message)
        except ProtocolError as problem:
            self.assertGreater(size, MAX_LINE)
            self.assertIn(str(size), problem.detail)
        else:
            self.assertLessEqual(size, MAX_LINE)

    def test_refusal(self) -> None:
        """The refusal names both sizes and carries the limit."""
        message = Send("m", "a@n", "b@n", "x" * MAX_LINE)
        problem = self.assertRaises(ProtocolError, check_size, message)
        size = len(encode_plain(message)) - 1 + len(',"attempt":99')
        self.assertEqual(problem.code, ErrorCode.LINE_TOO_LONG)
        self.assertEqual(problem.limit, 32768)
        self.assertEqual(problem.detail, f"message too long: {size} bytes on the wire, the limit is 32768")


class RefusalTests(SynchronousTestCase):
    """Lines that are no message, and what is said about them."""

    def refused(self, line: bytes) -> ProtocolError:
        """Assert that *line* is refused as bad_format."""
        problem = self.assertRaises(ProtocolError, decode, line)
        assert isinstance(problem, ProtocolError)
        self.assertEqual(problem.code, ErrorCode.BAD_FORMAT)
        return problem

    def test_not_json(self) -> None:
        """What is not JSON is refused as such."""
        for line in (b"", b" ", b"hello", b"{", b"{'type':'PING'}", b'{"type":"PING","msg_id":"m",}'):
            self.assertIn("not JSON", self.refused(line).detail)

    def test_two_objects(self) -> None:
        """One line holds one object."""
        self.refused(b'{"type":"PING","msg_id":"m"}{"type":"PING","msg_id":"n"}')

    def test_not_an_object(self) -> None:
        """JSON that is no object is refused as such."""
        for line in (b"1", b"null", b'"PING"', b"[]", b'[{"type":"PING","msg_id":"m"}]'):
            self.assertEqual(self.refused(line).detail, "a message is a JSON object")

    def test_no_type(self) -> None:
        """An object without a type that is a string is refused, and is no unknown type."""
        for line in (b"{}", b'{"type":null}', b'{"type":1}', b'{"type":["PING"]}', b'{"status":"OK"}'):
            problem = self.refused(line)
            self.assertNotIsInstance(problem, UnknownType)
            self.assertEqual(problem.detail, 'a message has a "type", which is a string')

    def test_unknown_type(self) -> None:
        """An unknown type is told apart, with its msg_id, and the type is in the detail (section 4)."""
        problem = self.assertRaises(UnknownType, decode, b'{"type":"DANCE","msg_id":"m7"}')
        self.assertEqual((problem.code, problem.kind, problem.ref), (ErrorCode.BAD_FORMAT, "DANCE", "m7"))
        self.assertEqual(problem.detail, "unknown type 'DANCE'")

    def test_strange_type_is_quoted_safely(self) -> None:
        """A type is repeated escaped and cut to 64 characters, so that it breaks no screen."""
        problem = self.assertRaises(UnknownType, decode, json.dumps({"type": "\x1b[2J\n"}).encode())
        self.assertEqual(problem.detail, r"unknown type '\x1b[2J\n'")
        for size, quoted in ((64, "T" * 64), (65, "T" * 64 + "..."), (1000, "T" * 64 + "...")):
            problem = self.assertRaises(UnknownType, decode, json.dumps({"type": "T" * size}).encode())
            self.assertEqual(problem.detail, f"unknown type '{quoted}'")

    def test_ref(self) -> None:
        """The refusal carries the msg_id where it can be one, else nothing."""
        for msg_id, ref in (("m7", "m7"), ("x" * 128, "x" * 128), ("x" * 129, ""), (7, ""), (None, "")):
            line = json.dumps({"type": "SEND", "msg_id": msg_id}).encode()
            self.assertEqual(self.refused(line).ref, ref)

    def test_error_is_marked(self) -> None:
        """An ERROR that cannot be read is marked as one: it is never answered with an ERROR (8)."""
        self.assertEqual(self.refused(b'{"type":"ERROR","ttl":"many"}').kind, "ERROR")
        self.assertEqual(self.refused(b'{"status":"ERROR","ttl":"many"}').kind, "ERROR")

    def test_wrong_values(self) -> None:
        """A field of another kind than it must be is refused, and is named."""
        good = {"type": "SEND", "msg_id": "m", "src": "a@n", "dst": "b@n", "payload": "hi"}
        for name, values in {
            "msg_id": (1, [], {}),
            "src": (1, []),
            "dst": (1, []),
            "payload": (1, True, ["hi"], {"text": "hi"}),
            "require_ack": ("true", 0, 1),
            "ttl": ("1", True, 1.5, []),
            "attempt": ("2", 1.5),
        }.items():
            for value in values:
                problem = self.refused(json.dumps({**good, name: value}).encode())
                self.assertIn(f"$.{name}", problem.detail)

    def test_hello_features_of_another_kind(self) -> None:
        """Features that are no list are refused: nobody can tell what was meant."""
        for features in ("ack", {"ack": True}, 1):
            line = json.dumps({"type": "HELLO", "peer_id": "a@n", "features": features}).encode()
            self.assertIn("$.features", self.refused(line).detail)

    def test_hello_version_of_another_kind(self) -> None:
        """A version is a string or a number, and nothing else."""
        for version in (True, [1], {"major": 1}):
            line = json.dumps({"type": "HELLO", "peer_id": "a@n", "version": version}).encode()
            self.assertIn("$.version", self.refused(line).detail)

    def test_answer_can_be_sent(self) -> None:
        """The answer to a refused line is a line that can be sent and read."""
        for line in (b"\xff", b'{"type":"\\u20ac\xe2\x82\xac"}', b'{"type":"SEND","msg_id":"\xc3\xa9"}'):
            answer = Error.about(self.refused(line), dst="a@n")
            check_size(answer)
            self.assertEqual(decode(encode(answer)), answer)
