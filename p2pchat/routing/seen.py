"""Bounded duplicate suppression (docs/protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

#: Keys in one generation, two for each message. Two generations cover two minutes of a thousand messages
#: a second, longer than anybody sends a message again.
MAX_KEYS = 131072

#: Seconds after which a generation is given up even when it is not full.
MAX_AGE_S = 600.0


@attrs.define
class Seen:
    """Remembers what was seen lately. The router creates, owns and ends it.

    Two generations of sets: when the younger is full or old it becomes the older, and the older is
    forgotten as a whole. So a key is remembered for one to two generations, and nothing is ever
    searched or sorted. Only hashes are kept, 64 bits with a secret of the process: nobody can
    prepare a collision, and by accident one is out of reach.

    :param began_at_s: the present time, in seconds of the clock that `rotate` is told.
    """

    _began_at_s: float
    max_keys: int = MAX_KEYS
    _young: set[int] = attrs.Factory(set)
    _old: set[int] = attrs.Factory(set)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def is_new(self, key: Hashable) -> bool:
        """Remember *key*; False where it was seen before."""
        mark = hash(key)
        if mark in self._young or mark in self._old:
            return False
        if len(self._young) >= self.max_keys:
            self._old, self._young = self._young, set()
        self._young.add(mark)
        return True

    def rotate(self, now_s: float) -> None:
        """Forget what is too old; to be called now and then."""
        if now_s - self._began_at_s >= MAX_AGE_S:
            self._began_at_s = now_s
            self._old, self._young = self._young, set()
