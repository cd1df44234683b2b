"""A link that brings more than its turn, is held, and ends meanwhile (docs/protocol.md, section 5)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.links.intake import LINES_A_TURN
from p2pchat.links.life import CLOSING_S
from p2pchat.links.link import Link
from p2pchat.links.neighbour import Neighbour
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Send
from tests.links.peers import ALICE, BOB, CAROL, OUR_FEATURES, LinkTestCase, line

#: More lines than one turn takes.
MANY = 3 * LINES_A_TURN


def sends(count: int) -> bytes:
    """Return so many SENDs, each with its number."""
    return b"".join(
        line("SEND", msg_id=f"m{number}", src=BOB, dst=ALICE, payload=str(number)) for number in range(count)
    )


class ReadingTestCase(LinkTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_up(OUR_FEATURES)

    @property
    def payloads(self) -> list[int]:
        """The numbers of the messages that the owner got."""
        return [int(message.payload) for message in self.owner.messages if isinstance(message, Send)]

    def hold_at(self, number: int, seconds: float) -> None:
        """Hold the link when one message comes, as the router does with a neighbour that sends too much."""

        def hold(link: Link) -> None:
            if len(self.payloads) == number:
                link.hold(seconds)

        self.owner.instead["message_received"] = hold

    def acknowledge(self, link: Link) -> None:
        """Answer a message."""
        link.write(line("ACK", msg_id="m"))

    def assert_all(self, count: int = MANY) -> None:
        self.assertEqual(self.payloads, list(range(count)))

    def assert_ended(self) -> None:
        """Assert that the link went down and was gone, once each."""
        self.assertEqual([event.partition(":")[0] for event in self.owner.events], ["up", "down", "gone"])


class TurnTests(ReadingTestCase):
    def test_turns(self) -> None:
        """A piece of many lines is taken in turns; what is said about a turn leaves in one write."""
        self.owner.instead["message_received"] = self.acknowledge
        self.link.dataReceived(sends(MANY))
        self.assertEqual((len(self.payloads), len(self.near.writes)), (LINES_A_TURN, 1))
        self.clock.advance(0.0)
        self.assert_all()
        self.assertEqual([data.count(b"\n") for _, data in self.near.writes], [LINES_A_TURN] * 3)

    def test_bad_lines_count(self) -> None:
        """Empty, bad and too long lines are lines of a turn too: they cost us as much."""
        self.link.dataReceived(b"\n" * 10 + b"bad\n" * 10 + b"x" * 40_000 + b"\n" + sends(LINES_A_TURN))
        self.assertEqual(len(self.payloads), LINES_A_TURN - 21)
        self.clock.advance(0.0)
        self.assert_all(LINES_A_TURN)

    def test_behind_the_greeting(self) -> None:
        """9.9: what comes right behind a HELLO in the same segment is taken behind it, all of it."""
        self.near.abortConnection()
        self.soon()
        self.owner.events.clear()
        self.connect(dialled=False)
        hello = line("HELLO", peer_id=BOB, version="1.0", features=["ack"])
        self.raw.wire.write(hello + sends(MANY))
        self.soon()
        self.assert_all()
        self.assertEqual((self.raw.types, self.owner.events), (["HELLO_OK"], ["up"]))


class HoldTests(ReadingTestCase):
    def test_other_end_feels_it(self) -> None:
        """While a link is held nothing more of it is read, and what it is sent still leaves."""
        self.link.hold(0.05)
        self.raw.wire.write(sends(1))
        self.clock.advance(0.04)
        self.assertEqual(self.payloads, [])
        self.link.write(line("SEND", msg_id="m", src=ALICE, dst=BOB, payload="hi"))
        self.clock.advance(0.005)
        self.assertEqual(self.raw.types, ["SEND"])
        self.clock.advance(0.02)
        self.assert_all(1)

    def test_in_a_turn(self) -> None:
        """The line behind the one that went too far is not taken before the hold is over."""
        self.hold_at(5, 0.05)
        self.link.dataReceived(sends(MANY))
        self.assertEqual(len(self.payloads), 5)
        self.clock.advance(0.06)
        self.assert_all()

    def test_keep_alive(self) -> None:
        """A neighbour that is held all the time answers PINGs late, and its link stays."""
        self.owner.instead["message_received"] = lambda link: link.hold(0.05)
        self.raw.answers["PING"] = lambda ping: [{"type": "PONG", "msg_id": ping["msg_id"]}]
        for _ in range(600):
            self.raw.wire.write(sends(9))
            self.clock.advance(0.5)
            self.link.tick()
        self.assertEqual(self.owner.events, ["up"])
        self.assertEqual(len(self.payloads), 5400)
        self.assertLess(self.link.rtt_s or 9.9, 1.0)

    def test_its_own_ping(self) -> None:
        """A PING behind lines that hold the link is answered once they were taken."""
        self.hold_at(1, 0.05)
        self.raw.wire.write(sends(1) + line("PING", msg_id="p1"))
        self.clock.advance(0.05)
        self.assertEqual(self.raw.types, [])
        self.clock.advance(0.01)
        self.assertEqual(self.raw.types, ["PONG"])

    def test_all_links_of_a_neighbour(self) -> None:
        """A plain peer with several links is held on all of them, and sent to on the newest."""
        first = self.link
        self.connect()
        self.raw.say("HELLO_OK", peer_id=BOB, version="1.0", features=OUR_FEATURES)
        self.soon()
        neighbour = Neighbour(first.peer_id, [first, self.link])
        neighbour.hold(0.05)
        for link in neighbour.links:
            link.dataReceived(sends(1))
        self.assertEqual(self.payloads, [])
        self.clock.advance(0.06)
        self.assertEqual(self.payloads, [0, 0])
        self.raw.heard.clear()
        self.assertTrue(neighbour.pass_on(line("SEND", msg_id="m", src=CAROL, dst=BOB), CAROL))
        self.soon()
        self.assertEqual(self.raw.types, ["SEND"])

    def test_dead_links(self) -> None:
        """A link that is ending, or gone, is not held, and takes nothing to be passed on."""
        for end in (lambda: self.raw.say("BYE", msg_id="b1"), self.raw.wire.abortConnection):
            end()
            self.soon()
            self.link.hold(0.5)
            self.assertFalse(self.link.pass_on(b"x\n", CAROL))
            self.assertFalse(self.link.write(b"x\n"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assert_ended()


class EndTests(ReadingTestCase):
    """However a link ends while its lines wait for their turn, none is lost that a user could miss."""

    def test_eof(self) -> None:
        """A peer that sends much and closes: all is taken before the close is."""
        self.raw.wire.write(sends(MANY))
        self.raw.wire.loseConnection()
        self.soon()
        self.assert_all()
        self.assert_ended()

    def test_eof_in_a_hold(self) -> None:
        """The same where it is held meanwhile."""
        self.hold_at(5, 0.5)
        self.raw.wire.write(sends(MANY))
        self.raw.wire.loseConnection()
        self.clock.advance(0.4)
        self.assertEqual((len(self.payloads), self.owner.events), (5, ["up"]))
        self.clock.advance(0.2)
        self.assert_all()
        self.assert_ended()

    def test_half_close(self) -> None:
        """A peer that sends much and closes its half hears the answers to all of it."""
        self.owner.instead["message_received"] = self.acknowledge
        self.raw.wire.write(sends(MANY))
        self.raw.wire.loseWriteConnection()
        self.soon()
        self.assertEqual(self.raw.types, ["ACK"] * MANY)
        self.assert_ended()

    def test_reset(self) -> None:
        """A connection that is reset while lines wait: they had arrived, so they are taken."""
        for hold_s in (0.0, 0.5):
            self.hold_at(5, hold_s)
            self.link.dataReceived(sends(MANY))
            self.raw.wire.abortConnection()
            self.clock.advance(0.001)
            self.assert_all()
            self.assert_ended()
            self.owner.messages.clear()
            self.owner.events.clear()
            self.come_up(OUR_FEATURES)

    def test_reset_with_a_bye(self) -> None:
        """A BYE among what waits is taken too: the peer ended the link by itself."""
        self.link.dataReceived(sends(MANY) + line("BYE", msg_id="b1", reason="enough"))
        self.raw.wire.abortConnection()
        self.soon()
        self.assert_all()
        self.assertTrue(self.link.said_bye)
        self.assertEqual(
            self.owner.events[1:], ["down: the peer said BYE: enough", "gone: the peer said BYE: enough"]
        )
        self.assert_ended()

    def test_bye(self) -> None:
        """A BYE behind many lines is answered behind them; what follows it is thrown away."""
        self.raw.wire.write(sends(MANY) + line("BYE", msg_id="b1") + sends(MANY))
        self.clock.advance(CLOSING_S)
        self.assert_all()
        self.assertEqual(self.raw.types, ["BYE_OK"])
        self.assert_ended()

    def test_our_bye(self) -> None:
        """Lines that wait when we say BYE are still taken, and the answer behind them ends the link."""
        self.link.dataReceived(sends(MANY))
        self.raw.answers["BYE"] = lambda bye: [{"type": "BYE_OK", "msg_id": bye["msg_id"]}]
        self.link.leave("enough")
        self.soon()
        self.assert_all()
        self.assert_ended()

    def test_our_bye_in_a_hold(self) -> None:
        """A hold does not keep us from leaving in time."""
        self.raw.answers["BYE"] = lambda bye: [{"type": "BYE_OK", "msg_id": bye["msg_id"]}]
        self.link.hold(60.0)
        self.link.leave("enough")
        self.clock.advance(CLOSING_S + 0.1)
        self.assert_ended()

    def test_refused_among_others(self) -> None:
        """A defect in the middle of what waits ends the link; the rest is thrown away, and the error read."""

        def fail(_link: Link) -> None:
            if len(self.payloads) == 5:
                raise ZeroDivisionError

        self.owner.instead["message_received"] = fail
        self.link.dataReceived(sends(MANY))
        self.clock.advance(CLOSING_S)
        self.assertEqual((len(self.payloads), self.raw.types), (5, ["ERROR"]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_ended()

    def test_deaf_with_a_hold(self) -> None:
        """A link that ends behind a line that held it throws the rest away and closes."""

        def hold_and_end(link: Link) -> None:
            link.hold(0.05)
            raise ProtocolError(ErrorCode.BUSY, "enough")

        self.owner.instead["message_received"] = hold_and_end
        self.raw.wire.write(sends(2) + line("BYE", msg_id="b1") + sends(MANY))
        self.clock.advance(CLOSING_S)
        self.assertEqual((self.payloads, self.raw.types), ([0, 1], ["ERROR", "ERROR", "BYE_OK"]))
        self.assert_ended()

    def test_aborted(self) -> None:
        """A link that we cut while its lines wait leaves nothing on the clock."""
        self.link.dataReceived(sends(MANY))
        self.link.abort()
        self.soon()
        self.assert_all()
        self.assert_ended()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnyTests(ReadingTestCase):
    @given(
        st.integers(0, 120),
        st.lists(st.tuples(st.integers(1, 3000), st.sampled_from([0.0, 0.002, 0.03])), max_size=10),
        st.dictionaries(st.integers(1, 120), st.sampled_from([0.01, 0.05]), max_size=8),
        st.sampled_from(["loseConnection", "loseWriteConnection", "abortConnection"]),
    )
    def test_nothing_lost(
        self, count: int, cuts: list[tuple[int, float]], holds_s: dict[int, float], how: str
    ) -> None:
        """However lines are cut, held up and ended by the other side, all that arrived are taken, once."""
        self.owner.messages.clear()
        self.connect()
        self.raw.say("HELLO_OK", peer_id=BOB, version="1.0", features=OUR_FEATURES)
        self.soon()

        def hold(link: Link) -> None:
            link.hold(holds_s.get(len(self.payloads), 0.0))

        self.owner.instead["message_received"] = hold
        stream, sent = sends(count), 0
        for size, wait_s in cuts:
            self.raw.wire.write(stream[sent : sent + size])
            sent += size
            self.clock.advance(wait_s)
        self.raw.wire.write(stream[sent:])
        self.end_by(how)
        self.clock.advance(3.0)
        self.assert_all(count)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def end_by(self, how: str) -> None:
        """Let the raw peer end the connection; it resets only what has arrived."""
        if how == "abortConnection":
            self.clock.advance(2.0)
        ended: Any = getattr(self.raw.wire, how)
        ended()
