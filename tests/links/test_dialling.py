"""Dialling the roster (docs/protocol.md, sections 3 and 9.15)."""

from __future__ import annotations

from itertools import pairwise

from p2pchat.addresses import Address
from p2pchat.links.dialler import DialFailed
from tests.links.peers import (
    ALICE,
    ALICE_IP,
    BOB,
    BOB_IP,
    BOBS,
    CAROL,
    CAROLS,
    OUR_FEATURES,
    PLAIN_FEATURES,
    AliceTestCase,
    hello_ok,
)


class DiallingTests(AliceTestCase):
    def test_roster(self) -> None:
        """9.15: everyone in the roster is dialled, whatever the order of names."""
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.assertEqual((len(bobs), self.board.events), (1, ["+bob@UnB"]))
        self.clock.advance(100.0)
        self.assertEqual(len(bobs), 1)

    def test_a_plain_peer_under_another_name(self) -> None:
        """9.11: it is the neighbour that the roster says it is."""
        self.serve({"HELLO": hello_ok(ALICE, PLAIN_FEATURES)})
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.assertEqual(self.board.events, ["+bob@UnB"])

    def test_an_own_kind_under_another_name(self) -> None:
        """9.11: it is who it says it is; who looks for the other one is told so, now and later."""
        self.serve({"HELLO": hello_ok(CAROL, OUR_FEATURES)})
        self.alice.set_roster({BOB: BOBS})
        (dialler,) = self.alice.diallers_of(BOB)
        early = dialler.outcome()
        self.clock.advance(0.1)
        self.assertEqual(self.board.events, ["+carol@UnB"])
        for waiting in (early, dialler.outcome()):
            self.assertIn("carol@UnB", self.failureResultOf(waiting, DialFailed).getErrorMessage())
        self.assertEqual(dialler.last_failure, "carol@UnB is there instead")

    def test_growing_waits(self) -> None:
        """9.15: nobody there is dialled again after growing waits, from 1 s to 5 min."""
        for chance, first_s, longest_s in ((0.0, 1.0, 150.0), (1.0, 2.0, 300.0)):
            self.chance = chance
            self.alice.set_roster({})
            self.alice.set_roster({BOB: BOBS})
            (dialler,) = self.alice.diallers
            waits_s = []
            for _ in range(12):
                self.clock.advance(0.005)
                next_s = dialler.next_try_at_s
                assert next_s is not None
                waits_s.append(next_s - self.clock.seconds())
                self.clock.advance(waits_s[-1] + 0.0001)
            self.assertAlmostEqual(waits_s[0], first_s, 1)
            self.assertAlmostEqual(waits_s[1], 2 * first_s, 1)
            self.assertAlmostEqual(waits_s[-1], longest_s, 1)

    def test_every_refusal(self) -> None:
        """9.15: every way of refusing is survived, and the peer dialled again, ever later."""
        refusals = {
            "error": lambda _: [{"type": "ERROR", "code": "busy"}],
            "reject": lambda _: [{"type": "HELLO_REJECT", "reason": "no"}],
            "bye": lambda _: [{"type": "BYE"}],
        }
        for name, answer in refusals.items():
            bobs = self.serve({"HELLO": answer}, ip=f"10.0.1.{len(name)}")
            self.alice.set_roster({BOB: Address(f"10.0.1.{len(name)}", 7070)})
            times_s = self.dial_times_s(bobs, 40.0)
            waits_s = [later - earlier for earlier, later in pairwise(times_s)]
            self.assertEqual([round(wait_s) for wait_s in waits_s], [2, 4, 8, 16], name)
            self.assertTrue(all(raw.ended for raw in bobs[:-1]))
        self.assertEqual(self.board.events, [])

    def test_end_right_after_the_hello_ok(self) -> None:
        """9.15: a link that falls at once is no success: the waits go on growing."""
        bobs = self.serve({"HELLO": hello_ok(BOB, PLAIN_FEATURES)})
        self.alice.set_roster({BOB: BOBS})
        times_s: list[float] = []
        for _ in range(4000):
            known = len(bobs)
            self.clock.advance(0.01)
            if len(bobs) > known:
                times_s.append(self.clock.seconds())
            for raw in bobs:
                if raw.heard and not raw.wire.disconnecting:
                    raw.wire.loseConnection()
        waits_s = [round(later - earlier) for earlier, later in pairwise(times_s)]
        self.assertEqual(waits_s, [2, 4, 8, 16])
        self.assertEqual(self.board.events, ["+bob@UnB", "-bob@UnB"] * 5)

    def test_success_after_a_minute(self) -> None:
        """9.15: only a link that stood for 60 s begins the waits anew."""
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        waits_s = []
        for stood_s in (59.0, 59.0, 61.0, 1.0):
            self.clock.advance(stood_s)
            bobs[-1].wire.abortConnection()
            fell_s = self.clock.seconds()
            known = len(bobs)
            while len(bobs) == known:
                self.clock.advance(0.1)
            waits_s.append(round(self.clock.seconds() - fell_s))
        self.assertEqual(waits_s, [2, 4, 2, 4])

    def test_unreachable(self) -> None:
        """A host that swallows everything is given up after 10 s, and dialled again."""
        self.network.cut(ALICE_IP, BOB_IP)
        self.alice.set_roster({BOB: BOBS})
        (dialler,) = self.alice.diallers
        waiting = dialler.outcome()
        self.clock.advance(9.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.failureResultOf(waiting, DialFailed)
        self.assertIsNotNone(dialler.next_try_at_s)

    def test_ourselves(self) -> None:
        """Section 3: an address where we find ourselves is never dialled again."""
        self.alice.add_fixed(Address("127.0.0.1", 7070))
        self.clock.advance(3600.0)
        (dialler,) = self.alice.diallers
        self.assertIn("our own name", dialler.held)
        self.assertEqual((self.alice.turned_away, self.board.events), (2, []))
        self.assertEqual(self.alice.link_count, 0)

    def test_ourselves_asked_for(self) -> None:
        """Section 3: not even when the user asks for it; the user is told why."""
        self.alice.set_roster({BOB: Address("127.0.0.1", 7070)})
        self.clock.advance(10.0)
        (dialler,) = self.alice.diallers_of(BOB)
        waiting = dialler.outcome()
        self.alice.want(BOB)
        self.assertIn("our own name", self.failureResultOf(waiting, DialFailed).getErrorMessage())
        self.clock.advance(3600.0)
        self.assertEqual(self.alice.turned_away, 2)

    def test_fixed(self) -> None:
        """An address without a name is dialled whoever is there, once however often it is given."""
        bobs = self.plain_bob()
        dialler = self.alice.add_fixed(BOBS)
        self.assertIs(self.alice.add_fixed(BOBS), dialler)
        self.clock.advance(0.1)
        self.assertEqual((len(bobs), self.board.events, dialler.peer_id), (1, ["+bob@UnB"], BOB))

    def test_fixed_and_somebody_new(self) -> None:
        """Who is found at an address without a name may be another one the next time, plain or not."""
        dialler = self.alice.add_fixed(BOBS)
        answers = {"HELLO": hello_ok(BOB, PLAIN_FEATURES)}
        bobs = self.serve(answers)
        self.clock.advance(3.0)
        answers["HELLO"] = hello_ok(CAROL, PLAIN_FEATURES)
        bobs[-1].wire.abortConnection()
        self.clock.advance(10.0)
        self.assertEqual(self.board.events, ["+bob@UnB", "-bob@UnB", "+carol@UnB"])
        self.assertEqual(dialler.peer_id, CAROL)

    def test_linked_already(self) -> None:
        """Who is linked with us is not dialled; once that link falls, it is."""
        bobs = self.plain_bob()
        incoming = self.dial(BOB)
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(100.0)
        self.assertEqual(bobs, [])
        incoming.wire.abortConnection()
        self.clock.advance(3.0)
        self.assertEqual(len(bobs), 1)

    def test_polite(self) -> None:
        """A peer of our own kind that said BYE is left alone for half a minute at the most."""
        bobs = self.own_kind_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        bobs[0].say("BYE", msg_id="b1")
        self.clock.advance(29.0)
        self.assertEqual(len(bobs), 1)
        self.clock.advance(2.0)
        self.assertEqual(len(bobs), 2)

    def test_too_large_a_roster(self) -> None:
        """Of a roster that is too large a part is dialled, and how many are not is known."""
        self.alice.max_dialled = 1
        roster = {BOB: BOBS, CAROL: CAROLS}
        self.alice.set_roster(roster)
        self.assertEqual((len(self.alice.diallers), self.alice.not_dialled), (1, 1))
        del roster[BOB]
        self.alice.set_roster(roster)
        self.assertEqual([dialler.peer_id for dialler in self.alice.diallers], [CAROL])
        self.assertEqual(self.alice.not_dialled, 0)

    def test_which_part(self) -> None:
        """Which part that is, is left to chance, else all would dial the same ones; who is dialled stays."""
        self.alice.max_dialled = 1
        for chances, dialled in (((0.1, 0.2), BOB), ((0.2, 0.1), CAROL)):
            self.alice.set_roster({})
            drawn = iter(chances)
            self.patch(self.alice, "_random", lambda drawn=drawn: next(drawn))
            self.alice.set_roster({BOB: BOBS, CAROL: CAROLS})
            self.patch(self.alice, "_random", lambda: 0.5)
            for _ in range(2):
                self.assertEqual([dialler.peer_id for dialler in self.alice.diallers], [dialled])
                self.alice.set_roster({BOB: BOBS, CAROL: CAROLS})
