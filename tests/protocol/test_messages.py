"""One struct per message type (docs/protocol.md, sections 3, 4 and 8)."""

from __future__ import annotations

import json
from typing import Any

from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.codec import decode, encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import (
    TYPES,
    Ack,
    Bye,
    ByeOk,
    Error,
    Held,
    Hello,
    HelloOk,
    HelloReject,
    Hold,
    Latest,
    Message,
    Metrics,
    MetricsReq,
    Ping,
    Pong,
    Pub,
    RelayFail,
    RelayOk,
    Send,
    TtlExpired,
    WhoHas,
    WhoHasHit,
)
from tests.protocol.strategies import MESSAGES

#: What each type says when only what it must have is given.
LEAST: tuple[tuple[Message, dict[str, Any]], ...] = (
    (
        Hello("a@n"),
        {"type": "HELLO", "peer_id": "a@n", "version": "1.0", "features": [], "ttl": 1},
    ),
    (
        HelloOk("a@n", features=("ack",)),
        {"type": "HELLO_OK", "peer_id": "a@n", "version": "1.0", "features": ["ack"], "ttl": 1},
    ),
    (HelloReject(), {"type": "HELLO_REJECT", "reason": "", "ttl": 1}),
    (Ping("m"), {"type": "PING", "msg_id": "m", "timestamp": "", "ttl": 1}),
    (Pong("m"), {"type": "PONG", "msg_id": "m", "timestamp": "", "ttl": 1}),
    (Bye(), {"type": "BYE", "msg_id": "", "src": "", "dst": "", "ttl": 1}),
    (
        Bye(reason="gone"),
        {"type": "BYE", "msg_id": "", "src": "", "dst": "", "reason": "gone", "ttl": 1},
    ),
    (ByeOk(), {"type": "BYE_OK", "msg_id": "", "src": "", "dst": "", "ttl": 1}),
    (
        Send("m", "a@n", "b@n", "hi"),
        {
            "type": "SEND",
            "msg_id": "m",
            "src": "a@n",
            "dst": "b@n",
            "payload": "hi",
            "require_ack": True,
            "ttl": 1,
        },
    ),
    (Ack("m", "b@n"), {"type": "ACK", "msg_id": "m", "from": "b@n", "src": "", "dst": "", "ttl": 1}),
    (
        Pub("m", "a@n", "hi", "#n"),
        {
            "type": "PUB",
            "msg_id": "m",
            "src": "a@n",
            "payload": "hi",
            "dst": "#n",
            "require_ack": False,
            "ttl": 1,
        },
    ),
    (
        WhoHas("m", "a@n", "b@n"),
        {"type": "WHO_HAS", "msg_id": "m", "src": "a@n", "dst": "b@n", "ttl": 1},
    ),
    (
        WhoHasHit("m"),
        {"type": "WHO_HAS_HIT", "msg_id": "m", "src": "", "dst": "", "via": "", "ttl": 1},
    ),
    (
        WhoHasHit("m", hops=2),
        {"type": "WHO_HAS_HIT", "msg_id": "m", "src": "", "dst": "", "via": "", "ttl": 1, "hops": 2},
    ),
    (RelayOk("m"), {"type": "RELAY_OK", "msg_id": "m", "src": "", "dst": "", "reason": "", "ttl": 1}),
    (RelayFail("m"), {"type": "RELAY_FAIL", "msg_id": "m", "src": "", "dst": "", "reason": "", "ttl": 1}),
    (TtlExpired("m"), {"type": "TTL_EXPIRED", "msg_id": "m", "src": "", "dst": "", "reason": "", "ttl": 1}),
    (
        Hold("m", "a@n", "b@n"),
        {
            "type": "HOLD",
            "msg_id": "m",
            "src": "a@n",
            "dst": "b@n",
            "sealed": "",
            "lock": "",
            "for_s": 0,
            "ttl": 1,
        },
    ),
    (
        Held("m"),
        {"type": "HELD", "msg_id": "m", "src": "", "dst": "", "for_s": 0, "reason": "", "ttl": 1},
    ),
    (Latest("m", "a@n", "#n"), {"type": "LATEST", "msg_id": "m", "src": "a@n", "dst": "#n", "ttl": 1}),
    (MetricsReq("m"), {"type": "METRICS_REQ", "msg_id": "m", "src": "", "dst": "", "ttl": 1}),
    (
        Metrics("m"),
        {
            "type": "METRICS",
            "msg_id": "m",
            "src": "",
            "dst": "",
            "rtt_ms": None,
            "sent_count": 0,
            "recv_count": 0,
            "last_seen": None,
            "ttl": 1,
        },
    ),
    (
        Error(),
        {
            "type": "ERROR",
            "status": "ERROR",
            "error": "",
            "code": "",
            "ref": "",
            "detail": "",
            "dst": "",
            "ttl": 8,
        },
    ),
)


