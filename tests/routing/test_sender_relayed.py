"""Our own messages, over relays: which way, when another, what the user hears (docs/protocol.md, 5 and 8)."""

from __future__ import annotations

from p2pchat.protocol.errors import NO_WAY, TRANSIENT
from p2pchat.routing.delivery import Delivery, State
from tests.routing.neighbours import ALICE, BOB, CAROL, DAVE, ERIN, Neighbour, RouterTestCase


class RelayedTestCase(RouterTestCase):
    """Dave is behind bob, who is nearer, and behind carol."""

    def setUp(self) -> None:
        super().setUp()
        self.bob, self.carol = self.link(), self.link(CAROL)
        self.know(DAVE, self.bob, 2)
        self.know(DAVE, self.carol, 5)

    def tries(self, neighbour: Neighbour) -> list[int]:
        """Which tries went to a neighbour."""
        return [each.get("attempt", 1) for each in neighbour.of_type("SEND")]

    def confirm(self, neighbour: Neighbour, delivery: Delivery) -> None:
        """Let dave's ACK arrive."""
        self.receive(neighbour, "ACK", msg_id=delivery.msg_id, from_=DAVE, src=DAVE, dst=ALICE, ttl=7)

    def refuse(self, neighbour: Neighbour, code: str, delivery: Delivery, detail: str = "x") -> None:
        """Let a relay refuse a message as ours do: with an ERROR and a report."""
        about = {"ref": delivery.msg_id, "dst": ALICE, "detail": detail}
        self.receive(neighbour, "ERROR", code=code, error=code, ttl=8, **about)
        kind = "TTL_EXPIRED" if code == "ttl_expired" else "RELAY_FAIL"
        report = {"msg_id": delivery.msg_id, "src": neighbour.peer_id, "dst": ALICE}
        self.receive(neighbour, kind, reason=code, ttl=8, **report)


class ChoosingTests(RelayedTestCase):
    def test_best_way(self) -> None:
        """Section 5: the best way alone, with all forwards; the destination confirms and the way counts."""
        delivery = self.router.send(DAVE, "hi")
        (sent,) = self.bob.heard
        self.assertEqual((sent["type"], sent["dst"], sent["ttl"]), ("SEND", DAVE, 8))
        self.assertEqual((self.carol.lines, self.house.sought), ([], []))
        self.advance(0.5)
        self.confirm(self.bob, delivery)
        self.assert_settled(delivery, State.CONFIRMED)
        (route,) = [way for way in self.router.routes.ways(DAVE, self.now_s) if way.hop == BOB]
        self.assertEqual((route.confirmed, delivery.via), (1, BOB))
        self.assertAlmostEqual(route.rtt_s or 0.0, 0.5)

    def test_direct_first(self) -> None:
        """Section 5: the direct link before any relay."""
        dave = self.link(DAVE)
        self.router.send(DAVE, "hi")
        self.assertEqual((self.tries(dave), self.bob.lines), ([1], []))

    def test_never_through_plain_peers(self) -> None:
        """9: a plain peer passes nothing on, whatever came through it."""
        erin = self.link(ERIN, plain=True)
        self.receive(erin, "SEND", msg_id="m1", src="far@UnB", dst=ALICE, payload="hi", require_ack=False)
        self.router.send(type(DAVE)("far@UnB"), "hi")
        self.assertEqual(erin.lines, [])

    def test_swallowed(self) -> None:
        """A relay that swallows messages is left after the first, for this message and for the next."""
        delivery = self.router.send(DAVE, "1")
        self.advance(5.0)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]))
        self.confirm(self.carol, delivery)
        self.assert_settled(delivery, State.CONFIRMED)
        self.router.send(DAVE, "2")
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2, 1]))

    def test_words_do_not_count(self) -> None:
        """RELAY_OK is no confirmation: who says that he passed it on, and did not, is left as well."""
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "RELAY_OK", msg_id="a1", src=BOB, dst=ALICE, reason="", ttl=8)
        self.assertIs(delivery.state, State.SENT)
        self.advance(5.0)
        self.assertEqual(self.tries(self.carol), [2])

    def test_not_the_same_again(self) -> None:
        """A resend takes a next hop that did not have the message yet, also where that is not the best."""
        self.know(DAVE, self.link(ERIN), 7)
        self.confirm(self.bob, self.router.send(DAVE, "1"))
        delivery = self.router.send(DAVE, "2")
        self.refuse(self.bob, "busy", delivery)
        self.refuse(self.carol, "busy", delivery)
        self.assertEqual((self.ways(DAVE)[0], delivery.hops), (BOB, (BOB, CAROL, ERIN)))

    def test_another_is_looked_for(self) -> None:
        """Where the only way does not confirm, another is looked for before the next try."""
        self.router.routes.drop(DAVE, CAROL)
        self.router.send(DAVE, "hi")
        self.advance(3.0)
        question = self.carol.of_type("WHO_HAS")[-1]
        self.receive(self.carol, "WHO_HAS_HIT", msg_id=question["msg_id"], src=DAVE, dst=DAVE, via=CAROL)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], []))
        self.advance(2.1)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]))

    def test_link_dies(self) -> None:
        """A relay that dies mid-conversation costs one resend, at once, over another."""
        delivery = self.router.send(DAVE, "hi")
        self.router.neighbour_down(self.bob, "reset")
        self.assertEqual(self.tries(self.carol), [2])
        self.confirm(self.carol, delivery)
        self.assert_settled(delivery, State.CONFIRMED)
        self.advance(60.0)
        self.assertEqual(self.tries(self.carol), [2])

    def test_full(self) -> None:
        """Where too much waits for the best next hop, the next one takes it at once."""
        self.bob.full = True
        delivery = self.router.send(DAVE, "hi")
        self.assertEqual((self.tries(self.carol), delivery.tries, delivery.via), ([1], 1, CAROL))

    def test_ack_over_another_way(self) -> None:
        """The way back is not always the way there: an ACK counts for the next hop that had the message."""
        delivery = self.router.send(DAVE, "hi")
        self.confirm(self.link(ERIN), delivery)
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual([way.confirmed for way in self.router.routes.ways(DAVE, 0.0)], [1, 0])


