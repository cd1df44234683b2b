"""Links that go on in TLS, and what somebody on the way can do about it (docs/protocol.md, section 3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL
from OpenSSL.SSL import Error
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address
from p2pchat.links.link import Link
from p2pchat.links.lost import why_lost
from p2pchat.links.surroundings import LinkTls, Surroundings
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Send
from p2pchat.protocol.names import PeerId
from p2pchat.simulation.encrypted import TlsTransport
from p2pchat.simulation.transport import MemoryTransport
from p2pchat.testing import MemoryNetwork
from p2pchat.trust.certificates import Certificates
from tests.keys import identity_of
from tests.links.peers import (
    ALICE,
    ALICE_IP,
    BOB,
    BOB_IP,
    OUR_FEATURES,
    TIMESTAMP,
    LinkTestCase,
    Owner,
    line,
)

SECRET = Send("m1", ALICE, BOB, "the secret")


def other_tls(context: SSL.Context) -> Certificates:
    """Return the TLS of somebody who does it in another way than we."""
    tls = Certificates(identity_of(BOB))
    tls._context = context
    return tls


def elliptic_context() -> SSL.Context:
    """Return a context with a certificate of a key that cannot sign cards."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    begin, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    certificate = builder.serial_number(1).not_valid_before(begin).not_valid_after(end).sign(key, SHA256())
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_privatekey(key)
    context.use_certificate(certificate)
    return context


