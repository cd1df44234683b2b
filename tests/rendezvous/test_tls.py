"""The rendezvous over TLS: who is believed, who is not, and what the user hears (section 6)."""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address, BadAddress, TlsAddress
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous import tls
from p2pchat.rendezvous.client import Banned, RendezvousClient, RendezvousError
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.rendezvous.tls import ClientTls, read_authority, read_certificate, trouble
from p2pchat.testing import MemoryNetwork
from tests.rendezvous.certificates import Authority, key_pem_of, pem_of

ALICE = PeerId("alice@UnB")
HOST = "10.0.0.99"
NAME = "rendezvous.example"
AUTHORITY = Authority()


class TlsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.network = MemoryNetwork()
        self.servers: list[RendezvousServer] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        for server in self.servers:
            server.stopService()
        self.network.advance(20)
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def file(self, data: bytes, name: str = "pem") -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def serve(self, pem: bytes | None) -> RendezvousServer:
        """Start a server with a key and certificates; None for plain TCP."""
        spoken = None if pem is None else read_certificate(self.file(pem))
        server = RendezvousServer(self.network.host(HOST), 5000, tls=spoken)
        server.startService()
        self.servers.append(server)
        return server

    def client(
        self, authority: bytes | None = AUTHORITY.pem, host: str = HOST, at: type[Address] = TlsAddress
    ) -> RendezvousClient:
        """Return a client that asks the server, and expects a certificate for *host*."""
        client = RendezvousClient(self.network.host("10.0.0.1"), at(HOST, 5000), authority)
        if at is TlsAddress:
            client._tls = ClientTls(host, authority)
        return client

    def ask(self, request: Coroutine[Any, Any, Any], seconds: float = 0.2) -> Deferred[Any]:
        asked = Deferred.fromCoroutine(request)
        self.network.advance(seconds)
        return asked

    def refused(self, client: RendezvousClient, seconds: float = 0.2) -> str:
        """Assert that a client gets nowhere, and is not taken to be banned; return why."""
        failure = self.failureResultOf(self.ask(client.register(ALICE, 7070, 60), seconds), RendezvousError)
        self.assertFalse(failure.check(Banned))
        return str(failure.value)


class BelievedTests(TlsTestCase):
    def test_asked(self) -> None:
        """All requests go over TLS, and the server sees the address of who asks."""
        server = self.serve(AUTHORITY.issue(HOST))
        client = self.client()
        registered = self.successResultOf(self.ask(client.register(ALICE, 7070, 60)))
        self.assertEqual((registered.ttl_s, registered.observed_ip), (60.0, "10.0.0.1"))
        (entry,) = self.successResultOf(self.ask(client.discover()))
        self.assertEqual(entry.peer_id, ALICE)
        self.successResultOf(self.ask(client.unregister(ALICE, 7070)))
        self.network.advance(3)
        self.assertEqual((server.factory.connections, server.factory.unsent_bytes), (0, 0))

    def test_encrypted(self) -> None:
        """Nothing of it can be read on the way."""
        seen: list[bytes] = []
        self.network.tap = lambda _end, data: seen.append(data)
        self.serve(AUTHORITY.issue(HOST))
        self.successResultOf(self.ask(self.client().register(ALICE, 7070, 60)))
        self.assertTrue(seen)
        self.assertNotIn(b"REGISTER", b"".join(seen))

    def test_name(self) -> None:
        """A server that is asked by name has to have a certificate for that name, and is told the name."""
        asked: list[bytes | None] = []
        server = self.serve(AUTHORITY.issue(NAME))
        assert server._tls is not None
        context = server._tls.getContext()
        context.set_tlsext_servername_callback(lambda connection: asked.append(connection.get_servername()))
        self.successResultOf(self.ask(self.client(host=NAME).register(ALICE, 7070, 60)))
        self.assertEqual(asked, [NAME.encode()])

    def test_known_to_the_system(self) -> None:
        """Without a file of authorities those of the system count, which do not know ours."""
        self.serve(AUTHORITY.issue(HOST))
        told = self.refused(self.client(authority=None))
        self.assertEqual(told, "TLS: its certificate: nobody whom we know has signed it")

    def test_chain(self) -> None:
        """A server may have certificates of authorities in between."""
        pem = AUTHORITY.issue(HOST)
        self.serve(pem + AUTHORITY.pem)
        self.successResultOf(self.ask(self.client().register(ALICE, 7070, 60)))


