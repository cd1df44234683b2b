"""Addresses of peers and servers, as people write them and as Twisted connects to them."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any, ClassVar

import attrs
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ServerFactory

from p2pchat.language import tr

#: Seconds until a connect is given up. A SYN that is lost is sent again after 1, 3 and 7 s.
CONNECT_S = 10.0

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\[\]:\s]+)):(?P<port>[0-9]{1,5})")


class Reactor(IReactorTCP, IReactorTime):
    """What this house needs of a reactor: connections and time."""


class BadAddress(ValueError):
    """Not an address; the text says what would be right."""


@attrs.frozen(order=True)
class Address:
    """A host, by name or number, and a TCP port from 1 to 65535."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``; an IPv6 address stands in brackets.

        :raises BadAddress: it is not written so, or the port is outside 1 to 65535.
        """
        match = _HOST_PORT.fullmatch(text.strip())
        if match is None:
            problem = tr("expected HOST:PORT, for example 192.0.2.7:7070 or [::1]:7070, got {text!a}")
            raise BadAddress(problem.format(text=text))
        port = int(match["port"])
        if not 1 <= port <= 65535:
            raise BadAddress(tr("a port is from 1 to 65535, got {port}").format(port=port))
        return cls(match["v6"] or match["host"], port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@attrs.frozen(order=True)
class TlsAddress(Address):
    """One where TLS is spoken from the first byte."""

    #: What stands in front of it.
    PREFIX: ClassVar[str] = "tls:"

    @classmethod
    def parse(cls, text: str) -> TlsAddress:
        """Read ``tls:HOST:PORT``.

        :raises BadAddress: it is not written so.
        """
        address = Address.parse(text.strip().removeprefix(cls.PREFIX))
        return cls(address.host, address.port)

    def __str__(self) -> str:
        return self.PREFIX + super().__str__()


def client_endpoint(reactor: IReactorTCP, address: Address) -> IStreamClientEndpoint:
    """Return what connects to *address*. Only a name, not a number, costs a look-up in a thread."""
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        return HostnameEndpoint(reactor, address.host, address.port, timeout=CONNECT_S)
    kind = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
    return kind(reactor, address.host, address.port, timeout=CONNECT_S)


def listen_tcp(
    reactor: IReactorTCP, port: int, factory: ServerFactory[Any], backlog: int = 50, interface: str = ""
) -> IListeningPort:
    """Listen, as ``reactor.listenTCP`` does, with one kind of error.

    Of two programs that start at the same moment both may bind the port, and the second of them
    is refused only when it listens. Twisted raises a bare `OSError` then.

    :raises CannotListenError: the port cannot be had.
    """
    try:
        return reactor.listenTCP(port, factory, backlog=backlog, interface=interface)
    except OSError as problem:
        raise CannotListenError(interface, port, problem) from problem


def of_transport(address: IAddress) -> Address:
    """Read what a TCP transport calls its own or its peer's address.

    An IPv4 address that comes as IPv6 (``::ffff:192.0.2.7``) is written as IPv4.
    """
    host: str = address.host.partition("%")[0]  # type: ignore[attr-defined]
    mapped = ipaddress.ip_address(host)
    if isinstance(mapped, ipaddress.IPv6Address) and mapped.ipv4_mapped is not None:
        host = str(mapped.ipv4_mapped)
    return Address(host, address.port)  # type: ignore[attr-defined]


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine by what it is called. A name of a host is none."""
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


def is_of_this_machine(host: str) -> bool:
    """Whether a number is an address of this machine, as those are not that a router has for it."""
    try:
        version = ipaddress.ip_address(host).version
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (OSError, ValueError):
        return False
    return True


_IN_WORDS: dict[type[Exception], str] = {
    ConnectionRefusedError: tr("connection refused"),
    DNSLookupError: tr("no host of that name is known"),
    TimeoutError: tr("no answer"),
}


def why_not_connected(problem: BaseException | None) -> str:
    """Say in a few words why a connection could not be made."""
    for kind, words in _IN_WORDS.items():
        if isinstance(problem, kind):
            return words
    text = str(problem).rstrip(".")
    if isinstance(problem, ConnectError):
        text = text.rpartition(": ")[2]  # of "An error occurred while connecting: 113: No route to host."
    return text or type(problem).__name__
