"""Later tries of our own messages go over several ways at once (docs/protocol.md, section 5)."""

from __future__ import annotations

from p2pchat.protocol.names import PeerId
from p2pchat.routing.delivery import Delivery, State
from p2pchat.routing.routes import MAX_DOUBT, MAX_WAYS
from tests.routing.neighbours import ALICE, DAVE, Neighbour, RouterTestCase

#: When the second and the third try go out, and when the third is over.
SECOND_S, THIRD_S, OVER_S = 5.0, 7.5, 10.0


class SpreadingTestCase(RouterTestCase):
    """Dave is behind relays, each farther away than the one before."""

    def setUp(self) -> None:
        super().setUp()
        self.relays: list[Neighbour] = []

    def build(self, count: int) -> None:
        """Link relays through which dave is known to be reached."""
        for _ in range(count):
            self.know(DAVE, self.helper(), 2 + len(self.relays))

    def helper(self) -> Neighbour:
        """Link one more relay, of which it is not known that it reaches dave."""
        neighbour = self.link(PeerId(f"r{len(self.relays)}@UnB"))
        self.relays.append(neighbour)
        return neighbour

    def doubt(self, neighbour: Neighbour, losses: int = 1) -> None:
        """Let a relay have lost something for somebody else."""
        self.know(ALICE, neighbour)
        for _ in range(losses):
            self.router.routes.fail(ALICE, neighbour.peer_id, self.now_s)

    @property
    def copies(self) -> list[list[int]]:
        """Which copies of a message each relay got, by the number that they bear."""
        return [[each.get("attempt", 1) for each in relay.of_type("SEND")] for relay in self.relays]

    def unconfirmed(self) -> dict[PeerId, int]:
        """What is held against each way to dave."""
        return {way.hop: way.unconfirmed for way in self.router.routes.ways(DAVE, self.now_s)}

    def confirm(self, neighbour: Neighbour, delivery: Delivery) -> None:
        """Let dave's ACK arrive."""
        self.receive(neighbour, "ACK", msg_id=delivery.msg_id, from_=DAVE, src=DAVE, dst=ALICE, ttl=7)

    def refuse(self, neighbour: Neighbour, code: str, delivery: Delivery) -> None:
        """Let a relay refuse a message."""
        self.receive(neighbour, "ERROR", code=code, ref=delivery.msg_id, dst=ALICE, detail="x", ttl=8)


class WideningTests(SpreadingTestCase):
    def test_wider_each_time(self) -> None:
        """The first try goes over one next hop, the second over two others, the third over three others.

        The third goes also over the three that had the message before.
        """
        self.build(7)
        delivery = self.router.send(DAVE, "hi")
        self.assertEqual(self.copies, [[1], [], [], [], [], [], []])
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2], [3], [], [], [], []])
        self.advance(THIRD_S)
        self.assertEqual(self.copies, [[1, 7], [2, 8], [3, 9], [4], [5], [6], []])
        self.advance(OVER_S)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "sent 3 times")
        self.assertEqual(
            delivery.hops, tuple(self.relays[number].peer_id for number in (*range(6), *range(3)))
        )
        self.assertEqual((delivery.tries, delivery.copies), (3, 9))
        self.assertEqual((self.router.tally.sent, self.router.tally.resent), (1, 2))

    def test_one_message(self) -> None:
        """All copies are the same message but for their number: whoever gets several shows it once."""
        self.build(3)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        sent = [each for relay in self.relays for each in relay.of_type("SEND")]
        for each in sent:
            each.pop("attempt", None)
        self.assertEqual(sent, [sent[0]] * 3)

    def test_no_more_than_there_are(self) -> None:
        """Without another next hop a try goes over one again; the last over two, if there are two."""
        self.build(2)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2]])
        self.advance(THIRD_S)
        self.assertEqual(self.copies, [[1, 3], [2, 4]])

    def test_no_more_than_are_left(self) -> None:
        """Where fewer are left than a try may take, it takes those."""
        self.build(4)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.advance(THIRD_S)
        self.assertEqual(self.copies, [[1, 5], [2, 6], [3, 7], [4]])

    def test_only_one(self) -> None:
        """Where there is one next hop, each try is one copy."""
        self.build(1)
        self.router.send(DAVE, "hi")
        for wait_s in (SECOND_S, THIRD_S, OVER_S):
            self.advance(wait_s)
        self.assertEqual(self.copies, [[1, 2, 3]])

    def test_the_last_goes_back_to_the_best(self) -> None:
        """Of those that had the message, the last try takes those first that lost nothing else."""
        self.build(6)
        self.doubt(self.relays[0])
        self.router.routes.confirm(DAVE, self.relays[0].peer_id, self.now_s, 0.1)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.doubt(self.relays[0])
        self.advance(THIRD_S)
        self.assertEqual(self.copies, [[1, 9], [2, 7], [3, 8], [4], [5], [6]])

    def test_direct_link(self) -> None:
        """What a direct link did not confirm goes over relays the next time."""
        dave = self.link(DAVE)
        self.build(2)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual((len(dave.lines), self.copies), (1, [[2], [3]]))

    def test_rerouted(self) -> None:
        """A try that is made again at once, because a relay has no way, is no later try: one way, no copy."""
        self.build(4)
        delivery = self.router.send(DAVE, "hi")
        self.refuse(self.relays[0], "no_route", delivery)
        self.assertEqual(self.copies, [[1], [2], [], []])
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2], [3], [4]])

    def test_no_room(self) -> None:
        """A next hop for which too much waits is passed over."""
        self.build(4)
        self.relays[1].full = self.relays[2].full = True
        delivery = self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual([len(each) for each in self.copies], [1, 0, 0, 1])
        self.assertEqual(delivery.hops, (self.relays[0].peer_id, self.relays[3].peer_id))


