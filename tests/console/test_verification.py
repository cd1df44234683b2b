"""Commands about the keys of peers, as users type them and see what comes of them."""

from __future__ import annotations

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.trust.cards import fingerprint
from tests.console.users import ConsoleTestCase, User
from tests.keys import identity_of, keys_of

BOB = PeerId("bob@UnB")


class VerifyTests(ConsoleTestCase):
    def test_same_number(self) -> None:
        """Both users are shown the same number, and a code of it, and what to do."""
        alice, bob = self.meet("alice", "bob")
        shown, over_there = alice.types("/verify bob"), bob.types("/verify alice")
        self.assertEqual(shown[0], "Safety number of you and bob@UnB:")
        self.assertEqual(shown[1:-2], over_there[1:-2])
        self.assertEqual(len("".join(shown[1:3]).split()), 12)
        code = shown[3:-2]
        self.assertEqual({len(line) for line in code}, {len(code[0])})
        self.assertTrue(set("".join(code)) <= set("█▀▄ "))
        self.assertIn("If they are the same: /verify bob@UnB yes", shown[-1])

    def test_verified(self) -> None:
        """A peer that was compared is marked: in /peers, /who, and on its messages."""
        alice, bob = self.meet("alice", "bob")
        self.assertEqual(
            alice.types("/verify bob yes"), ["bob@UnB is verified: its key is the one that you compared."]
        )
        self.assertIn("bob@UnB is verified already", alice.types("/verify bob")[-1])
        self.assertIn("linked directly, verified", alice.types("/peers")[1])
        self.assertEqual(alice.types("/who bob")[0], "bob@UnB: linked directly, verified")
        key = fingerprint(identity_of(BOB).key)
        self.assertEqual(alice.types("/who bob")[1], f"  key: {key}, verified")
        alice.screen.clear()
        bob.types("/msg @alice hi", "/msg * all")
        self.pass_time(1)
        self.assertEqual(alice.screen, [
            "[12:34:56] bob@UnB [verified] to @alice@UnB: hi",
            "[12:34:56] bob@UnB [verified] to *: all",
        ])  # fmt: skip

    def test_unknown(self) -> None:
        """Of whom no key is known there is nothing to compare, to trust, or to unblock."""
        alice = self.user("alice")
        for line in ("/verify bob", "/verify bob yes"):
            (told,) = alice.types(line)
            self.assertIn("The key of bob@UnB is not known", told)
        self.assertIn("was not refused for its key", alice.types("/trust bob")[0])
        self.assertEqual(alice.types("/unblock bob"), ["bob@UnB was not blocked."])

    def test_oneself(self) -> None:
        """About oneself they make no sense."""
        alice = self.user("alice")
        for command in ("verify", "trust", "block", "unblock"):
            self.assertIn("alice@UnB is you yourself", alice.types(f"/{command} alice")[0])

    def test_without_keys(self) -> None:
        """A peer without keys says so."""
        self.have_keys = False
        alice = self.user("alice")
        self.assertIn("has no key of its own", alice.types("/verify bob")[0])
        self.assertIn("Keys: none, so all links are unsecured.", alice.types("/status"))


class OtherKeyTests(ConsoleTestCase):
    def test_trusted(self) -> None:
        """Another key under a known name is told in plain words, with what to do; /trust does it."""
        alice, bob = self.meet("alice", "bob")
        self.leave(bob.villager)
        self.villagers.remove(bob.villager)
        alice.screen.clear()
        peers = (Address(alice.villager.ip, 7070),)
        mallory = User(
            self.make("bob", "10.0.7.7", keys_of(BOB, seed="mallory"), rendezvous=None, peers=peers)
        )
        mallory.node.startService()
        self.pass_time(3)
        (told,) = [line for line in alice.screen if "another key" in line]
        self.assertIn("somebody pretends to be bob@UnB", told)
        self.assertIn(f"If it is {fingerprint(identity_of(BOB, 'mallory').key)}", told)
        self.assertIn("/trust bob@UnB", told)
        done = alice.types("/trust bob")
        self.assertIn("of bob@UnB is taken from now on, and not verified yet. Dialling it.", done[0])
        self.pass_time(30)
        self.assertEqual(alice.villager.linked, {"bob"})

    def test_blocked(self) -> None:
        """A blocked peer is gone, and shown as blocked, until it is unblocked."""
        alice, bob = self.meet("alice", "bob")
        self.assertIn("bob@UnB is blocked: no link with it", alice.types("/block bob")[-1])
        self.pass_time(3)
        state, key, *_ = alice.types("/who bob")
        self.assertEqual(state, "bob@UnB: not linked; not dialled: blocked by the user")
        self.assertEqual(key, "  key: blocked by you")
        self.assertIn("1 peers blocked.", " ".join(alice.types("/status")))
        self.assertEqual(alice.types("/unblock bob"), ["bob@UnB is not blocked any more."])
        self.pass_time(60)
        self.assertEqual(bob.villager.linked, {"alice"})
