"""All that makes a peer one that has keys."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.links.surroundings import LinkTls
from p2pchat.trust.identity import Identity
from p2pchat.trust.namespacekey import NamespaceKey
from p2pchat.trust.pins import Pins
from p2pchat.trust.trust import Rules


@attrs.frozen
class Keys:
    """What a node is given at its start. The node closes the pins.

    :param identity: our own keys.
    :param pins: what is known of others.
    :param tls: encrypts links, with certificates of the identity.
    :param now_ms: the time of day in ms since 1970.
    :param random_bytes: so many, from the source for secrets.
    :param namespace_key: seals what is said to our namespace; None where it has no key.
    """

    identity: Identity
    pins: Pins
    tls: LinkTls
    now_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    rules: Rules
    namespace_key: NamespaceKey | None = None
