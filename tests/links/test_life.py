"""All states and transitions of a link (docs/protocol.md, section 3), without any link."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links import life
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Bye

PROBLEM = ProtocolError(ErrorCode.BAD_FORMAT, "it was wrong")
BYE = Bye("b1", "bob@UnB", "alice@UnB", reason="night")

#: Effects that talk to the peer.
SPEAKING = {"confirm_tls", "send_hello", "send_hello_ok", "send_error", "send_bye", "send_bye_ok"}


class Effects:
    """Notes what the machine makes a link do; `life.Effects`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.deadline_s: float | None = None
        self.deaf = False
        self.why = ""

    def come_up(self) -> None:
        self.done.append("come_up")

    def start_tls(self) -> None:
        self.done.append("start_tls")

    def confirm_tls(self) -> None:
        self.done.append("confirm_tls")

    def send_hello(self) -> None:
        self.done.append("send_hello")

    def send_hello_ok(self) -> None:
        self.done.append("send_hello_ok")

    def send_error(self, problem: ProtocolError) -> None:
        self.done.append("send_error")

    def send_bye(self, why: str) -> None:
        self.done.append("send_bye")

    def send_bye_ok(self, message: Bye) -> None:
        self.done.append("send_bye_ok")

    def set_deadline(self, seconds: float) -> None:
        self.deadline_s = seconds

    def clear_deadline(self) -> None:
        self.deadline_s = None

    def go_down(self, why: str) -> None:
        self.done.append("go_down")
        self.why = self.why or why

    def stop_reading_lines(self) -> None:
        self.deaf = True

    def half_close(self) -> None:
        self.done.append("half_close")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def end(self, why: str) -> None:
        self.done.append("end")


class LifeTestCase(SynchronousTestCase):
    def begin(self, dialled: bool = True) -> None:
        """Begin a life, as `Link` does."""
        self.effects = Effects()
        self.life = life.new_life(self.effects, life.calling if dialled else life.answering)
        self.effects.set_deadline(life.HANDSHAKE_S)

    def begin_up(self) -> None:
        """Begin a life and do the handshake."""
        self.begin()
        self.life.hello_ok()
        self.effects.done.clear()

    def begin_leaving(self) -> None:
        """Begin a life, do the handshake, and say BYE."""
        self.begin_up()
        self.life.leave("enough")
        self.effects.done.clear()

    def assert_done(self, *expected: str) -> None:
        """Assert what was done since the last time."""
        self.assertEqual(self.effects.done, list(expected))
        self.effects.done.clear()


class HandshakeTests(LifeTestCase):
    def test_dialled(self) -> None:
        """Section 3: the HELLO_OK brings a link up, and it may last."""
        self.begin(dialled=True)
        self.life.hello_ok()
        self.assert_done("come_up")
        self.assertIsNone(self.effects.deadline_s)

    def test_accepted(self) -> None:
        """Section 3: a HELLO is answered before anything else may be sent."""
        self.begin(dialled=False)
        self.life.hello()
        self.assert_done("send_hello_ok", "come_up")
        self.assertIsNone(self.effects.deadline_s)

    def test_encrypted(self) -> None:
        """Section 3: where both have TLS, each greets once more inside of it, within the same time."""
        self.begin(dialled=True)
        self.life.encrypt()
        self.assert_done("start_tls", "send_hello")
        self.life.hello_ok()
        self.assert_done("come_up")
        self.begin(dialled=False)
        self.life.encrypt()
        self.assert_done("confirm_tls", "start_tls")
        self.assertEqual(self.effects.deadline_s, life.HANDSHAKE_S)
        self.life.hello()
        self.assert_done("send_hello_ok", "come_up")

    def test_refused(self) -> None:
        """A refusal tells why, and half-closes so that it can be read; 2 s bound it."""
        for dialled in (True, False):
            self.begin(dialled)
            self.life.refuse(PROBLEM)
            self.assert_done("send_error", "go_down", "half_close")
            self.assertEqual((self.effects.deaf, self.effects.deadline_s), (True, life.CLOSING_S))

    def test_hung_up(self) -> None:
        """A peer that goes before the handshake is done is told nothing; nor is one that we leave."""
        for dialled in (True, False):
            for end in (self.hang_up, self.leave):
                self.begin(dialled)
                end()
                self.assert_done("go_down", "close")
                self.assertEqual(self.effects.deadline_s, life.CLOSING_S)

    def hang_up(self) -> None:
        self.life.hang_up("gone")

    def leave(self) -> None:
        self.life.leave("gone")

    def test_too_late(self) -> None:
        """Section 3: without a handshake within 10 s the connection is cut."""
        for dialled in (True, False):
            self.begin(dialled)
            self.assertEqual(self.effects.deadline_s, 10.0)
            self.life.deadline()
            self.assert_done("go_down", "abort")
            self.assertIn("10 s", self.effects.why)

    def test_lost(self) -> None:
        """A connection that is lost before the handshake ends everything."""
        for dialled in (True, False):
            self.begin(dialled)
            self.life.lost("reset")
            self.assert_done("go_down", "end")


