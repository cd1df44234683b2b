"""Traces in files: ``p2pchat simulate --trace FILE`` and ``p2pchat replay FILE``."""

from __future__ import annotations

import errno
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.command import WRONG, main
from p2pchat.simulation.simulation import Simulation
from tests.simulation.towns import run

SMALL = ("simulate", "--peers", "3", "--minutes", "2", "--topology", "full", "--messages", "20")


class FullDisk(io.BytesIO):
    """A file of which only so much can be written."""

    def write(self, data: Any) -> int:
        """Write it, while there is room."""
        if self.tell() > 10_000:
            raise OSError(errno.ENOSPC, "the disk is full")
        return super().write(data)


class TraceTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "trace"

    def replayed(self, *words: str, file: str | None = None) -> list[str]:
        """Return what is shown of the trace."""
        status, out, err = run("replay", file or str(self.file), *words)
        self.assertEqual((status, err), (0, ""))
        return out.splitlines()

    def problem(self) -> str:
        """Return why the file cannot be replayed."""
        status, _, err = run("replay", str(self.file))
        self.assertEqual(status, WRONG)
        self.assertEqual(err.count("\n"), 1)
        self.assertTrue(err.startswith(f"p2pchat replay: {self.file}: "), err)
        return err

    def test_there_and_back(self) -> None:
        """What was written can be walked through; what is printed is the same with and without a trace."""
        self.assertEqual(run(*SMALL, "--trace", str(self.file)), run(*SMALL))
        first, *moments = self.replayed()
        self.assertTrue(first.startswith("p2pchat simulate --peers 3"))
        self.assertGreater(len(moments), 100)
        self.assertIn("* the faults are over", "\n".join(moments))

    def test_choice(self) -> None:
        """Of a trace can be shown a time, a peer, and what holds a text."""
        run(*SMALL, "--trace", str(self.file))
        _, *moments = self.replayed()
        for words, is_wanted in (
            (["--from", "60"], lambda line: float(line.split()[0]) >= 60),
            (["--until", "30.5"], lambda line: float(line.split()[0]) <= 30.5),
            (["--peer", "peer1@Giga"], lambda line: "peer1@Giga" in line.partition("  {")[0][12:]),
            (["--text", '"PING"'], lambda line: '"PING"' in line),
        ):
            wanted = [line for line in moments if is_wanted(line)]
            if words[0] == "--peer":
                wanted = [line for line in wanted if "is told" not in line or " peer1@Giga is told" in line]
            self.assertEqual(self.replayed(*words)[1:], wanted)
            self.assertTrue(0 < len(wanted) < len(moments))
        both = self.replayed("--from=60", "--until=70", "--text=PONG")[1:]
        self.assertEqual(both, [m for m in moments if "PONG" in m and 60 <= float(m.split()[0]) <= 70])

    def test_file_behind(self) -> None:
        """The file may stand in front of the options, or behind them."""
        run(*SMALL, "--trace", str(self.file))
        self.assertEqual(
            run("replay", "--text", "PING", str(self.file)), run("replay", str(self.file), "--text", "PING")
        )

    def test_step(self) -> None:
        """Step by step, each line waits for Enter; q, or the end of what is typed, ends it."""
        run(*SMALL, "--trace", str(self.file))
        lines = self.replayed()
        for typed, shown in (("\n\nq\n\n", 3), ("\n", 2), ("", 1), ("\n" * len(lines), len(lines))):
            self.patch(sys, "stdin", io.StringIO(typed))
            self.assertEqual(self.replayed("--step"), lines[:shown])

    def test_cannot_be_written(self) -> None:
        """A trace that cannot be written is named with the reason, and nothing is simulated."""
        self.patch(Simulation, "run", lambda *_given: self.fail("nothing may be simulated"))
        for path, why in (
            (self.file / "x", "No such file or directory"),
            (self.file.parent, "Is a directory"),
        ):
            status, out, err = run(*SMALL, "--trace", str(path))
            self.assertEqual((status, out), (WRONG, ""))
            self.assertEqual(err, f"p2pchat simulate: {path}: {why}\n")

    def test_disk_full(self) -> None:
        """Where the disk is full in the middle, that is said once, and nothing is told of the network."""
        self.patch(Path, "open", lambda _path, _mode: FullDisk())
        status, out, err = run(*SMALL, "--trace", "file")
        self.assertEqual((status, out, err), (WRONG, "", "p2pchat simulate: file: the disk is full\n"))
        # What a node tells fails, too; it logs that and goes on.
        self.flushLoggedErrors(OSError)

    def test_cannot_be_read(self) -> None:
        """A file that is not there, or is none, is named with the reason."""
        self.assertIn("No such file or directory", self.problem())
        self.file.mkdir()
        self.assertIn("Is a directory", self.problem())

    def test_no_trace(self) -> None:
        """A file that is no trace, or of another version, is refused."""
        for data in (b"", b"hello\n", b"\x00\xff" * 100, b'{"peers": 3}\n'):
            self.file.write_bytes(data)
            self.assertIn("it was not written by p2pchat simulate --trace", self.problem())
        self.file.write_bytes(b'{"trace":99,"command":""}\n')
        self.assertIn("it is of version 99 of this format; 1 can be read", self.problem())

    def test_damaged(self) -> None:
        """A trace that is damaged in the middle is shown up to there, and the line is named."""
        run(*SMALL, "--trace", str(self.file))
        good = self.replayed()
        lines = self.file.read_bytes().splitlines(keepends=True)
        self.file.write_bytes(b"".join(lines[:50]) + lines[50][:20])
        self.assertIn(": line 51 is damaged: ", self.problem())
        self.assertEqual(run("replay", str(self.file))[1].splitlines(), good[:50])

    def test_reader_gone(self) -> None:
        """Where whoever reads has seen enough, as with ``| head``, it ends without a word."""
        run(*SMALL, "--trace", str(self.file))

        class Gone(io.StringIO):
            def write(self, _text: str) -> int:
                raise BrokenPipeError

        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.assertEqual(main(["replay", str(self.file)], Gone(), stderr), 0)
        self.assertTrue(stderr.closed)
