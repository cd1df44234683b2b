"""TLS between a peer and a rendezvous (docs/protocol.md, section 6).

Not ``optionsForClientTLS`` of Twisted: that one takes a certificate without any name in it for one of every
host.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.language import tr

#: What the numbers mean that OpenSSL has for why it does not trust a certificate.
_UNTRUSTED = {
    9: tr("it is not valid yet"),
    10: tr("it has expired"),
    18: tr("nobody but itself has signed it"),
    19: tr("nobody whom we know has signed it"),
    20: tr("nobody whom we know has signed it"),
    21: tr("nobody whom we know has signed it"),
}

#: What a server of TLS sends to who does not speak it: the beginning of an alert.
ALERT = b"\x15\x03"


class NotTrusted(Exception):
    """The certificate of a server does not prove what it should; the text says why."""


@implementer(IOpenSSLClientConnectionCreator)
class ClientTls:
    """Asks one server over TLS, and believes nobody else. The client of that server creates it.

    :param host: whom the certificate must name: a name, or an IP address.
    :param authority: certificates of those who may sign it, in PEM; None: those that the system knows.
    """

    def __init__(self, host: str, authority: bytes | None) -> None:
        self._host = host
        self._is_name = not _is_ip_address(host)
        self._context = context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_verify(SSL.VERIFY_PEER, self._verify)
        context.set_info_callback(self._progress)
        if authority is None:
            context.set_default_verify_paths()
        else:
            store = context.get_cert_store()
            assert store is not None, "a context has one from the start"
            for certificate in x509.load_pem_x509_certificates(authority):
                store.add_cert(X509.from_cryptography(certificate))

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Make what encrypts one connection."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if self._is_name:
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection

    @staticmethod
    def _verify(
        connection: SSL.Connection, _certificate: X509, error: int, _depth: int, is_good: int
    ) -> bool:
        """Take what OpenSSL says of one certificate of the chain."""
        if not is_good:
            why = _UNTRUSTED.get(error) or tr("OpenSSL refuses it with {error}").format(error=error)
            problem = NotTrusted(tr("its certificate: {why}").format(why=why))
            connection.get_app_data().failVerification(Failure(problem))
        return bool(is_good)

    def _progress(self, connection: SSL.Connection, where: int, _result: int) -> None:
        """Once the chain is known to be good, and before anything is said: is it for our host?"""
        if not where & SSL.SSL_CB_HANDSHAKE_DONE:
            return
        try:
            if self._is_name:
                verify_hostname(connection, self._host)
            else:
                verify_ip_address(connection, self._host)
        except (CertificateError, VerificationError):
            problem = NotTrusted(tr("its certificate is not for {host}").format(host=self._host))
            connection.get_app_data().failVerification(Failure(problem))


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def trouble(reason: Failure) -> str:
    """Say in words what is wrong with the TLS of a server; nothing where something else is wrong."""
    if isinstance(reason.value, NotTrusted):
        return f"TLS: {reason.value}"
    if not isinstance(reason.value, SSL.Error):
        return ""
    errors = reason.value.args[0] if reason.value.args else []
    cause = errors[-1][-1] if errors else tr("no reason given")
    why = tr("it does not speak TLS") if cause in _NO_TLS else cause
    return f"TLS: {why}"


#: What OpenSSL says of something that is no TLS.
_NO_TLS = ("wrong version number", "packet length too long", "record layer failure", "unexpected message")


def read_authority(text: str) -> bytes:
    """Read the certificates of those who may sign for a rendezvous, from a PEM file.

    :raises ValueError: the file cannot be read, or has none.
    """
    data = _read(text)
    _certificates(text, data)
    return data


def read_certificate(text: str) -> CertificateOptions:
    """Read what a server proves itself with: a PEM file with its private key and its certificates.

    The certificate of the server comes first, behind it those of the authorities between.

    :raises ValueError: the file cannot be read, lacks one of them, or they do not belong together.
    """
    data = _read(text)
    certificate, *chain = _certificates(text, data)
    try:
        key = load_pem_private_key(data, None)
    except TypeError:
        problem = tr("the private key in {file} is protected by a passphrase; write it without one")
        raise ValueError(problem.format(file=text)) from None
    except ValueError:
        problem = tr("there is no private key in {file}; it stands there with the certificate")
        raise ValueError(problem.format(file=text)) from None
    if key.public_key() != certificate.public_key():
        problem = tr("the private key in {file} is not that of its first certificate")
        raise ValueError(problem.format(file=text))
    return CertificateOptions(
        # Twisted's annotations name the classes that pyOpenSSL had before it took these.
        privateKey=cast(Any, key),
        certificate=cast(Any, certificate),
        extraCertChain=cast(Any, chain),
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )


def _read(text: str) -> bytes:
    try:
        return Path(text).read_bytes()
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else tr("that is no path")
        raise ValueError(tr("the file {file!a} cannot be read ({why})").format(file=text, why=why)) from None


def _certificates(text: str, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        problem = tr("there is no certificate in {file}, which must be a PEM file")
        raise ValueError(problem.format(file=text)) from None
