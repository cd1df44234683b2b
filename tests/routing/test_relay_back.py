"""What goes back through a relay: ACK, ERROR, reports (docs/protocol.md, 4, 5, 8 and 9)."""

from __future__ import annotations

import json
from typing import Any

from p2pchat.protocol.codec import decode
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.names import PeerId
from p2pchat.routing.quotas import Limits, Rate
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

ZOE = PeerId("zoe@UnB")


class BackTestCase(RouterTestCase):
    """Alice between bob, who brings messages, and carol, who passes them on to dave."""

    def setUp(self) -> None:
        super().setUp()
        self.bob, self.carol = self.link(), self.link(CAROL)
        self.know(DAVE, self.carol)

    def ack(self, neighbour: Neighbour, **fields: Any) -> None:
        """Let dave's ACK arrive, for bob if nothing else is said."""
        fields = {"msg_id": "m1", "from": DAVE, "src": DAVE, "dst": BOB, "ttl": 8, **fields}
        self.receive(neighbour, "ACK", **fields)

    def error(self, neighbour: Neighbour, code: str = "no_route", **fields: Any) -> None:
        """Let an ERROR arrive, for bob if nothing else is said."""
        fields = {"ref": "m1", "error": code, "code": code, "dst": BOB, "ttl": 8, "detail": "x", **fields}
        self.receive(neighbour, "ERROR", **fields)


class AckTests(BackTestCase):
    def test_the_way_that_it_came(self) -> None:
        """Section 5: an ACK goes back where the message came from, whatever route is better by now."""
        erin = self.link(ERIN)
        self.give(self.bob, src=ZOE)
        self.know(ZOE, erin, 1)
        self.ack(self.carol, dst=ZOE, ttl=5, color=[None])
        ack = {
            "type": "ACK",
            "msg_id": "m1",
            "from": DAVE,
            "src": DAVE,
            "dst": ZOE,
            "ttl": 4,
            "color": [None],
        }
        self.assertEqual((self.bob.of_type("ACK"), erin.lines), ([ack], []))
        self.assertEqual((self.bob.passed_on[-1][0], self.router.tally.relayed_back), (CAROL, 1))

    def test_by_route(self) -> None:
        """Section 5: where nobody remembers the message, by route to whom it is for."""
        self.know(ZOE, self.bob)
        self.ack(self.carol, dst=ZOE, msg_id="m9")
        self.assertEqual([each["ttl"] for each in self.bob.of_type("ACK")], [7])

    def test_bringer_left(self) -> None:
        """Where the neighbour that brought the message has left, by route too."""
        erin = self.link(ERIN)
        self.give(self.bob, src=ZOE)
        self.router.neighbour_down(self.bob, "left")
        self.know(ZOE, erin)
        self.ack(self.carol, dst=ZOE)
        self.assertEqual(len(erin.of_type("ACK")), 1)

    def test_no_way(self) -> None:
        """What can go nowhere is dropped and counted: no route, back to its bringer, no ttl left."""
        self.give(self.bob)
        self.ack(self.carol, dst=ZOE)
        self.ack(self.bob)
        self.ack(self.carol, ttl=0)
        self.ack(self.carol, dst=None, msg_id="m9")
        self.assertEqual((self.bob.of_type("ACK"), self.carol.of_type("ACK")), ([], []))
        self.assertEqual((self.router.tally.no_way_back, self.router.tally.relayed_back), (4, 0))

    def test_confirms_the_next_hop(self) -> None:
        """Section 5: an end-to-end ACK confirms the next hop that the message went to, with its time."""
        self.give(self.bob)
        self.advance(0.4)
        self.ack(self.carol)
        (route,) = [each for each in self.router.routes if each.dst == DAVE]
        self.assertEqual((route.confirmed, route.streak), (1, 0))
        self.assertAlmostEqual(route.rtt_s or 0.0, 0.4)
        self.ack(self.carol)
        self.assertAlmostEqual(route.rtt_s or 0.0, 0.4)

    def test_over_another_way(self) -> None:
        """An ACK that comes over another neighbour is passed back, and confirms nothing."""
        erin = self.link(ERIN)
        self.give(self.bob)
        self.ack(erin)
        self.assertEqual(len(self.bob.of_type("ACK")), 1)
        self.assertEqual([each.confirmed for each in self.router.routes if each.dst == DAVE], [0])

    def test_of_somebody_else(self) -> None:
        """Section 4: only the destination confirms; what another one says is dropped and counted."""
        self.give(self.bob)
        self.ack(self.carol, **{"from": ERIN})
        self.assertEqual((self.bob.of_type("ACK"), self.router.tally.forged), ([], 1))

    def test_confirmed_is_not_blamed(self) -> None:
        """A message that was confirmed counts against nobody when its source tries again all the same."""
        self.give(self.bob)
        self.ack(self.carol)
        self.advance(5.0)
        self.give(self.bob, attempt=2)
        self.assertEqual([each.unconfirmed for each in self.router.routes], [0] * 3)

    def test_forgotten(self) -> None:
        """Section 5: the way back is remembered for 60 s at least, and not for ever."""
        self.give(self.bob, src=ZOE)
        self.router.routes.drop(ZOE, BOB)
        for wait_s, acks in ((59.0, 1), (62.0, 1)):
            self.advance(wait_s)
            self.ack(self.carol, dst=ZOE)
            self.assertEqual(len(self.bob.of_type("ACK")), acks)
        self.assertEqual(self.router.relay.remembered, 0)


