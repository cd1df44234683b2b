"""A user at the full terminal of a peer: what keys do, and what is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from prompt_toolkit.input import create_pipe_input
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.control.client import NotRunning, Refused
from tests.terminal.events import confirmed, event, heard, taken
from tests.terminal.people import Person


class TerminalTestCase(SynchronousTestCase):
    def at_a_terminal(
        self, does: Callable[[Person], Awaitable[None]], *, ends_peer: bool = False, **peer: Any
    ) -> list[str]:
        """Let a person do something at a terminal, and leave; return what is said then."""

        async def scene() -> list[str]:
            with create_pipe_input() as keys:
                person = Person(keys, ends_peer=ends_peer, **peer)
                await person.sees("linked 1 of 3")
                await does(person)
                person.types("\x05\x15\x04")
                return await person.gone()

        return asyncio.run(scene())


class SeeingTests(TerminalTestCase):
    def test_layout(self) -> None:
        """The conversation, below it who we are and how we do, at the bottom what is typed."""

        async def does(person: Person) -> None:
            person.types("hello")
            await person.sees("> hello")
            self.assertEqual(
                person.glass.rows(),
                ["You are alice@UnB.", " alice@UnB  linked 1 of 3  registered", "> hello"],
            )

        self.assertEqual(
            self.at_a_terminal(does), ["alice@UnB goes on. To come back: p2pchat attach alice@UnB"]
        )

    def test_arriving(self) -> None:
        """What arrives does not disturb what is being typed; marks change where they stand."""

        async def does(person: Person) -> None:
            person.types("half a wo")
            await person.sees("> half a wo")
            person.peer.tells(heard("good morning"), taken("and you?"))
            await person.sees("bob: good morning", "→ @bob: and you?  … sending", "> half a wo")
            person.types("rd")
            person.peer.tells(confirmed(cursor="run-9"))
            await person.sees("→ @bob: and you?  ✓ confirmed in 12 ms", "> half a word")

        self.at_a_terminal(does)

    def test_destination(self) -> None:
        """Where the next line goes stands before it, and in the status line who could read it."""

        async def does(person: Person) -> None:
            person.peer.says("destination", to="@bob@UnB")
            await person.sees("@bob>", "to @bob@UnB: encrypted")
            person.peer.answers["way"] = {"to": "#UnB", "via": None, "protection": "signed"}
            person.peer.says("destination", to="#UnB")
            await person.sees("#UnB>", "to #UnB: signed, not sealed")

        self.at_a_terminal(does)

    def test_status(self) -> None:
        """The status line follows what happens."""

        async def does(person: Person) -> None:
            person.peer.answers["status"] = {**person.peer.answers["status"], "neighbours": 2, "known": 4}
            person.peer.tells(event("neighbour_up", peer_id="carol@UnB", text="carol@UnB is linked"))
            await person.sees("linked 2 of 4")

        self.at_a_terminal(does)

    def test_meanwhile(self) -> None:
        """What happened before is there; what is new since the user saw it last is set off, and counted."""

        async def does(person: Person) -> None:
            await person.sees("1 new ")
            self.assertEqual(
                person.glass.rows()[1:-2],
                ["── 2026-01-01 ──", "00:00 bob: old", "── 1 new message ──", "00:00 bob: new",
                 "00:00 → @bob: mine  … sending"],
            )  # fmt: skip
            person.types("x\x7f")
            await person.until(lambda: ("seen", {"cursor": "run-3"}) in person.peer.asked)
            await person.until(lambda: "1 new " not in person.glass.rows()[-2])

        past = [heard("old"), heard("new", cursor="run-2"), taken("mine", cursor="run-3")]
        self.at_a_terminal(does, past=past, seen="run-1")

    def test_all_seen(self) -> None:
        """Where nothing is new nothing is set off, however much there is."""

        async def does(person: Person) -> None:
            await person.sees("bob: message 299")
            self.assertNotIn("new", str(person.glass))

        past = [heard(f"message {number}", cursor=f"run-{number}") for number in range(300)]
        self.at_a_terminal(does, past=past, seen="run-299")

    def test_just_then(self) -> None:
        """What happens while the past is told is shown behind it."""

        async def does(person: Person) -> None:
            await person.sees("bob: old", "bob: just now")

        past, at_once = [heard("old")], [heard("just now", cursor="run-2")]
        self.at_a_terminal(does, past=past, at_once=at_once)
        self.at_a_terminal(does, past=[], at_once=past + at_once)

    def test_missed(self) -> None:
        """What is missing is told where it is missing, and what the peer refuses."""

        async def does(person: Person) -> None:
            person.peer.says("missed", events=7)
            person.peer.says("left_out", lines=3)
            person.peer.writes({"jsonrpc": "2.0", "id": None, "error": {"message": "a line has at most"}})
            person.peer.says("shown", line="No answer within 5 s.")
            await person.sees(
                "7 events were missed", "3 lines were left out", "a line has at most", "No answer"
            )

        self.at_a_terminal(does)

    def test_bell(self) -> None:
        """It rings where somebody talks to us alone or names us; not for what is old, nor a hundred times."""

        async def does(person: Person) -> None:
            person.peer.tells(
                heard("hello all", is_cast=True, dst="*"), heard("malice", is_cast=True, dst="*")
            )
            await person.sees("malice")
            self.assertEqual(person.glass.bells, 0)
            person.peer.tells(heard("Alice?", is_cast=True, dst="*"), heard("hi"), heard("ho"))
            await person.sees("bob: ho")
            self.assertEqual(person.glass.bells, 1)

        self.at_a_terminal(does, past=[heard("old")])


class TypingTests(TerminalTestCase):
    def asks(self, keys: str, *requests: str) -> None:
        """Press keys, and assert which lines the peer gets."""

        async def does(person: Person) -> None:
            person.types(keys)
            await person.until(lambda: len(person.peer.asked) == len(requests))
            lines = [{"line": line, "events": False} for line in requests]
            self.assertEqual([params for _, params in person.peer.asked], lines)

        self.at_a_terminal(does)

    def test_lines(self) -> None:
        """What is typed is carried out by the peer; a line without anything is not."""
        self.asks("/msg @bob olá 你好 😀\r\r  \rand you?\r", "/msg @bob olá 你好 😀", "and you?")

    def test_not_kept(self) -> None:
        """Where what is typed cannot be kept, that is told, and everything else goes on."""

        async def does(person: Person) -> None:
            person.terminal._not_kept("No space left on device")
            await person.sees("what you type is not kept: No space left on device")

        self.at_a_terminal(does)

    def test_stop_key(self) -> None:
        """Ctrl-Z neither stops the peer nor is it text."""
        self.asks("a\x1ab\r", "ab")

    def test_readline(self) -> None:
        """Keys are those of readline."""
        self.asks("world\x01hello \x05!\r", "hello world!")
        self.asks("one two three\x17four\r", "one two four")
        self.asks("keep this\x1bb\x0b\x19\x19\r", "keep thisthis")
        self.asks("gone\x03stays\r", "stays")
        self.asks("ab\x02\x04\r", "a")

    def test_history(self) -> None:
        """What was typed comes back with the arrows, and is found with Ctrl-R."""

        async def does(person: Person) -> None:
            for keys, shown in (
                ("needle", "> needle"),
                ("\r", ">"),
                ("hay", "> hay"),
                ("\r", ">"),
                ("\x1b[A", "> hay"),
                ("\x1b[A", "> needle"),
                ("\x1b[B", "> hay"),
                ("\x15\x12nee", "nee"),
                ("\r", "> needle"),
            ):
                person.types(keys)
                await person.until(lambda shown=shown: person.glass.rows()[-1].endswith(shown))  # type: ignore[misc]
            person.types("\r")
            await person.until(lambda: len(person.peer.asked) == 3)
            self.assertEqual(person.peer.asked[-1][1]["line"], "needle")

        self.at_a_terminal(does)

    def test_paste(self) -> None:
        """What is pasted is one message, however many lines it has; so is what Alt-Enter divides."""
        self.asks("/msg @bob \x1b[200~one\r\ntwo\rthree\n\x1b[201~\r", "/msg @bob one\ntwo\nthree\n")
        self.asks("one\x1b\rtwo\r", "one\ntwo")

    def test_completion(self) -> None:
        """Tab completes what is clear, and shows what it could be."""

        async def does(person: Person) -> None:
            person.types("/msg @z\t")
            await person.sees("> /msg @zoé@USP")
            person.types("hi\r")
            await person.until(lambda: bool(person.peer.asked))
            self.assertEqual(person.peer.asked.pop()[1]["line"], "/msg @zoé@USP hi")
            person.types("/p\t")
            await person.sees("/peers", "/ping")
            person.types("\t\r")
            await person.until(lambda: bool(person.peer.asked))
            self.assertEqual(person.peer.asked[0][1]["line"], "/peers ")

        self.at_a_terminal(does)

    def test_who_is_known(self) -> None:
        """Who comes can be completed, who left cannot; nor what is no peer, nor we ourselves."""

        async def does(person: Person) -> None:
            person.peer.tells(
                event("roster_changed", came=["dora@UnB"], left=["zoé@USP"], moved=[], text="dora came"),
                event("neighbour_up", peer_id="emil@UnB", text="emil is linked"),
                heard("hi", src="fritz@UnB"),
                heard("hi", src="nobody", is_cast=True, dst="*"),
                heard("hi", src="alice@UnB", is_cast=True, dst="*", via="fritz@UnB"),
            )
            await person.sees("alice (via fritz) → *: hi")
            known = person.terminal._peers
            self.assertEqual(sorted(known), ["bob@UnB", "dora@UnB", "emil@UnB", "fritz@UnB"])

        self.at_a_terminal(does)

    def test_echo(self) -> None:
        """A command is shown above what comes of it; of a message what becomes of it is."""

        async def does(person: Person) -> None:
            person.pastes("/peers  \x07 *")
            person.types("\r/msg @bob hi\rhello\r")
            await person.until(lambda: len(person.peer.asked) == 3)
            await person.sees("> /peers ␇ *")
            self.assertEqual(sum("> " in row for row in person.glass.rows()), 1)

        self.at_a_terminal(does)

    def test_scrolling(self) -> None:
        """What is new below was not seen, and is told; to say something leads to the end."""

        async def does(person: Person) -> None:
            person.types("\x1b[5~")
            await person.until(lambda: "message 39" not in str(person.glass))
            seen = len(person.peer.asked)
            person.peer.tells(heard("new", cursor="run-99"))
            await person.sees("1 new below: PgDn")
            person.types("x")
            await person.sees("> x")
            self.assertEqual(len(person.peer.asked), seen)
            person.types("\r")
            await person.sees("bob: new")
            await person.until(lambda: ("seen", {"cursor": "run-99"}) in person.peer.asked)

        past = [heard(f"message {number}", cursor=f"run-{number}") for number in range(40)]
        self.at_a_terminal(does, past=past, seen="run-39")

    def test_keyboard_in_a_flood(self) -> None:
        """However much arrives, keys have their turn."""

        async def does(person: Person) -> None:
            person.peer.tells(*(heard(f"flood {number}") for number in range(5000)))
            person.types("still here")
            await person.sees("> still here")
            await person.sees("flood 4999")

        self.at_a_terminal(does)


class LeavingTests(TerminalTestCase):
    def test_leaving(self) -> None:
        """Ctrl-C on an empty line leaves as well; the peer goes on."""

        async def does(person: Person) -> None:
            person.types("\x03")

        self.assertIn("goes on", self.at_a_terminal(does)[0])

    def test_with_the_peer(self) -> None:
        """Where leaving ends the peer, what failed by that is said afterwards."""
        for leave in ("/quit\r", "\x04", "\x03"):

            async def leaves(person: Person, leave: str = leave) -> None:
                failed = event(
                    "message_failed",
                    msg_id="m2",
                    dst="bob@UnB",
                    payload="",
                    code="not confirmed",
                    why="stopped",
                )
                take = person.peer._take

                def stops(request: dict[str, Any]) -> None:
                    if request["method"] == "stop":
                        person.peer.tells(failed)
                    take(request)

                person.peer._take = stops  # type: ignore[method-assign]
                person.peer.tells(taken("one", "m1"), taken("two", "m2"), confirmed("m1"))
                await person.sees("two  … sending")
                person.types(leave)

            self.assertEqual(
                self.at_a_terminal(leaves, ends_peer=True),
                ["00:00 → @bob: two  ✗ not confirmed: stopped", "alice@UnB has ended."],
            )

    def test_impatient(self) -> None:
        """Who does not wait for the end of the peer is not told that it goes on."""

        async def does(person: Person) -> None:
            person.peer._take = lambda request: None  # type: ignore[method-assign]
            person.types("\x04")
            await person.until(lambda: person.terminal._is_leaving)

        self.assertEqual(self.at_a_terminal(does, ends_peer=True), ["alice@UnB has ended."])

    def test_peer_ends(self) -> None:
        """When the peer ends so does the terminal, and says so."""

        async def does(person: Person) -> None:
            person.peer.ends()

        for ends_peer in (False, True):
            self.assertEqual(self.at_a_terminal(does, ends_peer=ends_peer), ["alice@UnB has ended."])

    def test_refused(self) -> None:
        """Who is not let in hears why."""

        async def scene() -> None:
            with create_pipe_input() as keys:
                person = Person(keys, ends_peer=False)
                person.peer.answers["hello"] = {"error": {"code": -32000, "message": "64 programs are here"}}
                await person.gone()

        self.assertEqual(str(self.assertRaises(Refused, asyncio.run, scene())), "64 programs are here")

    def test_turned_away(self) -> None:
        """So does who is turned away before anything was asked; without a reason, that nobody is there."""
        for why, expected in (("64 programs are here", Refused), ("", NotRunning)):

            async def scene(why: str = why) -> None:
                with create_pipe_input() as keys:
                    person = Person(keys, ends_peer=False)
                    person.peer.turns_away = why
                    await person.gone()

            self.assertRaises(expected, asyncio.run, scene())
