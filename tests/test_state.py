"""Where programs keep their files, and how a second one of the same name is refused."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

from twisted.python import usage

from p2pchat import state
from p2pchat.state import Occupancy, claim_folder
from tests.programs import ProgramTestCase

#: A process.
PID = 4711


class StateTestCase(ProgramTestCase):
    def claim(self, given: str | None = None, pid_file: str = "twistd.pid") -> dict[str, Any]:
        """Claim the folder of alice; return the options of twistd afterwards."""
        twistd = {"pidfile": pid_file}
        claim_folder(twistd, given, "UnB", "alice", label="alice@UnB", choose="name")
        return twistd

    def occupy(self) -> None:
        """Let the program that has a folder go on, as a daemon with another pid."""
        self.patch(os, "getpid", lambda: PID)
        Occupancy().startService()

    def problem(self, given: str | None = None) -> str:
        """Assert that the folder cannot be claimed; return what the user is told."""
        return str(self.assertRaises(usage.UsageError, self.claim, given))

    @property
    def pid_file(self) -> Path:
        """Where the pid of alice is written."""
        return self.state / "p2pchat" / "UnB" / "alice" / "twistd.pid"


class FolderTests(StateTestCase):
    def test_default(self) -> None:
        """Unless told otherwise each program has a folder of its own, which only its user can read."""
        self.assertEqual(self.claim(), {"pidfile": str(self.pid_file)})
        self.assertEqual(self.pid_file.parent.stat().st_mode & 0o777, 0o700)

    def test_given(self) -> None:
        """A folder that was given is used instead, and made where it is missing."""
        given = self.folder / "some" / "where"
        self.assertEqual(self.claim(str(given)), {"pidfile": str(given / "twistd.pid")})
        self.assertFalse(self.state.exists())

    def test_relative(self) -> None:
        """A relative folder is made absolute, since a daemon changes its directory."""
        self.patch(os, "getcwd", lambda: str(self.folder))
        self.assertEqual(self.claim("here"), {"pidfile": str(self.folder / "here" / "twistd.pid")})

    def test_given_pid_file(self) -> None:
        """A pid file that was given stays where it is, and twistd looks after it."""
        self.assertEqual(self.claim(pid_file="/run/alice.pid"), {"pidfile": "/run/alice.pid"})
        self.end_programs()
        self.assertEqual(self.claim(pid_file=""), {"pidfile": ""})

    def test_cannot_be_made(self) -> None:
        """A folder that cannot be made is refused with the reason and what to do."""
        (self.folder / "file").touch()
        for given in (str(self.folder / "file"), str(self.folder / "file" / "below")):
            text = self.problem(given)
            self.assertTrue(text.startswith(f"The folder {given} cannot be made ("), text)
            self.assertTrue(text.endswith("); choose another with --data-dir"), text)

    def test_cannot_be_written(self) -> None:
        """A folder that cannot be written to is refused before anything starts."""
        self.patch(os, "access", lambda path, mode: False)
        self.assertEqual(
            self.problem(str(self.folder)),
            f"The folder {self.folder} cannot be written to; choose another with --data-dir",
        )

    def test_cannot_be_locked(self) -> None:
        """A folder on a disk that knows no locks, or with strange things in it, is refused."""
        self.pid_file.mkdir(parents=True)
        self.assertIn("cannot be used", self.problem())
        self.pid_file.rmdir()
        self.patch(fcntl, "flock", _no_locks)
        self.assertEqual(
            self.problem(),
            f"The folder {self.pid_file.parent} cannot be used (No locks available); "
            "choose another with --data-dir",
        )
        self.assertEqual(state._locks, [])


class SecondInstanceTests(StateTestCase):
    def test_refused(self) -> None:
        """A second program of one name is refused, and told which process is there and what to do."""
        self.claim()
        self.occupy()
        self.assertEqual(
            self.problem(),
            f"alice@UnB runs already, as process {PID}. Choose another name, or end it first: kill {PID}",
        )

    def test_refused_whatever_the_pid_file(self) -> None:
        """Two programs never share a folder, wherever each of them keeps its pid file."""
        self.claim(pid_file="/run/alice.pid")
        self.occupy()
        problem = self.assertRaises(usage.UsageError, self.claim, pid_file="/run/other.pid")
        self.assertIn(f"as process {PID}", str(problem))

    def test_refused_in_a_given_folder(self) -> None:
        """In a folder that was given somebody else may be: it is the folder that must be another."""
        self.claim(str(self.folder))
        self.occupy()
        self.assertEqual(
            self.problem(str(self.folder)),
            f"A program runs in the folder {self.folder} already, as process {PID}. "
            f"Choose another with --data-dir, or end it first: kill {PID}",
        )

    def test_refused_by_the_pid_file(self) -> None:
        """A program that keeps nothing there is known by its pid file."""
        self.claim()
        self.pid_file.write_text(str(PID))
        self.assertIn(f"as process {PID}", self.problem())

    def test_refused_in_its_first_moment(self) -> None:
        """Two that start at once cannot both get in, though neither has written its pid yet."""
        self.claim()
        self.assertEqual(self.problem(), "alice@UnB runs already. Choose another name, or end it first")

    def test_after_the_end(self) -> None:
        """When the first has ended, the next may run."""
        self.claim()
        self.end_programs()
        self.claim()

    def test_stale_pid_file(self) -> None:
        """A pid file that a crash left behind never keeps the next from starting, whatever it says.

        Its number may belong to another program by now, of another user or even to ourselves, as in a
        container; and a full disk leaves it empty.
        """
        for left in ("4711", "1", str(os.getpid()), "", "nonsense", "-1", "9" * 30):
            self.claim()
            self.pid_file.write_text(left)
            self.end_programs()
            self.assertEqual(self.claim(), {"pidfile": str(self.pid_file)}, left)
            self.assertFalse(self.pid_file.exists())
            self.end_programs()

    def test_others(self) -> None:
        """Programs of other names do not mind each other."""
        for name in ("alice", "bob", "carol"):
            claim_folder({"pidfile": "twistd.pid"}, None, "UnB", name, label=name, choose="name")


def _no_locks(descriptor: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")
