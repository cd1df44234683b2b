"""The console, driven by a pipe, a file, a terminal, and signals."""

from __future__ import annotations

import os
import pty
import signal
import termios

from tests.system.machine import SystemTests


class PipeTests(SystemTests):
    """Input that ends."""

    def test_end_of_input_waits_for_the_outcome(self) -> None:
        """End of input on a pipe ends the node after what was read has been sent and confirmed."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        alice = self.machine.peer("alice")
        alice.say("/msg @bob one", "/msg #lobby two", "/msg * three")
        alice.write(b"/msg @bob last words without a line end")
        alice.end_input()
        self.assertEqual(alice.ended(), 0)
        self.assertIn("#1 to @bob@lobby: confirmed in", str(alice))
        self.assertIn("#2 to #lobby: sent to 1 neighbour", str(alice))
        bob.until("alice@lobby is no longer linked")
        for text in ("one", "two", "three", "last words without a line end"):
            self.assertIn(f": {text}\n", str(bob))

    def test_end_of_input_reports_failure(self) -> None:
        """A message that nobody takes is reported before the node ends."""
        alice = self.machine.peer("alice", "--rendezvous", "none")
        alice.say("/msg @bob hello")
        alice.end_input()
        alice.until("#1 to @bob@lobby: not delivered yet: no_route: no link with it within 5 s")
        self.assertEqual(alice.ended(), 0)

    def test_thousands_of_lines(self) -> None:
        """A pipe may be much faster than the network: every message is confirmed, none is refused."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        alice = self.machine.peer("alice")
        alice.write(b"".join(b"/msg @bob number %d\n" % number for number in range(3000)))
        alice.end_input()
        self.assertEqual(alice.ended(), 0)
        self.assertEqual(sum("confirmed in" in line for line in alice.output), 3000)
        bob.until("number 2999$")
        received = [line.partition("number ")[2] for line in bob.output if "number " in line]
        self.assertEqual(received, [str(number) for number in range(3000)])

    def test_file_as_input(self) -> None:
        """A file as input works like a pipe."""
        path = self.machine.folder / "commands"
        path.write_text("/status\n/nonsense\n")
        with path.open() as file:
            alice = self.machine.twistd("-n", "p2pchat", "--name", "alice", stdin=file.fileno())
        alice.until("You are alice@lobby, for")
        alice.until("There is no command /nonsense")
        self.assertEqual(alice.ended(), 0)

    def test_no_input_at_all(self) -> None:
        """With /dev/null as input, as service managers give it, the node stays."""
        null = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, null)
        alice = self.machine.twistd("-n", "p2pchat", "--name", "alice", stdin=null)
        alice.until("registered at")
        bob = self.machine.peer("bob")
        bob.say("/msg @alice are you there")
        bob.until("confirmed in")
        alice.kill(signal.SIGTERM)
        self.assertEqual(alice.ended(), -signal.SIGTERM)

    def test_input_that_is_not_text(self) -> None:
        """Bytes that are not UTF-8 and endless lines are refused, and the console goes on."""
        alice = self.machine.peer("alice", "--rendezvous", "none")
        alice.write(b"/msg @bob \xff\xfe\n" + b"x" * 600_000 + b"\n/status\n")
        alice.until("That was not UTF-8 text. Nothing was sent.")
        alice.until("A line has at most 262144 bytes. Nothing was sent.")
        alice.until("You are alice@lobby, for")

    def test_too_long_a_message(self) -> None:
        """A message that is too long is refused with both sizes, before anything is sent."""
        alice = self.machine.peer("alice", "--rendezvous", "none")
        alice.say("/msg @bob " + "x" * 40_000)
        alice.until(r"message too long: 40\d\d\d bytes on the wire, the limit is 32768")


class EndTests(SystemTests):
    """The ways to end it at once."""

    def test_quit_and_interrupt(self) -> None:
        """`/quit` and Ctrl-C end the node cleanly: it says BYE, and is registered no more."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        for end in ("/quit", "Ctrl-C"):
            alice = self.machine.peer("alice")
            alice.until("bob@lobby is linked")
            if end == "/quit":
                alice.say("/quit")
                self.assertEqual(alice.ended(), 0)
            else:
                alice.kill(signal.SIGINT)
                self.assertEqual(alice.ended(), -signal.SIGINT)
            bob.until("alice@lobby is no longer linked: the peer said BYE")
            answer = self.machine.ask(5000, b'{"type":"DISCOVER"}\n')
            self.assertNotIn("alice", answer)
            self.assertFalse((self.machine.state / "p2pchat" / "lobby" / "alice" / "twistd.pid").exists())

    def test_terminal_is_left_as_it_was(self) -> None:
        """After the end on a terminal its settings are those of before, and reading it blocks."""
        controller, terminal = pty.openpty()
        for fd in (controller, terminal):
            self.addCleanup(os.close, fd)
        before = termios.tcgetattr(terminal)
        alice = self.machine.twistd("-n", "p2pchat", "--name", "alice", stdin=terminal)
        alice.until("registered at")
        os.write(controller, b"/quit\n")
        self.assertEqual(alice.ended(), 0)
        self.assertEqual(termios.tcgetattr(terminal), before)
        self.assertTrue(os.get_blocking(terminal))


class StrangeTextTests(SystemTests):
    """What peers send cannot do anything to the screen."""

    def test_control_characters(self) -> None:
        """Cursor moves, bells, colours, line ends and reversals arrive as visible signs."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        alice = self.machine.peer("alice")
        alice.until("bob@lobby is linked")
        alice.say("/msg @bob \x1b[2J\x07 red\x1b[31m back\x08 \u202etxet\u2066 \x9b end")
        line = bob.until("alice@lobby to @bob@lobby: .* end$")[0]
        self.assertIn("␛[2J␇ red␛[31m back␈ <U+202E>txet<U+2066> <U+009B> end", line)