class HelperTests(SpreadingTestCase):
    def test_used(self) -> None:
        """A neighbour of which no way is known, and that loses nothing, gets a copy: it can look for one."""
        self.build(2)
        helper = self.helper()
        self.router.send(DAVE, "hi")
        self.assertEqual(set(self.ways(DAVE)), {relay.peer_id for relay in self.relays[:2]})
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2], [3]])
        (way,) = [way for way in self.router.routes.ways(DAVE, self.now_s) if way.hop == helper.peer_id]
        self.assertIsNone(way.hops)

    def test_known_ways_first(self) -> None:
        """Known ways come before such neighbours."""
        helper = self.helper()
        self.build(3)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual((self.copies, helper.of_type("SEND")), ([[], [1], [2], [3]], []))

    def test_only_those_that_are_used(self) -> None:
        """A way of which nobody told is not kept unused: for neighbours that got no copy none is learned."""
        self.build(2)
        helpers = [self.helper() for _ in range(MAX_WAYS)]
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        used = {relay.peer_id for relay in self.relays[:2]} | {helpers[0].peer_id}
        self.assertEqual(set(self.ways(DAVE)), used)

    def test_never_those_that_lose(self) -> None:
        """One that lost something is none; nor is a plain peer, which passes nothing on."""
        self.build(2)
        self.doubt(self.helper())
        plain = self.link(PeerId("plain@UnB"), plain=True)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual((self.copies, plain.lines), ([[1], [2], []], []))
        self.assertEqual(set(self.ways(DAVE)), {relay.peer_id for relay in self.relays[:2]})

    def test_has_no_way(self) -> None:
        """Where it says that it found no way, none is known any more, and nothing is held against it."""
        self.build(2)
        helper = self.helper()
        delivery = self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.refuse(helper, "no_route", delivery)
        self.assertEqual(
            (set(self.ways(DAVE)), delivery.state), ({PeerId("r0@UnB"), PeerId("r1@UnB")}, State.SENT)
        )
        self.advance(THIRD_S)
        self.assertFalse(self.router.routes.is_doubted(helper.peer_id))
        self.assertEqual(self.copies[2], [3])

    def test_confirmed(self) -> None:
        """What it confirms is known to work from then on."""
        self.build(2)
        helper = self.helper()
        delivery = self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.confirm(helper, delivery)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual(self.ways(DAVE)[0], helper.peer_id)


