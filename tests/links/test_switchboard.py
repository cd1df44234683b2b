"""Accepting, dialling, and one link per peer (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory
from twisted.logger import capturedLogs

from p2pchat.addresses import Address
from p2pchat.links import switchboard as module
from p2pchat.links.dialler import DialFailed
from p2pchat.links.link import Link
from p2pchat.links.switchboard import Switchboard
from p2pchat.protocol.codec import encode_plain
from p2pchat.protocol.messages import Send
from tests.links.peers import (
    ALICE,
    ALICE_IP,
    BOB,
    BOB_IP,
    CAROL,
    CAROL_IP,
    OUR_FEATURES,
    PLAIN_FEATURES,
    Board,
    RawPeer,
    SwitchboardTestCase,
    bye_ok,
    hello_ok,
    line,
    pong,
)

BOBS = Address(BOB_IP, 7070)
CAROLS = Address(CAROL_IP, 7070)


class AliceTestCase(SwitchboardTestCase):
    """Alice's switchboard, and others as raw peers."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.board = self.start()

    def plain_bob(self) -> list[RawPeer]:
        """Let bob listen as a plain peer."""
        return self.serve({"HELLO": hello_ok(BOB, PLAIN_FEATURES), "PING": pong, "BYE": bye_ok})

    def own_kind_bob(self) -> list[RawPeer]:
        """Let bob listen as one of our own kind."""
        return self.serve({"HELLO": hello_ok(BOB, OUR_FEATURES), "PING": pong, "BYE": bye_ok})

    def dial_times_s(self, raws: list[RawPeer], seconds: float) -> list[float]:
        """Let *seconds* pass; return when connections came, to a tenth."""
        times_s: list[float] = []
        for _ in range(round(seconds * 10)):
            known = len(raws)
            self.clock.advance(0.1)
            times_s += [self.clock.seconds()] * (len(raws) - known)
        return times_s


class ListeningTests(SwitchboardTestCase):
    def test_default_port(self) -> None:
        """Without a wish, we listen on 7070, or on a free port where that is taken."""
        host = self.network.host(ALICE_IP)
        ports = []
        for own in (ALICE, BOB):
            board = Switchboard(host, own, Board(), new_id=str, timestamp=str, random=float)
            self.assertEqual(board.port, 0)
            board.startService()
            self.switchboards.append(board)
            ports.append(board.port)
        self.assertEqual(ports[0], 7070)
        self.assertGreater(ports[1], 49151)

    def test_port_taken(self) -> None:
        """A port that was asked for and is taken is an error."""
        self.start()
        with self.assertRaises(CannotListenError):
            self.start(BOB)
        self.switchboards.pop()

    def test_no_port_after_the_end(self) -> None:
        """A switchboard that was stopped listens no more."""
        alice, _ = self.start()
        stopped = alice.stopService()
        self.successResultOf(stopped)
        self.assertEqual((alice.port, self.network.ports), (0, {}))


