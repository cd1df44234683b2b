"""Measures two ends that do everything for a message, directly and with a relay between them."""

from __future__ import annotations

import json

import attrs

from benchmarks.drive import MESSAGES
from benchmarks.processes import running

#: Messages before the round trips through a relay, so that the way is known by then. Throughput is not
#: looked at there.
WARM_UP = 1_000


@attrs.frozen
class Driven:
    """What one run found."""

    messages_per_s: float
    round_trip_s: float


def directly(*kind: str) -> Driven:
    """Run two ends with one link.

    :param kind: what both are.
    """
    with running(*kind, "serve") as server:
        return _drive(*kind, "drive", server.read(), MESSAGES)


def through_relay(*kind: str, messages: int = WARM_UP) -> Driven:
    """Run two ends and a relay between them.

    :param kind: what all three are.
    :param messages: how many are under way in turn, before the round trips.
    """
    with running(*kind, "relay") as relay:
        port = relay.read()
        with running(*kind, "serve", port) as server:
            server.read()
            return _drive(*kind, "drive", port, messages)


def _drive(*arguments: object) -> Driven:
    with running(*arguments) as driver:
        return Driven(**json.loads(driver.read()))
