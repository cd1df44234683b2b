"""What cannot be delivered yet: it waits, in order, until its destination is seen (docs/protocol.md, 12)."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId
from p2pchat.routing import delivery as deliveries
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.discovery import SEEK_S
from p2pchat.routing.outbox import (
    EXPIRY_S,
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    PAUSE_S,
    RESUME_S,
    SOUGHT_AT_ONCE,
    Outbox,
)
from p2pchat.routing.router import Router
from p2pchat.routing.sender import SUSPECT_S
from p2pchat.routing.settling import CANCELLED, NOT_CONFIRMED
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, Neighbour, RouterTestCase

#: Seconds until a message that nobody confirms has gone through all its tries.
TRIES_S = sum(deliveries.ACK_WAITS_S)


class OutboxTestCase(RouterTestCase):
    """Alice's router keeps what it cannot deliver."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(keeps=True)

    def texts(self, neighbour: Neighbour) -> list[str]:
        """What was sent to a neighbour, in order."""
        return [each["payload"] for each in neighbour.of_type("SEND")]

    def confirm(self, neighbour: Neighbour, delivery: Delivery) -> None:
        """Let the destination's ACK arrive."""
        dst = delivery.dst
        self.receive(neighbour, "ACK", msg_id=delivery.msg_id, from_=dst, src=dst, dst=ALICE, ttl=7)

    def absent(self, *texts: str, dst: PeerId = BOB) -> list[Delivery]:
        """Say something to somebody who is not there, until it waits."""
        said = [self.router.send(dst, text) for text in texts]
        self.advance(SEEK_S + 0.2)
        self.assertEqual([each.state for each in said], [State.WAITING] * len(said))
        return said

    def told(self) -> list[tuple[str, str]]:
        """What the user was told to wait, and why in a word."""
        return [(each.payload, code) for each, code, _ in self.house.postponed]


class WaitingTests(OutboxTestCase):
    def test_nobody_there(self) -> None:
        """A message to somebody who is away waits, the user hears why, and nothing has failed."""
        (delivery,) = self.absent("hi")
        self.assertEqual(self.told(), [("hi", ErrorCode.NO_ROUTE)])
        self.assertIn("no link with it within 5 s", delivery.why)
        self.assertEqual((self.house.settlements, self.router.tally.postponed), ([], 1))
        self.assertEqual((len(self.router.pending), self.router.pending.resting), (0, 1))
        self.assertEqual(self.router.sizes()["messages_kept"], 1)

    def test_comes(self) -> None:
        """When its destination is linked all that waits goes, in order, each under its old msg_id."""
        said = self.absent("1", "2", "3")
        bob = self.link()
        self.assertEqual(self.texts(bob), ["1", "2", "3"])
        self.assertEqual([each["msg_id"] for each in bob.of_type("SEND")], [each.msg_id for each in said])
        for each in said:
            self.confirm(bob, each)
        self.assertEqual([each.state for each in said], [State.CONFIRMED] * 3)
        self.assertEqual((self.house.settlements, self.router.pending.resting), (said, 0))
        self.assertAlmostEqual(said[0].took_s, SEEK_S + 0.2)

    def test_told_once(self) -> None:
        """However often it is tried in vain, the user hears once that a message waits, and of each."""
        self.absent("1", "2")
        self.advance(3600.0)
        self.assertEqual(self.told(), [("1", ErrorCode.NO_ROUTE), ("2", ErrorCode.NO_ROUTE)])
        self.assertEqual(self.router.tally.postponed, 2)

    def test_new_behind_old(self) -> None:
        """What is said while older ones wait is tried with them, and does not overtake them."""
        self.absent("1")
        self.advance(PAUSE_S)
        second = self.router.send(BOB, "2")
        self.advance(SEEK_S + 0.2)
        self.assertIs(second.state, State.WAITING)
        bob = self.link()
        self.assertEqual(self.texts(bob), ["1", "2"])

    def test_said_right_after(self) -> None:
        """What is said a moment after a round has begun waits for the next one, and the user hears so."""
        self.absent("1")
        second = self.router.send(BOB, "2")  # begins a round
        third = self.router.send(BOB, "3")
        self.advance(SEEK_S + 0.2)
        self.assertEqual((second.state, third.state), (State.WAITING, State.WAITING))
        fourth = self.router.send(BOB, "4")
        self.assertEqual((fourth.state, self.told()[-1]), (State.NEW, ("3", ErrorCode.NO_ROUTE)))

    def test_others_go(self) -> None:
        """What waits for one peer holds up nobody else's."""
        carol = self.link(CAROL)
        self.absent("1")
        self.router.send(CAROL, "2")
        self.assertEqual(self.texts(carol), ["2"])

    def test_nothing_kept(self) -> None:
        """Without a place to keep it in, a message fails at once, as it always did."""
        numbers = itertools.count(1)
        self.router = Router(ALICE, self.house, lambda: self.now_s, lambda: f"b{next(numbers)}")
        delivery = self.router.send(BOB, "hi")
        self.advance(SEEK_S + 0.2)
        self.assert_settled(delivery, State.FAILED, ErrorCode.NO_ROUTE)
        self.assertEqual(self.house.postponed, [])

    def test_full(self) -> None:
        """What waits counts: beyond the bound the user hears at once that it is too much."""
        self.patch(deliveries, "MAX_PENDING", 2)
        self.absent("1", "2")
        problem = self.assertRaises(ProtocolError, self.router.send, CAROL, "3")
        self.assertIn("2 messages wait", str(problem))


