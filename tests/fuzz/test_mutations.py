"""Broken inputs: the same for the same seed, and of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import mutations, recording

LINES = recording.read("peer")

#: What is to be found among some thousands of broken lines.
KINDS: dict[str, Callable[[bytes], bool]] = {
    "NaN": lambda line: b":NaN" in line,
    "infinity": lambda line: b":-Infinity" in line,
    "a float out of range": lambda line: b":1e400" in line,
    "2**64": lambda line: b":18446744073709551616" in line,
    "minus zero": lambda line: b":-0," in line,
    "5000 digits": lambda line: b":1" + b"0" * 5000 in line,
    "a lone surrogate, escaped": lambda line: b'"\\ud800"' in line,
    "a lone surrogate, in bytes": lambda line: b"\xed\xa0\x80" in line,
    "overlong UTF-8": lambda line: b"\xc0\xaf" in line,
    "truncated UTF-8": lambda line: b'"\xe2\x82"' in line,
    "NUL": lambda line: b"\x00" in line,
    "a byte order mark": lambda line: b"\xef\xbb\xbf" in line,
    "an empty key": lambda line: b'"":' in line,
    "65 levels": lambda line: b"[" * 65 + b"]" in line,
    "100000 levels": lambda line: b"[" * 100_000 in line,
    "a number for the type": lambda line: b'"type":1' in line,
    "a duplicate key": lambda line: _twice(line),
    "32767 bytes": lambda line: len(line) == 32767,
    "32768 bytes": lambda line: len(line) == 32768,
    "32769 bytes": lambda line: len(line) == 32769,
    "a megabyte": lambda line: len(line) >= 2**20 - 1,
    "a sound line": lambda line: line in LINES,
}


def _twice(line: bytes) -> bool:
    """Whether a line is JSON with a key that comes twice."""
    try:
        pairs = json.loads(line, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
    except (ValueError, RecursionError):
        return False
    return isinstance(pairs, list) and len(pairs) != len({str(key) for key in pairs})


class MutationTests(SynchronousTestCase):
    def test_is_deterministic(self) -> None:
        """The same seed makes the same inputs in the same pieces, another seed makes others."""

        def make(seed: str) -> list[list[bytes]]:
            random = Random(seed)
            return [mutations.cut(mutations.stream(LINES, random), random) for _ in range(50)]

        self.assertEqual(make("a"), make("a"))
        self.assertNotEqual(make("a"), make("b"))

    def test_every_kind(self) -> None:
        """Everything that is known to break parsers is among the first 20000."""
        missing = dict(KINDS)
        for number in range(20_000):
            line = mutations.mutate(LINES, Random(number))
            for kind in [kind for kind, is_it in missing.items() if is_it(line)]:
                del missing[kind]
        self.assertEqual(list(missing), [])

    def test_every_way(self) -> None:
        """Every mutation changes a line in some of its ways."""
        for mutation in {*mutations.MUTATIONS, *mutations.HEAVY}:
            made = {mutation(LINES[0], LINES, Random(seed)) for seed in range(9)}
            self.assertTrue(made - {LINES[0]}, mutation)

    def test_whatever_was_broken_before(self) -> None:
        """Every mutation stands whatever bytes it is given."""
        for mutation in {*mutations.MUTATIONS, *mutations.HEAVY}:
            for line in (b"", b"\xff", b"{}", b"[]", b'{"a":[{"b":1}]}', b'{"":[{}]}', b'"', b"[" * 100_000):
                self.assertIsInstance(mutation(line, (line,), Random(1)), bytes)

    def test_pieces(self) -> None:
        """Pieces are the whole: one, a few, single bytes, empty ones too."""
        sizes = set()
        for seed in range(200):
            pieces = mutations.cut(LINES[0], Random(seed))
            self.assertEqual(b"".join(pieces), LINES[0])
            sizes |= {len(pieces), *map(len, pieces)}
        self.assertLessEqual({0, 1, 2, 6, len(LINES[0])}, sizes)
        self.assertEqual(b"".join(mutations.cut(b"", Random(1))), b"")
