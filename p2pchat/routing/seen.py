"""Bounded duplicate suppression (docs/protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from p2pchat.routing.recent import Recent

#: Keys in one generation, two for each message. Two generations cover two minutes of a thousand messages
#: a second, longer than anybody sends a message again.
MAX_KEYS = 131072

#: Seconds after which a generation is given up even when it is not full.
MAX_AGE_S = 600.0


@attrs.define
class Seen(Recent[bool]):
    """Remembers what was shown lately. The router creates, owns and ends it."""

    max_keys: int = MAX_KEYS
    keep_s: float = MAX_AGE_S

    def is_new(self, key: Hashable) -> bool:
        """Remember *key*; False where it was seen before."""
        mark = hash(key)
        if mark in self._young or mark in self._old:  # `get` takes twice as long, and this is every message
            return False
        self.put(key, True)
        return True
