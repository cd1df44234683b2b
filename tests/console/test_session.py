"""Sending, and what belongs to the session itself, on real nodes in memory."""

from __future__ import annotations

import gc
import json
import weakref
from typing import get_args
from unittest import mock

from twisted.internet.defer import Deferred, fail

from p2pchat.console import commands
from p2pchat.console import session as session_module
from p2pchat.console.commands import LOG_LEVELS
from p2pchat.routing.discovery import SEEK_S
from tests.console.users import ConsoleTestCase

#: Everything that is no command, where something was sent to bob before.
MISTAKES = (
    "/peers @bob", "/connect", "/connect a b", "/disconnect", "/msg", "/msg @bob", "/msg bob hi", "/msg # hi",
    "/routes x", "/who", "/ping", "/watch on", "/status x", "/metrics a b", "/log loud", "/help nonsense",
    "/quit now", "/nonsense", "/", "//", "/mgs @bob hi",
)  # fmt: skip


class SendingTests(ConsoleTestCase):
    def test_confirmed(self) -> None:
        """A message shows that it is sent and when it is confirmed; the other end who, to whom and when."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(alice.types("/msg @bob good morning"), ["#1 to @bob@UnB: sent"])
        self.assertFalse(alice.session.is_idle)
        self.pass_time(1)
        self.assertEqual(alice.screen[1:], ["#1 to @bob@UnB: confirmed in 2.0 ms"])
        self.assertEqual(bob.screen, ["[12:34:56] alice@UnB to @bob@UnB: good morning"])
        self.assertTrue(alice.session.is_idle)

    def test_cast_at_the_start(self) -> None:
        """In the first seconds a text to many waits for the first links, and says so."""
        self.rendezvous()
        alice = self.user("alice", **self.listed_at())
        self.assertEqual(alice.types("/msg #UnB early"), ["To #UnB: waits for the first links, 5 s at most"])
        self.user("bob", **self.listed_at())
        self.pass_time(6)
        self.assertEqual(alice.screen[-1], "#1 to #UnB: sent to 1 neighbour")

    def test_namespace_and_all(self) -> None:
        """A text to a namespace or to all shows to how many it went, and at the other end to whom it was."""
        alice, bob, carol = self.meet("alice", "bob", "carol@Giga")
        shown = alice.types("/msg #UnB hi", "/msg * all", "/msg #Giga you")
        for number, to in ((1, "#UnB"), (2, "*"), (3, "#Giga")):
            self.assertRegex(shown[number - 1], rf"^#{number} to \{to}: sent to [12] neighbours?$")
        self.pass_time(1)
        self.assertEqual(bob.screen, ["[12:34:56] alice@UnB to #UnB: hi", "[12:34:56] alice@UnB to *: all"])
        self.assertEqual(
            carol.screen, ["[12:34:56] alice@UnB to *: all", "[12:34:56] alice@UnB to #Giga: you"]
        )

    def test_one_or_more_peers(self) -> None:
        """One peer is one peer, two are peers."""
        alice, _ = self.meet("alice", "bob")
        self.assertEqual(alice.types("/msg * hi"), ["#1 to *: sent to 1 neighbour"])
        self.user("carol", **self.listed_at())
        self.pass_time(31)
        self.assertEqual(alice.types("/msg * hi")[-1], "#2 to *: sent to 2 neighbours")

    def test_nobody_to_send_to(self) -> None:
        """A text to all that reaches nobody is told so."""
        alice = self.user("alice")
        self.pass_time(6)
        self.assertEqual(
            alice.types("/msg * hi"), ["#1 to *: not sent: no_route: no peer is linked that it concerns"]
        )

    def test_without_a_slash(self) -> None:
        """A line without a slash goes where the last message went, also where that one failed."""
        alice, bob = self.meet("alice", "bob")
        self.assertIn("To whom?", alice.types("hello")[0])
        alice.types("/msg @bob one", "two", "/status", "three", "/msg #UnB four", "five")
        self.pass_time(1)
        self.assertEqual([line.partition(" to ")[2] for line in bob.screen], [
            "@bob@UnB: one", "@bob@UnB: two", "@bob@UnB: three", "#UnB: four", "#UnB: five",
        ])  # fmt: skip

    def test_not_linked_yet(self) -> None:
        """A message to a peer that is not linked is looked after, and fails with no_route by name."""
        alice = self.user("alice")
        self.assertEqual(
            alice.types("/msg @carol hello?"), ["#1 to @carol@UnB: not linked yet, looking for a way"]
        )
        self.pass_time(SEEK_S + 0.2)
        tried = "no neighbour is linked that could be asked for a way; its address is not known"
        self.assertEqual(
            alice.screen[1:], [f"#1 to @carol@UnB: failed: no_route: no link with it within 5 s; {tried}"]
        )
        self.assertTrue(alice.session.is_idle)

    def test_linked_later(self) -> None:
        """A message that waited for a link shows the same number all the way."""
        self.rendezvous()
        alice, _ = (self.user(name, **self.listed_at()) for name in ("alice", "bob"))
        alice.types("/msg @bob early")
        self.pass_time(1)
        waiting, sent, confirmed = [line for line in alice.screen if line.startswith("#")]
        self.assertEqual(waiting, "#1 to @bob@UnB: not linked yet, looking for a way")
        self.assertEqual(sent, "#1 to @bob@UnB: sent")
        self.assertRegex(confirmed, r"^#1 to @bob@UnB: confirmed in [\d.]+ ms$")

    def test_not_confirmed(self) -> None:
        """A peer that never confirms: `not confirmed`, with how often and how long it was tried."""
        alice = self.user("alice")
        self.plain_peer(alice)
        alice.screen.clear()
        alice.types("/msg @carol hello?")
        self.pass_time(24)
        sent, ended = alice.screen
        self.assertEqual(sent, "#1 to @carol@UnB: sent, unsecured")
        self.assertRegex(
            ended,
            "^#1 to @carol@UnB: not confirmed: sent 3 times in 2[0-9] s, and no confirmation came; "
            "this peer does not offer confirmations, so it may have arrived$",
        )

    def test_confirmed_late(self) -> None:
        """A message that was confirmed at the second try says so."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        alice.types("/msg @carol hello?")
        self.pass_time(5.5)
        sent = json.loads(peer.got.splitlines()[-1])
        self.tell(peer, type="ACK", msg_id=sent["msg_id"])
        self.assertRegex(
            alice.screen[-1], r"^#1 to @carol@UnB: confirmed in 5\d\d\d ms, after 2 tries, unsecured$"
        )

    def test_refused_by_the_peer(self) -> None:
        """A peer's refusal shows its code and what it says, both made harmless."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        alice.types("/msg @carol hello?")
        self.pass_time(0.5)
        sent = json.loads(peer.got.splitlines()[-1])
        self.tell(peer, type="ERROR", code="no\nway: sent", ref=sent["msg_id"], detail="go\x1b[31m")
        self.assertEqual(
            alice.screen[-1],
            "#1 to @carol@UnB: failed: no␊way:<U+0020>sent: the peer says no␊way: sent: go␛[31m",
        )

    def test_program_ends(self) -> None:
        """What is open when the node stops is told as not confirmed."""
        alice = self.user("alice")
        alice.types("/msg @carol hello?")
        self.leave(alice.villager)
        self.assertEqual(
            alice.screen[-1],
            "#1 to @carol@UnB: not confirmed: p2pchat was stopped before a confirmation came",
        )
        self.assertEqual(alice.types("/msg @carol again", "/msg * again"), ["p2pchat is stopping"] * 2)

    def test_refused_before_it_is_sent(self) -> None:
        """A text that is too long and a message to oneself are refused, and nothing is sent."""
        alice, bob = self.meet("alice", "bob")
        for line, words in (
            (
                "/msg @bob " + "x" * 40_000,
                r"^message too long: 40\d\d\d bytes on the wire, the limit is 32768$",
            ),
            ("/msg * " + "x" * 40_000, r"^message too long: 40\d\d\d bytes on the wire, the limit is 32768$"),
            ("/msg @alice hi", "^alice@UnB is yourself$"),
        ):
            (shown,) = alice.types(line)
            self.assertRegex(shown, words)
        self.pass_time(1)
        self.assertEqual((bob.screen, alice.session.is_idle), ([], True))

    def test_mistakes_send_nothing(self) -> None:
        """No mistake sends anything, also where a message was sent before; each is told in one line."""
        alice, bob = self.meet("alice", "bob")
        alice.types("/msg @bob hi")
        self.pass_time(1)
        before = len(alice.screen), len(bob.screen), alice.node.counters()
        for line in MISTAKES:
            (shown,) = alice.types(line)
            self.assertRegex(shown, "Example: /|/help shows all commands")
        self.pass_time(1)
        self.assertEqual((len(alice.screen) - len(MISTAKES), len(bob.screen)), before[:2])
        self.assertEqual(alice.node.counters(), before[2])
        self.assertEqual(alice.quits, 0)

    def test_mistakes_are_harmless_to_look_at(self) -> None:
        """What was mistyped or pasted cannot steer the display when it is repeated."""
        (shown,) = self.user("alice").types("/\x1b[2J\u202e hi")
        self.assertEqual(shown, "There is no command /␛[2J<U+202E>. /help shows all commands.")

    def test_nothing_typed(self) -> None:
        """An empty line does nothing."""
        self.assertEqual(self.user("alice").types("", "  ", "\t"), [])

    def test_busy(self) -> None:
        """When as much as may be open is open, no more input is to be read until something ends."""
        self.patch(session_module, "MAX_OPEN", 3)
        alice = self.user("alice")
        alice.types("/msg @carol one", "/msg @dave two")
        self.assertFalse(alice.session.is_busy)
        alice.types("/msg * three")
        self.assertTrue(alice.session.is_busy)
        self.pass_time(SEEK_S + 0.2)
        self.assertEqual((alice.session.is_busy, alice.session.is_idle), (False, True))


class SwitchTests(ConsoleTestCase):
    def test_watch(self) -> None:
        """`/watch` shows every line that arrives, until it is typed again."""
        alice = self.user("alice")
        peer = self.plain_peer(alice)
        self.assertEqual(alice.types("/watch"), ["Watching what arrives; /watch again ends it."])
        self.tell(peer, type="PING", msg_id="p1")
        self.assertEqual(alice.screen[-1], '<- carol@UnB {"type": "PING", "msg_id": "p1"}')
        self.assertEqual(alice.types("/watch"), ["Not watching."])
        self.tell(peer, type="PING", msg_id="p2")
        self.assertEqual(alice.screen[-1], "Not watching.")

    def test_log(self) -> None:
        """`/log` sets the level."""
        alice = self.user("alice")
        for level in LOG_LEVELS:
            self.assertEqual(alice.types(f"/log {level}"), [f"The log gets {level} and above."])
        self.assertEqual(alice.levels, list(LOG_LEVELS))

    def test_help(self) -> None:
        """`/help` shows a line for each command."""
        shown = self.user("alice").types("/help")
        self.assertEqual(len(shown), 22)
        self.assertTrue(all(line.startswith("/") for line in shown[:-1]))

    def test_quit(self) -> None:
        """`/quit` ends the program; nothing that was typed behind it is carried out."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(alice.types("/quit", "/msg @bob oops", "/quit", "oops"), [])
        self.pass_time(1)
        self.assertEqual((alice.quits, bob.screen), (1, []))