class AcceptingTests(AliceTestCase):
    def test_accepted(self) -> None:
        """A peer that dials and says HELLO is a neighbour."""
        bob = self.dial(BOB, OUR_FEATURES)
        self.assertEqual(self.board.events, ["+bob@UnB"])
        neighbour = self.alice.neighbours[BOB]
        self.assertEqual((neighbour.plain, neighbour.features), (False, set(OUR_FEATURES)))
        self.assertIsNone(neighbour.rtt_s)
        self.assertEqual(bob.types, ["HELLO_OK"])
        bob.wire.loseConnection()
        self.clock.advance(0.01)
        self.assertEqual((self.board.events, self.alice.neighbours), (["+bob@UnB", "-bob@UnB"], {}))

    def test_messages(self) -> None:
        """Messages reach the board with who sent them, also right behind the HELLO (9.9)."""
        bob = self.dial(None)
        hello = line("HELLO", peer_id=BOB, version="1.0")
        bob.wire.write(hello + line("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi"))
        self.clock.advance(0.01)
        self.assertEqual(self.board.messages, [(BOB, Send("m1", BOB, ALICE, "hi"))])

    def test_tracing(self) -> None:
        """Lines are traced with the peer, or its address as long as it has no name."""
        self.alice.around.tracing = True
        bob = self.dial(BOB)
        bob.say("PING", msg_id="p1")
        self.clock.advance(0.01)
        (hello_from, _), (ping_from, ping) = self.board.traced
        self.assertIn(BOB_IP, hello_from)
        self.assertEqual((ping_from, b"PING" in ping), (BOB, True))

    def test_several_peers_behind_one_address(self) -> None:
        """9.16: peers are known by peer_id; several share an address."""
        self.dial(BOB)
        self.dial(CAROL)
        self.assertEqual(self.board.events, ["+bob@UnB", "+carol@UnB"])

    def test_too_many_links(self) -> None:
        """Section 3: beyond so many links a HELLO is answered busy; there is room again later."""
        self.patch(module, "MAX_LINKS", 2)
        first = self.dial(BOB)
        self.dial(BOB)
        third = self.dial(CAROL)
        self.assertEqual([answer["code"] for answer in third.heard], ["busy"])
        self.assertEqual(self.board.events, ["+bob@UnB"])
        first.wire.abortConnection()
        third.wire.abortConnection()
        self.clock.advance(0.1)
        self.assertEqual(self.alice.turned_away, 1)
        self.dial(CAROL)
        self.assertEqual(self.board.events, ["+bob@UnB", "+carol@UnB"])

    def test_too_many_strangers(self) -> None:
        """Of too many connections without a HELLO, the one that waited longest is closed."""
        self.patch(module, "MAX_STRANGERS", 3)
        strangers = [self.dial(None) for _ in range(5)]
        self.assertEqual([raw.ended for raw in strangers], [True, True, False, False, False])
        self.assertEqual(self.alice.turned_away, 2)
        self.dial(BOB)
        self.assertEqual(self.board.events, ["+bob@UnB"])

    def test_a_burst_of_strangers(self) -> None:
        """However many come at one moment, no more than the bound are kept."""
        self.patch(module, "MAX_STRANGERS", 3)
        host = self.network.host(BOB_IP)
        raws = [RawPeer() for _ in range(20)]
        for raw in raws:
            factory = ClientFactory()
            self.patch(factory, "buildProtocol", lambda _, raw=raw: raw)
            host.connectTCP(ALICE_IP, 7070, factory)
        self.clock.advance(0.01)
        self.assertEqual((self.alice.link_count, sum(not raw.ended for raw in raws)), (3, 3))

    def test_strangers_leave_after_10_seconds(self) -> None:
        """Section 3: a connection without a HELLO is closed after 10 s, and logged once."""
        with capturedLogs() as logs:
            stranger = self.dial(None)
            self.clock.advance(10.1)
        self.assertTrue(stranger.ended)
        self.assertEqual((self.alice.link_count, len(logs)), (0, 1))

    def test_keep_alive(self) -> None:
        """Section 2: the switchboard lets every link ping each 30 s, whoever dialled."""
        self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        carol = self.dial(CAROL)
        self.clock.advance(95.0)
        self.assertEqual(carol.types.count("PING"), 3)
        self.assertGreater(self.alice.neighbours[BOB].rtt_s or 0.0, 0.0)

    def test_a_tick_that_fails(self) -> None:
        """A defect in the keep-alive of one link is logged, and the others are looked after."""
        self.dial(BOB)
        carol = self.dial(CAROL)
        link = self.alice.neighbours[BOB].link
        self.patch(link, "tick", lambda: 1 // 0)
        self.clock.advance(31.0)
        self.assertEqual(carol.types.count("PING"), 1)
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class PlainLinksTests(AliceTestCase):
    """9.14: plain peers may have several links, and none of them is closed for that."""

    def test_second_connection_is_kept(self) -> None:
        """9.14: a plain peer's second connection is never closed; all are read, the newest is used."""
        bobs = [self.dial(BOB) for _ in range(3)]
        self.clock.advance(20.0)
        self.assertEqual([raw.ended for raw in bobs], [False] * 3)
        self.assertEqual(self.board.events, ["+bob@UnB"])
        for number, raw in enumerate(bobs):
            raw.say("SEND", msg_id=f"m{number}", src=BOB, dst=ALICE, payload=str(number))
        self.clock.advance(1.0)
        self.assertEqual(
            [message for _, message in self.board.messages],
            [Send(f"m{number}", BOB, ALICE, str(number)) for number in range(3)],
        )
        self.alice.neighbours[BOB].write(encode_plain(Send("a1", ALICE, BOB, "hi")))
        self.clock.advance(1.0)
        self.assertEqual([len(raw.of("SEND")) for raw in bobs], [0, 0, 1])

    def test_newest_that_works(self) -> None:
        """9.14: when the newest falls, the one before it is used; the peer stays a neighbour."""
        first, second = self.dial(BOB), self.dial(BOB)
        second.wire.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual(self.board.events, ["+bob@UnB"])
        self.alice.neighbours[BOB].write(encode_plain(Send("a1", ALICE, BOB, "hi")))
        self.clock.advance(1.0)
        self.assertEqual(len(first.of("SEND")), 1)
        first.wire.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual(self.board.events, ["+bob@UnB", "-bob@UnB"])

    def test_one_connection_each_way(self) -> None:
        """9.14: a plain peer that dials us while we dial it keeps both."""
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        bobs.append(self.dial(BOB))
        self.clock.advance(20.0)
        self.assertEqual([raw.ended for raw in bobs], [False, False])
        self.assertEqual(len(self.alice.neighbours[BOB].links), 2)


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
        """A peer of our own kind that said BYE is left alone for half a minute."""
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
        self.patch(module, "MAX_DIALLERS", 1)
        roster = {BOB: BOBS, CAROL: CAROLS}
        self.alice.set_roster(roster)
        self.assertEqual((len(self.alice.diallers), self.alice.not_dialled), (1, 1))
        del roster[BOB]
        self.alice.set_roster(roster)
        self.assertEqual([dialler.peer_id for dialler in self.alice.diallers], [CAROL])
        self.assertEqual(self.alice.not_dialled, 0)


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


class StoppingTests(AliceTestCase):
    def stop(self, within_s: float) -> None:
        """Stop, and assert that it is over in *within_s*, and not much before."""
        stopped: Deferred[None] = self.alice.stopService()
        if within_s:
            self.clock.advance(within_s - 0.1)
            self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.alice.link_count, 0)

    def test_nobody_linked(self) -> None:
        """Without links it is over at once."""
        self.stop(0.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bye_everywhere(self) -> None:
        """Section 3: at the end everybody hears BYE, and it is over as soon as all answered."""
        raws = [self.dial(BOB), self.dial(BOB), self.dial(CAROL, OUR_FEATURES)]
        self.clock.advance(1.0)
        self.stop(0.0)
        self.assertEqual([raw.types[-1] for raw in raws], ["BYE"] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent_peers(self) -> None:
        """Section 3: peers that do not answer are waited for 2 s, whatever state their link is in."""
        silent = self.dial(BOB)
        silent.answers.clear()
        stranger = self.dial(None)
        stranger.wire.stalled = True
        self.serve()
        self.alice.set_roster({BOB: BOBS, CAROL: CAROLS})
        self.clock.advance(0.5)
        self.stop(2.0)
        self.clock.advance(0.01)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dials_under_way(self) -> None:
        """Dials that are under way or planned are given up."""
        self.network.cut(ALICE_IP, CAROL_IP)
        self.alice.set_roster({BOB: BOBS, CAROL: CAROLS})
        self.clock.advance(0.1)
        self.stop(0.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_accepted_while_stopping(self) -> None:
        """Who connects while we stop is turned away."""
        listening = self.network.ports[ALICE_IP, 7070]
        self.dial(BOB).answers.clear()
        stopped = self.alice.stopService()
        self.network.ports[ALICE_IP, 7070] = listening  # a connection that was on its way
        late = self.dial(None)
        self.assertIsNone(late.transport)
        self.clock.advance(2.0)
        self.successResultOf(stopped)

    def test_crossing(self) -> None:
        """When both ends stop at once, both are over."""
        bob, _ = self.start(BOB, BOB_IP)
        self.alice.set_roster({BOB: BOBS})
        self.clock.advance(1.0)
        both = [self.alice.stopService(), bob.stopService()]
        self.clock.advance(0.1)
        for stopped in both:
            self.successResultOf(stopped)
