"""Our own messages, over a direct link (docs/protocol.md, sections 4, 5 and 9)."""

from __future__ import annotations

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.routing import delivery as delivery_module
from p2pchat.routing.delivery import State
from tests.routing.neighbours import ALICE, BOB, CAROL, RouterTestCase


class SendingTests(RouterTestCase):
    def test_to_our_own_kind(self) -> None:
        """Section 4: a SEND has all its fields; the ttl at the origin is 8 (section 2)."""
        bob = self.link()
        delivery = self.router.send(BOB, "olá")
        self.assertEqual(
            bob.heard,
            [
                {
                    "type": "SEND",
                    "msg_id": "a1",
                    "src": "alice@UnB",
                    "dst": "bob@UnB",
                    "payload": "olá",
                    "require_ack": True,
                    "ttl": 8,
                }
            ],
        )
        self.assertEqual((self.house.began, delivery.state), ([delivery], State.SENT))

    def test_to_a_plain_peer(self) -> None:
        """9.1 and 9.4: to a plain peer the ttl is 1, and the line is ASCII."""
        bob = self.link(plain=True)
        self.router.send(BOB, "olá")
        self.assertEqual((bob.heard[0]["ttl"], bob.heard[0]["payload"]), (1, "olá"))
        self.assertTrue(bob.lines[0].isascii())

    def test_confirmed(self) -> None:
        """Section 4: the ACK of the destination settles a message, once."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(1.5)
        for _ in range(2):
            self.receive(bob, "ACK", msg_id="a1", from_=BOB, src=BOB, dst=ALICE, ttl=8)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertAlmostEqual(delivery.took_s, 1.5)
        self.advance(60.0)
        self.assertEqual((len(bob.lines), len(self.house.settlements)), (1, 1))

    def test_bare_ack(self) -> None:
        """9.10: an ACK of a type and a msg_id alone is one."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.receive(bob, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)

    def test_ack_of_somebody_else(self) -> None:
        """Section 4: only the destination can confirm; the ACK of another one is ignored."""
        bob, carol = self.link(), self.link(CAROL)
        delivery = self.router.send(BOB, "hi")
        self.receive(carol, "ACK", msg_id="a1")
        self.receive(carol, "ACK", msg_id="a1", from_=CAROL, src=CAROL, dst=ALICE)
        self.assertEqual(self.house.settlements, [])
        self.receive(bob, "ACK", msg_id="a2")
        self.assertEqual(self.house.settlements, [])
        self.receive(bob, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)

    def test_too_long(self) -> None:
        """Section 2: a message that would be too long is refused with both sizes; nothing is sent."""
        bob = self.link()
        for payload in ("x" * 33000, "\x00" * 6000, "😀" * 3000):
            with self.assertRaises(ProtocolError) as caught:
                self.router.send(BOB, payload)
            self.assertEqual(caught.exception.code, ErrorCode.LINE_TOO_LONG)
            self.assertIn("32768", caught.exception.detail)
            self.assertRegex(caught.exception.detail, "too long: [0-9]{5} bytes")
        with self.assertRaises(ProtocolError):
            self.router.publish(ToAll(), "x" * 33000)
        self.assertEqual((bob.lines, len(self.router.pending)), ([], 0))

    def test_longest(self) -> None:
        """Section 2: the longest message that is taken fits in 32768 bytes, resent as well."""
        bob = self.link()
        size = 32768
        while True:
            try:
                self.router.send(BOB, "x" * size)
                break
            except ProtocolError:
                size -= 1
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 3)
        self.assertLessEqual(max(map(len, bob.lines)), 32769)
        self.assertGreater(max(map(len, bob.lines)), 32700)

    def test_half_a_character(self) -> None:
        """A text that no line can carry is refused at once, linked or not; nothing waits for it."""
        for linked in (False, True):
            if linked:
                self.link()
            with self.assertRaises(ProtocolError) as caught:
                self.router.send(BOB, "half \udcff")
            self.assertEqual(caught.exception.code, ErrorCode.BAD_FORMAT)
        self.assertEqual(len(self.router.pending), 0)

    def test_table_full(self) -> None:
        """Section 5: beyond so many open messages the next is refused as busy, until one settles."""
        self.patch(delivery_module, "MAX_PENDING", 2)
        bob = self.link()
        self.router.send(BOB, "1")
        self.router.send(BOB, "2")
        with self.assertRaises(ProtocolError) as caught:
            self.router.send(BOB, "3")
        self.assertEqual(caught.exception.code, ErrorCode.BUSY)
        self.receive(bob, "ACK", msg_id="a1")
        self.router.send(BOB, "4")
        self.assertEqual([fields["payload"] for fields in bob.heard], ["1", "2", "4"])

    def test_queue_full(self) -> None:
        """Section 5: where too much waits for the neighbour already, the newest is refused as busy."""
        bob = self.link()
        bob.full = True
        delivery = self.router.send(BOB, "hi")
        self.assert_settled(delivery, State.FAILED, "busy", "bob@UnB")
        self.assertEqual(self.house.began, [])

    def test_queue_full_at_a_resend(self) -> None:
        """Where there is no room for a resend it is over; what was sent before may have arrived."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        bob.full = True
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "too much waits")

    def test_long_for_a_plain_peer(self) -> None:
        """9.5: a line over 4096 bytes goes out to a plain peer with one warning, resends included."""
        bob = self.link(plain=True)
        carol = self.link(CAROL)
        self.router.send(CAROL, "x" * 5000)
        self.router.send(BOB, "x" * 3000)
        self.assertEqual(self.house.warnings, [])
        self.router.send(BOB, "x" * 5000)
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 6)
        self.assertEqual((len(self.house.warnings), len(carol.of_type("SEND"))), (1, 3))
        self.assertEqual(self.house.warnings[0][0], BOB)
        self.assertIn("4096", self.house.warnings[0][1])

    def test_long_and_not_taken(self) -> None:
        """Of what a plain peer is not sent there is no warning, only the failure."""
        bob = self.link(plain=True)
        bob.full = True
        delivery = self.router.send(BOB, "x" * 5000)
        self.assert_settled(delivery, State.FAILED, "busy", "too much waits")
        self.assertEqual(self.house.warnings, [])

    def test_give_up(self) -> None:
        """At the end all that is open is told as not confirmed, with the reason."""
        self.link()
        deliveries = [self.router.send(BOB, "1"), self.router.send(CAROL, "2")]
        self.router.give_up("we stop")
        self.assertEqual(self.house.settlements, deliveries)
        self.assertEqual({(each.code, each.why) for each in deliveries}, {("not confirmed", "we stop")})
        self.assertEqual((len(self.router.pending), self.router.tally.failed), (0, 2))


class ResendingTests(RouterTestCase):
    def test_waits_and_attempts(self) -> None:
        """Section 5: tried again after 5 and 7.5 s, with ``attempt``; after 10 s more it is over."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        times_s: list[float] = []
        for _ in range(240):
            self.advance(0.1)
            if len(bob.lines) > len(times_s) + 1:
                times_s.append(round(self.now_s - 1000.0, 1))
        self.assertEqual(times_s, [5.0, 12.5])
        self.assertEqual([fields.get("attempt") for fields in bob.heard], [None, 2, 3])
        self.assertEqual({fields["msg_id"] for fields in bob.heard}, {"a1"})
        self.assert_settled(delivery, State.FAILED, "not confirmed", "3 times", "23 s")
        self.assertEqual((self.router.tally.sent, self.router.tally.resent), (1, 2))
        self.assertEqual(len(self.house.began), 1)

    def test_plain_peers_get_no_attempt(self) -> None:
        """Section 9: to a plain peer the same line goes again."""
        bob = self.link(plain=True)
        self.router.send(BOB, "hi")
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 3)
        self.assertEqual(len(set(bob.lines)), 1)

    def test_confirmed_late(self) -> None:
        """An ACK that comes after a resend confirms as well."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(13.0)
        self.receive(bob, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual(delivery.tries, 3)
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 3)

    def test_why(self) -> None:
        """Section 5: the reason says that a peer does not offer confirmations, or what it said."""
        self.link(plain=True, features=frozenset())
        delivery = self.router.send(BOB, "hi")
        self.advance(30.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "may have arrived")

    def test_trouble_is_told(self) -> None:
        """What the peer said about it on the way is part of the reason."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.receive(bob, "ERROR", code="busy", ref="a1", detail="my disk is full")
        self.advance(30.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "3 times", "busy: my disk is full")


