"""Peers that nobody can dial, and those who relay for them."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.internet import SILENCE_S, Host, Internet, require_iptables
from tests.system.machine import Process

#: What became of a message between alice and bob.
_OUTCOME = r"^#(\d+) to @(?:alice|bob)@lobby: ((?:confirmed|not confirmed|failed).*)"

#: What one of them was shown of the other, nothing of it unsecured: through whom it came, and what it says.
_SHOWN = re.compile(
    r"^\[[\d:]+\] (?:alice|bob)@lobby(?: \(via (\w+)@lobby\))? to @(?:alice|bob)@lobby: (.*)$"
)


class NatTests(SynchronousTestCase):
    """alice behind one NAT, bob behind another, carol and later dave where everybody can reach them.

    alice's router is silent towards who dials it, bob's refuses: a dial fails in both ways that there are.
    """

    def setUp(self) -> None:
        iptables = require_iptables()
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.internet = Internet(Path(folder.name).resolve(), iptables)
        self.addCleanup(self.internet.clean_up)
        self.server = self.internet.host()
        self.server.twistd("-n", "p2pchat-rendezvous").until("5000")
        self.carol_host = self.internet.host()
        self.carol = self.start("carol", self.carol_host)
        # So that alice and bob find her when they look for the first time; the next is half a minute later.
        self.carol.until("registered at")
        self.routers = [self.internet.router(silent=silent) for silent in (True, False)]
        self.homes = [self.internet.home(router) for router in self.routers]
        self.alice, self.bob = self.pair = list(map(self.start, ("alice", "bob"), self.homes))
        for peer in self.pair:
            peer.until("carol@lobby is linked")

    # The story.

    def start(self, name: str, host: Host) -> Process:
        """Start a peer as a user does."""
        return host.peer(name, "--rendezvous", f"{self.server.address}:5000")

    def let_dave_come(self) -> None:
        """Start dave, whom alice and bob greet."""
        self.start("dave", self.internet.host()).until("registered at")
        for peer in self.pair:
            peer.say("/msg @dave hello")
            peer.until("dave@lobby is linked")

    def kill_carol(self) -> None:
        """Kill her; the links with her end at once."""
        self.carol.kill()
        self.carol.ended()

    def say(self, *texts: str) -> None:
        """Let alice and bob say the same to each other."""
        self.alice.say(*(f"/msg @bob {text}" for text in texts))
        self.bob.say(*(f"/msg @alice {text}" for text in texts))

    def outcomes(self, peer: Process, count: int) -> dict[int, str]:
        """Return the next outcomes, by the number of the message; they come in any order."""
        matches = (peer.until(_OUTCOME) for _ in range(count))
        return {int(match[1]): match[2] for match in matches}

    def assert_confirmed(self, count: int, words: str = "^confirmed .*in .* ms") -> None:
        """Assert that the next outcomes on both sides are confirmations, in these words."""
        for peer in self.pair:
            for outcome in self.outcomes(peer, count).values():
                self.assertRegex(outcome, words, f"\n{peer}")

    def shown(self) -> list[list[tuple[str, str]]]:
        """End alice and bob; return all that each was shown, as text and relay."""
        for peer in self.pair:
            peer.say("/quit")
        self.assertEqual([peer.ended() for peer in self.pair], [0, 0])
        return [
            [(match[2], match[1]) for match in map(_SHOWN.match, peer.output) if match] for peer in self.pair
        ]

    # What must hold.

    def test_nobody_gets_in(self) -> None:
        """Nobody can dial alice and bob, not they each other nor anyone outside; both can dial carol."""
        alice, bob = self.homes
        alice_router, bob_router = self.routers
        answer = json.loads(self.server.ask(5000, b'{"type":"DISCOVER"}\n'))
        listed = {peer["name"]: (peer["ip"], peer["port"]) for peer in answer["peers"]}
        self.assertEqual(listed["alice"], (alice_router.address, 7070))
        self.assertEqual(listed["bob"], (bob_router.address, 7070))
        # They know the address behind a router, and the way there.
        spies = [self.internet.host() for _ in self.routers]
        for spy, router in zip(spies, self.routers, strict=True):
            spy.do(f"ip route add {alice.address} via {router.address}")
        knocks = [
            alice.knock(bob_router.address, SILENCE_S),
            bob.knock(alice_router.address, SILENCE_S),
            *(spy.knock(alice.address, SILENCE_S) for spy in spies),
        ]
        for knock in knocks:
            knock.until("^answer: none")
        # alice and bob have the same address at home: there each finds but himself.
        alice.knock(bob.address).until("^answer: alice@lobby$")
        bob.knock(alice.address).until("^answer: bob@lobby$")
        # They do listen, only nobody comes through.
        alice_router.knock(alice.address).until("^answer: alice@lobby$")
        bob_router.knock(bob.address).until("^answer: bob@lobby$")
        for home in self.homes:
            home.knock(self.carol_host.address).until("^answer: carol@lobby$")

    def test_chat_through_carol(self) -> None:
        """They chat through carol, both ways, each message confirmed and shown once."""
        texts = [f"number {number}" for number in range(10)]
        self.say(*texts)
        self.assert_confirmed(len(texts))
        for shown in self.shown():
            self.assertEqual(shown, [(text, "carol") for text in texts])

    def test_carol_is_a_stranger(self) -> None:
        """She sees who talks to whom, and how much, and not a word of it."""
        self.carol.say("/watch")
        self.carol.until("^Watching")
        texts = [f"a secret, number {number}" for number in range(10)]
        self.say(*texts)
        self.assert_confirmed(len(texts))
        for _ in range(2 * len(texts)):
            match = self.carol.until(r'^<- (\w+)@lobby (\{"type":"SEND".*\})$')
            seen = json.loads(match[2])
            self.assertEqual((seen["payload"], seen["src"]), ("", f"{match[1]}@lobby"))
            self.assertGreater(len(seen["sealed"]), 1500)
        self.assertNotIn("secret", str(self.carol))
        for shown in self.shown():
            self.assertEqual(shown, [(text, "carol") for text in texts])

    def test_carol_is_killed(self) -> None:
        """The conversation goes on through dave, with what was under way; each message is shown once."""
        self.say("before")
        self.assert_confirmed(1)
        self.let_dave_come()
        under_way = [f"under way {number}" for number in range(10)]
        after = [f"after {number}" for number in range(10)]
        self.say(*under_way)
        self.kill_carol()
        self.say(*after)
        self.assert_confirmed(len(under_way) + len(after))
        for shown in self.shown():
            self.assertEqual(shown[0], ("before", "carol"))
            self.assertEqual(sorted(text for text, _ in shown[1:]), sorted(under_way + after))
            self.assertEqual({relay for text, relay in shown if text in after}, {"dave"})

    def test_carol_goes_silent(self) -> None:
        """Though the links with her look alive for two minutes, the conversation goes on through dave."""
        self.say("before")
        self.assert_confirmed(1)
        self.let_dave_come()
        self.internet.lose(self.carol_host)
        self.say("after")
        self.assert_confirmed(1)
        self.say("and on")
        self.assert_confirmed(1, "^confirmed .*in [^,]* ms$")
        for shown in self.shown():
            self.assertEqual(shown, [("before", "carol"), ("after", "dave"), ("and on", "dave")])

    def test_nobody_relays(self) -> None:
        """When carol is killed alone nothing is lost: all waits for her, and arrives in order, once."""
        texts = [f"number {number}" for number in range(1, 13)]
        self.say(texts[0])
        self.assert_confirmed(1)
        self.say(*texts[1:11])
        self.kill_carol()
        self.say(texts[11])
        for peer in self.pair:
            peer.until("^#12 to .*: not delivered yet: ")
        self.start("carol", self.carol_host).until("registered at")
        for peer in self.pair:
            peer.say("/connect carol")
            peer.until("carol@lobby is linked")
        self.say("again")
        for peer in self.pair:
            peer.until("^#13 to .*: confirmed ")
        for peer, shown in zip(self.pair, self.shown(), strict=True):
            self.assertEqual([text for text, _ in shown], [*texts, "again"])
            outcomes = [match for match in map(re.compile(_OUTCOME).match, peer.output) if match]
            self.assertEqual(sorted(int(match[1]) for match in outcomes), list(range(1, 14)))
            self.assertEqual({match[2].partition(" ")[0] for match in outcomes}, {"confirmed"})
