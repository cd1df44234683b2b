"""Simulated time: one clock for all hosts, and each host's own view of it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

#: When what is to be called: the time, what keeps the order of equal times, and a `DelayedCall` with the
#: view that it belongs to, or a plain callable without one.
_Entry = tuple[float, int, Any, "View | None"]


@implementer(IReactorTime)
class View:
    """The time as one host sees it: its clock may be wrong, and stops when the host does.

    :param clock: the true time.
    """

    def __init__(self, clock: HeapClock) -> None:
        self._true = clock
        #: By how much this clock is ahead of the true one, in seconds.
        self.ahead_s = 0.0

    def seconds(self) -> float:
        """Return the present time in seconds."""
        return self._true.now_s + self.ahead_s

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """Call something *delay* seconds from now."""
        call = DelayedCall(self.seconds() + delay, callable, args, kw, _forget, self._put_back, self.seconds)
        self._true.push(call, self)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Return what is still to be called, on all hosts."""
        return list(self._true.pending())

    def jump(self, seconds: float) -> None:
        """Put this clock forward, or back where *seconds* is negative; what is planned moves with it."""
        self.ahead_s += seconds
        for call in self._true.pending(self):
            self._true.push(call, self)

    def stop_time(self) -> None:
        """Call nothing of what is still to be called: the host is gone."""
        for call in self._true.pending(self):
            call.cancel()

    def _put_back(self, call: DelayedCall) -> None:
        self._true.push(call, self)


class HeapClock(View):
    """The true time. It stands still until it is told to advance.

    `twisted.internet.task.Clock` sorts all its calls whenever one is added; with many nodes that is
    most of the time.
    """

    def __init__(self) -> None:
        super().__init__(self)
        #: The present time in seconds.
        self.now_s = 0.0
        self._entries: list[_Entry] = []
        self._order = itertools.count()

    def call_at(self, at_s: float, callable: Callable[[], None]) -> None:
        """Call something at a time. It cannot be cancelled, costs little, and is listed nowhere."""
        heapq.heappush(self._entries, (at_s, next(self._order), callable, None))

    def push(self, call: DelayedCall, view: View) -> None:
        """Put a call where it belongs; it may stand here several times."""
        heapq.heappush(self._entries, (_due_s(call, view), next(self._order), call, view))

    def pending(self, view: View | None = None) -> list[DelayedCall]:
        """Return what is still to be called, of one host or of all."""
        calls = (call for _, _, call, owner in self._entries if owner is not None and view in (None, owner))
        return list(dict.fromkeys(call for call in calls if call.active()))

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, and everything happen that is due by then."""
        self.advance_to(self.now_s + seconds)

    def advance_to(self, end_s: float) -> None:
        """Let time pass until *end_s*. Where a call raises, this may be called again to go on."""
        entries = self._entries
        while entries and entries[0][0] <= end_s:
            due_s, _, call, view = heapq.heappop(entries)
            if view is None:
                self.now_s = due_s
                call()
            elif call.active():
                self._call(call, view, due_s)
        self.now_s = end_s

    def _call(self, call: DelayedCall, view: View, due_s: float) -> None:
        at_s = _due_s(call, view)
        if at_s > due_s:
            self.push(call, view)  # it was delayed after it was put here
            return
        self.now_s = max(self.now_s, at_s)
        call.called = 1
        call.func(*call.args, **call.kw)


def _due_s(call: DelayedCall, view: View) -> float:
    """Return the true time of a call: the first at which the host's own clock has come to it."""
    at_s, ahead_s = call.getTime(), view.ahead_s
    if not ahead_s:
        return at_s
    due_s = at_s - ahead_s
    # A call that comes a hair too early by its own clock would plan itself for the same moment again.
    while due_s + ahead_s < at_s:
        due_s = math.nextafter(due_s, math.inf)
    return due_s


def _forget(_call: DelayedCall) -> None:
    """What was cancelled stays where it is until it is due."""
