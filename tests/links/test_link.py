"""One link and the peer at its other end (docs/protocol.md, sections 2, 3, 8 and 9)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import TimeoutError
from twisted.logger import capturedLogs

from p2pchat.links.link import Link
from p2pchat.links.outgoing import MAX_LINES
from p2pchat.links.questions import LinkClosed
from p2pchat.protocol.codec import encode, encode_plain
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_DISCARD, MAX_LINE
from p2pchat.protocol.messages import Ack, Error, Send
from tests.links.peers import (
    ALICE,
    BOB,
    CAROL,
    OUR_FEATURES,
    PLAIN_FEATURES,
    TIMESTAMP,
    LinkTestCase,
    bye_ok,
    line,
    pong,
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


class LineTests(LinkTestCase):
    """Lines, good and bad, on a link that is up."""

    def setUp(self) -> None:
        super().setUp()
        self.come_up(OUR_FEATURES)

    def test_messages_in_order(self) -> None:
        """Messages reach the owner in order, however they are cut; empty lines are ignored."""
        lines = b"".join(
            line("SEND", msg_id=f"m{n}", src=BOB, dst=ALICE, payload=str(n)) for n in range(3)
        ).replace(b"\n", b"\r\n\n\r\n")
        for start in range(0, len(lines), 7):
            self.link.dataReceived(lines[start : start + 7])
        payloads = [message.payload for message in self.owner.messages if isinstance(message, Send)]
        self.assertEqual((payloads, self.link.received, self.link.bad_lines), (["0", "1", "2"], 4, 0))

    def test_too_long(self) -> None:
        """Section 2: a line too long is answered with the limit, and the link goes on behind it."""
        self.raw.wire.write(b"x" * 40000 + b"\n" + line("PING", msg_id="p1"))
        self.soon()
        self.assertEqual(self.raw.types, ["ERROR", "PONG"])
        error = self.raw.heard[0]
        self.assertEqual((error["code"], error["error"], error["limit"]), ("line_too_long",) * 2 + (32768,))
        self.assertEqual(self.owner.events, ["up"])

    def test_longest(self) -> None:
        """Section 2: a line of exactly 32768 bytes is read."""
        send = line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="")
        payload = "x" * (MAX_LINE - len(send) + 1)
        self.raw.wire.write(line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload=payload))
        self.soon()
        self.assertEqual((len(self.owner.messages), self.raw.heard), (1, []))

    def test_endless(self) -> None:
        """Section 2: where a line has no end within 1 MiB, the link is told so and closed."""
        self.raw.wire.write(b"x" * (MAX_DISCARD + 1))
        self.clock.advance(3.0)
        self.assertEqual([error["code"] for error in self.raw.heard], ["line_too_long"] * 2)
        self.assertEqual(len(self.owner.events), 3)
        self.assertTrue(self.raw.ended)

    def test_bad_lines(self) -> None:
        """Section 8: a bad line is answered bad_format in both forms, and the link goes on."""
        for bad in (
            b"nonsense\n",
            b"5\n",
            b"{}\n",
            line("SEND", src=BOB),
            b"\x00\xff\n",
            b"[" * 2000 + b"\n",
        ):
            self.raw.heard.clear()
            self.raw.wire.write(bad)
            self.soon()
            self.assertEqual(self.raw.types, ["ERROR"], bad)
            error = self.raw.heard[0]
            self.assertEqual(
                (error["code"], error["error"], error["status"]), ("bad_format",) * 2 + ("ERROR",)
            )
        self.assertEqual((self.owner.events, self.link.bad_lines), (["up"], 6))

    def test_ref(self) -> None:
        """Section 8: the answer to a bad message refers to it where it has a msg_id."""
        (error,) = self.hear("SEND", msg_id="m1", src=BOB, dst=ALICE, payload=5)
        self.assertEqual((error["ref"], error["dst"]), ("m1", BOB))

    def test_one_log_line(self) -> None:
        """Bad lines write one line into the log per link; the others are counted."""
        with capturedLogs() as logs:
            for _ in range(50):
                self.raw.wire.write(b"nonsense\n")
            self.soon()
        self.assertEqual((len(logs), self.link.bad_lines), (1, 50))

    def test_complaints_are_bounded(self) -> None:
        """Garbage gets 10 answers a second and no more."""
        for _ in range(50):
            self.raw.wire.write(b"nonsense\n")
        self.soon()
        self.assertEqual(len(self.raw.heard), 10)
        self.clock.advance(1.0)
        self.assertEqual(len(self.hear("SEND")), 1)

    def test_unknown_types(self) -> None:
        """Section 4: unknown types get bad_format with the type, once a second per link; the link stays."""
        for _ in range(5):
            self.raw.say("DANCE", msg_id="d1")
            self.raw.say("SING")
        self.soon()
        self.assertEqual(len(self.raw.heard), 1)
        error = self.raw.heard[0]
        self.assertEqual((error["code"], error["ref"]), ("bad_format", "d1"))
        self.assertIn("DANCE", error["detail"])
        self.clock.advance(1.0)
        self.assertEqual(len(self.hear("SING")), 1)
        self.assertEqual(self.owner.events, ["up"])

    def test_hostile_type(self) -> None:
        """An unknown type that is huge and full of control characters is quoted short and harmless."""
        (error,) = self.hear("\x1b[2J\u202e" * 2000)
        self.assertLess(len(error["detail"]), 301)
        self.assertTrue(error["detail"].isprintable())

    def test_error_is_not_answered(self) -> None:
        """Section 8: an ERROR is never answered with an ERROR, a broken one neither."""
        self.raw.wire.write(line("ERROR", code="busy") + b'{"status":"ERROR","error":"busy"}\n')
        self.raw.wire.write(line("ERROR", ttl="x") + line("ERROR", limit="x", detail=["what"]))
        self.soon()
        self.assertEqual(self.raw.heard, [])
        self.assertEqual([type(message) for message in self.owner.messages], [Error] * 3)
        self.assertEqual((self.link.bad_lines, self.owner.events), (1, ["up"]))

    def test_problem_of_the_owner(self) -> None:
        """What the owner finds wrong with a message is answered like a bad line."""

        def refuse(_link: Link) -> None:
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "you are not carol", ref="m1")

        self.owner.instead["message_received"] = refuse
        (error,) = self.hear("SEND", msg_id="m1", src=CAROL, dst=ALICE, payload="hi")
        self.assertEqual((error["code"], error["ref"]), ("unauthorized", "m1"))
        self.assertEqual(self.owner.events, ["up"])

    def test_tracing(self) -> None:
        """While tracing is on, each line is shown to the owner as it came, the bad ones too."""
        self.raw.wire.write(b"nonsense\n")
        self.soon()
        self.around.tracing = True
        self.raw.wire.write(b"more nonsense\n")
        self.soon()
        self.assertEqual(self.owner.traced, [b"more nonsense"])


class DefectTests(LinkTestCase):
    """Our own faults: each ends one link, is logged once with its traceback, and counted."""

    def fail(self, _link: object) -> None:  # type: ignore[override]
        raise ZeroDivisionError("a defect")

    def test_in_a_message(self) -> None:
        """An unexpected exception ends that link, and the peer is told."""
        self.come_up(OUR_FEATURES)
        self.owner.instead["message_received"] = self.fail
        self.raw.wire.write(line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="1") * 3)
        self.clock.advance(3.0)
        self.assertEqual([error["code"] for error in self.raw.heard], ["internal_error"])
        self.assertEqual((len(self.owner.messages), self.around.broken), (1, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.owner.events), 3)

    def test_when_up(self) -> None:
        """An unexpected exception in whoever is told that a link is up ends it likewise."""
        self.owner.instead["link_up"] = self.fail
        self.connect(dialled=False)
        self.hear("HELLO", peer_id=BOB, version="1.0", features=OUR_FEATURES)
        self.clock.advance(2.0)
        self.assertEqual(self.raw.types, ["HELLO_OK", "ERROR"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.around.broken, len(self.owner.events)), (1, 3))

    def test_when_down(self) -> None:
        """An unexpected exception in whoever is told that a link is down does not keep it open."""
        self.come_up(OUR_FEATURES)
        self.owner.instead["link_down"] = self.fail
        self.raw.say("BYE", msg_id="b1")
        self.soon()
        self.assertEqual(self.raw.types, ["BYE_OK"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.around.broken, 1)
        self.assertEqual(len(self.owner.events), 3)
        self.assertTrue(self.raw.ended)

    def test_when_leaving(self) -> None:
        """An unexpected exception in a message that made us leave ends the link all the same."""
        self.come_up(OUR_FEATURES)

        def leave_and_fail(link: Link) -> None:
            link.leave("enough")
            self.fail(link)

        self.owner.instead["message_received"] = leave_and_fail
        self.hear("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="1")
        self.clock.advance(2.0)
        self.assertEqual(self.raw.types, ["BYE", "ERROR"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.owner.events), 3)


class KeepAliveTests(LinkTestCase):
    """PING and PONG on a link."""

    def setUp(self) -> None:
        super().setUp()
        self.come_up(OUR_FEATURES)

    def tick(self, seconds: int) -> None:
        """Let seconds pass, and the link's keep-alive look at each of them."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.link.tick()

    def test_pong_at_once(self) -> None:
        """Section 3: a PING is answered with the same msg_id."""
        (answer,) = self.hear("PING", msg_id="p1", timestamp=12.5)
        self.assertEqual((answer["type"], answer["msg_id"]), ("PONG", "p1"))
        self.assertEqual(answer["timestamp"], TIMESTAMP)

    def test_ping_every_30_seconds(self) -> None:
        """Section 2: a PING goes every 30 s, also from the side that accepted."""
        self.raw.answers["PING"] = pong
        self.tick(91)
        self.assertEqual(self.raw.types, ["PING"] * 3)
        first = self.raw.heard[0]
        self.assertEqual((first["timestamp"], first["ttl"]), (TIMESTAMP, 1))
        self.tick(600)
        self.assertEqual(self.owner.events, ["up"])

    def test_rtt(self) -> None:
        """Section 3: the round trip is what our own clock says."""
        asked = self.link.ping()
        self.clock.advance(0.4)
        self.raw.say("PONG", msg_id=self.raw.heard[0]["msg_id"], timestamp="1970-01-01T00:00:00Z")
        self.clock.advance(0.1)
        self.assertAlmostEqual(self.successResultOf(asked), 0.401)
        self.assertAlmostEqual(self.link.rtt_s or 0, 0.401)

    def test_three_unanswered(self) -> None:
        """Section 2: three PINGs unanswered in a row end the link, with a BYE."""
        self.tick(119)
        self.assertEqual((self.raw.types, self.owner.events), (["PING"] * 3, ["up"]))
        self.tick(1)
        self.soon()
        self.assertEqual(self.raw.types, ["PING"] * 3 + ["BYE"])
        self.assertIn("not answered", self.raw.heard[-1]["reason"])
        self.clock.advance(2.0)
        self.assertEqual(len(self.owner.events), 3)

    def test_no_ping_before_and_after(self) -> None:
        """A link that is not up, or not any more, pings nobody."""
        self.link.leave("enough")
        self.tick(1)
        self.raw.heard.clear()
        self.tick(100)
        self.assertEqual(self.raw.heard, [])

    def test_ping_not_answered(self) -> None:
        """A PING of the user's fails after 5 s, or when the link ends, or at once when it has ended."""
        asked = self.link.ping()
        self.clock.advance(5.0)
        self.failureResultOf(asked, TimeoutError)
        asked = self.link.ping()
        self.raw.wire.abortConnection()
        self.soon()
        self.failureResultOf(asked, LinkClosed)
        self.failureResultOf(self.link.ping(), LinkClosed)

    def test_answer_of_another_kind(self) -> None:
        """A METRICS does not answer a PING, nor a PONG a METRICS_REQ; nor does a PONG to nothing."""
        pinged, asked = self.link.ping(), self.link.ask_metrics()
        self.soon()
        self.raw.say("METRICS", msg_id=self.raw.heard[0]["msg_id"])
        self.raw.say("PONG", msg_id=self.raw.heard[1]["msg_id"])
        self.soon()
        self.assertNoResult(pinged)
        self.assertNoResult(asked)
        self.clock.advance(5.0)
        self.failureResultOf(pinged, TimeoutError)
        self.failureResultOf(asked, TimeoutError)

    def test_many_pings(self) -> None:
        """Of more PINGs than are remembered, the forgotten ones fail, and never fire with nothing."""
        asked = [self.link.ping() for _ in range(20)]
        self.soon()
        for ping in self.raw.heard:
            self.raw.say("PONG", msg_id=ping["msg_id"])
        self.clock.advance(5.0)
        for question in asked[:4]:
            self.failureResultOf(question, TimeoutError)
        for question in asked[4:]:
            self.assertGreater(self.successResultOf(question), 0.0)

    def test_metrics(self) -> None:
        """Section 4: METRICS_REQ is answered with what we counted on this link."""
        (answer,) = self.hear("METRICS_REQ", msg_id="q1", src=BOB, dst=ALICE)
        self.assertEqual((answer["type"], answer["msg_id"], answer["rtt_ms"]), ("METRICS", "q1", None))
        self.assertEqual((answer["src"], answer["dst"]), (ALICE, BOB))
        self.assertEqual((answer["sent_count"], answer["recv_count"]), (1, 2))
        self.assertEqual(answer["last_seen"], TIMESTAMP)
        self.raw.answers["PING"] = pong
        self.successResultOf(self.pinged())
        (answer,) = self.hear("METRICS_REQ", msg_id="q2")
        self.assertEqual(answer["rtt_ms"], 2.0)

    def pinged(self) -> Any:
        asked = self.link.ping()
        self.soon()
        return asked

    def test_ask_metrics(self) -> None:
        """Section 4: what the peer counted reaches whoever asked."""
        asked = self.link.ask_metrics()
        self.soon()
        (request,) = self.raw.heard
        self.assertEqual((request["type"], request["src"], request["dst"]), ("METRICS_REQ", ALICE, BOB))
        self.hear("METRICS", msg_id=request["msg_id"], rtt_ms=1.5, sent_count=7)
        self.assertEqual(self.successResultOf(asked).sent_count, 7)


