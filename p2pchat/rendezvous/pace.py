"""When the rendezvous is asked: in turn, out of turn, never too often (docs/protocol.md, 6 and 9.19)."""

from __future__ import annotations

from collections.abc import Callable

from p2pchat.rendezvous.budget import Budget

#: Seconds from one look at the roster to the next at most, and how much of it is jitter (section 6).
REFRESH_S = 30.0
JITTER = 0.1

#: The same where the rendezvous may live in one of the peers and go away with it: another one must
#: take its place, and everybody be registered there, within 15 s. Also where a server lost us, and others may
#: be coming back to it too. Any closer, or with more jitter, the budget would leave no look out of turn.
CLOSE_REFRESH_S = 14.5
CLOSE_JITTER = 0.005

#: Seconds that the others get to come back to a rendezvous that has lost us all, before they count as
#: gone: the longest back-off and a refresh; where another peer takes over, what is promised of that.
RETURN_S = 90.0
SHARED_RETURN_S = 20.0


class Pace:
    """Tells when the next request may go out, and when it should. The registration creates and owns it.

    :param now: monotonic seconds.
    :param random: returns a float from 0 to 1.
    :param shared: the rendezvous lives in one of the peers of this machine.
    """

    def __init__(self, now: Callable[[], float], random: Callable[[], float], shared: bool) -> None:
        self.budget = Budget()
        self._now = now
        self._random = random
        self._shared = shared
        self._others_back_at_s = 0.0

    def others_come_back(self) -> None:
        """The server has lost us all: until the others are back, an answer may lack them."""
        self._others_back_at_s = self._now() + (SHARED_RETURN_S if self._shared else RETURN_S)

    @property
    def are_others_back(self) -> bool:
        """Whether who is not listed is gone."""
        return self._now() >= self._others_back_at_s

    @property
    def refresh_s(self) -> float:
        """Seconds from one look to the next, at most."""
        return CLOSE_REFRESH_S if self._looks_closely else REFRESH_S

    def next_look_s(self) -> float:
        """Seconds from now to the next look."""
        jitter = (CLOSE_JITTER if self._looks_closely else JITTER) * self._random()
        return max(self.refresh_s * (1 - jitter), self.budget.even_wait_s(self._now()))

    def has_request_to_spare(self) -> bool:
        """Whether a look out of turn keeps none of those in turn waiting."""
        if self._looks_closely:
            return self.budget.can_spare(self._now())
        return self.budget.leaves_room(self._now(), REFRESH_S * (1 - JITTER))

    @property
    def _looks_closely(self) -> bool:
        return self._shared or not self.are_others_back
