"""Real processes on a machine of their own: a network namespace, a home, a state folder."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import p2pchat

#: Seconds that anything may take unless a test says otherwise. Far more than is needed: a loaded
#: machine must not make a test fail, and a test that fails may take its time.
DEADLINE_S = 30.0

_ROOT = Path(p2pchat.__file__).parent.parent

#: Where programs are; ip and iptables are where users often do not look.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

#: How a user starts twistd.
TWISTD = [sys.executable, "-c", "import sys; from twisted.scripts.twistd import run; run()"]

#: How a user starts the command.
P2PCHAT = [sys.executable, "-m", "p2pchat"]

#: Settings of whoever runs the tests, by how their names begin, that must not reach what is tested.
_DROPPED = ("COVERAGE_", "P2PCHAT_", "XDG_")

_ASK = """
import contextlib, socket, sys
server = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
with server, contextlib.suppress(ConnectionResetError, BrokenPipeError):
    server.sendall(sys.stdin.buffer.read())
    while data := server.recv(65536):
        sys.stdout.buffer.write(data)
"""


class Process:
    """A running program, driven by a pipe. Its machine ends it.

    :param command: what to run.
    :param stdin: a pipe unless given.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], folder: Path, stdin: int = subprocess.PIPE
    ) -> None:
        self.output: list[str] = []
        self._seen = 0
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.popen = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def say(self, *lines: str) -> None:
        """Type lines."""
        self.write("".join(f"{line}\n" for line in lines).encode())

    def write(self, data: bytes) -> None:
        """Type bytes."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def end_input(self) -> None:
        """Say that no more will be typed."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def until(self, pattern: str, within_s: float = DEADLINE_S) -> re.Match[str]:
        """Return the first match in what is printed from here on; what comes before is passed over."""
        while True:
            while self._seen < len(self.output):
                self._seen += 1
                match = re.search(pattern, self.output[self._seen - 1])
                if match:
                    return match
            try:
                line = self._lines.get(timeout=within_s)
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} within {within_s} s in:\n{self}") from None
            if line is None:
                raise AssertionError(f"the program ended without {pattern!r}:\n{self}")
            self.output.append(line)

    def ended(self, within_s: float = DEADLINE_S) -> int:
        """Wait for the end; return the exit status."""
        status = self.popen.wait(within_s)
        self._reader.join(within_s)
        while (line := self._lines.get(timeout=within_s)) is not None:
            self.output.append(line)
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def clean_up(self) -> None:
        """End it, whatever it does."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def __str__(self) -> str:
        return "\n".join(f"    {line}" for line in self.output)

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)


class Machine:
    """A network namespace, so that a test has all ports for itself. A test makes and ends it.

    Root makes it directly; others inside a user namespace, where the system allows it. It has no name:
    a process holds it, and it is gone with the last process in it, however the tests end.

    :param set_up: shell commands that it starts with.
    """

    def __init__(self, folder: Path, set_up: str = "true") -> None:
        self.folder = folder
        self.state = folder / "state"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        self.environment = kept | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(self.state),
            "XDG_DATA_HOME": str(folder / "share"),
            "PYTHONPATH": str(_ROOT),
            "LC_ALL": "C.UTF-8",
            "PATH": PATH,
        }
        root = os.geteuid() == 0
        unshare = ["unshare", "--net"] if root else ["unshare", "--user", "--map-root-user", "--net"]
        hold = [*unshare, "sh", "-c", f"ip link set lo up && {set_up} && echo ready && exec cat"]
        self._holder = Process(hold, self.environment, folder)
        self._processes = [self._holder]
        self._holder.until("ready")
        #: Of the process that holds the namespace.
        self.pid = self._holder.popen.pid
        self._enter = ["nsenter", f"--net=/proc/{self.pid}/ns/net"]
        if not root:
            self._enter += [f"--user=/proc/{self.pid}/ns/user", "--preserve-credentials"]
        # When the tests are killed nothing else would end what reads no pipe, and with it the namespace.
        self._enter += ["setpriv", "--pdeathsig", "KILL"]
        # Where the tests run in the background of a shell they ignore Ctrl-C, and what they start would too.
        self._enter += ["env", "--default-signal=INT"]

    def run(
        self, *command: str, stdin: int = subprocess.PIPE, environment: dict[str, str] | None = None
    ) -> Process:
        """Start a program."""
        process = Process(
            self.inside(*command), self.environment | (environment or {}), self.folder, stdin=stdin
        )
        self._processes.append(process)
        return process

    def inside(self, *command: str) -> list[str]:
        """Return the command that runs another inside this machine."""
        return [*self._enter, *command]

    def do(self, script: str) -> None:
        """Run a shell script as root of this machine, until its end.

        :raises AssertionError: a command of it failed; with what it said.
        """
        process = self.run("sh", "-ec", script)
        if process.ended():
            raise AssertionError(f"{script}\nfailed:\n{process}")

    def twistd(
        self, *arguments: str, stdin: int = subprocess.PIPE, environment: dict[str, str] | None = None
    ) -> Process:
        """Start twistd."""
        return self.run(*TWISTD, *arguments, stdin=stdin, environment=environment)

    def peer(self, name: str, *arguments: str) -> Process:
        """Start a peer in the foreground, as a user does."""
        return self.twistd("-n", "p2pchat", "--name", name, *arguments)

    def ask(self, port: int, data: bytes) -> str:
        """Send bytes to a port of this machine; return all that comes back."""
        command = [*self._enter, sys.executable, "-c", _ASK, "127.0.0.1", str(port)]
        return subprocess.run(
            command, input=data, env=self.environment, capture_output=True, check=True, timeout=DEADLINE_S
        ).stdout.decode()

    def log(self, name: str, namespace: str = "lobby") -> str:
        """Return the log of a peer."""
        return (self.state / "p2pchat" / namespace / name / "p2pchat.log").read_text()

    def clean_up(self) -> None:
        """End everything that was started."""
        for process in reversed(self._processes):
            process.clean_up()


class SystemTests(SynchronousTestCase):
    """Tests with a machine of their own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.machine = Machine(Path(folder.name).resolve())
        self.addCleanup(self.machine.clean_up)

    def watch(self, pid: int) -> int:
        """Return what tells when a process has ended that is not our child."""
        ended = os.pidfd_open(pid)
        self.addCleanup(os.close, ended)
        return ended

    def end(self, ended: int) -> None:
        """End such a process, whether or not it has ended already.

        :param ended: what `watch` gave; unlike a number it is never that of another process.
        """
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(ended, signal.SIGKILL)
        self.wait_for_exit(ended)

    def wait_for_exit(self, ended: int) -> None:
        """Wait for such a process.

        :param ended: what `watch` gave.
        """
        readable, _, _ = select.select([ended], [], [], DEADLINE_S)
        self.assertEqual(readable, [ended], "the daemon did not end")

    def daemon(self, name: str, *words: str) -> int:
        """Start a peer as a daemon; return the number of its process. It is ended with the test."""
        start = self.machine.twistd("p2pchat", "--name", name, *words)
        self.assertEqual(start.ended(), 0)
        pid = int((self.place(name) / "twistd.pid").read_text())
        self.addCleanup(self.end, self.watch(pid))
        return pid

    def place(self, name: str) -> Path:
        """Return the state folder of a peer."""
        return self.machine.state / "p2pchat" / "lobby" / name

    def connect(self, name: str) -> Any:
        """Connect to the socket of a peer; return a file to read and write."""
        # Network namespaces do not divide sockets that are in folders.
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(DEADLINE_S)
        client.connect(str(self.place(name) / "control"))
        file = client.makefile("rw")
        self.addCleanup(file.close)
        return file

    def ask(self, file: Any, method: str, **params: Any) -> Any:
        """Ask, and wait for the answer."""
        file.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
        file.flush()
        while (answer := json.loads(file.readline())).get("id") != method:
            pass
        return answer["result"]
