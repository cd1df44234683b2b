"""Who lives in a simulated network: peers that come, go, and come back."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs
from twisted.internet.defer import Deferred

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.node import Node
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.settings import Settings
from p2pchat.simulation.disk import Disk, DiskThreads
from p2pchat.simulation.internet import Internet
from p2pchat.simulation.keys import MORNING_MS, Locker
from p2pchat.simulation.ledger import Person
from p2pchat.simulation.network import MemoryHost
from p2pchat.store.sqlite import SqliteStore

#: Where the rendezvous stands.
RENDEZVOUS = Address("10.255.255.1", 5000)

#: Where every peer listens.
PORT = 7070

#: Namespaces of the peers, in turn.
NAMESPACES = ("UnB", "Giga", "Física")

#: What every name of some peers holds, in turn: strange names must break nothing.
SYLLABLES = ("peer", "peer", "peer", "joão", "peer", "名", "peer", "pe'er", "peer", "🐧")


@attrs.define
class Surroundings:
    """What all residents share. The simulation creates and owns it.

    :param told: told each event of each honest peer.
    :param gone: told that a program has ended, which will tell nothing more.
    :param max_dialled: how many of the roster each peer dials by itself; None for what it does anyway.
    """

    internet: Internet
    random: Random
    told: Callable[[Person, events.Event], None]
    gone: Callable[[Person], None]
    max_dialled: int | None = None

    def new_id(self) -> str:
        """Return a msg_id: 128 random bits."""
        return f"{self.random.getrandbits(128):032x}"


@attrs.define(eq=False)
class Resident:
    """One peer, through all runs of its program. The simulation creates, starts and stops it.

    :param peers: addresses that its user told it to dial.
    :param locker: its keys; None: it has none, like peers of before.
    :param disk: where it keeps its messages; None: it forgets them when its program ends.
    :param make: makes the node; a liar's is of another class.
    """

    number: int
    own: PeerId
    ip: str
    around: Surroundings
    peers: tuple[Address, ...] = ()
    locker: Locker | None = None
    disk: Disk | None = None
    make: Callable[..., Node] = Node
    is_honest: bool = True
    #: What kind of liar it is, if it is one.
    part: str = ""
    host: MemoryHost | None = None
    node: Node | None = None
    person: Person | None = None
    #: Its last program is just ending in good order.
    is_leaving: bool = False
    #: Told when the power fails in the middle of something.
    power_failed: Callable[[], None] = lambda: None

    @property
    def is_up(self) -> bool:
        """Its program runs."""
        return self.node is not None

    @property
    def settings(self) -> Settings:
        """What its program is started with."""
        return Settings(port=PORT, rendezvous=RENDEZVOUS, shared=False, peers=self.peers)

    def start(self) -> None:
        """Start its program, with no memory of what was before but what is on its disk."""
        around = self.around
        self.host = around.internet.host(self.ip)
        self.person = person = Person(self.own, keeps=self.disk is not None)
        self.node = self.make(
            self.host,
            self.own,
            self.settings,
            new_id=around.new_id,
            random=around.random.random,
            timestamp=lambda: "2026-01-01T00:00:00Z",
            keys=None if self.locker is None else self.locker.open(self.host.seconds),
            store=None if self.disk is None else self._store(self.disk, self.host, person),
        )
        if around.max_dialled is not None:
            self.node.switchboard.max_dialled = around.max_dialled
        if self.is_honest:
            self.node.listen(lambda event: around.told(person, event))
        self.node.startService()

    def leave(self) -> Deferred[None]:
        """End its program in good order; fires when that is done."""
        node, person = self._end()
        self.is_leaving = True
        return node.stopService().addCallback(lambda _: self._left(person))

    def kill(self) -> None:
        """End its program as by ``kill -9``."""
        _, person = self._end()
        assert self.host is not None, "who has a node has a host"
        self.host.kill()
        self.around.gone(person)

    def crash(self) -> None:
        """Let its machine lose power."""
        _, person = self._end()
        self.around.internet.crash(self.ip)
        self.around.gone(person)

    def _store(self, disk: Disk, host: MemoryHost, person: Person) -> SqliteStore:
        disk.cut_after(0)
        return SqliteStore(
            disk.database,
            DiskThreads(host, self.around.random, lambda: self._lose_power(host, person)),
            now_ms=lambda: MORNING_MS + round(host.seconds() * 1000),
            clock_s=host.seconds,
        )

    def _lose_power(self, host: MemoryHost, person: Person) -> None:
        if self.is_up and self.host is host:
            self.crash()
            self.power_failed()
        else:
            host.kill()  # in the middle of ending in good order
            self._left(person)

    def _left(self, person: Person) -> None:
        self.is_leaving = False
        self.around.gone(person)

    def _end(self) -> tuple[Node, Person]:
        node, person = self.node, self.person
        assert node is not None, "only who is up is ended"
        assert person is not None, "who has a node has somebody at it"
        self.node = self.person = None
        return node, person


def name_of(number: int) -> PeerId:
    """Return who a peer is."""
    name = f"{SYLLABLES[number % len(SYLLABLES)]}{number}"
    return PeerId.of(name, NAMESPACES[number % len(NAMESPACES)])


def ip_of(number: int) -> str:
    """Return where a peer lives."""
    return f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


@attrs.define(eq=False)
class Rendezvous:
    """The rendezvous server, through all its runs. The simulation creates, starts and stops it."""

    _internet: Internet
    #: None while its machine has no power.
    server: RendezvousServer | None = None

    def __attrs_post_init__(self) -> None:
        self._internet.settle(RENDEZVOUS.host, None)

    @property
    def is_up(self) -> bool:
        """It listens."""
        return self.server is not None and self.server.listening_port != 0

    def start(self) -> None:
        """Listen; with the records that it had, unless it crashed."""
        if self.server is None:
            self.server = RendezvousServer(self._internet.host(RENDEZVOUS.host), RENDEZVOUS.port)
        self.server.startService()

    def stop(self) -> Deferred[None]:
        """Listen no more; the records stay."""
        assert self.server is not None, "only who is up is stopped"
        return self.server.stopService()

    def crash(self) -> None:
        """Let its machine lose power, and all records with it."""
        self._internet.crash(RENDEZVOUS.host)
        self.server = None
