"""HELLO and HELLO_OK on a link, from both sides (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_LINE
from p2pchat.protocol.messages import Send
from tests.links.peers import (
    ALICE,
    BOB,
    CAROL,
    OUR_FEATURES,
    PLAIN_FEATURES,
    LinkTestCase,
    line,
)


class DialledHandshakeTests(LinkTestCase):
    def test_hello_first(self) -> None:
        """Section 3: the side that connected speaks first, at once; then nothing until the HELLO_OK."""
        self.connect()
        hello = {
            "type": "HELLO",
            "peer_id": "alice@UnB",
            "version": "1.0",
            "features": OUR_FEATURES,
            "ttl": 1,
        }
        self.assertEqual(self.raw.heard, [hello])
        self.assertEqual(self.near.writes[0][0], 0.0)
        self.clock.advance(9.0)
        self.assertEqual((len(self.raw.heard), self.owner.events), (1, []))

    def test_hello_ok(self) -> None:
        """Section 3: the HELLO_OK brings the link up."""
        for features, plain in ((OUR_FEATURES, False), (PLAIN_FEATURES, True)):
            self.owner.events.clear()
            self.come_up(features)
            self.assertEqual((self.link.peer_id, self.link.plain), (BOB, plain))
            self.assertEqual(self.link.features, set(features))
            self.clock.advance(20.0)
            self.assertEqual(self.owner.events, ["up"])

    def test_deadline(self) -> None:
        """Section 3: the handshake must be done within 10 s."""
        self.connect()
        self.clock.advance(9.98)
        self.assertEqual(self.owner.events, [])
        self.clock.advance(0.02)
        self.assertEqual(self.owner.events, ["gone: no handshake within 10 s"])
        self.assertEqual(self.raw.lost, "ConnectionLost")

    def test_anything_else_first(self) -> None:
        """Section 3: what arrives before the handshake is answered unauthorized, and we close."""
        for early in (
            line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi"),
            line("PING", msg_id="p1"),
            line("HELLO", peer_id=BOB, version="1.0"),
            line("WHAT"),
            b"GET / HTTP/1.0\r\n\r\n",
            b"\xff\xfe\n",
            b"[]\n",
        ):
            self.owner.events.clear()
            self.connect()
            self.raw.wire.write(early)
            self.clock.advance(3.0)
            self.assertEqual([error["code"] for error in self.raw.of("ERROR")], ["unauthorized"], early)
            self.assertEqual((len(self.owner.events), self.owner.messages), (1, []))
            self.assertTrue(self.raw.half_closed)

    def test_malformed_hello_ok(self) -> None:
        """Section 3: a HELLO_OK that cannot be read or accepted is answered bad_format."""
        for fields in (
            {"peer_id": "nobody", "features": OUR_FEATURES},
            {"peer_id": BOB, "version": "2.0"},
            {"peer_id": 5},
            {"peer_id": BOB, "ttl": "x"},
        ):
            self.connect()
            self.raw.say("HELLO_OK", **fields)
            self.soon()
            self.assertEqual([error["code"] for error in self.raw.of("ERROR")], ["bad_format"], fields)
        self.assertNotIn("up", self.owner.events)

    def test_refused(self) -> None:
        """9.15: a peer that refuses, in whatever form, is told nothing; why is known."""
        for refusal, why in (
            (line("ERROR", code="busy", detail="full"), "the peer refused: busy full"),
            (b'{"status":"ERROR","error":"unauthorized"}\n', "the peer refused: unauthorized"),
            (line("ERROR"), "the peer refused: no reason given"),
            (line("HELLO_REJECT", reason="unknown"), "the peer refused: unknown"),
            (line("HELLO_REJECT"), "the peer refused: no reason given"),
            (line("BYE"), "the peer said BYE instead of HELLO_OK"),
            (line("ERROR", ttl="x"), "the peer sent an ERROR instead of the handshake"),
        ):
            self.owner.events.clear()
            self.connect()
            self.raw.wire.write(refusal)
            self.soon()
            self.assertEqual(self.owner.events, [f"gone: {why}"])
            self.assertEqual(self.raw.types, ["HELLO"])

    def test_silent_refusal(self) -> None:
        """9.15: an end of the stream before the HELLO_OK ends the link."""
        self.connect()
        self.raw.wire.loseConnection()
        self.soon()
        self.assertEqual(self.owner.events, ["gone: the peer closed the connection"])

    def test_reset(self) -> None:
        """9.15: so does a reset."""
        self.connect()
        self.raw.wire.abortConnection()
        self.soon()
        self.assertEqual(len(self.owner.events), 1)
        self.assertIn("gone: Connection to the other side was lost", self.owner.events[0])

    def test_ourselves(self) -> None:
        """Section 3: our own name at the other end closes the link, for good."""
        self.connect()
        self.raw.say("HELLO_OK", peer_id=ALICE, features=OUR_FEATURES)
        self.soon()
        self.assertTrue(self.link.is_ourselves)
        self.assertNotIn("up", self.owner.events)
        self.assertEqual(self.raw.types, ["HELLO"])

    def test_plain_peer_of_another_name(self) -> None:
        """9.11: a plain peer keeps the name that the rendezvous gave, and that is logged."""
        for named in (ALICE, CAROL):
            self.owner.events.clear()
            self.connect(expected=BOB)
            with capturedLogs() as logs:
                self.raw.say("HELLO_OK", peer_id=named, features=PLAIN_FEATURES)
                self.soon()
            self.assertEqual((self.owner.events, self.link.peer_id), (["up"], BOB))
            self.assertEqual([named in str(event.get("remark")) for event in logs], [True])

    def test_own_kind_of_another_name(self) -> None:
        """9.11: one of our own kind is whom it says it is, and that is logged."""
        self.connect(expected=BOB)
        with capturedLogs() as logs:
            self.raw.say("HELLO_OK", peer_id=CAROL, features=OUR_FEATURES)
            self.soon()
        self.assertEqual((self.owner.events, self.link.peer_id), (["up"], CAROL))
        self.assertEqual(len(logs), 1)

    def test_leaving_before_the_handshake(self) -> None:
        """We may leave before the handshake; there is no BYE to be said then."""
        self.connect()
        self.link.leave("enough")
        self.soon()
        self.assertEqual(self.owner.events, ["gone: enough"])
        self.assertEqual(self.raw.types, ["HELLO"])


class AcceptedHandshakeTests(LinkTestCase):
    def test_hello_ok_at_once(self) -> None:
        """9.6: as acceptor we wait for the HELLO and answer it at once, with our name."""
        self.connect(dialled=False)
        self.assertEqual(self.near.writes, [])
        (answer,) = self.hear("HELLO", peer_id=BOB, version="1.0", features=OUR_FEATURES)
        self.assertEqual(
            answer,
            {
                "type": "HELLO_OK",
                "peer_id": "alice@UnB",
                "version": "1.0",
                "features": OUR_FEATURES,
                "ttl": 1,
            },
        )
        self.assertEqual((self.owner.events, self.link.peer_id, self.link.plain), (["up"], BOB, False))

    def test_features(self) -> None:
        """Section 3: features missing, null or empty mean only the basics; what is no text is not one."""
        cases: list[dict[str, Any]] = [
            {},
            {"features": None},
            {"features": []},
            {"features": [None, 5, ["relay"]]},
        ]
        for fields in cases:
            self.connect(dialled=False)
            self.assertEqual(len(self.hear("HELLO", peer_id=BOB, version="1.0", **fields)), 1)
            self.assertEqual((self.link.plain, self.link.features), (True, frozenset()))

    def test_versions(self) -> None:
        """9.10: the version may be a number or missing."""
        cases: list[dict[str, Any]] = [{"version": 1.0}, {"version": 1}, {}, {"version": None}]
        for fields in cases:
            self.connect(dialled=False)
            (answer,) = self.hear("HELLO", peer_id=BOB, **fields)
            self.assertEqual((answer["type"], answer["version"]), ("HELLO_OK", "1.0"))

    def test_malformed_hello(self) -> None:
        """Section 3: a bad or missing peer_id, or another major version, is bad_format."""
        cases: list[dict[str, Any]] = [
            {},
            {"peer_id": ""},
            {"peer_id": "bob"},
            {"peer_id": None},
            {"peer_id": ["bob@UnB"]},
            {"peer_id": "x" * 65 + "@UnB"},
            {"peer_id": BOB, "version": "2.0"},
            {"peer_id": BOB, "version": 2},
            {"peer_id": BOB, "features": "relay"},
        ]
        for fields in cases:
            self.connect(dialled=False)
            (answer,) = self.hear("HELLO", **fields)
            self.assertEqual((answer["code"], answer["error"]), ("bad_format", "bad_format"))
            self.assertTrue(answer["detail"], fields)
            self.clock.advance(3.0)
        self.assertNotIn("up", self.owner.events)

    def test_anything_else_first(self) -> None:
        """Section 3: what arrives before the HELLO is unauthorized, and nothing behind it is read."""
        hello = line("HELLO", peer_id=BOB, version="1.0")
        for early in (line("PING", msg_id="p1"), line("BYE"), line("HELLO_OK", peer_id=BOB), b"{}\n"):
            self.owner.events.clear()
            self.connect(dialled=False)
            self.raw.wire.write(early + hello)
            self.soon()
            self.assertEqual([answer.get("code") for answer in self.raw.heard], ["unauthorized"])
            self.assertEqual(self.owner.events, [])
            self.clock.advance(2.1)
            self.assertEqual(len(self.owner.events), 1)

    def test_error_first(self) -> None:
        """Section 8: an ERROR is never answered with an ERROR, before the HELLO neither."""
        for early in (line("ERROR", code="busy"), line("ERROR", ttl=[]), b'{"status":"ERROR"}\n'):
            self.connect(dialled=False)
            self.raw.wire.write(early)
            self.clock.advance(3.0)
            self.assertEqual(self.raw.heard, [])
            self.assertTrue(self.raw.ended)

    def test_too_long_first(self) -> None:
        """Section 2: a line that is too long before the HELLO is told so, and the link closed."""
        self.connect(dialled=False)
        self.raw.wire.write(b"x" * (MAX_LINE + 1) + b"\n")
        self.soon()
        self.assertEqual([error["code"] for error in self.raw.heard], ["line_too_long"])
        self.assertTrue(self.raw.half_closed)

    def test_turned_away(self) -> None:
        """Section 3: whom the owner does not let in is told why."""
        self.owner.refusal = ProtocolError(ErrorCode.BUSY, "full")
        self.connect(dialled=False)
        (answer,) = self.hear("HELLO", peer_id=BOB, version="1.0")
        self.assertEqual((answer["code"], answer["detail"]), ("busy", "full"))
        self.clock.advance(2.0)
        self.assertEqual(self.owner.events, ["gone: full"])

    def test_our_own_name(self) -> None:
        """Section 3: a dialler of our own name learns from the HELLO_OK whom it reached, and is closed."""
        self.connect(dialled=False)
        self.hear("HELLO", peer_id=ALICE, version="1.0", features=OUR_FEATURES)
        self.assertEqual([answer["peer_id"] for answer in self.raw.heard], [ALICE])
        self.assertEqual(len(self.owner.events), 1)
        self.assertIn("our own name", self.owner.events[0])

    def test_same_segment(self) -> None:
        """9.9: what arrives right behind the HELLO, in one segment, is processed after the HELLO_OK."""
        send = line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        for features in (OUR_FEATURES, PLAIN_FEATURES):
            self.owner.messages.clear()
            self.connect(dialled=False)
            hello = line("HELLO", peer_id=BOB, version="1.0", features=features)
            self.raw.wire.write(hello + send + line("PING", msg_id="p1"))
            self.clock.advance(1.0)
            self.assertEqual(self.raw.types, ["HELLO_OK", "PONG"])
            self.assertEqual([type(message) for message in self.owner.messages], [Send])

    def test_greeted_twice(self) -> None:
        """Some clients greet twice; that changes nothing."""
        self.come_up(PLAIN_FEATURES, dialled=False)
        self.hear("HELLO", peer_id=CAROL, version="9.9")
        self.hear("HELLO_OK", peer_id=CAROL)
        self.hear("HELLO_REJECT")
        self.assertEqual((self.link.peer_id, self.owner.events, self.raw.heard), (BOB, ["up"], []))
