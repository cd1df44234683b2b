"""How often a node looks after what is due: seldom while nothing waits, so that its machine may sleep."""

from __future__ import annotations

import json
from itertools import pairwise

from p2pchat.addresses import Address
from p2pchat.node import READY_S
from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S
from p2pchat.routing.relay import LOST_AFTER_S, PARK_S
from p2pchat.ticking import IDLE_TICK_S, TICK_S
from tests.village import NodeTestCase, Stranger, Villager

DAVE, ERIN = PeerId("dave@UnB"), PeerId("erin@UnB")


class TickTestCase(NodeTestCase):
    """Alice and bob, who have nothing to do."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.meet("alice", "bob")
        self.pass_time(2 * IDLE_TICK_S)
        self.ticks = self.watch(self.alice)

    def watch(self, villager: Villager) -> list[float]:
        """Return when a node ticks from now on, in seconds; the list grows."""
        tick, ticks, began_at_s = villager.node.router.tick, list[float](), self.network.clock.seconds()

        def watched() -> None:
            ticks.append(round(self.network.clock.seconds() - began_at_s, 3))
            tick()

        self.patch(villager.node.router, "tick", watched)
        return ticks

    def waits_s(self) -> list[float]:
        """The seconds between the ticks; a LoopingCall may make one twice, a rounding error apart."""
        return [round(later - tick, 3) for tick, later in pairwise(sorted(set(self.ticks)))]

    def plain(self, peer_id: PeerId, ip: str) -> Stranger:
        """Link a plain peer with alice that confirms nothing by itself."""
        stranger = self.stranger(self.alice, ip)
        self.tell(stranger, type="HELLO", peer_id=peer_id, version="1.0", features=["ack"])
        return stranger

    def tell(self, stranger: Stranger, **fields: object) -> None:
        """Send one message as a stranger, and let it arrive."""
        stranger.say(json.dumps(fields).encode() + b"\n")
        self.pass_time(0.02)


class IdleTests(TickTestCase):
    def test_idle(self) -> None:
        """While nothing waits it ticks every `IDLE_TICK_S`."""
        self.pass_time(4 * IDLE_TICK_S + 0.1)
        self.assertEqual((len(self.ticks), self.waits_s()), (4, [IDLE_TICK_S] * 3))

    def test_others_talk(self) -> None:
        """What it is told, shows or says of itself is nothing that waits."""
        self.bob.node.send(self.alice.own, "hi")
        self.pass_time(2 * IDLE_TICK_S + 0.1)
        self.assertEqual((self.alice.heard, len(self.ticks)), (["hi"], 2))

    def test_before_the_first_links(self) -> None:
        """What is said to many may wait for the first links, so at the start it ticks often."""
        self.network.cut("10.0.2.1", "10.0.2.2")
        carol = self.make("carol", "10.0.2.1", rendezvous=None, peers=(Address("10.0.2.2", 7070),))
        self.ticks = self.watch(carol)
        carol.node.startService()
        self.pass_time(READY_S - 0.05)
        self.assertEqual(self.waits_s(), [TICK_S] * 48)
        self.pass_time(0.2)
        self.ticks.clear()
        self.pass_time(4 * IDLE_TICK_S)
        self.assertEqual(self.waits_s(), [IDLE_TICK_S] * 3)

    def test_after_a_failure(self) -> None:
        """A tick that fails does not end the ticking."""
        self.patch(self.alice.node.router, "tick", lambda: 1 / 0)
        self.pass_time(IDLE_TICK_S + 0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        ticks: list[None] = []
        self.patch(self.alice.node.router, "tick", lambda: ticks.append(None))
        self.pass_time(IDLE_TICK_S)
        self.assertEqual(len(ticks), 1)


class WaitingTests(TickTestCase):
    def test_sent(self) -> None:
        """As soon as a message waits for its confirmation it ticks every `TICK_S`; then seldom again."""
        self.crash(self.bob)
        self.pass_time(0.2)
        self.ticks.clear()
        delivery = self.alice.node.send(self.bob.own, "hi")
        self.pass_time(3.0)
        self.assertFalse(delivery.is_over)
        self.assertEqual(self.waits_s(), [TICK_S] * 29)
        self.pass_time(60.0)
        self.assertTrue(delivery.is_over)
        self.ticks.clear()
        self.pass_time(4 * IDLE_TICK_S)
        self.assertEqual(self.waits_s(), [IDLE_TICK_S] * 3)

    def test_soon(self) -> None:
        """The first tick comes `TICK_S` after it was said, not when the idle one would have come."""
        self.pass_time(1.0)
        self.ticks.clear()
        self.alice.node.send(DAVE, "hi")
        self.pass_time(TICK_S + 0.01)
        self.assertEqual(self.ticks, [1.0 + TICK_S])

    def test_confirmed_at_once(self) -> None:
        """What is confirmed before the next tick costs that one."""
        self.pass_time(1.0)
        self.ticks.clear()
        self.say(self.alice, self.bob, "hi")
        self.pass_time(3.0)
        self.assertEqual((self.alice.confirmed, self.ticks), ([self.bob.own], [1.0 + TICK_S]))

    def test_sought(self) -> None:
        """A peer that is sought is given up in time."""
        self.pass_time(1.0)
        self.alice.node.send(DAVE, "hi")
        self.pass_time(SEEK_S + 2 * TICK_S)
        self.assertEqual(self.alice.failures, [("hi", "no_route")])

    def test_parked(self) -> None:
        """A message of somebody else that waits for a way makes it tick as often, and is refused in time."""
        dave = self.plain(DAVE, "10.6.6.6")
        self.pass_time(2 * IDLE_TICK_S + 1.0)
        self.ticks.clear()
        self.tell(dave, type="SEND", msg_id="m1", src=DAVE, dst=ERIN, payload="hi", require_ack=True, ttl=1)
        self.assertEqual(self.alice.node.counters()["messages_parked"], 1)
        self.pass_time(PARK_S + 2 * TICK_S)
        self.assertIn(b"no_route", dave.got)
        self.assertEqual(set(self.waits_s()), {TICK_S})

    def test_passed_on(self) -> None:
        """One that was passed on at once does not; whether it was lost is seen at an idle tick."""
        dave, _erin = self.plain(DAVE, "10.6.6.6"), self.plain(ERIN, "10.6.6.7")
        self.pass_time(2 * IDLE_TICK_S)
        self.ticks.clear()
        self.tell(dave, type="SEND", msg_id="m1", src=DAVE, dst=ERIN, payload="hi", require_ack=True, ttl=1)
        self.assertEqual(self.alice.node.counters()["messages_watched"], 1)
        self.pass_time(LOST_AFTER_S + IDLE_TICK_S)
        self.assertEqual(self.alice.node.counters()["messages_watched"], 0)
        self.assertEqual(len(self.ticks), 2)

    def test_after_the_stop(self) -> None:
        """A node that stopped does not tick any more, whatever it is told then."""
        self.alice.node.stopService()
        self.ticks.clear()
        self.alice.node._ticking.hurry()
        self.pass_time(2 * IDLE_TICK_S)
        self.assertEqual(self.ticks, [])
