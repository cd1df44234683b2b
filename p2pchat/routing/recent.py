"""Bounded memory of what passed by lately (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import attrs

#: Keys in one generation, about 6 MiB of trails; two of them cover half a minute of a thousand messages a
#: second. A trail that is forgotten too early costs little: what comes back then goes by route.
MAX_KEYS = 16384

#: Seconds that a key is remembered at least, unless too many came (section 5).
KEEP_S = 60.0

_V = TypeVar("_V")


@attrs.define
class Recent(Generic[_V]):
    """Values by key, of what came lately. Whoever routes owns one for each purpose.

    Two generations: when the younger is full or old it becomes the older, and the older is forgotten as a
    whole. So a key is remembered for one to two generations, and nothing is ever searched or sorted.
    Only hashes of keys are kept, 64 bits with a secret of the process: nobody can prepare a collision,
    and by accident one is out of reach.

    :param began_at_s: the present time, in seconds of the clock that `rotate` is told.
    :param max_keys: in one generation.
    :param keep_s: seconds after which a generation ends even when it is not full.
    """

    _began_at_s: float
    max_keys: int = MAX_KEYS
    keep_s: float = KEEP_S
    _young: dict[int, _V] = attrs.Factory(dict)
    _old: dict[int, _V] = attrs.Factory(dict)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Hashable) -> _V | None:
        """Return what was put there last, or None."""
        mark = hash(key)
        value = self._young.get(mark)
        return self._old.get(mark) if value is None else value

    def put(self, key: Hashable, value: _V) -> None:
        """Remember *value*, in the place of what was there."""
        if len(self._young) >= self.max_keys:
            self._old, self._young = self._young, {}
        self._young[hash(key)] = value

    def values(self) -> Iterator[_V]:
        """Yield all that is remembered, also what was replaced by something younger."""
        yield from self._old.values()
        yield from self._young.values()

    def rotate(self, now_s: float) -> None:
        """Forget what is too old; to be called now and then."""
        if now_s - self._began_at_s >= self.keep_s:
            self._began_at_s = now_s
            self._old, self._young = self._young, {}
