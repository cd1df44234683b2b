"""The long run: shares, hangs, growth, and that what it found can be replayed."""

from __future__ import annotations

import faulthandler
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import __main__ as run
from tests.fuzz import watching
from tests.fuzz.feeding import TARGETS, Found, Tally, feed, make_input, replay
from tests.fuzz.watching import Chunk, Hang, Report


class Fragile:
    """A target with a defect that shows at the seventh input that it is fed."""

    corpus: ClassVar[str] = "console"
    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 10

    def __init__(self) -> None:
        self.fed: list[bytes] = []

    def take(self, pieces: list[bytes]) -> bool:
        """Take an input."""
        self.fed.append(b"".join(pieces))
        if len(self.fed) == 7:
            raise ValueError(f"defect after {len(self.fed)}")
        return len(self.fed) % 2 == 0

    def close(self) -> None:
        """Nothing is left behind."""


class Slow(Fragile):
    """A target that takes too long, as the timer would tell; what is raised then is caught by it."""

    catches: ClassVar[bool] = False

    def take(self, pieces: list[bytes]) -> bool:
        """Take too long."""
        try:
            watching._too_long(signal.SIGPROF, None)
        except BaseException:
            if not self.catches:
                raise
        return True


class Catching(Slow):
    """The same, which goes on as if nothing had happened."""

    catches: ClassVar[bool] = True


class Here:
    """In the place of the processes of a run: everything happens at once, and in this one."""

    def __init__(self, *_given: object) -> None:
        """All are the same."""

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_problem: object) -> None:
        """Nothing is left behind."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do it."""
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done


