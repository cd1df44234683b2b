"""What happened lately, and cursors in it."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.control import journal as journal_module
from p2pchat.control.journal import KINDS, START, Journal, NoSuchCursor
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection
from tests.keys import NOON_MS

BOB = PeerId("bob@UnB")


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = Journal("run", lambda: NOON_MS)

    def add(self, count: int, text: str = "x") -> None:
        for _ in range(count):
            self.journal.add(events.Warned(BOB, text))

    def test_line(self) -> None:
        """An event is one notification in one line, with all its fields in values of JSON."""
        self.journal.add(
            events.MessageArrived("a@b", "c", "hé\n", True, BOB, False, 2, "#c", Protection.SEALED)
        )
        entry = self.journal[1]
        self.assertEqual((entry.kind, entry.line.count(b"\n")), ("message_arrived", 1))
        self.assertEqual(json.loads(entry.line), {
            "jsonrpc": "2.0",
            "method": "event",
            "params": {
                "cursor": "run-1",
                "time_ms": NOON_MS,
                "kind": "message_arrived",
                "data": {
                    "src": "a@b", "dst": "c", "payload": "hé\n", "is_cast": True, "via": "bob@UnB",
                    "plain": False, "hops": 2, "conversation": "#c", "protection": "sealed",
                    "is_verified": False, "late_s": None,
                },
            },
        })  # fmt: skip

    def test_text(self) -> None:
        """Who wants them gets the words of the console; messages and what users need not know have none."""
        for event, text in (
            (events.Warned(BOB, "it is\nlong"), "warning about bob@UnB: it is␊long"),
            (events.MessageTaken("m1", BOB, "hi"), None),
        ):
            self.journal.add(event)
            entry = self.journal[self.journal.next - 1]
            told = json.loads(entry.with_text())
            self.assertEqual(told["params"].pop("text"), text)
            self.assertEqual(told, json.loads(entry.line))

    def test_seen(self) -> None:
        """What was seen at any surface stays seen; what nobody was given is refused."""
        self.add(3)
        for cursor, seen in (("run-2", 2), ("run-1", 2), ("run-3", 3)):
            self.journal.saw(cursor)
            self.assertEqual(self.journal.seen, seen)
        for cursor in ("run-4", "other-1", START, "run-", "run-x", ""):
            self.assertIn("expected a cursor", str(self.assertRaises(NoSuchCursor, self.journal.saw, cursor)))
        self.assertEqual(self.journal.seen, 3)

    def test_all_kinds(self) -> None:
        """Each event can be written: addresses, lists and bytes among them."""
        address = Address("::1", 7070)
        for event, kind, field, value in (
            (events.NeighbourUp(BOB, address, True, False), "neighbour_up", "address", "[::1]:7070"),
            (events.RosterChanged((BOB,), (), ()), "roster_changed", "came", ["bob@UnB"]),
            (events.LineTraced(BOB, b"\xff{}"), "line_traced", "line", "/3t9"),
            (events.Warned(BOB, "half \ud800"), "warned", "text", "half \ud800"),
        ):
            self.journal.add(event)
            params = json.loads(self.journal[self.journal.next - 1].line)["params"]
            self.assertEqual((params["kind"], params["data"][field]), (kind, value))
        self.assertEqual(len(KINDS), len(get_args(events.Event)))

    def test_resume(self) -> None:
        """Who comes back goes on behind what it saw; a new one at the start or at the end."""
        self.add(3)
        for cursor, expected in (
            ("run-3", (4, 0)), ("run-2", (3, 0)), ("run-0", (1, 0)), (START, (1, 0)), ("other-2", (1, None)),
        ):  # fmt: skip
            self.assertEqual(self.journal.resume(cursor), expected)

    def test_no_cursor(self) -> None:
        """What is no cursor, or one that no event had yet, is refused in words."""
        for cursor in ("", "x", "-1", "run-", "run-x", "run-1²", "run-" + "9" * 17, "3"):
            self.assertIn(
                "expected a cursor", str(self.assertRaises(NoSuchCursor, self.journal.resume, cursor))
            )
        self.assertIn("yet", str(self.assertRaises(NoSuchCursor, self.journal.resume, "run-1")))

    def test_many(self) -> None:
        """So many are kept; who comes later hears how many it missed."""
        self.patch(journal_module, "MAX_EVENTS", 5)
        self.add(12)
        self.assertEqual((self.journal.first, self.journal.next), (8, 13))
        self.assertEqual(self.journal.resume("run-3"), (8, 4))
        self.assertEqual(self.journal.resume(START), (8, 7))
        self.assertEqual(self.journal.sizes()["control_events"], 5)

    def test_large(self) -> None:
        """So many bytes are kept, and what is counted is what is there."""
        self.patch(journal_module, "MAX_BYTES", 2000)
        self.add(50, "y" * 300)
        kept = sum(len(self.journal[number].line) for number in range(self.journal.first, self.journal.next))
        self.assertLessEqual(kept, 2000)
        self.assertGreater(kept, 1000)
        self.assertEqual(self.journal.sizes()["control_event_bytes"], kept)
        self.add(1, "y" * 3000)
        self.assertEqual({*self.journal.sizes().values()}, {0})
        self.assertEqual(self.journal.resume("run-50"), (52, 1))

    @given(st.lists(st.integers(1, 6)), st.integers(0, 30))
    def test_nothing_twice_nothing_lost(self, bursts: list[int], seen: int) -> None:
        """Whatever came: what is missed and what is got are together all behind the cursor."""
        self.patch(journal_module, "MAX_EVENTS", 7)
        journal = Journal("run", lambda: 0)
        for burst in bursts:
            for _ in range(burst):
                journal.add(events.Warned(BOB, ""))
        if seen < journal.next:
            begin, missed = journal.resume(f"run-{seen}")
            assert missed is not None
            self.assertEqual(seen + missed + (journal.next - begin), journal.next - 1)
            self.assertTrue(journal.first <= begin <= journal.next)
