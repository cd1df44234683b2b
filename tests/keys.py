"""Keys for tests: the same each time, so that what they sign and show is the same, too."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable

from p2pchat.protocol.names import PeerId
from p2pchat.trust.certificates import Certificates
from p2pchat.trust.identity import Identity, Secrets
from p2pchat.trust.keys import Keys
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.pins import Pins
from p2pchat.trust.trust import Rules

#: The time of day, in ms since 1970, as far as the tests know.
NOON_MS = 1_767_323_045_000


def random_bytes_of(seed: str) -> Callable[[int], bytes]:
    """Return what gives bytes that look random, and are the same for the same seed."""
    numbers = itertools.count()
    return lambda size: hashlib.shake_256(f"{seed} {next(numbers)}".encode()).digest(size)


def nested_deep(data: bytes) -> bytes:
    """Return a JSON object with a field more, which nobody knows, and nobody can read to its end."""
    depth = 20_000  # Python 3.13 reads 10,000; the file of a key may have 64 KiB
    return data.rstrip()[:-1] + b', "more": ' + b"[" * depth + b"]" * depth + b"}"


def identity_of(peer_id: PeerId, seed: str = "") -> Identity:
    """Return the identity of a peer; with another *seed*, that of somebody else under its name."""
    return Identity(peer_id, Secrets.new(random_bytes_of(f"{peer_id} {seed}")))


def keys_of(
    peer_id: PeerId,
    *,
    seed: str = "",
    pins: Pins | None = None,
    rules: Rules | None = None,
    namespace_key: NamespaceKey | None = None,
    now_ms: Callable[[], int] = lambda: NOON_MS,
) -> Keys:
    """Return all that makes a node one that has keys."""
    identity = identity_of(peer_id, seed)
    return Keys(
        identity,
        Pins() if pins is None else pins,
        Certificates(identity),
        now_ms,
        random_bytes_of(f"{peer_id} boxes"),
        Rules() if rules is None else rules,
        namespace_key,
    )