class WakingTests(OutboxTestCase):
    def sends(self, *neighbours: Neighbour) -> list[int]:
        """How many SENDs each got."""
        return [len(neighbour.of_type("SEND")) for neighbour in neighbours]

    def test_any_traffic(self) -> None:
        """Anything that arrives from a peer over a relay lets go what waits for it."""
        self.absent("hi", dst=DAVE)
        carol = self.link(CAROL)
        self.receive(carol, "PUB", msg_id="m1", src=DAVE, dst="#Giga", payload="x", ttl=7)
        self.assertEqual(self.texts(carol), ["hi"])

    def test_a_question(self) -> None:
        """So does a question that it asks."""
        self.absent("hi", dst=DAVE)
        carol = self.link(CAROL)
        self.receive(carol, "WHO_HAS", msg_id="q1", src=DAVE, dst="x@UnB", ttl=7)
        self.assertEqual(self.texts(carol), ["hi"])

    def test_answer_to_somebody_else(self) -> None:
        """So does an answer that somebody else gets, since it shows a way."""
        self.absent("hi", dst=DAVE)
        bob, carol = self.link(), self.link(CAROL)
        self.advance(SEEK_S + 0.2)
        self.assertEqual(self.texts(carol), [])
        self.advance(PAUSE_S)
        self.receive(bob, "WHO_HAS", msg_id="q1", src=BOB, dst=DAVE, ttl=7)
        self.receive(carol, "WHO_HAS_HIT", msg_id="q1", src=DAVE, dst=DAVE, via=CAROL, ttl=8, hops=1)
        self.assertEqual(self.texts(carol), ["hi"])

    def test_listed(self) -> None:
        """When the rendezvous lists it, it is sought at once, however long the next try is away."""
        self.absent("hi")
        self.advance(2000.0)
        self.house.sought.clear()
        self.router.noticed(BOB)
        self.assertEqual(self.house.sought, [BOB])

    def test_backoff(self) -> None:
        """Without any sign it is sought again and again, each time after twice the time, up to a limit."""
        self.absent("hi")
        began_s: list[float] = []
        state = State.WAITING
        (delivery,) = self.router.pending
        while len(began_s) < 9:
            self.advance(0.5)
            if (state, delivery.state) == (State.WAITING, State.SEEKING):
                began_s.append(self.now_s)
            state = delivery.state
        waits = [later - earlier - SEEK_S for earlier, later in itertools.pairwise(began_s)]
        expected = [min(FIRST_WAIT_S * 2**n, LONGEST_WAIT_S) for n in range(1, 9)]
        for wait_s, expected_s in zip(waits, expected, strict=True):
            self.assertLess(abs(wait_s - expected_s), 2.0)

    def test_signs_do_not_storm(self) -> None:
        """A peer that is heard all the time, and reached by nothing, is not tried more than it takes."""
        carol = self.link(CAROL)
        self.know(DAVE, carol)
        self.router.send(DAVE, "hi")
        for second in range(600):
            self.receive(carol, "PUB", msg_id=f"m{second}", src=DAVE, dst="#Giga", payload="x", ttl=7)
            self.advance(1.0)
        rounds = 600.0 / TRIES_S
        self.assertLess(self.sends(carol)[0], 3.5 * rounds)

    def test_link_again(self) -> None:
        """A link that comes up anew begins a round at once, even right after one."""
        self.absent("hi")
        self.router.noticed(BOB)
        self.advance(SEEK_S + 0.2)
        self.assertEqual(self.texts(self.link()), ["hi"])

    def test_resumed(self) -> None:
        """A message of an earlier run goes when its destination is seen, before what is said now."""
        old = self.router.resume("old", BOB, "1", age_s=3600.0)
        new = self.router.send(BOB, "2")
        bob = self.link()
        self.assertEqual(self.texts(bob), ["1", "2"])
        self.confirm(bob, old)
        self.confirm(bob, new)
        self.assertAlmostEqual(old.took_s, 3600.0)

    def test_resumed_without_a_sign(self) -> None:
        """It is sought by itself as well."""
        self.router.resume("old", BOB, "1", age_s=3600.0)
        self.assertEqual(self.house.sought, [])
        self.advance(RESUME_S + 1.5)
        self.assertEqual(self.house.sought[:1], [BOB])

    def test_new_neighbour(self) -> None:
        """Whoever is linked anew is asked for those for whom something waits, but for very many at once."""
        peers = [PeerId(f"peer{number}@UnB") for number in range(SOUGHT_AT_ONCE + 5)]
        for peer in peers:
            self.router.send(peer, "hi")
        self.advance(SEEK_S + 0.2)
        dave, carol = self.link(DAVE, plain=True), self.link(CAROL)
        asked = [each["dst"] for each in carol.of_type("WHO_HAS")]
        self.assertEqual((asked, dave.of_type("WHO_HAS")), (peers[:SOUGHT_AT_ONCE], []))
        self.advance(SEEK_S + 0.2)
        carol.lines.clear()
        self.router.neighbour_down(carol, "gone")
        carol = self.link(CAROL)
        asked = [each["dst"] for each in carol.of_type("WHO_HAS")]
        self.assertEqual(asked, [*peers[SOUGHT_AT_ONCE:], *peers[: SOUGHT_AT_ONCE - 5]])


