"""Hostile peers. All but one are real nodes that do something else with what they are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
from msgspec import UNSET
from msgspec.structs import replace
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall

from p2pchat.addresses import Reactor
from p2pchat.language import tr
from p2pchat.links.neighbour import Neighbour
from p2pchat.node import Node
from p2pchat.protocol.codec import encode
from p2pchat.protocol.messages import (
    COURIER,
    ORIGIN_TTL,
    Ack,
    Held,
    Hello,
    Hold,
    Message,
    Pub,
    Send,
    WhoHas,
    WhoHasHit,
)
from p2pchat.protocol.names import PeerId
from p2pchat.settings import Settings

#: Seconds between two misdeeds.
MISCHIEF_S = 1.0

#: Lines of each kind that a flooder sends at once; mostly none, seldom more than anybody takes from it.
FLOODS = (*(0,) * 400, 10, 20, 80)

#: Lines that a replayer keeps, and says again at once.
KEPT = 200
REPLAYED = 2

#: How often a collider does something, of the times that it could.
SELDOM = 0.1

#: How often a forger does the one thing, and not the other.
HALF = 0.5

#: Connections that a drip-feeder holds.
DRIPS = 3


class Liar(Node):
    """A real node with bad manners.

    :param names: who else is there.
    """

    def __init__(
        self, reactor: Reactor, own: PeerId, settings: Settings, *, names: list[PeerId], **given: Any
    ) -> None:
        super().__init__(reactor, own, settings, **given)
        self.names = names
        self.chance = Random(str(own))
        self._mischief = LoopingCall(self.misbehave)
        self._mischief.clock = reactor

    def startService(self) -> None:
        """Begin."""
        super().startService()
        self._mischief.start(MISCHIEF_S, now=False)

    def stopService(self) -> Any:
        """End."""
        if self._mischief.running:
            self._mischief.stop()
        return super().stopService()

    def misbehave(self) -> None:
        """Do something once in a while."""

    def anybody(self) -> PeerId:
        """Return the name of somebody."""
        return self.chance.choice(self.names)

    def tell_all(self, message: Message) -> None:
        """Send something to all neighbours."""
        line = encode(message)
        for neighbour in list(self.neighbours.values()):
            neighbour.write(line)


class BlackHole(Liar):
    """Answers questions like everybody, and swallows what it is given for others."""

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Swallow, or not."""
        if isinstance(message, Send | Pub) and message.dst != self.own:
            return
        super().message_received(neighbour, message, line)


class Poisoner(BlackHole):
    """Says that everybody is right behind it, and swallows what it is given for them."""

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Claim to be next to whoever is sought."""
        if isinstance(message, WhoHas):
            hit = WhoHasHit(message.msg_id, self.own, message.dst, self.own, ORIGIN_TTL, 1)
            neighbour.write(encode(hit), urgent=True)
            return
        super().message_received(neighbour, message, line)


class Flooder(Liar):
    """Says a lot, in the name of others."""

    def misbehave(self) -> None:
        """Flood all neighbours."""
        for _ in range(self.chance.choice(FLOODS)):
            new_id, src, dst = self.router.hood.new_id, self.anybody(), self.anybody()
            self.tell_all(Pub(new_id(), src, "buy now", dst="*", ttl=self.chance.randint(-1, 99)))
            self.tell_all(Send(new_id(), src, dst, "buy now", ttl=ORIGIN_TTL))
            self.tell_all(WhoHas(new_id(), src, f"{new_id()}@{dst.namespace}", ORIGIN_TTL))
            self.tell_all(Ack(new_id(), dst, dst, src, ORIGIN_TTL))


class Replayer(Liar):
    """Says again what it has heard, for as long as it lives."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._heard: deque[bytes] = deque(maxlen=KEPT)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Keep it, and do what everybody does with it."""
        self._heard.append(line + b"\n")
        super().message_received(neighbour, message, line)

    def misbehave(self) -> None:
        """Say some of it again, to everybody."""
        for line in self.chance.sample(list(self._heard), min(REPLAYED, len(self._heard))):
            for neighbour in list(self.neighbours.values()):
                neighbour.write(line)


class Collider(Liar):
    """Uses the msg_ids of others, and the same one for many messages."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._used: deque[str] = deque(maxlen=KEPT)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Use the msg_id of what passes for something of its own, once: others of its kind do the same."""
        super().message_received(neighbour, message, line)
        if isinstance(message, Send | Pub) and message.msg_id not in self._used:
            self._used.append(message.msg_id)
            line = encode(Send(message.msg_id, self.own, self.anybody(), "collision", ttl=ORIGIN_TTL))
            self.chance.choice(list(self.neighbours.values()) or [neighbour]).write(line)

    def misbehave(self) -> None:
        """Say different things under one msg_id, now and then."""
        if self.chance.random() > SELDOM:
            return
        text = f"collision {self.chance.random()}"
        self.tell_all(Send("m1", self.own, self.anybody(), text, ttl=ORIGIN_TTL))
        self.tell_all(Pub("m1", self.own, text, dst="*", ttl=ORIGIN_TTL))


class Impostor(Liar):
    """Says that it is somebody else, who is there too: to be made with the name of that one."""

    def host_rendezvous(self) -> bool:
        """It has enough to do."""
        return False


