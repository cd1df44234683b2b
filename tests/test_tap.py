"""``twistd p2pchat``: its options, and the service that they make."""

from __future__ import annotations

import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.internet.testing import StringTransport

from p2pchat import __version__, settings, tap
from p2pchat.addresses import Address, Reactor
from p2pchat.console import stdio
from p2pchat.console.stdio import StdioConsole
from p2pchat.node import Node
from p2pchat.settings import Settings
from p2pchat.testing import MemoryHost, MemoryNetwork
from tests.programs import ProgramTestCase

#: Each option with values as they are given, and what the settings are then.
GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("port", "7171", {"port": 7171}),
    ("port", "0", {"port": 0}),
    ("interface", "127.0.0.1", {"interface": "127.0.0.1"}),
    ("interface", "::1", {"interface": "::1"}),
    ("advertise-port", "9999", {"advertise_port": 9999}),
    ("rendezvous", "example.org:8080", {"rendezvous": Address("example.org", 8080), "shared": False}),
    ("rendezvous", "127.0.0.1:5000", {"rendezvous": Address("127.0.0.1", 5000), "shared": False}),
    ("rendezvous", "none", {"rendezvous": None, "shared": False}),
    ("rendezvous", " None ", {"rendezvous": None, "shared": False}),
    ("registration-ttl", "1", {"registration_ttl_s": 1}),
    ("registration-ttl", "86400", {"registration_ttl_s": 86400}),
    ("peer", "10.0.0.2:7070", {"peers": (Address("10.0.0.2", 7070),)}),
]

#: Each option with values that are wrong, and what the user is told.
BAD: list[tuple[str, str, str]] = [
    *(("port", text, "expected a whole number from 0 to 65535") for text in ("x", "-1", "65536", "7070.5")),
    *(("advertise-port", text, "expected a whole number from 1 to 65535") for text in ("x", "0", "65536")),
    *(("registration-ttl", text, "expected a whole number from 1 to 86400") for text in ("0", "86401", "2h")),
    *(("interface", text, "expected an IP address of this machine") for text in ("localhost", "eth0")),
    ("interface", "192.0.2.1", "192.0.2.1 is not an address of this machine"),
    *(("rendezvous", text, "expected HOST:PORT") for text in ("example.org", "nobody", "http://x:80/")),
    ("rendezvous", "example.org:0", "a port is from 1 to 65535"),
    *(("peer", text, "expected HOST:PORT") for text in ("bob", "bob@UnB", "10.0.0.2", "none")),
    *(("name", text, "a name has no @, #, *, slash, space or control character") for text in (
        "a@b", "a#b", "*", "a/b", "a\\b", "a b", "a\nb", "a\u202eb", "a\u200db",
    )),
    ("name", "n" * 65, "a name has 1 to 64 characters, this one has 65"),
    *(("name", text, "a name does not start with a dot") for text in (".", "..", ".hidden")),
    ("namespace", "n" * 65, "a namespace has 1 to 64 characters, this one has 65"),
    ("namespace", "#UnB", "a namespace has no @, #, *, slash"),
    ("namespace", "..", "a namespace does not start with a dot"),
]  # fmt: skip

#: Each option as the help shows it: its unit or form, and its default.
HELP = {
    "name": ("1 to 64 characters", "Required."),
    "namespace": ("1 to 64 characters", "[default: lobby]"),
    "port": ("TCP port to listen on", "[default: 7070, or a free one where that is taken]"),
    "interface": ("IP address", "[default: all of this machine]"),
    "advertise-port": ("TCP port to register", "[default: the port]"),
    "rendezvous": ("HOST:PORT", "[default: 127.0.0.1:5000, which one of the peers"),
    "registration-ttl": ("Seconds", "[default: 7200]"),
    "data-dir": ("Folder", "[default: a folder of its own under the state folder of the user]"),
    "peer": ("HOST:PORT", "May be repeated. [default: none]"),
}


def variable(option: str) -> str:
    """Return the variable of an option, as its help says it."""
    return "P2PCHAT_" + option.replace("-", "_").upper()


