"""Measures a relay between two load generators: three processes, of which the relay is to be the busiest."""

from __future__ import annotations

import time
from contextlib import closing

import attrs

from benchmarks.drive import MESSAGES
from benchmarks.generators import Sender
from benchmarks.processes import running


@attrs.frozen
class Relaying:
    """What one run found.

    :param cpu_s: processor time of the relay for one message and its ACK.
    :param busiest_end_cpu_s: the same of the busier one of the two ends.
    """

    messages_per_s: float
    round_trip_s: float
    cpu_s: float
    busiest_end_cpu_s: float


def measure(*kind: str) -> Relaying:
    """Run a relay and send through it.

    :param kind: what the relay is.
    """
    with running(*kind, "relay") as relay:
        port = int(relay.read())
        with running("generators", port) as receiver, closing(Sender(port)) as sender:
            receiver.read()
            before_s = relay.cpu_s, receiver.cpu_s, time.process_time()
            messages_per_s = sender.messages_per_s()
            after_s = relay.cpu_s, receiver.cpu_s, time.process_time()
            own_s, *others_s = (end - begin for begin, end in zip(before_s, after_s, strict=True))
            return Relaying(messages_per_s, sender.round_trip_s(), own_s / MESSAGES, max(others_s) / MESSAGES)
