"""Messages in a database: what is written is written, in order, and once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.store import sqlite as module
from p2pchat.store import writing
from p2pchat.store.database import Database, MemoryDatabase, PowerCut
from p2pchat.store.entries import Arrival, Carried, Cast, Entry, Outcome, Outgoing, State
from p2pchat.store.schema import MIGRATIONS
from p2pchat.store.sqlite import FORGET_S, MAX_CASTS, MAX_RENEWALS, RETRY_S, SqliteStore
from p2pchat.store.store import Unreadable
from tests.store.disks import BadDisk, NoThreads, damage, full

#: A day, in ms.
DAY_MS = 24 * 3600 * 1000

CONFIRMED = Outcome(is_confirmed=True, via="carol@UnB", protection="sealed", took_s=1.5, is_proved=True)


def outgoing(number: int, text: str = "") -> Outgoing:
    """Return a message of ours."""
    return Outgoing(f"id{number}", "bob@UnB", text or f"text {number}", 1000 + number)


def arrival(number: int, text: str = "", **fields: Any) -> Arrival:
    """Return a message of bob's."""
    given = {"author": "bob@UnB", "conversation": "@bob@UnB", "at_ms": 2000 + number, **fields}
    return Arrival(f"id{number}", text=text or f"text {number}", **given)


class StoreTestCase(SynchronousTestCase):
    """A store of alice's; there may be others after it."""

    def setUp(self) -> None:
        self.now_ms = 100 * DAY_MS
        self.clock_s = 0.0
        self.database: Database = MemoryDatabase()
        self.troubles: list[str] = []
        #: What was told, in order.
        self.done: list[Any] = []

    def make(self, **options: Any) -> SqliteStore:
        """Make a store on the database, and open it."""
        self.threads = NoThreads()
        store = SqliteStore(
            self.database, self.threads, now_ms=lambda: self.now_ms, clock_s=lambda: self.clock_s, **options
        )
        self.waiting = store.open("alice@UnB", self.troubles.append)
        return store

    def then(self, what: str) -> Callable[[], None]:
        """Note that something was told."""
        return partial(self.done.append, what)

    def told(self, what: str) -> Callable[[bool], None]:
        """Note that something was told, with the result."""
        return lambda is_new: self.done.append((what, is_new))

    def entries(self, store: SqliteStore, conversation: str | None = None, n: int = 100) -> list[Entry]:
        """Read the history."""
        return self.successResultOf(store.latest(conversation, n))

    def texts(self, store: SqliteStore, conversation: str | None = None, n: int = 100) -> list[str]:
        """Read the texts of the history."""
        return [entry.text for entry in self.entries(store, conversation, n)]

    def close(self, store: SqliteStore) -> None:
        """Close a store."""
        self.successResultOf(store.close())


class OutboxTests(StoreTestCase):
    def test_kept(self) -> None:
        """What has no outcome is there at the next start, in order, as it was said."""
        store = self.make()
        said = [outgoing(number) for number in (3, 1, 2)]
        for each in said:
            store.keep(each, self.then(each.msg_id))
        self.assertEqual(self.done, ["id3", "id1", "id2"])
        self.close(store)
        self.make()
        self.assertEqual((self.waiting, self.troubles), (said, []))

    def test_settled(self) -> None:
        """What has an outcome is not."""
        store = self.make()
        for number in (1, 2, 3):
            store.keep(outgoing(number), self.then(""))
        store.settle("id1", CONFIRMED)
        store.settle("id3", Outcome(is_confirmed=False, code="no_route", why="nobody"))
        store.settle("unknown", CONFIRMED)
        self.close(store)
        store = self.make()
        self.assertEqual(self.waiting, [outgoing(2)])
        first, second, third = self.entries(store)
        self.assertEqual((first.state, first.via, first.protection), (State.CONFIRMED, "carol@UnB", "sealed"))
        self.assertEqual((first.took_s, first.is_proved, first.is_ours), (1.5, True, True))
        self.assertEqual((second.state, second.took_s), (State.OPEN, None))
        self.assertEqual((third.state, third.code, third.why), (State.FAILED, "no_route", "nobody"))
        self.assertEqual((first.conversation, first.author, first.at_ms), ("@bob@UnB", "alice@UnB", 1001))

    def test_kept_twice(self) -> None:
        """The same message a second time changes nothing."""
        store = self.make()
        for _ in range(2):
            store.keep(outgoing(1), self.then("kept"))
        self.assertEqual((self.done, self.texts(store)), (["kept", "kept"], ["text 1"]))

    def test_lasting(self) -> None:
        """Whoever has such a store need not give up what waits."""
        self.assertTrue(self.make().is_lasting)


