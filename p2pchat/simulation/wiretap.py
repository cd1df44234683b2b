"""What passes over all links, counted."""

from __future__ import annotations

from collections import Counter

#: How every line begins that one of ours writes, up to its type.
_BEGINNING = b'{"type":"'

#: A piece that is longer is an answer of the rendezvous, or many lines that wait no longer: it is not split.
_LONG = 64 * 1024


class Wiretap:
    """Counts the lines that arrive. The simulation creates it, and tells it."""

    def __init__(self) -> None:
        self.lines = 0
        self._kinds: Counter[bytes] = Counter()

    @property
    def kinds(self) -> Counter[str]:
        """How many lines there were of each type, as far as a line arrived in one piece."""
        return Counter({kind.decode("ascii", "replace"): count for kind, count in self._kinds.items()})

    def passed(self, data: bytes) -> None:
        """Take a piece that arrives."""
        count = data.count(b"\n")
        self.lines += count
        if count == 1:
            self._count(data)
        elif len(data) < _LONG:
            for line in data.split(b"\n"):
                self._count(line)

    def _count(self, line: bytes) -> None:
        if line.startswith(_BEGINNING):
            self._kinds[line[9 : line.find(b'"', 9)]] += 1
