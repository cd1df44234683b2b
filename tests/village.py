"""Real nodes on a network in memory, for tests: who lives there, who heard what, who crashes."""

from __future__ import annotations

import itertools
import random
from typing import Any, TypeVar

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.settings import SHARED_RENDEZVOUS, Settings
from p2pchat.store.database import MemoryDatabase
from p2pchat.store.sqlite import SqliteStore
from p2pchat.testing import MemoryHost, MemoryNetwork
from p2pchat.trust.keys import Keys
from tests.store.disks import NoThreads

#: Where the rendezvous of the village stands.
RENDEZVOUS = Address("10.0.0.99", 5000)

#: The time of day at the beginning, in ms since 1970.
MORNING_MS = 1_767_258_000_000

#: The machine on which peers share a rendezvous of their own.
MACHINE = "10.0.0.1"

_E = TypeVar("_E", bound=events.Event)


class Villager:
    """A node, and all that it told. `VillageTestCase` makes and ends it."""

    def __init__(self, host: MemoryHost, node: Node) -> None:
        self.host = host
        self.node = node
        self.ip = host.ip
        self.own = node.own
        self.events: list[events.Event] = []
        node.listen(self.events.append)

    def told(self, kind: type[_E]) -> list[_E]:
        """All events of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def heard(self) -> list[str]:
        """The texts that arrived."""
        return [event.payload for event in self.told(events.MessageArrived)]

    @property
    def confirmed(self) -> list[PeerId]:
        """Who confirmed a message."""
        return [event.dst for event in self.told(events.MessageConfirmed)]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The text and the code of each message that failed."""
        return [(event.payload, event.code) for event in self.told(events.MessageFailed)]

    @property
    def linked(self) -> set[str]:
        """The names of those with a link."""
        return {peer_id.name for peer_id in self.node.neighbours}

    @property
    def listed(self) -> set[str]:
        """The names of those in the roster."""
        return {peer_id.name for peer_id in self.node.roster}

    @property
    def hosts(self) -> bool:
        """Whether the rendezvous lives in this node."""
        return self.node.rendezvous is not None


