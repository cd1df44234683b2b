"""What happens to a message (docs/protocol.md, sections 4, 5, 8 and 9)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.protocol.errors import MEANINGS, TRANSIENT, ErrorCode, ProtocolError
from p2pchat.protocol.messages import Error
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.routing import delivery as delivery_module
from p2pchat.routing.delivery import State
from p2pchat.routing.router import COMPLAINTS_PER_S
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


class SeekingTests(RouterTestCase):
    def test_no_route(self) -> None:
        """Section 5: without a link within 5 s the user hears no_route."""
        delivery = self.router.send(BOB, "hi")
        self.assertEqual(self.house.sought, [BOB])
        self.advance(4.9)
        self.assertEqual(self.house.settlements, [])
        self.advance(0.1)
        self.assert_settled(delivery, State.FAILED, "no_route", "5 s")
        self.assertEqual(self.house.began, [])

    def test_link_in_time(self) -> None:
        """A link that comes up in time carries what waits for it, in order, and no other message."""
        self.router.send(BOB, "1")
        self.router.send(CAROL, "2")
        self.router.send(BOB, "3")
        self.advance(4.0)
        bob = self.link()
        self.assertEqual([fields["payload"] for fields in bob.of_type("SEND")], ["1", "3"])
        self.advance(4.9)
        self.assertEqual(len(bob.of_type("SEND")), 2)
        self.assertEqual([each.payload for each in self.house.settlements], ["2"])

    def test_link_lost(self) -> None:
        """Section 5: what a lost link did not confirm goes again over the next one."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(1.0)
        self.router.neighbour_down(bob, "reset")
        self.assertEqual((delivery.state, self.house.sought), (State.SEEKING, [BOB]))
        self.advance(4.9)
        again = self.link()
        self.assertEqual([fields["attempt"] for fields in again.heard], [2])
        self.receive(again, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)

    def test_link_lost_for_good(self) -> None:
        """Where no other link comes, the user is told what happened."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "reset")
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset", "no other way", "5 s")

    def test_link_lost_at_the_last_try(self) -> None:
        """A link that falls after the third try ends it."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(13.0)
        self.router.neighbour_down(bob, "reset")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset")
        self.assertEqual(delivery.tries, 3)

    def test_ack_over_a_link_that_leaves(self) -> None:
        """An ACK that comes while the link says its farewells still confirms."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "left")
        self.receive(bob, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual(self.link().lines, [])

    def test_overdue_without_a_link(self) -> None:
        """A message whose link is gone when its ACK is overdue looks for another."""
        bob = self.link()
        self.advance(1.0)
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "reset")
        other = self.link()
        self.router.neighbour_down(other, "reset again")
        third = self.link()
        self.assertEqual([fields["attempt"] for fields in third.heard], [3])
        self.advance(10.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset")


class SuspectTests(RouterTestCase):
    def test_not_sent_again(self) -> None:
        """9.15: a plain link that falls right after a message may fall because of it: not again."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(4.9)
        self.router.neighbour_down(bob, "closed")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again", "closed")
        self.assertEqual(self.link(plain=True).lines, [])

    def test_one_of_several_links(self) -> None:
        """9.15: nor does it go over another link that stands."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(1.0)
        self.router.link_lost(bob, "reset")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again", "reset")
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 1)

    def test_long_after(self) -> None:
        """9.15: what was last sent long before goes again over the next link."""
        bob = self.link(plain=True)
        self.router.send(BOB, "old")
        self.advance(5.0)  # it goes again here
        self.advance(6.0)
        self.router.neighbour_down(bob, "closed")
        again = self.link(plain=True)
        self.assertEqual([fields["payload"] for fields in again.heard], ["old"])

    def test_resent_just_now(self) -> None:
        """9.15: it is the last try that counts."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(6.0)
        self.router.neighbour_down(bob, "closed")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again")