class OrderTests(OutboxTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.carol = self.link(CAROL)
        self.know(DAVE, self.carol)

    def test_together(self) -> None:
        """While all goes well messages do not wait for each other's confirmation, over relays neither."""
        for text in "123":
            self.router.send(DAVE, text)
        self.assertEqual(self.texts(self.carol), ["1", "2", "3"])

    def test_one_is_late(self) -> None:
        """While one that went over a relay is late, what is said after it waits, and then goes in order."""
        first = self.router.send(DAVE, "1")
        self.advance(deliveries.ACK_WAITS_S[0] / 2 + 0.2)
        self.router.send(DAVE, "2")
        self.router.send(DAVE, "3")
        self.assertEqual(self.texts(self.carol), ["1"])
        self.assertEqual(self.told(), [])
        self.confirm(self.carol, first)
        self.assertEqual(self.texts(self.carol), ["1", "2", "3"])

    def test_late_on_the_link_itself(self) -> None:
        """Over a link with the destination nothing is overtaken, so nothing waits."""
        bob = self.link()
        self.router.send(BOB, "1")
        self.advance(deliveries.ACK_WAITS_S[0] / 2 + 0.2)
        self.router.send(BOB, "2")
        self.assertEqual(self.texts(bob), ["1", "2"])

    def test_sent_again_in_order(self) -> None:
        """When several get lost on a relay, the first alone goes again until it has an outcome."""
        said = [self.router.send(DAVE, text) for text in "123"]
        self.advance(deliveries.ACK_WAITS_S[0] + 0.2)
        self.assertEqual(self.texts(self.carol), ["1", "2", "3", "1"])
        self.confirm(self.carol, said[0])
        self.assertEqual(self.texts(self.carol)[4:], ["2", "3"])
        self.assertEqual(self.told(), [])

    def test_failed_lets_others_go(self) -> None:
        """A message that has failed for good holds up none behind it."""
        bob = self.link()
        said = [self.router.send(BOB, text) for text in "12"]
        self.receive(bob, "ERROR", code="bad_format", error="bad_format", ref=said[0].msg_id, dst=ALICE)
        self.assertIs(said[0].state, State.FAILED)
        self.confirm(bob, said[1])
        self.assertEqual(self.house.settlements, said)

    def test_window(self) -> None:
        """Of very many, so many go at once as keep the link busy; confirmations let the next ones go."""
        self.patch(deliveries, "MAX_PENDING", 1000)
        said = self.absent(*(str(number) for number in range(300)))
        bob = self.link()
        self.assertEqual(len(self.texts(bob)), 256)
        for each in said[:100]:
            self.confirm(bob, each)
        self.assertEqual(self.texts(bob), [str(number) for number in range(300)])

    def test_no_room(self) -> None:
        """What finds no room in the queue of a link waits, and goes in order later."""
        said = self.absent("1", "2")
        bob = Neighbour(BOB)
        bob.full = True
        self.router.neighbour_up(bob)
        self.assertEqual([each.state for each in said], [State.WAITING, State.WAITING])
        bob.full = False
        self.advance(2 * FIRST_WAIT_S + 2.0)
        self.assertEqual(self.texts(bob)[:2], ["1", "2"])

    def test_many_that_fail_at_once(self) -> None:
        """Ten thousand that fail one after the other do so without ten thousand calls inside each other."""
        said = self.absent(*(str(number) for number in range(3000)))
        self.now_s += EXPIRY_S
        self.router.tick()
        self.assertEqual(self.house.settlements, said)


class ShelfTests(SynchronousTestCase):
    """The outbox by itself."""

    def setUp(self) -> None:
        self.gone: list[str] = []
        self.outbox = Outbox(
            lambda: 1000.0, EXPIRY_S, self.go, lambda _: True, lambda *_given: None, lambda _: None
        )

    def go(self, delivery: Delivery) -> None:
        """Let a message go through a relay."""
        self.gone.append(delivery.msg_id)
        delivery.state, delivery.via = State.SENT, BOB

    def wait(self, delivery: Delivery) -> None:
        """Let one wait that was under way."""
        delivery.state = State.WAITING
        self.outbox.put_back(delivery)

    def test_no_room_when_it_was_seen(self) -> None:
        """Its peer is seen while one behind it is late; when that one has to wait too, the first one goes."""
        first, second = (Delivery(f"m{number}", DAVE, "", 1000.0, 0.0, number) for number in (1, 2))
        for delivery in (first, second):
            self.outbox.add(delivery)
        self.wait(first)
        second.is_late = True
        self.outbox.noticed(DAVE, is_new=True)
        self.assertEqual(self.gone, ["m1", "m2"])
        self.wait(second)
        self.assertEqual(self.gone, ["m1", "m2", "m1", "m2"])


class EndTests(OutboxTestCase):
    def test_expired(self) -> None:
        """After seven days a message has failed, under the name of what stood in the way, and it is said."""
        (delivery,) = self.absent("hi")
        self.now_s += EXPIRY_S
        self.advance(1.5)
        self.assert_settled(delivery, State.FAILED, ErrorCode.NO_ROUTE, "it waited for 7 days", "no link")
        self.assertEqual(self.router.pending.resting, 0)

    def test_expired_under_way(self) -> None:
        """One that grows too old while it is being tried fails when that round is over."""
        (delivery,) = self.absent("hi")
        self.now_s += EXPIRY_S - 10.0
        self.link()
        self.now_s += 20.0
        self.advance(TRIES_S)
        self.assert_settled(delivery, State.FAILED, NOT_CONFIRMED, "it waited for 7 days")

    def test_resumed_too_late(self) -> None:
        """One that is too old when we come back fails then."""
        delivery = self.router.resume("old", BOB, "1", age_s=EXPIRY_S + 1.0)
        self.advance(1.5)
        self.assert_settled(delivery, State.FAILED, NOT_CONFIRMED, "it waited for 7 days", "was stopped")

    def test_cancelled(self) -> None:
        """A message that the user takes back has failed, and never goes."""
        first, second = self.absent("1", "2")
        self.router.cancel(first)
        self.assertEqual((first.state, first.code), (State.FAILED, CANCELLED))
        self.assertIn("never sent", first.why)
        bob = self.link()
        self.assertEqual(self.texts(bob), ["2"])
        self.router.cancel(second)
        self.assertIn("may have arrived", second.why)
        self.assertEqual(self.house.settlements, [first, second])

    def test_cancelled_after_rounds(self) -> None:
        """One for which only ways were looked for, however often, was never sent."""
        (delivery,) = self.absent("1")
        self.advance(4 * FIRST_WAIT_S)
        self.assertGreater(delivery.rounds, 0)
        self.router.cancel(delivery)
        self.assertIn("never sent", delivery.why)

    def test_cancelled_of_an_earlier_run(self) -> None:
        """Of one that an earlier run has kept it is not known whether that had sent it."""
        delivery = self.router.resume("old", BOB, "1", age_s=5.0)
        self.advance(4 * FIRST_WAIT_S)
        self.router.cancel(delivery)
        self.assertIn("have arrived, before p2pchat was started again", delivery.why)

    def test_cancelled_when_told(self) -> None:
        """Whoever hears that a message waits may take it back in the same moment; the others are not lost."""
        cancelled: list[Delivery] = []

        def waits(delivery: Delivery) -> None:
            cancelled.append(delivery)
            self.router.cancel(delivery)

        self.patch(self.house, "waits", waits)
        first, second = self.router.send(BOB, "1"), self.router.send(BOB, "2")
        self.advance(2 * SEEK_S + 0.5)
        self.assertEqual((cancelled, self.house.settlements), ([first, second], [first, second]))
        self.assertEqual((len(self.router.pending), self.router.pending.resting), (0, 0))

    def test_late_confirmation(self) -> None:
        """A confirmation that comes when it was given up for a while counts all the same."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(TRIES_S + 0.5)
        self.assertIs(delivery.state, State.WAITING)
        self.confirm(bob, delivery)
        self.assert_settled(delivery, State.CONFIRMED)

    def test_stop(self) -> None:
        """When we stop, nothing has failed: it is kept for the next start, and the user hears so."""
        self.absent("1")
        bob = self.link(CAROL)
        self.router.send(CAROL, "2")
        self.router.give_up("stopped")
        self.assertEqual(self.texts(bob), ["2"])
        self.assertEqual(self.house.settlements, [])
        self.assertEqual([(each.payload, why) for each, _, why in self.house.postponed][-1], ("2", "stopped"))


class OthersTests(OutboxTestCase):
    def test_plain_without_an_answer(self) -> None:
        """A plain peer that never confirms gets a message three times and not for ever: it shows each."""
        bob = self.link(plain=True, features=frozenset())
        delivery = self.router.send(BOB, "hi")
        self.advance(TRIES_S + 0.5)
        self.assert_settled(delivery, State.FAILED, NOT_CONFIRMED, "does not offer confirmations")
        self.assertEqual(len(self.texts(bob)), 3)

    def test_plain_confirms_twice(self) -> None:
        """A second confirmation of the same message changes nothing."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        for _ in range(2):
            self.receive(bob, "ACK", msg_id=delivery.msg_id)
        self.assert_settled(delivery, State.CONFIRMED)

    def test_plain_away(self) -> None:
        """A plain peer that is not there gets it when it comes."""
        self.absent("hi")
        bob = self.link(plain=True)
        self.assertEqual(self.texts(bob), ["hi"])

    def test_plain_gone(self) -> None:
        """One that goes long after it got a message, without a word, gets that again when it comes back."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(SUSPECT_S + 6.0)
        self.router.neighbour_down(bob, "reset")
        self.advance(TRIES_S)
        self.assertFalse(delivery.is_over)
        again = self.link(plain=True)
        self.assertEqual(self.texts(again), ["hi"])

    def test_refused_by_the_peer(self) -> None:
        """What its destination refuses for good has failed; it is not offered again for a week."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.receive(bob, "ERROR", code="unauthorized", error="unauthorized", ref=delivery.msg_id, dst=ALICE)
        self.assert_settled(delivery, State.FAILED, "unauthorized")

    def test_refused_by_a_relay(self) -> None:
        """What a relay refuses waits: another one may take it."""
        carol = self.link(CAROL)
        self.know(DAVE, carol)
        delivery = self.router.send(DAVE, "hi")
        error: dict[str, Any] = {"code": "unauthorized", "error": "unauthorized", "detail": "no"}
        self.receive(carol, "ERROR", ref=delivery.msg_id, dst=ALICE, **error)
        self.assertEqual((delivery.state, self.told()), (State.WAITING, [("hi", "unauthorized")]))


class WrittenDownTests(OutboxTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.bob = self.link()
        self.house.disk.is_slow = True

    def test_before_it_is_sent(self) -> None:
        """A message leaves only once it is written down."""
        delivery = self.router.send(BOB, "hi")
        self.assertEqual((self.texts(self.bob), delivery.state), ([], State.NEW))
        self.advance(60.0)
        self.assertEqual(self.texts(self.bob), [])
        self.house.disk.catch_up()
        self.assertEqual((self.texts(self.bob), delivery.state), (["hi"], State.SENT))

    def test_cancelled_meanwhile(self) -> None:
        """One that the user takes back while it is written down never leaves."""
        delivery = self.router.send(BOB, "hi")
        self.router.cancel(delivery)
        self.house.disk.catch_up()
        self.assertEqual((self.texts(self.bob), delivery.state), ([], State.FAILED))

    def test_stopped_meanwhile(self) -> None:
        """Neither does one that was being written down when we stopped; it is said to be kept once it is."""
        delivery = self.router.send(BOB, "hi")
        self.router.give_up("stopped")
        self.assertEqual(self.house.postponed, [])
        self.house.disk.catch_up()
        self.assertEqual((self.texts(self.bob), delivery.state), ([], State.WAITING))
        self.assertEqual(self.told(), [("hi", NOT_CONFIRMED)])

    def test_before_it_is_confirmed(self) -> None:
        """What arrives is confirmed only once it is written down; so is a copy that comes meanwhile."""
        for _ in range(2):
            self.give(self.bob, ALICE)
        self.assertEqual(self.bob.of_type("ACK"), [])
        self.house.disk.catch_up()
        self.assertEqual([each["msg_id"] for each in self.bob.of_type("ACK")], ["m1", "m1"])
        self.assertEqual((self.router.tally.received, self.router.tally.duplicates), (1, 1))

    def test_link_lost_meanwhile(self) -> None:
        """Where whoever brought it is gone by then, it is shown and its source tries again."""
        self.give(self.bob, ALICE)
        self.router.neighbour_down(self.bob, "gone")
        self.house.disk.catch_up()
        self.assertEqual(self.router.tally.received, 1)
