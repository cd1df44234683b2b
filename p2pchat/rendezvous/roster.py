"""Who is registered, and what changed (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.listing import MAX_PEERS, Entry


@attrs.frozen
class Changes:
    """What a fresh answer of the rendezvous changed."""

    came: tuple[PeerId, ...] = ()
    left: tuple[PeerId, ...] = ()
    moved: tuple[PeerId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.came or self.left or self.moved)


@attrs.define
class Roster:
    """The peers that the rendezvous lists, without ourselves. The registration owns it.

    Bounded by `listing.MAX_PEERS`: it holds one answer, or several that together are no longer.
    """

    own: PeerId
    addresses: dict[PeerId, Address] = attrs.Factory(dict)
    #: What was taken last, where that was complete.
    _taken: Iterable[Entry] | None = None

    def update(self, entries: Iterable[Entry], complete: bool = True) -> Changes:
        """Take a fresh answer. Of entries with one peer_id the youngest counts: it replaces the others.

        :param complete: who is not in it is gone; False right after the server lost its memory.
        """
        if complete and entries is self._taken:
            return Changes()  # the same list as before
        self._taken = entries if complete else None
        youngest: dict[PeerId, Entry] = {}
        for entry in entries:
            older = youngest.get(entry.peer_id)
            if older is None or entry.age_s <= older.age_s:
                youngest[entry.peer_id] = entry
        youngest.pop(self.own, None)
        fresh = {peer_id: entry.address for peer_id, entry in youngest.items()}
        old = self.addresses
        self.addresses = fresh if complete or len(old | fresh) > MAX_PEERS else old | fresh
        if self.addresses == old:  # nearly always
            return Changes()
        return Changes(
            came=tuple(peer_id for peer_id in fresh if peer_id not in old),
            left=tuple(peer_id for peer_id in old if peer_id not in self.addresses),
            moved=tuple(
                peer_id
                for peer_id, address in fresh.items()
                # The same object nearly always, which costs less than to compare.
                if (known := old.get(peer_id, address)) is not address and known != address
            ),
        )
