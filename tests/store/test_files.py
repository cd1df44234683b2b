"""The file with the messages: who may read it, its versions, damage of every kind."""

from __future__ import annotations

import sqlite3
import tempfile
from hashlib import sha256
from pathlib import Path
from random import Random

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2pchat.store.database import FileDatabase
from p2pchat.store.entries import Carried, Entry
from p2pchat.store.schema import MIGRATIONS, TooNew, prepare
from p2pchat.store.sqlite import SqliteStore
from p2pchat.store.threads import ReactorThreads
from tests.store.test_sqlite import StoreTestCase, arrival, outgoing

#: What each released version is, without its blanks. Whoever changes the tables adds one.
RELEASED = [
    "502411cb0d7bfeab8532ec92fd8e51b8c0eac68d3db9e9111ded1f8aa3b92f1c",
    "a0aaec23ce00de96568b6119ddce7371ba16a01df7333581c5708fb150cebeef",
]


class FileTestCase(StoreTestCase):
    """A store in a file."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "messages.sqlite"
        self.database = FileDatabase(self.path)

    def filled(self) -> None:
        """Let there be a file with something in it, and nobody who uses it."""
        store = self.make()
        for number in range(300):
            store.receive(arrival(number, "some words " * 20), self.told(""))
        store.keep(outgoing(1), self.then(""))
        self.close(store)
        self.done.clear()

    @property
    def asides(self) -> list[Path]:
        """What was set aside."""
        return sorted(self.folder.glob("messages.sqlite.damaged-*"))


class PlaceTests(FileTestCase):
    def test_for_our_eyes(self) -> None:
        """Nobody else may read the file, nor what SQLite keeps beside it."""
        store = self.make()
        store.receive(arrival(1), self.told(""))
        modes = {file.name: file.stat().st_mode & 0o777 for file in self.folder.iterdir()}
        self.assertEqual(set(modes.values()), {0o600})
        self.assertIn("messages.sqlite-wal", modes)
        self.close(store)
        self.assertEqual([file.name for file in self.folder.iterdir()], ["messages.sqlite"])

    def test_safe_after_a_power_cut(self) -> None:
        """Each commit is on the disk when it is told, and not only in memory of the system."""
        db = self.database.connect()
        self.addCleanup(db.close)
        self.assertEqual(db.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        self.assertEqual(db.execute("PRAGMA synchronous").fetchone(), (2,))

    def test_no_folder(self) -> None:
        """Where the file cannot be made all goes on in memory, and the user hears why."""
        self.database = FileDatabase(self.folder / "missing" / "messages.sqlite")
        store = self.make()
        store.receive(arrival(1), self.told("1"))
        self.assertEqual((self.done, self.waiting), ([("1", True)], []))
        self.assertIn("No such file or directory", self.troubles[0])
        self.close(store)

    def test_used_by_another(self) -> None:
        """While another program has the file for itself all goes on in memory."""
        self.filled()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        store = self.make()
        other.execute("BEGIN IMMEDIATE")
        store.receive(arrival(999), self.told("999"))
        self.assertEqual(self.done, [("999", True)])
        self.assertIn("database is locked", self.troubles[0])
        other.execute("ROLLBACK")
        self.clock_s += 5.0
        store.tick()
        self.assertIn("again", self.troubles[1])
        self.close(store)


class DamageTests(FileTestCase):
    def test_no_database(self) -> None:
        """A file that holds something else is set aside as it is, and a new one is begun."""
        for left in (b"not a database at all, but something of the user's " * 100, b"\0" * 8192):
            self.path.write_bytes(left)
            self.troubles.clear()
            store = self.make()
            store.receive(arrival(1), self.told("1"))
            self.close(store)
            self.assertEqual(self.asides[-1].read_bytes(), left)
            self.assertIn(str(self.asides[-1]), self.troubles[0])
            self.assertEqual(len(self.troubles), 1)
            self.path.unlink()
        self.assertEqual(self.done, [("1", True)] * 2)
        self.assertEqual(len(self.asides), 2)

    def test_cut_short(self) -> None:
        """Wherever the file ends too early, it works or is set aside, and nothing else."""
        self.filled()
        whole = self.path.read_bytes()
        for size in range(0, len(whole), len(whole) // 23):
            self.path.write_bytes(whole[:size])
            self.use(size)

    def test_overwritten(self) -> None:
        """The same wherever something else stands in it."""
        self.filled()
        whole = self.path.read_bytes()
        random = Random(7)
        for _ in range(40):
            at = random.randrange(100, len(whole) - 512)
            self.path.write_bytes(whole[:at] + random.randbytes(512) + whole[at + 512 :])
            self.use(at)

    def use(self, where: int) -> None:
        """Use the file; whatever is wrong with it, what comes is kept."""
        self.troubles.clear()
        self.done.clear()
        store = self.make()
        for number in range(1000, 1040):
            store.receive(arrival(number), self.told(str(number)))
        store.keep(outgoing(1000), self.then("kept"))
        self.assertEqual(len(self.done), 41, where)
        self.assertEqual({is_new for _, is_new in self.done[:-1]}, {True}, where)
        self.close(store)
        again = self.make()
        self.assertIn("id1000", [each.msg_id for each in self.waiting], where)
        for trouble in self.troubles:
            self.assertTrue("damaged" in trouble or "again" in trouble, trouble)
        self.close(again)
        for file in self.folder.iterdir():
            file.unlink()


class OldFileTests(FileTestCase):
    def test_kept(self) -> None:
        """What a file of each earlier version holds is there, and what is new can be written to it."""
        for version in range(1, len(MIGRATIONS)):
            db = self.database.connect()
            prepare(db, MIGRATIONS[:version])
            db.execute(
                "INSERT INTO outbox (msg_id, dst, text, at_ms) VALUES ('id1', 'bob@UnB', 'text 1', 1001)"
            )
            db.close()
            store = self.make()
            self.assertEqual((self.waiting, self.troubles), ([outgoing(1)], []))
            carried = Carried("id2", "bob@UnB", "carol@UnB", "box", "lock", 5000)
            store.carry("id2", carried, self.then("carried"))
            store.keep_cast("line")
            self.close(store)
            store = self.make()
            self.assertEqual((store.carried(), store.casts()), ([carried], ["line"]))
            self.close(store)
            self.path.unlink()


class VersionTests(SynchronousTestCase):
    def test_released(self) -> None:
        """Versions that were released stay as they are, since files of them are out there."""
        words = [" ".join(script.split()).encode() for script in MIGRATIONS]
        self.assertEqual([sha256(script).hexdigest() for script in words[: len(RELEASED)]], RELEASED)

    def test_from_every_version(self) -> None:
        """A file of any earlier version becomes one of the present, with all that is in it."""
        steps = ("CREATE TABLE a (x)", "ALTER TABLE a ADD y DEFAULT 2", "CREATE TABLE b AS SELECT y FROM a")
        for first in range(len(steps) + 1):
            db = sqlite3.connect(":memory:", isolation_level=None)
            prepare(db, steps[:first])
            if first:
                db.execute("INSERT INTO a (x) VALUES (1)")
            prepare(db, steps)
            prepare(db, steps)
            self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (3,))
            self.assertEqual(db.execute("SELECT x, y FROM a").fetchall(), [(1, 2)] if first else [])

    def test_stopped_in_between(self) -> None:
        """A step that fails leaves the version before, whole."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        steps = ("CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (y)")
        self.assertRaises(sqlite3.OperationalError, prepare, db, steps)
        self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (1,))
        self.assertEqual(db.execute("SELECT name FROM sqlite_master").fetchall(), [("a",)])

    def test_later(self) -> None:
        """One of a later version is left alone."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.execute("PRAGMA user_version = 7")
        self.assertRaises(TooNew, prepare, db)

    def test_tables_fit(self) -> None:
        """History has a column for each field of an entry."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        prepare(db)
        columns = {name for _, name, *_ in db.execute("PRAGMA table_info(messages)")}
        self.assertEqual(columns - set(Entry.__struct_fields__), {"is_unread"})
        self.assertEqual(set(Entry.__struct_fields__) - columns, set())


class ThreadTests(TestCase):
    """With real threads and the real reactor: what no other test can show."""

    def test_all(self) -> Deferred[None]:
        """What comes is written in another thread, told in this one, in order, and read again."""
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        database = FileDatabase(Path(folder.name) / "messages.sqlite")
        store = SqliteStore(database, ReactorThreads(reactor), now_ms=lambda: 1, clock_s=lambda: 0.0)
        troubles: list[str] = []
        store.open("alice@UnB", troubles.append)
        came: list[Deferred[bool]] = []
        order: list[int] = []

        def note(is_new: bool, number: int) -> bool:
            order.append(number)
            return is_new

        for number in range(500):
            done: Deferred[bool] = Deferred()
            came.append(done.addCallback(note, number))
            store.receive(arrival(number), done.callback)
        self.assertEqual(order, [])

        def look(results: list[bool]) -> Deferred[list[Entry]]:
            self.assertEqual((order, set(results)), (list(range(500)), {True}))
            return store.search("text", 1000)

        def close(found: list[Entry]) -> Deferred[None]:
            self.assertEqual((len(found), troubles), (500, []))
            return store.close()

        return gatherResults(came).addCallback(look).addCallback(close)