class CarriedTests(StoreTestCase):
    """What is kept for others."""

    def carried(self, number: int, **fields: Any) -> Carried:
        """Return a message of bob's for carol."""
        given = {"src": "bob@UnB", "dst": "carol@UnB", "sealed": f"box {number}", "lock": "lock", **fields}
        return Carried(f"id{number}", until_ms=5000 + number, **given)

    def test_kept(self) -> None:
        """It is there at the next start, in order, as it was at last."""
        store = self.make()
        for number in (3, 1, 2):
            store.carry(f"id{number}", self.carried(number), self.then(str(number)))
        store.carry("id1", self.carried(1, sealed="", ack="{}"), self.then("handed over"))
        store.carry("id2", None, self.then("gone"))
        store.carry("unknown", None, self.then(""))
        self.assertEqual(self.done, ["3", "1", "2", "handed over", "gone", ""])
        expected = [self.carried(3), self.carried(1, sealed="", ack="{}")]
        self.assertEqual(store.carried(), expected)
        self.close(store)
        self.assertEqual(self.make().carried(), expected)

    def test_in_one_commit(self) -> None:
        """Where it changes several times within one commit, the last time counts."""
        for last in (self.carried(1), None):
            store = self.make()
            self.threads.is_slow = True
            store.carry("id0", None, self.then("first"))
            for carried in (self.carried(1, sealed="old"), None, last):
                store.carry("id1", carried, self.then(""))
            self.threads.work()
            self.threads.is_slow = False
            self.threads.work()
            self.close(store)
            self.assertEqual(self.make().carried(), [] if last is None else [last])

    def test_file_lost(self) -> None:
        """Where the file is damaged and begun anew, it is in the new one."""
        self.database = disk = BadDisk()
        store = self.make()
        store.carry("id1", self.carried(1), self.then(""))
        disk.problem = damage()
        store.carry("id2", self.carried(2, sealed="\ud800"), self.then(""))
        self.close(store)
        self.assertEqual([each.msg_id for each in self.make().carried()], ["id1", "id2"])

    def test_disk_full(self) -> None:
        """While nothing can be written it is kept in memory, and nothing lasts."""
        self.database = disk = BadDisk()
        store = self.make()
        disk.problem = full()
        store.carry("id1", self.carried(1), self.then("kept"))
        self.assertEqual((self.done, store.carried(), store.is_lasting), (["kept"], [self.carried(1)], False))
        disk.problem = None
        self.clock_s += RETRY_S
        store.tick()
        self.assertTrue(store.is_lasting)
        self.close(store)
        self.assertEqual(self.make().carried(), [self.carried(1)])


class ReadTests(StoreTestCase):
    def test_by_conversation(self) -> None:
        """What is read in one conversation says nothing of others."""
        store = self.make()
        for number, conversation in enumerate(("@bob@UnB", "#UnB", "#UnB", "*")):
            store.receive(arrival(number, conversation=conversation), self.told(""))
        self.assertEqual(self.successResultOf(store.unread()), {"@bob@UnB": 1, "#UnB": 2, "*": 1})
        store.read("#UnB")
        store.read("#Giga")
        self.assertEqual(self.successResultOf(store.unread()), {"@bob@UnB": 1, "*": 1})
        self.close(store)
        store = self.make()
        self.assertEqual(self.successResultOf(store.unread()), {"@bob@UnB": 1, "*": 1})
        store.read(None)
        self.assertEqual(self.successResultOf(store.unread()), {})


