"""What can go wrong with our own messages, and what the user hears (docs/protocol.md, 5, 8 and 9)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.protocol.errors import MEANINGS, TRANSIENT
from p2pchat.routing.delivery import State
from tests.routing.neighbours import BOB, CAROL, RouterTestCase


class SeekingTests(RouterTestCase):
    def test_no_route(self) -> None:
        """Section 5: without a link within 5 s the user hears no_route."""
        delivery = self.router.send(BOB, "hi")
        self.assertEqual(self.house.sought, [BOB])
        self.advance(4.9)
        self.assertEqual(self.house.settlements, [])
        self.advance(0.1)
        self.assert_settled(delivery, State.FAILED, "no_route", "5 s")
        self.assertEqual(self.house.began, [])

    def test_link_in_time(self) -> None:
        """A link that comes up in time carries what waits for it, in order, and no other message."""
        self.router.send(BOB, "1")
        self.router.send(CAROL, "2")
        self.router.send(BOB, "3")
        self.advance(4.0)
        bob = self.link()
        self.assertEqual([fields["payload"] for fields in bob.of_type("SEND")], ["1", "3"])
        self.advance(4.9)
        self.assertEqual(len(bob.of_type("SEND")), 2)
        self.assertEqual([each.payload for each in self.house.settlements], ["2"])

    def test_link_lost(self) -> None:
        """Section 5: what a lost link did not confirm goes again over the next one."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(1.0)
        self.router.neighbour_down(bob, "reset")
        self.assertEqual((delivery.state, self.house.sought), (State.SEEKING, [BOB]))
        self.advance(4.9)
        again = self.link()
        self.assertEqual([fields["attempt"] for fields in again.heard], [2])
        self.receive(again, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)

    def test_link_lost_for_good(self) -> None:
        """Where no other link comes, the user is told what happened."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "reset")
        self.advance(5.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset", "no other way", "5 s")

    def test_link_lost_at_the_last_try(self) -> None:
        """A link that falls after the third try ends it."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.advance(13.0)
        self.router.neighbour_down(bob, "reset")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset")
        self.assertEqual(delivery.tries, 3)

    def test_ack_over_a_link_that_leaves(self) -> None:
        """An ACK that comes while the link says its farewells still confirms."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "left")
        self.receive(bob, "ACK", msg_id="a1")
        self.assert_settled(delivery, State.CONFIRMED)
        self.assertEqual(self.link().lines, [])

    def test_overdue_without_a_link(self) -> None:
        """A message whose link is gone when its ACK is overdue looks for another."""
        bob = self.link()
        self.advance(1.0)
        delivery = self.router.send(BOB, "hi")
        self.router.neighbour_down(bob, "reset")
        other = self.link()
        self.router.neighbour_down(other, "reset again")
        third = self.link()
        self.assertEqual([fields["attempt"] for fields in third.heard], [3])
        self.advance(10.0)
        self.assert_settled(delivery, State.FAILED, "not confirmed", "reset")


class SuspectTests(RouterTestCase):
    def test_not_sent_again(self) -> None:
        """9.15: a plain link that falls right after a message may fall because of it: not again."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(4.9)
        self.router.neighbour_down(bob, "closed")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again", "closed")
        self.assertEqual(self.link(plain=True).lines, [])

    def test_one_of_several_links(self) -> None:
        """9.15: nor does it go over another link that stands."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(1.0)
        self.router.link_lost(bob, "reset")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again", "reset")
        self.advance(30.0)
        self.assertEqual(len(bob.lines), 1)

    def test_long_after(self) -> None:
        """9.15: what was last sent long before goes again over the next link."""
        bob = self.link(plain=True)
        self.router.send(BOB, "old")
        self.advance(5.0)  # it goes again here
        self.advance(6.0)
        self.router.neighbour_down(bob, "closed")
        again = self.link(plain=True)
        self.assertEqual([fields["payload"] for fields in again.heard], ["old"])

    def test_resent_just_now(self) -> None:
        """9.15: it is the last try that counts."""
        bob = self.link(plain=True)
        delivery = self.router.send(BOB, "hi")
        self.advance(6.0)
        self.router.neighbour_down(bob, "closed")
        self.assert_settled(delivery, State.FAILED, "not confirmed", "not sent again")


class ErrorTests(RouterTestCase):
    def test_final(self) -> None:
        """Section 8: an ERROR after which trying again is no use ends the message, in either form."""
        codes = [*sorted(set(MEANINGS) - TRANSIENT), "something_new"]
        for code in codes:
            for fields in ({"code": code}, {"error": code}, {"error": code, "status": "ERROR"}):
                self.setUp()
                bob = self.link()
                delivery = self.router.send(BOB, "hi")
                self.receive(bob, "ERROR", ref="a1", **fields)
                meaning = MEANINGS.get(code, "no detail")
                self.assert_settled(delivery, State.FAILED, code, "the peer says", code, meaning)
        self.assertGreater(len(codes), 10)

    def test_without_a_type(self) -> None:
        """Section 8: the form without a type is understood too."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        error = {"status": "ERROR", "error": "unauthorized", "detail": "blocked", "ref": "a1"}
        self.receive(bob, "", **{**error, "type_": None})
        self.assert_settled(delivery, State.FAILED, "unauthorized", "blocked")

    def test_transient(self) -> None:
        """Section 8: after an ERROR that may pass the message is tried again as planned."""
        for code in sorted(TRANSIENT):
            self.setUp()
            bob = self.link()
            delivery = self.router.send(BOB, "hi")
            self.receive(bob, "ERROR", ref="a1", code=code)
            self.assertEqual(self.house.settlements, [])
            self.advance(5.0)
            self.assertEqual(len(bob.lines), 2)
            self.receive(bob, "ACK", msg_id="a1")
            self.assert_settled(delivery, State.CONFIRMED)

    def test_of_somebody_else(self) -> None:
        """An ERROR of somebody else than the destination's neighbour ends nothing."""
        self.link()
        carol = self.link(CAROL)
        self.router.send(BOB, "hi")
        self.receive(carol, "ERROR", ref="a1", code="no_route")
        self.assertEqual((self.house.settlements, len(self.house.complaints)), ([], 1))

    def test_reason_of_nothing(self) -> None:
        """An ERROR without a code still ends the message that it names."""
        bob = self.link()
        delivery = self.router.send(BOB, "hi")
        self.receive(bob, "ERROR", ref="a1")
        self.assert_settled(delivery, State.FAILED, "error", "no detail")


