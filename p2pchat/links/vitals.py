"""Messages about a link itself: is the other end there, how fast, how busy (docs/protocol.md, 3 and 4)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

from p2pchat.language import mark
from p2pchat.links.keepalive import KeepAlive
from p2pchat.links.questions import Questions
from p2pchat.links.surroundings import Surroundings
from p2pchat.protocol.messages import Message, Metrics, MetricsReq, Ping, Pong
from p2pchat.protocol.names import PeerId


class Patient(Protocol):
    """The link whose vitals these are."""

    peer_id: PeerId
    received: int

    @property
    def sent(self) -> int:
        """Lines that went out."""

    def send(self, message: Message) -> None:
        """Send a message about the link itself."""

    def leave(self, reason: str) -> None:
        """End the link."""


def time_of(timestamp: str) -> datetime | None:
    """Read a time of day as we write it (section 9.3); None where others write something else."""
    try:
        return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


@attrs.define
class Vitals:
    """PING, PONG and METRICS of one link, asked and answered. The link creates, owns and ends it."""

    _link: Patient
    _around: Surroundings
    _keepalive: KeepAlive = attrs.field(init=False)
    _questions: Questions = attrs.field(init=False)
    #: By how many seconds the clock of the peer is ahead of ours, to the second; None: it did not tell.
    ahead_s: float | None = None

    def __attrs_post_init__(self) -> None:
        clock = self._around.clock
        self._keepalive = KeepAlive(self._send_ping, self._not_answering, clock.seconds())
        self._questions = Questions(clock)

    @property
    def rtt_s(self) -> float | None:
        """The last measured round trip in seconds."""
        return self._keepalive.rtt_s

    def tick(self) -> None:
        """Do what is due."""
        self._keepalive.tick(self._around.clock.seconds())

    def end(self, why: str) -> None:
        """No more answers will come."""
        self._questions.fail(why)

    def ask_ping(self) -> Deferred[float]:
        """Measure now; fires with the round trip in seconds."""
        return self._questions.ask((Pong, self._keepalive.ask(self._around.clock.seconds())))

    def ask_metrics(self) -> Deferred[Metrics]:
        """Ask how the peer sees the link."""
        msg_id = self._around.new_id()
        self._link.send(MetricsReq(msg_id, src=self._around.own, dst=self._link.peer_id))
        return self._questions.ask((Metrics, msg_id))

    def on_ping(self, message: Ping) -> None:
        """Answer at once (9.7)."""
        self._link.send(Pong(message.msg_id, timestamp=self._around.timestamp()))

    def on_pong(self, message: Pong) -> None:
        """Take the answer to a PING of ours."""
        rtt_s = self._keepalive.pong(message.msg_id, self._around.clock.seconds())
        if rtt_s is not None:
            theirs, ours = time_of(message.timestamp), time_of(self._around.timestamp())
            self.ahead_s = None if theirs is None or ours is None else (theirs - ours).total_seconds()
            self._questions.answer((Pong, message.msg_id), rtt_s)

    def on_metrics_req(self, message: MetricsReq) -> None:
        """Tell how we see the link."""
        answer = Metrics(
            message.msg_id,
            src=self._around.own,
            dst=self._link.peer_id,
            rtt_ms=None if self.rtt_s is None else round(self.rtt_s * 1000, 3),
            sent_count=self._link.sent,
            recv_count=self._link.received,
            last_seen=self._around.timestamp(),
        )
        self._link.send(answer)

    def on_metrics(self, message: Metrics) -> None:
        """Take the answer to a METRICS_REQ of ours."""
        self._questions.answer((Metrics, message.msg_id), message)

    def _send_ping(self) -> str:
        msg_id = self._around.new_id()
        self._link.send(Ping(msg_id, timestamp=self._around.timestamp()))
        return msg_id

    def _not_answering(self) -> None:
        self._link.leave(mark("three PINGs in a row were not answered"))
