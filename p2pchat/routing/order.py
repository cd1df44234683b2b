"""Messages to us wait for those that their source said before (docs/protocol.md, section 12.1)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET, Struct

from p2pchat.protocol.messages import Send
from p2pchat.protocol.protection import Protection
from p2pchat.routing.neighbourhood import Neighbour
from p2pchat.routing.recent import Recent

#: Seconds that a message waits; its source sends both again after 5 s.
WAIT_S = 10.0

#: Messages that may wait at once, those of one source, and the characters of all. What is beyond is dropped,
#: and its source sends it again.
MAX_WAITING = 1024
MAX_OF_A_SOURCE = 256
MAX_SIZE = 4 * 1024 * 1024


class Early(Struct):
    """A message that came before another that was said before it."""

    neighbour: Neighbour
    message: Send
    protection: Protection
    until_s: float


class Order:
    """Lets messages pass in the order in which they were said. The router creates and owns it.

    :param now: monotonic seconds.
    :param show: takes a message whose turn it is.
    """

    def __init__(self, now: Callable[[], float], show: Callable[[Neighbour, Send, Protection], None]) -> None:
        #: Messages that waited in vain, or had no room.
        self.dropped = 0
        self._now = now
        self._show = show
        #: What came lately, by (src, msg_id).
        self._came: Recent[bool] = Recent(now())
        #: Those that wait, by their own (src, msg_id), oldest first; and by what they wait for.
        self._early: dict[tuple[str, str], Early] = {}
        self._behind: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._counts: dict[str, int] = {}
        self._size = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._early)

    @property
    def remembered(self) -> int:
        """Messages that are remembered, so that what comes after them need not wait."""
        return len(self._came)

    def take(self, neighbour: Neighbour, message: Send, protection: Protection) -> None:
        """Let a message pass, or wait for the one before it."""
        # Plain peers may mean something else by it (9.10).
        is_behind = message.after is not UNSET and not neighbour.plain
        if is_behind and not self._came.get((message.src, str(message.after))):
            self._hold(Early(neighbour, message, protection, self._now() + WAIT_S))
            return
        self._pass(neighbour, message, protection)
        if self._early:
            self._release(message)

    def tick(self) -> None:
        """Drop what has waited for too long."""
        now_s = self._now()
        self._came.rotate(now_s)
        for key, early in [*self._early.items()]:
            if early.until_s > now_s:
                break
            self._remove(key)
            self.dropped += 1

    def _pass(self, neighbour: Neighbour, message: Send, protection: Protection) -> None:
        self._came.put((message.src, message.msg_id), True)
        self._show(neighbour, message, protection)

    def _release(self, first: Send) -> None:
        """Let pass what waited for a message, and what waited for that."""
        passed = [(first.src, first.msg_id)]
        while passed:
            for key in self._behind.pop(passed.pop(0), []):
                early = self._remove(key)
                self._pass(early.neighbour, early.message, early.protection)
                passed.append(key)

    def _hold(self, early: Early) -> None:
        message = early.message
        key, size = (message.src, message.msg_id), len(message.payload)
        if key in self._early:
            return  # a copy
        count = self._counts.get(message.src, 0)
        is_full = len(self._early) >= MAX_WAITING or self._size + size > MAX_SIZE
        if is_full or count >= MAX_OF_A_SOURCE:
            self.dropped += 1
            return
        self._early[key] = early
        self._behind.setdefault((message.src, str(message.after)), []).append(key)
        self._counts[message.src] = count + 1
        self._size += size

    def _remove(self, key: tuple[str, str]) -> Early:
        early = self._early.pop(key)
        message = early.message
        self._size -= len(message.payload)
        self._counts[message.src] -= 1
        if not self._counts[message.src]:
            del self._counts[message.src]
        before = (message.src, str(message.after))
        behind = self._behind.get(before, [])
        if key in behind:
            behind.remove(key)
            if not behind:
                del self._behind[before]
        return early
