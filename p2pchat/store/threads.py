"""Threads for the disk, so that the reactor never waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

_T = TypeVar("_T")


class Threads(Protocol):
    """Does work elsewhere. `SqliteStore` starts and stops it."""

    def start(self) -> None:
        """Begin."""

    def write(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do some work behind that which was given before; fires with its result."""

    def read(self, work: Callable[[], _T]) -> Deferred[_T]:
        """The same, beside what writes."""

    def stop(self) -> None:
        """End, when all that was given is done."""


class ReactorThreads:
    """One thread that writes, and one that reads: a search does not hold up what arrives."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._writer = ThreadPool(0, 1, "store writer")
        self._reader = ThreadPool(0, 1, "store reader")

    def start(self) -> None:
        """Begin; to be called in the process that goes on, since threads are not handed down."""
        self._writer.start()
        self._reader.start()

    def write(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do some work behind that which was given before."""
        return deferToThreadPool(self._reactor, self._writer, work)

    def read(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do some work beside it."""
        return deferToThreadPool(self._reactor, self._reader, work)

    def stop(self) -> None:
        """End, when all that was given is done."""
        self._writer.stop()
        self._reader.stop()
