"""The log: one file, bounded, at a level that can be changed while it runs."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface.verify import verifyObject

from p2pchat import logfile
from p2pchat.console.commands import LOG_LEVELS
from tests.programs import ProgramTestCase

#: What twistd has unless it is told otherwise.
UNTOLD: dict[str, Any] = {"logfile": None, "syslog": 0, "logger": None}


class LogTestCase(ProgramTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.files: list[Any] = []
        opened = LogFile

        def open_and_remember(*arguments: Any, **named: Any) -> Any:
            self.files.append(opened(*arguments, **named))
            return self.files[-1]

        self.patch(logfile, "LogFile", open_and_remember)
        self.addCleanup(lambda: [file.close() for file in self.files])

    def install(self, **told: Any) -> dict[str, Any]:
        """Tell twistd where to log; return its options afterwards."""
        twistd = UNTOLD | told
        logfile.install(twistd, self.folder)
        return twistd

    def log(self) -> Logger:
        """Open the log, as twistd does; return what writes into it."""
        return Logger(observer=LogPublisher(logfile.open_log()), namespace="test")

    def lines(self, name: str = "p2pchat.log") -> list[str]:
        """What the log holds."""
        return (self.folder / name).read_text().splitlines()


class PlaceTests(LogTestCase):
    def test_default(self) -> None:
        """Unless told otherwise the log is a file in the folder of the peer, written by our observer."""
        twistd = self.install()
        self.assertEqual(twistd["logfile"], str(self.folder / "p2pchat.log"))
        self.assertEqual(twistd["logger"], "p2pchat.logfile.open_log")
        self.log().info("hello")
        self.assertRegex(self.lines()[0], r"^\S+ \[test#info\] hello$")

    def test_given_file(self) -> None:
        """A file that was given is used instead, as bounded as the other."""
        twistd = self.install(logfile=str(self.folder / "given.log"))
        self.assertEqual(twistd["logfile"], str(self.folder / "given.log"))
        self.log().info("hello")
        self.assertEqual(len(self.lines("given.log")), 1)

    def test_left_alone(self) -> None:
        """Who asked for stdout, syslog or an observer of his own gets that, and we stay out of it."""
        for told in ({"logfile": "-"}, {"syslog": 1}, {"logger": "some.observer"}):
            self.assertEqual(self.install(**told), UNTOLD | told)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_real_options(self) -> None:
        """twistd itself finds our observer, and leaves the others alone."""
        twistd = self.begin("-n", "p2pchat", "--name", "alice")
        self.assertIs(twistd["logger"], logfile.open_log)
        self.end_programs()
        for given in (["--logfile", "-"], ["--syslog"]):
            self.assertIsNone(self.begin("-n", *given, "p2pchat", "--name", "alice")["logger"])
            self.end_programs()

    def test_no_such_folder(self) -> None:
        """A log that cannot be there is refused at the start, with what would be right."""
        (self.folder / "file").touch()
        for place in ("missing", "file"):
            given = self.folder / place / "given.log"
            problem = self.assertRaises(usage.UsageError, self.install, logfile=str(given))
            self.assertEqual(
                str(problem), f"--logfile: {given} cannot be written: there is no folder {given.parent}"
            )
        problem = self.assertRaises(usage.UsageError, self.install, logfile=str(self.folder))
        self.assertEqual(str(problem), f"--logfile: {self.folder} cannot be written: it is a folder")

    def test_strange_text(self) -> None:
        """What cannot be written as UTF-8 does not end the log."""
        self.install()
        log = self.log()
        log.info("{text!a}", text="\ud800\n")
        log.info("é")
        self.assertEqual([line.partition("] ")[2] for line in self.lines()], ["'\\ud800\\n'", "é"])


class JsonTests(LogTestCase):
    def setUp(self) -> None:
        super().setUp()
        logfile.install(UNTOLD.copy(), self.folder, "json")

    def test_line(self) -> None:
        """Each event is one JSON object in one line, whatever is in it."""
        log = self.log()
        log.info("hello {name!a}\n{name}", name="é\ud800")
        log.warn("{missing}")
        first, second = map(json.loads, self.lines())
        self.assertRegex(first.pop("time"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
        self.assertEqual(first, {"level": "info", "from": "test", "text": "hello '\\xe9\\ud800'\né\ud800"})
        self.assertEqual(second["level"], "warn")
        self.assertIn("missing", second["text"])

    def test_failure(self) -> None:
        """A failure has its traceback."""
        log = self.log()
        log.failure("broken", Failure(KeyError("x")))
        [line] = map(json.loads, self.lines())
        self.assertEqual((line["level"], line["text"]), ("critical", "broken"))
        self.assertIn("KeyError: 'x'", line["traceback"])

    def test_not_in_a_file(self) -> None:
        """Where we write no log, JSON is refused, with what to do."""
        for told in ({"logfile": "-"}, {"syslog": 1}, {"logger": "some.observer"}):
            problem = self.assertRaises(usage.UsageError, logfile.install, UNTOLD | told, self.folder, "json")
            self.assertIn("--logfile FILE", str(problem))


class ReopenTests(LogTestCase):
    def test_moved_away(self) -> None:
        """After the file was moved away, what comes is in a new one."""
        self.install()
        log = self.log()
        log.info("before")
        (self.folder / "p2pchat.log").rename(self.folder / "old")
        log.info("still there")
        logfile.reopen()
        log.info("after")
        self.assertEqual([line.rpartition("] ")[2] for line in self.lines("old")], ["before", "still there"])
        self.assertEqual([line.rpartition("] ")[2] for line in self.lines()], ["after"])

    def test_cannot(self) -> None:
        """Where a new one cannot be made, the old one goes on being written, and why is told."""
        self.install()
        log = self.log()
        (self.folder / "p2pchat.log").rename(self.folder / "old")
        (self.folder / "p2pchat.log").mkdir()
        with mock.patch.object(logfile, "_log") as told:
            logfile.reopen()
        told.error.assert_called_once()
        log.info("after")
        self.assertEqual(len(self.lines("old")), 1)

    def test_none(self) -> None:
        """Where the log is not ours, nothing happens."""
        logfile.reopen()
        self.assertEqual(list(self.folder.iterdir()), [])


class LevelTests(LogTestCase):
    def written_at(self, level: str | None) -> list[str]:
        """Log one line of each level; return the levels that came through."""
        if level is not None:
            logfile.set_level(level)
        (self.folder / "p2pchat.log").unlink(missing_ok=True)
        self.install()
        log = self.log()
        for name in LOG_LEVELS:
            log.emit(LogLevel.levelWithName(name), "{name}", name=name)
        return [line.rpartition(" ")[2] for line in self.lines()]

    def test_default(self) -> None:
        """Unless changed it is info and above."""
        self.assertEqual(self.written_at(None), list(LOG_LEVELS[1:]))

    def test_each(self) -> None:
        """Every level lets itself and what is above it through, whatever was set before."""
        for number, level in [*enumerate(LOG_LEVELS), *reversed(list(enumerate(LOG_LEVELS)))]:
            self.assertEqual(self.written_at(level), list(LOG_LEVELS[number:]))

    def test_while_it_runs(self) -> None:
        """It changes what a log gets that is open already."""
        self.install()
        log = self.log()
        for level, text in (("error", "no"), ("debug", "yes")):
            logfile.set_level(level)
            log.debug(text)
        self.assertEqual(len(self.lines()), 1)


class BoundTests(LogTestCase):
    def test_rotation(self) -> None:
        """However much is logged, there are so many files of so many bytes and no more."""
        self.patch(logfile, "MAX_BYTES", 2000)
        self.patch(logfile, "KEPT_FILES", 3)
        self.install()
        log = self.log()
        for number in range(500):
            log.info("line {number}", number=number)
        files = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(files, ["p2pchat.log", *(f"p2pchat.log.{number}" for number in (1, 2, 3))])
        for name in files:
            self.assertLess((self.folder / name).stat().st_size, 2100)
        self.assertTrue(self.lines()[-1].endswith("line 499"))

    def test_bounds(self) -> None:
        """As it ships, that is 25 MB at most."""
        self.assertEqual(logfile.MAX_BYTES * (1 + logfile.KEPT_FILES), 25_000_000)

    def test_observer(self) -> None:
        """It is an observer as twistd takes it."""
        self.install()
        self.assertTrue(verifyObject(ILogObserver, logfile.open_log()))