class RunTestCase(SynchronousTestCase):
    """The long run with targets of this module, in this process."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name) / "fuzz"
        self.patch(run, "BUILD", self.build)
        self.patch(run, "ProcessPoolExecutor", Here)
        self.patch(signal, "setitimer", lambda *_: None)
        self.patch(faulthandler, "dump_traceback_later", lambda *_, **__: None)
        for name, kind in (("fragile", Fragile), ("slow", Slow), ("catching", Catching)):
            TARGETS[name] = kind
            self.addCleanup(TARGETS.pop, name)

    def main(self, *arguments: str) -> tuple[int, str]:
        """Run as from the command line; return the status, and what was printed."""
        with redirect_stdout(StringIO()) as printed:
            status = run.main(list(arguments))
        return status, printed.getvalue()


class FeedingTests(RunTestCase):
    def test_inputs(self) -> None:
        """An input depends on the target, the seed and its number alone."""
        self.assertEqual(make_input("node", 1, 7), make_input("node", 1, 7))
        different = [make_input(name, seed, number) for name, seed, number in (
            ("node", 1, 7), ("node", 1, 8), ("node", 2, 7), ("framing", 1, 7),
        )]  # fmt: skip
        self.assertEqual(len({b"".join(pieces) for pieces in different}), 4)

    def test_found(self) -> None:
        """Feeding stops at what is found; that has its number, its data and its trouble."""
        tally = feed("fragile", 3, 0, 100)
        found = tally.found
        assert found is not None
        self.assertEqual((tally.accepted, tally.refused, tally.inputs, found.number), (3, 3, 7, 6))
        self.assertEqual(found.data, b"".join(make_input("fragile", 3, 6)))
        self.assertIn("ValueError: defect after 7", found.trouble)
        self.assertEqual(found.command, "python -m tests.fuzz --target fragile --seed 3 --only 6")

    def test_replay(self) -> None:
        """A target is fed again what it was fed in its life, so that the same is found."""
        found, again = feed("fragile", 3, 20, 30).found, replay("fragile", 3, 26).found
        assert found is not None
        assert again is not None
        self.assertEqual((found.number, found.data), (again.number, again.data))
        self.assertIsNone(replay("fragile", 3, 25).found)

    def test_trouble_at_the_end(self) -> None:
        """What is found when a target is closed counts, at the last input of its life."""

        def close(_: Fragile) -> None:
            raise AssertionError("left behind")

        self.patch(Fragile, "close", close)
        found = feed("fragile", 1, 0, 5).found
        assert found is not None
        self.assertEqual(found.number, 4)
        self.assertIn("left behind", found.trouble)


class WatchingTests(RunTestCase):
    def test_hang(self) -> None:
        """An input that takes too long is found, also where the target catches everything."""
        for name in ("slow", "catching"):
            found = watching.run(Chunk(name, 1, 0, 10)).tally.found
            assert found is not None
            self.assertIn("Hang: still busy after 1.0 s of CPU", found.trouble)
        self.assertFalse(issubclass(Hang, Exception))

    def test_growth(self) -> None:
        """Memory that inputs leave behind is counted, once the first tenth was fed."""
        kept: list[object] = []

        def take(_target: Fragile, pieces: list[bytes]) -> bool:
            kept.append([pieces])
            return True

        self.patch(Fragile, "take", take)
        report = watching.run(Chunk("fragile", 1, 0, 1000))
        self.assertEqual((report.tally.accepted, report.watched), (1000, 900))
        self.assertGreater(report.blocks, 2 * 900)

    def test_no_growth(self) -> None:
        """A parser that keeps nothing does not grow."""
        report = watching.run(Chunk("peer-line", 1, 0, 2000))
        self.assertLess(report.blocks, 1000)


class WholeRunTests(RunTestCase):
    def test_shares(self) -> None:
        """All inputs are divided among all targets, in chunks that begin with a new target."""
        self.assertEqual(set(run.SHARES), set(TARGETS) - {"fragile", "slow", "catching"})
        made = run.chunks(1_000_000, 5, run.SHARES)
        self.assertEqual(sum(chunk.last - chunk.first for chunk in made), 1_000_000)
        for chunk in made:
            self.assertEqual((chunk.first % TARGETS[chunk.target].lasts, chunk.seed), (0, 5))

    def test_rows(self) -> None:
        """The table has a row for each target, with what became of its inputs."""
        total = run.Sum([Report(Tally(90, 10), 2.0, 90, 9, 2**20), Report(Tally(50, 50), 2.0, 90, 0, 2**21)])
        self.assertEqual(total.row("node").split(), ["node", "200", "140", "60", "50", "50.00", "2.0"])
        self.assertEqual(len(total.row("node")), len(run.HEADING))
        self.assertFalse(total.grows)

    def test_growth(self) -> None:
        """Memory that grows, by many small things or at once by much, is a defect."""
        for blocks, peak, grows in ((6000, 0, True), (0, 2**30, True), (4000, 0, False), (0, 2**20, False)):
            self.assertEqual(run.Sum([Report(Tally(1000), 1.0, 1000, blocks, peak)]).grows, grows)

    def test_nothing_found(self) -> None:
        """A run in which nothing is found ends well, with how far it was and its table."""
        self.patch(run.Progress, "EVERY_S", 0.0)
        status, printed = self.main("--inputs", "300", "--target", "peer-line")
        self.assertEqual(status, 0, printed)
        self.assertIn("100 %  300 inputs in ", printed)
        self.assertRegex(printed, r"peer-line +300 +\d+ +\d+ ")

    def test_goes_on(self) -> None:
        """A target that found something is fed no more; the others are."""
        self.patch(run, "SHARES", {"fragile": 50, "peer-line": 50})
        self.patch(run, "CHUNK", 100)
        sums = run.run_all(run.chunks(800, 1, run.SHARES), processes=1)
        self.assertEqual([len(total.reports) for total in sums.values()], [1, 4])
        found = sums["fragile"].found
        assert found is not None
        self.assertEqual(found.number, 6)

    def test_found(self) -> None:
        """What is found is printed, shortened and saved whole, with what replays it; the run fails."""
        found = Found("node", 1, 42, b"x" * 2000, "Traceback: planted")
        self.patch(run, "run_all", lambda *_: {"node": run.Sum([Report(Tally(found=found), 1.0, 1, 0, 0)])})
        status, printed = self.main("--inputs", "10")
        self.assertEqual((status, (self.build / "node-1-42").read_bytes()), (1, found.data))
        for words in (
            "planted",
            "2000 bytes",
            "xx ... xx",
            "python -m tests.fuzz --target node --seed 1 --only 42",
        ):
            self.assertIn(words, printed)

    def test_only(self) -> None:
        """One input is replayed; the status says whether anything was found."""
        self.patch(watching, "begin", lambda: None)
        fragile = ("--target", "fragile", "--seed", "3", "--only")
        self.assertEqual(self.main(*fragile, "5")[0], 0)
        status, printed = self.main(*fragile, "6")
        self.assertEqual(status, 1)
        self.assertIn("defect after 7", printed)

    def test_process_that_died(self) -> None:
        """Where a process dies, it is said what it was busy with, as commands."""
        done: Future[Any] = Future()
        done.set_exception(BrokenProcessPool())
        ended = self.assertRaises(SystemExit, run._result, done, [Chunk("node", 1, 60, 120)])
        self.assertIn("python -m tests.fuzz --target node --seed 1 --inputs 120", str(ended))
