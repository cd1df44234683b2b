"""What a node tells its listeners: frozen, typed, with units.

Texts in events are as the peer sent them. Whoever shows them makes control characters visible.
"""

from __future__ import annotations

from msgspec import Struct

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.protocol.protection import Protection


class MessageArrived(Struct, frozen=True, gc=False):
    """Somebody said something to us, or to a namespace of ours, or to all. Told once a message.

    :param src: who says it, as written in the message.
    :param dst: to whom, as written in the message.
    :param is_cast: to many, not to us alone.
    :param via: the neighbour that brought it.
    :param plain: that neighbour is not of our own kind.
    :param hops: links that it came over, as far as the message tells; 1 is the direct link.
    :param conversation: where it belongs: ``@name@namespace``, ``#namespace`` or ``*``, however its *dst* is
        written (9.12).
    :param protection: who else could have read or written it.
    :param is_verified: the user has compared safety numbers with its source.
    :param late_s: where it was said long ago, by the signed time of its source: seconds since then.
    """

    src: str
    dst: str
    payload: str
    is_cast: bool
    via: PeerId
    plain: bool
    hops: int | None
    conversation: str
    protection: Protection = Protection.NONE
    is_verified: bool = False
    late_s: float | None = None


class MessageTaken(Struct, frozen=True, gc=False):
    """A message of ours to one peer was accepted: what becomes of it is told as well."""

    msg_id: str
    dst: PeerId
    payload: str


class MessageSought(Struct, frozen=True, gc=False):
    """There is no way to the destination of a message of ours yet; one is looked for."""

    msg_id: str
    dst: PeerId


class MessageWaits(Struct, frozen=True, gc=False):
    """A message of ours could not be delivered yet. It is kept, and goes out when its destination is seen.

    :param code: the name of what stands in the way, such as ``no_route`` or ``not confirmed``.
    :param why: what happened, for people.
    """

    msg_id: str
    dst: PeerId
    code: str
    why: str


class MessageHeld(Struct, frozen=True, gc=False):
    """One more neighbour keeps a copy of a message of ours, and hands it over even when we are away.

    :param couriers: all who ever said that they keep one, the last one last.
    """

    msg_id: str
    dst: PeerId
    couriers: tuple[PeerId, ...]


class MessageResumed(Struct, frozen=True, gc=False):
    """A message of an earlier run has no outcome yet, and waits for its destination.

    :param age_s: seconds since the user said it.
    """

    msg_id: str
    dst: PeerId
    payload: str
    age_s: float


class MessageSent(Struct, frozen=True, gc=False):
    """A message of ours was given to a link for the first time.

    :param via: the neighbour that got it: the destination itself, or a relay.
    :param protection: who else can read or change it.
    """

    msg_id: str
    dst: PeerId
    via: PeerId
    protection: Protection = Protection.NONE


class MessageConfirmed(Struct, frozen=True, gc=False):
    """The destination has a message of ours.

    :param took_s: seconds from the user's word to the confirmation.
    :param tries: how often it was sent.
    :param via: the neighbour that got the last try.
    :param is_proved: nobody but the destination can have said so.
    """

    msg_id: str
    dst: PeerId
    took_s: float
    tries: int
    via: PeerId
    is_proved: bool = False


class MessageFailed(Struct, frozen=True, gc=False):
    """A message of ours did not, as far as is known, reach its destination.

    :param code: the name of the failure, such as ``no_route`` or ``not confirmed``.
    :param why: what happened, for people.
    """

    msg_id: str
    dst: PeerId
    payload: str
    code: str
    why: str


class CastSent(Struct, frozen=True, gc=False):
    """A message of ours to many was sent. Nobody confirms those.

    :param dst: the namespace, as in ``#lobby``, or ``*``.
    :param neighbours: how many took it; 0: nobody is linked that it concerns.
    """

    dst: str
    payload: str
    neighbours: int


class NeighbourUp(Struct, frozen=True, gc=False):
    """The first link with a peer stands.

    :param dialled: we connected to it.
    :param plain: it is not of our own kind.
    :param is_encrypted: nobody on the way can read or alter what goes over the link.
    """

    peer_id: PeerId
    address: Address
    dialled: bool
    plain: bool
    is_encrypted: bool = False


class NeighbourDown(Struct, frozen=True, gc=False):
    """The last link with a peer has ended."""

    peer_id: PeerId
    why: str


class PeerComplained(Struct, frozen=True, gc=False):
    """A peer sent an ERROR that is about none of our open messages.

    :param ref: the msg_id that it is about, as far as the peer says.
    """

    peer_id: PeerId
    code: str
    detail: str
    ref: str


class AddressFailed(Struct, frozen=True, gc=False):
    """The first dial of an address that the user gave came to nothing. It goes on being dialled."""

    address: Address
    why: str


class RosterChanged(Struct, frozen=True, gc=False):
    """Peers came to the rendezvous, left it, or have another address."""

    came: tuple[PeerId, ...]
    left: tuple[PeerId, ...]
    moved: tuple[PeerId, ...]


class RendezvousFound(Struct, frozen=True, gc=False):
    """We are registered, for the first time or again.

    :param hosted: the rendezvous lives in this node.
    """

    address: Address
    hosted: bool


class RendezvousLost(Struct, frozen=True, gc=False):
    """The rendezvous does not do what it should. Links stay; the node goes on trying."""

    address: Address
    why: str


class RendezvousHosted(Struct, frozen=True, gc=False):
    """Nobody answered at the shared address, so this node is the rendezvous now."""

    address: Address


class NameTaken(Struct, frozen=True, gc=False):
    """Somebody is registered under our name at another address."""

    peer_id: PeerId
    address: Address


class KeyRefused(Struct, frozen=True, gc=False):
    """Somebody came under a known name with another key than that one had, and got no link.

    :param key: the fingerprint of the key that was shown.
    :param known: that of the key which the name had before.
    """

    peer_id: PeerId
    key: str
    known: str


class KeyMissing(Struct, frozen=True, gc=False):
    """Somebody came without encryption under the name of a peer that had it, and got no link."""

    peer_id: PeerId


class PeersNotKept(Struct, frozen=True, gc=False):
    """What is known of peers cannot be written down; it is kept in memory meanwhile."""

    why: str


class StoreTold(Struct, frozen=True, gc=False):
    """Something is wrong with the file that keeps messages, or is right again.

    :param what: what happened, and what that means, for people.
    """

    what: str


class Warned(Struct, frozen=True, gc=False):
    """Something that the user should know of a message to a peer."""

    peer_id: PeerId
    text: str


class LineTraced(Struct, frozen=True, gc=False):
    """A line arrived while watching."""

    peer_id: PeerId
    line: bytes


Event = (
    MessageArrived
    | MessageTaken
    | MessageSought
    | MessageWaits
    | MessageHeld
    | MessageResumed
    | MessageSent
    | MessageConfirmed
    | MessageFailed
    | CastSent
    | NeighbourUp
    | NeighbourDown
    | PeerComplained
    | AddressFailed
    | RosterChanged
    | RendezvousFound
    | RendezvousLost
    | RendezvousHosted
    | NameTaken
    | KeyRefused
    | KeyMissing
    | PeersNotKept
    | StoreTold
    | Warned
    | LineTraced
)
