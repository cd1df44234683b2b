"""The grammar of the command line: what is read, and what is said to what cannot be read."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.console import commands
from p2pchat.console.commands import Command, Mistyped, help_text, parse
from p2pchat.protocol.names import Destination, PeerId, ToAll, ToNamespace, ToPeer

BOB = PeerId("bob@UnB")
TO_BOB = ToPeer(BOB)

#: What is typed, and what is meant.
READ: list[tuple[str, Command]] = [
    ("/peers", commands.Peers(ToNamespace("UnB"))),
    ("/peers #Giga", commands.Peers(ToNamespace("Giga"))),
    ("/peers *", commands.Peers(ToAll())),
    ("/connect bob", commands.Connect(BOB)),
    ("/connect @bob", commands.Connect(BOB)),
    ("/connect bob@Giga", commands.Connect(PeerId("bob@Giga"))),
    ("/disconnect bob", commands.Disconnect(BOB)),
    ("/msg @bob hello", commands.Say(TO_BOB, "hello")),
    ("/msg @bob@Giga hello there", commands.Say(ToPeer(PeerId("bob@Giga")), "hello there")),
    ("/msg #UnB hello", commands.Say(ToNamespace("UnB"), "hello")),
    ("/msg * hello", commands.Say(ToAll(), "hello")),
    ("/msg @bob /quit", commands.Say(TO_BOB, "/quit")),
    ("/msg @bob two  blanks \t inside", commands.Say(TO_BOB, "two  blanks \t inside")),
    ("/routes", commands.Routes()),
    ("/who bob", commands.Who(BOB)),
    ("/verify bob", commands.Verify(BOB, is_same=False)),
    ("/verify bob yes", commands.Verify(BOB, is_same=True)),
    ("/trust bob", commands.Trust(BOB)),
    ("/block bob", commands.Block(BOB)),
    ("/unblock @bob@UnB", commands.Unblock(BOB)),
    ("/outbox", commands.Outbox()),
    ("/cancel 3", commands.Cancel(number=3)),
    ("/cancel #3", commands.Cancel(number=3)),
    ("/cancel bob", commands.Cancel(peer_id=BOB)),
    ("/cancel @3", commands.Cancel(peer_id=PeerId("3@UnB"))),
    ("/cancel all", commands.Cancel()),
    ("/history", commands.History(None, commands.DEFAULT_COUNT)),
    ("/history 7", commands.History(None, 7)),
    ("/history bob", commands.History(TO_BOB, commands.DEFAULT_COUNT)),
    ("/history @bob@UnB 200", commands.History(TO_BOB, 200)),
    ("/history #UnB", commands.History(ToNamespace("UnB"), commands.DEFAULT_COUNT)),
    ("/history * 3", commands.History(ToAll(), 3)),
    ("/search two  words", commands.Search("two  words")),
    ("/ping bob", commands.Ping(BOB)),
    ("/watch", commands.Watch()),
    ("/status", commands.Status()),
    ("/metrics", commands.Metrics(None)),
    ("/metrics bob", commands.Metrics(BOB)),
    ("/log debug", commands.Log("debug")),
    ("/log WARN", commands.Log("warn")),
    ("/help", commands.Help(help_text())),
    ("/quit", commands.Quit()),
]

#: What is typed, and what is said to it besides how it is written and an example.
WRONG = [
    ("/peers @bob", "It takes a namespace or *, not a peer"),
    ("/peers UnB", "a destination is @peer, #namespace or *"),
    ("/peers #UnB #Giga", "It takes one namespace or * and nothing more"),
    ("/peers #", "a namespace has 1 to 64 characters, this one has 0"),
    ("/connect", "Say which peer"),
    ("/connect bob carol", "It takes one peer and nothing more"),
    ("/connect @", "a name has 1 to 64 characters, this one has 0"),
    ("/connect bob@", "a namespace has 1 to 64 characters, this one has 0"),
    ("/disconnect", "Say which peer"),
    ("/msg", "Say to whom, and what"),
    ("/msg @bob", "There is no text"),
    ("/msg bob hello", "a destination is @peer, #namespace or *"),
    ("/msg # hello", "a namespace has 1 to 64 characters, this one has 0"),
    ("/msg @ hello", "a name has 1 to 64 characters, this one has 0"),
    (f"/msg @{'b' * 65} hello", "a name has 1 to 64 characters, this one has 65"),
    (f"/msg #{'b' * 65} hello", "a namespace has 1 to 64 characters, this one has 65"),
    ("/routes all", "It takes nothing more"),
    ("/who", "Say which peer"),
    ("/verify", "Say which peer"),
    ("/verify bob no", "It takes one peer, and behind it yes or nothing"),
    *((f"/{name}", "Say which peer") for name in ("trust", "block", "unblock")),
    ("/outbox bob", "It takes nothing more"),
    ("/cancel", "Say which message"),
    ("/cancel 1 2", "It takes one peer and nothing more"),
    ("/history bob carol", "It takes a peer, a namespace or *, and a number behind it"),
    ("/history 20 bob 3", "It takes a peer, a namespace or *, and a number behind it"),
    ("/history bob 0", "It shows 1 to 200 messages"),
    ("/history 201", "It shows 1 to 200 messages"),
    ("/history #", "a namespace has 1 to 64 characters, this one has 0"),
    ("/search", "Say which words"),
    ("/ping", "Say which peer"),
    ("/watch on", "It takes nothing more"),
    ("/status please", "It takes nothing more"),
    ("/metrics bob carol", "It takes one peer and nothing more"),
    ("/log", "A level is one of debug, info, warn, error, critical"),
    ("/log loud", "A level is one of debug, info, warn, error, critical"),
    ("/help nonsense", "There is no command /nonsense"),
    ("/help mgs", "There is no command /mgs. Did you mean /msg?"),
    ("/quit now", "It takes nothing more"),
]

#: How each command is written, and a whole line of it.
FORMS = {
    "peers": ("/peers [#namespace | *]", "/peers *"),
    "connect": ("/connect peer", "/connect bob"),
    "disconnect": ("/disconnect peer", "/disconnect bob"),
    "msg": ("/msg @peer | #namespace | * text", "/msg @bob hello"),
    "routes": ("/routes", "/routes"),
    "who": ("/who peer", "/who bob"),
    "verify": ("/verify peer [yes]", "/verify bob"),
    "trust": ("/trust peer", "/trust bob"),
    "block": ("/block peer", "/block bob"),
    "unblock": ("/unblock peer", "/unblock bob"),
    "outbox": ("/outbox", "/outbox"),
    "cancel": ("/cancel number | peer | all", "/cancel 3"),
    "history": ("/history [peer | #namespace | *] [number]", "/history bob 50"),
    "search": ("/search words", "/search train tomorrow"),
    "ping": ("/ping peer", "/ping bob"),
    "watch": ("/watch", "/watch"),
    "status": ("/status", "/status"),
    "metrics": ("/metrics [peer]", "/metrics"),
    "log": ("/log LEVEL", "/log debug"),
    "help": ("/help [command]", "/help msg"),
    "quit": ("/quit", "/quit"),
}


def read(line: str, last: Destination | None = None) -> Command | None:
    """Read a line of a user in UnB."""
    return parse(line, "UnB", last)


class CommandTestCase(SynchronousTestCase):
    def mistake(self, line: str, last: Destination | None = None) -> str:
        """Assert that *line* is no command; return what the user is told."""
        return str(self.assertRaises(Mistyped, read, line, last))


class ReadTests(CommandTestCase):
    def test_commands(self) -> None:
        """Every command of section 10 is read, with a peer of the own namespace by its name alone."""
        for line, command in READ:
            self.assertEqual(read(line), command, line)

    def test_any_blanks(self) -> None:
        """Blanks of any kind may stand around and between the words, as when they were pasted."""
        for line in (
            "  /msg @bob hello  ",
            "/msg   @bob   hello",
            "/msg\t@bob\thello",
            "/msg\xa0@bob\xa0hello\r",
        ):
            self.assertEqual(read(line), commands.Say(TO_BOB, "hello"), line)
        self.assertEqual(read("/ping\tbob"), commands.Ping(BOB))

    def test_nothing(self) -> None:
        """An empty line is nothing, wherever the last message went."""
        for line in ("", "   ", "\t", "\r"):
            self.assertEqual((read(line), read(line, TO_BOB)), (None, None))

    def test_without_a_slash(self) -> None:
        """A line without a slash goes to the last destination, whatever kind that is."""
        for last in (TO_BOB, ToNamespace("UnB"), ToAll()):
            self.assertEqual(read("how are you? /fine", last), commands.Say(last, "how are you? /fine"))

    def test_without_a_slash_at_first(self) -> None:
        """Where nothing was sent before, the user is asked to whom, with an example."""
        self.assertEqual(
            self.mistake("hello"), "To whom? Begin with a destination, for example: /msg @bob hello"
        )

    def test_slash_is_never_a_text(self) -> None:
        """A line with a slash is never sent to the last destination: it may be a command mistyped."""
        for line in ("/", "//", "/ msg @bob hi", "/usr/bin is full", "/mgs @bob secret"):
            self.assertIn("There is no command", self.mistake(line, TO_BOB))


class MistakeTests(CommandTestCase):
    def test_arguments(self) -> None:
        """Wrong arguments are told with what is wrong, what was expected, and an example."""
        for line, what in WRONG:
            form, example_line = FORMS[line.split()[0].removeprefix("/")]
            end = "" if what.endswith("?") else "."
            self.assertEqual(
                self.mistake(line), f"{what}{end} Expected: {form}   Example: {example_line}", line
            )

    def test_unknown_command(self) -> None:
        """An unknown command is told with where to find all."""
        self.assertEqual(self.mistake("/xyzzy"), "There is no command /xyzzy. /help shows all commands.")

    def test_nearest(self) -> None:
        """A command that is nearly one of ours is answered with the nearest, whatever its case."""
        for typed, meant in (
            ("mgs", "msg"),
            ("peer", "peers"),
            ("conect", "connect"),
            ("MSG", "msg"),
            ("Quit", "quit"),
            ("statis", "status"),
        ):
            self.assertEqual(
                self.mistake(f"/{typed} x"),
                f"There is no command /{typed}. Did you mean /{meant}? /help shows all commands.",
            )

    def test_endless_command(self) -> None:
        """Only the beginning of a long word is repeated."""
        self.assertLess(len(self.mistake("/" + "x" * 100_000)), 100)

    @given(st.text(), st.sampled_from(sorted(FORMS)), st.text())
    @example("", "msg", "@a@ x")
    @example("/", "", "")
    def test_anything(self, before: str, name: str, after: str) -> None:
        """Any line at all is a command, nothing, or told to be none."""
        for line in (before, f"/{name} {after}", f"{before}/{name}{after}"):
            try:
                command = read(line)
            except Mistyped as problem:
                self.assertTrue(str(problem))
            else:
                self.assertTrue(command is None or isinstance(command, Command))


class HelpTests(CommandTestCase):
    def test_all(self) -> None:
        """The help has a line for each command, as it is written and with what it does."""
        lines = help_text().splitlines()
        for form, _ in FORMS.values():
            (found,) = [line for line in lines if line.startswith(form + "  ")]
            self.assertTrue(found.removeprefix(form).strip())
        self.assertEqual(lines[-1], "A line without a slash goes to the last destination.")
        self.assertEqual(len(lines), len(FORMS) + 1)

    def test_one(self) -> None:
        """The help on one command has how it is written, what it does, and an example that can be typed."""
        for name, (form, example_line) in FORMS.items():
            for line in (f"/help {name}", f"/help /{name}"):
                command = read(line)
                assert isinstance(command, commands.Help)
                lines = command.text.splitlines()
                self.assertEqual((lines[0], lines[2]), (form, f"  Example: {example_line}"))
            self.assertIsNotNone(read(example_line))

    def test_more(self) -> None:
        """Where there is more to know about a command, it is there."""
        command = read("/help msg")
        assert isinstance(command, commands.Help)
        self.assertIn("@bob@namespace", command.text.splitlines()[-1])
