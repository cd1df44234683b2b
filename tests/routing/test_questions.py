"""Others ask who can reach a peer: answered, passed on, passed back (docs/protocol.md, 5 and 9)."""

from __future__ import annotations

from typing import Any

from p2pchat.protocol.names import PeerId
from p2pchat.routing.quotas import Limits, Rate
from p2pchat.routing.routes import DOUBT_S, FRESH_S
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase

ZOE = PeerId("zoe@UnB")


class QuestionTestCase(RouterTestCase):
    def ask(self, neighbour: Neighbour, dst: PeerId = DAVE, ttl: int = 8, **fields: Any) -> None:
        """Let a neighbour ask."""
        fields = {"msg_id": "q1", "src": neighbour.peer_id, **fields}
        self.receive(neighbour, "WHO_HAS", dst=dst, ttl=ttl, **fields)

    def hit(self, neighbour: Neighbour, dst: PeerId = DAVE, **fields: Any) -> None:
        """Let a neighbour answer."""
        fields = {"msg_id": "q1", "src": dst, "via": neighbour.peer_id, "ttl": 8, "hops": 0, **fields}
        self.receive(neighbour, "WHO_HAS_HIT", dst=dst, **fields)

    def hops_told(self, neighbour: Neighbour) -> list[int | None]:
        """The lengths in the answers that a neighbour got."""
        return [each.get("hops") for each in neighbour.of_type("WHO_HAS_HIT")]


