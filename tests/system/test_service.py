"""Options, environment, and life as a daemon."""

from __future__ import annotations

import configparser
import json
import os
import pty
import signal
import socket
import subprocess
from pathlib import Path

import p2pchat
from tests.system.machine import DEADLINE_S, TWISTD, SystemTests

DOCS = Path(p2pchat.__file__).parent.parent / "docs"


class OptionTests(SystemTests):
    """What is refused at the start."""

    def assert_refused(self, words: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        """Assert that the program does not start and says *words*."""
        process = self.machine.twistd("-n", "p2pchat", *arguments, environment=environment)
        process.until(words)
        self.assertEqual(process.ended(), 1)

    def test_refusals(self) -> None:
        """A wrong value is refused with what would be right, wherever it comes from."""
        self.assert_refused("--name is required")
        self.assert_refused("expected a whole number from 0 to 65535", "--name", "a", "--port", "70000")
        self.assert_refused(
            "P2PCHAT_PORT.*expected a whole number", "--name", "a", environment={"P2PCHAT_PORT": "x"}
        )

    def test_environment(self) -> None:
        """Values come from the environment; the command line wins."""
        alice = self.machine.twistd(
            "-n",
            "p2pchat",
            "--name",
            "alice",
            environment={
                "P2PCHAT_NAME": "ignored",
                "P2PCHAT_NAMESPACE": "UnB",
                "P2PCHAT_PORT": "7171",
                "P2PCHAT_RENDEZVOUS": "none",
            },
        )
        alice.until("You are alice@UnB")
        alice.until("Port: 7171")
        alice.until("Rendezvous: none")

    def test_port_taken(self) -> None:
        """A port that was asked for and is taken is refused, before anything starts."""
        alice = self.machine.peer("alice", "--rendezvous", "none", "--port", "7300")
        alice.until("Port: 7300")
        self.assert_refused("port 7300 cannot be used", "--name", "bob", "--port", "7300")


class DaemonTests(SystemTests):
    """Without a terminal."""

    def test_daemon(self) -> None:
        """It runs without a console, is reachable, and `kill` ends it cleanly."""
        pid_file, log = self.machine.folder / "P", self.machine.folder / "L"
        start = self.machine.twistd("--pidfile", "P", "--logfile", "L", "p2pchat", "--name", "alice")
        self.assertEqual(start.ended(), 0)
        pid = int(pid_file.read_text())
        ended = self.watch(pid)
        bob = self.machine.peer("bob")
        bob.say("/msg @alice are you there")
        bob.until("confirmed in")
        os.kill(pid, signal.SIGTERM)
        bob.until("alice@lobby is no longer linked: the peer said BYE")
        self.wait_for_exit(ended)
        self.assertFalse(pid_file.exists())
        text = log.read_text()
        self.assertIn("'alice@lobby' stops", text)
        self.assertNotIn("Traceback", text)


class TerminalTests(SystemTests):
    """With a person at a terminal."""

    def test_terminal_closed(self) -> None:
        """Who closes the terminal leaves in good order: the others get BYE."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        ours, theirs = pty.openpty()
        # A session of its own, with the terminal as the one that hangs it up.
        self.machine.run(*("setsid", "--ctty", *TWISTD, "-n", "p2pchat", "--name", "alice"), stdin=theirs)
        os.close(theirs)
        bob.until("alice@lobby is linked")
        bob.say("/ping alice")
        bob.until("PONG from alice@lobby")
        os.close(ours)
        bob.until("alice@lobby is no longer linked: the peer said BYE")


class HostileTests(SystemTests):
    """Bytes that are not of the protocol."""

    def test_garbage_on_both_ports(self) -> None:
        """Each gets a clear error or a closed link, and a line in the log; nothing else changes."""
        alice = self.machine.peer("alice")
        alice.until("registered at")
        bob = self.machine.peer("bob")
        bob.until("alice@lobby is linked")
        garbage = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\xff" * 100_000,
            b"[" * 30_000,
        ]
        for data in [*garbage, b'{"type":"SEND"}\n', b"x" * 2_000_000]:
            before = self.machine.log("alice").count("\n")
            for port in (5000, 7070):
                self.machine.ask(port, data + b"\n")
            alice.say("/ping bob")
            alice.until("PONG from bob@lobby")
            self.assertLessEqual(self.machine.log("alice").count("\n") - before, 2)
        self.assertNotIn("Traceback", self.machine.log("alice"))
        bob.say("/msg @alice still there?")
        bob.until("confirmed in")


class UnitTests(SystemTests):
    """The unit of docs/operations.md, as far as it goes without systemd."""

    def test_unit(self) -> None:
        """What it starts tells when it is ready, opens its log anew on reload, and ends in time."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(DOCS / "p2pchat@.service")
        service = unit["Service"]
        self.assertEqual((service["Type"], service["StandardInput"]), ("notify", "null"))
        self.assertEqual(service["ExecReload"], "/bin/kill -HUP $MAINPID")
        program, *words = service["ExecStart"].replace("%i", "alice").split()
        self.assertEqual(program, "%h/p2pchat/.venv/bin/twistd")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.settimeout(DEADLINE_S)
        address = str(self.machine.folder / "notify")
        manager.bind(address)
        environment = {"NOTIFY_SOCKET": address, "P2PCHAT_LOG_FORMAT": "json"}
        alice = self.machine.twistd(*words, stdin=subprocess.DEVNULL, environment=environment)
        self.assertEqual(manager.recv(100), b"READY=1")
        place = self.machine.state / "p2pchat" / "lobby" / "alice"
        self.assertTrue((place / "control").exists())
        pid = int((place / "twistd.pid").read_text())
        (place / "p2pchat.log").rename(place / "old.log")
        control = self.connect("alice")
        os.kill(pid, signal.SIGHUP)
        # What the signal asked for comes before what is asked now.
        self.ask(control, "hello")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(manager.recv(100), b"STOPPING=1")
        alice.ended(float(service["TimeoutStopSec"]))
        texts = [json.loads(line)["text"] for line in self.machine.log("alice").splitlines()]
        self.assertIn("the log was opened anew", texts)
        self.assertIn("'alice@lobby' stops", texts)
