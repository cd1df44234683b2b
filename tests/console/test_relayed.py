"""What a user sees of messages that go through others, and of the names of those."""

from __future__ import annotations

import re

from hypothesis import given
from twisted.internet.interfaces import ITCPTransport

from tests.console.relays import RelayedTestCase, refuse
from tests.console.users import User, nasty_json_text, steering

#: A name that tries to steer the display and to look like other words.
NASTY = "e\u202eve\n* bob@UnB is linked\x1b[2J@U nB"
SHOWN = "e<U+202E>ve␊*<U+0020>bob@UnB<U+0020>is<U+0020>linked␛[2J@U<U+0020>nB"


class MessageTests(RelayedTestCase):
    def test_confirmed(self) -> None:
        """A message shows through whom it went, at both ends."""
        alice, bob, carol = self.chain()
        alice.types("/msg @carol hi")
        self.pass_time(1)
        alice.types("/msg @carol again")
        self.pass_time(1)
        waiting, sent, confirmed, *again = alice.screen
        self.assertEqual(waiting, "#1 to @carol@UnB: not linked yet, looking for a way")
        self.assertEqual(sent, "#1 to @carol@UnB: sent through bob@UnB, unsecured")
        self.assertRegex(confirmed, r"^#1 to @carol@UnB: confirmed through bob@UnB in [\d.]+ ms, unsecured$")
        self.assertEqual(again[0], "#2 to @carol@UnB: sent through bob@UnB, unsecured")
        texts = [
            f"[12:34:56] alice@UnB [unsecured] (via bob@UnB) to @carol@UnB: {text}"
            for text in ("hi", "again")
        ]
        self.assertEqual((carol.screen, bob.screen), (texts, []))

    def test_no_route(self) -> None:
        """Where nobody knows a way: the peer, who was asked, and that it could not be dialled."""
        alice, _, _ = self.chain()
        alice.types("/msg @dave hi")
        self.pass_time(6)
        self.assertEqual(
            alice.screen[1:],
            [
                "#1 to @dave@UnB: failed: no_route: no link with it within 5 s; "
                "asked bob@UnB for a way, and none was found; its address is not known"
            ],
        )

    def test_relay_has_lost_it(self) -> None:
        """Where the relay has lost the peer: what it said, who was asked then."""
        alice, _, carol = self.chain()
        alice.types("/msg @carol hi")
        self.pass_time(1)
        self.kill(carol.villager)
        self.pass_time(1)
        alice.screen.clear()
        alice.types("/msg @carol again")
        self.pass_time(9)
        sent, failed = alice.screen
        self.assertEqual(sent, "#2 to @carol@UnB: sent through bob@UnB, unsecured")
        self.assertRegex(failed, "^#2 to @carol@UnB: failed: no_route: the relay bob@UnB says no_route: ")
        self.assertRegex(failed, "asked bob@UnB for a way, and none was found; its address is not known$")

    def test_refused(self) -> None:
        """Whatever a relay says, the line names the peer, the relay, and what was said."""
        alice = self.user("alice")
        self.relay(alice, "r1@UnB")
        for code in ("ttl_expired", "busy", "over_quota", "no_route", "unauthorized", "made up"):
            self.brings("r1@UnB", "dave@UnB")
            alice.screen.clear()
            alice.types("/msg @dave hi")
            self.answer("r1@UnB", refuse(code), 25)
            sent, failed = alice.screen
            self.assertRegex(sent, "^#[0-9] to @dave@UnB: sent through r1@UnB, unsecured$")
            shown = re.escape(code.replace(" ", "<U+0020>"))
            self.assertRegex(failed, f"^#[0-9] to @dave@UnB: failed: {shown}: ")
            self.assertIn(f"the relay r1@UnB says {code}: ", failed)

    def test_silence(self) -> None:
        """Where no confirmation comes: how often, how long, and through whom it was tried."""
        alice = self.user("alice")
        for relay in ("r1@UnB", "r2@UnB"):
            self.relay(alice, relay)
            self.brings(relay, "dave@UnB")
        alice.screen.clear()
        alice.types("/msg @dave hi")
        self.pass_time(25)
        sent, failed = alice.screen
        self.assertRegex(sent, "^#1 to @dave@UnB: sent through r[12]@UnB, unsecured$")
        self.assertRegex(
            failed,
            "^#1 to @dave@UnB: not confirmed: sent 3 times in 2[0-9] s through r[12]@UnB and r[12]@UnB, "
            "and no confirmation came",
        )

    def test_relay_ends(self) -> None:
        """Where the relay goes and there is no other: that its link ended, and that no way was found."""
        alice = self.user("alice")
        relay = self.relay(alice, "r1@UnB")
        self.brings("r1@UnB", "dave@UnB")
        alice.types("/msg @dave hi")
        self.pass_time(0.5)
        ITCPTransport(relay.transport).loseConnection()
        self.pass_time(7)
        self.assertRegex(
            alice.screen[-1],
            r"^#1 to @dave@UnB: not confirmed: sent once in \d s through r1@UnB, and no confirmation came; "
            "the link with r1@UnB ended: .*; no other way was found within 5 s; "
            "no neighbour is linked that could be asked for a way$",
        )

    def test_asking_needs_a_link(self) -> None:
        """`/ping`, `/metrics` and `/connect` say that a peer is reached, but through others only."""
        alice, _, _ = self.chain()
        alice.types("/msg @carol hi")
        self.pass_time(1)
        why = "That did not work: no link of our own with carol@UnB; messages reach it through bob@UnB"
        self.assertEqual(alice.types("/ping carol", "/metrics carol"), [why, why])
        self.assertRegex(
            alice.types("/connect carol")[-1], "address is not known; messages reach it through bob@UnB$"
        )