class CastsTests(StoreTestCase):
    """What was said to our namespace, for those who come later."""

    def test_kept(self) -> None:
        """The last fifty are there, now and at the next start, with half characters as escapes."""
        store = self.make()
        for number in range(MAX_CASTS + 2):
            store.keep_cast(str(number))
        expected = [str(number) for number in range(2, MAX_CASTS + 2)]
        self.assertEqual(store.casts(), expected)
        self.close(store)
        store = self.make()
        self.assertEqual(store.casts(), expected)
        store.keep_cast("\ud800")
        self.close(store)
        self.assertEqual(self.make().casts()[-1], "\\ud800")

    def test_size(self) -> None:
        """Fewer where they are long."""
        store = self.make()
        for number in range(20):
            store.keep_cast(f"{number} " + "x" * 30_000)
        self.assertEqual([line.partition(" ")[0] for line in store.casts()], [str(n) for n in range(12, 20)])
        self.close(store)
        self.assertEqual(len(self.make().casts()), 8)

    def test_no_history(self) -> None:
        """Without history there are none, whatever an earlier run has kept."""
        store = self.make()
        store.keep_cast("1")
        self.close(store)
        store = self.make(keeps_history=False)
        store.keep_cast("2")
        self.assertEqual(store.casts(), [])


class OnceTests(StoreTestCase):
    def test_new(self) -> None:
        """A message is new once, in this run and in the next."""
        store = self.make()
        store.receive(arrival(1), self.told("1"))
        store.receive(arrival(1), self.told("1"))
        self.close(store)
        store = self.make()
        store.receive(arrival(1), self.told("1"))
        store.receive(arrival(2), self.told("2"))
        self.assertEqual(self.done, [("1", True), ("1", False), ("1", False), ("2", True)])
        self.assertEqual(self.texts(store), ["text 1", "text 2"])

    def test_of_another(self) -> None:
        """The same msg_id of another author is another message."""
        store = self.make()
        store.receive(arrival(1), self.told("bob"))
        store.receive(arrival(1, author="carol@UnB"), self.told("carol"))
        self.assertEqual(self.done, [("bob", True), ("carol", True)])

    def test_by_msg_id(self) -> None:
        """Who numbers messages well is known by the number, whatever the text."""
        store = self.make()
        store.receive(arrival(1, "a"), self.told(""))
        store.receive(arrival(1, "b"), self.told(""))
        self.assertEqual(self.done, [("", True), ("", False)])

    def test_by_text(self) -> None:
        """Who does not is known by the number and the text."""
        store = self.make()
        for text in "aab":
            store.receive(arrival(1, text, by_text=True), self.told(text))
        self.assertEqual(self.done, [("a", True), ("a", False), ("b", True)])

    def test_other_words_under_a_msg_id(self) -> None:
        """Whatever a relay brought under the msg_id of somebody, that one's own words are shown, once."""
        store = self.make()
        store.receive(arrival(1, "forged", by_text=True), self.told("forged"))
        for _ in range(2):
            store.receive(arrival(1, "said"), self.told("said"))
        store.receive(arrival(1, "said", by_text=True), self.told("copy"))
        self.assertEqual(self.done, [("forged", True), ("said", True), ("said", False), ("copy", False)])

    def test_parts_stay_apart(self) -> None:
        """Names and numbers that only together read the same are not the same."""
        store = self.make()
        for author, msg_id in (("a", "bc"), ("ab", "c")):
            store.receive(Arrival(msg_id, author, "*", "x", 1), self.told(author))
        self.assertEqual(self.done, [("a", True), ("ab", True)])

    def test_strange(self) -> None:
        """Half characters, zeros and anything else are kept harmlessly, and known again."""
        store = self.make()
        for text in ("\ud800", "a\0b", "'; DROP TABLE shown; --", "\U0001f427" * 1000, "\x1b[2J"):
            for _ in range(2):
                author = f"x{text}@UnB"
                store.receive(
                    Arrival(text[:100], author, f"@{author}", text, 1, via=author), self.told("strange")
                )
        self.assertEqual(self.done, [("strange", True), ("strange", False)] * 5)
        self.assertEqual([text[:3] for text in self.texts(store)][:3], ["\\ud", "a\0b", "'; "])
        self.assertEqual(len(self.entries(store, "@x\ud800@UnB")), 1)


class CommitTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = self.make()
        self.threads.is_slow = True

    def test_told_when_written(self) -> None:
        """Nobody is told anything before it is written."""
        self.store.keep(outgoing(1), self.then("kept"))
        self.store.receive(arrival(2), self.told("came"))
        self.store.after_all(self.then("all"))
        self.assertEqual(self.done, [])
        self.threads.work()
        self.assertEqual(self.done, ["kept"])
        self.threads.work()
        self.assertEqual(self.done, ["kept", ("came", True), "all"])

    def test_together(self) -> None:
        """All that comes while something is written is one commit after it, up to a limit."""
        self.patch(module, "MAX_BATCH", 50)
        for number in range(101):
            self.store.receive(arrival(number), self.told(""))
        for count in (1, 51, 101):
            self.threads.work()
            self.assertEqual(len(self.done), count)
        self.assertEqual(self.store.sizes()["store_commits"], 3)
        self.assertEqual(self.store.sizes()["store_written"], 101)

    def test_order_from_inside(self) -> None:
        """What is asked by somebody who was just told comes after what others were about to be told."""
        self.store.after_all(self.then("at once"))
        self.store.keep(outgoing(1), lambda: None)
        self.store.keep(outgoing(2), lambda: self.store.after_all(self.then("last")))
        self.store.keep(outgoing(3), self.then("3"))
        self.threads.is_slow = False
        self.threads.work()
        self.assertEqual(self.done, ["at once", "3", "last"])

    def test_fault_of_one(self) -> None:
        """An exception of somebody who is told is logged, and holds up nobody else."""

        def fail() -> None:
            raise ZeroDivisionError

        self.threads.is_slow = False
        self.store.keep(outgoing(1), fail)
        self.store.keep(outgoing(2), self.then("2"))
        self.assertEqual(self.done, ["2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_defect(self) -> None:
        """An exception of ours while something is written is logged, and all goes on."""
        self.threads.is_slow = False
        self.patch(writing, "said", mock.Mock(side_effect=ZeroDivisionError))
        self.store.said(Cast("m1", "alice@UnB", "*", "x", 1, 2))
        self.store.receive(arrival(1), self.told("1"))
        self.assertEqual(self.done, [("1", True)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_close(self) -> None:
        """What waits is written before the end, and then the threads end."""
        for number in range(3):
            self.store.keep(outgoing(number), self.then(str(number)))
        closed = self.store.close()
        self.assertNoResult(closed)
        for _ in range(3):
            self.threads.work()
        self.successResultOf(closed)
        self.assertEqual((self.done, self.threads.running), (["0", "1", "2"], 0))
        self.make()
        self.assertEqual(len(self.waiting), 3)

    def test_after_the_end(self) -> None:
        """What comes later is not kept, and nobody waits for it."""
        self.threads.is_slow = False
        self.close(self.store)
        self.store.receive(arrival(1), self.told("1"))
        self.assertEqual(self.done, [("1", True)])

    def test_too_much(self) -> None:
        """Beyond the bound nothing is kept, which is said once and counted, and all goes on."""
        self.patch(module, "MAX_WAITING", 3)
        for number in range(6):
            self.store.receive(arrival(number), self.told(str(number)))
        self.assertEqual(self.done, [("4", True), ("5", True)])
        self.assertEqual(self.store.sizes()["store_dropped"], 2)
        self.assertEqual(len(self.troubles), 1)
        self.assertIn("more is to be kept than", self.troubles[0])


class TogetherTests(StoreTestCase):
    """What is of one kind is written together, however it was mixed."""

    def test_mixed(self) -> None:
        """Everybody is told the result of what was his, in the order in which it was asked."""
        store = self.make()
        self.threads.is_slow = True
        store.after_all(self.then("idle"))
        for number in range(150):
            store.keep(outgoing(number), self.then(f"kept {number}"))
            store.receive(arrival(1000 + number // 2), self.told(f"came {number}"))
            store.settle(f"id{number - 1}", CONFIRMED)
        store.said(Cast("c1", "alice@UnB", "#UnB", "to all", 5, 2))
        self.threads.is_slow = False
        self.threads.work()
        expected: list[Any] = ["idle"]
        for number in range(150):
            expected += [f"kept {number}", (f"came {number}", number % 2 == 0)]
        self.assertEqual(self.done, expected)
        self.assertEqual(len(self.entries(store, n=1000)), 150 + 75 + 1)
        self.close(store)
        self.make()
        self.assertEqual(self.waiting, [outgoing(149)])

    def test_copies_in_one_commit(self) -> None:
        """Copies that come in one commit are copies like any other, by all rules."""
        store = self.make()
        self.threads.is_slow = True
        store.receive(arrival(9), self.told("first"))
        for text, by_text in (("a", True), ("a", True), ("b", False), ("a", True), ("b", True), ("c", False)):
            store.receive(arrival(1, text, by_text=by_text), self.told(text))
        self.threads.is_slow = False
        self.threads.work()
        self.assertEqual(
            self.done[1:], [("a", True), ("a", False), ("b", True), ("a", False), ("b", False), ("c", False)]
        )

    def test_read_in_between(self) -> None:
        """What the user has seen is what had come when he said so, in one commit too."""
        store = self.make()
        self.threads.is_slow = True
        store.receive(arrival(9), self.told(""))
        store.receive(arrival(1), self.told(""))
        store.read(None)
        store.receive(arrival(2), self.told(""))
        self.threads.is_slow = False
        self.threads.work()
        self.assertEqual(self.successResultOf(store.unread()), {"@bob@UnB": 1})


class PowerCutTests(StoreTestCase):
    def test_between_any_two_statements(self) -> None:
        """Whenever the power fails, all of a commit is there or nothing, and nobody is told what is not."""
        statements = 0
        while True:
            database = self.database = MemoryDatabase()
            self.done.clear()
            store = self.make()
            store.keep(outgoing(1), self.then("before"))
            self.threads.is_slow = True
            store.after_all(self.then("idle"))
            store.keep(outgoing(2), self.then("2"))
            store.receive(arrival(3), self.told("3"))
            store.settle("id1", CONFIRMED)
            self.threads.work()
            database.before_statement = mock.Mock(
                side_effect=[None] * statements + [PowerCut()] + [None] * 99
            )
            self.threads.work()
            is_cut = len(self.done) == 3
            self.assertEqual(self.done, ["before", "idle", "2"] + ([] if is_cut else [("3", True)]))
            store.receive(arrival(4), self.told("dead"))
            store.after_all(self.then("dead"))
            database.before_statement = lambda: None
            again = self.make()
            waiting = [each.msg_id for each in self.waiting]
            if not is_cut:
                self.assertEqual(waiting, ["id2"])
                self.assertEqual(self.texts(again), ["text 1", "text 2", "text 3"])
                break
            self.assertEqual((waiting, self.texts(again)), (["id1", "id2"], ["text 1", "text 2"]))
            again.receive(arrival(3), self.told("again"))
            self.assertEqual(self.done[-1], ("again", True))
            statements += 1
        self.assertGreater(statements, 6)


class TroubleTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.disk = self.database = BadDisk()
        self.store = self.make()
        self.store.keep(outgoing(1), self.then("1"))

    def test_full(self) -> None:
        """While the disk is full all goes on, which is said once; when there is room, all is written."""
        self.disk.problem = full()
        self.store.receive(arrival(2), self.told("2"))
        self.store.keep(outgoing(3), self.then("3"))
        self.store.settle("id1", CONFIRMED)
        self.store.tick()
        self.assertEqual(self.done, ["1", ("2", True), "3"])
        (told,) = self.troubles
        self.assertIn(
            "kept until you leave only, since memory cannot be written (database or disk is full", told
        )
        self.clock_s += RETRY_S
        self.store.tick()
        self.assertEqual((len(self.troubles), self.store.sizes()["store_waiting"]), (1, 3))
        self.disk.problem = None
        self.store.tick()
        self.assertEqual(len(self.troubles), 1)
        self.clock_s += RETRY_S
        self.store.tick()
        self.assertEqual(self.troubles[1:], ["messages are kept in memory again"])
        self.assertEqual(self.done, ["1", ("2", True), "3"])
        self.close(self.store)
        store = self.make()
        self.assertEqual(self.waiting, [outgoing(3)])
        self.assertEqual(self.texts(store), ["text 1", "text 2", "text 3"])

    def test_full_with_much_waiting(self) -> None:
        """What waits behind a commit that failed goes on with it, and is written in order later."""
        self.threads.is_slow = True
        for number in (2, 3, 4):
            self.store.receive(arrival(number), self.told(str(number)))
        self.disk.problem = full()
        self.threads.work()
        self.assertEqual(self.done, ["1", ("2", True), ("3", True), ("4", True)])
        self.disk.problem, self.threads.is_slow = None, False
        self.clock_s += RETRY_S
        self.store.tick()
        self.assertEqual(self.texts(self.store), ["text 1", "text 2", "text 3", "text 4"])

    def test_full_for_long(self) -> None:
        """What waits for room is bounded, and what is dropped is counted and said."""
        self.patch(module, "MAX_WAITING", 3)
        self.disk.problem = full()
        for number in range(2, 7):
            self.store.receive(arrival(number), self.told(""))
        self.assertEqual((len(self.done), self.store.sizes()["store_dropped"]), (6, 2))
        self.assertEqual(len(self.troubles), 2)

    def test_full_at_the_end(self) -> None:
        """A disk that is full keeps nobody from ending."""
        self.disk.problem = full()
        self.store.receive(arrival(2), self.told("2"))
        self.close(self.store)
        self.assertEqual(self.threads.running, 0)

    def test_full_at_the_start(self) -> None:
        """Nor from starting."""
        self.close(self.store)
        self.disk.problem = OSError(28, "No space left on device")
        store = self.make()
        self.assertEqual(self.waiting, [])
        self.assertIn("No space left on device", self.troubles[0])
        store.receive(arrival(2), self.told("2"))
        self.disk.problem = None
        self.clock_s += RETRY_S
        store.tick()
        self.assertEqual(self.texts(store), ["text 1", "text 2"])

    def test_damaged(self) -> None:
        """A file that is damaged is set aside; what waits to be sent is in the new one, and all goes on."""
        self.store.keep(outgoing(2), self.then("2"))
        self.store.settle("id1", CONFIRMED)
        self.disk.problem = damage()
        self.store.receive(arrival(3), self.told("3"))
        self.assertEqual(self.disk.asides, ["19700411T000000Z"])
        (told,) = self.troubles
        for word in (
            "memory, is damaged (database disk image is malformed)",
            "memory.damaged-19700411T000000Z",
        ):
            self.assertIn(word, told)
        self.assertEqual(self.done, ["1", "2", ("3", True)])
        self.close(self.store)
        store = self.make()
        self.assertEqual((self.waiting, self.texts(store)), ([outgoing(2)], ["text 3"]))

    def test_damaged_again_and_again(self) -> None:
        """A disk that spoils every file is not filled with those, and is tried again all the same."""

        def set_aside(when: str) -> str:
            self.disk.asides.append(when)
            return "somewhere"

        self.patch(self.disk, "set_aside", set_aside)
        self.patch(self.disk, "connect", super(BadDisk, self.disk).connect)
        self.disk.problem = damage()
        self.store.receive(arrival(3), self.told("3"))
        self.assertEqual(self.done, ["1", ("3", True)])
        self.assertIn("kept until you leave only", self.troubles[-1])
        for _ in range(20):
            self.clock_s += RETRY_S
            self.store.tick()
        self.assertEqual(len(self.disk.asides), MAX_RENEWALS)
        self.disk.problem = None
        self.clock_s += RETRY_S
        self.store.tick()
        self.assertIn("again", self.troubles[-1])

    def test_damaged_at_the_start(self) -> None:
        """The same where it is found at the start; what waited in it is lost, which is said."""
        self.close(self.store)
        self.disk.problem = damage()
        store = self.make()
        self.assertEqual((self.waiting, len(self.disk.asides)), ([], 1))
        self.assertIn("is damaged", self.troubles[0])
        store.receive(arrival(3), self.told("3"))
        self.assertEqual(self.texts(store), ["text 3"])

    def test_cannot_be_set_aside(self) -> None:
        """Where no new file can be made, all goes on in memory."""
        self.disk.problem = damage()
        self.patch(self.disk, "set_aside", mock.Mock(side_effect=OSError(30, "Read-only file system")))
        self.store.receive(arrival(3), self.told("3"))
        self.assertEqual(self.done, ["1", ("3", True)])
        self.assertIn("Read-only file system", self.troubles[0])

    def test_cannot_be_read(self) -> None:
        """Who asks for history hears why there is none."""
        self.disk.problem = full()
        problem = self.failureResultOf(self.store.latest(None, 1), Unreadable)
        self.assertIn("memory cannot be read (database or disk is full)", str(problem.value))

    def test_too_new(self) -> None:
        """A file of a later p2pchat is left alone: all goes on in memory, for good."""
        self.close(self.store)
        db = self.disk.connect()
        db.execute("PRAGMA user_version = 99")
        store = self.make()
        self.assertIn(f"it is of version 99, and this p2pchat knows {len(MIGRATIONS)}", self.troubles[0])
        store.receive(arrival(3), self.told("3"))
        store.keep(outgoing(4), self.then("4"))
        self.clock_s += RETRY_S
        store.tick()
        self.assertEqual(self.done, ["1", ("3", True), "4"])
        self.assertEqual(db.execute("SELECT count(*) FROM messages").fetchone(), (1,))


class ForgettingTests(StoreTestCase):
    def tick(self, store: SqliteStore) -> None:
        """Let it be time to look for what is too old."""
        self.clock_s += FORGET_S
        store.tick()

    def test_history(self) -> None:
        """What was said is kept for so many days, what has no outcome for longer."""
        store = self.make(keep_days=30)
        store.keep(Outgoing("open", "bob@UnB", "open", self.now_ms - 40 * DAY_MS), self.then(""))
        store.receive(arrival(1, at_ms=self.now_ms - 31 * DAY_MS), self.told(""))
        store.receive(arrival(2, at_ms=self.now_ms - 29 * DAY_MS), self.told(""))
        store.tick()
        self.assertEqual(self.texts(store), ["open", "text 1", "text 2"])
        self.tick(store)
        self.assertEqual(self.texts(store), ["open", "text 2"])
        self.assertEqual(self.successResultOf(store.search("text", 9)), self.entries(store, n=1))

    def test_much(self) -> None:
        """Where much is too old, it goes in chunks, one soon after the other."""
        self.patch(writing, "CHUNK", 10)
        store = self.make(keep_days=30)
        for number in range(25):
            store.receive(arrival(number, at_ms=0), self.told(""))
        for left in (15, 5, 0):
            self.clock_s += FORGET_S if left == 15 else 0.0
            store.tick()
            self.assertEqual(len(self.entries(store)), left)

    def test_too_many(self) -> None:
        """There is a bound to all of it, however young it is."""
        self.patch(writing.forget_history, "__defaults__", (3,))
        self.patch(writing.forget_shown, "__defaults__", (3,))
        store = self.make()
        for number in range(5):
            store.receive(arrival(number, at_ms=self.now_ms), self.told(""))
        self.tick(store)
        self.assertEqual(self.texts(store), ["text 2", "text 3", "text 4"])
        self.assertEqual(store.sizes()["store_forgotten_early"], 2)
        store.receive(arrival(1), self.told("forgotten"))
        store.receive(arrival(2), self.told("known"))
        self.assertEqual(self.done[-2:], [("forgotten", True), ("known", False)])

    def test_shown(self) -> None:
        """What was shown is remembered for longer than anybody sends it again."""
        store = self.make()
        store.receive(arrival(1, at_ms=self.now_ms - 15 * DAY_MS), self.told(""))
        store.receive(arrival(2, at_ms=self.now_ms - 13 * DAY_MS), self.told(""))
        self.tick(store)
        store.receive(arrival(1), self.told("old"))
        store.receive(arrival(2), self.told("young"))
        self.assertEqual(self.done[-2:], [("old", True), ("young", False)])
        self.assertEqual(store.sizes()["store_forgotten_early"], 0)


class HistoryTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = self.make()

    def test_order(self) -> None:
        """The last come, the oldest of them first; of one conversation or of all."""
        for number in range(1, 5):
            self.store.receive(arrival(number), self.told(""))
        self.store.said(Cast("c1", "alice@UnB", "#UnB", "all", 5, 2))
        self.store.keep(outgoing(9), self.then(""))
        self.assertEqual(self.texts(self.store, n=3), ["text 4", "all", "text 9"])
        self.assertEqual(self.texts(self.store, "@bob@UnB", 2), ["text 4", "text 9"])
        self.assertEqual(self.texts(self.store, "@nobody@UnB"), [])
        (cast,) = self.entries(self.store, "#UnB")
        self.assertEqual((cast.state, cast.neighbours, cast.author), (State.SENT, 2, "alice@UnB"))

    def test_fields(self) -> None:
        """What came has what is known of it."""
        self.store.receive(
            arrival(1, via="carol@UnB", hops=2, protection="sealed", is_verified=True), self.told("")
        )
        (entry,) = self.entries(self.store)
        self.assertEqual((entry.author, entry.via, entry.hops), ("bob@UnB", "carol@UnB", 2))
        self.assertEqual((entry.state, entry.is_ours, entry.is_verified), (State.HEARD, False, True))

    def test_page(self) -> None:
        """All can be read in parts."""
        for number in range(5):
            self.store.receive(arrival(number), self.told(""))
        first = self.successResultOf(self.store.page(0, 3))
        second = self.successResultOf(self.store.page(first[-1].number, 3))
        self.assertEqual([entry.text for entry in first + second], [f"text {number}" for number in range(5)])

    def test_what_was_just_said(self) -> None:
        """Who asks sees all that was asked to be kept before."""
        self.threads.is_slow = True
        self.store.receive(arrival(1), self.told(""))
        answer = self.store.latest(None, 9)
        self.assertNoResult(answer)
        self.threads.work()
        self.threads.work()
        self.assertEqual(len(self.successResultOf(answer)), 1)

    def test_unread(self) -> None:
        """What others said is unread until somebody has seen it; what we said never is."""
        for number in range(1, 4):
            self.store.receive(arrival(number), self.told(""))
        self.store.receive(arrival(4, conversation="#UnB"), self.told(""))
        self.store.keep(outgoing(5), self.then(""))
        self.assertEqual(self.successResultOf(self.store.unread()), {"@bob@UnB": 3, "#UnB": 1})
        self.close(self.store)
        store = self.make()
        self.assertEqual(self.successResultOf(store.unread()), {"@bob@UnB": 3, "#UnB": 1})
        store.read(None)
        self.assertEqual(self.successResultOf(store.unread()), {})
        store.receive(arrival(6), self.told(""))
        self.close(store)
        self.assertEqual(self.successResultOf(self.make().unread()), {"@bob@UnB": 1})

    def test_no_history(self) -> None:
        """Without history only what delivery needs is kept; what was kept before can be read still."""
        self.store.receive(arrival(1), self.told("1"))
        self.close(self.store)
        store = self.make(keeps_history=False)
        store.receive(arrival(1), self.told("1"))
        store.receive(arrival(2), self.told("2"))
        store.keep(outgoing(3), self.then("3"))
        store.said(Cast("c1", "alice@UnB", "#UnB", "all", 5, 2))
        self.assertEqual(self.texts(store), ["text 1"])
        self.close(store)
        store = self.make(keeps_history=False)
        store.receive(arrival(2), self.told("2"))
        self.assertEqual(self.waiting, [outgoing(3)])
        self.assertEqual(self.done, [("1", True), ("1", False), ("2", True), "3", ("2", False)])
