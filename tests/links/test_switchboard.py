"""Listening, accepting and stopping (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory
from twisted.logger import capturedLogs

from p2pchat.links import listener
from p2pchat.links import switchboard as module
from p2pchat.links.switchboard import Switchboard
from p2pchat.protocol.codec import encode_plain
from p2pchat.protocol.messages import Send
from tests.links.peers import (
    ALICE,
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
    RawPeer,
    SwitchboardTestCase,
    line,
)


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

    def test_port_lost_at_the_last_moment(self) -> None:
        """Of two that start at once and both bind the port, the second takes a free one."""
        host = self.network.host(ALICE_IP)
        listen = host.listenTCP

        def late(port: int, *args: Any, **kwargs: Any) -> Any:
            if port == 7070:
                raise OSError(errno.EADDRINUSE, "Address already in use")
            return listen(port, *args, **kwargs)

        self.patch(host, "listenTCP", late)
        board = Switchboard(host, ALICE, Board(), new_id=str, timestamp=str, random=float)
        board.startService()
        self.switchboards.append(board)
        self.assertGreater(board.port, 49151)

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
        self.patch(listener, "MAX_STRANGERS", 3)
        strangers = [self.dial(None) for _ in range(5)]
        self.assertEqual([raw.ended for raw in strangers], [True, True, False, False, False])
        self.assertEqual(self.alice.turned_away, 2)
        self.dial(BOB)
        self.assertEqual(self.board.events, ["+bob@UnB"])

    def test_a_burst_of_strangers(self) -> None:
        """However many come at one moment, no more than the bound are kept."""
        self.patch(listener, "MAX_STRANGERS", 3)
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
        self.assertEqual((len(first.of("SEND")), self.board.lost), (1, [BOB]))
        first.wire.abortConnection()
        self.clock.advance(1.0)
        self.assertEqual(self.board.events, ["+bob@UnB", "-bob@UnB"])

    def test_one_of_each_kind(self) -> None:
        """9.14: beside a link of our own kind, a plain link under the same name is kept as well."""
        for features in ((OUR_FEATURES, PLAIN_FEATURES), (PLAIN_FEATURES, OUR_FEATURES)):
            bobs = [self.dial(BOB, kind) for kind in features]
            self.clock.advance(20.0)
            self.assertEqual([raw.ended for raw in bobs], [False, False])
            for raw in bobs:
                raw.wire.abortConnection()
            self.clock.advance(0.1)

    def test_one_connection_each_way(self) -> None:
        """9.14: a plain peer that dials us while we dial it keeps both."""
        bobs = self.plain_bob()
        self.alice.set_roster({BOB: BOBS})
        bobs.append(self.dial(BOB))
        self.clock.advance(20.0)
        self.assertEqual([raw.ended for raw in bobs], [False, False])
        self.assertEqual(len(self.alice.neighbours[BOB].links), 2)


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
