"""Authorities and certificates for tests of the rendezvous over TLS."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


def pem_of(certificate: x509.Certificate) -> bytes:
    """Write a certificate."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem_of(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """Write a private key."""
    how: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


class Authority:
    """Signs certificates. A test makes it."""

    def __init__(self, name: str = "A test") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, [], is_authority=True)
        #: What those have who trust it.
        self.pem = pem_of(self.certificate)

    def issue(self, *hosts: str, begin: datetime = BEGIN, end: datetime = END) -> bytes:
        """Return a key and a certificate for some hosts, as a server has them in a file."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Some name the host here; nothing may come of that.
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rendezvous.example")])
        certificate = self._sign(subject, key, [_general(host) for host in hosts], begin=begin, end=end)
        return key_pem_of(key) + pem_of(certificate)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        is_authority: bool = False,
        begin: datetime = BEGIN,
        end: datetime = END,
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, SHA256())


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
