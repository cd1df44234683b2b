"""Messages that come before those that were said before them."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.messages import Send
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from p2pchat.routing import order as module
from p2pchat.routing.order import WAIT_S, Order
from p2pchat.routing.router import Router
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, Neighbour, RouterTestCase


class OrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now_s = 1000.0
        self.shown: list[str] = []
        self.order = Order(lambda: self.now_s, self.show)
        self.bob = Neighbour(BOB)

    def show(self, neighbour: Any, message: Send, protection: Protection) -> None:
        """Note that it is the turn of a message."""
        self.assertEqual((neighbour, protection), (self.bob, Protection.SEALED))
        self.shown.append(message.payload)

    def take(self, number: int, after: int | None = None, src: PeerId = CAROL, text: str = "") -> None:
        """Let a message come."""
        message = Send(f"m{number}", src, ALICE, text or str(number))
        if after is not None:
            message = Send(f"m{number}", src, ALICE, text or str(number), after=f"m{after}")
        self.order.take(self.bob, message, Protection.SEALED)

    def test_in_order(self) -> None:
        """What comes in order passes at once."""
        for number in range(3):
            self.take(number, number - 1 if number else None)
        self.assertEqual((self.shown, len(self.order)), (["0", "1", "2"], 0))

    def test_early(self) -> None:
        """What comes too early waits for the one before it, and that for the one before that."""
        self.take(2, 1)
        self.take(1, 0)
        self.take(3, 2)
        self.assertEqual((self.shown, len(self.order)), ([], 3))
        self.take(0)
        self.assertEqual((self.shown, len(self.order)), (["0", "1", "2", "3"], 0))

    def test_several_behind_one(self) -> None:
        """Several may wait for one."""
        self.take(1, 0)
        self.take(2, 0)
        self.take(0)
        self.assertEqual(self.shown, ["0", "1", "2"])

    def test_of_another(self) -> None:
        """A msg_id of another source is another message."""
        self.take(1, 0, src=DAVE)
        self.take(0, src=CAROL)
        self.assertEqual(self.shown, ["0"])

    def test_copies(self) -> None:
        """A copy of what waits does not wait too; one of what came passes, so that it is confirmed."""
        for _ in range(2):
            self.take(1, 0)
        self.assertEqual(len(self.order), 1)
        self.take(0)
        self.take(1, 0)
        self.assertEqual(self.shown, ["0", "1", "1"])

    def test_in_vain(self) -> None:
        """What waited for too long is dropped; it comes again when its turn has come."""
        self.take(1, 0)
        self.now_s += 5.0
        self.take(3, 2)
        self.now_s += WAIT_S - 5.0
        self.order.tick()
        self.assertEqual((len(self.order), self.order.dropped), (1, 1))
        self.take(0)
        self.take(1, 0)
        self.assertEqual(self.shown, ["0", "1"])
        self.now_s += 5.0
        self.order.tick()
        self.assertEqual((len(self.order), self.order.dropped), (0, 2))

    def test_circle(self) -> None:
        """What waits for itself, or for each other, waits in vain."""
        self.take(1, 1)
        self.take(2, 3)
        self.take(3, 2)
        self.now_s += WAIT_S
        self.order.tick()
        self.assertEqual((self.shown, self.order.dropped), ([], 3))
        self.assertEqual((self.order._behind, self.order._counts, self.order._size), ({}, {}, 0))

    def test_bounds(self) -> None:
        """So many wait at once, of one source, and so many characters; the rest is dropped."""
        for name, most, sources, size in (
            ("MAX_WAITING", 2, (BOB, CAROL, DAVE), 1),
            ("MAX_OF_A_SOURCE", 2, (BOB, BOB, BOB), 1),
            ("MAX_SIZE", 20, (BOB, CAROL, DAVE), 10),
        ):
            self.order = Order(lambda: self.now_s, self.show)
            self.patch(module, name, most)
            for src in sources:
                self.take(len(self.order) + 1, 0, src=src, text="x" * size)
            self.assertEqual((len(self.order), self.order.dropped), (2, 1), name)
            self.patch(module, name, 10**9)

    def test_old(self) -> None:
        """What came is remembered for a minute at least."""
        self.take(0)
        self.now_s += 60.0
        self.order.tick()
        self.take(1, 0)
        self.assertEqual(self.shown, ["0", "1"])


class SendingTests(RouterTestCase):
    """What alice says to dave, whom she reaches through bob."""

    def setUp(self) -> None:
        super().setUp()
        self.keeping = Router(ALICE, self.house, lambda: self.now_s, self.new_id, keeps=True)
        self.router = self.keeping
        self.bob = self.link(BOB)
        self.know(DAVE, self.bob)

    def new_id(self) -> str:
        """Make a msg_id."""
        self.count = getattr(self, "count", 0) + 1
        return f"{self.count:032}"

    def sent(self, neighbour: Neighbour) -> list[tuple[str, str | None]]:
        """What a neighbour was given, and what each comes after."""
        return [(each["msg_id"], each.get("after")) for each in neighbour.of_type("SEND")]

    def test_after(self) -> None:
        """Each says which one it comes after, as long as that is not confirmed."""
        first, second = self.router.send(DAVE, "1"), self.router.send(DAVE, "2")
        self.assertEqual(self.sent(self.bob), [(first.msg_id, None), (second.msg_id, first.msg_id)])
        for delivery in (first, second):
            self.receive(self.bob, "ACK", msg_id=delivery.msg_id, from_=DAVE, dst=ALICE)
        third = self.router.send(DAVE, "3")
        self.assertEqual(self.sent(self.bob)[2:], [(third.msg_id, None)])

    def test_resent(self) -> None:
        """What is sent again comes after what was said before it, not after what was said later."""
        first, second = self.router.send(DAVE, "1"), self.router.send(DAVE, "2")
        self.receive(self.bob, "ACK", msg_id=second.msg_id, from_=DAVE, dst=ALICE)
        third = self.router.send(DAVE, "3")
        self.advance(6)
        resent = self.sent(self.bob)[3:]
        self.assertEqual(resent[0], (first.msg_id, None))
        self.assertIn((third.msg_id, first.msg_id), self.sent(self.bob))

    def test_straight(self) -> None:
        """On a link with the peer itself too: what went before may have gone over another one."""
        first = self.router.send(DAVE, "1")
        dave = self.link(DAVE)
        second, third = self.router.send(DAVE, "2"), self.router.send(DAVE, "3")
        expected = [(second.msg_id, first.msg_id), (third.msg_id, second.msg_id)]
        self.assertEqual(self.sent(dave), expected)

    def test_plain(self) -> None:
        """A plain peer is told nothing of it."""
        carol = self.link(CAROL, plain=True)
        for text in ("1", "2"):
            self.router.send(CAROL, text)
        self.assertEqual([after for _, after in self.sent(carol)], [None, None])

    def test_from_plain(self) -> None:
        """A plain peer may mean something else by the name."""
        carol = self.link(CAROL, plain=True)
        self.give(carol, ALICE, "2", payload="2", after="noon")
        self.assertEqual([message.payload for message in self.house.shown], ["2"])

    def test_too_long_with_it(self) -> None:
        """Where there is no room for it in the line the message goes without."""
        self.router.send(DAVE, "1")
        self.router.send(DAVE, "x" * 32_600)
        self.assertEqual([after for _, after in self.sent(self.bob)], [None, None])
        for line in self.bob.lines:
            self.assertLessEqual(len(line), 32_769)
        self.assertEqual(len(json.loads(self.bob.lines[-1])["payload"]), 32_600)

    def test_shown_in_order(self) -> None:
        """What overtook another is shown behind it, and confirmed then."""
        for msg_id, after in (("2", "1"), ("3", "2")):
            self.give(self.bob, ALICE, msg_id, src=CAROL, payload=msg_id, after=after)
        self.assertEqual((self.house.shown, self.bob.of_type("ACK")), ([], []))
        self.assertEqual(self.router.sizes()["messages_early"], 2)
        self.give(self.bob, ALICE, "1", src=CAROL, payload="1")
        self.assertEqual([message.payload for message in self.house.shown], ["1", "2", "3"])
        self.assertEqual([each["msg_id"] for each in self.bob.of_type("ACK")], ["1", "2", "3"])
        self.give(self.bob, ALICE, "5", src=CAROL, payload="5", after="4")
        self.advance(WAIT_S + 1)
        self.assertEqual(self.router.sizes()["messages_early_dropped"], 1)
