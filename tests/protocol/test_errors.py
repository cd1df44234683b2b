"""The error vocabulary (docs/protocol.md, section 8)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.errors import MEANINGS, TRANSIENT, ErrorCode, ProtocolError, UnknownType

SPECIFIED = (
    "ttl_expired",
    "no_route",
    "over_quota",
    "busy",
    "unauthorized",
    "bad_format",
    "line_too_long",
)

FROM_OTHERS = (
    "peer_unreachable",
    "internal_error",
    "ack_timeout",
    "relay_not_supported",
    "who_has_timeout",
    "message_too_large",
    "p2p_unknown_command",
    "unknown_command",
)


class VocabularyTests(SynchronousTestCase):
    """`ErrorCode`, `MEANINGS` and `TRANSIENT`."""

    def test_specified_codes(self) -> None:
        """Every code of the specification can be sent, written as the specification writes it."""
        for code in SPECIFIED:
            self.assertEqual(ErrorCode(code).value, code)

    def test_every_code_has_words(self) -> None:
        """Whatever code we send, or know from others, can be told to the user in words."""
        self.assertEqual(set(MEANINGS), set(SPECIFIED) | set(FROM_OTHERS))
        self.assertTrue(all(MEANINGS.values()))

    def test_transient_codes_are_known(self) -> None:
        """Codes that are worth another try are among the known ones, and bad_format is not."""
        self.assertTrue(set(MEANINGS) >= TRANSIENT)
        self.assertNotIn("bad_format", TRANSIENT)


class ProtocolErrorTests(SynchronousTestCase):
    """`ProtocolError` carries what the answer needs."""

    def test_text(self) -> None:
        """Its text is the code and the detail."""
        self.assertEqual(str(ProtocolError(ErrorCode.BUSY, "too much waits")), "busy: too much waits")

    def test_fields(self) -> None:
        """What is not known of the message at fault is empty."""
        problem = ProtocolError(ErrorCode.BUSY, "too much waits")
        self.assertEqual((problem.ref, problem.limit, problem.kind), ("", None, ""))

    def test_unknown_type_is_one(self) -> None:
        """A type that we do not know is told apart, and is a bad line like others."""
        problem = UnknownType(ErrorCode.BAD_FORMAT, "unknown type 'X'", "m1", kind="X")
        self.assertIsInstance(problem, ProtocolError)
        self.assertEqual((problem.ref, problem.kind), ("m1", "X"))
