"""Fresh processes to be measured: started, asked, told what they cost, ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds after which a process is taken to be stuck; none needs more than a few.
STUCK_S = 120.0

_ROOT = Path(__file__).parent.parent


class Process:
    """A module of the benchmarks that runs, and talks over stdin and stdout. `running` makes and ends it."""

    def __init__(self, popen: subprocess.Popen[str], name: str) -> None:
        self._popen = popen
        self._name = name

    def read(self) -> str:
        """Return the next line that it prints."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise SystemExit(f"no answer from {self._name}")
        return line.strip()

    def tell(self, line: str) -> None:
        """Give it one order."""
        assert self._popen.stdin is not None
        print(line, file=self._popen.stdin, flush=True)

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that it has used; 0 where the system does not tell (not Linux)."""
        try:
            stat = Path(f"/proc/{self._popen.pid}/stat").read_text()
        except FileNotFoundError:
            return 0.0
        # The name of the program comes second and may hold anything.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(*program: object) -> Iterator[Process]:
    """Run a module of the benchmarks, with arguments, as long as the ``with`` lasts."""
    module, *arguments = map(str, program)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT) as popen:
        watchdog = threading.Timer(STUCK_S, popen.kill)
        watchdog.start()
        try:
            yield Process(popen, " ".join([module, *arguments]))
        finally:
            watchdog.cancel()
            popen.kill()