class RefusedTests(RelayedTestCase):
    def test_no_way(self) -> None:
        """A relay without a way is none; the message goes on over the next at once, once."""
        for code in sorted(NO_WAY):
            self.setUp()
            delivery = self.router.send(DAVE, "hi")
            self.refuse(self.bob, code, delivery)
            self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]), code)
            self.assertEqual((self.ways(DAVE), delivery.counted), ([CAROL], 1))

    def test_no_way_at_all(self) -> None:
        """Where all say that they have no way, others are asked; then it is no_route, and what was said."""
        delivery = self.router.send(DAVE, "hi")
        self.refuse(self.bob, "no_route", delivery)
        self.refuse(self.carol, "no_route", delivery, "carol@Giga knows no way to dave@UnB")
        self.assertIs(delivery.state, State.SEEKING)
        self.advance(5.0)
        words = ("the relay carol@Giga says no_route: carol@Giga knows no way to dave@UnB", "asked bob@UnB")
        self.assert_settled(delivery, State.FAILED, "no_route", *words)

    def test_ttl_expired(self) -> None:
        """ttl_expired: another way may be shorter; where there is none it is over, by that name."""
        delivery = self.router.send(DAVE, "hi")
        self.refuse(self.bob, "ttl_expired", delivery)
        self.assertEqual(self.tries(self.carol), [2])
        self.router.neighbour_down(self.bob, "left")
        self.refuse(self.carol, "ttl_expired", delivery, "no forwards were left when it came to zoe@UnB")
        words = ("the relay carol@Giga says ttl_expired", "zoe@UnB")
        self.assert_settled(delivery, State.FAILED, "ttl_expired", *words)

    def test_busy_elsewhere(self) -> None:
        """A relay that is busy, or had too much of us, is left for another at once where there is one."""
        for code in sorted(TRANSIENT):
            self.setUp()
            delivery = self.router.send(DAVE, "hi")
            self.refuse(self.bob, code, delivery)
            self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]), code)
            self.assertEqual(set(self.ways(DAVE)), {BOB, CAROL})

    def test_busy(self) -> None:
        """The only relay that stays busy is tried again in time; then it is busy, in the relay's words."""
        for code in ("busy", "over_quota"):
            self.setUp()
            self.router.neighbour_down(self.carol, "left")
            delivery = self.router.send(DAVE, "hi")
            for tries, wait_s in ((1, 5.0), (2, 7.5), (3, 10.0)):
                self.assertEqual(len(self.tries(self.bob)), tries)
                self.refuse(self.bob, code, delivery, "too much waits at bob@UnB for dave@UnB")
                self.advance(wait_s)
            words = ("3 times", "through bob@UnB", f"says {code}: too much waits at bob@UnB for dave@UnB")
            self.assert_settled(delivery, State.FAILED, code, *words)

    def test_both_busy(self) -> None:
        """Between two busy relays a message does not go to and fro: it waits before it is tried again."""
        delivery = self.router.send(DAVE, "hi")
        self.refuse(self.bob, "busy", delivery)
        self.refuse(self.carol, "busy", delivery)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]))
        self.advance(4.9)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]))
        self.advance(0.2)
        self.assertEqual(delivery.tries, 3)

    def test_busy_once(self) -> None:
        """Where only some tries were refused, others may have arrived: it is not confirmed."""
        self.router.neighbour_down(self.carol, "left")
        delivery = self.router.send(DAVE, "hi")
        self.advance(5.0)
        self.refuse(self.bob, "busy", delivery)
        self.advance(20.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "through bob@UnB", "busy")

    def test_report_alone(self) -> None:
        """Section 4: a relay that reports and sends no ERROR is understood; words of its own are told."""
        reports = [("RELAY_FAIL", "no_route"), ("RELAY_FAIL", "peer is asleep"), ("RELAY_FAIL", "")]
        for kind, reason in reports:
            self.setUp()
            delivery = self.router.send(DAVE, "hi")
            told = {"msg_id": "a1", "src": BOB, "dst": ALICE, "reason": reason}
            self.receive(self.bob, kind, ttl=8, **told)
            self.assertEqual((self.tries(self.carol), self.ways(DAVE)), ([2], [CAROL]), reason)
            self.assertIn(f"bob@UnB says no_route: {reason * (' ' in reason)}", delivery.trouble)
            self.assertNotIn("no_route: no_route", delivery.trouble)

    def test_report_from_afar(self) -> None:
        """The user hears of the relay that a report names, not of the one that passed it back."""
        self.router.neighbour_down(self.carol, "gone")
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "TTL_EXPIRED", msg_id=delivery.msg_id, src=ERIN, dst=ALICE, reason="x", ttl=7)
        self.assert_settled(delivery, State.FAILED, "ttl_expired", "the relay erin@")

    def test_report_without_ttl(self) -> None:
        """Section 4: TTL_EXPIRED alone is understood, in whatever words."""
        self.router.neighbour_down(self.carol, "left")
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "TTL_EXPIRED", msg_id="a1", src=BOB, dst=ALICE, reason="ttl_expired")
        self.assert_settled(delivery, State.FAILED, "ttl_expired", "bob@UnB", "ran out of hops on the way")

    def test_late_refusal(self) -> None:
        """What a relay says about a try that was given up already changes nothing."""
        delivery = self.router.send(DAVE, "hi")
        self.advance(5.0)
        self.refuse(self.bob, "no_route", delivery)
        self.assertEqual((self.tries(self.bob), self.tries(self.carol)), ([1], [2]))
        self.assertEqual(self.house.complaints, [])
        self.confirm(self.carol, delivery)
        self.assert_settled(delivery, State.CONFIRMED)

    def test_of_a_stranger(self) -> None:
        """Who was not given the message cannot refuse it."""
        erin = self.link(ERIN)
        delivery = self.router.send(DAVE, "hi")
        self.refuse(erin, "no_route", delivery)
        self.assertEqual((self.tries(self.carol), delivery.state), ([], State.SENT))
        self.receive(erin, "RELAY_OK", msg_id="a1", src=ERIN, dst=ALICE)
        self.assertEqual(delivery.trouble, "")

    def test_the_destination_refuses(self) -> None:
        """What the destination itself says through a link of ours is final, whatever relays there are."""
        dave = self.link(DAVE)
        delivery = self.router.send(DAVE, "hi")
        self.receive(dave, "ERROR", ref="a1", code="unauthorized", detail="blocked", dst=ALICE)
        self.assert_settled(delivery, State.FAILED, "unauthorized", "the peer says unauthorized: blocked")
        self.assertEqual((self.bob.lines, self.carol.lines), ([], []))

    def test_liars(self) -> None:
        """Relays that refuse each try cannot keep a message going round for ever."""
        for code in ("busy", "no_route"):
            self.setUp()
            delivery = self.router.send(DAVE, "hi")
            for _ in range(20):
                for relay in (self.bob, self.carol):
                    self.refuse(relay, code, delivery)
                    self.know(DAVE, relay, 2)
                    self.router.discovery.noticed(DAVE)
            self.advance(60.0)
            self.assertEqual(self.house.settlements, [delivery])
            self.assertLessEqual(delivery.tries, 6)


