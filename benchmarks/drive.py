"""Keeps a window of messages under way, then makes one round trip after the other; prints both times."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

#: Messages of one run, and how many of them are under way at once.
MESSAGES = 20_000
WINDOW = 200

#: Messages sent one after the other, each after the confirmation of the one before.
ROUND_TRIPS = 1_000


class Drive:
    """Measures one connection.

    :param say: sends one message.
    :param messages: how many are sent with a window of them under way.
    :param done: called at the end, after the result was printed.
    """

    def __init__(self, say: Callable[[], None], messages: int, done: Callable[[], None]) -> None:
        self._say = say
        self._to_say = messages
        self._messages = messages
        self._to_confirm = messages
        self._done = done
        self._took: list[float] = []
        self._throughput = 0.0

    def start(self) -> None:
        """Begin with the throughput."""
        self._began = time.perf_counter()
        for _ in range(WINDOW):
            self._say_next()

    def confirmed(self) -> None:
        """One message was confirmed."""
        if self._to_confirm:
            self._to_confirm -= 1
            if self._to_say:
                self._say_next()
            elif not self._to_confirm:
                self._throughput = self._messages / (time.perf_counter() - self._began)
                self._next_round_trip()
            return
        self._took.append(time.perf_counter() - self._began)
        self._next_round_trip()

    def _say_next(self) -> None:
        self._to_say -= 1
        self._say()

    def _next_round_trip(self) -> None:
        if len(self._took) < ROUND_TRIPS:
            self._began = time.perf_counter()
            self._say()
            return
        median_s = statistics.median(self._took)
        print(json.dumps({"messages_per_s": self._throughput, "round_trip_s": median_s}), flush=True)
        self._done()