class StrangeNameTests(RelayedTestCase):
    def assert_harmless(self, user: User, *names: str) -> None:
        """Assert that nothing on a screen steers, each line is one, and no name stands there raw."""
        for line in user.screen:
            self.assertEqual((steering(line), len(line.splitlines())), ([], 1), line)
            for name in names:
                self.assertNotIn(name, line)

    def test_relay(self) -> None:
        """A relay with a strange name is harmless in whatever names it."""
        alice = self.user("alice")
        self.relay(alice, NASTY)
        self.brings(NASTY, "dave@UnB")
        alice.types("/routes", "/who dave", "/peers *", "/msg @dave hi", "/ping dave", "/connect dave")
        self.answer(NASTY, refuse("no_route"), 6)
        alice.types("/msg @zoe hi")
        self.brings(NASTY, "mute@UnB")
        alice.types("/msg @mute hi")
        self.pass_time(30)
        self.assert_harmless(alice, NASTY, "e\u202e")
        for shown in (
            f"  way: through {SHOWN}, 2 hops, not tried yet; no other is known",
            f"dave@UnB: reached through {SHOWN}",
            f"#1 to @dave@UnB: sent through {SHOWN}, unsecured",
        ):
            self.assertIn(shown, alice.screen)

    def test_destination(self) -> None:
        """A source with a strange name is harmless in the tables that it gets into."""
        alice = self.user("alice")
        self.relay(alice, "r1@UnB")
        for name in (NASTY, "no at", "", "@", "x" * 64 + "@\u202e"):
            self.brings("r1@UnB", name)
        alice.types("/routes", "/peers *", "/peers", "/status", "/who dave", "/metrics")
        self.assert_harmless(alice, NASTY, "e\u202e")
        self.assertTrue(any(line.startswith(SHOWN) for line in alice.screen))

    @given(nasty_json_text.filter(bool), nasty_json_text, nasty_json_text)
    def test_anything(self, name: str, code: str, detail: str) -> None:
        """Whatever names and words come over the wire, every line is one in which nothing steers."""
        alice = self.user("alice")
        relay = self.relay(alice, "r1@UnB")
        self.brings("r1@UnB", f"{name}@UnB")
        self.brings("r1@UnB", "dave@UnB")
        alice.types("/routes", "/peers *", "/msg @dave hi")
        self.pass_time(0.5)
        for send in self.heard("r1@UnB", "SEND"):
            self.tell(relay, **{**refuse(code)(send), "detail": detail})
        self.leave(alice.villager)
        self.assert_harmless(alice)