class Middle(Protocol):
    """One side of somebody on the way, who passes on what it likes.

    :param change: what becomes of each piece.
    """

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self.change = change
        self.other: Middle | None = None

    def dataReceived(self, data: bytes) -> None:
        assert self.other is not None
        assert self.other.transport is not None
        self.other.transport.write(self.change(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.other is not None
        if self.other.transport is not None:
            self.other.transport.loseConnection()


class TlsTestCase(SynchronousTestCase):
    """A link that alice dials and one that bob accepts, at the two ends of one connection."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(keeps_writes=True)
        self.clock = self.network.clock
        self.alice, self.bob = Owner(), Owner()
        self.addCleanup(self.assert_clean)

    def assert_clean(self) -> None:
        """Cut what still stands; then nothing is left on the clock."""
        for transport in list(self.network.transports):
            transport.abortConnection()
        self.clock.advance(0.01)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def around(self, own: PeerId, tls: LinkTls | None) -> Surroundings:
        return Surroundings(own, self.clock, lambda: "id", lambda: TIMESTAMP, tls)

    def make(self, owner: Owner, own: PeerId, tls: LinkTls | None, dialled: bool) -> Link:
        return Link(owner, self.around(own, tls), dialled, Address(BOB_IP, 7070))

    def wire(self, here: Protocol, there: Protocol) -> tuple[TlsTransport, TlsTransport]:
        """Connect two protocols; *here* is who dials."""
        one, other = IPv4Address("TCP", ALICE_IP, 1), IPv4Address("TCP", BOB_IP, 7070)
        near, far = TlsTransport(self.network, one, other), TlsTransport(self.network, other, one)
        near.is_client = True
        near.join(far, here)
        far.join(near, there)
        there.makeConnection(far)
        here.makeConnection(near)
        return near, far

    def connect(
        self, here: LinkTls | None, there: LinkTls | None, change: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Let alice dial bob, with somebody between them where *change* is given."""
        self.near = self.make(self.alice, ALICE, here, dialled=True)
        self.far = self.make(self.bob, BOB, there, dialled=False)
        if change is None:
            self.near_wire, self.far_wire = self.wire(self.near, self.far)
        else:
            one, other = Middle(change), Middle(lambda data: data)
            one.other, other.other = other, one
            _, self.far_wire = self.wire(other, self.far)
            self.near_wire, _ = self.wire(self.near, one)
        self.clock.advance(1.0)

    def own_tls(self, own: PeerId) -> Certificates:
        return Certificates(identity_of(own))

    def written(self) -> bytes:
        """All that went over the wire, in both directions."""
        return b"".join(data for wire in (self.near_wire, self.far_wire) for _, data in wire.writes)


class EncryptedTests(TlsTestCase):
    def test_up(self) -> None:
        """Both ends come up, each knowing the key that the other proved, and the card that it showed."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        self.assertEqual((self.alice.events, self.bob.events), (["up"], ["up"]))
        for link, other in ((self.near, BOB), (self.far, ALICE)):
            self.assertEqual((link.is_encrypted, link.plain, link.peer_id), (True, False, other))
            self.assertEqual(
                (link.key, link.card), (identity_of(other).key, identity_of(other).card.as_fields())
            )
            self.assertEqual(link.features, set(OUR_FEATURES))

    def test_in_the_clear(self) -> None:
        """Before TLS there is a HELLO and a HELLO_OK that offer it, short and without cards; then nothing."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        hello, hello_ok = self.near_wire.writes[0][1], self.far_wire.writes[0][1]
        for greeting, kind, own in ((hello, "HELLO", ALICE), (hello_ok, "HELLO_OK", BOB)):
            self.assertEqual(json.loads(greeting), {
                "type": kind, "peer_id": own, "version": "1.0", "features": [*OUR_FEATURES, "tls"], "ttl": 1
            })  # fmt: skip
            self.assertLess(len(greeting), 1024)
        self.near.write(b'{"type":"PUB","payload":"the secret"}\n')
        self.clock.advance(1.0)
        written = self.written()
        self.assertEqual((written.count(b"HELLO"), b"secret" in written), (2, False))

    def test_messages(self) -> None:
        """What is sent arrives, both ways, and keep-alives work."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        for link, owner in ((self.near, self.bob), (self.far, self.alice)):
            link.write(line("SEND", msg_id="m1", src=ALICE, dst=BOB, payload="the secret", ttl=8))
            rtt = link.ping()
            self.clock.advance(1.0)
            self.assertAlmostEqual(self.successResultOf(rtt), 0.002, 5)
            self.assertEqual([message.payload for message in owner.messages], ["the secret"])  # type: ignore[union-attr]

    def test_bye(self) -> None:
        """A BYE is answered, and both ends close at once."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        self.near.leave("night")
        self.clock.advance(0.1)
        self.assertEqual(self.alice.events[1:], ["down: night", "gone: night"])
        self.assertEqual(
            self.bob.events[1:], [f"{what}: the peer said BYE: night" for what in ("down", "gone")]
        )

    def test_refused(self) -> None:
        """Who is not wanted reads why, in TLS too, whoever dialled."""
        for refusing in (self.bob, self.alice):
            self.alice.events.clear()
            self.bob.events.clear()
            refusing.refusal = ProtocolError(ErrorCode.UNAUTHORIZED, "not you")
            self.connect(self.own_tls(ALICE), self.own_tls(BOB))
            self.assertEqual(refusing.events, ["gone: not you"])
            refusing.refusal = None
        self.assertEqual(self.bob.events[0], "up")
        self.assertEqual(len(self.bob.messages), 1)  # the ERROR
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))

    def test_one_side_without(self) -> None:
        """Where one end has no TLS, the link is as it always was."""
        for here, there in ((self.own_tls(ALICE), None), (None, self.own_tls(BOB))):
            self.alice.events.clear()
            self.connect(here, there)
            self.assertEqual((self.alice.events, self.near.is_encrypted), (["up"], False))
            self.assertEqual((self.far.is_encrypted, self.far.key, self.far.card), (False, None, None))

    def test_ourselves(self) -> None:
        """Who dials itself learns so inside of TLS as well."""
        self.near = self.make(self.alice, ALICE, self.own_tls(ALICE), dialled=True)
        self.far = self.make(self.bob, ALICE, self.own_tls(ALICE), dialled=False)
        self.wire(self.near, self.far)
        self.clock.advance(1.0)
        self.assertTrue(self.near.is_ourselves)
        self.assertIn("our own name", self.alice.events[0])

    def test_one_context(self) -> None:
        """All links of a node share one context, since each context takes some 50 KB."""
        tls = self.own_tls(ALICE)
        connections = [tls.clientConnectionForTLS(None), tls.serverConnectionForTLS(None)]
        self.assertIs(connections[0].get_context(), connections[1].get_context())

    def test_offered_again(self) -> None:
        """A greeting inside that offers TLS once more is a greeting."""
        features = (*OUR_FEATURES, "tls")
        self.patch(Link, "send_hello", _offering_always(features))
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        self.assertEqual((self.alice.events, self.bob.events), (["up"], ["up"]))

    def test_cut(self) -> None:
        """A connection that is cut under TLS ends the link."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        self.near_wire.reset()
        for owner in (self.alice, self.bob):
            self.assertEqual([event.split(":")[0] for event in owner.events], ["up", "down", "gone"])

    def test_full(self) -> None:
        """A peer that does not read is felt through TLS, too: what is too much is refused."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB))
        MemoryTransport.pauseProducing(self.far_wire)
        took = [self.near.write(b" " * 1000 + b"\n") for _ in range(5000)]
        self.assertEqual((took[0], took[-1]), (True, False))
        MemoryTransport.resumeProducing(self.far_wire)
        self.clock.advance(10.0)
        self.assertTrue(self.near.write(b"\n"))