class DefectTests(ConsoleTestCase):
    def test_command_that_breaks(self) -> None:
        """A defect of ours in a command is logged, and the user is told; the session goes on."""
        alice = self.user("alice")
        with mock.patch.object(type(alice.node), "counters", side_effect=ZeroDivisionError):
            (shown,) = alice.types("/metrics")
        self.assertEqual(
            shown, "Something failed inside p2pchat; the log says what. Nothing else was changed."
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(alice.types("/status")), 8)

    def test_question_that_breaks(self) -> None:
        """The same where it shows only in the answer; and the question is not open for ever."""
        alice = self.user("alice")
        broken: Deferred[float] = fail(ZeroDivisionError())
        with mock.patch.object(type(alice.node), "ping", return_value=broken):
            (shown,) = alice.types("/ping bob")
        self.assertIn("Something failed inside p2pchat; the log says what.", shown)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(alice.session.is_idle)

    def test_each_command(self) -> None:
        """Somebody carries out each command."""
        self.assertEqual(set(session_module._CARRY_OUT), set(get_args(commands.Command)))

    def test_forgotten(self) -> None:
        """A session that was closed leaves nothing behind, whatever was typed there."""
        alice, _ = self.meet("alice", "bob")
        for line in ("/msg @bob hi", "/peers", "/status", "/ping bob", "/nonsense"):
            alice.session.take(line)
        self.pass_time(10)
        session = weakref.ref(alice.session)
        alice.session.close()
        del alice.session
        gc.collect()
        self.assertIsNone(session())
