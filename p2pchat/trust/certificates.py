"""TLS on links: each end proves with a certificate of its own which signing key it has (section 3).

Nobody signs these certificates but their owners, and nothing in them is believed but the key: who has which
name is for the cards and the pins to say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ISSLTransport,
    ITLSTransport,
    ITransport,
)
from zope.interface import implementer

from p2pchat.trust.identity import Identity

#: When a certificate holds: always. How long a key is good for is for its owner and its friends to say, and
#: the clocks of two machines need not agree. RFC 5280 has the second for what has no end.
_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class Certificates:
    """TLS 1.3 for all links of a node: `links.surroundings.LinkTls`. Whoever makes the node creates it.

    All links share one context, since each takes some 50 KB.
    """

    def __init__(self, identity: Identity) -> None:
        self.card: dict[str, Any] = identity.card.as_fields()
        self._context = _context(identity.signing_key)

    def start(self, transport: ITransport) -> None:
        """Let all that follows on a transport be encrypted."""
        ITLSTransport(transport).startTLS(self)

    def key_of(self, transport: ITransport) -> bytes:
        """Return the key that the other end has proved to have; only once something came through."""
        certificate = cast(X509, ISSLTransport(transport).getPeerCertificate())
        key = certificate.to_cryptography().public_key()
        assert isinstance(key, Ed25519PublicKey), "others are refused in the handshake"
        return key.public_bytes_raw()

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803
        """Make what encrypts one link that we dialled."""
        return SSL.Connection(self._context, None)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803
        """Make what encrypts one link that we accepted."""
        return SSL.Connection(self._context, None)


def _context(key: Ed25519PrivateKey) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_privatekey(key)
    context.use_certificate(certificate_of(key))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _has_key)
    # A session that is resumed shows no certificate. Links last, so nothing is gained by it.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    # Most links are idle most of the time.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def certificate_of(key: Ed25519PrivateKey) -> x509.Certificate:
    """Make one that holds the key and says nothing else."""
    nobody = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(nobody).issuer_name(nobody).public_key(key.public_key())
    return builder.serial_number(1).not_valid_before(_BEGIN).not_valid_after(_END).sign(key, None)


def _has_key(_connection: SSL.Connection, certificate: X509, _error: int, depth: int, _ok: int) -> bool:
    """Whether a certificate is one of ours: itself, with a signing key in it. TLS has it prove that key."""
    return depth == 0 and isinstance(certificate.to_cryptography().public_key(), Ed25519PublicKey)