class NamesTests(RelayedTestCase):
    def test_not_confirmed(self) -> None:
        """not confirmed says how often, over whom, how long, and what was heard on the way."""
        delivery = self.router.send(DAVE, "hi")
        self.receive(self.bob, "RELAY_OK", msg_id="a1", src=BOB, dst=ALICE)
        self.advance(30.0)
        words = ("sent 3 times in", "through bob@UnB and carol@Giga", "no confirmation came")
        self.assert_settled(delivery, State.FAILED, "not confirmed", *words)

    def test_all_full(self) -> None:
        """busy names the neighbour for whom too much waits."""
        self.bob.full = self.carol.full = True
        delivery = self.router.send(DAVE, "hi")
        self.assert_settled(delivery, State.FAILED, "busy", "too much waits for bob@UnB")

    def test_every_failure(self) -> None:
        """Each failure has a name, says why, and keeps the next hops that were tried."""
        for code in ("no_route", "ttl_expired", "unauthorized", "busy", "made_up"):
            self.setUp()
            delivery = self.router.send(DAVE, "hi")
            for relay in (self.bob, self.carol):
                self.refuse(relay, code, delivery)
            self.advance(30.0)
            self.assertEqual((delivery.state, set(delivery.hops)), (State.FAILED, {BOB, CAROL}), code)
            self.assertIn("relay carol@Giga says " + code, delivery.why)
