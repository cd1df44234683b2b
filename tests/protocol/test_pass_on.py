"""Lines that are passed on: kept as they are for our own kind, made fit for plain peers (4, 5 and 9)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode, pass_on, pass_on_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import Ack, Error, Message, Pub, Send, WhoHasHit
from p2pchat.protocol.names import PeerId
from tests.protocol.strategies import MESSAGES, ONE_OF_EACH

#: Names of fields that no message has.
STRANGE_NAMES = st.text(max_size=10).filter(
    lambda name: (
        not any(name in kind.__struct_encode_fields__ for kind in MESSAGES)
        and name not in ("type", "dest", "message")
    )
)

#: Values as bytes: everything that JSON can say, in every way to write it.
RAW_VALUES = st.sampled_from(
    (
        *(b"1.50", b"-0", b"1e5", b"1E+400", b"9" * 60, b"null", b"true"),
        *(b'""', b'"\\u00e9"', b'"\\/"', '"é😀"'.encode(), b'"\\n"'),
        *(b"[]", b"[ 1 , 2 ]", b'{"a":1,"a":2}', b'{ "ttl" : 5 }'),
    )
)


def with_more(message: Message, more: dict[str, bytes]) -> bytes:
    """Write a message with fields that it does not have."""
    line = msgspec.json.encode(message)[:-1]
    for name, value in more.items():
        line += b"," + json.dumps(name, ensure_ascii=False).encode() + b":" + value
    return line + b"}"


def raw_fields(line: bytes) -> dict[str, bytes]:
    """Read a line as it is written, value by value."""
    split = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    return {name: bytes(value) for name, value in split.items()}


class OwnKindTests(SynchronousTestCase):
    """`pass_on`."""

    @given(ONE_OF_EACH, st.dictionaries(STRANGE_NAMES, RAW_VALUES, max_size=3), st.integers(0, 8))
    def test_kept(self, messages: tuple[Message, ...], more: dict[str, bytes], ttl: int) -> None:
        """Section 4: every field is kept byte for byte, known or not, but for what is changed."""
        for message in messages:
            line = with_more(message, more)
            passed = pass_on(line, ttl=ttl)
            self.assertEqual((passed.count(b"\n"), passed[-1:]), (1, b"\n"))
            self.assertEqual(raw_fields(passed), {**raw_fields(line), "ttl": str(ttl).encode()})
            self.assertEqual(decode(passed[:-1]), msgspec.structs.replace(message, ttl=ttl))

    @given(st.text(st.sampled_from(',"{}:\\ t\x00l8é[]'), max_size=30), st.integers(0, 8), st.integers(0, 8))
    def test_ttl_at_the_end(self, payload: str, before: int, ttl: int) -> None:
        """The quick way, for a ttl that stands last, is right whatever the payload looks like."""
        message = Send("m", "a@n", "b@n", payload, ttl=before)
        for line in (msgspec.json.encode(message), json.dumps(msgspec.to_builtins(message)).encode()):
            passed = pass_on(line, ttl=ttl)
            self.assertEqual(decode(passed[:-1]), msgspec.structs.replace(message, ttl=ttl))
            self.assertEqual(raw_fields(passed), {**raw_fields(line), "ttl": str(ttl).encode()})

    def test_ttl_that_is_none(self) -> None:
        """What only looks like the ttl is left alone."""
        start = b'{"type":"SEND","msg_id":"m","src":"a@n","dst":"b@n","payload":'
        for rest, ends in (
            (b'"x","ttl":2,"more":{"a":1,"ttl":9}}', b',"ttl":7,"more":{"a":1,"ttl":9}}'),
            (b'"x","more":{"a":1,"ttl":9},"ttl":2}', b',"more":{"a":1,"ttl":9},"ttl":7}'),
            (b'"x","ttl":5,"ttl":2}', b'"x","ttl":7}'),
            (b'"x","ttl":2 }', b'"x","ttl":7}'),
            (b'"x","ttl":12}', b'"x","ttl":7}'),
            (b'"x","ttl":2,"y\\"ttl":3}', b',"ttl":7,"y\\"ttl":3}'),
            (b'",\\"ttl\\":3}","ttl":2}', b'",\\"ttl\\":3}","ttl":7}'),
        ):
            decode(start + rest)
            passed = pass_on(start + rest, ttl=7)[:-1]
            self.assertTrue(passed.endswith(ends), (rest, passed))
            self.assertEqual(decode(passed).ttl, 7)

    def test_added(self) -> None:
        """A field that was missing is added, a `PeerId` like any text."""
        line = b'{"type":"WHO_HAS_HIT","msg_id":"m","dst":"d@n"}'
        passed = decode(pass_on(line, ttl=7, via=PeerId("a@n"), hops=2))
        self.assertEqual(passed, WhoHasHit("m", dst="d@n", via="a@n", ttl=7, hops=2))

    def test_duplicate_names(self) -> None:
        """Of a name that comes twice the last value counts, as for the reader."""
        line = b'{"type":"ACK","msg_id":"m","ttl":3,"x":1,"ttl":2,"x":2}'
        self.assertEqual(json.loads(pass_on(line, ttl=1)), {"type": "ACK", "msg_id": "m", "ttl": 1, "x": 2})

    def test_too_long(self) -> None:
        """Section 2: what would become longer than a line is refused, to the byte, with both sizes."""
        for size, fits in ((MAX_LINE, True), (MAX_LINE + 1, False)):
            line = b'{"type":"ACK","msg_id":"m","x":"%s"}' % (
                b"x" * (size - len('{"type":"ACK","msg_id":"m","x":"","ttl":0}'))
            )
            if fits:
                self.assertEqual(len(pass_on(line, ttl=0)) - 1, MAX_LINE)
                continue
            problem = self.assertRaises(ProtocolError, pass_on, line, ttl=0)
            self.assertEqual((problem.code, problem.limit), (ErrorCode.LINE_TOO_LONG, MAX_LINE))
            self.assertIn("32769 bytes", problem.detail)


class PlainTests(SynchronousTestCase):
    """`pass_on_plain`."""

    @given(ONE_OF_EACH, st.dictionaries(STRANGE_NAMES, RAW_VALUES, max_size=3))
    def test_fit(self, messages: tuple[Message, ...], more: dict[str, bytes]) -> None:
        """9.1, 9.3, 9.4: one ASCII line with ttl 1, all that the type needs, and all else that was there."""
        for message in messages:
            line = with_more(message, more)
            plain = pass_on_plain(line, message)
            self.assertTrue(plain.isascii())
            self.assertEqual((plain.count(b"\n"), plain[-1:]), (1, b"\n"))
            self.assertLessEqual(len(plain) - 1, MAX_LINE)
            expected = {**json.loads(line), **json.loads(msgspec.json.encode(message)), "ttl": 1}
            for name in ("attempt", "after"):
                expected.pop(name, None)
            self.assertEqual(json.loads(plain), expected)

    def test_what_is_missing(self) -> None:
        """9.3: what plain peers need is written, also where the line lacked it or named it otherwise."""
        cases: list[tuple[bytes, dict[str, Any]]] = [
            (b'{"type":"SEND","msg_id":"m","src":"a@n","dest":"b@n","payload":"x","require_ack":null}',
             {"dst": "b@n", "require_ack": True, "ttl": 1, "dest": "b@n"}),
            (b'{"type":"PUB","msg_id":"m","src":"a@n","payload":"x","ttl":7}',
             {"dst": "", "require_ack": False, "ttl": 1}),
            (b'{"type":"ACK","msg_id":"m"}', {"from": "", "src": "", "dst": "", "ttl": 1}),
            (b'{"status":"ERROR","error":"busy"}', {"type": "ERROR", "ref": "", "detail": "", "ttl": 1}),
        ]  # fmt: skip
        for line, expected in cases:
            fields = json.loads(pass_on_plain(line, decode(line)))
            self.assertEqual({name: fields[name] for name in expected}, expected)

    def test_no_attempt(self) -> None:
        """Plain peers get a resend as they got the first, whatever stood there."""
        for attempt in (b"2", b"null", b'"x"'):
            line = b'{"type":"SEND","attempt":%s}' % attempt
            message = Send("m", "a@n", "b@n", "x", attempt=2)
            self.assertNotIn("attempt", json.loads(pass_on_plain(line, message)))

    def test_changed(self) -> None:
        """What the message says counts, not the line: a relay may have completed it."""
        line = b'{"type":"ACK","msg_id":"m","ttl":1,"color":"red"}'
        message = Ack("m", PeerId("é@n"), src="b@n", dst="c@n", ttl=8)
        expected = {"type": "ACK", "msg_id": "m", "from": "é@n", "src": "b@n", "dst": "c@n"}
        self.assertEqual(json.loads(pass_on_plain(line, message)), {**expected, "ttl": 1, "color": "red"})

    def test_too_long(self) -> None:
        """Section 2: escapes may make too much of a line that was none too long: then it is refused."""
        message = Pub("m", "a@n", "é" * 6000)
        line = msgspec.json.encode(message)
        self.assertLess(len(line), MAX_LINE)
        problem = self.assertRaises(ProtocolError, pass_on_plain, line, message)
        self.assertEqual((problem.code, problem.limit), (ErrorCode.LINE_TOO_LONG, MAX_LINE))


class NoTextTests(SynchronousTestCase):
    """Bytes that are no UTF-8 stand only where nobody reads."""

    def test_refused(self) -> None:
        """Section 2: what is no UTF-8 is passed on in neither form, whether in a name or in a value."""
        for part in (b'"x":"\xff"', b'"\xff":1', b'"x":["\xed\xa0\x80"]', b'"\xed\xa0\x80":1'):
            line = b'{"type":"ERROR","ref":"m",' + part + b"}"
            message = decode(line)
            self.assertEqual(message, Error(ref="m"))
            for problem in (
                self.assertRaises(ProtocolError, pass_on, line, ttl=1),
                self.assertRaises(ProtocolError, pass_on_plain, line, message),
            ):
                self.assertEqual(problem.code, ErrorCode.BAD_FORMAT)