class NotBelievedTests(TlsTestCase):
    def assert_not_asked(self, server: RendezvousServer) -> None:
        """Nothing of a request has reached the server."""
        self.network.advance(20)
        self.assertEqual((len(server.factory.registry), server.factory.connections), (0, 0))

    def test_another_authority(self) -> None:
        """Who is signed by somebody else, or by itself, is not asked."""
        for pem in (Authority().issue(HOST), key_pem_of(AUTHORITY.key) + AUTHORITY.pem):
            server = self.serve(pem)
            told = self.refused(self.client(authority=Authority("Another").pem))
            self.assertRegex(told, "^TLS: its certificate: nobody (whom we know|but itself) has signed it$")
            self.assert_not_asked(server)
            server.stopService()

    def test_another_name(self) -> None:
        """Who has a certificate for another name or address, or for none at all, is not asked."""
        for hosts, host in (
            (("other.example",), NAME),
            ((HOST,), NAME),
            ((NAME,), HOST),
            (("10.0.0.98",), HOST),
            (("*.example",), "a.b.example"),
            ((), NAME),  # though NAME stands in its subject
            ((), HOST),
        ):
            server = self.serve(AUTHORITY.issue(*hosts))
            self.assertEqual(self.refused(self.client(host=host)), f"TLS: its certificate is not for {host}")
            self.assert_not_asked(server)
            server.stopService()

    def test_out_of_time(self) -> None:
        """Who has a certificate that has expired, or does not hold yet, is not asked."""
        early, late = datetime(2001, 1, 1, tzinfo=UTC), datetime(2998, 1, 1, tzinfo=UTC)
        for times, told in (
            ({"begin": datetime(2000, 1, 1, tzinfo=UTC), "end": early}, "it has expired"),
            ({"begin": late}, "it is not valid yet"),
        ):
            server = self.serve(AUTHORITY.issue(HOST, **times))
            self.assertEqual(self.refused(self.client()), f"TLS: its certificate: {told}")
            self.assert_not_asked(server)
            server.stopService()

    def test_another_reason(self) -> None:
        """A reason that has no words here is told with the number that OpenSSL has for it."""
        self.patch(tls, "_UNTRUSTED", {})
        self.serve(Authority("Another").issue(HOST))
        self.assertEqual(self.refused(self.client()), "TLS: its certificate: OpenSSL refuses it with 20")

    def test_no_tls(self) -> None:
        """A server without TLS is told to have none, and is not asked in the clear."""
        server = self.serve(None)
        self.assertEqual(self.refused(self.client()), "TLS: it does not speak TLS")
        self.assert_not_asked(server)

    def test_tls_and_we_have_none(self) -> None:
        """A server with TLS that is asked without it says nothing that we could read."""
        server = self.serve(AUTHORITY.issue(HOST))
        self.failureResultOf(self.ask(self.client(at=Address).register(ALICE, 7070, 60)), Banned)
        self.assert_not_asked(server)

    def test_alert(self) -> None:
        """One that answers with an alert of TLS is recognised by that, and how to ask is told."""
        alert = b"\x15\x03\x03\x00\x02\x02F"
        host = self.network.host(HOST)
        for close in ("loseConnection", "abortConnection"):

            class Alerting(Protocol):
                def dataReceived(self, data: bytes, close: str = close) -> None:
                    assert self.transport is not None
                    self.transport.write(alert)
                    host.callLater(0.02, getattr(self.transport, close))

            factory = ServerFactory()
            factory.noisy = False
            factory.protocol = Alerting
            listening = host.listenTCP(5000, factory)
            told = self.refused(self.client(at=Address))
            self.assertEqual(told, "it speaks TLS; write its address as tls:HOST:PORT")
            listening.stopListening()

    def test_silent(self) -> None:
        """A server that never answers in TLS is waited for as long as for any answer."""
        factory = ServerFactory()
        factory.noisy = False
        factory.protocol = Protocol
        self.network.host(HOST).listenTCP(5000, factory)
        self.assertEqual(self.refused(self.client(), seconds=10.5), "no answer within 10 s")

    def test_nobody(self) -> None:
        """Where nobody listens that is told as ever."""
        self.assertEqual(self.refused(self.client()), "connection refused")