class Stranger(Protocol):
    """A raw connection to a peer: sends any bytes, keeps what it gets."""

    def __init__(self) -> None:
        self.got = b""
        self.is_closed = False

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: object = None) -> None:
        self.is_closed = True

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class VillageTestCase(SynchronousTestCase):
    """A network, a clock that the test moves, and peers that leave nothing behind when they are gone."""

    #: Peers keep their messages, unless told otherwise.
    keep = False

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.random = random.Random(7)
        #: What peers have written down.
        self.disks: dict[PeerId, MemoryDatabase] = {}
        self._ids = itertools.count(1)
        self._hosts: dict[str, MemoryHost] = {}
        self.villagers: list[Villager] = []
        self.servers: list[RendezvousServer] = []
        self.strangers: list[Stranger] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        """Stop everything. Then no timer and no connection may be left."""
        for stranger in self.strangers:
            if stranger.transport is not None:
                ITCPTransport(stranger.transport).abortConnection()
        for villager in self.villagers:
            if villager.node.running:
                villager.node.stopService()
        for server in self.servers:
            server.stopService()
        self.network.advance(3)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])
        self.assertEqual(list(self.network.transports), [])

    def host(self, ip: str) -> MemoryHost:
        """The one host at *ip*."""
        return self._hosts.setdefault(ip, self.network.host(ip))

    def pass_time(self, seconds: float = 1.0) -> None:
        self.network.advance(seconds)

    def rendezvous(self, address: Address = RENDEZVOUS) -> RendezvousServer:
        """Start a rendezvous server that remembers nothing."""
        server = RendezvousServer(self.host(address.host), address.port)
        server.startService()
        self.servers.append(server)
        return server

    def end_rendezvous(self, server: RendezvousServer) -> None:
        self.servers.remove(server)
        self.successResultOf(server.stopService())

    def store_of(self, own: PeerId, host: MemoryHost, **options: Any) -> SqliteStore:
        """Make a store for the next run of a peer, which has all that was written by those before."""
        disk = self.disks.setdefault(own, MemoryDatabase())
        threads = NoThreads()

        def now_ms() -> int:
            return MORNING_MS + round(self.network.clock.seconds() * 1000)

        return SqliteStore(disk, threads, now_ms=now_ms, clock_s=host.seconds, **options)

    def make(
        self, name: str, ip: str, keys: Keys | None = None, *, keeps: bool | None = None, **settings: Any
    ) -> Villager:
        """Make a peer that is not yet started: ``name`` or ``name@namespace``, in UnB.

        :param keeps: it keeps its messages through all its runs.
        """
        given: dict[str, Any] = {"rendezvous": RENDEZVOUS, "shared": False, **settings}
        host = self.network.host(ip)
        own = PeerId(name if "@" in name else f"{name}@UnB")
        node = Node(
            host,
            own,
            Settings(**given),
            new_id=lambda: f"id-{next(self._ids)}",
            random=self.random.random,
            timestamp=lambda: "2026-01-02T03:04:05Z",
            keys=keys,
            store=self.store_of(own, host) if (self.keep if keeps is None else keeps) else None,
        )
        villager = Villager(host, node)
        self.villagers.append(villager)
        return villager

    def join(self, name: str, ip: str = "", **settings: Any) -> Villager:
        """Start a peer on a host of its own, or at *ip*."""
        villager = self.make(name, ip or f"10.0.1.{len(self.villagers) + 1}", **settings)
        villager.node.startService()
        return villager

    def join_shared(self, *names: str) -> list[Villager]:
        """Start peers of one machine, which bring their rendezvous along."""
        return [self.join(name, MACHINE, rendezvous=SHARED_RENDEZVOUS, shared=True) for name in names]

    def leave(self, villager: Villager) -> None:
        """Let a peer leave in good order."""
        stopped = villager.node.stopService()
        self.pass_time(2.5)
        self.successResultOf(stopped)

    def kill(self, villager: Villager) -> None:
        """Let the process of a peer die; its machine lives on."""
        villager.host.kill()
        self._is_gone(villager)

    def crash(self, villager: Villager) -> None:
        """Let the machine of a peer die: nobody hears anything of it any more."""
        self.network.crash(villager.ip)
        self._is_gone(villager)

    def _is_gone(self, villager: Villager) -> None:
        self.villagers.remove(villager)

    def stranger(self, villager: Villager, ip: str = "10.6.6.6") -> Stranger:
        """Connect to a peer as whoever."""
        stranger = Stranger()
        self.strangers.append(stranger)
        port = villager.node.switchboard.port
        connectProtocol(TCP4ClientEndpoint(self.host(ip), villager.ip, port), stranger)
        self.pass_time(0.01)
        return stranger

    def assert_linked(self, *villagers: Villager) -> None:
        """Assert that everybody has a link with everybody else."""
        names = {villager.own.name for villager in villagers}
        for villager in villagers:
            self.assertEqual(villager.linked, names - {villager.own.name}, villager.own)


class NodeTestCase(VillageTestCase):
    """Peers that talk."""

    def meet(self, *names: str, **settings: Any) -> list[Villager]:
        """Start a rendezvous and peers that all get linked."""
        if not self.servers:
            self.rendezvous()
        villagers = [self.join(name, **settings) for name in names]
        self.pass_time(5)
        self.assert_linked(*villagers)
        return villagers

    def say(self, speaker: Villager, listener: Villager, text: str) -> None:
        speaker.node.send(listener.own, text)

    def assert_chatting(self, *villagers: Villager) -> None:
        """Assert that everybody reaches everybody, with confirmation, within a second."""
        for villager in villagers:
            villager.events.clear()
        for speaker in villagers:
            for listener in villagers:
                if speaker is not listener:
                    self.say(speaker, listener, f"{speaker.own} to {listener.own}")
        self.pass_time(1)
        for listener in villagers:
            texts = [f"{other.own} to {listener.own}" for other in villagers if other is not listener]
            self.assertEqual(sorted(listener.heard), sorted(texts))
            self.assertEqual(len(listener.confirmed), len(villagers) - 1)
