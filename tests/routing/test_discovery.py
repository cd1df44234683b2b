"""We ask who can reach a peer (docs/protocol.md, sections 5 and 9)."""

from __future__ import annotations

from p2pchat.protocol.names import PeerId
from p2pchat.routing import discovery as module
from p2pchat.routing.delivery import State
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase


class DiscoveryTestCase(RouterTestCase):
    def hit(self, neighbour: Neighbour, question: dict[str, object], **fields: object) -> None:
        """Let a neighbour answer a question as one that has a link with whom we seek."""
        via = neighbour.peer_id
        told = {"src": via, "dst": question["dst"], "via": via, "ttl": 8, "hops": 1, **fields}
        self.receive(neighbour, "WHO_HAS_HIT", msg_id=question["msg_id"], **told)

    def ttls(self, neighbour: Neighbour) -> list[int]:
        """The ttl of each question that a neighbour got."""
        return [question["ttl"] for question in neighbour.of_type("WHO_HAS")]


class AskingTests(DiscoveryTestCase):
    def test_question(self) -> None:
        """Section 4: a WHO_HAS has all its fields; section 5: we dial at the same time."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        question = {"type": "WHO_HAS", "msg_id": "a2", "src": ALICE, "dst": DAVE, "ttl": 2}
        self.assertEqual((bob.heard, self.house.sought), ([question], [DAVE]))

    def test_wider_and_wider(self) -> None:
        """Those who are near are asked first (ttl 2), then all (8), each question with its own msg_id."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        self.advance(0.9)
        self.assertEqual(self.ttls(bob), [2])
        self.advance(0.1)
        self.assertEqual(self.ttls(bob), [2, 8])
        self.advance(10.0)
        self.assertEqual(self.ttls(bob), [2, 8, 8])
        ids = [question["msg_id"] for question in bob.of_type("WHO_HAS")]
        self.assertEqual((len(set(ids)), len(self.router.discovery)), (3, 0))

    def test_who_is_asked(self) -> None:
        """9.1: only peers are asked that offered to be, and no plain ones, whatever they offer."""
        features = {"ack", "relay", "who_has"}
        bob = self.link()
        others = [
            self.link(CAROL, plain=True),
            self.link(ERIN, plain=True, features=frozenset(features)),
            self.link(PeerId("zoe@UnB"), features=frozenset(features - {"who_has"})),
        ]
        self.router.send(DAVE, "hi")
        self.advance(3.9)
        self.assertEqual((len(bob.lines), [len(each.lines) for each in others]), (2, [0, 0, 0]))

    def test_one_question(self) -> None:
        """Concurrent questions for one destination are one question, whoever needs it."""
        bob, carol = self.link(), self.link(CAROL)
        self.router.send(DAVE, "1")
        self.router.send(DAVE, "2")
        self.give(carol, DAVE)
        self.assertEqual((len(bob.of_type("WHO_HAS")), len(carol.of_type("WHO_HAS"))), (1, 1))
        self.assertEqual(len(self.router.discovery), 1)

    def test_two_destinations(self) -> None:
        """Each destination is a question of its own, and its answer helps nobody else."""
        bob = self.link()
        self.router.send(DAVE, "1")
        self.router.send(ERIN, "2")
        for_dave, for_erin = bob.of_type("WHO_HAS")
        self.hit(bob, for_dave, dst=ERIN)
        self.assertEqual(bob.of_type("SEND"), [])
        self.hit(bob, for_erin)
        self.assertEqual([each["payload"] for each in bob.of_type("SEND")], ["2"])

    def test_new_neighbour(self) -> None:
        """A neighbour that comes while a question is open is asked too, as wide as the others."""
        self.link()
        self.router.send(DAVE, "hi")
        self.assertEqual(self.ttls(self.link(CAROL)), [2])
        self.advance(1.0)
        self.assertEqual(self.ttls(self.link(ERIN)), [8])
        self.assertEqual(self.link(DAVE).of_type("WHO_HAS"), [])

    def test_too_many(self) -> None:
        """Beyond so many open questions no more are asked, and the user is told."""
        self.patch(module, "MAX_QUESTIONS", 2)
        self.link()
        for name in ("x", "y"):
            self.router.send(PeerId(f"{name}@UnB"), "hi")
        delivery = self.router.send(DAVE, "hi")
        self.assertEqual((len(self.router.discovery), self.router.discovery.refused), (2, 1))
        self.assert_failed(delivery, "busy", "looked for")

    def assert_failed(self, delivery: object, code: str, word: str) -> None:
        """Assert that one delivery of several has failed, and why."""
        (failed,) = self.house.settlements
        self.assertIs(failed, delivery)
        self.assertEqual((failed.code, word in failed.why), (code, True))

    def test_no_room(self) -> None:
        """A neighbour for whom too much waits was not asked, and is not said to have been."""
        bob, carol = self.link(), self.link(CAROL)
        bob.full = True
        delivery = self.router.send(DAVE, "hi")
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "no_route", "asked carol@Giga for a way")
        self.assertEqual((len(bob.lines), len(carol.lines)), (0, 3))

    def test_given_up(self) -> None:
        """A question ends with the search; who needs the peer later asks anew, near ones first."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        self.advance(5.1)
        self.router.send(DAVE, "hi")
        self.assertEqual(self.ttls(bob)[-2:], [8, 2])


class FailureTests(DiscoveryTestCase):
    def test_nobody_to_ask(self) -> None:
        """no_route says that there was nobody to ask."""
        delivery = self.router.send(DAVE, "hi")
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "no_route", "within 5 s", "no neighbour is linked")

    def test_who_was_asked(self) -> None:
        """no_route says who was asked, some by name."""
        for name in ("r1", "r2", "r3", "r4", "r5"):
            self.link(PeerId(f"{name}@UnB"))
        delivery = self.router.send(DAVE, "hi")
        self.advance(5.0)
        self.assert_settled(
            delivery, State.FAILED, "no_route", "asked r1@UnB, r2@UnB, r3@UnB and 2 more for a way"
        )

    def test_what_was_said(self) -> None:
        """An ERROR about the question is part of the reason, and no complaint of its own."""
        bob = self.link()
        delivery = self.router.send(DAVE, "hi")
        ref = bob.heard[0]["msg_id"]
        self.receive(bob, "ERROR", code="over_quota", ref=ref, detail="not so fast", dst=ALICE)
        self.assertEqual(self.house.complaints, [])
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "no_route", "bob@UnB says over_quota: not so fast")

    def test_said_without_words(self) -> None:
        """A code alone is told in words."""
        bob = self.link()
        delivery = self.router.send(DAVE, "hi")
        self.receive(bob, "ERROR", code="who_has_timeout", ref=bob.heard[0]["msg_id"])
        self.advance(5.0)
        self.assert_settled(
            delivery, State.FAILED, "no_route", "who_has_timeout: nobody there knows the peer"
        )


class AnsweredTests(DiscoveryTestCase):
    def test_message_goes(self) -> None:
        """The message goes over whom the first answer came from; the route is known from then on."""
        bob = self.link()
        delivery = self.router.send(DAVE, "hi")
        self.advance(0.3)
        self.hit(bob, bob.heard[0])
        (sent,) = bob.of_type("SEND")
        self.assertEqual((sent["dst"], sent["ttl"], delivery.state), (DAVE, 8, State.SENT))
        (route,) = [each for each in self.router.routes if each.dst == DAVE]
        self.assertEqual((route.hop, route.hops), (BOB, 2))
        self.assertAlmostEqual(route.rtt_s or 0.0, 0.3)
        self.router.send(DAVE, "again")
        self.assertEqual(len(bob.of_type("WHO_HAS")), 1)

    def test_later_answers(self) -> None:
        """Answers after the first are learned, so that there are several next hops; nothing is sent twice."""
        bob, carol = self.link(), self.link(CAROL)
        self.router.send(DAVE, "hi")
        self.hit(carol, carol.heard[0], hops=3)
        self.hit(bob, bob.heard[0], hops=1)
        self.assertEqual((bob.of_type("SEND"), len(carol.of_type("SEND"))), ([], 1))
        self.assertEqual(self.ways(DAVE), [BOB, CAROL])

    def test_doubtful(self) -> None:
        """An answer of a relay that lost our last message waits a moment for a better one, no longer."""
        for is_better_one in (True, False):
            self.setUp()
            bob, carol = self.link(), self.link(CAROL)
            self.know(ERIN, bob)
            self.router.routes.fail(ERIN, BOB, self.now_s)
            self.router.send(DAVE, "hi")
            self.hit(bob, bob.heard[0])
            self.advance(0.2)
            self.assertEqual((bob.of_type("SEND"), carol.of_type("SEND")), ([], []))
            if is_better_one:
                self.hit(carol, carol.heard[0])
            self.advance(0.2)
            sent = (len(bob.of_type("SEND")), len(carol.of_type("SEND")))
            self.assertEqual(sent, (0, 1) if is_better_one else (1, 0))

    def test_not_asked_again(self) -> None:
        """Who was found is not asked for any more."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        self.hit(bob, bob.heard[0])
        self.advance(2.0)
        self.assertEqual(len(bob.of_type("WHO_HAS")), 1)

    def test_late(self) -> None:
        """The answer to a question that is over is nobody's."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        self.advance(5.1)
        self.hit(bob, bob.heard[0])
        self.assertEqual((self.ways(DAVE), self.router.tally.hits_unasked), ([], 1))

    def test_unasked(self) -> None:
        """An answer that nobody asked for teaches nothing; nor does one of a plain peer, or about us."""
        bob, carol = self.link(), self.link(CAROL, plain=True)
        self.router.send(DAVE, "hi")
        question = bob.heard[0]
        self.hit(carol, question)
        self.hit(bob, {**question, "msg_id": "zz"})
        self.hit(bob, question, dst=ALICE)
        self.hit(bob, question, dst="")
        self.assertEqual((len(self.router.routes), self.router.tally.hits_unasked), (2, 4))
        self.assertEqual(bob.of_type("SEND"), [])

    def test_hops_are_nonsense(self) -> None:
        """A length that cannot be is one that nobody counted."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        for hops in (-1, 9, 10**30):
            self.hit(bob, bob.heard[0], hops=hops)
            (route,) = [each for each in self.router.routes if each.dst == DAVE]
            self.assertIsNone(route.hops)

    def test_found_by_traffic(self) -> None:
        """Routes are learned from traffic too: a message of whom we seek, through a relay, shows the way."""
        for kind, dst in (("SEND", ALICE), ("PUB", "*"), ("WHO_HAS", ERIN)):
            self.setUp()
            bob = self.link()
            self.router.send(DAVE, "hi")
            self.receive(bob, kind, msg_id="m1", src=DAVE, dst=dst, payload="x", ttl=5)
            self.assertEqual(len(bob.of_type("SEND")), 1, kind)
            self.advance(2.0)
            self.assertEqual(len(bob.of_type("WHO_HAS")), 1, kind)

    def test_found_by_the_answer_to_another(self) -> None:
        """An answer that passes through on its way to somebody else shows the way as well."""
        bob, carol = self.link(), self.link(CAROL)
        self.receive(carol, "WHO_HAS", msg_id="q1", src=CAROL, dst=DAVE, ttl=8)
        self.router.send(DAVE, "hi")
        self.hit(bob, {"msg_id": "q1", "dst": DAVE})
        self.assertEqual(len(bob.of_type("SEND")), 1)

    def test_plain_traffic_shows_no_way(self) -> None:
        """9: a plain peer passes nothing on: what comes through it neither ends a search nor prolongs it."""
        bob, carol = self.link(plain=True), self.link(CAROL)
        for is_found in (True, False):
            delivery = self.router.send(DAVE, "hi")
            for number in range(10):
                self.receive(bob, "SEND", msg_id=f"m{number}", src=DAVE, dst=ALICE, payload="x")
                self.advance(0.49)
            if is_found:
                self.hit(carol, carol.of_type("WHO_HAS")[-1])
                self.assertEqual(delivery.state, State.SENT)
                self.router.neighbour_down(carol, "left")
            else:
                self.advance(0.1)
                self.assertEqual((delivery.state, delivery.code), (State.FAILED, "no_route"))

    def test_found_way_is_lost(self) -> None:
        """Where the way that was found is refused, all are asked again, but not in the same moment."""
        bob = self.link()
        self.router.send(DAVE, "hi")
        self.hit(bob, bob.heard[0])
        for _ in range(2):
            self.receive(bob, "ERROR", code="no_route", ref="a1", dst=ALICE)
        self.assertEqual(self.ttls(bob), [2])
        self.advance(1.0)
        self.assertEqual(self.ttls(bob), [2, 8])
