"""A clock for many nodes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class HeapClock:
    """A clock that stands still until it is told to advance.

    `twisted.internet.task.Clock` sorts all its calls whenever one is added; with many nodes that is
    most of the time.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self._calls: list[tuple[float, int, DelayedCall]] = []
        self._order = itertools.count()

    def seconds(self) -> float:
        """Return the present time in seconds."""
        return self._now_s

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call something *delay* seconds from now."""
        call = DelayedCall(
            self._now_s + delay, callable, args, kw, lambda _: None, self._put_back, self.seconds
        )
        self._put_back(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Return what is still to be called."""
        # A call that was moved to an earlier time stands here twice.
        return list(dict.fromkeys(call for _, _, call in self._calls if call.active()))

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and everything happen that is due by then."""
        end_s = self._now_s + seconds
        while self._calls and self._calls[0][0] <= end_s:
            _, _, call = heapq.heappop(self._calls)
            if not call.active():
                continue
            if call.getTime() > end_s or (self._calls and call.getTime() > self._calls[0][0]):
                self._put_back(call)  # it was delayed after it was put here
                continue
            self._now_s = max(self._now_s, call.getTime())
            call.called = 1
            call.func(*call.args, **call.kw)
        self._now_s = end_s

    def _put_back(self, call: DelayedCall) -> None:
        heapq.heappush(self._calls, (call.getTime(), next(self._order), call))
