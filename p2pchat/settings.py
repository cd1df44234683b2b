"""What a node is told at its start."""

from __future__ import annotations

import attrs

from p2pchat.addresses import Address

#: Where peers of one machine meet unless told otherwise (docs/protocol.md, section 6).
SHARED_RENDEZVOUS = Address("127.0.0.1", 5000)

#: The group of those who name none.
DEFAULT_NAMESPACE = "lobby"


@attrs.frozen
class Settings:
    """What a node is told at its start.

    :param port: where to listen; None: 7070, or a free one where that is taken.
    :param interface: the address to listen on; empty for all of IPv4.
    :param advertise_port: what to register instead of the port; None for the port itself.
    :param rendezvous: None for none at all.
    :param shared: the rendezvous lives in one of the peers of this machine.
    :param registration_ttl_s: 1 to 86400 seconds.
    :param peers: addresses to dial whatever the rendezvous says.
    :param rendezvous_authority: where the rendezvous speaks TLS, the certificates of who may sign for it, in
        PEM; None: whom the system knows.
    :param courier: where messages are kept at all: neighbours keep copies of ours while their destination is
        away, and we keep those of neighbours.
    """

    port: int | None = None
    interface: str = ""
    advertise_port: int | None = None
    rendezvous: Address | None = SHARED_RENDEZVOUS
    shared: bool = True
    registration_ttl_s: int = 7200
    peers: tuple[Address, ...] = ()
    rendezvous_authority: bytes | None = None
    courier: bool = True