class WireTests(SynchronousTestCase):
    """What each type looks like on the wire."""

    def test_types(self) -> None:
        """These are the types that we read and write, in upper case."""
        self.assertEqual(
            TYPES,
            {"HELLO", "HELLO_OK", "HELLO_REJECT", "PING", "PONG", "BYE", "BYE_OK", "SEND", "ACK", "PUB"}
            | {"WHO_HAS", "WHO_HAS_HIT", "RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED"}
            | {"HOLD", "HELD", "LATEST", "METRICS_REQ", "METRICS", "ERROR"},
        )

    def test_tests_know_every_type(self) -> None:
        """The properties of this room are held by every type that there is."""
        self.assertEqual(set(MESSAGES), set(Message.__args__))
        self.assertEqual({type(message) for message, _ in LEAST}, set(Message.__args__))

    def test_frozen(self) -> None:
        """A message cannot be changed, so one can be given to many links."""
        for message, _ in LEAST:
            self.assertRaises(AttributeError, setattr, message, "ttl", 0)

    def test_fields(self) -> None:
        """Each type writes exactly these fields, an optional one only where it is set."""
        for message, fields in LEAST:
            self.assertEqual(json.loads(encode(message)), fields)

    def test_type_first(self) -> None:
        """The type comes first, so that a reader of a trace sees it at once."""
        for message, fields in LEAST:
            self.assertTrue(encode(message).startswith(b'{"type":"%s"' % fields["type"].encode()))

    def test_least(self) -> None:
        """Only what a type must have needs to be there; the rest is filled in."""
        for line, message in (
            (b'{"type":"HELLO","peer_id":"a@n"}', Hello("a@n", "1.0", (), 1)),
            (b'{"type":"HELLO_OK","peer_id":"a@n"}', HelloOk("a@n", "1.0", (), 1)),
            (b'{"type":"HELLO_REJECT"}', HelloReject("", 1)),
            (b'{"type":"PING","msg_id":"m"}', Ping("m", "", 1)),
            (b'{"type":"PONG","msg_id":"m"}', Pong("m", "", 1)),
            (b'{"type":"BYE"}', Bye("", "", "", UNSET, 1)),
            (b'{"type":"BYE_OK"}', ByeOk("", "", "", 1)),
            (
                b'{"type":"SEND","msg_id":"m","src":"a@n","dst":"b@n","payload":""}',
                Send("m", "a@n", "b@n", "", True, 1, UNSET),
            ),
            (b'{"type":"ACK","msg_id":"m"}', Ack("m", "", "", "", 1)),
            (
                b'{"type":"PUB","msg_id":"m","src":"a@n","payload":""}',
                Pub("m", "a@n", "", "", False, 1),
            ),
            (b'{"type":"WHO_HAS","msg_id":"m","src":"a@n","dst":"b@n"}', WhoHas("m", "a@n", "b@n", 1)),
            (b'{"type":"WHO_HAS_HIT","msg_id":"m"}', WhoHasHit("m", "", "", "", 1, UNSET)),
            (b'{"type":"RELAY_OK","msg_id":"m"}', RelayOk("m", "", "", "", 1)),
            (b'{"type":"RELAY_FAIL","msg_id":"m"}', RelayFail("m", "", "", "", 1)),
            (b'{"type":"TTL_EXPIRED","msg_id":"m"}', TtlExpired("m", "", "", "", 1)),
            (b'{"type":"METRICS_REQ","msg_id":"m"}', MetricsReq("m", "", "", 1)),
            (b'{"type":"METRICS","msg_id":"m"}', Metrics("m", "", "", None, 0, 0, None, 1)),
            (b'{"type":"ERROR"}', Error("ERROR", "", "", "", "", "", 8, UNSET)),
        ):
            self.assertEqual(decode(line), message)

    def test_what_must_be_there(self) -> None:
        """A message without a field that it must have is refused, and the field is named."""
        for kind, names in (
            ("HELLO", ("peer_id",)),
            ("HELLO_OK", ("peer_id",)),
            ("PING", ("msg_id",)),
            ("PONG", ("msg_id",)),
            ("SEND", ("msg_id", "src", "dst", "payload")),
            ("ACK", ("msg_id",)),
            ("PUB", ("msg_id", "src", "payload")),
            ("WHO_HAS", ("msg_id", "src", "dst")),
            ("WHO_HAS_HIT", ("msg_id",)),
            ("RELAY_OK", ("msg_id",)),
            ("RELAY_FAIL", ("msg_id",)),
            ("TTL_EXPIRED", ("msg_id",)),
            ("METRICS_REQ", ("msg_id",)),
            ("METRICS", ("msg_id",)),
        ):
            for name in names:
                fields = {"type": kind, **dict.fromkeys(names, "x")}
                for missing in ({}, {name: None}):
                    del fields[name]
                    line = json.dumps({**fields, **missing}).encode()
                    problem = self.assertRaises(ProtocolError, decode, line)
                    self.assertEqual((problem.code, problem.kind), (ErrorCode.BAD_FORMAT, kind))
                    self.assertIn(name, problem.detail)
                    fields[name] = "x"

    def test_msg_id_length(self) -> None:
        """A msg_id has 1 to 128 characters; characters count, not bytes."""
        longest = "é" * 128
        self.assertEqual(decode(encode(Ping(longest))), Ping(longest))
        for msg_id in ("", longest + "x"):
            self.assertRaises(ProtocolError, decode, encode(Ping(msg_id)))

    def test_address_length(self) -> None:
        """A src and a dst have 1 to 129 characters, as long as the longest peer_id."""
        longest = "x" * 129
        good = Send("m", longest, longest, "")
        self.assertEqual(decode(encode(good)), good)
        for src, dst in (("", "b@n"), ("a@n", ""), (longest + "x", "b@n"), ("a@n", longest + "x")):
            self.assertRaises(ProtocolError, decode, encode(Send("m", src, dst, "")))