class FarewellTests(LinkTestCase):
    """BYE and BYE_OK, and every other way to end."""

    def setUp(self) -> None:
        super().setUp()
        self.come_up(OUR_FEATURES)

    def test_we_leave(self) -> None:
        """Section 3: BYE, BYE_OK, and then we close."""
        self.raw.answers["BYE"] = bye_ok
        self.link.leave("good night")
        self.assertEqual(self.owner.events, ["up", "down: good night"])
        self.soon()
        (bye,) = self.raw.heard
        self.assertEqual((bye["src"], bye["dst"], bye["reason"]), (ALICE, BOB, "good night"))
        self.assertTrue(bye["msg_id"])
        self.assertEqual(self.owner.events[2:], ["gone: good night"])
        self.assertTrue(self.raw.ended)

    def test_another_id(self) -> None:
        """9.10: a BYE_OK with another id or none is one."""
        for fields in ({"msg_id": "other"}, {}, {"msg_id": None, "src": 5}):
            self.owner.events.clear()
            self.come_up(OUR_FEATURES)
            self.link.leave("good night")
            self.hear("BYE_OK", **fields)
            self.assertEqual(len(self.owner.events), 3)

    def test_no_answer(self) -> None:
        """Section 3: without an answer we close after 2 s."""
        self.link.leave("good night")
        self.clock.advance(1.99)
        self.assertEqual(len(self.owner.events), 2)
        self.clock.advance(0.02)
        self.assertEqual(len(self.owner.events), 3)
        self.soon()
        self.assertTrue(self.raw.ended)

    def test_the_peer_leaves(self) -> None:
        """Section 3: a BYE is answered with its msg_id, and then we close."""
        self.hear("BYE", msg_id="b1", src=BOB, dst=ALICE, reason="bed time")
        (answer,) = self.raw.heard
        self.assertEqual(answer, {"type": "BYE_OK", "msg_id": "b1", "src": ALICE, "dst": BOB, "ttl": 1})
        self.assertEqual(
            self.owner.events[1:], [f"{e}: the peer said BYE: bed time" for e in ("down", "gone")]
        )
        self.assertTrue(self.link.said_bye)
        self.assertTrue(self.raw.ended)

    def test_bye_without_ids(self) -> None:
        """9.10: a BYE without ids is one; the answer has all fields as strings (9.3)."""
        (answer,) = self.hear("BYE")
        self.assertEqual(answer, {"type": "BYE_OK", "msg_id": "", "src": ALICE, "dst": BOB, "ttl": 1})

    def test_crossing(self) -> None:
        """When both say BYE at once, each gets its answer, and the link ends once."""
        self.link.leave("good night")
        self.raw.say("BYE", msg_id="b1")
        self.soon()
        self.assertEqual(self.raw.types, ["BYE", "BYE_OK"])
        self.assertEqual(len(self.owner.events), 3)

    def test_2_seconds_at_most(self) -> None:
        """Section 3: a peer that answers our BYE late and then reads nothing keeps us no longer."""
        self.near.stalled = True
        self.link.leave("good night")
        self.clock.advance(1.9)
        self.raw.say("BYE", msg_id="b1")
        self.clock.advance(0.11)
        self.assertEqual(len(self.owner.events), 3)

    def test_messages_while_leaving(self) -> None:
        """What the peer sent before it knew of our BYE is read, and may be answered."""
        self.link.leave("good night")
        self.raw.say("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="wait")
        self.raw.say("PING", msg_id="p1")
        self.soon()
        self.assertEqual(len(self.owner.messages), 1)
        self.assertEqual(self.raw.types, ["BYE", "PONG"])
        self.assertTrue(self.link.write(encode(Ack("m1"))))

    def test_nothing_after_the_end(self) -> None:
        """A link that has ended takes no line, and leaves nothing on the clock."""
        for features in (OUR_FEATURES, PLAIN_FEATURES):
            self.owner.events.clear()
            self.come_up(features)
            self.raw.wire.abortConnection()
            self.soon()
            self.assertFalse(self.link.write(b"x\n"))
            self.assertFalse(self.link.write(b"x\n", urgent=True))
            self.link.leave("too late")
            self.link.abort()
            self.link.tick()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_behind_a_bye(self) -> None:
        """What comes behind a BYE in the same segment is not read, and nothing can be written."""
        self.raw.wire.write(line("BYE") + line("PING", msg_id="p1") + line("BYE") + b"nonsense\n")
        self.clock.advance(0.0015)
        self.assertFalse(self.link.write(b"x\n"))
        self.soon()
        self.assertEqual(self.raw.types, ["BYE_OK"])

    def test_half_close(self) -> None:
        """A peer that closes its half right behind its question still gets the answer."""
        self.raw.say("PING", msg_id="p1")
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.assertEqual(self.raw.types, ["PONG"])
        self.assertEqual(
            self.owner.events[1:], [f"{e}: the peer closed the connection" for e in ("down", "gone")]
        )
        self.assertTrue(self.raw.ended)

    def test_half_close_behind_a_full_socket(self) -> None:
        """So it does when our socket was full at that moment."""
        self.near.stalled = True
        for number in range(3):
            self.assertTrue(self.link.write(b'{"type":"X","n":"%d%s"}\n' % (number, b"x" * 30000)))
        self.raw.say("PING", msg_id="p1")
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual(self.raw.types, ["X", "X", "X", "PONG"])
        self.assertTrue(self.raw.ended)

    def test_close_while_the_socket_is_full(self) -> None:
        """A link closes as soon as a full socket has drained, not only at its deadline."""
        self.near.stalled = True
        for _ in range(3):
            self.link.write(b'{"type":"X","n":"%s"}\n' % (b"x" * 30000))
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual((self.raw.types, self.raw.ended), (["X", "X", "X"], True))

    def test_refused_peer_reads_why(self) -> None:
        """A link that we refuse closes its half first, so that the reason arrives before the end."""
        self.raw.wire.write(b"x" * (MAX_DISCARD + 1))
        self.soon()
        self.assertEqual((self.raw.types, self.raw.half_closed), (["ERROR"] * 2, True))
        self.assertEqual(len(self.owner.events), 2)
        self.raw.wire.loseConnection()
        self.soon()
        self.assertEqual(len(self.owner.events), 3)

    def test_reset(self) -> None:
        """A reset ends the link at once."""
        self.raw.wire.abortConnection()
        self.soon()
        self.assertEqual(len(self.owner.events), 3)

    def test_bye_behind_a_full_queue(self) -> None:
        """9.8: BYE goes out, behind what waits, even where nothing else is taken any more."""
        self.near.stalled = True
        filler = b'{"type":"X","n":"%s"}\n' % (b"x" * 30000)
        while self.link.write(filler):
            pass
        self.link.leave("good night")
        self.near.stalled = False
        self.near.flush_soon()
        self.clock.advance(0.5)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(set(self.raw.types[:-1]), {"X"})


class OwnKindTests(LinkTestCase):
    def test_fast(self) -> None:
        """Towards our own kind nothing is spaced out, and text is UTF-8."""
        self.come_up(OUR_FEATURES, dialled=False)
        for number in range(3):
            self.link.write(encode(Send(f"m{number}", ALICE, BOB, "olá", ttl=8)))
        self.soon()
        self.assertEqual([fields["payload"] for fields in self.raw.heard], ["olá"] * 3)
        self.assertEqual({at_s for at_s, _ in self.near.writes}, {self.near.writes[0][0]})

    def test_back_pressure(self) -> None:
        """Section 5: a peer that does not read stops us before memory does, and loses nothing."""
        self.come_up(OUR_FEATURES)
        self.near.stalled = True
        taken = 0
        while self.link.write(b'{"type":"X","n":%d}\n' % taken):
            taken += 1
        self.assertLess(taken, 10_000)
        self.assertGreaterEqual(taken, MAX_LINES)
        self.assertEqual((self.link.outgoing.refused, self.link.outgoing.waiting), (1, MAX_LINES))
        self.near.stalled = False
        self.near.flush_soon()
        self.soon()
        self.assertEqual([fields["n"] for fields in self.raw.heard], list(range(taken)))
        self.assertEqual(self.link.outgoing.waiting, 0)


class PlainTests(LinkTestCase):
    """Section 9: what we send to peers that do not list ``relay``."""

    def assert_plain_lines(self, count: int) -> list[float]:
        """Assert that *count* lines were written as plain peers need them; return when."""
        self.assertEqual(len(self.near.writes), count)
        for _, data in self.near.writes:
            self.assertTrue(data.isascii(), data)
            self.assertEqual(data.count(b"\n"), 1)
            self.assertTrue(data.startswith(b"{"), data)
            self.assertTrue(data.endswith(b"}\n"), data)
        for fields in self.raw.heard:
            self.assertEqual(fields["ttl"], 1)
        self.assertEqual(len(self.raw.segments), count)
        times_s = [at_s for at_s, _ in self.near.writes]
        for earlier_s, later_s in pairwise(times_s):
            self.assertGreaterEqual(later_s - earlier_s, 0.05 - 1e-9)
        return times_s

    def test_dialled(self) -> None:
        """9.5: one line to a segment, 50 ms apart, ASCII, ttl 1; control lines first."""
        self.come_up(PLAIN_FEATURES)
        began_s = self.clock.seconds()
        for number in range(3):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "olá", ttl=8)))
        self.raw.say("PING", msg_id="p1")
        self.raw.say("DANCE")
        self.clock.advance(2.0)
        self.assertLess(self.assert_plain_lines(5)[0], began_s + 0.06)
        self.assertEqual(self.raw.types[-3:], ["SEND"] * 3)

    def test_accepted(self) -> None:
        """9.5: the first line after our HELLO_OK leaves 250 ms later; the HELLO_OK itself at once."""
        self.connect(dialled=False)
        self.raw.wire.write(line("HELLO", peer_id=BOB, version="1.0") + line("PING", msg_id="p1"))
        self.clock.advance(0.001)
        self.link.write(encode_plain(Ack("m1", ALICE)))
        self.clock.advance(1.0)
        times_s = self.assert_plain_lines(3)
        self.assertEqual(self.raw.types, ["HELLO_OK", "PONG", "ACK"])
        self.assertGreaterEqual(times_s[1] - times_s[0], 0.25)
        self.assertLess(times_s[1] - times_s[0], 0.26)

    def test_every_line_of_ours(self) -> None:
        """9.1 to 9.4: whatever a link says by itself is plain towards plain peers."""
        self.connect(dialled=False)
        self.raw.say("HELLO", peer_id="zoë@UnB", version="1.0")
        self.soon()
        for kind in ("PING", "METRICS_REQ"):
            self.raw.say(kind, msg_id="ünïque")
        self.raw.say("DÄNCE", msg_id="ünïque")
        self.link.ping().addErrback(lambda _: None)
        self.link.ask_metrics().addErrback(lambda _: None)
        self.soon()
        self.link.leave("schön")
        self.clock.advance(1.5)
        self.assert_plain_lines(7)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(self.raw.of("BYE")[0]["dst"], "zoë@UnB")

    def test_small_greeting(self) -> None:
        """9.2: HELLO and HELLO_OK stay under 1024 bytes and end after one object."""
        self.connect()
        self.assertLess(len(self.near.writes[0][1]), 1024)
        self.connect(dialled=False)
        self.hear("HELLO", peer_id=BOB, version="1.0")
        self.assertLess(len(self.near.writes[0][1]), 1024)

    def test_bye_in_time(self) -> None:
        """9.8: BYE leaves before we close, however many lines still wait for this peer."""
        self.come_up(PLAIN_FEATURES)
        for number in range(200):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "hi")))
        self.link.leave("good night")
        self.clock.advance(1.5)
        self.assertEqual(self.raw.types[-1], "BYE")
        self.assertEqual(self.raw.types.count("BYE"), 1)
        self.assertGreater(self.raw.types.count("SEND"), 10)

    def test_bye_ok_behind_what_waits(self) -> None:
        """A BYE of the peer's is answered before what waits, and all of it goes out."""
        self.come_up(PLAIN_FEATURES)
        for number in range(3):
            self.link.write(encode_plain(Send(f"m{number}", ALICE, BOB, "hi")))
        self.hear("BYE", msg_id="b1")
        self.assertEqual(sorted(self.raw.types), ["BYE_OK", "SEND", "SEND", "SEND"])
        self.assertTrue(self.raw.ended)


