"""``twistd p2pchat-rendezvous``: its options, and the service that they make."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime

from p2pchat import rendezvous_tap
from p2pchat.addresses import Reactor
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.testing import MemoryNetwork
from tests.programs import ProgramTestCase
from tests.rendezvous.certificates import Authority

#: Each option with a value, and the attribute that it becomes.
GOOD: list[tuple[str, str, tuple[str, Any]]] = [
    ("port", "8080", ("port", 8080)),
    ("port", "65535", ("port", 65535)),
    ("interface", "127.0.0.1", ("interface", "127.0.0.1")),
    ("interface", "::1", ("interface", "::1")),
    ("request-timeout", "10", ("timeout_s", 10)),
]

#: Each option with values that are wrong, and what the user is told.
BAD: list[tuple[str, str, str]] = [
    *(("port", text, "expected a whole number from 1 to 65535") for text in ("0", "65536", "x")),
    *(("request-timeout", text, "expected a whole number from 1 to 10") for text in ("0", "11", "1.5", "2s")),
    ("interface", "localhost", "expected an IP address of this machine, such as 127.0.0.1, got 'localhost'"),
    ("interface", "192.0.2.1", "192.0.2.1 is not an address of this machine"),
    ("tls-certificate", "/nowhere", "the file '/nowhere' cannot be read (No such file or directory)"),
]

#: Each option as the help shows it: its unit or form, and its default.
HELP = {
    "port": ("TCP port to listen on, 1 to 65535", "[default: 5000]"),
    "interface": ("IP address", "[default: all of this machine]"),
    "request-timeout": ("Seconds of silence that end a connection, 1 to 10", "[default: 1]"),
    "tls-certificate": ("PEM file with a private key", "[default: none, plain TCP]"),
    "data-dir": ("Folder", "[default: a folder of its own under the state folder of the user]"),
}


def variable(option: str) -> str:
    """Return the variable of an option, as its help says it."""
    return "P2PCHAT_RENDEZVOUS_" + option.replace("-", "_").upper()


class OptionTests(ProgramTestCase):
    def test_defaults(self) -> None:
        """Everything has its default."""
        options = self.rendezvous()
        self.assertEqual((options.port, options.interface, options.timeout_s), (5000, "", 1))
        self.assertIsNone(options.tls)

    def test_good_values(self) -> None:
        """Every option takes what it should, from the command line and from the environment."""
        for option, text, (attribute, value) in GOOD:
            self.assertEqual(getattr(self.rendezvous(f"--{option}", text), attribute), value)
            self.end_programs()
            self.environment[variable(option)] = text
            self.assertEqual(getattr(self.rendezvous(), attribute), value)
            self.end_programs()
            self.environment.clear()

    def test_bad_values(self) -> None:
        """Every wrong value is refused with its option, its variable and what would be right."""
        for option, text, words in BAD:
            for arguments in ([f"--{option}", text], []):
                if not arguments:
                    self.environment[variable(option)] = text
                told = self.refused("-n", "p2pchat-rendezvous", *arguments)
                self.assertTrue(told.startswith(f"--{option} (or {variable(option)}): "), told)
                self.assertIn(words, told)
            self.environment.clear()
        self.assertFalse(self.state.exists())

    def test_command_line_wins(self) -> None:
        """Where both are given the command line wins, for every option."""
        self.environment.update({variable(option): "wrong" for option in HELP})
        data, certificate = self.folder / "data", self.folder / "pem"
        certificate.write_bytes(Authority().issue("h"))
        options = self.rendezvous(
            *(
                "--port",
                "8080",
                "--interface",
                "127.0.0.1",
                "--request-timeout",
                "5",
                "--data-dir",
                str(data),
            ),
            *("--tls-certificate", str(certificate)),
        )
        self.assertIsNotNone(options.tls)
        self.assertEqual((options.port, options.interface, options.timeout_s), (8080, "127.0.0.1", 5))
        self.assertEqual(options.twistd["pidfile"], str(data / "twistd.pid"))

    def test_variables_of_a_peer(self) -> None:
        """The variables of the other plugin are not those of this one."""
        self.environment.update({"P2PCHAT_PORT": "7171", "P2PCHAT_INTERFACE": "::1"})
        options = self.rendezvous()
        self.assertEqual((options.port, options.interface), (5000, ""))

    def test_stray_word(self) -> None:
        """A port without its option is refused with how it should be."""
        self.assertIn("'5000' follows no option", self.refused("-n", "p2pchat-rendezvous", "5000"))

    def test_help(self) -> None:
        """The help explains each option with its unit and its default, and the variables."""
        text = re.sub(r"\s+", " ", str(rendezvous_tap.Options()))
        parts = dict(re.findall(r"--([a-z-]+)= (.*?)(?= --[a-z-]+= | --help|$)", text))
        self.assertEqual(set(parts), set(HELP))
        for option, words in HELP.items():
            for word in words:
                self.assertIn(word, parts[option])
        self.assertIn("P2PCHAT_RENDEZVOUS_PORT for --port and so on; the command line wins", text)


class PlaceTests(ProgramTestCase):
    def test_defaults(self) -> None:
        """The pid file is in a folder of each port's own; the log is where twistd has it."""
        for port in ("5000", "8080"):
            twistd = self.rendezvous("--port", port).twistd
            place = self.state / "p2pchat" / "@rendezvous" / port / "twistd.pid"
            self.assertEqual((twistd["pidfile"], twistd["logfile"]), (str(place), None))

    def test_no_peer_is_there(self) -> None:
        """No peer can have a name that leads to the same folder."""
        self.rendezvous()
        self.peer("--namespace", "rendezvous", name="5000")
        self.refused("-n", "p2pchat", "--name", "5000", "--namespace", "@rendezvous")

    def test_port_taken(self) -> None:
        """A port that is taken is refused."""
        self.sockets.taken.add(5000)
        self.assertEqual(
            self.refused("-n", "p2pchat-rendezvous"),
            "--port: port 5000 cannot be used (Address already in use); choose another",
        )

    def test_second_instance(self) -> None:
        """A second one on the same port is refused, and told to choose another port."""
        Path(self.rendezvous().twistd["pidfile"]).write_text("4711")
        self.assertEqual(
            self.refused("-n", "p2pchat-rendezvous"),
            "The rendezvous on port 5000 runs already, as process 4711. "
            "Choose another port, or end it first: kill 4711",
        )


class ServiceTests(ProgramTestCase):
    def test_serves(self) -> None:
        """It makes the server that the options ask for."""
        network = MemoryNetwork()
        options = self.rendezvous("--port", "8080", "--request-timeout", "5")
        server = rendezvous_tap.makeService(options, reactor=network.host("10.0.0.9"))
        assert isinstance(server, RendezvousServer)
        server.startService()
        self.assertEqual(list(network.ports), [("10.0.0.9", 8080)])
        server.stopService()
        network.advance(3)
        self.assertEqual((network.ports, network.clock.getDelayedCalls()), ({}, []))

    def test_global_reactor(self) -> None:
        """Only here the reactor may be the global one."""
        from twisted.internet import reactor

        self.patch(reactor, "seconds", IReactorTime(reactor).seconds)  # put back what is set there
        server = rendezvous_tap.makeService(self.rendezvous())
        assert isinstance(server, RendezvousServer)
        self.assertIs(server._reactor, cast(Reactor, reactor))
        self.assertIs(IReactorTime(reactor).seconds, time.monotonic)
