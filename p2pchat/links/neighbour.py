"""A peer that we are linked with, over however many links."""

from __future__ import annotations

import attrs

from p2pchat.links.link import Link
from p2pchat.protocol.names import PeerId


@attrs.define(eq=False)
class Neighbour:
    """All links to one peer, at least one. The switchboard creates, owns and ends it.

    Our own kind has one link, two for a moment; plain peers may keep several (9.14).
    """

    peer_id: PeerId
    #: Those that are up, oldest first.
    links: list[Link]

    @property
    def link(self) -> Link:
        """The one to send on: the newest that works (9.14)."""
        return self.links[-1]

    @property
    def plain(self) -> bool:
        """Not known to be of our own kind: section 9 applies."""
        return self.links[-1].plain

    @property
    def is_encrypted(self) -> bool:
        """Nobody on the way can read or alter what goes over its links."""
        return self.links[-1].is_encrypted  # all of them are, or none

    @property
    def features(self) -> frozenset[str]:
        """What it offered in its greeting."""
        return self.links[-1].features

    @property
    def ahead_s(self) -> float | None:
        """By how many seconds its clock is ahead of ours; None: it did not tell."""
        return self.links[-1].ahead_s

    @property
    def rtt_s(self) -> float | None:
        """The last measured round trip in seconds."""
        return self.links[-1].rtt_s

    @property
    def leaves_in_s(self) -> float:
        """Seconds until what was written last has left, as far as that is known."""
        return self.links[-1].outgoing.leaves_in_s

    def write(self, line: bytes, urgent: bool = False) -> bool:
        """Send one encoded line; False where too much waits for this peer already."""
        return self.links[-1].write(line, urgent)

    def pass_on(self, line: bytes, source: PeerId) -> bool:
        """Send one encoded line that the neighbour *source* brought; False where too much waits."""
        return self.links[-1].pass_on(line, source)

    def is_crowded(self, source: PeerId) -> bool:
        """Whether so much of what *source* brought waits for it that *source* should slow down."""
        return self.links[-1].is_crowded(source)

    def hold(self, seconds: float) -> None:
        """Read nothing from it for a while."""
        for link in self.links:
            link.hold(seconds)
