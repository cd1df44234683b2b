"""Messages in SQLite: one writer, in a thread of its own, which commits many at once."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, cast

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.language import tr
from p2pchat.store import reading, schema, writing
from p2pchat.store.batch import Alone, Work, Write, carry_out, nobody, nothing
from p2pchat.store.database import Database, PowerCut
from p2pchat.store.entries import Arrival, Carried, Cast, Entry, Outcome, Outgoing
from p2pchat.store.store import Unreadable
from p2pchat.store.threads import Threads

#: What is written by one commit: enough that the disk is not what limits, and some tens of ms at most.
MAX_BATCH = 1000

#: What waits to be written, about 20 MB of usual messages. Beyond, while the disk fails us or is too slow,
#: nothing is kept any more, and counted.
MAX_WAITING = 20_000

#: Files that are set aside in one run. A disk that spoils each of them should not be filled with them.
MAX_RENEWALS = 3

#: Seconds until a disk that failed is tried again.
RETRY_S = 5.0

#: Seconds between two looks for what is too old.
FORGET_S = 60.0

#: Days for which history is kept unless told otherwise.
KEEP_DAYS = 365

#: Lines that were said to our namespace and are kept for those who come later, and their characters in all.
MAX_CASTS = 50
MAX_CASTS_SIZE = 256 * 1024

#: Codes of SQLite that say that the file itself is wrong.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_KEEP_CASTS = partial(writing.keep_casts, most=MAX_CASTS)

_T = TypeVar("_T")


class SqliteStore:
    """Keeps messages in a database: `store.Store`. Whoever makes the node creates it; the node closes it.

    A file that is damaged is set aside, and a new one begun. While the disk is full, or fails in another
    way, all goes on in memory, and is written when it can be.

    :param threads: where the work with the database is done.
    :param now_ms: the time of day, in ms since 1970.
    :param clock_s: monotonic seconds.
    :param keeps_history: else only what delivery needs is kept.
    :param keep_days: for how long history is kept.
    """

    _log = Logger()

    def __init__(
        self,
        database: Database,
        threads: Threads,
        *,
        now_ms: Callable[[], int],
        clock_s: Callable[[], float],
        keeps_history: bool = True,
        keep_days: int = KEEP_DAYS,
    ) -> None:
        self.now_ms = now_ms
        self._database = database
        self._threads = threads
        self._clock_s = clock_s
        self._keeps_history = keeps_history
        self._keep_days = keep_days
        self._keep: Work = nothing
        self._receive: Work = partial(writing.receive, has_history=keeps_history)
        self._trouble: Callable[[str], None] = lambda _what: None
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        #: Our messages without an outcome, for the case that the file is lost.
        self._open: dict[str, Outgoing] = {}
        #: The same for those of others that we keep.
        self._carried: dict[str, Carried] = {}
        self._casts: deque[str] = deque()
        self._waiting: deque[Write] = deque()
        self._is_writing = False
        #: When a disk that failed is tried again; None while all is well.
        self._retry_at_s: float | None = None
        #: Nothing is written at all: the file is not for us, or we have ended.
        self._is_off = False
        #: The power failed.
        self._is_dead = False
        self._is_closing = False
        self._renewals = 0
        self._forget_at_s = clock_s() + FORGET_S
        #: There may be entries whose words cannot be found yet.
        self._is_to_index = True
        self._is_indexing = False
        self._dropped = self._forgotten_early = self._commits = self._written = 0

    @property
    def is_lasting(self) -> bool:
        """What is kept is there after the program has ended. Not while the disk fails."""
        return self._retry_at_s is None and not self._is_off

    def open(self, own: str, trouble: Callable[[str], None]) -> list[Outgoing]:
        """Open the database, and return our messages without an outcome; see `store.Store`."""
        self._trouble = trouble
        self._keep = partial(writing.keep, own=own, has_history=self._keeps_history)
        self._threads.start()
        try:
            self._open_database()
        except schema.TooNew as problem:
            self._is_off = True
            self._trouble(_unusable(self._database.name, problem))
        except (OSError, sqlite3.Error) as problem:
            self._suspend(problem)
        return [*self._open.values()]

    # What is written.

    def keep(self, message: Outgoing, then: Callable[[], None]) -> None:
        """Keep a message of ours until `settle`."""
        if message.msg_id in self._open:
            self.after_all(then)
            return
        self._open[message.msg_id] = message
        self._is_to_index = self._keeps_history
        self._write(Write(self._keep, message, lambda _: then()))

    def settle(self, msg_id: str, outcome: Outcome) -> None:
        """Note what became of a message."""
        self._open.pop(msg_id, None)
        self._write(Write(writing.settle, (msg_id, outcome), nobody))

    def said(self, cast: Cast) -> None:
        """Note what we said to many."""
        if self._keeps_history:
            self._is_to_index = True
            self._write(Write(writing.said, cast, nobody))

    def receive(self, arrival: Arrival, then: Callable[[bool], None]) -> None:
        """Note a message that came in, and tell whether it is new."""
        self._is_to_index = self._keeps_history
        self._write(Write(self._receive, arrival, then, otherwise=True))

    def carry(self, msg_id: str, carried: Carried | None, then: Callable[[], None]) -> None:
        """Keep something of somebody else, or how it is now; None: no longer."""
        if carried is None:
            self._carried.pop(msg_id, None)
        else:
            self._carried[msg_id] = carried
        self._write(Write(writing.carry, (msg_id, carried), lambda _: then()))

    def carried(self) -> list[Carried]:
        """Return what is kept so, oldest first."""
        return [*self._carried.values()]

    def keep_cast(self, line: str) -> None:
        """Keep a line that was said to our namespace, for those who come later."""
        if self._keeps_history:
            self._casts.append(line)
            self._limit_casts()
            self._write(Write(_KEEP_CASTS, line, nobody))

    def casts(self) -> list[str]:
        """Return the last of these, oldest first."""
        return [*self._casts]

    def _limit_casts(self) -> None:
        while len(self._casts) > MAX_CASTS or sum(map(len, self._casts)) > MAX_CASTS_SIZE:
            self._casts.popleft()

    def read(self, conversation: str | None) -> None:
        """Note that the user has seen what came so far in a conversation; None: in all."""
        if self._keeps_history:
            self._write(Write(Alone(partial(writing.read, conversation=conversation)), None, nobody))

    def after_all(self, then: Callable[[], None]) -> None:
        """Call *then* when all that was asked before is done."""
        write = Write(nothing, None, lambda _: then())
        if self._waiting or self._is_writing:
            self._write(write)
        else:
            self._tell(write, None)

    # What is read.

    def latest(self, conversation: str | None, n: int) -> Deferred[list[Entry]]:
        """Return the last entries."""
        return self._ask(lambda db: reading.latest(db, conversation, n))

    def search(self, words: str, n: int) -> Deferred[list[Entry]]:
        """Return the last entries that have all the words."""
        indexed: Deferred[None] = Deferred()
        self._index(lambda: indexed.callback(None))
        return indexed.addCallback(lambda _: self._ask(lambda db: reading.search(db, words, n)))

    def page(self, after: int, n: int) -> Deferred[list[Entry]]:
        """Return the first entries with numbers above one."""
        return self._ask(lambda db: reading.page(db, after, n))

    def unread(self) -> Deferred[dict[str, int]]:
        """Return how many entries the user has not seen, by conversation."""
        return self._ask(reading.unread)

    # What is due.

    def tick(self) -> None:
        """Try again where the disk failed; let what came be found, and forget what is too old."""
        now_s = self._clock_s()
        if self._retry_at_s is not None:
            if now_s >= self._retry_at_s and not self._is_writing:
                self._commit([self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))])
        elif not self._is_off:
            # Not with each commit: it takes as long as writing the entries does, unless it is for many.
            if self._is_to_index and not self._is_indexing:
                self._is_indexing = True
                self._index(self._indexed)
            if now_s >= self._forget_at_s:
                self._forget_at_s = now_s + FORGET_S
                self._write(Write(Alone(self._forget), None, self._forgot, otherwise=(0, 0)))

    def sizes(self) -> dict[str, int]:
        """Tell how much waits, and what was counted."""
        return {
            "store_waiting": len(self._waiting),
            "store_commits": self._commits,
            "store_written": self._written,
            "store_dropped": self._dropped,
            "store_forgotten_early": self._forgotten_early,
        }

    def close(self) -> Deferred[None]:
        """Write what waits, and end."""
        done: Deferred[None] = Deferred()
        self._is_closing = True
        self._retry_at_s = None  # one last time
        self._next()
        self.after_all(lambda: done.callback(None))
        return done.addCallback(lambda _: self._threads.write(self._disconnect)).addBoth(self._ended)

    # Writing.

    def _write(self, write: Write) -> None:
        """Let something be written, in its turn."""
        if self._is_off:
            self._tell(write, write.otherwise)
        elif len(self._waiting) >= MAX_WAITING:
            self._drop(write)
        elif self._retry_at_s is not None:
            self._waiting.append(replace(write, then=nobody))
            self._tell(write, write.otherwise)
        else:
            self._waiting.append(write)
            self._next()

    def _drop(self, write: Write) -> None:
        """Go on without writing something, since too much waits for that."""
        if not self._dropped:
            told = tr("more is to be kept than {file} can take; some messages are not kept")
            self._trouble(told.format(file=self._database.name))
        self._dropped += 1
        self._tell(write, write.otherwise)

    def _next(self) -> None:
        """Begin the next commit, with all that came during the last one."""
        if self._waiting and not self._is_writing and self._retry_at_s is None:
            self._commit([self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))])

    def _commit(self, batch: list[Write]) -> None:
        self._is_writing = True
        done = self._threads.write(lambda: self._transact(batch))
        done.addCallback(self._committed, batch).addErrback(self._failed, batch)
        done.addErrback(lambda failure: self._log.failure("a store failed", failure))

    def _transact(self, batch: list[Write]) -> list[Any]:
        """Write a batch, or nothing of it. Runs in the thread of the writer."""
        db = self._db or self._connect()
        execute = self._database.executor(db)
        try:
            execute("BEGIN IMMEDIATE", ())
            results = carry_out(execute, batch)
            execute("COMMIT", ())
        except BaseException:
            if db.in_transaction:
                db.rollback()
            raise
        return results

    def _committed(self, results: list[Any], batch: list[Write]) -> None:
        self._commits += 1
        self._written += len(batch)
        if self._retry_at_s is not None:
            self._retry_at_s = None
            self._trouble(tr("messages are kept in {file} again").format(file=self._database.name))
        for write, result in zip(batch, results, strict=True):
            self._tell(write, result)
        self._is_writing = False
        self._next()

    def _index(self, then: Callable[[], None]) -> None:
        """Let the words of all entries be found, some at a time, and others write in between."""

        def indexed(count: int) -> None:
            if count >= writing.CHUNK and not self._is_closing:
                self._index(then)
            else:
                then()

        self._is_to_index = False
        self._write(Write(Alone(writing.index), None, indexed, otherwise=0))

    def _indexed(self) -> None:
        self._is_indexing = False

    def _failed(self, failure: Failure, batch: list[Write]) -> None:
        self._is_writing = False
        problem = cast(BaseException, failure.value)
        if isinstance(problem, PowerCut):
            self._is_off = self._is_dead = True
            self._waiting.clear()
        elif _is_damage(problem) and self._renewals < MAX_RENEWALS:
            self._renewals += 1
            self._waiting.extendleft(reversed(batch))
            self._renew(problem)
        elif isinstance(problem, OSError | sqlite3.Error | schema.TooNew):
            self._suspend(problem)
            self._keep_in_memory(batch)
        else:
            self._log.failure("unexpected error while messages were written", failure)
            for write in batch:
                self._tell(write, write.otherwise)
            self._next()

    def _tell(self, write: Write, result: Any) -> None:
        if self._is_dead:
            return
        try:
            write.then(result)
        except Exception:
            # It is the fault of that one message, and others wait.
            self._log.failure("unexpected error after a message was written")

    # When the disk fails.

    def _keep_in_memory(self, batch: list[Write]) -> None:
        """Go on as if a batch, and what waits behind it, had been written; it is tried again later."""
        waiting = [*batch, *self._waiting]
        self._waiting = deque(replace(write, then=nobody) for write in waiting)
        for write in waiting:
            self._tell(write, write.otherwise)

    def _suspend(self, problem: BaseException) -> None:
        """Take note that nothing can be written for now, and say so once."""
        if self._retry_at_s is None:
            self._trouble(_unusable(self._database.name, problem))
        self._retry_at_s = self._clock_s() + RETRY_S

    def _renew(self, problem: BaseException) -> None:
        """Set a damaged file aside, begin a new one, and go on there."""

        def go_on(aside: str) -> None:
            self._is_writing = False
            self._trouble(_damaged(self._database.name, problem, aside))
            self._next()

        def fail(failure: Failure) -> None:
            self._is_writing = False
            failure.trap(OSError, sqlite3.Error)
            self._suspend(cast(BaseException, failure.value))
            self._keep_in_memory([])

        self._is_writing = True
        waiting, others = [*self._open.values()], self.carried()
        renewed = self._threads.write(lambda: self._begin_anew(waiting, others))
        renewed.addCallbacks(go_on, fail)
        renewed.addErrback(lambda failure: self._log.failure("a store failed", failure))

    def _begin_anew(self, waiting: list[Outgoing], others: list[Carried]) -> str:
        """Set the file aside, and begin another with what waits; return where the old one is."""
        self._disconnect()
        aside = self._database.set_aside(
            f"{datetime.fromtimestamp(self.now_ms() / 1000, UTC):%Y%m%dT%H%M%SZ}"
        )
        writing.keep_open(self._database.executor(self._connect()), waiting, others)
        return aside

    # The database.

    def _open_database(self) -> None:
        """Open it; set it aside and begin anew where it is damaged.

        :raises OSError, sqlite3.Error: that is not possible.
        :raises TooNew: it is not for us.
        """
        try:
            db = self._connect()
            self._open = {message.msg_id: message for message in reading.outbox(db)}
            self._carried = {carried.msg_id: carried for carried in reading.carried(db)}
            self._casts = deque(reading.casts(db) if self._keeps_history else [])
            self._limit_casts()
        except sqlite3.Error as problem:
            if not _is_damage(problem):
                self._disconnect()
                raise
            aside = self._begin_anew([*self._open.values()], self.carried())
            self._trouble(_damaged(self._database.name, problem, aside))

    def _connect(self) -> sqlite3.Connection:
        db = self._database.connect()
        try:
            schema.prepare(db)
        except BaseException:
            self._database.disconnect(db)
            raise
        self._db = db
        return db

    def _disconnect(self) -> None:
        for db in (self._reader, self._db):
            if db is not None:
                self._database.disconnect(db)
        self._db = self._reader = None

    def _ended(self, result: Any) -> None:
        self._is_off = True
        self._threads.stop()
        if isinstance(result, Failure):
            self._log.failure("a store did not close", result)

    # Reading.

    def _ask(self, question: Callable[[sqlite3.Connection], _T]) -> Deferred[_T]:
        """Ask beside what writes, once that has written what was asked before."""
        answer: Deferred[None] = Deferred()
        self.after_all(lambda: answer.callback(None))
        return answer.addCallback(lambda _: self._threads.read(lambda: self._read(question)))

    def _read(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            if self._reader is None:
                self._reader = self._database.connect()
            return question(self._reader)
        except (OSError, sqlite3.Error) as problem:
            raise Unreadable(
                tr("{file} cannot be read ({why})").format(file=self._database.name, why=problem)
            ) from problem

    # What is too old.

    def _forget(self, execute: Any) -> tuple[int, int]:
        shown, early = writing.forget_shown(execute, self.now_ms())
        history = writing.forget_history(execute, self.now_ms(), self._keep_days)
        return max(shown, history), early

    def _forgot(self, counts: tuple[int, int]) -> None:
        gone, early = counts
        self._forgotten_early += early
        if gone >= writing.CHUNK:
            self._forget_at_s = self._clock_s()  # there is more


def _is_damage(problem: BaseException) -> bool:
    code = getattr(problem, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def _unusable(file: str, problem: BaseException) -> str:
    told = tr(
        "messages are kept until you leave only, since {file} cannot be written ({why}). It is tried again."
    )
    return told.format(file=file, why=problem)


def _damaged(file: str, problem: BaseException, aside: str) -> str:
    told = tr(
        "the file with your messages, {file}, is damaged ({why}). It was moved to {aside}, and a new one was "
        "begun: what waits to be sent is in it, what was said before is not."
    )
    return told.format(file=file, why=problem, aside=aside)
