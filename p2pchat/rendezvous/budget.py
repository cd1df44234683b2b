"""How many requests a rendezvous gets from us (docs/protocol.md, section 9.19)."""

from __future__ import annotations

from collections import deque

import attrs

#: Requests in any minute: some servers ban an address beyond 50, and peers share addresses.
MAX_REQUESTS = 5
WINDOW_S = 60.0

#: Seconds from one request to the next, at the most, while `can_spare` is asked before those out of turn:
#: with two requests at once, the other four intervals of their minute.
LONGEST_GAP_S = WINDOW_S / (MAX_REQUESTS - 1)


@attrs.define
class Budget:
    """Keeps us under six requests a minute. The registration owns one."""

    _spent_at_s: deque[float] = attrs.Factory(lambda: deque(maxlen=MAX_REQUESTS))

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request is allowed; 0 for now."""
        if len(self._spent_at_s) < MAX_REQUESTS:
            return 0.0
        return max(0.0, self._spent_at_s[0] + WINDOW_S - now_s)

    def even_wait_s(self, now_s: float) -> float:
        """Seconds until the next request if from now on they come evenly, as close as is allowed."""
        first = MAX_REQUESTS - len(self._spent_at_s) + 1
        gaps_s = [(at_s + WINDOW_S - now_s) / n for n, at_s in enumerate(self._spent_at_s, first)]
        return max([0.0, *gaps_s])

    def can_spare(self, now_s: float) -> bool:
        """Whether after one now the others can come evenly, no more than `LONGEST_GAP_S` apart."""
        before_the_last = reversed(list(self._spent_at_s)[:-1])
        return all(now_s - at_s >= n * LONGEST_GAP_S for n, at_s in enumerate(before_the_last, 1))

    def leaves_room(self, now_s: float, within_s: float) -> bool:
        """Whether after one now there may be another one *within_s* seconds from now."""
        if self.wait_s(now_s):
            return False
        others = list(self._spent_at_s)[1 - MAX_REQUESTS :]
        return len(others) < MAX_REQUESTS - 1 or others[0] + WINDOW_S - now_s <= within_s

    def spend(self, now_s: float) -> None:
        """Count a request."""
        self._spent_at_s.append(now_s)

    def renew(self) -> None:
        """It is another server now, and that one has counted nothing yet."""
        self._spent_at_s.clear()
