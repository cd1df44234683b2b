"""Words for scenarios: who is linked with whom, who talks, who misbehaves, and what must have come of it."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from p2pchat import events, ticking
from p2pchat.addresses import Address
from p2pchat.protocol.messages import RelayOk
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.routing.delivery import Delivery, State
from tests.links.peers import PLAIN_FEATURES, RawPeer, bye_ok, pong
from tests.village import NodeTestCase, Villager

#: Seconds after which every message has an outcome: three tries, and the search for a way between them.
OUTCOME_S = 5.0 + 7.5 + 10.0 + 3 * 5.0


#: So that no text is said twice, whoever says it.
_numbers = itertools.count(1)


@attrs.define
class Conversation:
    """What one says to another, numbered, and what becomes of it."""

    speaker: Villager
    listener: Villager | PeerId
    deliveries: list[Delivery] = attrs.Factory(list)

    @property
    def to(self) -> PeerId:
        """Who is spoken to; a listener that was restarted is the same peer."""
        return self.listener if isinstance(self.listener, PeerId) else self.listener.own

    def say(self, text: str = "") -> Delivery:
        """Say one thing, which nobody said before."""
        text = text or f"{self.speaker.own.name} to {self.to.name}, {next(_numbers)}"
        self.deliveries.append(self.speaker.node.send(self.to, text))
        return self.deliveries[-1]

    @property
    def said(self) -> list[str]:
        """All texts, in order."""
        return [delivery.payload for delivery in self.deliveries]

    @property
    def failed(self) -> list[Delivery]:
        """Those that the user was told of as failed."""
        return [delivery for delivery in self.deliveries if delivery.state is State.FAILED]

    @property
    def most_tries(self) -> int:
        """How often the one was sent that was sent most often."""
        return max(delivery.tries for delivery in self.deliveries)


class PlainPeer(RawPeer):
    """A peer of another kind, which does not relay, and confirms with a msg_id and nothing else.

    :param features: what it says that it can do.
    """

    def __init__(self, name: str, features: list[str]) -> None:
        super().__init__({"PING": pong, "BYE": bye_ok})
        self.own = PeerId(f"{name}@UnB")
        self.features = features
        if "ack" in features:
            self.answers["SEND"] = lambda message: [{"type": "ACK", "msg_id": message["msg_id"]}]

    @property
    def told(self) -> list[str]:
        """The texts that arrived."""
        return [fields["payload"] for fields in self.heard if fields["type"] in ("SEND", "PUB")]

    def connectionMade(self) -> None:
        """Speak first."""
        self.say("HELLO", peer_id=self.own, version="1.0", features=self.features, ttl=1)

    def tell(self, to: PeerId, text: str, msg_id: str, **more: Any) -> None:
        """Send a text, as plain peers do: with a ttl of 1, and again without saying so."""
        self.say("SEND", msg_id=msg_id, src=self.own, dst=to, payload=text, require_ack=True, ttl=1, **more)

    def cast(self, text: str, msg_id: str) -> None:
        """Send a text to everybody."""
        self.say("PUB", msg_id=msg_id, src=self.own, dst="*", payload=text, require_ack=False, ttl=1)


class ScenarioTestCase(NodeTestCase):
    """Networks of any shape, and conversations in them."""

    def setUp(self) -> None:
        super().setUp()
        # Most of the real time that a quiet network takes is ticks; nothing here is due more often.
        self.patch(ticking, "TICK_S", 0.25)
        self._plain_hosts = 0

    def build(self, *chains: str, **settings: Any) -> list[Villager]:
        """Start peers linked as told, as in ``a-b-c``, ``a-d``; return them in the order of their names."""
        links = [pair for chain in " ".join(chains).split() for pair in _pairs(chain)]
        names = list(dict.fromkeys(name for link in links for name in link))
        ips = {name: f"10.1.{number // 250}.{number % 250 + 1}" for number, name in enumerate(names)}
        told: dict[str, list[Address]] = {name: [] for name in names}
        for one, other in links:
            told[other].append(Address(ips[one], 7070))
        built = [
            self.join(name, ips[name], rendezvous=None, peers=tuple(told[name]), **settings) for name in names
        ]
        self.pass_time(1)
        for one, other in links:
            self.assertIn(built[names.index(other)].own, built[names.index(one)].node.neighbours)
        return built

    def return_(self, villager: Villager, ip: str = "") -> Villager:
        """Start a peer again that was killed or crashed, where it was or at *ip*."""
        settings = villager.node.settings
        given = {"rendezvous": settings.rendezvous, "peers": settings.peers}
        return self.join(str(villager.own), ip or villager.ip, **given)

    def plain(self, name: str, at: Villager, features: list[str] = PLAIN_FEATURES) -> PlainPeer:
        """Link a plain peer with a neighbour; with the features of ours it is one that does what it likes."""
        peer = PlainPeer(name, features)
        self._plain_hosts += 1
        connectProtocol(TCP4ClientEndpoint(self.host(f"10.3.0.{self._plain_hosts}"), at.ip, 7070), peer)
        self.addCleanup(lambda: peer.wire.abortConnection())
        self.pass_time(1)
        self.assertIn(name, at.linked)
        return peer

    def introduce(self, one: Villager, *others: Villager) -> None:
        """Give one the addresses of others."""
        for other in others:
            one.node.switchboard.add_fixed(Address(other.ip, 7070))

    # What they do.

    def talk(
        self, speaker: Villager, listener: Villager | PeerId, times: int = 1, every_s: float = 0.0
    ) -> Conversation:
        """Say some things, and let time pass behind each."""
        conversation = Conversation(speaker, listener)
        for _ in range(times):
            conversation.say()
            self.pass_time(every_s)
        return conversation

    def cast(self, speaker: Villager, text: str) -> None:
        """Say something to everybody."""
        self.successResultOf(speaker.node.publish(ToAll(), text))

    def swallow(self, relay: Villager, *, lies: bool = False) -> None:
        """Let a relay accept what it is to pass on, and never do it.

        :param lies: it says of each message that it passed it on.
        """
        inside = relay.node.router.relay

        def on_send(neighbour: Any, message: Any, line: bytes) -> None:
            if lies:
                inside._report(neighbour, message, RelayOk, "passed on")

        self.patch(inside, "on_send", on_send)

    def isolate(self, villager: Villager) -> None:
        """Cut a peer off from everybody; its connections stay half-open."""
        for other in self.villagers:
            if other is not villager:
                self.network.cut(villager.ip, other.ip)

    def settle(self) -> None:
        """Let everything come to its end that was begun, and what is late arrive."""
        for _ in range(int(OUTCOME_S)):
            if all(villager.node.is_idle for villager in self.villagers):
                break
            self.pass_time(1)
        self.pass_time(1)

    def end_story(self) -> None:
        """End all peers, so that the same test can tell another story."""
        self.assert_nothing_broke()
        for villager in list(self.villagers):
            self.kill(villager)
        self.pass_time(0.1)

    # What must have come of it.

    def assert_accounted_for(self, conversation: Conversation, *listeners: Villager) -> None:
        """Assert that all is confirmed or named as failed, nothing shown twice, and what is confirmed shown.

        :param listeners: all that lived under the name of the listener, where there were several.
        """
        if not listeners:
            assert isinstance(conversation.listener, Villager)
            listeners = (conversation.listener,)
        told = conversation.speaker.told(events.MessageFailed)
        heard = [text for listener in listeners for text in listener.heard if text in conversation.said]
        for delivery in conversation.deliveries:
            self.assertTrue(delivery.is_over, delivery.payload)
            if delivery.state is State.CONFIRMED:
                self.assertIn(delivery.payload, heard)
            else:
                (event,) = [event for event in told if event.msg_id == delivery.msg_id]
                self.assertTrue(event.code, event)
                self.assertRegex(event.why, r"^\w.*\w", event)
        for listener in listeners:
            self.assertEqual(len(listener.heard), len(set(listener.heard)), f"{listener.own} heard it twice")

    def assert_all_confirmed(
        self, conversation: Conversation, *listeners: Villager, most_tries: int = 1
    ) -> None:
        """Assert that all was confirmed, after so many tries at most, and all else as well."""
        self.assert_accounted_for(conversation, *listeners)
        self.assertEqual([(each.code, each.why) for each in conversation.failed], [])
        self.assertLessEqual(conversation.most_tries, most_tries)

    def assert_nothing_broke(self) -> None:
        """Assert that no node met a defect of its own."""
        for villager in self.villagers:
            self.assertEqual(villager.node.switchboard.around.broken, 0, villager.own)


def _pairs(chain: str) -> list[tuple[str, str]]:
    names = chain.split("-")
    return list(itertools.pairwise(names))