class OrderTests(SpreadingTestCase):
    def test_doubted_last(self) -> None:
        """Those that lost something for somebody else come last, however near they are."""
        for losses in (1, MAX_DOUBT):
            self.setUp()
            self.build(4)
            self.doubt(self.relays[1], losses)
            self.router.send(DAVE, "hi")
            self.advance(SECOND_S)
            self.assertEqual(self.copies, [[1], [], [2], [3]], losses)
            self.advance(THIRD_S)
            self.assertEqual(self.copies, [[1, 5], [4], [2, 6], [3, 7]], losses)

    def test_nobody_else(self) -> None:
        """Where there is nobody else they get copies too."""
        for losses in (1, MAX_DOUBT):
            self.setUp()
            self.build(3)
            self.doubt(self.relays[2], losses)
            self.router.send(DAVE, "hi")
            self.advance(SECOND_S)
            self.assertEqual(self.copies, [[1], [2], [3]], losses)

    def test_lost_on_that_way(self) -> None:
        """So do ways over which a message to this peer was lost, and that were not confirmed since."""
        self.build(4)
        self.router.routes.fail(DAVE, self.relays[2].peer_id, self.now_s)
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2], [], [3]])

    def test_after_helpers(self) -> None:
        """A neighbour of which no way is known comes before a known way over one that loses messages."""
        self.build(3)
        self.doubt(self.relays[2])
        self.helper()
        self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.assertEqual(self.copies, [[1], [2], [], [3]])


class OutcomeTests(SpreadingTestCase):
    def test_all_are_blamed(self) -> None:
        """When a try is overdue it is held against each of its next hops, and of those alone."""
        self.build(7)
        self.router.send(DAVE, "hi")
        names = [relay.peer_id for relay in self.relays]
        for wait_s, blamed in (
            (SECOND_S, [1, 0, 0, 0, 0, 0, 0]),
            (THIRD_S, [1, 1, 1, 0, 0, 0, 0]),
            (OVER_S, [2, 2, 2, 1, 1, 1, 0]),
        ):
            self.advance(wait_s)
            self.assertEqual(self.unconfirmed(), dict(zip(names, blamed, strict=True)))

    def test_over_any(self) -> None:
        """The destination's ACK over any of the copies confirms, and counts for the way that it came over."""
        for number in range(3):
            self.setUp()
            self.build(3)
            delivery = self.router.send(DAVE, "hi")
            self.advance(SECOND_S)
            self.confirm(self.relays[number], delivery)
            self.assert_settled(delivery, State.CONFIRMED)
            self.assertEqual(delivery.via, self.relays[number].peer_id)
            self.advance(60.0)
            self.assertEqual(self.copies, [[1], [2], [3]])
            confirmed = {way.hop for way in self.router.routes.ways(DAVE, self.now_s) if way.confirmed}
            self.assertEqual(confirmed, {delivery.via})
            self.assertEqual(sum(self.unconfirmed().values()), 1, "the first try alone was overdue")

    def test_refused_by_one(self) -> None:
        """A final refusal by one relay does not end a try of which others have copies."""
        for number in (1, 2):
            self.setUp()
            self.build(3)
            delivery = self.router.send(DAVE, "hi")
            self.advance(SECOND_S)
            self.refuse(self.relays[number], "unauthorized", delivery)
            self.assertIs(delivery.state, State.SENT)
            self.assertEqual(self.copies, [[1], [2], [3]])
            self.confirm(self.relays[3 - number], delivery)
            self.assert_settled(delivery, State.CONFIRMED)

    def test_refused_by_the_only_one(self) -> None:
        """It does end a try that nobody else has a copy of."""
        self.build(2)
        delivery = self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.refuse(self.relays[1], "unauthorized", delivery)
        self.assert_settled(delivery, State.FAILED, "unauthorized", "r1@UnB says unauthorized")

    def test_refused_and_others_left(self) -> None:
        """Where there are next hops that were not tried, the refused copy goes to one of them at once."""
        self.build(4)
        delivery = self.router.send(DAVE, "hi")
        self.advance(SECOND_S)
        self.refuse(self.relays[1], "unauthorized", delivery)
        self.assertEqual((self.copies, delivery.state), ([[1], [2], [3], [4]], State.SENT))
