"""People at terminals: real processes, real pseudo-terminals, and what is seen there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from p2pchat.control.client import Client
from tests.system.machine import P2PCHAT, Process, SystemTests
from tests.system.screens import ScreenTests, Seat, start_of

#: Two texts of several rows on any screen, of letters of one and of two columns.
LONG = (
    "Ação e reação: não há ônibus à noite; coração, maçã, pão, avô, avó. " * 4
    + "日本語の文章はとても長いです。" * 4
    + "fim"
)
EMOJI = "😀 👍 🎉 ok"


class TalkingTests(ScreenTests):
    def meet(self, **screen: int) -> tuple[Seat, Seat]:
        """Two people sit down; they are linked."""
        alice, bob = self.person("alice", **screen), self.person("bob", **screen)
        alice.sees("bob@lobby is linked", "linked 1 of 1", "registered")
        bob.sees("alice@lobby is linked", "linked 1 of 1", "registered")
        return alice, bob

    def talk(self, rows: int, columns: int) -> None:
        """Let two people say all kinds of things, also at the same time; nothing is garbled."""
        alice, bob = self.meet(rows=rows, columns=columns)
        alice.types(f"/msg @bob {LONG}\r")
        bob.types("/msg @alice Você está aí?")  # not sent yet
        alice.sees(f"→ @bob: {LONG}", "✓ confirmed in", "@bob>", "to @bob@lobby: encrypted")
        bob.sees(f"alice: {LONG}", "> /msg @alice Você está aí?")
        alice.pastes(f"primeira linha\n  segunda: {EMOJI}\n\túltima")
        alice.sees("primeira linha", "última")
        alice.types("\r")
        bob.types("\r")
        for seat, who in ((alice, "→ @bob"), (bob, "alice")):
            seat.sees(
                f"{who}: primeira linha │   segunda: {EMOJI} │     última".replace("│ ", "", 0).replace(
                    " │ ", " "
                )
            )
        alice.sees("bob: Você está aí?")
        bob.sees("→ @alice: Você está aí?  ✓ confirmed in", "@alice>")
        # Both type and send at once, twenty times, while a line that is not sent yet stands there.
        for number in range(20):
            alice.types(f"da alice {number}, ç\r")
            bob.types(f"do bob {number}, ã\r")
        alice.types("half a sentence")
        bob.types("meia frase")
        for seat, ours, theirs, half in (
            (alice, "→ @bob: da alice 19, ç  ✓ confirmed", "bob: do bob 19, ã", "@bob> half a sentence"),
            (bob, "→ @alice: do bob 19, ã  ✓ confirmed", "alice: da alice 19, ç", "@alice> meia frase"),
        ):
            seat.sees(ours, theirs, half)
            for row in seat.rows()[:-2]:
                self.assertRegex(
                    row, r"^(\d\d:\d\d |      |    │ |── |You are|Port|Rendezvous|Key|Log|Type|Wel|  /|$)"
                )
        numbers = re.findall(r"bob:dobob(\d+),ã", alice.text())
        self.assertEqual(numbers, [str(number) for number in range(20 - len(numbers), 20)])
        alice.types("\x15/quit\r")
        bob.sees("alice@lobby is no longer linked: the peer said BYE", "@alice> meia frase")
        self.assertEqual(alice.ended(), 0)

    def test_80x24(self) -> None:
        """On a screen of 80 columns and 24 rows."""
        self.talk(24, 80)

    def test_200x50(self) -> None:
        """On one of 200 and 50."""
        self.talk(50, 200)

    def test_resized(self) -> None:
        """A window that gets another size is drawn anew at once, with what was being typed."""
        alice = self.person("alice")
        alice.sees("registered at the rendezvous")
        alice.types("half")
        alice.sees("> half")
        for rows, columns in ((10, 40), (40, 132)):
            alice.resize(rows, columns)
            alice.until(lambda rows=rows: alice.rows()[rows - 1] == "> half", "the line at the bottom")  # type: ignore[misc]
            alice.sees("alice@lobby  linked 0 of 0")
            alice.types("\x7f" * 4 + "half")

    def test_completion_and_history(self) -> None:
        """Tab completes commands, peers and namespaces; what was typed is there after a restart."""
        alice, _ = self.meet()
        alice.types("/ms\t")
        alice.sees("> /msg")
        alice.types("@b\t")
        alice.sees("> /msg @bob")
        alice.types("hi\r")
        alice.sees("→ @bob: hi  ✓ confirmed")
        alice.types("/peers #\t")
        alice.sees("> /peers #lobby")
        alice.types("\r")
        alice.sees("linked directly")
        alice.types("/quit\r")
        self.assertEqual(alice.ended(), 0)
        again = self.person("alice")
        again.sees("registered at")
        again.types("\x1b[A\x1b[A")
        again.until(lambda: again.rows()[-1] == "> /peers #lobby", "what was typed before")

    def test_colours(self) -> None:
        """Names have colours, unless NO_COLOR says that there shall be none."""
        for environment, has_colours in (({}, True), ({"NO_COLOR": "1"}, False)):
            self.daemon(f"bob{len(environment)}")
            alice = self.person(f"alice{len(environment)}", environment=environment)
            alice.sees(f"bob{len(environment)}@lobby is linked")
            self.ask(
                self.connect(f"bob{len(environment)}"), "send", to=f"@alice{len(environment)}", text="hi"
            )
            alice.sees(f"bob{len(environment)}: hi")
            self.assertEqual(bool(re.search(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m", alice.raw)), has_colours)

    def test_portuguese(self) -> None:
        """Who lives in Brazil reads Portuguese; commands stay the same."""
        alice = self.person("alice", environment={"LANGUAGE": "", "LC_ALL": "", "LANG": "pt_BR.UTF-8"})
        alice.sees(
            "Boas-vindas! Três coisas para experimentar:", "registrado no rendezvous", "ligados 0 de 0"
        )
        alice.types("/statsu\r/peers\r")
        alice.sees(
            "Não existe o comando /statsu. Você quis dizer /status?", "Não se conhece mais ninguém em #lobby."
        )
        alice.types("/quit\r")
        alice.sees("alice@lobby terminou.")
        self.assertEqual(alice.ended(), 0)

    def test_greeting(self) -> None:
        """Who starts for the first time reads what to try; a mistyped command names the nearest."""
        alice = self.person("alice")
        alice.sees("Welcome! Three things to try:")
        alice.types("/statsu\r")
        alice.sees("There is no command /statsu. Did you mean /status?")
        alice.types("/status\r")
        alice.sees("You are alice@lobby, for", "> ")


class EndingTests(ScreenTests):
    def test_stopped(self) -> None:
        """A signal ends the peer in good order, and the terminal is left as it was."""
        bob = self.person("bob")
        bob.sees("registered at")
        alice = self.person("alice")
        bob.sees("alice@lobby is linked")
        alice.sees("bob@lobby is linked")
        os.kill(alice.pid, signal.SIGTERM)
        bob.sees("alice@lobby is no longer linked: the peer said BYE")
        alice.sees("alice@lobby has ended.")
        alice.ended()
        self.assertIn(b"\x1b[?1049l", alice.raw)

    def test_window_closed(self) -> None:
        """Who closes the window leaves in good order, and nothing goes wrong in doing so."""
        bob = self.machine.peer("bob")
        bob.until("registered at")
        alice = self.person("alice")
        alice.sees("bob@lobby is linked")
        ended = self.watch(alice.pid)
        alice.closes_the_window()
        bob.until("alice@lobby is no longer linked: the peer said BYE")
        self.wait_for_exit(ended)
        log = self.machine.log("alice")
        self.assertNotIn("Traceback", log)
        self.assertNotIn("failed", log)

    def test_settings(self) -> None:
        """After the end the settings of the terminal are those of before."""
        for ends in ("/quit\r", "\x04"):
            # A shell that stays, as a user has one.
            script = 'stty -g; "$@"; stty -g; exec cat'
            alice = self.seat("sh", "-c", script, "sh", *start_of("alice"))
            alice.sees("registered at")
            alice.types(ends)
            alice.sees("has ended.")
            alice.reads(rb"has ended.\r\n[0-9a-f:]{60,}\r\n")
            before, after = re.findall(rb"[0-9a-f:]{60,}", alice.raw)
            self.assertEqual(before, after)
            alice.types("\x04")
            alice.ended()

    def test_terminal_fails(self) -> None:
        """When the terminal fails the peer goes on, with plain lines."""
        alice = self.person("alice")
        alice.sees("registered at")
        (terminal,) = Path(f"/proc/{alice.pid}/task/{alice.pid}/children").read_text().split()
        os.kill(int(terminal), signal.SIGKILL)
        alice.reads(b"The terminal failed")
        alice.types("/status\r\n")
        alice.reads(b"You are alice@lobby, for")
        alice.types("/quit\r\n")
        self.assertEqual(alice.ended(), 0)

    def test_dumb(self) -> None:
        """On a terminal that cannot move its cursor there are plain lines."""
        alice = self.person("alice", environment={"TERM": "dumb"})
        alice.sees("You are alice@lobby.", "registered at")
        alice.types("/quit\r")
        self.assertEqual(alice.ended(), 0)
        self.assertNotIn(b"\x1b", alice.raw)


class AttachTests(ScreenTests):
    def setUp(self) -> None:
        super().setUp()
        self.daemon("alice")
        self.daemon("bob")
        self.bob = self.connect("bob")
        self.linked()

    def linked(self) -> None:
        """Wait until both are linked."""
        self.ask(self.bob, "subscribe", after="start", kinds=["neighbour_up"])
        json.loads(self.bob.readline())

    def test_attach(self) -> None:
        """Two terminals at a daemon show the same; it goes on without; what came meanwhile is there."""
        first = self.attach("alice")
        second = self.attach("alice", rows=40, columns=120)
        for seat in (first, second):
            seat.sees("bob@lobby is linked", "linked 1 of 1")
        self.ask(self.bob, "send", to="@alice", text="to both")
        first.sees("bob: to both")
        second.sees("bob: to both")
        first.types("/msg @bob from the first\r")
        for seat in (first, second):
            seat.sees("→ @bob: from the first  ✓ confirmed in")
        first.types("/quit\r")
        first.sees("alice@lobby goes on. To come back: p2pchat attach alice")
        self.assertEqual(first.ended(), 0)
        second.types("\x04")
        self.assertEqual(second.ended(), 0)
        for text in ("while you", "were away"):
            self.assertTrue(self.ask(self.bob, "send", to="@alice", text=text)["is_confirmed"])
        again = self.attach("alice@lobby")
        again.sees(
            "bob: to both", "→ @bob: from the first  ✓", "── 2 new messages ──", "bob: were away", "2 new "
        )
        rows = "\n".join(again.rows())
        self.assertLess(rows.index("from the first"), rows.index("2 new messages"))
        self.assertLess(rows.index("2 new messages"), rows.index("while you"))

    def test_seen_elsewhere(self) -> None:
        """What the user has seen at one terminal is no longer new at another."""
        first, second = self.attach("alice"), self.attach("alice")
        for seat in (first, second):
            seat.sees("linked 1 of 1")
        self.ask(self.bob, "send", to="@alice", text="hello")
        for seat in (first, second):
            seat.sees("bob: hello", "alice@lobby  1 new  linked 1 of 1")
        first.types("x")
        for seat in (first, second):
            seat.until(lambda seat=seat: "1new" not in seat.text(), "nothing new")  # type: ignore[misc]

    def test_daemon_ends(self) -> None:
        """When the daemon ends the terminal says so."""
        seat = self.attach("alice")
        seat.sees("linked 1 of 1")
        self.ask(self.connect("alice"), "stop")
        seat.sees("alice@lobby has ended.")
        self.assertEqual(seat.ended(), 0)

    def test_terminated(self) -> None:
        """A terminal that is told to end leaves the screen as it was, and the daemon alone."""
        seat = self.attach("alice")
        seat.sees("linked 1 of 1")
        os.kill(seat.pid, signal.SIGTERM)
        seat.sees("alice@lobby goes on.")
        self.assertEqual(seat.ended(), 0)
        self.assertIn(b"\x1b[?1049l", seat.raw)

    def test_refused(self) -> None:
        """Without a terminal, on a dumb one, or where nobody runs, it says so."""
        for environment, name, words, status in (
            ({"TERM": "dumb"}, "alice", "a terminal that can move its cursor", 2),
            ({}, "nobody", "nobody@lobby does not run here", 3),
        ):
            seat = self.attach(name, environment=environment)
            seat.sees(words)
            self.assertEqual(seat.ended(), status)
        process = self.machine.run(*P2PCHAT, "attach", "alice")
        process.until("attach needs a terminal")
        self.assertEqual(process.ended(), 2)


class MonthsTests(SystemTests):
    """What a daemon goes through in months."""

    #: How often somebody attaches and detaches.
    CYCLES = 1000

    def test_attached_and_detached(self) -> None:
        """After a thousand times, and an outage of the rendezvous, nothing grew and no message is missing."""
        rendezvous = self.rendezvous()
        there = ("--rendezvous", "127.0.0.1:5001")
        pid = self.daemon("alice", *there)
        self.daemon("bob", *there)
        bob = self.connect("bob")
        self.ask(bob, "subscribe", after="start", kinds=["neighbour_up"])
        json.loads(bob.readline())
        follower = self.connect("alice")
        self.ask(follower, "subscribe")
        cursor, heard, kinds = "start", [], set()
        sizes = []
        for cycle in range(self.CYCLES):
            if cycle == self.CYCLES // 4:
                rendezvous.kill()
                self.until(follower, "rendezvous_lost")
            if cycle == self.CYCLES // 2:
                self.rendezvous()
                self.until(follower, "rendezvous_found")
            if not cycle % 10:
                self.assertTrue(self.ask(bob, "send", to="@alice", text=f"m{cycle}")["is_confirmed"])
            # As the terminal does it.
            with Client(self.place("alice")) as terminal:
                now = terminal.ask("hello")["cursor"]
                terminal.ask("status")
                terminal.ask("peers")
                self.assertEqual(terminal.ask("subscribe", after=cursor, texts=True)["missed"], 0)
                for told in terminal.events() if cursor != now else ():
                    cursor = told["params"]["cursor"]
                    kinds.add(told["params"]["kind"])
                    heard += (
                        [told["params"]["data"]["payload"]] if "payload" in told["params"]["data"] else []
                    )
                    if cursor == now:
                        break
                terminal.ask("command", line="/status", events=False)
                terminal.ask("seen", cursor=cursor)
            if cycle in (self.CYCLES // 5, self.CYCLES - 1):
                sizes.append(self.size(pid))
        self.assertEqual(heard, [f"m{cycle}" for cycle in range(0, self.CYCLES, 10)])
        self.assertLessEqual({"rendezvous_lost", "rendezvous_found"}, kinds)
        (early, early_kib), (late, late_kib) = sizes
        # One that was just closed, or asks the rendezvous; what stayed behind each time would be hundreds.
        self.assertLess(abs(late - early), 10)
        # The events that happened in between are kept, and are less than this.
        self.assertLess(late_kib - early_kib, 2048)

    def until(self, follower: Any, kind: str) -> None:
        """Wait until something happens at a peer."""
        while json.loads(follower.readline())["params"]["kind"] != kind:
            pass

    def rendezvous(self) -> Process:
        """Start the rendezvous."""
        server = self.machine.twistd("-n", "p2pchat-rendezvous", "--port", "5001")
        server.until("5001")
        return server

    def size(self, pid: int) -> tuple[int, int]:
        """Return how many connections a process has open, and how much memory it takes, in KiB."""
        status = Path(f"/proc/{pid}/status").read_text()
        (kib,) = re.findall(r"VmRSS:\s+(\d+)", status)
        sockets = 0
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it was closed just now
                sockets += os.readlink(one).startswith("socket:")
        return sockets, int(kib)
