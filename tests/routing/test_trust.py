"""What routing does with keys that it does not know: it asks, and keeps to the answer (section 11)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Ack, Pub, Send, WhoHas, WhoHasHit
from p2pchat.protocol.names import ToAll, ToNamespace
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import ACK_WAITS_S, State
from p2pchat.routing.neighbourhood import HOLD_S
from p2pchat.routing.quotas import Limits, Rate
from p2pchat.routing.router import Router
from p2pchat.routing.sender import CARD_S
from p2pchat.routing.trust import Belief, NoTrust
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase


class Stamps(NoTrust):
    """Stamps instead of keys, and notes: `routing.trust.Trust`. What is forged says so."""

    def __init__(self) -> None:
        self.cards: set[str] = set()
        self.without: set[str] = set()
        #: Who signs what it says.
        self.signers: set[str] = set()
        self.wrapped = 0
        self.padding = ""
        self.problem: ProtocolError | None = None
        self.can_read = True
        self.seal_casts = False

    def wants_card(self, dst: str) -> bool:
        return dst not in self.cards and dst not in self.without

    def has_no_card(self, dst: str) -> None:
        self.without.add(dst)

    def wrap(self, message: Send) -> tuple[Send, str]:
        if self.problem is not None:
            raise self.problem
        self.wrapped += 1
        if message.dst in self.cards:
            return replace(message, payload="", sealed=message.payload + self.padding), "ours"
        return replace(message, sig="stamp"), "ours"

    def unwrap(self, message: Send) -> tuple[Send, Protection]:
        if "forged" in (message.payload, message.sealed):
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "it is forged", ref=message.msg_id)
        if message.sealed is UNSET:
            return message, Protection.NONE
        return replace(message, payload=message.sealed, sealed=UNSET, sig="theirs"), Protection.SEALED

    def wrap_cast(self, message: Pub) -> Pub:
        if self.seal_casts:
            return replace(message, payload="", sealed=message.payload)
        return replace(message, sig="stamp")

    def unwrap_cast(self, message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
        if message.payload == "forged" and not is_proved:
            raise ProtocolError(ErrorCode.UNAUTHORIZED, "it is forged", ref=message.msg_id)
        return (message if self.can_read else None), Protection.LINK if is_proved else Protection.SIGNED

    def sign_ack(self, ack: Ack, message: Send) -> Ack:
        return replace(ack, sig=f"stamp for {message.sig}")

    def believes_ack(self, ack: Ack, dst: str, sig: str) -> Belief:
        if dst not in self.signers:
            return Belief.UNPROVED
        return Belief.PROVED if ack.sig == f"stamp for {sig}" else Belief.FORGED

    def ask(self, question: WhoHas) -> WhoHas:
        return replace(question, signed=True)

    def sign_hit(self, hit: WhoHasHit, question: WhoHas) -> WhoHasHit:
        return replace(hit, sig=f"stamp for {question.src}", card={"of": hit.dst})

    def believes_hit(self, hit: WhoHasHit, asker: str) -> bool:
        if hit.sig == f"stamp for {asker}":
            self.cards.add(hit.dst)
            return True
        return hit.dst not in self.signers

    def speaks_for_itself(self, peer_id: str) -> bool:
        return peer_id in self.signers


class TrustTestCase(RouterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stamps = Stamps()
        self.protections: list[Protection] = []
        self.router = Router(ALICE, self.house, lambda: self.now_s, self._new_id, self.stamps)
        self.ids = 0
        self.patch(self.house, "arrived", self._arrived)

    def _new_id(self) -> str:
        self.ids += 1
        return f"a{self.ids}"

    def _arrived(
        self,
        neighbour: Neighbour,
        message: Send | Pub,
        protection: Protection,
        by_text: bool,
        then: Callable[[bool], None],
    ) -> None:
        self.house.shown.append(message)
        self.protections.append(protection)
        then(True)

    def encrypted(self, peer_id: str = BOB) -> Neighbour:
        """Let an encrypted link come up."""
        neighbour = Neighbour(type(BOB)(peer_id))
        neighbour.is_encrypted = True
        self.router.neighbour_up(neighbour)
        return neighbour


class SendingTests(TrustTestCase):
    def test_direct(self) -> None:
        """What goes straight to its destination is neither sealed nor signed: the link does that."""
        for bob, protection in ((self.encrypted(), Protection.LINK), (self.link(CAROL), Protection.NONE)):
            delivery = self.router.send(bob.peer_id, "hi")
            (sent,) = bob.of_type("SEND")
            self.assertEqual((sent["payload"], sent.keys() & {"sealed", "sig"}), ("hi", set()))
            self.assertEqual(delivery.protection, protection)
        self.assertEqual(self.stamps.wrapped, 0)

    def test_sealed_once(self) -> None:
        """What relays get is sealed where the card is known, once for all tries and ways."""
        self.stamps.cards.add(DAVE)
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        for hop in (bob, carol):
            self.know(DAVE, hop)
        delivery = self.router.send(DAVE, "hi")
        self.advance(sum(ACK_WAITS_S))
        sent = bob.of_type("SEND") + carol.of_type("SEND")
        self.assertGreater(len(sent), 3)
        self.assertEqual({(each["payload"], each["sealed"]) for each in sent}, {("", "hi")})
        self.assertEqual((self.stamps.wrapped, delivery.protection), (1, Protection.SEALED))

    def test_waits_for_the_card(self) -> None:
        """Where a way is known and no card, the card is asked for first, and the message is sealed then."""
        bob = self.encrypted()
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "hi")
        (question,) = bob.of_type("WHO_HAS")
        self.assertEqual((question["dst"], question["signed"]), (DAVE, True))
        self.assertEqual((bob.of_type("SEND"), delivery.state), ([], State.SEEKING))
        self.advance(0.5)
        hit = {"msg_id": question["msg_id"], "src": DAVE, "dst": DAVE, "via": BOB, "ttl": 7, "hops": 1}
        self.receive(bob, "WHO_HAS_HIT", **hit, sig=f"stamp for {ALICE}")
        self.assertEqual([each["sealed"] for each in bob.of_type("SEND")], ["hi"])

    def test_heard_of_meanwhile(self) -> None:
        """A message of the peer that is waited for is no card; the wait goes on, and wider."""
        bob = self.encrypted()
        self.router.send(DAVE, "hi")
        self.receive(bob, "PUB", msg_id="p", src=DAVE, dst="#other", payload="", ttl=7)
        self.advance(1.2)
        self.assertEqual(bob.of_type("SEND"), [])
        self.assertEqual([each["ttl"] for each in bob.of_type("WHO_HAS")], [2, 8])

    def test_no_card_comes(self) -> None:
        """After 2 s it goes signed only, and those behind it do not wait."""
        bob = self.encrypted()
        self.know(DAVE, bob)
        first = self.router.send(DAVE, "hi")
        self.advance(CARD_S - 0.2)
        self.assertEqual(bob.of_type("SEND"), [])
        self.advance(0.4)
        second = self.router.send(DAVE, "again")
        self.assertEqual([each["sig"] for each in bob.of_type("SEND")], ["stamp", "stamp"])
        self.assertEqual((first.protection, second.protection), (Protection.SIGNED, Protection.SIGNED))

    def test_way_lost_meanwhile(self) -> None:
        """Where the way is lost while the card is waited for, it fails as without one."""
        bob, _ = self.encrypted(), self.encrypted(CAROL)
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "hi")
        self.advance(1.0)
        self.router.neighbour_down(bob, "gone")
        self.advance(1.5)
        self.assert_settled(delivery, State.FAILED, ErrorCode.NO_ROUTE, "asked bob@UnB")

    def test_linked_meanwhile(self) -> None:
        """Where a link with it comes up meanwhile, it goes there at once."""
        bob = self.encrypted()
        self.know(DAVE, bob)
        self.router.send(DAVE, "hi")
        dave = self.encrypted(DAVE)
        self.assertEqual([each["payload"] for each in dave.of_type("SEND")], ["hi"])

    def test_may_not_leave(self) -> None:
        """What may not go over relays fails with the reason, and nothing is sent."""
        self.stamps.without.add(DAVE)
        self.stamps.problem = ProtocolError(ErrorCode.UNAUTHORIZED, "its card could not be had")
        bob = self.encrypted()
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "hi")
        self.assert_settled(delivery, State.FAILED, ErrorCode.UNAUTHORIZED, "its card could not be had")
        self.assertEqual(bob.of_type("SEND"), [])

    def test_too_long_when_sealed(self) -> None:
        """What is too long for relays, once it is sealed, fails with both sizes; straight it goes."""
        self.stamps.cards.add(DAVE)
        self.stamps.padding = "x" * 32000
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "y" * 1000)
        self.assert_settled(
            delivery, State.FAILED, ErrorCode.LINE_TOO_LONG, "bytes on the wire, the limit is 32768"
        )
        self.router.send(CAROL, "y" * 1000)
        self.assertEqual(len(carol.of_type("SEND")), 1)

    def test_too_long_for_another_way(self) -> None:
        """Where the link is silent and it is too long for relays, the link is tried again."""
        self.stamps.cards.add(DAVE)
        self.stamps.padding = "x" * 32000
        bob, dave = self.encrypted(), self.encrypted(DAVE)
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "y" * 1000)
        self.advance(sum(ACK_WAITS_S) + 0.5)
        self.assertEqual((len(dave.of_type("SEND")), bob.of_type("SEND")), (len(ACK_WAITS_S), []))
        self.assert_settled(delivery, State.FAILED, "not confirmed", "sent 3 times")

    def test_never_less_than_before(self) -> None:
        """What went over an encrypted link never goes over relays in the clear, whatever becomes of it."""
        self.stamps.without.add(DAVE)
        bob, dave = self.encrypted(), self.encrypted(DAVE)
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "hi")
        self.advance(ACK_WAITS_S[0] + 0.5)
        self.assertEqual((len(dave.of_type("SEND")), bob.of_type("SEND")), (2, []))
        self.router.neighbour_down(dave, "gone")
        self.assertEqual(bob.of_type("SEND"), [])
        self.assert_settled(delivery, State.FAILED, ErrorCode.UNAUTHORIZED, "relays could read it")

    def test_without_keys(self) -> None:
        """A peer without keys sends through relays as it always did, and knows that it is unsecured."""
        self.router = Router(ALICE, self.house, lambda: self.now_s, self._new_id)
        bob = self.link()
        self.know(DAVE, bob)
        delivery = self.router.send(DAVE, "hi")
        (sent,) = bob.of_type("SEND")
        self.assertEqual((sent["payload"], delivery.protection), ("hi", Protection.NONE))


class ConfirmedTests(TrustTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stamps.cards.add(DAVE)
        self.stamps.signers.add(DAVE)
        self.bob = self.encrypted()
        self.know(DAVE, self.bob)

    def test_signed(self) -> None:
        """A confirmation that its destination signed is one."""
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "ACK", msg_id=delivery.msg_id, from_=DAVE, dst=ALICE, sig="stamp for ours")
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertTrue(delivery.is_proved)

    def test_forged(self) -> None:
        """A relay cannot confirm what it swallowed: it is counted, and the message tried again."""
        delivery = self.router.send(DAVE, "hi")
        for sig in ({}, {"sig": "stamp for what we did not say"}):
            self.receive(self.bob, "ACK", msg_id=delivery.msg_id, from_=DAVE, dst=ALICE, **sig)
        self.assertEqual((delivery.state, self.router.tally.forged), (State.SENT, 2))
        self.advance(ACK_WAITS_S[0] + 0.2)
        self.assertGreater(len(self.bob.of_type("SEND")), 1)

    def test_straight(self) -> None:
        """Over the encrypted link with the destination it needs no signature."""
        dave = self.encrypted(DAVE)
        delivery = self.router.send(DAVE, "hi")
        self.receive(dave, "ACK", msg_id=delivery.msg_id, from_=DAVE)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertTrue(delivery.is_proved)

    def test_of_a_stranger(self) -> None:
        """Of one that is not known to sign, a confirmation is taken, and is no proof."""
        self.stamps.signers.clear()
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "ACK", msg_id=delivery.msg_id, from_=DAVE, dst=ALICE)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertFalse(delivery.is_proved)


class RelayingTests(TrustTestCase):
    def test_altered_copy(self) -> None:
        """Who puts another box in the place of the true one cannot make us take that for a duplicate."""
        bob, carol, dave = self.encrypted(), self.encrypted(CAROL), self.encrypted(DAVE)
        for near, seal in ((bob, "altered"), (carol, "true"), (carol, "true")):
            self.give(near, DAVE, src=ERIN, payload="", sealed=seal)
        self.assertEqual([each["sealed"] for each in dave.of_type("SEND")], ["altered", "true"])

    def test_sealed_for_a_plain_peer(self) -> None:
        """A plain peer gets nothing that is sealed: it would see an empty text. The source hears why."""
        bob, dave = self.encrypted(), self.link(DAVE, plain=True)
        self.give(bob, DAVE, payload="", sealed="box")
        self.receive(bob, "PUB", msg_id="p1", src=BOB, dst="*", payload="", sealed="box", ttl=8)
        self.assertEqual((dave.of_type("SEND"), dave.of_type("PUB")), ([], []))
        (error,) = bob.of_type("ERROR")
        self.assertEqual(error["code"], "unauthorized")
        self.assertIn("dave@UnB cannot open what is sealed", error["detail"])


class ArrivingTests(TrustTestCase):
    def test_straight(self) -> None:
        """What comes straight from its source over an encrypted link is neither checked nor signed for."""
        bob = self.encrypted()
        self.give(bob, ALICE, payload="forged")
        self.assertEqual(self.protections, [Protection.LINK])
        self.assertNotIn("sig", bob.of_type("ACK")[0])

    def test_through_a_relay(self) -> None:
        """What comes over a relay is opened, shown once, and its confirmation signed each time."""
        bob = self.encrypted()
        for _ in range(2):
            self.give(bob, ALICE, src=DAVE, payload="", sealed="hi")
        self.assertEqual([message.payload for message in self.house.shown], ["hi"])
        self.assertEqual(self.protections, [Protection.SEALED])
        self.assertEqual([ack["sig"] for ack in bob.of_type("ACK")], ["stamp for theirs"] * 2)

    def test_straight_and_sealed(self) -> None:
        """What is sealed is opened, also where that was not needed."""
        bob = self.encrypted()
        self.give(bob, ALICE, payload="", sealed="hi")
        self.assertEqual(
            ([each.payload for each in self.house.shown], self.protections), (["hi"], [Protection.SEALED])
        )

    def test_plain_neighbour(self) -> None:
        """A plain peer that speaks for itself gets the confirmation that it always got."""
        bob = self.link(plain=True)
        self.give(bob, ALICE)
        self.assertEqual((self.protections, "sig" in bob.of_type("ACK")[0]), ([Protection.NONE], False))

    def test_forged(self) -> None:
        """What is forged is neither shown nor confirmed; its source hears why, and it is counted."""
        bob = self.encrypted()
        problem = self.refusal_of(bob, "SEND", msg_id="m1", src=DAVE, dst=ALICE, payload="forged")
        self.assertEqual(
            (problem.code, problem.detail, problem.ref), (ErrorCode.UNAUTHORIZED, "it is forged", "m1")
        )
        self.assertEqual((self.house.shown, bob.of_type("ACK"), self.router.tally.forged), ([], [], 1))

    def test_much_that_is_forged(self) -> None:
        """A neighbour that brings much that is forged is read slower, for messages to one and to many."""
        self.router.hood.limits = Limits(forgeries=Rate(1, 2))
        bob = self.encrypted()
        for number in range(2):
            self.refusal_of(bob, "SEND", msg_id=f"m{number}", src=DAVE, dst=ALICE, payload="forged")
        self.assertEqual(bob.holds, [])
        self.refusal_of(bob, "SEND", msg_id="m3", src=DAVE, dst=ALICE, payload="forged")
        self.receive(bob, "PUB", msg_id="p1", src=DAVE, dst="*", payload="forged", ttl=7)
        self.assertEqual(bob.holds, [HOLD_S, HOLD_S])


class CastTests(TrustTestCase):
    def test_signed(self) -> None:
        """Our own go signed to our kind, as ever to plain peers."""
        bob, carol = self.encrypted(), self.link(ERIN, plain=True)
        self.assertEqual(self.router.publish(ToAll(), "hi"), 2)
        self.assertEqual([near.of_type("PUB")[0].get("sig") for near in (bob, carol)], ["stamp", None])

    def test_sealed(self) -> None:
        """Where they are sealed a plain peer gets neither the box nor the text, and the user hears so."""
        self.stamps.seal_casts = True
        bob, _ = self.encrypted(), self.link(CAROL, plain=True)
        erin = self.link(ERIN, plain=True)
        self.assertEqual(self.router.publish(ToNamespace("UnB"), "hi"), 1)
        self.assertEqual((bob.of_type("PUB")[0]["sealed"], erin.lines), ("hi", []))
        ((whom, why),) = self.house.warnings
        self.assertEqual((whom, "cannot open what is sealed" in why), (ERIN, True))

    def test_forged(self) -> None:
        """What is forged is neither shown nor passed on, and nobody is blamed to his face."""
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        self.receive(bob, "PUB", msg_id="p1", src=DAVE, dst="*", payload="forged", ttl=7)
        self.assertEqual((self.house.shown, carol.lines, bob.lines), ([], [], []))
        self.assertEqual(self.router.tally.forged, 1)

    def test_copies(self) -> None:
        """A copy of what was passed on is not looked at again; one with another seal is, and goes on too."""
        looked_at: list[Pub] = []

        def unwrap(message: Pub, is_proved: bool) -> tuple[Pub | None, Protection]:
            looked_at.append(message)
            return message, Protection.SEALED

        self.patch(self.stamps, "unwrap_cast", unwrap)
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        for seal in ("altered", "true", "true", "altered"):
            self.receive(bob, "PUB", msg_id="p1", src=DAVE, dst="#UnB", payload="", sealed=seal, ttl=7)
        self.assertEqual([message.sealed for message in looked_at], ["altered", "true"])
        self.assertEqual([each["sealed"] for each in carol.of_type("PUB")], ["altered", "true"])
        self.assertEqual(self.router.tally.duplicates, 3)

    def test_not_for_our_eyes(self) -> None:
        """What is sealed with a key that is not ours is passed on and not shown."""
        self.stamps.can_read = False
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        self.receive(bob, "PUB", msg_id="p1", src=DAVE, dst="#UnB", payload="", sealed="x", ttl=7)
        self.assertEqual((self.house.shown, len(carol.of_type("PUB"))), ([], 1))
        self.assertEqual(self.router.tally.not_for_us, 1)

    def test_for_others(self) -> None:
        """What is for another namespace is passed on as it is, whoever may have written it."""
        bob, carol = self.encrypted(), self.encrypted(CAROL)
        self.receive(bob, "PUB", msg_id="p1", src=DAVE, dst="#Giga", payload="forged", ttl=7)
        self.assertEqual((self.house.shown, len(carol.of_type("PUB"))), ([], 1))

    def test_protection(self) -> None:
        """Straight from its source it is as good as the link, through others as good as its signature."""
        bob = self.encrypted()
        self.receive(bob, "PUB", msg_id="p1", src=BOB, dst="*", payload="forged", ttl=8)
        self.receive(bob, "PUB", msg_id="p2", src=DAVE, dst="*", payload="hi", ttl=7)
        self.assertEqual(self.protections, [Protection.LINK, Protection.SIGNED])


class QuestionTests(TrustTestCase):
    def ask(self, neighbour: Neighbour, dst: str, **fields: object) -> None:
        self.receive(
            neighbour, "WHO_HAS", msg_id="q1", src=CAROL, dst=dst, **{"ttl": 7, "signed": True, **fields}
        )

    def hit(self, neighbour: Neighbour, dst: str = DAVE, **fields: object) -> None:
        fields = {
            "msg_id": "q1",
            "src": dst,
            "dst": dst,
            "via": neighbour.peer_id,
            "ttl": 8,
            "hops": 0,
            **fields,
        }
        self.receive(neighbour, "WHO_HAS_HIT", **fields)

    def test_we_are_sought(self) -> None:
        """Who is sought shows its card and signs, for who asked."""
        bob = self.encrypted()
        self.ask(bob, ALICE)
        (answer,) = bob.of_type("WHO_HAS_HIT")
        self.assertEqual((answer["sig"], answer["card"]), (f"stamp for {CAROL}", {"of": ALICE}))

    def test_linked(self) -> None:
        """Who has a link with one that signs passes the question on to that one alone."""
        bob, dave, erin = self.encrypted(), self.encrypted(DAVE), self.encrypted(ERIN)
        self.stamps.signers.add(DAVE)
        self.ask(bob, DAVE)
        self.assertEqual((bob.of_type("WHO_HAS_HIT"), erin.lines), ([], []))
        self.assertEqual([(each["ttl"], each["signed"]) for each in dave.of_type("WHO_HAS")], [(6, True)])
        self.hit(dave, sig=f"stamp for {CAROL}", card={"of": DAVE})
        (passed,) = bob.of_type("WHO_HAS_HIT")
        self.assertEqual((passed["via"], passed["hops"], passed["card"]), (ALICE, 1, {"of": DAVE}))

    def test_card_after_a_nearer_answer(self) -> None:
        """A card is passed back though somebody who knows of none answered before, and as near; once."""
        bob, erin, carol = self.encrypted(), self.encrypted(ERIN), self.encrypted(CAROL)
        self.ask(bob, DAVE)
        self.hit(erin, src=ERIN, hops=1)
        for _ in range(2):
            self.hit(carol, hops=1, sig=f"stamp for {CAROL}", card={"of": DAVE})
        self.assertEqual([each.get("card") for each in bob.of_type("WHO_HAS_HIT")], [None, {"of": DAVE}])

    def test_unproved_answer_to_one_that_asks_for_no_proof(self) -> None:
        """An answer without proof goes back to who did not ask for any, and nothing is learned from it."""
        bob, erin = self.encrypted(), self.encrypted(ERIN)
        self.stamps.signers.add(DAVE)
        self.ask(bob, DAVE, signed=False)
        self.hit(erin, src=ERIN, hops=1)
        self.assertEqual(len(bob.of_type("WHO_HAS_HIT")), 1)
        self.assertEqual(self.ways(DAVE), [])

    def test_linked_with_one_that_cannot(self) -> None:
        """For one that cannot sign its neighbour answers, as it always did."""
        bob, _ = self.encrypted(), self.link(DAVE, plain=True)
        self.ask(bob, DAVE)
        self.assertEqual([each.get("sig") for each in bob.of_type("WHO_HAS_HIT")], [None])

    def test_route(self) -> None:
        """Who only knows a way passes the question on, to all; unsigned it answers as it always did."""
        bob, erin = self.encrypted(), self.encrypted(ERIN)
        self.know(DAVE, erin)
        self.router.routes.confirm(DAVE, ERIN, self.now_s, 0.1)
        self.ask(bob, DAVE)
        self.assertEqual((bob.of_type("WHO_HAS_HIT"), len(erin.of_type("WHO_HAS"))), ([], 1))
        self.receive(bob, "WHO_HAS", msg_id="q2", src=CAROL, dst=DAVE, ttl=7)
        self.assertEqual(len(bob.of_type("WHO_HAS_HIT")), 1)

    def test_invented(self) -> None:
        """An answer that is not of who is sought is neither learned from, nor passed on, and counted."""
        self.stamps.signers.add(DAVE)
        bob, erin = self.encrypted(), self.encrypted(ERIN)
        self.ask(bob, DAVE)
        for sig in ({}, {"sig": f"stamp for {ALICE}"}):
            self.hit(erin, **sig)
        self.assertEqual((bob.of_type("WHO_HAS_HIT"), self.ways(DAVE)), ([], []))
        self.assertEqual(self.router.tally.hits_distrusted, 2)

    def test_invented_for_us(self) -> None:
        """The same with the answer to a question of our own."""
        self.stamps.signers.add(DAVE)
        bob = self.encrypted()
        delivery = self.router.send(DAVE, "hi")
        (question,) = bob.of_type("WHO_HAS")
        self.hit(bob, msg_id=question["msg_id"])
        self.assertEqual((delivery.state, self.ways(DAVE)), (State.SEEKING, []))
        self.assertEqual(self.router.tally.hits_distrusted, 1)
