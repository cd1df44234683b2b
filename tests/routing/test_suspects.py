"""Neighbours that lost several messages in a row: what is held against them, and what they say."""

from __future__ import annotations

from p2pchat.protocol.names import PeerId
from p2pchat.routing.discovery import SEEK_S, WIDEN_AFTER_S
from p2pchat.routing.routes import MAX_DOUBT, SUSPECT_S
from tests.routing.neighbours import BOB, CAROL, DAVE, ERIN, Neighbour
from tests.routing.test_questions import ZOE, QuestionTestCase
from tests.routing.test_routes import RoutesTestCase

#: Somebody else, for whom messages get lost.
FAR = PeerId("far@UnB")


class HeldAgainstTests(RoutesTestCase):
    def lose(self, hop: PeerId, count: int, dst: PeerId = FAR, now_s: float = 0.0) -> None:
        """Let messages for somebody get lost at a next hop."""
        self.know(hop, dst=dst, now_s=now_s)
        for _ in range(count):
            self.routes.fail(dst, hop, now_s)

    def test_all_ways_through_it(self) -> None:
        """What a neighbour lost for others counts like what was lost on the way itself."""
        self.know(BOB, 2)
        self.know(CAROL, 7)
        self.routes.fail(DAVE, CAROL, 0.0)
        self.lose(BOB, 1)
        # Carol lost one on this way, which is held against her and against the way.
        self.assertEqual(self.order(), [BOB, CAROL])
        self.lose(BOB, 1)
        self.assertEqual(self.order(), [BOB, CAROL], "two each: the shorter way is the better")
        self.lose(BOB, 1)
        self.assertEqual(self.order(), [CAROL, BOB])

    def test_no_more_than_so_many(self) -> None:
        """No more than `MAX_DOUBT` are held against it, so that a way that lost more may be worse."""
        self.know(BOB, 2)
        self.know(CAROL, 7)
        self.lose(BOB, 50)
        self.lose(CAROL, MAX_DOUBT)
        self.assertEqual(self.order(), [BOB, CAROL])
        self.lose(CAROL, 50, dst=ERIN)
        self.assertEqual(self.order(), [BOB, CAROL])
        self.routes.fail(DAVE, BOB, 0.0)
        self.assertEqual(self.order(), [CAROL, BOB])

    def test_not_the_direct_link(self) -> None:
        """Whether the neighbour itself is reached over its link is another matter."""
        self.know(CAROL, dst=BOB)
        self.lose(BOB, MAX_DOUBT)
        self.assertEqual(self.order(BOB), [BOB, CAROL])

    def test_for_so_long(self) -> None:
        """It is held against it for `SUSPECT_S` after the last loss; then it only comes after others."""
        self.know(BOB, 2)
        self.know(CAROL, 7)
        self.know(ERIN, 5)
        self.routes.fail(DAVE, ERIN, 0.0)
        self.know(ERIN, dst=FAR)
        self.routes.confirm(FAR, ERIN, 0.0, None)  # what is left is one loss on that way
        self.lose(BOB, MAX_DOUBT - 1)
        self.lose(BOB, 1, now_s=100.0)
        self.assertEqual(self.order(now_s=99.0 + SUSPECT_S), [CAROL, ERIN, BOB])
        self.assertTrue(self.routes.is_suspect(BOB, 99.0 + SUSPECT_S))
        self.assertEqual(self.order(now_s=100.0 + SUSPECT_S), [CAROL, BOB, ERIN])
        self.assertFalse(self.routes.is_suspect(BOB, 100.0 + SUSPECT_S))
        self.assertTrue(self.routes.is_doubted(BOB))

    def test_another_chance(self) -> None:
        """One more loss after that makes it a suspect again at once."""
        self.lose(BOB, MAX_DOUBT)
        self.lose(BOB, 1, now_s=SUSPECT_S + 1.0)
        self.assertTrue(self.routes.is_suspect(BOB, SUSPECT_S + 1.0))

    def test_suspect(self) -> None:
        """One that lost `MAX_DOUBT` in a row is a suspect, whoever they were for; others are not."""
        for number in range(MAX_DOUBT):
            self.assertFalse(self.routes.is_suspect(BOB, 0.0))
            self.lose(BOB, 1, dst=PeerId(f"x{number}@UnB"))
        self.assertTrue(self.routes.is_suspect(BOB, 0.0))
        self.assertFalse(self.routes.is_suspect(CAROL, 0.0))
        self.assertFalse(self.routes.is_suspect(DAVE, 0.0), "not a neighbour")

    def test_cleared(self) -> None:
        """One confirmation over it, of whomever, clears it."""
        self.know(BOB, 2)
        self.know(CAROL, 7)
        self.lose(BOB, 2 * MAX_DOUBT)
        self.know(BOB, dst=ERIN)
        self.routes.confirm(ERIN, BOB, 1.0, None)
        self.assertFalse(self.routes.is_suspect(BOB, 1.0))
        self.assertFalse(self.routes.is_doubted(BOB))
        self.assertEqual(self.order(), [BOB, CAROL])
        self.lose(BOB, MAX_DOUBT - 1)
        self.assertFalse(self.routes.is_suspect(BOB, 1.0), "counted anew")

    def test_new_link(self) -> None:
        """Who comes back with a new link begins anew."""
        self.lose(BOB, MAX_DOUBT)
        self.routes.unlink(BOB)
        self.assertFalse(self.routes.is_suspect(BOB, 0.0))
        self.routes.link(BOB, 1.0)
        self.assertFalse(self.routes.is_suspect(BOB, 1.0))


