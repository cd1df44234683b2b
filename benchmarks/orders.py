"""What a process that is measured does when it is told to on stdin."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver

reactor: Any = _reactor


class Orders(LineOnlyReceiver):
    """Takes ``memory``, and ``cast COUNT``: that many casts in one turn of the reactor.

    Each order has its own turn, since the casts of one turn leave in one write for each link.

    :param cast: sends one message to all links.
    """

    delimiter = b"\n"

    def __init__(self, cast: Callable[[], object]) -> None:
        self._cast = cast
        self._orders: deque[int] = deque()

    def lineReceived(self, line: bytes) -> None:
        """Cast soon, or print the resident memory now."""
        order, _, count = line.partition(b" ")
        if order == b"memory":
            print(resident_bytes(), flush=True)
            return
        self._orders.append(int(count))
        if len(self._orders) == 1:
            reactor.callLater(0, self._carry_out)

    def _carry_out(self) -> None:
        for _ in range(self._orders[0]):
            self._cast()
        self._orders.popleft()
        if self._orders:
            reactor.callLater(0, self._carry_out)


def listen_to_orders(cast: Callable[[], object]) -> None:
    """Take orders from now on."""
    StandardIO(Orders(cast))


def resident_bytes() -> int:
    """Return how much memory this process has, without what it could give back (Linux)."""
    gc.collect()
    # The start leaves much of the heap free. What links take of that would else look like nothing.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
