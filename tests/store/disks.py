"""What the tests of the store write with: threads that are none, disks that fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from p2pchat.store.database import Execute, MemoryDatabase

_T = TypeVar("_T")


class NoThreads:
    """Does work at once, or when a test lets it: `threads.Threads`."""

    def __init__(self) -> None:
        self.is_slow = False
        self.running = 0
        self._waiting: list[Callable[[], Any]] = []

    def start(self) -> None:
        """Begin."""
        self.running += 1

    def write(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do it, now or later."""
        if not self.is_slow:
            return maybeDeferred(work)
        done: Deferred[_T] = Deferred()
        self._waiting.append(lambda: maybeDeferred(work).chainDeferred(done))
        return done

    def read(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Do it."""
        return maybeDeferred(work)

    def stop(self) -> None:
        """End."""
        self.running -= 1

    def work(self) -> None:
        """Do the piece of work that has waited longest."""
        self._waiting.pop(0)()


class BadDisk(MemoryDatabase):
    """A database whose disk fails when a test lets it.

    :ivar problem: raised by each commit while it is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problem: BaseException | None = None
        self.asides: list[str] = []

    def connect(self) -> sqlite3.Connection:
        """Fail, or not."""
        self._fail()
        return super().connect()

    def executor(self, db: sqlite3.Connection) -> Execute:
        """Fail at the end of a transaction, or not."""

        def execute(sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
            if sql == "COMMIT":
                self._fail()
            return db.execute(sql, values)

        return execute

    def set_aside(self, when: str) -> str:
        """Begin with another one, on a disk that works."""
        self.problem = None
        super().set_aside(when)
        self.asides.append(when)
        return f"memory.damaged-{when}"

    def _fail(self) -> None:
        if self.problem is not None:
            raise self.problem


def damage(code: int = sqlite3.SQLITE_CORRUPT) -> sqlite3.DatabaseError:
    """Return what SQLite raises where a file is damaged."""
    problem = sqlite3.DatabaseError("database disk image is malformed")
    problem.sqlite_errorcode = code
    return problem


def full() -> sqlite3.OperationalError:
    """Return what SQLite raises where a disk is full."""
    problem = sqlite3.OperationalError("database or disk is full")
    problem.sqlite_errorcode = sqlite3.SQLITE_FULL
    return problem
