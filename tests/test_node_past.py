"""Real nodes that tell newcomers what was said before (docs/protocol.md, section 12.5)."""

from __future__ import annotations

import json
from typing import Any

from p2pchat import events
from p2pchat.protocol.names import PeerId, ToAll, ToNamespace
from p2pchat.store.sqlite import MAX_CASTS, SqliteStore
from p2pchat.testing import MemoryHost
from p2pchat.trust.namespacekey import NamespaceKey
from tests.keys import random_bytes_of
from tests.test_node_couriers import CourierTestCase
from tests.village import Villager

UNB = ToNamespace("UnB")
DAVE = PeerId("dave@UnB")


class PastTests(CourierTestCase):
    has_history = True

    def store_of(self, own: PeerId, host: MemoryHost, **options: Any) -> SqliteStore:
        """Make a store, with history or without."""
        return super().store_of(own, host, keeps_history=self.has_history, **options)

    def say(self, speaker: Villager, *texts: str) -> None:  # type: ignore[override]
        """Say something to the namespace."""
        for text in texts:
            speaker.node.publish(UNB, text)
            self.pass_time(1)

    def test_newcomer(self) -> None:
        """Who comes is shown what was said before, once, in order, marked as past; and nobody else is."""
        alice, bob, carol = self.gather("alice", "bob", "carol")
        self.say(alice, "1", "2")
        self.say(bob, "3")
        alice.node.publish(ToAll(), "to all")
        self.pass_time(10)
        before = [len(each.heard) for each in (alice, bob, carol)]
        dave = self.resident("dave")
        self.pass_time(40)
        self.assertEqual(dave.heard, ["1", "2", "3"])
        for arrived in dave.told(events.MessageArrived):
            self.assertGreater(arrived.late_s or 0.0, 10.0)
            self.assertEqual((arrived.is_cast, arrived.dst), (True, "#UnB"))
        self.assertEqual([len(each.heard) for each in (alice, bob, carol)], before)

    def test_back(self) -> None:
        """Who was away is shown what it missed, and what it knows not again."""
        alice, bob = self.gather("alice", "bob")
        self.say(alice, "1")
        self.say(bob, "mine")
        self.leave(bob)
        self.resident("carol")
        self.pass_time(40)
        self.say(alice, "2")
        self.kill(alice)
        bob, alice = self.resident("bob"), self.resident("alice")
        self.pass_time(40)
        self.assertEqual((bob.heard, alice.heard), (["2"], []))

    def test_spreads(self) -> None:
        """What a newcomer learned it tells the next one."""
        alice, bob = self.gather("alice", "bob")
        self.say(alice, "1")
        self.leave(alice)
        carol = self.resident("carol")
        self.pass_time(40)
        self.leave(bob)
        dave = self.resident("dave")
        self.pass_time(40)
        self.assertEqual((carol.heard, dave.heard), (["1"], ["1"]))

    def test_bounded(self) -> None:
        """The last fifty are told."""
        alice, _bob = self.gather("alice", "bob")
        for number in range(MAX_CASTS + 5):
            alice.node.publish(UNB, str(number))
        self.pass_time(5)
        dave = self.resident("dave")
        self.pass_time(60)
        self.assertEqual(dave.heard, [str(number) for number in range(5, MAX_CASTS + 5)])

    def test_forged(self) -> None:
        """A neighbour that tells what nobody said is not believed."""
        alice, bob = self.gather("alice", "bob")
        line = {
            "type": "PUB",
            "msg_id": "m",
            "src": "alice@UnB",
            "dst": "#UnB",
            "payload": "forged",
            "ttl": 1,
        }
        bob.node.store.keep_cast(json.dumps(line | {"time_ms": self.now_ms(), "key": "AQ==", "sig": "AQ=="}))
        bob.node.store.keep_cast("no JSON")
        self.kill(alice)
        dave = self.resident("dave")
        self.pass_time(40)
        self.assertEqual((dave.heard, dave.node.counters()["forged"]), ([], 1))

    def test_no_history(self) -> None:
        """Who keeps no history has nothing to tell, and is told all the same."""
        alice, bob = self.gather("alice", "bob")
        self.say(alice, "1")
        self.assertEqual(len(bob.node.store.casts()), 1)
        self.leave(bob)
        self.say(alice, "2")
        self.has_history = False
        bob, carol = self.resident("bob"), self.resident("carol")
        self.pass_time(40)
        self.assertEqual((bob.heard, bob.node.store.casts()), ([], []))
        self.assertEqual((carol.heard, carol.node.store.casts()), (["1"], []))

    def test_sealed(self) -> None:
        """What is sealed with the key of the namespace is told as well; only who has that reads it."""
        key = NamespaceKey.new("UnB", random_bytes_of("key"))
        self.namespace_key = key
        alice, _bob = self.gather("alice", "bob")
        self.say(alice, "the secret")
        dave = self.resident("dave")
        self.namespace_key = None
        erin = self.resident("erin")
        self.pass_time(40)
        self.assertEqual((dave.heard, erin.heard), (["the secret"], []))
