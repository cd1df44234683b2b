"""What a relay holds against next hops that lose messages of others (docs/protocol.md, section 5)."""

from __future__ import annotations

from p2pchat.protocol.names import PeerId
from p2pchat.routing import relay as module
from p2pchat.routing.relay import LOST_AFTER_S
from tests.routing.neighbours import BOB, CAROL, DAVE, ERIN, Neighbour
from tests.routing.test_relay_back import ZOE, BackTestCase


class WatchingTestCase(BackTestCase):
    """Alice between bob, whose messages they are, and carol, who passes them on to dave."""

    def losses(self, hop: PeerId = CAROL, dst: PeerId = DAVE) -> int:
        """What is held against a next hop on the way to a peer."""
        (way,) = [way for way in self.router.routes if (way.hop, way.dst) == (hop, dst)]
        return way.unconfirmed

    def wait(self) -> None:
        """Let so much time pass that what was not confirmed is lost."""
        self.advance(LOST_AFTER_S + 0.1)


class LostTests(WatchingTestCase):
    def test_source_does_not_come_back(self) -> None:
        """A message that nobody confirmed in time is held against the next hop, whatever its source does."""
        self.give(self.bob)
        self.advance(LOST_AFTER_S - 0.1)
        self.assertEqual((self.losses(), self.router.relay.watched), (0, 1))
        self.advance(0.2)
        self.assertEqual((self.losses(), self.router.relay.watched), (1, 0))
        self.assertTrue(self.router.routes.is_doubted(CAROL))
        self.advance(60.0)
        self.assertEqual(self.losses(), 1)

    def test_each(self) -> None:
        """Each message that was lost counts, those that are not due yet wait on."""
        self.give(self.bob, msg_id="m1")
        self.advance(3.0)
        self.give(self.bob, msg_id="m2")
        self.give(self.bob, msg_id="m1", src=ZOE)
        self.advance(2.1)
        self.assertEqual((self.losses(), self.router.relay.watched), (1, 2))
        self.advance(3.0)
        self.assertEqual((self.losses(), self.router.relay.watched), (3, 0))

    def test_source_comes_back_early(self) -> None:
        """Where the source tries again before, it is held against the next hop then, and not once more."""
        erin = self.link(ERIN)
        self.know(DAVE, erin, 5)
        self.give(self.bob)
        self.advance(4.0)
        self.give(self.bob, attempt=2)
        self.assertEqual((self.losses(), len(erin.of_type("SEND"))), (1, 1))
        self.ack(erin)
        self.wait()
        self.assertEqual((self.losses(), self.losses(ERIN)), (1, 0))

    def test_source_comes_back_late(self) -> None:
        """Where the source tries again later, it goes another way; the first is not blamed again."""
        erin = self.link(ERIN)
        self.know(DAVE, erin, 5)
        self.give(self.bob)
        self.wait()
        self.give(self.bob, attempt=2)
        self.assertEqual((self.losses(), len(erin.of_type("SEND"))), (1, 1))
        self.ack(erin)
        self.wait()
        self.assertEqual((self.losses(), self.losses(ERIN)), (1, 0))

    def test_parked(self) -> None:
        """A message that waited for a way is watched from when it was passed on."""
        self.router.routes.drop(DAVE, CAROL)
        self.give(self.bob)
        self.advance(1.5)
        self.assertEqual(self.router.relay.watched, 0)
        self.know(DAVE, self.carol)
        self.router.discovery.noticed(DAVE)
        self.advance(LOST_AFTER_S - 0.1)
        self.assertEqual(self.losses(), 0)
        self.advance(0.2)
        self.assertEqual(self.losses(), 1)


