"""What lies between simulated peers: distances, who can dial whom, and what goes wrong on the way."""

from __future__ import annotations

from random import Random

from twisted.internet.error import ConnectError, ConnectionRefusedError, TimeoutError

from p2pchat.simulation.network import MemoryNetwork
from p2pchat.simulation.topology import Reach

#: Seconds that a segment takes from one end of the world to the other, and to the next house.
FAR_S = 0.08
NEAR_S = 0.002

#: By how much longer it may take, as a share of `FAR_S`.
JITTER = 0.1

#: Bytes a second of a slow peer, either way: a bad mobile connection.
SLOW_BYTES_PER_S = 4000.0


class Internet(MemoryNetwork):
    """A network on which hosts are far from each other, and things go wrong.

    :param reach: who can dial whom, by number; see `settle`.
    """

    def __init__(self, random: Random, reach: Reach) -> None:
        super().__init__()
        #: Share of the connects that are refused or never answered.
        self.bad_connects = 0.0
        #: Those on the other side, while the network is in two parts.
        self.far_side: frozenset[str] = frozenset()
        self._random = random
        self._reach = reach
        self._numbers: dict[str, int] = {}
        self._places: dict[str, tuple[float, float]] = {}
        self._slow: set[str] = set()

    def settle(self, ip: str, number: int | None, slow: bool = False) -> None:
        """Give a host its place.

        :param number: of the peer; None for one that all can dial, and that can dial all.
        """
        self._places[ip] = (self._random.random(), self._random.random())
        if number is not None:
            self._numbers[ip] = number
        if slow:
            self._slow.add(ip)

    def delay_s(self, source: str, ip: str) -> float:
        """Return how long it takes from one host to another, in seconds."""
        (x, y), (other_x, other_y) = self._places[source], self._places[ip]
        return NEAR_S + FAR_S * max(abs(x - other_x), abs(y - other_y))

    def jitter_s(self) -> float:
        """Return by how much longer it takes this time, in seconds."""
        return FAR_S * JITTER * self._random.random()

    def bytes_per_s(self, source: str, ip: str) -> float | None:
        """Return how many bytes get through from one host to another, or None where all do."""
        return SLOW_BYTES_PER_S if source in self._slow or ip in self._slow else None

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets through."""
        return bool(self.far_side) and (one in self.far_side) != (other in self.far_side)

    def obstacle(self, source: str, ip: str) -> ConnectError | None:
        """Return what a connect from one host to another ends with on its way, or None where it arrives."""
        if not self._can_dial(source, ip):
            return TimeoutError()
        if self.bad_connects and self._random.random() < self.bad_connects:
            return ConnectionRefusedError() if self._random.random() < 0.5 else TimeoutError()
        return super().obstacle(source, ip)

    def part(self, far_side: frozenset[str]) -> None:
        """Let nothing through between some hosts and all others; with none, let everything through again."""
        self.far_side = far_side
        if not far_side:
            self.heal()

    def _can_dial(self, source: str, ip: str) -> bool:
        one, other = self._numbers.get(source), self._numbers.get(ip)
        return one is None or other is None or one == other or self._reach.may_dial(one, other)
