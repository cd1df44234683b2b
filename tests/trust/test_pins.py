"""What is remembered of other peers, in memory and in the file."""

from __future__ import annotations

import sqlite3
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.trust import pins as pins_module
from p2pchat.trust.pins import Pin, Pins, PinsFull
from p2pchat.trust.secretfile import KeysUnusable
from tests.keys import identity_of

ALICE, BOB, CAROL = (PeerId(f"{name}@UnB") for name in ("alice", "bob", "carol"))
STRANGE = PeerId("o'; DROP TABLE pins; --\n\u202e名@Física")


def pin_of(peer_id: PeerId, is_friend: bool = False) -> Pin:
    """Return what is known of a peer with a card."""
    identity = identity_of(peer_id)
    return Pin(identity.key, identity.card, True, is_verified=is_friend, is_friend=is_friend, first_seen_ms=7)


class PinsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "peers.sqlite"
        self.opened: list[Pins] = []
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for pins in self.opened:
            pins.close()

    def open(self) -> Pins:
        self.opened.append(Pins(self.path))
        return self.opened[-1]


class FileTests(PinsTestCase):
    def test_kept(self) -> None:
        """What was learned is there at the next start, whatever names peers have."""
        pins = self.open()
        for peer_id in (BOB, STRANGE):
            pins.put(peer_id, pin_of(peer_id, is_friend=peer_id == BOB))
        pins.put(CAROL, Pin(b"k" * 32, first_seen_ms=3))
        pins.put(ALICE, pin_of(ALICE))
        pins.remove(ALICE)
        pins.block(CAROL)
        pins.block(ALICE)
        pins.unblock(ALICE)
        pins.note_latest({BOB: 100, ALICE: 50})
        pins.close()
        again = self.open()
        self.assertEqual(again.get(BOB), pin_of(BOB, is_friend=True))
        self.assertEqual(again.get(STRANGE), pin_of(STRANGE))
        self.assertEqual(again.get(CAROL), Pin(b"k" * 32, first_seen_ms=3))
        self.assertEqual((again.get(ALICE), len(again), again.blocked), (None, 3, {CAROL}))
        self.assertEqual(again.latest(), {BOB: 100, ALICE: 50})

    def test_removed_later(self) -> None:
        """What is forgotten at a later start is gone from the file, with its times."""
        pins = self.open()
        pins.put(BOB, pin_of(BOB))
        pins.note_latest({BOB: 100})
        pins.close()
        later = self.open()
        later.remove(BOB)
        later.close()
        again = self.open()
        self.assertEqual((len(again), again.latest()), (0, {}))

    def test_private(self) -> None:
        """The file is for our eyes only: it says whom we know."""
        self.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_closed_until_written(self) -> None:
        """Nothing holds the file open before the first write: a daemon is forked in between."""
        pins = self.open()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        other.execute("ROLLBACK")
        pins.put(BOB, pin_of(BOB))
        pins.flush()
        self.assertEqual(other.execute("SELECT count(*) FROM pins").fetchone(), (1,))

    def test_nothing_to_write(self) -> None:
        """Without anything new nothing is written, nor without a file."""
        pins = self.open()
        pins.note_latest({BOB: 5})
        pins.flush()
        written = self.path.with_name("peers.sqlite-wal").stat().st_size
        pins.note_latest({BOB: 5})
        pins.flush()
        self.assertEqual(self.path.with_name("peers.sqlite-wal").stat().st_size, written)
        memory = Pins()
        memory.put(BOB, pin_of(BOB))
        memory.flush()
        memory.close()
        self.assertEqual((memory.get(BOB), memory.trouble), (pin_of(BOB), ""))

    def refused(self) -> str:
        return str(self.assertRaises(KeysUnusable, self.open))

    def test_damaged(self) -> None:
        """A file that is none, of a later version, or holds nonsense is refused, with what to do."""
        self.path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
        self.assertIn("If it is damaged, put back a copy", self.refused())
        self.path.unlink()
        self.open().close()
        with sqlite3.connect(self.path) as db:
            db.execute("INSERT INTO pins VALUES ('bob@UnB', x'00', '{}', 1, 0, 0, 1)")
        db.close()
        self.assertIn("cannot be used (a card of version 1 was expected)", self.refused())
        with sqlite3.connect(self.path) as db:
            db.execute("PRAGMA user_version = 9")
        db.close()
        self.assertIn("it is of version 9", self.refused())
        self.path.unlink()
        self.path.mkdir()
        self.assertIn("Is a directory", self.refused())

    def test_cannot_be_written(self) -> None:
        """Where it cannot be written, memory goes on, says why, and writes all once it can."""
        pins = self.open()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        pins.put(BOB, pin_of(BOB))
        pins.flush()
        self.assertIn("cannot be written (database is locked)", pins.trouble)
        self.assertEqual(pins.get(BOB), pin_of(BOB))
        other.execute("ROLLBACK")
        pins.flush()
        self.assertEqual(pins.trouble, "")
        pins.close()
        self.assertEqual(self.open().get(BOB), pin_of(BOB))


class FullTests(PinsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(pins_module, "MAX_PINS", 3)
        self.patch(pins_module, "MAX_BLOCKED", 2)

    def test_strangers_are_forgotten(self) -> None:
        """Where there is no more room the oldest is forgotten of those that our user never wrote to."""
        pins = self.open()
        for peer_id in (ALICE, BOB, CAROL):
            pins.put(peer_id, pin_of(peer_id, is_friend=peer_id == ALICE))
        pins.put(BOB, pin_of(BOB))  # something new of one that is there makes it no younger
        pins.put(STRANGE, pin_of(STRANGE))
        self.assertEqual((pins.get(BOB), len(pins), pins.evicted), (None, 3, 1))
        self.assertIsNotNone(pins.get(ALICE))
        pins.close()
        again = self.open()
        again.put(BOB, pin_of(BOB))
        self.assertIsNotNone(again.get(ALICE))
        self.assertEqual(len(again), 3)

    def test_friends_are_not(self) -> None:
        """Friends are never forgotten: then nobody new has room."""
        pins = Pins()
        for peer_id in (ALICE, BOB, CAROL):
            pins.put(peer_id, pin_of(peer_id))
            pins.put(peer_id, pin_of(peer_id, is_friend=True))
        self.assertRaises(PinsFull, pins.put, STRANGE, pin_of(STRANGE))
        pins.put(ALICE, pin_of(ALICE, is_friend=True))
        self.assertEqual(len(pins), 3)

    def test_blocked(self) -> None:
        """So many may be blocked and no more."""
        pins = Pins()
        pins.block(ALICE)
        pins.block(BOB)
        self.assertRaises(PinsFull, pins.block, CAROL)
        pins.unblock(ALICE)
        pins.block(CAROL)
        self.assertEqual(pins.blocked, {BOB, CAROL})