class PlainTests(BackTestCase):
    """Erin is plain, and what she says is short."""

    def setUp(self) -> None:
        super().setUp()
        self.erin = self.link(ERIN, plain=True)

    def test_bare_ack(self) -> None:
        """9.10: of a type and a msg_id alone, a whole ACK is made that finds its way and names who has it."""
        self.give(self.bob, ERIN)
        self.receive(self.erin, "ACK", msg_id="m1", color="red")
        ack = {"type": "ACK", "msg_id": "m1", "from": ERIN, "src": ERIN, "dst": BOB, "ttl": 7, "color": "red"}
        self.assertEqual(self.bob.of_type("ACK"), [ack])

    def test_ack_to_the_relay(self) -> None:
        """9.10: a plain peer may name the relay that it sees as dst, and itself in any way."""
        forms: list[dict[str, str]] = [{"dst": ALICE}, {"dst": ALICE, "from": "erin"}, {"from": "erin"}]
        for number, fields in enumerate(forms):
            msg_id = f"m{number}"
            self.give(self.bob, ERIN, msg_id=msg_id)
            self.receive(self.erin, "ACK", msg_id=msg_id, **fields)
            ack = self.bob.of_type("ACK")[-1]
            self.assertEqual((ack["msg_id"], ack["from"], ack["dst"]), (msg_id, ERIN, BOB))

    def test_ack_of_something_else(self) -> None:
        """An ACK that names somebody else is not about a message to its bringer, unless that one is plain."""
        self.give(self.bob, CAROL)
        self.receive(self.carol, "ACK", msg_id="m1", **{"from": DAVE})
        self.assertEqual((self.bob.of_type("ACK"), self.router.tally.forged), ([], 1))

    def test_ack_to_us_from_behind(self) -> None:
        """9.13: one for us that others passed on is about something of ours with the same msg_id."""
        self.give(self.bob)
        self.ack(self.carol, dst=ALICE)
        self.assertEqual((self.bob.of_type("ACK"), self.router.tally.no_way_back), ([], 1))

    def test_never_confirms(self) -> None:
        """A plain peer that does not offer confirmations is not blamed for their absence."""
        self.erin.features = frozenset()
        self.give(self.bob, ERIN)
        self.advance(5.0)
        self.give(self.bob, ERIN, attempt=2)
        (way,) = self.router.routes.ways(ERIN, self.now_s)
        self.assertEqual(way.unconfirmed, 0)

    def test_ttl_of_a_plain_peer(self) -> None:
        """9: the ttl of a plain peer is always 1; its answers must pass more relays than one."""
        self.give(self.bob, ERIN, src=ZOE)
        self.receive(self.erin, "ACK", msg_id="m1", from_=ERIN, dst=ZOE, ttl=1)
        self.receive(self.erin, "ERROR", ref="m1", code="busy", dst=ZOE, ttl=1)
        self.assertEqual([each["ttl"] for each in self.bob.heard], [7, 7])

    def test_short_errors(self) -> None:
        """8, 9: an ERROR without a dst, or to us, is about the message that its sender was given."""
        forms: list[dict[str, Any]] = [{}, {"dst": ALICE}, {"type_": None, "status": "ERROR"}]
        for number, fields in enumerate(forms):
            msg_id = f"m{number}"
            self.give(self.bob, ERIN, msg_id=msg_id)
            self.receive(self.erin, "ERROR", **{"ref": msg_id, "error": "busy", "color": 1, **fields})
            error = self.bob.heard[-1]
            told = (error["type"], error["ref"], error["error"], error["dst"], error["ttl"], error["color"])
            self.assertEqual(told, ("ERROR", msg_id, "busy", BOB, 7, 1))
        self.assertEqual(self.house.complaints, [])

    def test_about_nothing(self) -> None:
        """An ERROR of a plain peer about nothing that it was given is shown to our user."""
        self.receive(self.erin, "ERROR", ref="m9", error="busy")
        self.assertEqual((len(self.house.complaints), self.bob.lines), (1, []))

    def test_same_id_of_two_sources(self) -> None:
        """msg_ids collide: what a peer says of one is for the source that waits longest for it."""
        self.give(self.bob, ERIN)
        self.give(self.carol, ERIN)
        for acks in ((1, 0), (1, 1), (1, 2)):
            self.receive(self.erin, "ACK", msg_id="m1")
            self.assertEqual((len(self.bob.of_type("ACK")), len(self.carol.of_type("ACK"))), acks)

    def test_to_a_plain_source(self) -> None:
        """9.1, 9.4: what goes back to a plain source has ttl 1 and is ASCII."""
        self.give(self.erin, ttl=1)
        self.ack(self.carol, dst=ERIN, color="é")
        self.error(self.carol, dst=ERIN, detail="não")
        self.assertEqual(
            [(each["type"], each["ttl"]) for each in self.erin.heard], [("ACK", 1), ("ERROR", 1)]
        )
        self.assertTrue(all(line.isascii() for line in self.erin.lines))

    def test_no_reports_to_a_plain_source(self) -> None:
        """9.1: no RELAY_* to a peer that did not list the feature, not those of others either."""
        self.give(self.erin, ttl=1)
        for kind in ("RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED"):
            self.receive(self.carol, kind, msg_id="m1", src=CAROL, dst=ERIN, reason="x", ttl=8)
        self.assertEqual(self.erin.lines, [])