class OptionTests(ProgramTestCase):
    def test_defaults(self) -> None:
        """With a name alone everything else has its default."""
        options = self.peer()
        self.assertEqual((options.own, options.settings), ("alice@lobby", Settings()))

    def test_good_values(self) -> None:
        """Every option takes what it should, from the command line and from the environment."""
        for option, text, changed in GOOD:
            expected = Settings(**changed)
            self.assertEqual(self.peer(f"--{option}", text).settings, expected)
            self.end_programs()
            self.environment[variable(option)] = text
            self.assertEqual(self.peer().settings, expected)
            self.end_programs()
            self.environment.clear()

    def test_bad_values(self) -> None:
        """Every wrong value is refused with its option, its variable and what would be right."""
        for option, text, words in BAD:
            start = ["-n", "p2pchat"] + (["--name", "alice"] if option != "name" else [])
            for arguments in ([f"--{option}", text], []):
                if not arguments:
                    self.environment[variable(option)] = text
                told = self.refused(*start, *arguments)
                self.assertTrue(told.startswith(f"--{option} (or {variable(option)}): "), told)
                self.assertIn(words, told)
                self.assertTrue(told.isprintable() and told.isascii(), told)
            self.environment.clear()
        self.assertFalse(self.state.exists())

    def test_empty_values(self) -> None:
        """An empty value on the command line is refused; an empty variable counts as none."""
        for option in HELP:
            self.assertTrue(self.refused("-n", "p2pchat", "--name", "alice", f"--{option}", ""), option)
            self.environment[variable(option)] = ""
        self.assertEqual(self.peer().settings, Settings())

    def test_command_line_wins(self) -> None:
        """Where both are given the command line wins, for every option; the other is not even read."""
        self.environment.update({variable(option): f"wrong {option} @" for option in HELP})
        options = self.peer(
            *("--namespace", "UnB", "--port", "7171", "--interface", "127.0.0.1", "--advertise-port", "9"),
            *("--rendezvous", "none", "--registration-ttl", "60", "--peer", "h:1", "--peer", "h:2"),
            *("--data-dir", str(self.folder / "data")),
        )
        peers = (Address("h", 1), Address("h", 2))
        self.assertEqual(options.own, "alice@UnB")
        self.assertEqual(options.settings, Settings(7171, "127.0.0.1", 9, None, False, 60, peers))
        self.assertFalse(self.state.exists())

    def test_name_from_the_environment(self) -> None:
        """Name, namespace and folder come from the environment too."""
        data = self.folder / "data"
        self.environment.update(
            {"P2PCHAT_NAME": "bob", "P2PCHAT_NAMESPACE": "UnB", "P2PCHAT_DATA_DIR": str(data)}
        )
        twistd = self.begin("-n", "p2pchat")
        assert isinstance(twistd.subOptions, tap.Options)
        self.assertEqual(twistd.subOptions.own, "bob@UnB")
        self.assertEqual(twistd["pidfile"], str(data / "twistd.pid"))

    def test_name_is_required(self) -> None:
        """Without a name it is asked for, with an example."""
        self.assertEqual(
            self.refused("-n", "p2pchat"), "--name is required: who are you? For example: --name alice"
        )

    def test_peers_from_the_environment(self) -> None:
        """Several peers in the variable are divided by commas or blanks."""
        one, two = Address("h", 1), Address("::1", 2)
        for text, peers in (
            ("h:1,[::1]:2", (one, two)),
            (" h:1 , [::1]:2 ", (one, two)),
            ("h:1 [::1]:2", (one, two)),
            ("h:1\n[::1]:2,", (one, two)),
            (" , ", ()),
        ):
            self.environment["P2PCHAT_PEER"] = text
            self.assertEqual(self.peer().settings.peers, peers)
            self.end_programs()
        self.environment["P2PCHAT_PEER"] = "h:1 nonsense"
        self.assertIn("expected HOST:PORT", self.refused("-n", "p2pchat", "--name", "alice"))

    def test_options_share_nothing(self) -> None:
        """The peers of one command line are not those of the next."""
        self.peer("--peer", "h:1")
        self.end_programs()
        self.assertEqual(self.peer().settings.peers, ())

    def test_name_without_its_option(self) -> None:
        """A word that belongs to no option is refused with how it should be."""
        self.assertIn("'alice' follows no option", self.refused("-n", "p2pchat", "alice"))

    def test_version(self) -> None:
        """`--version` tells the version of p2pchat, not of Twisted."""
        with redirect_stdout(StringIO()) as printed:
            ended = self.assertRaises(SystemExit, tap.Options().parseOptions, ["--version"])
        self.assertEqual((printed.getvalue(), ended.code), (f"p2pchat {__version__}\n", 0))

    def test_help(self) -> None:
        """The help explains each option with its unit and its default, and the variables."""
        text = re.sub(r"\s+", " ", str(tap.Options()))
        parts = dict(re.findall(r"--([a-z-]+)= (.*?)(?= --[a-z-]+= | --help|$)", text))
        self.assertEqual(set(parts), set(HELP))
        for option, words in HELP.items():
            for word in words:
                self.assertIn(word, parts[option])
        self.assertIn("P2PCHAT_NAME for --name and so on; the command line wins", text)


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
        self.start("-n", "p2pchat", "--name", "alice")
        log = self.state / "p2pchat" / "lobby" / "alice" / "p2pchat.log"
        self.assertEqual(
            self.output,
            [
                "You are alice@lobby.",
                "Port: 7070 on all addresses of this machine.",
                "Rendezvous: 127.0.0.1:5000, shared with the peers here.",
                f"Log: {log}.",
                "Type /help for all commands, /msg @bob hello to talk, /quit to leave.",
            ],
        )

    def test_other_first_lines(self) -> None:
        """They say what was asked for, where something was."""
        self.start(
            *("-n", "--syslog", "p2pchat", "--name", "alice", "--namespace", "UnB", "--port", "7171"),
            *("--interface", "127.0.0.1", "--rendezvous", "none"),
        )
        self.assertEqual(
            self.output[:4],
            [
                "You are alice@UnB.",
                "Port: 7171 on 127.0.0.1.",
                "Rendezvous: none.",
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
        self.start("-n", "p2pchat", "--name", "alice", "--rendezvous", "none")
        for descriptor in self.descriptors:
            self.addCleanup(os.close, descriptor)
            self.assertGreater(descriptor, 2)
            self.assertTrue(stdio.is_null(descriptor))

    def test_global_reactor(self) -> None:
        """Only here the reactor may be the global one."""
        options = self.begin("p2pchat", "--name", "alice").subOptions
        assert isinstance(options, tap.Options)
        from twisted.internet import reactor

        node = tap.makeService(options)
        self.assertTrue(IService.providedBy(node) and IReactorCore.providedBy(reactor))
        assert isinstance(node, Node)
        self.assertIs(node.switchboard._reactor, cast(Reactor, reactor))


class SettingsTests(ProgramTestCase):
    def test_shared_rendezvous(self) -> None:
        """The help names the rendezvous that is used."""
        self.assertEqual(str(settings.SHARED_RENDEZVOUS), "127.0.0.1:5000")