class NotLostTests(WatchingTestCase):
    def test_confirmed(self) -> None:
        """A message that its destination confirmed is held against nobody."""
        self.give(self.bob)
        self.advance(LOST_AFTER_S - 0.1)
        self.ack(self.carol)
        self.wait()
        self.assertEqual((self.losses(), self.router.relay.watched), (0, 0))
        self.assertFalse(self.router.routes.is_doubted(CAROL))

    def test_confirmed_late(self) -> None:
        """One that is confirmed when it was taken for lost clears the next hop again."""
        self.give(self.bob)
        self.wait()
        self.ack(self.carol)
        self.assertFalse(self.router.routes.is_doubted(CAROL))
        self.assertEqual(self.ways(DAVE), [CAROL])

    def test_both_copies_confirmed(self) -> None:
        """Copies of one message that go over several next hops are each confirmed over their own."""
        erin = self.link(ERIN)
        self.know(DAVE, erin, 5)
        self.give(self.bob, attempt=2)
        self.give(self.bob, attempt=3)
        self.assertEqual([len(hop.of_type("SEND")) for hop in (self.carol, erin)], [2, 1])  # one to spare
        self.ack(self.carol)
        self.ack(erin)
        self.wait()
        self.assertEqual((self.losses(), self.losses(ERIN)), (0, 0))

    def test_one_way_for_two_copies(self) -> None:
        """Copies of one message that go over the same next hop are one message: confirmed, or lost, once."""
        for source, is_confirmed, losses in ((BOB, True, 0), (ZOE, False, 1)):
            self.give(self.bob, src=source, attempt=2)
            self.give(self.bob, src=source, attempt=3)
            if is_confirmed:
                self.ack(self.carol, dst=source)
            self.wait()
            self.assertEqual((self.losses(), self.router.relay.watched), (losses, 0))

    def test_back_to_whom_each_came_from(self) -> None:
        """What is said about copies of one message goes back the way that each of them came."""
        erin, zoe = self.link(ERIN), self.link(ZOE)
        self.know(DAVE, zoe, 5)
        self.give(erin, src=BOB, attempt=2)
        self.give(self.bob, src=BOB, attempt=3)
        self.ack(self.carol)
        self.error(zoe, "no_route")
        self.assertEqual([len(near.of_type("ACK")) for near in (erin, self.bob)], [1, 0])
        self.assertEqual([len(near.of_type("ERROR")) for near in (erin, self.bob)], [0, 1])
        self.assertEqual(self.ways(DAVE), [CAROL])

    def test_nobody_asked(self) -> None:
        """A message that needs no confirmation is not watched."""
        self.give(self.bob, require_ack=False)
        self.assertEqual(self.router.relay.watched, 0)
        self.wait()
        self.assertEqual(self.losses(), 0)

    def test_plain_peer_that_does_not_confirm(self) -> None:
        """Nor is one to a plain peer that does not offer confirmations; where it does offer them it is."""
        for features, losses in ((frozenset[str](), 0), (frozenset({"ack"}), 1)):
            erin = self.link(ERIN, plain=True, features=features)
            self.give(self.bob, ERIN, msg_id=f"m{losses}")
            self.assertEqual(self.router.relay.watched, losses)
            self.wait()
            self.assertEqual(self.losses(ERIN, ERIN), losses)
            self.router.neighbour_down(erin, "left")

    def test_link_ended(self) -> None:
        """A next hop whose link ended, and that came back, is not blamed: the source was told at once."""
        self.give(self.bob)
        self.router.neighbour_down(self.carol, "reset")
        self.know(DAVE, self.link(CAROL))
        self.wait()
        self.assertEqual(self.losses(), 0)

    def test_no_way_any_more(self) -> None:
        """Where the way is forgotten by then, there is nothing to hold against it, and nothing breaks."""
        self.give(self.bob)
        self.router.routes.drop(DAVE, CAROL)
        self.wait()
        self.assertFalse(self.router.routes.is_doubted(CAROL))


class BoundTests(WatchingTestCase):
    def test_too_many(self) -> None:
        """Beyond so many the oldest are not watched any more; how many there are can be asked for."""
        self.patch(module, "MAX_WATCHED", 3)
        self.setUp()
        for number in range(5):
            self.give(self.bob, msg_id=f"m{number}")
        self.assertEqual((self.router.relay.watched, self.router.sizes()["messages_watched"]), (3, 3))
        self.wait()
        self.assertEqual((self.losses(), self.router.sizes()["messages_watched"]), (3, 0))


class ForgedTests(WatchingTestCase):
    """Who may confirm what was given to a destination that is a neighbour."""

    def bring(self, neighbour: Neighbour, **fields: str) -> int:
        """Let a neighbour that was given a message confirm it; return how many ACKs were passed back."""
        self.give(self.bob, neighbour.peer_id, neighbour.peer_id)
        self.receive(neighbour, "ACK", msg_id=neighbour.peer_id, dst=BOB, ttl=8, **fields)
        return len(self.bob.of_type("ACK"))

    def test_own_kind(self) -> None:
        """An ACK that names somebody else is no ACK of its bringer: it is refused and counted."""
        dave = self.link(DAVE)
        self.assertEqual(self.bring(dave, **{"from": ERIN}), 0)
        self.assertEqual((self.router.tally.forged, self.router.relay.watched), (1, 1))
        self.wait()
        self.assertEqual(self.losses(DAVE), 1)

    def test_own_name(self) -> None:
        """One that names its bringer, or nobody, is taken."""
        self.assertEqual(self.bring(self.link(DAVE), **{"from": DAVE}), 1)
        self.assertEqual(self.bring(self.link(ERIN)), 2)
        self.assertEqual(self.router.tally.forged, 0)

    def test_plain(self) -> None:
        """A plain peer may call itself anything: it is the one that the message was for."""
        self.assertEqual(self.bring(self.link(ERIN, plain=True), **{"from": "e@x"}), 1)
        self.assertEqual((self.router.tally.forged, self.bob.of_type("ACK")[0]["from"]), (0, ERIN))

    def test_plain_and_not_the_destination(self) -> None:
        """But it cannot confirm what was for somebody else."""
        erin = self.link(ERIN, plain=True)
        self.give(self.bob)
        self.receive(erin, "ACK", msg_id="m1", dst=BOB, ttl=1, **{"from": ERIN})
        self.assertEqual((self.bob.of_type("ACK"), self.router.tally.forged), ([], 1))
