"""The service that ``twistd p2pchat`` makes: its port, its folder, its console."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unittest import mock

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.internet.testing import StringTransport

from p2pchat import logfile, tap
from p2pchat.addresses import Reactor
from p2pchat.console import stdio
from p2pchat.console.stdio import StdioConsole
from p2pchat.node import Node
from p2pchat.terminal.service import TerminalConsole
from p2pchat.testing import MemoryHost, MemoryNetwork
from p2pchat.trust.cards import fingerprint
from tests.programs import ProgramTestCase
from tests.store.disks import NoThreads


class PortTests(ProgramTestCase):
    def test_taken(self) -> None:
        """A port that was asked for and is taken is refused, before any file is made."""
        self.sockets.taken.add(7171)
        told = self.refused("-n", "p2pchat", "--name", "alice", "--port", "7171")
        self.assertEqual(told, "--port: port 7171 cannot be used (Address already in use); choose another")
        self.assertFalse(self.state.exists())

    def test_taken_but_not_asked_for(self) -> None:
        """Where no port was asked for, a taken one is no matter: the node will take a free one."""
        self.sockets.taken.add(7070)
        self.assertEqual(self.peer().settings.port, None)
        self.end_programs()
        self.assertEqual(self.peer("--port", "0").settings.port, 0)


class PlaceTests(ProgramTestCase):
    def test_defaults(self) -> None:
        """Pid file and log are in a folder of each peer's own, so that many start in one directory."""
        for name in ("alice", "bob", "Ωmega"):
            parent = self.peer(name=name).twistd
            place = self.state / "p2pchat" / "lobby" / name
            self.assertEqual(
                (parent["pidfile"], parent["logfile"]),
                (str(place / "twistd.pid"), str(place / "p2pchat.log")),
            )

    def test_given_folder(self) -> None:
        """Both are in the folder that was given."""
        parent = self.peer("--data-dir", str(self.folder / "data")).twistd
        self.assertEqual(parent["pidfile"], str(self.folder / "data" / "twistd.pid"))
        self.assertEqual(parent["logfile"], str(self.folder / "data" / "p2pchat.log"))

    def test_given_files(self) -> None:
        """A pid file and a log that were given are used, absolute, since a daemon changes its directory."""
        self.patch(os, "getcwd", lambda: str(self.folder))
        twistd = self.begin("--pidfile", "P", "--logfile", "L", "p2pchat", "--name", "alice")
        self.assertEqual(twistd["pidfile"], str(self.folder / "P"))
        self.assertEqual(twistd["logfile"], str(self.folder / "L"))

    def test_second_instance(self) -> None:
        """A second peer of one name is refused; of another name or in another namespace it is not."""
        place = Path(self.peer().twistd["pidfile"])
        place.write_text("4711")
        self.assertEqual(
            self.refused("-n", "p2pchat", "--name", "alice"),
            "alice@lobby runs already, as process 4711. Choose another name, or end it first: kill 4711",
        )
        self.peer(name="bob")
        self.peer("--namespace", "UnB")


class SignalledReactor(MemoryHost):
    """A reactor that can be stopped."""

    def __init__(self, network: MemoryNetwork) -> None:
        super().__init__(network, "10.0.1.1")
        self.stops = 0
        self._later: list[Callable[[], None]] = []

    def listenUNIX(self, path: str, factory: object, mode: int) -> Any:
        """Listen, as far as anybody here looks."""
        self.control = path, mode
        return mock.Mock()

    def callFromThread(self, function: Callable[[], None]) -> None:
        """Take something that was asked for in the middle of anything."""
        self._later.append(function)

    def run_from_thread(self) -> None:
        """Do it."""
        while self._later:
            self._later.pop()()

    def stop(self) -> None:
        """Stop; as Twisted's does, only once."""
        if self.stops:
            raise ReactorNotRunning
        self.stops += 1


