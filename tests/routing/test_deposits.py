"""Copies of our waiting messages with couriers: which, with whom, in which order."""

from __future__ import annotations

from typing import Any

from p2pchat.protocol.messages import Hold, Send
from p2pchat.protocol.names import PeerId
from p2pchat.routing import deposits as module
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.deposits import ANSWER_S, COURIERS, KEEP_S, LOOK_S, REFUSED_S
from p2pchat.routing.outbox import EXPIRY_S
from p2pchat.routing.trust import NoTrust
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

OFFERS = frozenset({"ack", "relay", "who_has", "courier"})

#: When all of it is said, in ms since 1970.
SAID_MS = 1_767_323_045_000

#: Seconds until it is known that there is no way to a peer.
NO_WAY_S = 6.0


class Sealer(NoTrust):
    """Seals for all but dave."""

    def wrap_for_courier(self, message: Send, said_at_ms: int) -> Hold | None:
        """Write what was said into what should hide it."""
        if message.dst == DAVE:
            return None
        sealed = f"{message.payload} at {said_at_ms}"
        return Hold(message.msg_id, message.src, message.dst, sealed=sealed, lock="lock")


class DepositsTestCase(RouterTestCase):
    """Alice writes to bob, who is away; others are couriers."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(Sealer(), keeps=True, carries=True)

    def courier(self, name: str) -> Neighbour:
        """Let a courier be linked."""
        return self.link(PeerId(name), features=OFFERS)

    def say(self, text: str, dst: PeerId = BOB) -> Delivery:
        """Say something."""
        return self.router.send(dst, text, SAID_MS)

    def asked(self, courier: Neighbour) -> list[str]:
        """What a courier was asked to keep, oldest first."""
        return [each["sealed"].partition(" at ")[0] for each in courier.of_type("HOLD") if each["for_s"]]

    def taken_back(self, courier: Neighbour) -> list[str]:
        """The msg_ids of what it need not keep any more."""
        return [each["msg_id"] for each in courier.of_type("HOLD") if not each["for_s"]]

    def held(self, courier: Neighbour, delivery: Delivery, for_s: int = 1000, **more: Any) -> None:
        """Let a courier answer."""
        fields = {"src": courier.peer_id, "dst": ALICE, "for_s": for_s, **more}
        self.receive(courier, "HELD", msg_id=delivery.msg_id, **fields)


class GivingTests(DepositsTestCase):
    def test_given(self) -> None:
        """What cannot be delivered is given to a courier, with the time at which it was said."""
        carol = self.courier(CAROL)
        delivery = self.say("hi")
        self.advance(1)
        self.assertEqual(self.asked(carol), [])
        self.advance(NO_WAY_S)
        (hold,) = carol.of_type("HOLD")
        self.assertEqual((hold["src"], hold["dst"], hold["sealed"]), (ALICE, BOB, f"hi at {SAID_MS}"))
        self.assertEqual((hold["for_s"], hold["lock"]), (int(KEEP_S), "lock"))
        self.assertEqual((delivery.couriers, self.house.keepers), ((), []))
        self.held(carol, delivery)
        self.assertEqual(self.house.keepers, [(delivery, (CAROL,))])
        self.assertEqual(self.router.sizes()["messages_with_couriers"], 1)

    def test_in_order(self) -> None:
        """One after the other, in the order in which they were said."""
        carol = self.courier(CAROL)
        deliveries = [self.say(str(number)) for number in range(3)]
        self.advance(NO_WAY_S)
        self.assertEqual(self.asked(carol), ["0"])
        for number, delivery in enumerate(deliveries):
            self.held(carol, delivery)
            self.assertEqual(self.asked(carol), [str(each) for each in range(min(3, number + 2))])

    def test_behind_one_that_is_tried(self) -> None:
        """One that is just being tried is given first: what was said after it must not come before it."""
        carol = self.courier(CAROL)
        relay = self.link(ERIN)
        self.know(BOB, relay)
        first = self.say("1")
        self.say("2")
        for _ in range(20):
            if self.house.postponed:
                break
            self.advance(1)
        self.advance(LOOK_S)
        self.assertEqual(self.asked(carol)[:1], ["1"])
        self.held(carol, first)
        self.assertEqual(self.asked(carol), ["1", "2"])

    def test_three(self) -> None:
        """Three couriers get a copy; a fourth when one of them is gone."""
        couriers = [self.courier(f"{number}@UnB") for number in range(COURIERS + 1)]
        delivery = self.say("hi")
        self.advance(NO_WAY_S)
        for courier in couriers[:COURIERS]:
            self.held(courier, delivery)
        before = len(self.asked(couriers[-1]))
        self.held(couriers[-1], delivery, 0)
        self.router.neighbour_down(couriers[0], "gone")
        self.advance(REFUSED_S + LOOK_S)
        self.assertEqual(len(self.asked(couriers[-1])), before + 1)

    def test_enough(self) -> None:
        """However many come and go, no more than eight ever have one."""
        delivery = self.say("hi")
        self.advance(NO_WAY_S)
        for number in range(12):
            courier = self.courier(f"{number}@UnB")
            self.advance(LOOK_S + 1)
            if self.asked(courier):
                self.held(courier, delivery)
            self.router.neighbour_down(courier, "gone")
        self.assertEqual(len(delivery.couriers), module.MOST_COURIERS)

    def test_of_no_use(self) -> None:
        """Nothing is given to those who offer nothing, for those who are there, nor what cannot be sealed."""
        plain, carol = self.link(ERIN), self.courier(CAROL)
        self.say("hi", DAVE)
        self.say("for you", CAROL)
        self.say("there", BOB)
        bob = self.link(BOB)
        bob.full = True
        self.advance(NO_WAY_S * 10)
        self.assertEqual((plain.of_type("HOLD"), carol.of_type("HOLD")), ([], []))

    def test_too_long(self) -> None:
        """What is too long with all that comes to it is not given, nor anything behind it."""
        carol = self.courier(CAROL)
        self.say("x" * 32_640)
        self.say("short")
        self.advance(NO_WAY_S)
        self.assertEqual(carol.of_type("HOLD"), [])

    def test_resumed(self) -> None:
        """What an earlier run kept is given as well, for as long as it is kept yet."""
        carol = self.courier(CAROL)
        self.router.resume("old", BOB, "hi", EXPIRY_S - 100.0, SAID_MS)
        self.advance(1)
        (hold,) = carol.of_type("HOLD")
        self.assertEqual((hold["msg_id"], hold["for_s"]), ("old", 99))

    def test_no_room_on_the_way(self) -> None:
        """A courier in whose queue there is no room is asked later."""
        carol = self.courier(CAROL)
        self.say("hi")
        carol.full = True
        self.advance(NO_WAY_S)
        carol.full = False
        self.advance(LOOK_S + 1)
        self.assertEqual(self.asked(carol), ["hi"])


class RefusedTests(DepositsTestCase):
    def test_refused(self) -> None:
        """Who refuses one is asked for nothing behind it, for others at once, and again after a while."""
        carol = self.courier(CAROL)
        first = self.say("1")
        self.say("2")
        other = self.say("other", ERIN)
        self.advance(NO_WAY_S)
        self.held(carol, first, 0, reason="over_quota")
        self.assertEqual(self.asked(carol), ["1", "other"])
        self.held(carol, other)
        self.advance(REFUSED_S - LOOK_S)
        self.assertEqual(self.asked(carol), ["1", "other"])
        self.advance(2 * LOOK_S)
        self.assertEqual(self.asked(carol), ["1", "other", "1"])

    def test_no_answer(self) -> None:
        """Who does not answer is asked again after a while; a late answer means nothing."""
        carol = self.courier(CAROL)
        delivery = self.say("1")
        self.advance(NO_WAY_S + ANSWER_S + LOOK_S)
        self.held(carol, delivery)
        self.assertEqual(delivery.couriers, ())
        self.advance(REFUSED_S)
        self.held(carol, delivery)
        self.assertEqual((self.asked(carol), delivery.couriers), (["1", "1"], (CAROL,)))

    def test_forgotten(self) -> None:
        """That somebody refused a message long ago is not remembered, also where it waits no more."""
        carol = self.courier(CAROL)
        first = self.say("1")
        self.advance(NO_WAY_S)
        self.held(carol, first, 0, reason="over_quota")
        self.router.cancel(first)
        second = self.say("2", ERIN)
        self.advance(NO_WAY_S)
        self.held(carol, second)
        self.advance(REFUSED_S + LOOK_S)
        deposits = self.router.deposits
        assert deposits is not None
        self.assertEqual(deposits._refused, {})

    def test_gone(self) -> None:
        """A courier that left before it answered is asked when it is back."""
        carol = self.courier(CAROL)
        self.say("1")
        self.advance(NO_WAY_S)
        self.router.neighbour_down(carol, "gone")
        carol = self.courier(CAROL)
        self.advance(LOOK_S)
        self.assertEqual(self.asked(carol), ["1"])

    def test_not_asked(self) -> None:
        """Whoever says without being asked that it keeps something is no courier of it."""
        carol, dave = self.courier(CAROL), self.courier(DAVE)
        delivery = self.say("1")
        self.held(dave, delivery)
        self.advance(NO_WAY_S)
        self.held(carol, self.say("2"))
        self.assertEqual(delivery.couriers, ())


class EndTests(DepositsTestCase):
    def test_confirmed(self) -> None:
        """What is confirmed is taken back from all that are there, also from who was just asked."""
        carol, erin = self.courier(CAROL), self.courier(ERIN)
        delivery = self.say("hi")
        self.advance(NO_WAY_S)
        self.held(carol, delivery)
        bob = self.link(BOB)
        self.receive(bob, "ACK", msg_id=delivery.msg_id, from_=BOB)
        self.assertIs(delivery.state, State.CONFIRMED)
        self.assertEqual([self.taken_back(each) for each in (carol, erin)], [[delivery.msg_id]] * 2)
        self.assertEqual(self.router.sizes()["messages_with_couriers"], 0)
        self.held(erin, delivery)
        self.assertEqual(len(self.house.keepers), 1)

    def test_confirmed_by_courier(self) -> None:
        """A courier brings the confirmation: it counts, says nothing of ways, and is told to forget it."""
        carol = self.courier(CAROL)
        delivery = self.say("hi")
        self.advance(NO_WAY_S)
        self.held(carol, delivery)
        fields = {"from_": BOB, "src": BOB, "dst": ALICE, "receipt": "r", "ttl": 8}
        for _ in range(2):
            self.receive(carol, "ACK", msg_id=delivery.msg_id, **fields)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual((delivery.via, self.ways(BOB)), (CAROL, []))
        self.assertEqual(set(self.taken_back(carol)), {delivery.msg_id})

    def test_cancelled(self) -> None:
        """The same where the user takes it back."""
        carol = self.courier(CAROL)
        delivery = self.say("hi")
        self.advance(NO_WAY_S)
        self.held(carol, delivery)
        self.router.cancel(delivery)
        self.assertEqual(self.taken_back(carol), [delivery.msg_id])

    def test_of_another_run(self) -> None:
        """A courier that has handed over what is known no more may forget it; a relay is told nothing."""
        carol, relay = self.courier(CAROL), self.link(ERIN)
        for neighbour in (carol, relay):
            self.receive(neighbour, "ACK", msg_id="old", from_=BOB, dst=ALICE, receipt="r", ttl=8)
        for nobody in ("", "x" * 130):
            self.receive(carol, "ACK", msg_id="new", from_=nobody, dst=ALICE, receipt="r", ttl=8)
        self.assertEqual((self.taken_back(carol), relay.of_type("HOLD")), (["old"], []))