class Downgrader(Impostor):
    """The same without keys, so that it must do without encryption; and takes off what it finds of seals."""

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Pass on what was sealed or signed as if it had been neither."""
        if isinstance(message, Send | Pub) and message.dst != self.own:
            message = replace(message, sealed=UNSET, time_ms=UNSET, key=UNSET, sig=UNSET)
            line = encode(message)[:-1]
        super().message_received(neighbour, message, line)


class Forger(Liar):
    """Passes on other words than it was given, or swallows them and confirms them itself."""

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Forge, one way or another."""
        if isinstance(message, Send) and message.dst != self.own and self.chance.random() < HALF:
            dst = message.dst
            neighbour.write(encode(Ack(message.msg_id, dst, dst, message.src, ORIGIN_TTL, sig=message.sig)))
            return
        if isinstance(message, Send | Pub) and message.dst != self.own:
            is_cut = self.chance.random() < HALF
            sealed = message.sealed[:-4] if is_cut and message.sealed is not UNSET else UNSET
            message = replace(message, payload="forged", sealed=sealed)
            line = encode(message)[:-1]
        super().message_received(neighbour, message, line)


class Embezzler(Liar):
    """Says that it keeps what it is given for those who are away; keeps nothing, and confirms some of it."""

    def _features(self) -> tuple[str, ...]:
        """Offer to be a courier, which a program without a disk is not."""
        return (*super()._features(), COURIER)

    def message_received(self, neighbour: Neighbour, message: Message, line: bytes) -> None:
        """Embezzle, or not."""
        if not isinstance(message, Hold):
            super().message_received(neighbour, message, line)
            return
        neighbour.write(encode(Held(message.msg_id, self.own, message.src, message.for_s)), urgent=True)
        if message.for_s and self.chance.random() < HALF:
            msg_id, src, dst = message.msg_id, message.src, message.dst
            neighbour.write(encode(Ack(msg_id, dst, dst, src, ORIGIN_TTL, receipt=message.lock)))


class DripFeeder(Liar):
    """Besides being a peer, sends lines that never end, a byte at a time, and reads nothing."""

    def __init__(self, reactor: Reactor, *given: Any, **more: Any) -> None:
        super().__init__(reactor, *given, **more)
        self._dripping_reactor = reactor
        self._drips: list[_Drip] = []

    def misbehave(self) -> None:
        """Let a byte fall into each connection, and open another one where there are too few."""
        self._drips = [drip for drip in self._drips if not drip.is_over]
        addresses = [*self.roster.values()]
        if self.settings.rendezvous is not None:
            addresses.append(self.settings.rendezvous)
        while addresses and len(self._drips) < DRIPS:
            drip = _Drip(hello=encode(Hello(self.anybody())))
            self._drips.append(drip)
            address = self.chance.choice(addresses)
            endpoint = TCP4ClientEndpoint(self._dripping_reactor, address.host, address.port, timeout=5.0)
            connectProtocol(endpoint, drip).addErrback(drip.connectionLost)
        for drip in self._drips:
            drip.fall()

    def stopService(self) -> Any:
        """End them, too."""
        for drip in self._drips:
            drip.end()
        return super().stopService()


class _Drip(Protocol):
    """One connection of a drip-feeder. Every other one ends its HELLO, and drips behind it."""

    def __init__(self, hello: bytes) -> None:
        self.is_over = False
        self._rest = hello

    def fall(self) -> None:
        """Send a byte."""
        if self.transport is not None and not self.is_over:
            byte, self._rest = self._rest[:1] or b"x", self._rest[1:]
            self.transport.write(byte)

    def end(self) -> None:
        """Close."""
        if self.transport is not None and not self.is_over:
            ITCPTransport(self.transport).abortConnection()

    def connectionMade(self) -> None:
        """Read nothing."""
        ITCPTransport(self.transport).pauseProducing()  # type: ignore[attr-defined]

    def connectionLost(self, reason: object = None) -> None:
        """It is over."""
        self.is_over = True


#: What liars can be, by the name of it.
LIARS: dict[str, Callable[..., Liar]] = {
    "black-hole": BlackHole,
    "poisoner": Poisoner,
    "flooder": Flooder,
    "replayer": Replayer,
    "collider": Collider,
    "impostor": Impostor,
    "downgrader": Downgrader,
    "forger": Forger,
    "embezzler": Embezzler,
    "drip-feeder": DripFeeder,
}

#: Those who use the name of somebody else.
NAMESAKES = ("impostor", "downgrader")

#: Those who confirm what they swallowed, which proves something only of those who sign what they say.
FORGERS = ("flooder", "replayer", "forger", "embezzler")

#: Any of them.
ANY = "any"


class BadLiars(ValueError):
    """Not a list of kinds of liars; the text says what would be right."""


def parse_liars(text: str) -> tuple[tuple[str, float], ...]:
    """Read ``black-hole:0.2,flooder:0.1``, or ``0.2`` for any of them.

    :raises BadLiars: it is not written so, or together they are more than all.
    """
    liars = []
    for word in text.split(","):
        kind, _, share = word.strip().rpartition(":")
        kind = kind or ANY
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if kind not in (*LIARS, ANY) or not 0.0 <= value < 1.0:
            names = ", ".join(LIARS)
            raise BadLiars(
                tr("expected a share below 1, or KIND:SHARE with one of {kinds}; got {text!a}").format(
                    kinds=names, text=word
                )
            )
        liars.append((kind, value))
    if sum(share for _, share in liars) >= 1.0:
        raise BadLiars(tr("there must be honest peers left"))
    return tuple(liars)


@attrs.frozen
class Cast:
    """Who plays which part.

    :param parts: the kind of each liar, by number of the peer.
    """

    parts: dict[int, str]

    @classmethod
    def draw(cls, peers: int, liars: tuple[tuple[str, float], ...], random: Random) -> Cast:
        """Draw who lies, and how; the first peer is honest."""
        free = list(range(1, peers))
        random.shuffle(free)
        parts = {}
        for kind, share in liars:
            for _ in range(min(round(share * peers), len(free) - 1)):
                parts[free.pop()] = random.choice(list(LIARS)) if kind == ANY else kind
        return cls(parts)