class ServiceTests(ProgramTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork()
        self.reactor = SignalledReactor(self.network)
        self.transport = StringTransport()
        self.patch(stdio, "StandardIO", self._standard_io)
        self.patch(tap, "ReactorThreads", lambda reactor: NoThreads())

    def make(self, *arguments: str) -> Node:
        """Make the node that a command line stands for."""
        options = self.begin(*arguments).subOptions
        assert isinstance(options, tap.Options)
        node = tap.makeService(options, reactor=self.reactor)
        assert isinstance(node, Node)
        return node

    def start(self, *arguments: str) -> Node:
        """Make a node and start it; it is stopped at the end."""
        node = self.make(*arguments)
        node.startService()
        self.addCleanup(self.network.advance, 3)
        self.addCleanup(node.stopService)
        return node

    def console_of(self, node: Node) -> StdioConsole | None:
        """Return the console below a node."""
        found = [service for service in node if isinstance(service, StdioConsole)]
        return found[0] if found else None

    @property
    def output(self) -> list[str]:
        """The lines on the screen."""
        data: bytes = self.transport.value()
        return data.decode().splitlines()

    def _standard_io(self, protocol: stdio.StdioProtocol, stdin: int, stdout: int, reactor: object) -> None:
        self.console, self.descriptors = protocol, (stdin, stdout)
        protocol.makeConnection(self.transport)

    def test_daemon(self) -> None:
        """In the background there is a node and no console."""
        node = self.make("p2pchat", "--name", "alice", "--port", "7171", "--rendezvous", "none")
        self.assertEqual((node.own, node.settings.port, node.registration), ("alice@lobby", 7171, None))
        self.assertIsNone(self.console_of(node))

    def test_foreground(self) -> None:
        """In the foreground there is a console, whose first lines say who, where and how."""
        node = self.start("-n", "p2pchat", "--name", "alice")
        log = self.state / "p2pchat" / "lobby" / "alice" / "p2pchat.log"
        self.assertEqual(
            self.output,
            [
                "You are alice@lobby.",
                "Port: 7070 on all addresses of this machine.",
                "Rendezvous: 127.0.0.1:5000, shared with the peers here.",
                f"Key: {fingerprint(node.gate.keys.identity.key)}.",
                f"Log: {log}.",
                "Type /help for all commands, /msg @bob hello to talk, /quit to leave.",
                "Welcome! Three things to try:",
                "  /peers             who is here",
                "  /msg #lobby hello  say it to all of your group",
                "  /verify bob        make sure that nobody is between you and bob",
            ],
        )

    def test_not_the_first_start(self) -> None:
        """Who has started before is not greeted as a newcomer."""
        words = ("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        self.begin(*words)
        self.end_programs()
        self.start(*words)
        self.assertTrue(self.output[-1].startswith("Type /help"))

    def test_other_first_lines(self) -> None:
        """They say what was asked for, where something was."""
        node = self.start(
            *("-n", "--syslog", "p2pchat", "--name", "alice", "--namespace", "UnB", "--port", "7171"),
            *("--interface", "127.0.0.1", "--rendezvous", "none"),
        )
        self.assertEqual(
            self.output[:5],
            [
                "You are alice@UnB.",
                "Port: 7171 on 127.0.0.1.",
                "Rendezvous: none.",
                f"Key: {fingerprint(node.gate.keys.identity.key)}.",
                "Log: where twistd was told to write it.",
            ],
        )

    def test_free_port(self) -> None:
        """Where 7070 is taken and was not asked for, the first lines say which port it is instead."""
        self.network.ports["10.0.1.1", 7070] = cast(Any, None)
        self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        self.assertIn("Port: 49152 on all addresses of this machine.", self.output)

    def test_commands(self) -> None:
        """What is typed is carried out on the node."""
        self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        self.console.dataReceived(b"/status\n/log debug\n/log info\n")
        self.assertIn("You are alice@lobby, for 0 s.", self.output)
        self.assertEqual(self.output[-1], "The log gets info and above.")

    def test_hang_up(self) -> None:
        """SIGHUP ends who sits at a terminal, and opens the log anew where nobody does."""
        foreground = ("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        for words, is_terminal, stops in (
            (foreground, True, 1),
            (foreground, False, 0),
            (foreground[1:], True, 0),
        ):
            self.reactor.stops = 0
            with (
                mock.patch.object(tap, "is_terminal", return_value=is_terminal),
                mock.patch.object(logfile, "reopen") as reopen,
            ):
                node = self.make(*words)
            node.startService()
            os.kill(os.getpid(), signal.SIGHUP)
            self.reactor.run_from_thread()
            self.assertEqual((self.reactor.stops, reopen.call_count), (stops, 1 - stops))
            node.stopService()
            self.network.advance(3)
            self.end_programs()

    def test_which_console(self) -> None:
        """Who sits at a full terminal gets one, unless the log is written to it; others get plain lines."""
        foreground = ("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        for words, term, has_terminal in (
            (foreground, "xterm", True),
            (foreground, "dumb", False),
            (foreground, "", False),
            (("-n", "-l", "-", *foreground[1:]), "xterm", False),
            (foreground[1:], "xterm", False),
        ):
            with (
                mock.patch.object(tap, "is_terminal", return_value=True),
                mock.patch.object(tap.Options, "environment", {"TERM": term}),
            ):
                node = self.make(*words)
            found = any(isinstance(service, TerminalConsole) for service in node)
            has_lines = words[0] == "-n" and not has_terminal
            self.assertEqual((found, self.console_of(node) is not None), (has_terminal, has_lines))
            self.end_programs()

    def test_terminal(self) -> None:
        """An input that is closed or no terminal is none."""
        closed = io.StringIO()
        closed.close()
        terminal = mock.Mock(closed=False, isatty=lambda: True)
        found = [tap.is_terminal(one) for one in (None, closed, io.StringIO(), terminal)]
        self.assertEqual(found, [False, False, False, True])

    def test_quit(self) -> None:
        """`/quit` stops the reactor, also where a signal has done so a moment before."""
        self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        self.console.dataReceived(b"/quit\n")
        self.assertEqual(self.reactor.stops, 1)
        self.console.writeConnectionLost()
        self.assertEqual(self.reactor.stops, 1)

    def test_identifiers(self) -> None:
        """Section 4: a msg_id is 128 random bits, and arrivals have the time of day."""
        node = self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        ids = {node.send(cast(Any, f"p{number}@lobby"), "hi").msg_id for number in range(50)}
        self.assertEqual((len(ids), {len(msg_id) for msg_id in ids}), (50, {32}))
        for msg_id in ids:
            int(msg_id, 16)
        self.assertRegex(node.switchboard.around.timestamp(), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_descriptors(self) -> None:
        """Input and output are those of the process."""
        self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        self.assertEqual(self.descriptors, (0, 1))

    def test_closed_descriptors(self) -> None:
        """Where one of them was closed at the start its number means something else now: it is left alone."""
        self.patch(sys, "__stdin__", None)
        self.patch(sys, "__stdout__", None)
        node = self.make("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        node.startService()
        for descriptor in self.descriptors:
            # Only after the node was stopped, which leaves them as they were.
            self.addCleanup(os.close, descriptor)
        self.addCleanup(self.network.advance, 3)
        self.addCleanup(node.stopService)
        for descriptor in self.descriptors:
            self.assertGreater(descriptor, 2)
            self.assertTrue(stdio.is_null(descriptor))

    def test_global_reactor(self) -> None:
        """Only here the reactor may be the global one."""
        options = self.begin("p2pchat", "--name", "alice").subOptions
        assert isinstance(options, tap.Options)
        from twisted.internet import reactor

        self.patch(reactor, "seconds", IReactorTime(reactor).seconds)  # put back what is set there
        node = tap.makeService(options)
        self.assertIs(IReactorTime(reactor).seconds, time.monotonic)
        self.assertTrue(IService.providedBy(node) and IReactorCore.providedBy(reactor))
        assert isinstance(node, Node)
        self.assertIs(node.switchboard._reactor, cast(Reactor, reactor))