class ReceivingTests(RouterTestCase):
    def test_shown_and_acknowledged(self) -> None:
        """Section 4: a SEND for us is shown, and acknowledged by us, urgently."""
        bob = self.link()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi", require_ack=True, ttl=3)
        self.assertEqual([message.payload for message in self.house.shown], ["hi"])
        ack = {"type": "ACK", "msg_id": "m1", "from": ALICE, "src": ALICE, "dst": BOB, "ttl": 8}
        self.assertEqual((bob.heard, len(bob.urgent)), ([ack], 1))

    def test_ack_to_a_plain_peer(self) -> None:
        """9.1: an ACK to a plain peer has ttl 1."""
        bob = self.link(plain=True)
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual([(fields["type"], fields["ttl"]) for fields in bob.heard], [("ACK", 1)])

    def test_require_ack(self) -> None:
        """Section 4: false asks for none; missing or null counts as true (9.10)."""
        cases: list[tuple[dict[str, Any], int]] = [
            ({"require_ack": False}, 0),
            ({"require_ack": True}, 1),
            ({"require_ack": None}, 1),
            ({}, 1),
        ]
        for number, (fields, acks) in enumerate(cases):
            bob = self.link()
            self.receive(bob, "SEND", msg_id=f"m{number}", src=BOB, dst=ALICE, payload="hi", **fields)
            self.assertEqual(len(bob.lines), acks, fields)
        self.assertEqual(len(self.house.shown), 4)

    def test_duplicates(self) -> None:
        """Section 4: a message is shown once, and acknowledged every time."""
        bob, carol = self.link(), self.link(CAROL)
        for neighbour in (bob, bob, carol):
            self.receive(neighbour, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi", attempt=2)
        self.assertEqual((len(self.house.shown), len(bob.lines), len(carol.lines)), (1, 2, 1))
        self.assertEqual((self.router.tally.received, self.router.tally.duplicates), (1, 2))

    def test_same_id_of_another_source(self) -> None:
        """Section 4: duplicates are recognised by source and msg_id, for counters collide."""
        bob = self.link()
        for src in (BOB, CAROL):
            self.receive(bob, "SEND", msg_id="m1", src=src, dst=ALICE, payload="hi")
        self.assertEqual(len(self.house.shown), 2)

    def test_plain_ids_collide(self) -> None:
        """9.13: for plain sources the payload is part of the key; every duplicate is acknowledged."""
        bob = self.link(plain=True)
        for payload in ("one", "two", "one"):
            self.receive(bob, "SEND", msg_id="17", src=BOB, dst=ALICE, payload=payload)
        self.assertEqual([message.payload for message in self.house.shown], ["one", "two"])
        self.assertEqual([fields["type"] for fields in bob.heard], ["ACK"] * 3)

    def test_for_somebody_else(self) -> None:
        """Section 5: what is for somebody else is answered no_route towards its source, not shown."""
        bob = self.link()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=CAROL, payload="hi")
        error, report = bob.heard
        self.assertEqual((error["code"], error["ref"], error["dst"]), ("no_route", "m1", BOB))
        self.assertIn("carol@Giga", error["detail"])
        self.assertEqual(
            (report["type"], report["msg_id"], report["reason"]), ("RELAY_FAIL", "m1", "no_route")
        )
        self.assertEqual((self.house.shown, self.router.tally.not_for_us), ([], 1))

    def test_forged(self) -> None:
        """Nobody else speaks in our name: it is refused, not shown, not acknowledged."""
        bob = self.link(plain=True)
        for kind in ("SEND", "PUB"):
            problem = self.refusal_of(bob, kind, msg_id="m1", src=ALICE, dst=ALICE, payload="hi")
            self.assertEqual((problem.code, problem.ref), (ErrorCode.UNAUTHORIZED, "m1"))
        self.assertEqual((self.house.shown, bob.lines, self.router.tally.forged), ([], [], 2))

    def test_confirmation_refused(self) -> None:
        """An ACK for which there is no room is counted; the message was shown all the same."""
        bob = self.link()
        bob.full = True
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual((len(self.house.shown), self.router.tally.confirmations_refused), (1, 1))

    def test_forgotten_in_the_end(self) -> None:
        """Duplicates are remembered for ten minutes at least, and not for ever."""
        bob = self.link()
        for wait_s in (0.0, 599.0, 1300.0):
            self.now_s += wait_s
            self.router.tick()
            self.router.tick()
            self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.now_s += 700.0
        self.router.tick()
        self.receive(bob, "SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
        self.assertEqual(len(self.house.shown), 2)

    @given(st.lists(st.tuples(st.sampled_from([BOB, CAROL]), st.sampled_from("abc"), st.booleans())))
    def test_once_each(self, arrivals: list[tuple[PeerId, str, bool]]) -> None:
        """Whatever arrives in whatever order, each message is shown once and each copy acknowledged."""
        self.setUp()
        bob = self.link()
        for src, msg_id, asks in arrivals:
            self.receive(
                bob, "SEND", msg_id=msg_id, src=src, dst=ALICE, payload=f"{src}{msg_id}", require_ack=asks
            )
        shown = [message.payload for message in self.house.shown]
        self.assertEqual(sorted(shown), sorted({f"{src}{msg_id}" for src, msg_id, _ in arrivals}))
        self.assertEqual(len(bob.lines), sum(asks for *_, asks in arrivals))


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

    def test_shown(self) -> None:
        """9.12: a PUB to all, to our namespace in either form, to ourselves, or to nobody is shown."""
        bob = self.link(plain=True)
        cases: list[dict[str, Any]] = [
            {"dst": "*"},
            {"dst": "#UnB"},
            {"dst": "UnB"},
            {"dst": ALICE},
            {"dst": None},
            {"dst": ""},
            {"dest": "#UnB"},
            {},
        ]
        for number, fields in enumerate(cases):
            self.receive(bob, "PUB", msg_id=f"m{number}", src=BOB, payload="hi", **fields)
            self.assertEqual(len(self.house.shown), number + 1, fields)
        self.assertEqual(bob.lines, [])

    def test_not_shown(self) -> None:
        """Section 5: a node outside of the namespace does not show it."""
        bob = self.link()
        for number, dst in enumerate(("#Giga", "Giga", BOB, "#unb", "#", "##UnB")):
            self.receive(bob, "PUB", msg_id=f"m{number}", src=BOB, payload="hi", dst=dst)
        self.assertEqual((self.house.shown, self.router.tally.not_for_us, bob.lines), ([], 6, []))

    def test_never_acknowledged(self) -> None:
        """Section 4: a PUB has no ACK, even where it asks for one."""
        bob = self.link()
        self.receive(bob, "PUB", msg_id="m1", src=BOB, payload="hi", dst="*", require_ack=True)
        self.assertEqual((len(self.house.shown), bob.lines), (1, []))

    def test_duplicates(self) -> None:
        """Section 5: copies beyond the first are dropped and counted."""
        bob, carol = self.link(), self.link(CAROL)
        for neighbour in (bob, carol, bob):
            self.receive(neighbour, "PUB", msg_id="m1", src=BOB, payload="hi", dst="*")
        self.assertEqual((len(self.house.shown), self.router.tally.duplicates), (1, 2))

    def test_our_own_words(self) -> None:
        """Our own PUB that comes back is neither shown nor taken for a forgery."""
        bob = self.link()
        self.router.publish(ToAll(), "hi")
        for _ in range(2):
            self.receive(bob, "PUB", msg_id="a1", src=ALICE, payload="hi", dst="*", ttl=7)
        self.assertEqual((self.house.shown, self.router.tally.forged), ([], 0))


class ErrorTests(RouterTestCase):
    def test_final(self) -> None:
        """Section 8: an ERROR after which trying again is no use ends the message, in either form."""
        codes = [*sorted(set(MEANINGS) - TRANSIENT), "something_new"]
        for code in codes:
            for fields in ({"code": code}, {"error": code}, {"error": code, "status": "ERROR"}):
                self.setUp()
                bob = self.link()
                delivery = self.router.send(BOB, "hi")
                self.receive(bob, "ERROR", ref="a1", **fields)
                meaning = MEANINGS.get(code, "no detail")
                self.assert_settled(delivery, State.FAILED, code, "the peer says", code, meaning)
        self.assertGreater(len(codes), 10)

    def test_without_a_type(self) -> None:
        """Section 8: the form without a type is understood too."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        error = {"status": "ERROR", "error": "unauthorized", "detail": "blocked", "ref": "a1"}
        self.receive(bob, "", **{**error, "type_": None})
        self.assert_settled(delivery, State.FAILED, "unauthorized", "blocked")

    def test_transient(self) -> None:
        """Section 8: after an ERROR that may pass the message is tried again as planned."""
        for code in sorted(TRANSIENT):
            self.setUp()
            bob = self.link()
            delivery = self.router.send(BOB, "hi")
            self.receive(bob, "ERROR", ref="a1", code=code)
            self.assertEqual(self.house.settlements, [])
            self.advance(5.0)
            self.assertEqual(len(bob.lines), 2)
            self.receive(bob, "ACK", msg_id="a1")
            self.assert_settled(delivery, State.CONFIRMED)

    def test_of_somebody_else(self) -> None:
        """An ERROR of somebody else than the destination's neighbour ends nothing."""
        self.link()
        carol = self.link(CAROL)
        self.router.send(BOB, "hi")
        self.receive(carol, "ERROR", ref="a1", code="no_route")
        self.assertEqual((self.house.settlements, len(self.house.complaints)), ([], 1))

    def test_about_nothing(self) -> None:
        """An ERROR about none of our messages is shown, some a second; the others are counted."""
        bob = self.link()
        for ref in ("", "x") * COMPLAINTS_PER_S:
            self.receive(bob, "ERROR", ref=ref, code="bad_format", detail="what?")
        self.assertEqual(len(self.house.complaints), COMPLAINTS_PER_S)
        self.assertEqual(self.router.complaints.refused, COMPLAINTS_PER_S)
        self.assertEqual(self.router.tally.errors_received, 2 * COMPLAINTS_PER_S)
        self.advance(1.0)
        self.receive(bob, "ERROR")
        self.assertEqual(len(self.house.complaints), COMPLAINTS_PER_S + 1)
        self.assertEqual(bob.lines, [])

    def test_never_answered(self) -> None:
        """Section 8: an ERROR is never answered with an ERROR."""
        bob = self.link()
        self.router.send(BOB, "hi")
        self.router.received(bob, Error.make(ErrorCode.BUSY, "x", ref="a1"), b"")
        self.router.received(bob, Error(), b"")
        self.assertEqual(len(bob.lines), 1)

    def test_reason_of_nothing(self) -> None:
        """An ERROR without a code still ends the message that it names."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.receive(bob, "ERROR", ref="a1")
        self.assert_settled(delivery, State.FAILED, "error", "no detail")


class EveryOutcomeTests(RouterTestCase):
    STEPS = st.lists(
        st.tuples(
            st.sampled_from(["send", "up", "down", "ack", "busy", "no", "time", "full"]), st.booleans()
        ),
        max_size=40,
    )

    @given(STEPS)
    def test_settled_once(self, steps: list[tuple[str, bool]]) -> None:
        """Whatever happens, each message is settled exactly once, after three tries and 60 s at most."""
        self.setUp()
        bob = None
        sent = []
        for what, flag in steps:
            if what == "send":
                sent.append(self.router.send(BOB, "hi"))
            elif what == "up" and bob is None:
                bob = self.link(plain=flag)
            elif what == "down" and bob is not None:
                self.router.neighbour_down(bob, "fell")
                bob = None
            elif what == "time":
                self.advance(6.0 if flag else 0.5)
            elif what == "full" and bob is not None:
                bob.full = flag
            elif bob is not None and sent:
                about = sent[0 if flag else -1].msg_id
                fields = {"ack": {"msg_id": about}, "busy": {"ref": about, "code": "busy"}}
                kind = "ACK" if what == "ack" else "ERROR"
                self.receive(bob, kind, **fields.get(what, {"ref": about, "code": "no_route"}))
        self.advance(60.0)
        self.assertEqual(
            sorted(each.msg_id for each in self.house.settlements), sorted(e.msg_id for e in sent)
        )
        self.assertLessEqual(max((each.tries for each in sent), default=0), 3)
        self.assertEqual(len(self.router.pending), 0)
        for each in self.house.settlements:
            self.assertTrue(each.state is State.CONFIRMED or (each.code and each.why))
