"""The life of a link: all its states and transitions (docs/protocol.md, section 3).

Theory of operation::

    calling ----hello_ok----+
    answering --hello-------+--> up --leave--> leaving --bye_ok--> closing --lost--> gone
        |                        |                |                   ^
        +------refuse, hang_up---+------bye-------+-------------------+

`calling` waits for HELLO_OK, `answering` for HELLO. Where both ends have TLS, `encrypt` comes first, and
each waits for its greeting once more, inside of it. In `leaving` our BYE is out and what the peer
still sends is still read; in `closing` nothing is read, and the connection ends by itself or, at
the deadline, by us. Each state but `up` has a deadline; that of `leaving` holds for the `closing`
behind it too. `lost` leads to `gone` from everywhere.
"""

from __future__ import annotations

from typing import Protocol

from automat import TypeMachineBuilder

from p2pchat.language import tr, translated
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.messages import Bye


class Life(Protocol):
    """What can happen to a link."""

    def encrypt(self) -> None:
        """A HELLO or HELLO_OK arrived that offers TLS, as we do."""

    def hello(self) -> None:
        """A HELLO that we accept arrived."""

    def hello_ok(self) -> None:
        """A HELLO_OK that we accept arrived."""

    def refuse(self, problem: ProtocolError) -> None:
        """What arrived ends the link, and the peer is told why."""

    def hang_up(self, why: str) -> None:
        """The peer refused us or stopped talking: there is nothing more to say."""

    def leave(self, why: str) -> None:
        """We want to end the link."""

    def bye(self, message: Bye) -> None:
        """The peer wants to end the link."""

    def bye_ok(self) -> None:
        """The peer agrees to our BYE."""

    def deadline(self) -> None:
        """The time of the present state is over."""

    def lost(self, why: str) -> None:
        """The connection is gone."""


class Effects(Protocol):
    """What a link does about it; `p2pchat.links.link.Link` implements it."""

    def come_up(self) -> None:
        """The handshake is done: messages may flow."""

    def start_tls(self) -> None:
        """Let all that follows be encrypted."""

    def confirm_tls(self) -> None:
        """Answer the HELLO that offers TLS."""

    def send_hello(self) -> None:
        """Greet."""

    def send_hello_ok(self) -> None:
        """Answer the HELLO."""

    def send_error(self, problem: ProtocolError) -> None:
        """Tell the peer what was wrong."""

    def send_bye(self, why: str) -> None:
        """Say BYE."""

    def send_bye_ok(self, message: Bye) -> None:
        """Answer a BYE."""

    def set_deadline(self, seconds: float) -> None:
        """Bound the time in the next state."""

    def clear_deadline(self) -> None:
        """The next state may last."""

    def go_down(self, why: str) -> None:
        """From now on nobody may send over this link."""

    def stop_reading_lines(self) -> None:
        """What still arrives is thrown away."""

    def half_close(self) -> None:
        """We have said our last; the peer may read it in peace."""

    def close(self) -> None:
        """Close once what was written is sent."""

    def abort(self) -> None:
        """Close now."""

    def end(self, why: str) -> None:
        """Nothing follows; free what is held."""


#: Seconds in which the handshake must be done (section 3).
HANDSHAKE_S = 10.0

#: Seconds that a BYE waits for its answer, and that a closing connection gets (section 3).
CLOSING_S = 2.0

# Effects is a typing.Protocol as the machine wants it; mypy takes it for an abstract class.
_builder = TypeMachineBuilder(Life, Effects)  # type: ignore[type-abstract]

calling = _builder.state("calling")
answering = _builder.state("answering")
up = _builder.state("up")
leaving = _builder.state("leaving")
closing = _builder.state("closing")
gone = _builder.state("gone")


# The deadline of the handshake holds for the TLS in it, too.


@calling.upon(Life.encrypt).loop()
def _greet_inside(life: Life, link: Effects) -> None:
    link.start_tls()
    link.send_hello()


@answering.upon(Life.encrypt).loop()
def _await_greeting_inside(life: Life, link: Effects) -> None:
    link.confirm_tls()
    link.start_tls()