class AnsweringTests(QuestionTestCase):
    def test_we_are_sought(self) -> None:
        """Section 5: whoever is dst answers, urgently, and asks nobody else."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob, ALICE, ttl=0)
        names = {"src": ALICE, "dst": ALICE, "via": ALICE}
        answer = {"type": "WHO_HAS_HIT", "msg_id": "q1", **names, "ttl": 8, "hops": 0}
        self.assertEqual((bob.heard, len(bob.urgent), carol.lines), ([answer], 1, []))
        self.assertEqual(self.router.tally.questions_answered, 1)

    def test_linked(self) -> None:
        """Section 5: whoever holds a link with dst answers in its stead, also where dst is plain."""
        bob = self.link()
        dave, erin = self.link(DAVE), self.link(ERIN, plain=True)
        self.ask(bob, DAVE)
        self.ask(bob, ERIN)
        self.assertEqual((self.hops_told(bob), dave.lines, erin.lines), ([1, 1], [], []))

    def test_used_with_success(self) -> None:
        """Section 5: so does whoever has used a route with success lately, not who only heard of one."""
        bob, carol = self.link(), self.link(CAROL)
        self.know(DAVE, carol, hops=3)
        self.ask(bob, msg_id="q1")
        self.assertEqual((self.hops_told(bob), len(carol.of_type("WHO_HAS"))), ([], 1))
        self.router.routes.confirm(DAVE, CAROL, self.now_s, 0.1)
        self.ask(bob, msg_id="q2")
        self.assertEqual(self.hops_told(bob), [3])
        self.now_s += FRESH_S + 1
        self.ask(bob, msg_id="q3")
        self.assertEqual((self.hops_told(bob), len(carol.of_type("WHO_HAS"))), ([3], 2))

    def test_not_through_the_asker(self) -> None:
        """A way that leads through whoever asks is no answer."""
        bob = self.link()
        self.know(DAVE, bob)
        self.router.routes.confirm(DAVE, BOB, self.now_s, 0.1)
        self.ask(bob)
        self.assertEqual(bob.lines, [])

    def test_link_in_doubt(self) -> None:
        """A direct link that lost a message is not vouched for, until it would be tried first again."""
        bob, _dave = self.link(), self.link(DAVE, plain=True)
        self.router.routes.fail(DAVE, DAVE, self.now_s)
        self.ask(bob, msg_id="q1")
        self.assertEqual(self.hops_told(bob), [])
        self.now_s += DOUBT_S + 1
        self.ask(bob, msg_id="q2")
        self.assertEqual(self.hops_told(bob), [1])

    def test_plain_asker(self) -> None:
        """9.1, 9.4: a plain peer that asks gets its answer with ttl 1 and in ASCII, ours or passed back."""
        bob, plain = self.link(), self.link(CAROL, plain=True, features=frozenset({"who_has"}))
        name = PeerId("joão@UnB")
        self.ask(plain, ALICE, ttl=1)
        self.ask(plain, name, ttl=1)
        self.hit(bob, name, color="é")
        self.assertEqual([each["ttl"] for each in plain.heard], [1, 1])
        self.assertTrue(all(line.isascii() for line in plain.lines))
        passed_back = plain.heard[1]
        self.assertEqual((passed_back["via"], passed_back["hops"]), (ALICE, 1))
        self.assertEqual((passed_back["dst"], passed_back["color"]), (name, "é"))

    def test_teaches_the_way_back(self) -> None:
        """A question shows through whom its source is reached, as far as its ttl tells."""
        bob, carol = self.link(), self.link(CAROL, plain=True)
        for msg_id, ttl, hops in (("q1", 2, None), ("q2", 6, 3), ("q3", 7, 2)):
            self.ask(bob, src=ZOE, msg_id=msg_id, ttl=ttl)
            (route,) = [each for each in self.router.routes if each.dst == ZOE]
            self.assertEqual((route.hop, route.hops), (BOB, hops))
        self.ask(carol, src=ERIN)
        self.assertEqual(self.ways(ERIN), [])


class PassingOnTests(QuestionTestCase):
    def test_flood(self) -> None:
        """Section 5: it floods with one ttl less, never back, nor to whose it is; unknown fields are kept."""
        bob, carol, erin = self.link(), self.link(CAROL), self.link(ERIN)
        plain = self.link(PeerId("p@UnB"), plain=True)
        mute = self.link(PeerId("m@UnB"), features=frozenset({"relay"}))
        self.ask(bob, src=ERIN, ttl=5, color=[1, {"x": None}])
        question = {"type": "WHO_HAS", "msg_id": "q1", "src": ERIN, "dst": DAVE, "ttl": 4}
        self.assertEqual(carol.heard, [{**question, "color": [1, {"x": None}]}])
        self.assertEqual([each.lines for each in (bob, erin, plain, mute)], [[], [], [], []])
        self.assertEqual(carol.passed_on[0][0], BOB)

    def test_ttl(self) -> None:
        """Section 5: none left, it ends here; more than 8 count as 8, and a missing one as 1."""
        bob, carol = self.link(), self.link(CAROL)
        for number, ttl in enumerate((0, -5, 1, 8, 9, 10**30, None)):
            self.ask(bob, msg_id=f"q{number}", ttl=ttl)  # type: ignore[arg-type]
        self.assertEqual([each["ttl"] for each in carol.heard], [0, 7, 7, 7, 0])
        self.assertEqual((bob.lines, self.router.tally.expired), ([], 2))

    def test_once(self) -> None:
        """Section 5: each node once per (src, msg_id), but for a copy with more forwards left."""
        bob, carol, erin = self.link(), self.link(CAROL), self.link(ERIN)
        for neighbour, ttl in ((bob, 3), (bob, 3), (carol, 2), (carol, 6), (bob, 6)):
            self.ask(neighbour, src=ZOE, ttl=ttl)
        self.assertEqual([each["ttl"] for each in erin.heard], [2, 5])
        self.assertEqual([each["ttl"] for each in bob.heard], [5])
        self.assertEqual(self.router.tally.duplicates, 3)

    def test_another_source(self) -> None:
        """Section 4: the same msg_id of another source is another question; counters collide."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob, src=ERIN)
        self.ask(bob, src=ZOE)
        self.assertEqual(len(carol.heard), 2)

    def test_our_own(self) -> None:
        """Our own question that comes back goes no further."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob, src=ALICE)
        self.assertEqual((bob.lines, carol.lines), ([], []))

    def test_over_quota(self) -> None:
        """A node that is asked more than it should says over_quota, but answers what it knows itself."""
        self.router.hood.limits = Limits(questions=Rate(0.0, 1.0))
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob, src=ZOE, msg_id="q1")
        self.ask(bob, src=ZOE, msg_id="q2")
        self.ask(bob, CAROL, msg_id="q3")
        error, hit = bob.heard
        self.assertEqual((error["code"], error["ref"], error["dst"]), ("over_quota", "q2", ZOE))
        self.assertEqual((hit["msg_id"], len(carol.heard), len(bob.holds)), ("q3", 1, 1))
        self.ask(carol, src=ERIN, msg_id="q4")
        self.assertEqual(len(bob.of_type("WHO_HAS")), 1)


class PassingBackTests(QuestionTestCase):
    def test_back(self) -> None:
        """Section 5: the answer walks back, with us in `via`; we learn the next hop; unknown fields stay."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob, src=ZOE, ttl=6)
        self.hit(carol, src=ERIN, hops=1, ttl=7, color="é")
        answer = {"type": "WHO_HAS_HIT", "msg_id": "q1", "src": ERIN, "dst": DAVE, "via": ALICE, "ttl": 6}
        self.assertEqual(bob.heard, [{**answer, "hops": 2, "color": "é"}])
        self.assertEqual((bob.passed_on[0][0], self.ways(DAVE)), (CAROL, [CAROL]))
        self.assertEqual(carol.of_type("WHO_HAS_HIT"), [])

    def test_hops_not_counted(self) -> None:
        """Where the length is not told it is not invented."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob)
        self.hit(carol, hops=None)
        self.assertEqual(self.hops_told(bob), [None])

    def test_only_better_ones(self) -> None:
        """All answers are learned; only one that tells of a shorter way is passed back as well."""
        bob, carol, erin = self.link(), self.link(CAROL), self.link(ERIN)
        self.ask(bob)
        for neighbour, hops in ((carol, 3), (erin, 4), (carol, 3), (erin, 2), (carol, 7)):
            self.hit(neighbour, hops=hops)
        self.assertEqual((self.hops_told(bob), set(self.ways(DAVE))), ([4, 3], {CAROL, ERIN}))

    def test_better_copy(self) -> None:
        """The answer goes to whoever brought the copy with the most forwards left."""
        bob, carol, erin = self.link(), self.link(CAROL), self.link(ERIN)
        self.ask(bob, src=ZOE, ttl=3)
        self.ask(carol, src=ZOE, ttl=6)
        self.hit(erin)
        self.assertEqual((self.hops_told(bob), self.hops_told(carol)), ([], [1]))

    def test_nowhere_to_go(self) -> None:
        """An answer goes neither back to its bringer, nor on without ttl, nor where nobody asked."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob)
        self.hit(bob)
        self.hit(carol, msg_id="q2")
        self.hit(carol, ERIN)
        self.hit(carol, ALICE)
        self.assertEqual((self.ways(DAVE), self.router.tally.hits_unasked), ([], 4))
        self.hit(carol, ttl=0)
        self.assertEqual((self.ways(DAVE), bob.lines), ([CAROL], []))
        self.router.neighbour_down(bob, "left")
        self.hit(carol)
        self.assertEqual((bob.lines, carol.of_type("WHO_HAS_HIT")), ([], []))

    def test_forgotten(self) -> None:
        """After a minute or two the way back is forgotten."""
        bob, carol = self.link(), self.link(CAROL)
        self.ask(bob)
        self.assertEqual(self.router.discovery.remembered, 2)
        self.advance(121.0)
        self.hit(carol)
        self.assertEqual((bob.lines, self.router.discovery.remembered), ([], 0))