#: What may happen to a link from outside: bytes, time, and what its owner does.
LINES = st.sampled_from(
    [
        line("HELLO", peer_id=BOB, version="1.0", features=OUR_FEATURES),
        line("HELLO", peer_id=BOB),
        line("HELLO_OK", peer_id=BOB, features=OUR_FEATURES),
        line("HELLO_OK", peer_id=ALICE),
        line("PING", msg_id="p1"),
        line("PONG", msg_id="id-1"),
        line("BYE", msg_id="b1"),
        line("BYE_OK"),
        line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi"),
        line("METRICS_REQ", msg_id="q1"),
        line("ERROR", code="busy"),
        line("ERROR", ttl="x"),
        line("DANCE"),
        b"nonsense\n",
        b"\n",
        b"x" * 40000,
        b"\n\n",
        b"\xff\xfe",
    ]
)
CHUNKS = LINES | st.binary(max_size=40) | st.lists(LINES, max_size=4).map(b"".join)
STEPS = st.tuples(
    st.sampled_from(["data"] * 6 + ["time", "leave", "ping", "write", "tick", "eof", "reset", "abort"]),
    CHUNKS,
)


class AnythingTests(LinkTestCase):
    """Whatever happens, in whatever order, nothing is raised and the link ends clean."""

    def happen(self, what: str, chunk: bytes) -> None:
        """Let one thing happen to the link."""
        if what == "data":
            self.raw.wire.write(chunk)
        elif what == "time":
            self.clock.advance(len(chunk) % 7 / 2)
        elif what == "leave":
            self.link.leave("enough")
        elif what == "ping":
            self.link.ping().addErrback(lambda _: None)
        elif what == "write":
            self.link.write(b'{"type":"X"}\n')
        elif what == "tick":
            self.link.tick()
        elif what == "eof":
            self.raw.wire.loseWriteConnection()
        elif what == "reset":
            self.raw.wire.abortConnection()
        else:
            self.link.abort()
        self.clock.advance(len(chunk) % 3 * 0.001)

    @settings(max_examples=300)
    @given(st.booleans(), st.booleans(), st.lists(STEPS, max_size=25))
    def test_anything(self, dialled: bool, fails: bool, steps: list[tuple[str, bytes]]) -> None:
        """Arbitrary bytes in arbitrary pieces, with anything between them."""
        self.owner.events.clear()
        if fails:
            self.owner.instead["link_down"] = self.defect
        self.connect(dialled)
        for what, chunk in steps:
            self.happen(what, chunk)
        self.raw.wire.abortConnection()
        self.clock.advance(10.0)
        self.flushLoggedErrors(ZeroDivisionError)
        ends = [event.partition(":")[0] for event in self.owner.events]
        self.assertIn(ends, (["gone"], ["up", "down", "gone"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.network.transports)

    def defect(self, _link: Link) -> None:
        raise ZeroDivisionError("a defect")
