"""What the two plugins share in reading their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python import usage

from p2pchat.addresses import Address
from p2pchat.options import EnvironmentOptions, address, check_port_is_free, interface, number
from tests.programs import ProgramTestCase


class Options(EnvironmentOptions):
    """Two options, for the tests."""

    optParameters = [["some-port", None, None, "A port."], ["name", None, None, "A name."]]  # noqa: RUF012


class EnvironmentTests(ProgramTestCase):
    def options(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(arguments)
        return options

    def test_command_line_wins(self) -> None:
        """A value comes from the command line, else from the environment, else it is the default."""
        for arguments, variable, value in (
            (["--some-port", "1"], "2", 1),
            (["--some-port", "1"], None, 1),
            ([], "2", 2),
            ([], None, 3),
            ([], "", 3),
        ):
            self.environment.clear()
            if variable is not None:
                self.environment["P2PCHAT_SOME_PORT"] = variable
            self.assertEqual(self.options(*arguments).read("some-port", int, 3), value)

    def test_another_prefix(self) -> None:
        """Each plugin has a prefix of its own."""
        options = self.options()
        options.prefix = "OTHER_"
        self.environment.update({"OTHER_NAME": "yes", "P2PCHAT_NAME": "no"})
        self.assertEqual((options.variable("some-port"), options.raw("name")), ("OTHER_SOME_PORT", "yes"))

    def test_wrong_value(self) -> None:
        """A wrong value names the option, the variable, and what would be right, wherever it came from."""
        self.environment["P2PCHAT_SOME_PORT"] = "x"
        for options in (self.options(), self.options("--some-port", "x")):
            problem = self.assertRaises(usage.UsageError, options.read, "some-port", number(1, 9), None)
            self.assertEqual(
                str(problem),
                "--some-port (or P2PCHAT_SOME_PORT): expected a whole number from 1 to 9, got 'x'",
            )

    def test_empty_value(self) -> None:
        """An empty value on the command line is a wrong one; an empty variable is none."""
        self.assertRaises(
            usage.UsageError, self.options("--some-port", "").read, "some-port", number(1, 9), None
        )

    def test_stray_word(self) -> None:
        """A word that belongs to no option is refused, with how values are given."""
        problem = self.assertRaises(usage.UsageError, self.options, "alice\x1b")
        self.assertEqual(
            str(problem), "'alice\\x1b' follows no option; a value stands behind its option: --option value"
        )


class FlagTests(ProgramTestCase):
    def test_flag(self) -> None:
        """A flag is set on the command line, or in the environment to yes or no and nothing else."""
        self.assertTrue(self.peer("--require-tls").own_keys.rules.require_tls)
        self.end_programs()
        for text, is_on in (("yes", True), ("YES", True), ("no", False), ("", False)):
            self.environment["P2PCHAT_REQUIRE_TLS"] = text
            self.assertEqual(self.peer().own_keys.rules.require_tls, is_on)
            self.end_programs()
        self.environment["P2PCHAT_REQUIRE_TLS"] = "1"
        told = self.refused("-n", "p2pchat", "--name", "alice")
        self.assertEqual(told, "P2PCHAT_REQUIRE_TLS: expected yes or no, got '1'")


class ValueTests(ProgramTestCase):
    def assert_read(
        self, parse: Callable[[str], Any], good: dict[str, Any], bad: list[str], words: str
    ) -> None:
        """Assert that *good* is read as it should be, and *bad* refused with *words* and what it was."""
        for text, value in good.items():
            self.assertEqual(parse(text), value)
        for text in bad:
            problem = str(self.assertRaises(ValueError, parse, text))
            self.assertIn(words, problem)
            self.assertTrue(problem.isascii() and problem.isprintable())

    def test_numbers(self) -> None:
        """A number is written in digits and in its range; nothing else is guessed at."""
        bad = [
            "0",
            "65536",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x10",
            "",
            "x",
            "٣",
            "²",
            "1_0",
            "9" * 5000,
            "\x1b",
        ]
        self.assert_read(
            number(1, 65535),
            {"1": 1, "65535": 65535, "007": 7},
            bad,
            "expected a whole number from 1 to 65535, got ",
        )

    def test_addresses(self) -> None:
        """An address is a host and a port, with brackets around IPv6."""
        self.assert_read(
            address,
            {
                "192.0.2.7:7070": Address("192.0.2.7", 7070),
                "example.org:1": Address("example.org", 1),
                "[::1]:65535": Address("::1", 65535),
            },
            ["", "host", "host:", ":7070", "::1:7070", "a b:1", "host:x", "host:-1", "host:123456"],
            "expected HOST:PORT, for example 192.0.2.7:7070 or [::1]:7070, got ",
        )
        self.assert_read(address, {}, ["host:0", "host:65536"], "a port is from 1 to 65535, got ")

    def test_interfaces(self) -> None:
        """An interface is an IP address of this machine."""
        self.assert_read(
            interface,
            {"127.0.0.1": "127.0.0.1", "::1": "::1", "0.0.0.0": "0.0.0.0"},
            ["", "localhost", "127.1", "eth0", "127.0.0.1:7070", "*"],
            "expected an IP address of this machine, such as 127.0.0.1, got ",
        )
        self.assert_read(
            interface,
            {},
            ["192.0.2.1", "2001:db8::1"],
            "is not an address of this machine (Cannot assign requested address)",
        )
        self.assertEqual(self.sockets.opened, self.sockets.closed)


class PortTests(ProgramTestCase):
    def test_free(self) -> None:
        """A port that is free is let pass, and is free afterwards."""
        for host in ("", "127.0.0.1", "::1"):
            check_port_is_free("port", 7070, host)
        self.assertEqual((self.sockets.opened, self.sockets.closed), (3, 3))

    def test_not_free(self) -> None:
        """A port that is taken or not allowed is refused with the reason and what to do."""
        self.sockets.taken.add(7070)
        for port, why in ((7070, "Address already in use"), (80, "Permission denied")):
            problem = self.assertRaises(usage.UsageError, check_port_is_free, "port", port, "")
            self.assertEqual(str(problem), f"--port: port {port} cannot be used ({why}); choose another")
        self.assertEqual(self.sockets.opened, self.sockets.closed)