@calling.upon(Life.hello_ok).to(up)
def _answered(life: Life, link: Effects) -> None:
    link.clear_deadline()
    link.come_up()


@answering.upon(Life.hello).to(up)
def _greeted(life: Life, link: Effects) -> None:
    link.clear_deadline()
    link.send_hello_ok()
    link.come_up()


@calling.upon(Life.refuse).to(closing)
@answering.upon(Life.refuse).to(closing)
@up.upon(Life.refuse).to(closing)
def _refuse(life: Life, link: Effects, problem: ProtocolError) -> None:
    # Half-closing first: with unread input behind it, a full close would make the kernel
    # reset the connection, and the peer would never read why.
    link.send_error(problem)
    link.go_down(problem.detail)
    link.stop_reading_lines()
    link.set_deadline(CLOSING_S)
    link.half_close()


@calling.upon(Life.hang_up).to(closing)
@answering.upon(Life.hang_up).to(closing)
@up.upon(Life.hang_up).to(closing)
@calling.upon(Life.leave).to(closing)
@answering.upon(Life.leave).to(closing)
def _hang_up(life: Life, link: Effects, why: str) -> None:
    link.go_down(why)
    link.stop_reading_lines()
    link.set_deadline(CLOSING_S)
    link.close()


@up.upon(Life.leave).to(leaving)
def _leave(life: Life, link: Effects, why: str) -> None:
    link.send_bye(why)
    link.go_down(why)
    link.set_deadline(CLOSING_S)


@up.upon(Life.bye).to(closing)
def _told_bye(life: Life, link: Effects, message: Bye) -> None:
    link.send_bye_ok(message)
    said = tr("the peer said BYE")
    link.go_down(f"{said}: {translated(message.reason)}" if message.reason else said)
    link.stop_reading_lines()
    link.set_deadline(CLOSING_S)
    link.close()


# Out of `leaving` no new deadline is set: 2 s after our BYE it is over, whatever the peer does.


@leaving.upon(Life.bye_ok).to(closing)
def _agreed(life: Life, link: Effects) -> None:
    link.stop_reading_lines()
    link.close()


@leaving.upon(Life.bye).to(closing)
def _crossed_byes(life: Life, link: Effects, message: Bye) -> None:
    link.send_bye_ok(message)
    link.stop_reading_lines()
    link.close()


@leaving.upon(Life.hang_up).to(closing)
def _left_without_answer(life: Life, link: Effects, why: str) -> None:
    link.stop_reading_lines()
    link.close()


@leaving.upon(Life.refuse).to(closing)
def _refuse_in_leaving(life: Life, link: Effects, problem: ProtocolError) -> None:
    link.send_error(problem)
    link.stop_reading_lines()
    link.half_close()


@calling.upon(Life.deadline).to(closing)
@answering.upon(Life.deadline).to(closing)
def _no_handshake(life: Life, link: Effects) -> None:
    link.go_down(tr("no handshake within {seconds:.0f} s").format(seconds=HANDSHAKE_S))
    link.stop_reading_lines()
    link.abort()


@leaving.upon(Life.deadline).to(closing)
@closing.upon(Life.deadline).to(closing)
def _too_slow(life: Life, link: Effects) -> None:
    link.stop_reading_lines()
    link.abort()


@calling.upon(Life.lost).to(gone)
@answering.upon(Life.lost).to(gone)
@up.upon(Life.lost).to(gone)
@leaving.upon(Life.lost).to(gone)
@closing.upon(Life.lost).to(gone)
def _lost(life: Life, link: Effects, why: str) -> None:
    link.go_down(why)
    link.end(why)


@closing.upon(Life.hang_up).loop()
def _both_done(life: Life, link: Effects, why: str) -> None:
    link.close()


up.upon(Life.bye_ok).loop().returns(None)  # the answer to nothing; harmless
closing.upon(Life.refuse).loop().returns(None)  # found while the line that ended it was taken
leaving.upon(Life.leave).loop().returns(None)
closing.upon(Life.leave).loop().returns(None)
gone.upon(Life.leave).loop().returns(None)

#: Make the machine of one link, in its first state.
new_life = _builder.build()
