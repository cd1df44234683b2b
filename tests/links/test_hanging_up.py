"""Who leaves the roster, and whom the user hangs up on (docs/protocol.md, sections 3 and 9.15)."""

from __future__ import annotations

from p2pchat.links.dialler import DialFailed
from p2pchat.links.link import Link
from p2pchat.links.switchboard import Switchboard
from tests.links.peers import (
    ALICE_IP,
    BOB,
    BOB_IP,
    BOBS,
    CAROL,
    CAROL_IP,
    CAROLS,
    OUR_FEATURES,
    PLAIN_FEATURES,
    AliceTestCase,
    Board,
    hello_ok,
)


class RosterTests(AliceTestCase):
    def test_gone(self) -> None:
        """Who left the roster is not dialled any more; a link that stands is left alone."""
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS, CAROL: CAROLS})
        self.clock.advance(0.1)
        (dialler,) = self.alice.diallers_of(CAROL)
        waiting = dialler.outcome()
        self.alice.set_roster({})
        self.assertEqual(self.failureResultOf(waiting, DialFailed).getErrorMessage(), "it left the roster")
        self.clock.advance(10.0)
        self.assertEqual((list(self.alice.neighbours), self.alice.diallers), ([BOB], []))
        bobs[0].wire.abortConnection()
        self.clock.advance(600.0)
        self.assertEqual(len(bobs), 1)

    def test_gone_while_dialled(self) -> None:
        """A dial that is under way to whoever left is given up, with the reason."""
        self.network.cut(ALICE_IP, BOB_IP)
        self.alice.set_roster({BOB: BOBS})
        (dialler,) = self.alice.diallers
        waiting = dialler.outcome()
        self.clock.advance(1.0)
        self.alice.set_roster({})
        self.assertEqual(self.failureResultOf(waiting, DialFailed).getErrorMessage(), "it left the roster")
        self.assertEqual(dialler.last_failure, "it left the roster")

    def test_moved(self) -> None:
        """Whoever has a new address is dialled there, from the next time on."""
        old, new = self.plain_bob(), self.serve({"HELLO": hello_ok(BOB, PLAIN_FEATURES)}, ip=CAROL_IP)
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.alice.set_roster({BOB: CAROLS})
        self.clock.advance(10.0)
        self.assertEqual((len(old), len(new)), (1, 0))
        old[0].wire.abortConnection()
        self.clock.advance(10.0)
        self.assertEqual((len(old), len(new)), (1, 1))

    def test_came_back(self) -> None:
        """Who comes back into the roster is dialled again, without the waits of before."""
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(100.0)
        self.alice.set_roster({})
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.assertEqual(len(bobs), 1)

    def test_while_not_running(self) -> None:
        """A roster that comes before the start, or after the end, dials nobody then."""
        bobs = self.plain_bob()
        carol = Switchboard(
            self.network.host(CAROL_IP), CAROL, Board(), new_id=str, timestamp=str, random=float, port=0
        )
        carol.set_roster({BOB: BOBS})
        self.clock.advance(1.0)
        self.assertEqual(bobs, [])
        carol.startService()
        self.clock.advance(1.0)
        self.assertEqual(len(bobs), 1)
        stopped = carol.stopService()
        carol.set_roster({})
        carol.set_roster({BOB: BOBS})
        self.clock.advance(2.0)
        self.successResultOf(stopped)
        self.assertEqual(len(bobs), 1)


class HangUpTests(AliceTestCase):
    def test_hang_up(self) -> None:
        """Whom the user hung up on hears BYE, is not dialled, and not let in."""
        bobs = self.own_kind_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.assertTrue(self.alice.hang_up(BOB, "disconnected by the user"))
        self.clock.advance(600.0)
        self.assertEqual([raw.types[-1] for raw in bobs], ["BYE"])
        self.assertEqual(self.board.events, ["+bob@UnB", "-bob@UnB"])
        incoming = self.dial(BOB, OUR_FEATURES)
        self.assertEqual([answer["code"] for answer in incoming.heard], ["unauthorized"])

    def test_all_links(self) -> None:
        """A plain peer hears BYE on each of its links."""
        bobs = [self.dial(BOB), self.dial(BOB)]
        self.assertTrue(self.alice.hang_up(BOB, "enough"))
        self.clock.advance(1.0)
        self.assertEqual([raw.types[-1] for raw in bobs], ["BYE", "BYE"])

    def test_want_again(self) -> None:
        """Whom the user wants again is dialled at once."""
        bobs = self.own_kind_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.alice.hang_up(BOB, "enough")
        self.clock.advance(100.0)
        (dialler,) = self.alice.diallers_of(BOB)
        waiting = dialler.outcome()
        self.alice.want(BOB)
        self.clock.advance(0.1)
        self.assertIsInstance(self.successResultOf(waiting), Link)
        self.assertEqual((len(bobs), list(self.alice.neighbours)), (2, [BOB]))

    def test_want_at_once(self) -> None:
        """Whom the user wants again while the old link is still ending is dialled when it has ended."""
        bobs = self.own_kind_bob()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.alice.hang_up(BOB, "enough")
        (dialler,) = self.alice.diallers_of(BOB)
        waiting = dialler.outcome()
        self.alice.want(BOB)
        self.clock.advance(3.0)
        self.assertIsInstance(self.successResultOf(waiting), Link)
        self.assertEqual((len(bobs), list(self.alice.neighbours)), (2, [BOB]))

    def test_behind_a_fixed_address(self) -> None:
        """Whom the user hung up on is not linked by way of an address whose peer was not known."""
        bobs = self.plain_bob()
        self.alice.hang_up(BOB, "enough")
        self.alice.add_fixed(BOBS)
        self.clock.advance(3.0)
        self.assertEqual((self.board.events, bobs[0].of("ERROR")[0]["code"]), ([], "unauthorized"))

    def test_during_the_handshake(self) -> None:
        """A link whose handshake is under way does not come up behind the user's back."""
        bobs = self.serve()
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(0.1)
        self.assertFalse(self.alice.hang_up(BOB, "enough"))
        bobs[0].say("HELLO_OK", peer_id=BOB, features=OUR_FEATURES)
        self.clock.advance(5.0)
        self.assertEqual((self.board.events, bobs[0].ended, len(bobs)), ([], True, 1))

    def test_moved_meanwhile(self) -> None:
        """Whom the user hung up on is not dialled at a new address either."""
        bobs = self.plain_bob()
        self.assertFalse(self.alice.hang_up(BOB, "enough"))
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(100.0)
        self.assertEqual(bobs, [])
        self.alice.want(BOB)
        self.clock.advance(0.1)
        self.assertEqual(len(bobs), 1)
