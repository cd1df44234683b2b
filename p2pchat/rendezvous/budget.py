"""How many requests a rendezvous gets from us (docs/protocol.md, section 9.19)."""

from __future__ import annotations

from collections import deque

import attrs

#: Requests in any minute: some servers ban an address beyond 50, and peers share addresses.
MAX_REQUESTS = 5
WINDOW_S = 60.0


@attrs.define
class Budget:
    """Keeps us under six requests a minute. The registration owns one."""

    _spent_at_s: deque[float] = attrs.Factory(lambda: deque(maxlen=MAX_REQUESTS))

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request is allowed; 0 for now."""
        if len(self._spent_at_s) < MAX_REQUESTS:
            return 0.0
        return max(0.0, self._spent_at_s[0] + WINDOW_S - now_s)

    def spend(self, now_s: float) -> None:
        """Count a request."""
        self._spent_at_s.append(now_s)

    def renew(self) -> None:
        """It is another server now, and that one has counted nothing yet."""
        self._spent_at_s.clear()
