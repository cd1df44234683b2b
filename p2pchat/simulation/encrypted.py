"""One end of a simulated connection on which TLS can be started, as on a TCP transport of Twisted."""

from __future__ import annotations

from typing import Any, cast

from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IConsumer,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ISSLTransport,
    ITLSTransport,
    ITransport,
)
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from p2pchat.simulation.transport import MemoryTransport


@implementer(ITLSTransport, ISSLTransport)
class TlsTransport(MemoryTransport):
    """A `MemoryTransport`, and from `startTLS` on what is written to it is encrypted.

    :ivar is_client: it is the end that connected.
    :ivar shown_key: where TLS is simulated too, the key that this end has shown; None before.
    :ivar seen_key: the key that the other end has shown.
    """

    is_client = False
    shown_key: bytes | None = None
    seen_key = b""
    _tls: TLSMemoryBIOProtocol | None = None

    def startTLS(
        self,
        contextFactory: IOpenSSLClientConnectionCreator | IOpenSSLServerConnectionCreator,  # noqa: N803
    ) -> None:
        """Encrypt from now on; the end that connected is the client of TLS too."""
        producer = self._producer
        if producer is not None:
            self.unregisterProducer()
        # There is a protocol already, so that none has to be made.
        factory = TLSMemoryBIOFactory(contextFactory, self.is_client, Factory())
        tls = TLSMemoryBIOProtocol(factory, self._protocol, False)
        self._protocol = self._tls = tls
        tls.makeConnection(_Below(self))
        if producer is not None:
            self.registerProducer(producer, True)

    def getPeerCertificate(self) -> X509 | None:
        """Return the certificate of the other end; None before it has come."""
        assert self._tls is not None, "asked for after startTLS only"
        return cast("X509 | None", self._tls.getPeerCertificate())

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._tls is None:
            super().write(data)
        else:
            self._tls.write(data)

    def loseConnection(self) -> None:
        """Close once everything is sent."""
        if self._tls is None:
            super().loseConnection()
        else:
            self._tls.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell *producer* to stop when too much waits."""
        if self._tls is None:
            super().registerProducer(producer, streaming)
        else:
            self._tls.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        if self._tls is None:
            super().unregisterProducer()
        else:
            self._tls.unregisterProducer()


@implementer(ITransport, IConsumer)
class _Below:
    """A transport as TLS sees it, which writes there what it has encrypted."""

    def __init__(self, transport: TlsTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        MemoryTransport.write(self._transport, data)

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        MemoryTransport.loseConnection(self._transport)

    def abortConnection(self) -> None:
        self._transport.abortConnection()

    def getPeer(self) -> IPv4Address:
        return self._transport.getPeer()

    def getHost(self) -> IPv4Address:
        return self._transport.getHost()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        MemoryTransport.registerProducer(self._transport, producer, streaming)

    def unregisterProducer(self) -> None:
        MemoryTransport.unregisterProducer(self._transport)