class ShortTests(BackTestCase):
    """Erin is of our own kind, and says no more than the specification asks for."""

    def setUp(self) -> None:
        super().setUp()
        self.erin = self.link(ERIN)

    def test_acks(self) -> None:
        """4, 5, 9.10: an ACK without a dst goes back the way that the message came."""
        forms: list[dict[str, Any]] = [{"from": ERIN}, {}, {"from": None, "dst": None}, {"dst": ALICE}]
        for number, fields in enumerate(forms):
            msg_id = f"m{number}"
            self.give(self.bob, ERIN, msg_id, src=ZOE)
            self.receive(self.erin, "ACK", msg_id=msg_id, color="red", **fields)
            ack = {"msg_id": msg_id, "from": ERIN, "src": ERIN, "dst": ZOE, "ttl": 7, "color": "red"}
            self.assertEqual(self.bob.of_type("ACK")[number:], [{"type": "ACK", **ack}])

    def test_ack_of_a_relay(self) -> None:
        """Section 4: only the destination may leave out who confirms; a relay that passes it on may not."""
        self.give(self.bob)
        self.receive(self.carol, "ACK", msg_id="m1")
        self.assertEqual((self.bob.of_type("ACK"), self.router.tally.forged), ([], 1))
        self.receive(self.carol, "ACK", msg_id="m1", from_=DAVE)
        self.assertEqual([each["dst"] for each in self.bob.of_type("ACK")], [BOB])

    def test_error(self) -> None:
        """Section 8: no form of an ERROR has a dst; it is about what its sender was given."""
        self.give(self.bob, src=ZOE)
        self.receive(self.carol, "ERROR", code="no_route", ref="m1", detail="x")
        (error,) = self.bob.of_type("ERROR")
        self.assertEqual((error["dst"], error["detail"]), (ZOE, "carol@Giga says: x"))
        self.assertEqual((self.ways(DAVE), self.house.complaints), ([], []))

    def test_both_forms(self) -> None:
        """Section 8: an ERROR in one form goes on in both, since its source may read the other only."""
        plain = self.link(DAVE, plain=True)
        for source in (self.bob, plain):
            for form in ("error", "code"):
                for dst in (source.peer_id, None):
                    msg_id = f"{form} {dst} {source.peer_id}"
                    self.give(source, ERIN, msg_id, ttl=1)
                    self.receive(self.erin, "ERROR", **{form: "busy", "ref": msg_id, "dst": dst, "color": 1})
                    error = source.of_type("ERROR")[-1]
                    told = [error[key] for key in ("ref", "status", "error", "code", "color")]
                    self.assertEqual(told, [msg_id, "ERROR", "busy", "busy", 1])


