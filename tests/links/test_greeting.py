"""What a HELLO or HELLO_OK tells, and when it is refused (docs/protocol.md, sections 3 and 9)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.links.greeting import check_hello, check_hello_ok
from p2pchat.protocol.errors import ErrorCode, ProtocolError
from p2pchat.protocol.messages import Hello, HelloOk
from p2pchat.protocol.names import PeerId

ALICE = PeerId("alice@UnB")
BOB = PeerId("bob@UnB")


class HelloTests(SynchronousTestCase):
    def assert_refused(self, hello: Hello, *words: str) -> None:
        """Assert that *hello* is refused as bad_format, with *words* in the detail."""
        with self.assertRaises(ProtocolError) as caught:
            check_hello(hello, ALICE)
        self.assertEqual((caught.exception.code, caught.exception.kind), (ErrorCode.BAD_FORMAT, "HELLO"))
        for word in words:
            self.assertIn(word, caught.exception.detail)

    def test_who_and_what(self) -> None:
        """A HELLO tells who is there and what it can do."""
        greeting = check_hello(Hello("bob@UnB", features=("ack", "relay")), ALICE)
        self.assertEqual((greeting.peer_id, greeting.plain, greeting.is_ourselves), (BOB, False, False))
        self.assertEqual(greeting.features, {"ack", "relay"})

    def test_plain(self) -> None:
        """Section 9: whoever does not list ``relay`` is a plain peer, whatever else it lists."""
        for features in ((), ("ack",), ("RELAY", "metrics")):
            self.assertTrue(check_hello(Hello("bob@UnB", features=features), ALICE).plain)

    def test_bad_peer_id(self) -> None:
        """Section 3: a bad peer_id is refused as bad_format."""
        for peer_id in ("", "bob", "@UnB", "bob@", "x" * 65 + "@UnB", "bob@" + "x" * 65):
            self.assert_refused(Hello(peer_id), "peer_id")

    def test_strange_peer_id(self) -> None:
        """Section 1: what the rendezvous accepts is accepted."""
        for peer_id in ("bo b@UnB", "b#o*b@UnB", "b@b@UnB", "\x1b[31m@\n"):
            self.assertEqual(check_hello(Hello(peer_id), ALICE).peer_id, peer_id)

    def test_version(self) -> None:
        """Section 3: the minor version does not matter, another major version is refused."""
        for version in ("1", "1.0", "1.7", "1.0.3", " 1.0"):
            check_hello(Hello("bob@UnB", version=version), ALICE)
        for version in ("2.0", "0.9", "", "x", "11.0"):
            self.assert_refused(Hello("bob@UnB", version=version), "version", "1.0 is")

    def test_ourselves(self) -> None:
        """Our own name at the other end is noticed."""
        self.assertTrue(check_hello(Hello("alice@UnB"), ALICE).is_ourselves)


class HelloOkTests(SynchronousTestCase):
    def test_as_expected(self) -> None:
        """Whom we dialled is there: nothing to remark."""
        for features in ((), ("relay",)):
            greeting = check_hello_ok(HelloOk("bob@UnB", features=features), ALICE, BOB)
            self.assertEqual((greeting.peer_id, greeting.remark, greeting.is_ourselves), (BOB, "", False))

    def test_nobody_expected(self) -> None:
        """Where nobody said who is there, it is whom it says it is."""
        for features in ((), ("relay",)):
            greeting = check_hello_ok(HelloOk("bob@UnB", features=features), ALICE, None)
            self.assertEqual((greeting.peer_id, greeting.remark), (BOB, ""))

    def test_plain_peer_under_another_name(self) -> None:
        """9.11: a plain peer keeps the name of the rendezvous, whomever it names; it is remarked."""
        for named in ("carol@UnB", "alice@UnB", "nonsense", ""):
            greeting = check_hello_ok(HelloOk(named), ALICE, BOB)
            self.assertEqual((greeting.peer_id, greeting.is_ourselves), (BOB, False))
            self.assertIn("bob@UnB", greeting.remark)
            self.assertIn(named, greeting.remark)

    def test_own_kind_under_another_name(self) -> None:
        """9.11: one of our own kind is whom it says it is; it is remarked."""
        greeting = check_hello_ok(HelloOk("carol@UnB", features=("relay",)), ALICE, BOB)
        self.assertEqual(greeting.peer_id, "carol@UnB")
        self.assertIn("bob@UnB", greeting.remark)
        self.assertIn("carol@UnB", greeting.remark)

    def test_ourselves(self) -> None:
        """Section 3: our own name is ourselves, unless a plain peer is expected there."""
        for features, expected in ((("relay",), BOB), (("relay",), None), ((), None)):
            self.assertTrue(
                check_hello_ok(HelloOk("alice@UnB", features=features), ALICE, expected).is_ourselves
            )

    def test_refused(self) -> None:
        """Section 3: bad names of our own kind, and other versions, are bad_format."""
        for answer in (HelloOk("", features=("relay",)), HelloOk("bob@UnB", version="2.0")):
            with self.assertRaises(ProtocolError) as caught:
                check_hello_ok(answer, ALICE, BOB)
            self.assertEqual(
                (caught.exception.code, caught.exception.kind), (ErrorCode.BAD_FORMAT, "HELLO_OK")
            )