class EveryOutcomeTests(RouterTestCase):
    STEPS = st.lists(
        st.tuples(
            st.sampled_from(["send", "up", "down", "ack", "busy", "no", "time", "full"]), st.booleans()
        ),
        max_size=40,
    )

    @given(STEPS)
    def test_settled_once(self, steps: list[tuple[str, bool]]) -> None:
        """Whatever happens, each message is settled exactly once, after three tries and 60 s at most."""
        self.setUp()
        bob = None
        sent = []
        for what, flag in steps:
            if what == "send":
                sent.append(self.router.send(BOB, "hi"))
            elif what == "up" and bob is None:
                bob = self.link(plain=flag)
            elif what == "down" and bob is not None:
                self.router.neighbour_down(bob, "fell")
                bob = None
            elif what == "time":
                self.advance(6.0 if flag else 0.5)
            elif what == "full" and bob is not None:
                bob.full = flag
            elif bob is not None and sent:
                about = sent[0 if flag else -1].msg_id
                fields = {"ack": {"msg_id": about}, "busy": {"ref": about, "code": "busy"}}
                kind = "ACK" if what == "ack" else "ERROR"
                self.receive(bob, kind, **fields.get(what, {"ref": about, "code": "no_route"}))
        self.advance(60.0)
        self.assertEqual(
            sorted(each.msg_id for each in self.house.settlements), sorted(e.msg_id for e in sent)
        )
        self.assertLessEqual(max((each.tries for each in sent), default=0), 3)
        self.assertEqual(len(self.router.pending), 0)
        for each in self.house.settlements:
            self.assertTrue(each.state is State.CONFIRMED or (each.code and each.why))
