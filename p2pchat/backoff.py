"""Growing, jittered waits, for links and for the rendezvous."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.define
class Backoff:
    """How long to wait before the next try. Whoever retries owns one.

    Twisted's ``backoffPolicy`` starts at twice its first wait and adds its jitter on top of the cap;
    ours starts at the first wait and never exceeds the longest.

    :param first_s: the longest first wait in seconds; each failure doubles it.
    :param longest_s: no wait is longer, in seconds.
    :param random: returns a float from 0 to 1; waits are spread over the upper half of their range,
        so that peers which failed together do not come back together.
    """

    first_s: float
    longest_s: float
    random: Callable[[], float]
    failures: int = 0

    def next_wait_s(self) -> float:
        """Count a failure and return the wait after it in seconds."""
        # 2**32 s is beyond every cap; without the bound a year of failures makes a huge number.
        longest = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return longest * (0.5 + self.random() / 2)

    def succeeded(self) -> None:
        """Start again from the first wait."""
        self.failures = 0