class PlainWireTests(SynchronousTestCase):
    """What plain peers need of each type (section 9)."""

    def test_ttl_is_one(self) -> None:
        """9.1: every type carries the integer 1 as its ttl, whatever it had."""
        for message, _ in LEAST:
            ttl = json.loads(encode_plain(message))["ttl"]
            self.assertIs(type(ttl), int)
            self.assertEqual(ttl, 1)

    def test_hello(self) -> None:
        """9.2: the version is the string "1.0" and the features are a list of strings."""
        for hello in (Hello("a@n"), HelloOk("a@n", features=("ack", "relay"))):
            fields = json.loads(encode_plain(hello))
            self.assertEqual(fields["version"], "1.0")
            self.assertIsInstance(fields["features"], list)
            self.assertTrue(all(isinstance(feature, str) for feature in fields["features"]))

    def test_strings_always_there(self) -> None:
        """9.3: msg_id, src, dst and payload are always written, and are strings."""
        for message in (Send("m", "a@n", "b@n", ""), Pub("m", "a@n", "", "*"), Bye(), ByeOk()):
            fields = json.loads(encode_plain(message))
            needed = {"msg_id", "src", "dst"} | ({"payload"} if fields["type"] in ("SEND", "PUB") else set())
            for name in needed:
                self.assertIsInstance(fields[name], str)


class ErrorTests(SynchronousTestCase):
    """ERROR, written in both forms of the specification at once (section 8)."""

    def test_both_forms(self) -> None:
        """The code is in `error` for one form and in `code` for the other."""
        error = Error.make(ErrorCode.NO_ROUTE, "carol@UnB not reachable", ref="m123", dst="alice@UnB")
        self.assertEqual(
            json.loads(encode(error)),
            {
                "type": "ERROR",
                "status": "ERROR",
                "error": "no_route",
                "code": "no_route",
                "ref": "m123",
                "detail": "carol@UnB not reachable",
                "dst": "alice@UnB",
                "ttl": 8,
            },
        )

    def test_about_a_problem(self) -> None:
        """The answer to a wrong line carries its code, its detail, its msg_id and the limit."""
        problem = ProtocolError(ErrorCode.LINE_TOO_LONG, "too long", "m1", limit=32768)
        error = Error.about(problem, dst="alice@UnB")
        self.assertEqual(
            (error.reason, error.detail, error.ref, error.limit, error.dst),
            ("line_too_long", "too long", "m1", 32768, "alice@UnB"),
        )

    def test_limit_only_where_there_is_one(self) -> None:
        """An error without a limit does not write the field."""
        self.assertNotIn("limit", json.loads(encode(Error.make(ErrorCode.BUSY, ""))))

    def test_detail_is_cut(self) -> None:
        """A detail may quote what a peer sent, so it is cut to 300 characters."""
        self.assertEqual(Error.make(ErrorCode.BUSY, "é" * 301).detail, "é" * 300)

    def test_reason(self) -> None:
        """The reason is read from either form."""
        self.assertEqual(Error(code="busy").reason, "busy")
        self.assertEqual(Error(error="busy").reason, "busy")
        self.assertEqual(Error().reason, "")
