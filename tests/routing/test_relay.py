"""Messages of others to one peer: passed on, parked, refused (docs/protocol.md, 4, 5, 8 and 9)."""

from __future__ import annotations

from typing import Any

from p2pchat.protocol.names import PeerId
from p2pchat.routing import discovery, relay
from p2pchat.routing.neighbourhood import CROWDED_HOLD_S
from p2pchat.routing.quotas import Limits, Rate
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

ZOE = PeerId("zoe@UnB")


class RelayTestCase(RouterTestCase):
    """Alice between bob, whose messages they are, and dave, whom they are for."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = self.link()

    def sends(self, neighbour: Neighbour) -> list[dict[str, Any]]:
        """What was passed on to a neighbour."""
        return neighbour.of_type("SEND")


class PassingOnTests(RelayTestCase):
    def test_direct(self) -> None:
        """Section 5: a message goes on with one ttl less, and whose it is hears that it did (4)."""
        dave = self.link(DAVE)
        self.give(self.bob, payload="olá", color={"a": [1.50, None]})
        message = {"type": "SEND", "msg_id": "m1", "src": BOB, "dst": DAVE, "payload": "olá", "ttl": 7}
        self.assertEqual(dave.heard, [{**message, "require_ack": True, "color": {"a": [1.5, None]}}])
        report = {"type": "RELAY_OK", "msg_id": "m1", "src": ALICE, "dst": BOB}
        self.assertEqual(self.bob.heard, [{**report, "reason": "passed on", "ttl": 8}])
        self.assertEqual((dave.passed_on[0][0], self.house.shown), (BOB, []))

    def test_ttl(self) -> None:
        """Section 5: more than 8 count as 8, a missing one as 1; the last forward leaves 0."""
        dave = self.link(DAVE)
        for number, ttl in enumerate((8, 3, 1, 9, 10**30, None)):
            self.give(self.bob, msg_id=f"m{number}", ttl=ttl)
        self.assertEqual([each["ttl"] for each in self.sends(dave)], [7, 2, 0, 7, 7, 0])

    def test_ttl_expired(self) -> None:
        """Section 5: with no forwards left it is dropped, and its source told, in both ways."""
        dave = self.link(DAVE)
        for msg_id, ttl in (("m1", 0), ("m2", -3)):
            self.give(self.bob, msg_id=msg_id, ttl=ttl)
        self.assertEqual(dave.lines, [])
        told = [(kind, msg_id, "ttl_expired") for msg_id in ("m1", "m2") for kind in ("ERROR", "TTL_EXPIRED")]
        self.assertEqual(self.answers(self.bob), told)
        self.assertEqual(self.bob.heard[0]["dst"], BOB)
        self.assertEqual(self.router.tally.expired, 2)

    def test_to_a_plain_peer(self) -> None:
        """9.1, 9.3, 9.4: a plain destination gets ttl 1, ASCII, all fields and no attempt."""
        dave = self.link(DAVE, plain=True)
        line = {"src": BOB, "dest": DAVE, "payload": "olá", "attempt": 2, "color": "é"}
        self.receive(self.bob, "SEND", msg_id="m1", ttl=8, **line)
        del line["attempt"]
        expected = {"type": "SEND", "msg_id": "m1", "dst": DAVE, "require_ack": True, "ttl": 1, **line}
        self.assertEqual(dave.heard, [expected])
        self.assertTrue(dave.lines[0].isascii())

    def test_of_a_plain_peer(self) -> None:
        """9.1: a plain source is served like others, but hears no RELAY_*."""
        carol, dave = self.link(CAROL, plain=True), self.link(DAVE)
        self.give(carol, ttl=1)
        self.assertEqual((len(self.sends(dave)), carol.lines), (1, []))
        self.give(carol, ttl=0, msg_id="m2")
        self.assertEqual(self.answers(carol), [("ERROR", "m2", "ttl_expired")])

    def test_of_a_relay(self) -> None:
        """A relay that brings the message of somebody else hears the ERROR, but no report."""
        dave = self.link(DAVE)
        self.give(self.bob, src=ZOE, ttl=4)
        self.give(self.bob, src=ZOE, ttl=0, msg_id="m2")
        self.assertEqual(len(self.sends(dave)), 1)
        self.assertEqual(self.answers(self.bob), [("ERROR", "m2", "ttl_expired")])
        self.assertEqual(self.bob.heard[0]["dst"], ZOE)

    def test_teaches_the_way_back(self) -> None:
        """Section 5: whose message came through a relay is reached there, whoever it is for."""
        self.link(DAVE)
        self.give(self.bob, src=ZOE, ttl=5)
        (route,) = [each for each in self.router.routes if each.dst == ZOE]
        self.assertEqual((route.hop, route.hops), (BOB, 4))

    def test_too_long(self) -> None:
        """A message that has no room any more in the form that dave needs is refused, by name."""
        dave = self.link(DAVE, plain=True)
        self.give(self.bob, payload="é" * 10000)
        self.assertEqual(dave.lines, [])
        self.assertEqual(
            self.answers(self.bob),
            [("ERROR", "m1", "line_too_long"), ("RELAY_FAIL", "m1", "line_too_long")],
        )
        self.assertIn("alice@UnB says", self.bob.heard[0]["detail"])
        self.assertIn("32768", self.bob.heard[0]["detail"])
        self.assertEqual(self.bob.heard[0]["limit"], 32768)


class ChoosingTests(RelayTestCase):
    def test_best_way(self) -> None:
        """Section 5: direct, else the best of the known next hops, never back to who brought it."""
        carol, erin = self.link(CAROL), self.link(ERIN)
        self.know(DAVE, self.bob, 2)
        self.know(DAVE, carol, 4)
        self.know(DAVE, erin, 3)
        self.give(self.bob)
        self.assertEqual((len(self.sends(erin)), carol.lines, self.sends(self.bob)), (1, [], []))

    def test_not_to_whose_it_is(self) -> None:
        """A message that came the long way round is not given to its own source, whatever way it knows."""
        carol, zoe = self.link(CAROL), self.link(ZOE)
        self.know(DAVE, zoe, 2)
        self.know(DAVE, carol, 5)
        self.give(self.bob, src=ZOE)
        self.assertEqual((self.sends(zoe), len(self.sends(carol))), ([], 1))
        self.router.routes.drop(DAVE, CAROL)
        self.give(self.bob, src=ZOE, msg_id="m2")
        self.assertEqual((self.sends(zoe), len(zoe.of_type("WHO_HAS"))), ([], 1))

    def test_crowded(self) -> None:
        """Section 5: who fills its share of a queue is read slower before anything must be refused."""
        carol = self.link(CAROL)
        self.know(DAVE, carol)
        self.give(self.bob)
        self.assertEqual(self.bob.holds, [])
        carol.crowded_by.add(BOB)
        self.give(self.bob, msg_id="m2")
        self.assertEqual((self.bob.holds, len(self.sends(carol))), ([CROWDED_HOLD_S], 2))

    def test_full(self) -> None:
        """Section 5: where too much waits for the best next hop, the next one takes it."""
        carol, dave = self.link(CAROL), self.link(DAVE)
        self.know(DAVE, carol)
        dave.full = True
        self.give(self.bob)
        self.assertEqual((len(self.sends(carol)), self.bob.holds), (1, []))

    def test_all_full(self) -> None:
        """Section 5: where all are full the newest is refused as busy, and its bringer is read slower."""
        for neighbour in (self.link(CAROL), self.link(DAVE)):
            neighbour.full = True
            if neighbour.peer_id != DAVE:
                self.know(DAVE, neighbour)
        self.give(self.bob)
        self.assertEqual(self.answers(self.bob), [("ERROR", "m1", "busy"), ("RELAY_FAIL", "m1", "busy")])
        self.assertIn("alice@UnB for dave@UnB", self.bob.heard[0]["detail"])
        self.assertEqual(self.bob.holds, [0.05])

    def test_resend_takes_another_way(self) -> None:
        """A next hop that did not deliver is left for another when the source tries again."""
        carol, erin = self.link(CAROL), self.link(ERIN)
        self.know(DAVE, carol, 2)
        self.know(DAVE, erin, 6)
        self.give(self.bob)
        self.advance(5.0)
        self.give(self.bob, attempt=2)
        self.assertEqual((len(self.sends(carol)), len(self.sends(erin))), (1, 1))
        self.assertEqual(self.ways(DAVE), [ERIN, CAROL])

    def test_early_resend(self) -> None:
        """A try that follows at once takes another way as well, but blames nobody."""
        carol, erin = self.link(CAROL), self.link(ERIN)
        self.know(DAVE, carol, 2)
        self.know(DAVE, erin, 6)
        self.give(self.bob)
        self.give(self.bob, attempt=2)
        self.assertEqual((len(self.sends(carol)), len(self.sends(erin))), (1, 1))
        self.assertEqual(self.ways(DAVE), [CAROL, ERIN])

    def test_only_way(self) -> None:
        """Where there is no other, a resend takes the same way again."""
        dave = self.link(DAVE)
        self.give(self.bob)
        self.advance(5.0)
        self.give(self.bob, attempt=2)
        self.assertEqual([each.get("attempt") for each in self.sends(dave)], [None, 2])


class DuplicateTests(RelayTestCase):
    def test_key(self) -> None:
        """Section 5: duplicates are known by (src, msg_id, attempt); other sources' ids are others."""
        dave = self.link(DAVE)
        for fields in ({}, {}, {"attempt": 2}, {"attempt": 2}, {"attempt": 3}, {"src": ZOE}):
            self.give(self.bob, **fields)
        sent = [(each["src"], each.get("attempt")) for each in self.sends(dave)]
        self.assertEqual(sent, [(BOB, None), (BOB, 2), (BOB, 3), (ZOE, None)])
        self.assertEqual((self.router.tally.duplicates, self.answers(self.bob)[3:]), (2, []))

    def test_copy_is_dropped_in_silence(self) -> None:
        """A copy from where the message came is no loop, whatever became of the message."""
        dave = self.link(DAVE)
        dave.full = True
        self.give(self.bob, msg_id="refused")
        self.know(ERIN, dave)
        self.router.routes.drop(ERIN, DAVE)
        self.give(self.bob, ERIN, msg_id="parked")
        before = self.answers(self.bob)
        for dst, msg_id in ((DAVE, "refused"), (ERIN, "parked")):
            self.give(self.bob, dst, msg_id=msg_id)
        self.assertEqual((self.answers(self.bob), self.router.tally.duplicates), (before, 2))

    def test_circle(self) -> None:
        """A message that comes back over another neighbour says that there is no way through that one."""
        carol = self.link(CAROL)
        self.know(DAVE, carol)
        self.give(self.bob, src=ZOE, ttl=7)
        self.give(carol, src=ZOE, ttl=5)
        self.assertEqual(self.answers(carol), [("ERROR", "m1", "no_route")])
        self.assertIn("came back to alice@UnB", carol.of_type("ERROR")[0]["detail"])
        self.assertEqual((len(self.sends(carol)), self.sends(self.bob)), (1, []))

    def test_our_own_comes_back(self) -> None:
        """Our own message that somebody gives back to us goes no further, and he hears why."""
        dave = self.link(DAVE)
        self.give(self.bob, src=ALICE)
        self.assertEqual((dave.lines, self.answers(self.bob)), ([], [("ERROR", "m1", "no_route")]))

    def test_plain_resend(self) -> None:
        """9.13: a plain peer's same message again is a resend; relays behind us are told which try it is."""
        carol, dave = self.link(CAROL, plain=True), self.link(DAVE)
        for payload in ("one", "two", "one", "one"):
            self.give(carol, msg_id="17", payload=payload, ttl=1)
        sent = [(each["payload"], each.get("attempt")) for each in self.sends(dave)]
        self.assertEqual(sent, [("one", None), ("two", None), ("one", 2), ("one", 3)])

    def test_remembered(self) -> None:
        """Duplicates are known for a minute at least, and forgotten after two."""
        dave = self.link(DAVE)
        for wait_s, copies in ((0.0, 1), (59.0, 1), (121.0, 2)):
            self.advance(wait_s)
            self.give(self.bob)
            self.assertEqual(len(self.sends(dave)), copies)