class EndTests(LifeTestCase):
    def test_we_leave(self) -> None:
        """Section 3: our BYE, the answer, the close; 2 s bound it from the BYE."""
        self.begin_up()
        self.life.leave("enough")
        self.assert_done("send_bye", "go_down")
        self.assertEqual((self.effects.deaf, self.effects.deadline_s), (False, 2.0))
        self.life.bye_ok()
        self.assert_done("close")
        self.assertTrue(self.effects.deaf)
        self.life.lost("done")
        self.assert_done("go_down", "end")

    def test_no_answer(self) -> None:
        """Section 3: without a BYE_OK within 2 s we close anyway."""
        self.begin_leaving()
        self.life.deadline()
        self.assert_done("abort")
        self.life.lost("done")
        self.assert_done("go_down", "end")

    def test_the_peer_leaves(self) -> None:
        """Section 3: a BYE is answered, and then we close."""
        self.begin_up()
        self.life.bye(BYE)
        self.assert_done("send_bye_ok", "go_down", "close")
        self.assertIn("night", self.effects.why)
        self.assertEqual((self.effects.deaf, self.effects.deadline_s), (True, 2.0))

    def test_crossing_byes(self) -> None:
        """When both say BYE at once, each answers the other's."""
        self.begin_leaving()
        self.life.bye(BYE)
        self.assert_done("send_bye_ok", "close")

    def test_leaving_takes_2_seconds_at_most(self) -> None:
        """Section 3: whatever the peer does after our BYE, the 2 s do not begin again."""
        for event in (
            lambda: self.life.bye(BYE),
            lambda: self.life.bye_ok(),
            lambda: self.life.hang_up("eof"),
            lambda: self.life.refuse(PROBLEM),
        ):
            self.begin_leaving()
            self.effects.deadline_s = 0.5  # what is left of the 2 s
            event()
            self.assertEqual(self.effects.deadline_s, 0.5)

    def test_refused(self) -> None:
        """A link that is up or leaving can be refused: the peer is told why."""
        for begin, told in ((self.begin_up, ["go_down"]), (self.begin_leaving, [])):
            begin()
            self.life.refuse(PROBLEM)
            self.assert_done("send_error", *told, "half_close")
            self.assertEqual((self.effects.deaf, self.effects.deadline_s), (True, 2.0))

    def test_peer_closed(self) -> None:
        """A peer that closed its half gets what waits, then we close."""
        for begin, told in ((self.begin_up, ["go_down"]), (self.begin_leaving, [])):
            begin()
            self.life.hang_up("eof")
            self.assert_done(*told, "close")
            self.life.hang_up("eof")
            self.assert_done("close")

    def test_closing_too_slowly(self) -> None:
        """A connection that does not close by itself is cut."""
        self.begin_up()
        self.life.bye(BYE)
        self.effects.done.clear()
        self.life.deadline()
        self.assert_done("abort")

    def test_leaving_again(self) -> None:
        """Leaving a link that is ending, or that has ended, changes nothing."""
        self.begin_leaving()
        self.life.leave("again")
        self.assert_done()
        self.life.bye_ok()
        self.assert_done("close")
        self.life.leave("again")
        self.life.lost("done")
        self.effects.done.clear()
        self.life.leave("again")
        self.assert_done()

    def test_bye_ok_to_nothing(self) -> None:
        """A BYE_OK that nobody asked for is ignored."""
        self.begin_up()
        self.life.bye_ok()
        self.assert_done()

    def test_refused_while_closing(self) -> None:
        """A defect of ours found while a link closes changes nothing: it closes already."""
        self.begin_up()
        self.life.bye(BYE)
        self.effects.done.clear()
        self.life.refuse(PROBLEM)
        self.assert_done()
        self.assertEqual(self.effects.deadline_s, 2.0)


#: What may reach a life at any time, and what only a line that is read may cause.
EVENTS = st.sampled_from(
    ["greet", "refuse", "hang_up", "leave", "bye", "bye_ok", "deadline", "break", "lost"]
)


class AnyLifeTests(LifeTestCase):
    def happen(self, event: str) -> None:
        """Let *event* happen, where a transport and a link could bring it."""
        effects = self.effects
        up = "come_up" in effects.done
        reads = not effects.deaf
        if event == "greet" and not up and reads:
            (self.life.hello_ok if self.dialled else self.life.hello)()
        elif (event == "refuse" and reads) or (event == "break" and up):
            self.life.refuse(PROBLEM)
        elif event == "hang_up":
            self.life.hang_up("eof")
        elif event == "leave":
            self.life.leave("enough")
        elif event == "bye" and up and reads:
            self.life.bye(BYE)
        elif event == "bye_ok" and up and reads:
            self.life.bye_ok()
        elif event == "deadline" and effects.deadline_s is not None:
            effects.deadline_s = None
            self.life.deadline()

    @given(st.booleans(), st.lists(EVENTS, max_size=30))
    def test_any_order(self, dialled: bool, events: list[str]) -> None:
        """Whatever happens in whatever order, no transition is missing and the end is reached once."""
        self.dialled = dialled
        self.begin(dialled)
        for event in events:
            if event == "lost":
                break
            self.happen(event)
            done = self.effects.done
            waits = self.effects.deadline_s is not None
            ends = "close" in done or "half_close" in done or "abort" in done
            standing = "come_up" in done and "go_down" not in done
            self.assertTrue(waits or standing or ends, (events, done))
        self.life.lost("done")
        self.life.leave("too late")
        self.assertEqual(self.effects.done.count("end"), 1)
        self.assertEqual(self.effects.done[-1], "end")
        for said in SPEAKING - {"send_error"}:
            self.assertLessEqual(self.effects.done.count(said), 1, said)
