"""Signatures, and the bytes that they cover (docs/protocol.md, section 11)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.trust.base64 import decode, encode
from p2pchat.trust.signing import WEAK_KEYS, framed, is_signed

PARTS = st.lists(st.binary(max_size=9) | st.text(max_size=9) | st.integers(0, 2**64 - 1), max_size=4)
CONTEXTS = st.sampled_from(("send/1", "send/2", "pub/1", "send/11"))


class FramedTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """Section 11: a line that says what it is, and each part behind its length."""
        self.assertEqual(
            framed("send/1", "é", b"\0", 7),
            b"p2pchat send/1\n\0\0\0\x02\xc3\xa9\0\0\0\x01\0\0\0\0\x08\0\0\0\0\0\0\0\x07",
        )

    def test_half_a_character(self) -> None:
        """Half a character, which JSON can write, is no error of ours."""
        self.assertEqual(framed("x/1", "\ud800")[-3:], b"\xed\xa0\x80")

    @given(CONTEXTS, PARTS, CONTEXTS, PARTS)
    def test_unambiguous(
        self, one: str, parts: list[bytes | str | int], other: str, others: list[bytes | str | int]
    ) -> None:
        """No two contexts and lists of parts give the same bytes, but for those that are the same bytes."""
        if framed(one, *parts) == framed(other, *others):
            self.assertEqual((one, len(parts)), (other, len(others)))
            self.assertEqual([framed("", part) for part in parts], [framed("", part) for part in others])


class SignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.secret = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self.key = self.secret.public_key().public_bytes_raw()

    def test_good(self) -> None:
        """A signature of the owner holds."""
        self.assertTrue(is_signed(self.key, self.secret.sign(b"word"), b"word"))

    def test_bad(self) -> None:
        """Anything else does not: other words, another key, half a signature, a key that is none."""
        sig = self.secret.sign(b"word")
        other = Ed25519PrivateKey.from_private_bytes(b"1" * 32).public_key().public_bytes_raw()
        for key, signature, signed in (
            (self.key, sig, b"words"),
            (other, sig, b"word"),
            (self.key, sig[:-1], b"word"),
            (self.key, b"", b"word"),
            (self.key, bytes([sig[0] ^ 1]) + sig[1:], b"word"),
            (self.key[:-1], sig, b"word"),
            (b"", sig, b"word"),
            (b"\xff" * 32, sig, b"word"),
        ):
            self.assertFalse(is_signed(key, signature, signed))

    def test_weak_keys_are_all(self) -> None:
        """They are all encodings of the points whose order divides 8, as computed from the curve."""
        p = 2**255 - 19
        d = -121665 * pow(121666, -1, p) % p
        roots = [0, 1, p - 1]  # y of the points of order 4, 1 and 2
        # Doubling a point of order 8 gives y = 0, so d * y**4 + 2 * y**2 - 1 = 0 (RFC 8032, 5.1.4).
        root = _square_root(1 + d, p)
        for sign in (1, -1):
            y_squared = (-1 + sign * root) * pow(d, -1, p) % p
            if pow(y_squared, (p - 1) // 2, p) == 1:
                y = _square_root(y_squared, p)
                roots += [y, p - y]
        # Also as no honest peer writes them: not reduced, and with a sign where x is 0.
        written = {y + more for y in roots for more in (0, p) if y + more < 2**255}
        points = {(y | sign << 255).to_bytes(32, "little") for y in written for sign in (0, 1)}
        self.assertEqual(points, WEAK_KEYS)

    def test_weak_keys(self) -> None:
        """Keys with which one signature holds for many messages are refused, though the library takes one."""
        forged = bytes([1]) + bytes(63)  # R is the neutral point, S is 0
        self.assertEqual(len(WEAK_KEYS), 14)
        for key in WEAK_KEYS:
            for signed in (b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eight"):
                self.assertFalse(is_signed(key, forged, signed))


def _square_root(square: int, p: int) -> int:
    """Return a root modulo p = 2**255 - 19."""
    root = pow(square, (p + 3) // 8, p)
    return root if root * root % p == square % p else root * pow(2, (p - 1) // 4, p) % p


class Base64Tests(SynchronousTestCase):
    @given(st.binary())
    def test_round_trip(self, data: bytes) -> None:
        """What is written is read as it was."""
        self.assertEqual(decode(encode(data)), data)

    def test_wrong(self) -> None:
        """Anything else is refused in words."""
        for text in ("A", "AA", "AAA", "A===", "AA=A", "AAAA\n", " AAAA", "AA-_", "é===", "AAAA="):
            self.assertIn("base64", str(self.assertRaises(ValueError, decode, text)))
        for value in (None, 5, b"AAAA", ["AAAA"]):
            self.assertIn("string", str(self.assertRaises(ValueError, decode, value)))
