"""Disks of simulated machines: real tables, and power that fails between any two statements."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from p2pchat.store.database import MemoryDatabase, PowerCut

#: Seconds that a commit takes, and until the program hears of it: the disk turns, and threads take turns.
WRITE_S = (0.0005, 0.02)
HOP_S = 0.0001

_T = TypeVar("_T")


@attrs.define(eq=False)
class Disk:
    """One disk, through all runs of its machine. A resident creates it."""

    database: MemoryDatabase = attrs.Factory(MemoryDatabase)
    _statements_left: int = 0

    def __attrs_post_init__(self) -> None:
        self.database.before_statement = self._before_statement

    def cut_after(self, statements: int) -> None:
        """Let the power fail when so many more statements were carried out; 0 to let it be."""
        self._statements_left = statements

    def has_message(self, author: str, text: str) -> bool:
        """Whether a message of somebody's is written down."""
        sql = "SELECT 1 FROM messages WHERE author = ? AND text = ?"
        return self.database.connect().execute(sql, (author, text)).fetchone() is not None

    def waits(self, msg_id: str) -> bool:
        """Whether a message of ours is in the outbox."""
        sql = "SELECT 1 FROM outbox WHERE msg_id = ?"
        return self.database.connect().execute(sql, (msg_id,)).fetchone() is not None

    def _before_statement(self) -> None:
        if self._statements_left:
            self._statements_left -= 1
            if not self._statements_left:
                raise PowerCut


@attrs.define(eq=False)
class DiskThreads:
    """What would wait for the disk in another thread: `store.threads.Threads`. A resident creates one a run.

    :param host: the machine; when that stops, nothing more is written.
    :param cut: called when the power fails.
    """

    _host: IReactorTime
    _random: Random
    _cut: Callable[[], None]

    def start(self) -> None:
        """There is nothing to be started."""

    def write(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Write after a while, and tell a moment later."""
        done: Deferred[_T] = Deferred()
        self._host.callLater(self._random.uniform(*WRITE_S), self._write, work, done)
        return done

    def read(self, work: Callable[[], _T]) -> Deferred[_T]:
        """Read at once."""
        return maybeDeferred(work)

    def stop(self) -> None:
        """There is nothing to be stopped."""

    def _write(self, work: Callable[[], _T], done: Deferred[_T]) -> None:
        try:
            result: _T | Failure = work()
        except PowerCut:
            done.errback()
            self._cut()
            return
        except Exception:
            result = Failure()
        self._host.callLater(HOP_S, done.callback, result)