class ParkingTests(RelayTestCase):
    def test_found(self) -> None:
        """Without a way we look for one, and the message goes as soon as there is one, once."""
        carol = self.link(CAROL)
        self.give(self.bob, payload="hi", ttl=5)
        question = carol.of_type("WHO_HAS")[0]
        self.assertEqual((question["dst"], question["src"], self.router.relay.parked), (DAVE, ALICE, 1))
        self.advance(1.0)
        fields = {"msg_id": question["msg_id"], "src": CAROL, "dst": DAVE, "via": CAROL, "hops": 1}
        self.receive(carol, "WHO_HAS_HIT", ttl=8, **fields)
        self.assertEqual([each["ttl"] for each in self.sends(carol)], [4])
        self.advance(10.0)
        self.assertEqual((len(self.sends(carol)), self.router.relay.parked), (1, 0))
        self.assertEqual(self.answers(self.bob), [("RELAY_OK", "m1", "passed on")])

    def test_link_comes_up(self) -> None:
        """A link with the destination itself carries what waits."""
        self.link(CAROL)
        self.give(self.bob)
        self.assertEqual(len(self.sends(self.link(DAVE))), 1)

    def test_nobody_found(self) -> None:
        """Within 2 s, before the source gives up its try, it hears no_route."""
        self.link(CAROL)
        self.give(self.bob, DAVE)
        self.advance(1.9)
        self.assertEqual(self.answers(self.bob), [])
        self.advance(0.2)
        self.assertEqual(
            self.answers(self.bob), [("ERROR", "m1", "no_route"), ("RELAY_FAIL", "m1", "no_route")]
        )
        self.assertIn("alice@UnB knows no way to dave@UnB", self.bob.of_type("ERROR")[0]["detail"])
        self.assertEqual(self.router.relay.parked, 0)

    def test_way_back_is_no_way(self) -> None:
        """A way through whoever brought the message serves it not; it waits for another."""
        carol = self.link(CAROL)
        self.give(self.bob)
        self.receive(self.bob, "PUB", msg_id="p1", src=DAVE, dst="*", payload="x", ttl=5)
        self.assertEqual((self.router.relay.parked, self.sends(self.bob)), (1, []))
        self.receive(carol, "PUB", msg_id="p2", src=DAVE, dst="*", payload="x", ttl=5)
        self.assertEqual((self.router.relay.parked, len(self.sends(carol))), (0, 1))

    def test_source_leaves(self) -> None:
        """A message whose bringer has left is not answered any more; nothing breaks."""
        self.link(CAROL)
        self.give(self.bob)
        self.router.neighbour_down(self.bob, "left")
        self.advance(3.0)
        self.assertEqual((self.answers(self.bob), self.router.relay.parked), ([], 0))

    def test_too_many(self) -> None:
        """Beyond so many that wait, their sources hear no_route at once."""
        self.patch(relay, "MAX_PARKED", 2)
        self.link(CAROL)
        for number in range(3):
            self.give(self.bob, msg_id=f"m{number}")
        self.assertEqual(self.router.relay.parked, 2)
        self.assertEqual(self.answers(self.bob)[0], ("ERROR", "m2", "no_route"))

    def test_too_many_are_sought(self) -> None:
        """Where too many peers are looked for already, it is busy."""
        self.patch(discovery, "MAX_QUESTIONS", 0)
        self.link(CAROL)
        self.give(self.bob)
        self.assertEqual(self.answers(self.bob)[0], ("ERROR", "m1", "busy"))


