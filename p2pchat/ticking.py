"""Looks after what is due: often while something waits, seldom while nothing does."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

#: How often what is due is looked after, in seconds: deadlines of messages are exact to that. While nothing
#: waits nothing is due that soon, so that a machine may sleep.
TICK_S = 0.1
IDLE_TICK_S = 5.0


class Ticking:
    """Calls something again and again. The node creates, starts and stops it.

    :param look: looks after what is due.
    :param is_waiting: whether something may be due soon.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, look: Callable[[], None], is_waiting: Callable[[], bool]) -> None:
        self._look = look
        self._is_waiting = is_waiting
        self._is_idle = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin."""
        self._loop.start(TICK_S, now=False)

    def stop(self) -> None:
        """End, if it has begun."""
        if self._loop.running:
            self._loop.stop()

    def hurry(self) -> None:
        """Tick often again, where something waits since just now."""
        if self._is_idle and self._loop.running and self._is_waiting():
            self._is_idle = False
            self._loop.interval = TICK_S
            self._loop.reset()

    def _tick(self) -> None:
        try:
            self._look()
            self._is_idle = not self._is_waiting()
            self._loop.interval = IDLE_TICK_S if self._is_idle else TICK_S
        except Exception:
            # A LoopingCall stops for good at the first exception.
            self._log.failure("unexpected error in a tick")