class PublishingTests(RouterTestCase):
    def test_to_all(self) -> None:
        """Section 4: a PUB goes to every neighbour, in the form that it needs."""
        bob, carol = self.link(), self.link(CAROL, plain=True)
        self.assertEqual(self.router.publish(ToAll(), "olá"), 2)
        (ours,), (plain,) = bob.heard, carol.heard
        fields = {
            "type": "PUB",
            "msg_id": "a1",
            "src": ALICE,
            "dst": "*",
            "payload": "olá",
            "require_ack": False,
        }
        self.assertEqual((ours, plain), ({**fields, "ttl": 8}, {**fields, "ttl": 1}))
        self.assertTrue(carol.lines[0].isascii())

    def test_to_a_namespace(self) -> None:
        """Section 4: a PUB to a namespace goes to our own kind everywhere, to plain peers only there."""
        inside, outside = self.link(plain=True), self.link(CAROL, plain=True)
        relay = self.link(PeerId("dave@Giga"))
        self.assertEqual(self.router.publish(ToNamespace("UnB"), "hi"), 2)
        self.assertEqual([len(each.lines) for each in (inside, outside, relay)], [1, 0, 1])
        self.assertEqual(inside.heard[0]["dst"], "#UnB")

    def test_long_for_a_plain_peer(self) -> None:
        """9.5: a long PUB goes out with a warning for each plain peer that it goes to."""
        self.link(plain=True)
        self.link(CAROL)
        self.assertEqual(self.router.publish(ToAll(), "x" * 5000), 2)
        self.assertEqual(len(self.house.warnings), 1)
        self.assertEqual(self.house.warnings[0][0], BOB)

    def test_not_taken(self) -> None:
        """A neighbour for whom too much waits is not counted."""
        bob, _carol = self.link(), self.link(CAROL)
        bob.full = True
        self.assertEqual(self.router.publish(ToAll(), "hi"), 1)
        self.assertEqual(len(self.router.pending), 0)