class QuotaTests(RelayTestCase):
    def test_forwards(self) -> None:
        """Section 5: beyond its quota a neighbour hears over_quota, others are served."""
        self.router.hood.limits = Limits(forwards=Rate(0.0, 2.0))
        carol, erin, dave = self.link(CAROL), self.link(ERIN), self.link(DAVE)
        for number in range(3):
            self.give(carol, msg_id=f"m{number}")
        self.give(erin)
        self.assertEqual(len(self.sends(dave)), 3)
        told = [("ERROR", "m2", "over_quota"), ("RELAY_FAIL", "m2", "over_quota")]
        self.assertEqual((self.answers(carol)[2:], len(carol.holds)), (told, 1))

    def test_costs_who_brings(self) -> None:
        """Section 5: the quota is that of the neighbour, whoever it says the message is of."""
        self.router.hood.limits = Limits(forwards=Rate(0.0, 2.0))
        carol, dave = self.link(CAROL), self.link(DAVE)
        for number in range(5):
            self.give(carol, src=PeerId(f"x{number}@UnB"))
        self.assertEqual((len(self.sends(dave)), self.router.tally.over_quota), (2, 3))

    def test_questions(self) -> None:
        """Messages to peers that must be looked for take from the quota of questions."""
        self.router.hood.limits = Limits(questions=Rate(0.0, 1.0))
        carol, erin = self.link(CAROL), self.link(ERIN)
        for number in range(2):
            self.give(carol, PeerId(f"x{number}@UnB"), msg_id=f"m{number}")
        self.assertEqual(len(erin.of_type("WHO_HAS")), 1)
        self.assertEqual(self.answers(carol)[0], ("ERROR", "m1", "over_quota"))

    def test_refusals_are_bounded(self) -> None:
        """What a flood makes us say is bounded too, reports included."""
        self.router.hood.limits = Limits(forwards=Rate(0.0, 0.0), complaints=Rate(0.0, 3.0))
        carol, _dave = self.link(CAROL), self.link(DAVE)
        for number in range(50):
            self.give(carol, msg_id=f"m{number}", ttl=8 * (number % 2))
        self.assertEqual(len(carol.lines), 6)
