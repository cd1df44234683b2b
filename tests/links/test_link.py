"""A link that is up: lines good and bad, PING, our own faults (docs/protocol.md, sections 2 to 4, 8)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.logger import capturedLogs

from p2pchat.links.link import Link
from p2pchat.links.questions import LinkClosed
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.framing import MAX_DISCARD, MAX_LINE
from p2pchat.protocol.messages import Error, Send
from tests.links.peers import (
    ALICE,
    BOB,
    CAROL,
    OUR_FEATURES,
    TIMESTAMP,
    LinkTestCase,
    line,
    pong,
)


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
