"""A person at a terminal of a machine: keys in, a screen to look at."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

import pexpect
import pyte

from tests.system.machine import DEADLINE_S, P2PCHAT, TWISTD, SystemTests


class Seat:
    """A program on a pseudo-terminal, and what a person sees there. Its test ends it.

    :param command: what to run, already inside the machine.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        folder: str,
        rows: int,
        columns: int,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        #: All that the program wrote.
        self.raw = b""
        self.child = pexpect.spawn(
            command[0], command[1:], env=environment, cwd=folder, dimensions=(rows, columns), echo=False
        )
        # Keys go out at once; it would wait so that a program can switch off the echo of a password.
        self.child.delaybeforesend = None

    def types(self, keys: str) -> None:
        """Press keys."""
        self.child.send(keys)

    def pastes(self, text: str) -> None:
        """Paste, as a terminal tells it."""
        self.types(f"\x1b[200~{text}\x1b[201~")

    def resize(self, rows: int, columns: int) -> None:
        """Make the window another size."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def closes_the_window(self) -> None:
        """Close the window: whoever has the terminal is hung up."""
        null = os.open(os.devnull, os.O_RDWR)
        # In the place of the terminal, so that what is closed at the end is not somebody else's.
        os.dup2(null, self.child.child_fd)
        os.close(null)

    def rows(self) -> list[str]:
        """Return what is seen, row by row."""
        return [row.rstrip() for row in self.screen.display]

    def text(self) -> str:
        """Return what is seen without blanks, so that it is the same however it was cut into rows."""
        return _solid("".join(self.rows()))

    def sees(self, *texts: str) -> None:
        """Wait until all these are seen."""
        self.until(lambda: all(_solid(text) in self.text() for text in texts), f"all of {texts}")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        end_s = time.monotonic() + DEADLINE_S
        while not holds():
            if time.monotonic() > end_s:
                raise AssertionError(f"not {what} within {DEADLINE_S} s:\n{self}")
            try:
                self._read()
            except pexpect.EOF:
                if not holds():
                    raise AssertionError(f"ended without {what}:\n{self}") from None

    def reads(self, pattern: bytes) -> None:
        """Wait until what was written matches."""
        self.until(lambda: re.search(pattern, self.raw) is not None, str(pattern))

    @property
    def pid(self) -> int:
        """The number of the process, which becomes the program in the machine."""
        assert self.child.pid is not None
        return self.child.pid

    def ended(self) -> int:
        """Wait for the end; return the exit status."""
        self.until(lambda: self._is_over(), "the end")
        self.child.close()
        return -(self.child.signalstatus or 0) or self.child.exitstatus or 0

    def clean_up(self) -> None:
        """End it, whatever it does."""
        self.child.close(force=True)

    def __str__(self) -> str:
        return "\n".join(f"    |{row}" for row in self.rows())

    def _is_over(self) -> bool:
        try:
            self._read()
        except pexpect.EOF:
            return True
        return False

    def _read(self) -> None:
        try:
            data: Any = self.child.read_nonblocking(65536, timeout=1)  # bytes, without an encoding
        except pexpect.TIMEOUT:
            return
        self.raw += data
        self._stream.feed(data)


def _solid(text: str) -> str:
    return re.sub(r"[\s│]+", "", text)


class ScreenTests(SystemTests):
    """Tests of what is seen on a terminal."""

    def seat(
        self,
        *command: str,
        rows: int = 24,
        columns: int = 80,
        environment: dict[str, str] | None = None,
    ) -> Seat:
        """Sit down at a terminal where a program runs."""
        there = self.machine.environment | {"TERM": "xterm-256color"} | (environment or {})
        seat = Seat(self.machine.inside(*command), there, str(self.machine.folder), rows, columns)
        self.addCleanup(seat.clean_up)
        return seat

    def person(self, name: str, **terminal: Any) -> Seat:
        """Start a peer at a terminal, as a user does."""
        return self.seat(*start_of(name), **terminal)

    def attach(self, name: str, **terminal: Any) -> Seat:
        """Attach a terminal to a peer that runs."""
        return self.seat(*P2PCHAT, "attach", name, **terminal)


def start_of(name: str) -> list[str]:
    """Return how a user starts a peer."""
    return [*TWISTD, "-n", "p2pchat", "--name", name]
