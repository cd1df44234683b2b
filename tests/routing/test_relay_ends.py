"""Links that end under messages of others (docs/protocol.md, 5 and 9.15)."""

from __future__ import annotations

from tests.routing.neighbours import DAVE, ERIN
from tests.routing.test_relay_back import ZOE, BackTestCase


class LinkEndsTests(BackTestCase):
    def test_told_at_once(self) -> None:
        """When a link ends, the sources of what is not confirmed hear it at once, so that they try again."""
        self.give(self.bob, src=ZOE)
        self.give(self.bob, msg_id="m2")
        self.ack(self.carol, msg_id="m2")
        self.give(self.bob, msg_id="m3", require_ack=False)
        self.router.neighbour_down(self.carol, "died")
        (error,) = self.bob.of_type("ERROR")
        self.assertEqual((error["code"], error["ref"], error["dst"]), ("no_route", "m1", ZOE))
        self.assertIn("alice@UnB with carol@Giga ended", error["detail"])

    def test_bringer_left_first(self) -> None:
        """Where the neighbour that brought it has left before, there is nobody to be told."""
        self.give(self.bob)
        self.router.neighbour_down(self.bob, "left")
        told = list(self.bob.lines)
        self.router.neighbour_down(self.carol, "died")
        self.assertEqual((self.bob.lines, self.router.tally.relay_refused), (told, 0))

    def test_long_ago(self) -> None:
        """What the source has given up by itself is not told any more."""
        self.give(self.bob)
        self.advance(10.1)
        self.router.neighbour_down(self.carol, "died")
        self.assertEqual(self.bob.of_type("ERROR"), [])

    def test_gone_another_way_since(self) -> None:
        """A message that has gone over another next hop since is not called lost with the first one."""
        erin = self.link(ERIN)
        self.advance(59.0)
        self.give(self.bob)
        self.advance(2.0)
        self.know(DAVE, erin)
        self.give(self.bob, attempt=2)
        self.assertEqual(len(erin.of_type("SEND")), 1)
        self.router.neighbour_down(self.carol, "died")
        self.assertEqual(self.bob.of_type("ERROR"), [])

    def test_plain_peer(self) -> None:
        """9.15: a plain peer may have ended the link because of the message; nobody hurries to resend it."""
        erin = self.link(ERIN, plain=True)
        self.give(self.bob, ERIN)
        self.router.neighbour_down(erin, "closed")
        self.assertEqual(self.bob.of_type("ERROR"), [])

    def test_not_again_to_a_plain_peer(self) -> None:
        """9.15: what a link with a plain peer may have fallen for is not given to that peer again."""
        erin = self.link(ERIN, plain=True)
        self.give(self.bob, ERIN)
        self.router.neighbour_down(erin, "closed")
        erin = self.link(ERIN, plain=True)
        self.advance(5.0)
        self.give(self.bob, ERIN, attempt=2)
        self.give(self.bob, ERIN, msg_id="m2")
        self.assertEqual([each["msg_id"] for each in erin.heard], ["m2"])
        (error,) = self.bob.of_type("ERROR")
        self.assertEqual((error["code"], error["ref"]), ("bad_format", "m1"))
        self.assertIn(ERIN, error["detail"])
