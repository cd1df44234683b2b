"""The PING/PONG machine of a link (docs/protocol.md, section 3). Told the time, owns no clock."""

from __future__ import annotations

from collections.abc import Callable

import attrs

#: Seconds between two PINGs on a link (section 2).
PING_INTERVAL_S = 30.0

#: Seconds that a tick may come late without moving those after it; later than that, time stood still.
MAX_LATE_S = 1.0

#: PINGs unanswered in a row that end a link (section 2).
MAX_UNANSWERED = 3

#: PINGs whose PONG may still come, asked by the user included; the oldest is forgotten first.
MAX_OUTSTANDING = 16


@attrs.define
class KeepAlive:
    """Asks every 30 s whether the other end is there. Each link creates, owns and ends one.

    :param ping: sends a PING and returns its msg_id.
    :param give_up: called once the other end left three PINGs in a row unanswered.
    :param asked_at_s: when the last regular PING was due; at first, when the link began.
    """

    _ping: Callable[[], str]
    _give_up: Callable[[], None]
    _asked_at_s: float
    #: The last measured round trip in seconds; None before the first.
    rtt_s: float | None = None
    _unanswered: int = 0
    #: msg_id of a PING -> when it was sent.
    _sent_at_s: dict[str, float] = attrs.Factory(dict)

    def tick(self, now_s: float) -> None:
        """Send the next PING, or give up, when it is time."""
        if now_s - self._asked_at_s < PING_INTERVAL_S:
            return
        if self._unanswered >= MAX_UNANSWERED:
            self._give_up()
            return
        self._asked_at_s = max(self._asked_at_s + PING_INTERVAL_S, now_s - MAX_LATE_S)
        self._unanswered += 1
        self.ask(now_s)

    def ask(self, now_s: float) -> str:
        """Send a PING out of turn and return its msg_id."""
        msg_id = self._ping()
        self._sent_at_s[msg_id] = now_s
        if len(self._sent_at_s) > MAX_OUTSTANDING:
            del self._sent_at_s[next(iter(self._sent_at_s))]
        return msg_id

    def pong(self, msg_id: str, now_s: float) -> float | None:
        """Take a PONG; return the round trip in seconds, or None where no such PING was sent."""
        sent_at_s = self._sent_at_s.pop(msg_id, None)
        if sent_at_s is None:
            return None
        self._unanswered = 0
        self.rtt_s = now_s - sent_at_s
        return self.rtt_s