class ErrorTests(BackTestCase):
    def test_back(self) -> None:
        """Section 5: an ERROR goes back the way that the message came, unknown fields and all."""
        self.give(self.bob, src=ZOE)
        self.error(self.carol, "busy", dst=ZOE, ttl=6, limit=7, color={"x": 1})
        (error,) = self.bob.of_type("ERROR")
        expected = {"code": "busy", "dst": ZOE, "ttl": 5, "limit": 7, "color": {"x": 1}, "detail": "x"}
        self.assertEqual({key: error[key] for key in expected}, expected)
        self.assertEqual((self.ways(DAVE), self.house.complaints), ([CAROL], []))

    def test_no_way_there(self) -> None:
        """A next hop that says that it has no way is none any more."""
        for code in ("no_route", "peer_unreachable", "who_has_timeout", "relay_not_supported"):
            self.know(DAVE, self.carol)
            self.give(self.bob, msg_id=code)
            self.error(self.carol, code, ref=code)
            self.assertEqual(self.ways(DAVE), [], code)
        self.assertEqual(len(self.bob.of_type("ERROR")), 4)

    def test_of_another(self) -> None:
        """Who was not given the message cannot take the route away."""
        erin = self.link(ERIN)
        self.give(self.bob)
        self.error(erin)
        self.assertEqual((self.ways(DAVE), len(self.bob.of_type("ERROR"))), ([CAROL], 1))

    def test_in_a_circle(self) -> None:
        """Errors by route lose a forward at each node, so that none goes round for ever."""
        self.know(ZOE, self.bob)
        self.error(self.carol, dst=ZOE, ref="m9", ttl=1)
        self.error(self.carol, dst=ZOE, ref="m9", ttl=0)
        self.assertEqual([each["ttl"] for each in self.bob.heard], [0])

    def test_never_answered(self) -> None:
        """Section 8: an ERROR is never answered with an ERROR, also where it finds no way."""
        self.error(self.carol, dst=ZOE)
        self.error(self.carol, dst="nonsense")
        self.assertEqual((self.carol.lines, self.bob.lines), ([], []))

    def test_cannot_be_passed_on(self) -> None:
        """What cannot be passed on says what it is and about what, so that an ERROR gets no answer."""
        self.know(ZOE, self.bob)
        for kind, ref in (("ERROR", "ref"), ("ACK", "msg_id")):
            line = json.dumps({"type": kind, ref: "m1", "dst": ZOE, "ttl": 8, "x": "?"}).encode()
            line = line.replace(b"?", b"\xff")
            problem = self.assertRaises(ProtocolError, self.router.received, self.carol, decode(line), line)
            expected = (ErrorCode.BAD_FORMAT, kind, "m1")
            self.assertEqual((problem.code, problem.kind, problem.ref), expected)
        self.assertEqual(self.bob.lines, [])


class ReportTests(BackTestCase):
    def test_back(self) -> None:
        """Section 5: reports of relays go back the way that the message came, unknown fields and all."""
        self.give(self.bob, src=ZOE)
        for kind in ("RELAY_OK", "RELAY_FAIL", "TTL_EXPIRED"):
            report = {"msg_id": "m1", "src": CAROL, "dst": ZOE, "reason": "x", "color": 1}
            self.receive(self.carol, kind, ttl=3, **report)
            self.assertEqual(self.bob.heard[-1], {"type": kind, **report, "ttl": 2})

    def test_about_us(self) -> None:
        """A report to us about no message of ours is ignored, and goes to nobody."""
        for dst in (ALICE, ""):
            self.receive(self.carol, "RELAY_OK", msg_id="m1", src=CAROL, dst=dst)
            self.receive(self.carol, "RELAY_FAIL", msg_id="m1", src=CAROL, dst=dst, reason="no_route")
        self.assertEqual((self.bob.lines, self.carol.lines, self.house.complaints), ([], [], []))


class QuotaTests(BackTestCase):
    def test_answers(self) -> None:
        """Section 5: what one neighbour makes us pass back is bounded; nobody is told, for nobody waits."""
        self.router.hood.limits = Limits(answers=Rate(0.0, 3.0))
        erin = self.link(ERIN)
        self.give(self.bob)
        for _ in range(3):
            self.ack(erin)
            self.error(erin)
            self.receive(erin, "RELAY_OK", msg_id="m1", src=ERIN, dst=BOB, ttl=8)
        self.assertEqual(len(self.bob.lines), 1 + 3)
        self.assertEqual((erin.lines, len(erin.holds), self.router.tally.over_quota), ([], 6, 6))
        self.ack(self.carol)
        self.assertEqual(len(self.bob.lines), 5)
