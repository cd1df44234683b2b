"""``p2pchat export``: all that was kept, as text and as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unittest import mock

from p2pchat import export_command
from p2pchat.command import main
from p2pchat.control_command import FAILED
from p2pchat.store.database import MESSAGES_FILE, FileDatabase
from p2pchat.store.entries import Cast
from p2pchat.store.sqlite import SqliteStore
from tests.programs import ProgramTestCase
from tests.store.disks import NoThreads
from tests.store.test_sqlite import arrival, outgoing


class ExportTests(ProgramTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.place = self.data / "p2pchat" / "UnB" / "alice"
        self.patch(export_command, "_local_time", lambda ms: f"at {ms}")

    def fill(self, place: Path) -> SqliteStore:
        """Let alice have kept something in a folder; she still runs."""
        place.mkdir(parents=True)
        database = FileDatabase(place / MESSAGES_FILE)
        store = SqliteStore(database, NoThreads(), now_ms=lambda: 1, clock_s=lambda: 0.0)
        store.open("alice@UnB", self.fail)
        store.keep(outgoing(1, "olá \x1b[2J"), lambda: None)
        store.receive(arrival(2, "tudo\nbem?", via="carol@UnB", protection="sealed"), mock.Mock())
        store.said(Cast("c1", "alice@UnB", "#UnB", "to all", 3, 2))
        self.addCleanup(lambda: self.successResultOf(store.close()))
        return store

    def export(self, *words: str) -> tuple[int, list[str], str]:
        """Run it; return its exit status, the lines that it printed, and what it complained about."""
        out, err = io.StringIO(), io.StringIO()
        status = main(["export", *words], out, err)
        return status, out.getvalue().splitlines(), err.getvalue()

    def test_text(self) -> None:
        """As text each message is a line, harmless to look at."""
        self.fill(self.place)
        status, lines, err = self.export("alice@UnB")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            lines,
            [
                "[at 1001] alice@UnB to @bob@UnB: olá ␛[2J  (not confirmed yet)",
                "[at 2002] bob@UnB (via carol@UnB) to you: tudo␊bem?",
                "[at 3] alice@UnB to #UnB: to all  (sent to 2 neighbours)",
            ],
        )

    def test_json(self) -> None:
        """As JSON each is an object with all that is known of it."""
        self.fill(self.place)
        _, lines, _ = self.export("alice", "--namespace", "UnB", "--json")
        ours, theirs, cast = map(json.loads, lines)
        self.assertEqual((ours["text"], ours["state"], ours["at_ms"]), ("olá \x1b[2J", "open", 1001))
        self.assertEqual((theirs["text"], theirs["protection"]), ("tudo\nbem?", "sealed"))
        self.assertEqual((cast["conversation"], cast["neighbours"]), ("#UnB", 2))

    def test_much(self) -> None:
        """However much there is, it is read in parts, each message once."""
        self.patch(export_command, "PAGE", 7)
        store = self.fill(self.folder / "data")
        for number in range(10, 60):
            store.receive(arrival(number), mock.Mock())
        _, lines, _ = self.export("alice@UnB", "--data-dir", str(self.folder / "data"), "--json")
        self.assertEqual([json.loads(line)["number"] for line in lines], list(range(1, 54)))

    def test_nothing(self) -> None:
        """Of a peer that has kept nothing it says so, and makes nothing."""
        status, lines, err = self.export("bob@UnB")
        self.assertEqual((status, lines), (FAILED, []))
        self.assertRegex(err, r"^p2pchat: bob@UnB has kept nothing here: there is no .*/bob/messages.sqlite$")
        self.assertFalse((self.data / "p2pchat").exists())

    def test_no_database(self) -> None:
        """What is none is told as well."""
        self.place.mkdir(parents=True)
        (self.place / MESSAGES_FILE).write_bytes(b"no database" * 100)
        status, _, err = self.export("alice@UnB")
        self.assertEqual((status, "file is not a database" in err), (FAILED, True))