class ServerTests(TlsTestCase):
    def test_no_handshake(self) -> None:
        """A client that connects and says nothing, or no TLS, does not stay."""
        server = self.serve(AUTHORITY.issue(HOST))

        class Silent(Protocol):
            lost = False

            def connectionLost(self, reason: object = None) -> None:
                self.lost = True

        for words in (b"", b'{"type":"DISCOVER"}\n'):
            silent = Silent()
            connectProtocol(TCP4ClientEndpoint(self.network.host("10.0.0.2"), HOST, 5000), silent)
            self.network.advance(0.1)
            assert silent.transport is not None
            silent.transport.write(words)
            self.network.advance(20)
            self.assertTrue(silent.lost)
        self.assertEqual(server.factory.connections, 0)


class FileTests(TlsTestCase):
    def test_authority(self) -> None:
        """Certificates of authorities are read; what has none is refused in words."""
        self.assertEqual(read_authority(self.file(AUTHORITY.pem)), AUTHORITY.pem)
        nowhere = str(self.folder / "nowhere")
        for text, words in (
            (nowhere, "cannot be read (No such file or directory)"),
            (str(self.folder), "cannot be read (Is a directory)"),
            ("\0", "cannot be read (that is no path)"),
            (self.file(b""), "there is no certificate"),
            (self.file(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "no certificate"),
            (self.file(key_pem_of(AUTHORITY.key), "key"), "there is no certificate"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, read_authority, text)))

    def test_certificate(self) -> None:
        """A key and its certificate are read; where one is missing or wrong, that is told."""
        good = AUTHORITY.issue(HOST)
        self.assertIsInstance(read_certificate(self.file(good)), CertificateOptions)
        other = Authority()
        broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        for number, (data, words) in enumerate((
            (AUTHORITY.pem, "there is no private key"),
            (key_pem_of(other.key), "there is no certificate"),
            (key_pem_of(other.key) + AUTHORITY.pem, "is not that of its first certificate"),
            (key_pem_of(other.key, b"pass") + pem_of(other.certificate), "protected by a passphrase"),
            (broken + AUTHORITY.pem, "no private key"),
        )):  # fmt: skip
            path = self.file(data, f"pem{number}")
            self.assertIn(words, str(self.assertRaises(ValueError, read_certificate, path)))


class WordsTests(SynchronousTestCase):
    def test_trouble(self) -> None:
        """Errors of TLS are told as such, with words or with those of OpenSSL; others are not of TLS."""
        self.assertEqual(trouble(Failure(SSL.Error())), "TLS: no reason given")
        self.assertEqual(trouble(Failure(SSL.Error([("SSL", "", "odd")]))), "TLS: odd")
        self.assertEqual(trouble(Failure(ValueError())), "")

    def test_addresses(self) -> None:
        """An address with TLS is written with it, and is another than the one without."""
        address = TlsAddress.parse(" tls:[::1]:5000 ")
        self.assertEqual((address, str(address)), (TlsAddress("::1", 5000), "tls:[::1]:5000"))
        self.assertNotEqual(address, Address("::1", 5000))
        self.assertRaises(BadAddress, TlsAddress.parse, "tls:host")