def _offering_always(features: tuple[str, ...]) -> Callable[[Link], None]:
    def send_hello(self: Link) -> None:
        card = self._shown_card
        fields = {} if not isinstance(card, dict) else {"card": card}
        self.outgoing.write(line("HELLO", peer_id=ALICE, version="1.0", features=list(features), **fields))

    return send_hello


class AttackedTests(TlsTestCase):
    def assert_nothing(self) -> None:
        """Neither end has a link."""
        for owner in (self.alice, self.bob):
            self.assertNotIn("up", owner.events)
            self.assertEqual(len(owner.events), 1, owner.events)

    def test_changed(self) -> None:
        """Whoever changes one byte of the handshake ends it, wherever that byte is."""
        pieces: list[bytes] = []

        def note(data: bytes) -> bytes:
            pieces.append(data)
            return data

        self.connect(self.own_tls(ALICE), self.own_tls(BOB), note)
        self.assertEqual(self.alice.events, ["up"])
        first, length = len(pieces[0]), len(b"".join(pieces[1:]))
        for position in range(0, length, 97):
            self.alice.events.clear()
            self.bob.events.clear()
            self.connect(self.own_tls(ALICE), self.own_tls(BOB), _flip(first + position))
            self.clock.advance(10.0)
            self.assertNotIn("up", self.bob.events, position)
            self.assertNotEqual(self.alice.events, ["up"], position)

    def test_another_key(self) -> None:
        """Whoever speaks TLS to both has another key than either, and each is told that one."""
        mallory = identity_of(BOB, "mallory")
        self.connect(self.own_tls(ALICE), Certificates(mallory))
        self.assertEqual((self.near.key, mallory.key == identity_of(BOB).key), (mallory.key, False))

    def test_stripped(self) -> None:
        """Whoever takes the offer out gets a plain link, and both ends see that it is one."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB), lambda data: data.replace(b',"tls"', b""))
        for link in (self.near, self.far):
            self.assertEqual((link.is_encrypted, link.key), (False, None))

    def test_name_changed_outside(self) -> None:
        """Whoever changes the name in the clear changes nothing: only what is said inside counts."""
        self.connect(self.own_tls(ALICE), self.own_tls(BOB), lambda data: data.replace(b"alice", b"carol"))
        self.assertEqual(self.far.peer_id, ALICE)

    def test_something_added(self) -> None:
        """What is put behind the HELLO in the clear, a line or a part of one, ends the link."""
        for more in (line("SEND", msg_id="x", src=ALICE, dst=BOB, payload="forged"), b"{"):
            self.alice.events.clear()
            self.bob.events.clear()
            self.connect(self.own_tls(ALICE), self.own_tls(BOB), _add_behind(b"\n", more))
            self.clock.advance(3.0)
            self.assertEqual(self.bob.events, ["gone: nothing may follow the greeting but TLS"])
            self.assertEqual(self.bob.messages, [])
            self.assertNotIn("up", self.alice.events)


def _flip(position: int) -> Callable[[bytes], bytes]:
    """Return what changes the byte at *position* of a stream."""
    seen = 0

    def change(data: bytes) -> bytes:
        nonlocal seen
        start, seen = seen, seen + len(data)
        at = position - start
        if not 0 <= at < len(data):
            return data
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return change


def _add_behind(end: bytes, more: bytes) -> Callable[[bytes], bytes]:
    """Return what puts more behind the first line of a stream."""
    is_first = True

    def change(data: bytes) -> bytes:
        nonlocal is_first
        was_first, is_first = is_first, False
        return data + more if was_first and data.endswith(end) else data

    return change


class OtherTlsTests(TlsTestCase):
    def outcome(self, here: LinkTls, there: LinkTls) -> tuple[list[str], list[str]]:
        self.alice.events.clear()
        self.bob.events.clear()
        self.connect(here, there)
        return self.alice.events, self.bob.events

    def test_key_of_another_kind(self) -> None:
        """A certificate whose key cannot sign cards is refused in words, whoever dialled."""
        alice, bob = self.outcome(self.own_tls(ALICE), other_tls(elliptic_context()))
        self.assertEqual(alice, ["gone: TLS failed: the other end has a certificate of the wrong kind"])
        alice, bob = self.outcome(other_tls(elliptic_context()), self.own_tls(BOB))
        self.assertEqual(bob, ["gone: TLS failed: the other end has a certificate of the wrong kind"])

    def test_no_certificate(self) -> None:
        """A dialler without one is refused in words."""
        _, bob = self.outcome(other_tls(SSL.Context(SSL.TLS_METHOD)), self.own_tls(BOB))
        self.assertEqual(bob, ["gone: TLS failed: the other end has no certificate"])

    def test_older_tls(self) -> None:
        """TLS 1.2 is refused in words."""
        context = elliptic_context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        _, bob = self.outcome(other_tls(context), self.own_tls(BOB))
        self.assertEqual(bob, ["gone: TLS failed: the other end does not have TLS 1.3"])
        alice, _ = self.outcome(self.own_tls(ALICE), other_tls(context))
        self.assertEqual(alice, ["gone: TLS failed: the other end does not have TLS 1.3"])


class RawTests(LinkTestCase):
    """A peer that offers TLS, and does something else."""

    def setUp(self) -> None:
        super().setUp()
        self.around.tls = Certificates(identity_of(ALICE))

    def offer(self, dialled: bool) -> None:
        kind = "HELLO_OK" if dialled else "HELLO"
        self.connect(dialled)
        self.raw.dataReceived = lambda data: None  # type: ignore[method-assign]  # it is not all JSON
        self.raw.say(kind, peer_id=BOB, version="1.0", features=[*OUR_FEATURES, "tls"])

    def test_no_tls(self) -> None:
        """One that goes on in the clear is told apart from one that is gone."""
        for dialled in (True, False):
            self.owner.events.clear()
            self.offer(dialled)
            self.clock.advance(0.01)
            self.raw.say("SEND", msg_id="m1", src=BOB, dst=ALICE, payload="hi")
            self.clock.advance(1.0)
            self.assertEqual(
                self.owner.events, ["gone: TLS failed: the other end offers TLS but does not speak it"]
            )

    def test_silent(self) -> None:
        """One that says nothing more has the time of the handshake, and no more."""
        self.offer(dialled=False)
        self.clock.advance(9.9)
        self.assertEqual(self.owner.events, [])
        self.clock.advance(0.2)
        self.assertEqual(self.owner.events, ["gone: no handshake within 10 s"])

    def test_behind_the_hello_ok(self) -> None:
        """What comes right behind the HELLO_OK, where only we may speak, ends the link."""
        self.connect()
        hello_ok = line("HELLO_OK", peer_id=BOB, version="1.0", features=[*OUR_FEATURES, "tls"])
        self.raw.wire.write(hello_ok + line("PING", msg_id="p1"))
        self.clock.advance(1.0)
        self.assertEqual(self.raw.heard[-1]["code"], "unauthorized")
        self.assertEqual(self.owner.events, [])
        self.clock.advance(2.0)
        self.assertEqual(self.owner.events, ["gone: nothing may follow the greeting but TLS"])

    def test_plain_peer(self) -> None:
        """A peer that does not offer it gets a HELLO_OK that does not either."""
        self.connect(dialled=False)
        self.hear("HELLO", peer_id=BOB, version="1.0", features=["ack"], card={"v": 1})
        self.assertEqual(self.raw.heard[0]["features"], OUR_FEATURES)
        self.assertEqual((self.owner.events, self.link.key, self.link.card), (["up"], None, None))


class WhyLostTests(SynchronousTestCase):
    def test_without_a_reason(self) -> None:
        """An error of TLS that says nothing is one of TLS."""
        self.assertEqual(why_lost(Failure(Error())), "TLS failed: no reason given")
        self.assertEqual(why_lost(Failure(Error([]))), "TLS failed: no reason given")

    def test_another_reason(self) -> None:
        """One that has no words here is told as OpenSSL does."""
        self.assertEqual(why_lost(Failure(Error([("SSL", "", "odd")]))), "TLS failed: odd")