class SuspectTestCase(QuestionTestCase):
    """Bob, and carol, who is a suspect."""

    def setUp(self) -> None:
        super().setUp()
        self.bob, self.carol = self.link(), self.link(CAROL)
        self.suspect(self.carol)

    def suspect(self, neighbour: Neighbour) -> None:
        """Let a neighbour have lost as many messages as make a suspect."""
        self.know(FAR, neighbour)
        for _ in range(MAX_DOUBT):
            self.router.routes.fail(FAR, neighbour.peer_id, self.now_s)

    def asked(self, neighbour: Neighbour) -> int:
        """How many questions a neighbour got."""
        return len(neighbour.of_type("WHO_HAS"))


class AskingTests(SuspectTestCase):
    def test_not_asked(self) -> None:
        """Suspects are not asked for a way, neither at first nor when everybody is."""
        self.router.send(DAVE, "hi")
        self.advance(WIDEN_AFTER_S + 0.1)
        self.assertEqual((self.asked(self.bob), self.asked(self.carol)), (2, 0))
        self.advance(SEEK_S)
        (failed,) = self.house.settlements
        self.assertIn("asked bob@UnB for a way", failed.why)

    def test_nobody_else(self) -> None:
        """Where nobody else is left they are."""
        self.router.neighbour_down(self.bob, "left")
        self.router.send(DAVE, "hi")
        self.assertEqual(self.asked(self.carol), 1)

    def test_only_plain_peers_else(self) -> None:
        """A plain peer, which passes nothing on, is nobody else; nor is the one that is sought."""
        self.router.neighbour_down(self.bob, "left")
        self.link(ERIN, plain=True)
        self.router.send(DAVE, "hi")
        self.assertEqual(self.asked(self.carol), 1)

    def test_asked_again_later(self) -> None:
        """After a while, or once cleared, it is asked like others."""
        self.router.routes.confirm(FAR, CAROL, self.now_s, None)
        self.router.send(DAVE, "1")
        self.suspect(self.carol)
        self.now_s += SUSPECT_S + 1.0
        self.router.send(ERIN, "2")
        self.assertEqual(self.asked(self.carol), 2)

    def test_passing_on(self) -> None:
        """Questions of others are not passed on to suspects."""
        erin = self.link(ERIN)
        self.ask(self.bob)
        self.assertEqual((self.asked(erin), self.asked(self.carol)), (1, 0))

    def test_passing_on_to_nobody_else(self) -> None:
        """Unless there is nobody else; whoever asks is not."""
        self.ask(self.bob)
        self.assertEqual((self.asked(self.bob), self.asked(self.carol)), (0, 1))

    def test_asks_itself(self) -> None:
        """What a suspect asks is answered and passed on: it may have lost nothing on purpose."""
        self.ask(self.carol, BOB, msg_id="q1")
        self.ask(self.carol, DAVE, msg_id="q2")
        self.assertEqual((self.hops_told(self.carol), self.asked(self.bob)), ([1], 1))


class AnswerTests(SuspectTestCase):
    def test_not_passed_back(self) -> None:
        """An answer of a suspect teaches us a way, and is counted, but goes to nobody."""
        self.ask(self.bob, src=ZOE)
        self.hit(self.carol)
        self.assertEqual((self.bob.of_type("WHO_HAS_HIT"), self.ways(DAVE)), ([], [CAROL]))
        self.assertEqual((self.router.tally.hits_distrusted, self.router.tally.relayed_back), (1, 0))

    def test_another_answer(self) -> None:
        """It is no bar to the answer of somebody else that tells of a longer way."""
        erin = self.link(ERIN)
        self.ask(self.bob)
        self.hit(self.carol, hops=0)
        self.hit(erin, hops=4)
        self.assertEqual(self.hops_told(self.bob), [5])
        self.assertEqual(self.ways(DAVE), [ERIN, CAROL])

    def test_cleared(self) -> None:
        """Once cleared its answers are passed back again."""
        self.ask(self.bob)
        self.router.routes.confirm(FAR, CAROL, self.now_s, None)
        self.hit(self.carol)
        self.assertEqual((self.hops_told(self.bob), self.router.tally.hits_distrusted), ([1], 0))

    def test_doubted_once(self) -> None:
        """Those of one that only lost its last message are."""
        erin = self.link(ERIN)
        self.know(FAR, erin)
        self.router.routes.fail(FAR, ERIN, self.now_s)
        self.ask(self.bob)
        self.hit(erin)
        self.assertEqual(self.hops_told(self.bob), [1])

    def test_what_waits_here(self) -> None:
        """A message that waits here for a way takes that of a suspect, where there is no other."""
        self.give(self.bob)
        self.assertEqual(self.router.relay.parked, 1)
        self.ask(self.bob)
        self.hit(self.carol)
        self.assertEqual((self.router.relay.parked, len(self.carol.of_type("SEND"))), (0, 1))
