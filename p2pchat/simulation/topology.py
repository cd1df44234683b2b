"""Who can dial whom."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import attrs

from p2pchat.language import tr

#: What a topology may be called; nat takes a share behind it.
KINDS = ("random", "line", "ring", "star", "full", "nat")

#: Share of the peers behind a NAT where nobody said.
DEFAULT_NAT = 0.3

#: Others that each can dial in a random network, before those who can dial it. With as many no network of
#: a size that is simulated falls apart when one peer in five is gone.
DEGREE = 3


class BadTopology(ValueError):
    """Not a topology; the text says what would be right."""


@attrs.frozen
class Topology:
    """The shape of a network.

    :param kind: one of `KINDS`.
    :param share: of the peers that are behind a NAT, 0 to 1, where it is that kind.
    """

    kind: str = "random"
    share: float = DEFAULT_NAT

    @classmethod
    def parse(cls, text: str) -> Topology:
        """Read ``random``, ``line``, ``ring``, ``star``, ``full`` or ``nat:0.3``.

        :raises BadTopology: it is none of them.
        """
        kind, _, share = text.partition(":")
        if kind not in KINDS or (share and kind != "nat"):
            raise BadTopology(
                tr("expected one of {kinds} or nat:0.3, got {text!a}").format(
                    kinds=", ".join(KINDS[:-1]), text=text
                )
            )
        if not share:
            return cls(kind)
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise BadTopology(tr("expected a share from 0 to 1 behind nat:, got {text!a}").format(text=share))
        return cls(kind, value)

    def __str__(self) -> str:
        return f"nat:{written(self.share)}" if self.kind == "nat" else self.kind

    @property
    def is_sparse(self) -> bool:
        """Most peers cannot dial each other."""
        return self.kind not in ("full", "nat")

    def lay_out(self, peers: int, random: Random) -> Reach:
        """Decide who can dial whom."""
        numbers = range(peers)
        if self.kind == "nat":
            # Somebody must be there who can be dialled.
            return Reach(hidden=frozenset(random.sample(numbers, min(round(peers * self.share), peers - 1))))
        if self.kind == "full":
            return Reach()
        if self.kind == "star":
            pairs = {(0, number) for number in numbers[1:]}
        elif self.kind == "random":
            pairs = _random_pairs(peers, random)
        else:
            pairs = {(number, number + 1) for number in numbers[:-1]}
            if self.kind == "ring":
                pairs.add((0, peers - 1))
        return Reach(pairs=frozenset(pairs))


@attrs.frozen
class Reach:
    """Who can dial whom, by number.

    :param pairs: those who can dial each other, the smaller number first; None where all can.
    :param hidden: those whom nobody can dial.
    """

    pairs: frozenset[tuple[int, int]] | None = None
    hidden: frozenset[int] = frozenset()

    def may_dial(self, one: int, other: int) -> bool:
        """Whether a connect from *one* arrives at *other*."""
        if other in self.hidden:
            return False
        return self.pairs is None or (min(one, other), max(one, other)) in self.pairs

    def parts(self, numbers: Iterable[int]) -> int:
        """Return in how many networks some of them are at best, when the others are gone."""
        left, count = set(numbers), 0
        while left:
            count += 1
            border = [left.pop()]
            while border:
                here = border.pop()
                near = {one for one in left if self.may_dial(here, one) or self.may_dial(one, here)}
                left -= near
                border += near
        return count

    def told(self, number: int) -> list[int]:
        """Return whom a peer is told to dial: those that it can dial with a smaller number."""
        return sorted(one for one, other in self.pairs or () if other == number)


def written(number: float) -> str:
    """Write a number so that the same one is read again."""
    return repr(number).removesuffix(".0")


def _random_pairs(peers: int, random: Random) -> set[tuple[int, int]]:
    """Connect each with somebody before it, so that it is one network, and with some others."""
    pairs = set()
    for number in range(1, peers):
        pairs.add((random.randrange(number), number))
        for other in random.sample(range(peers), min(DEGREE - 1, peers)):
            if other != number:
                pairs.add((min(number, other), max(number, other)))
    return pairs
