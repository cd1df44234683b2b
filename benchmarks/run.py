"""Measures p2pchat against bare Twisted, round by round in turn, and prints medians of ratios.

Absolute numbers of a shared machine mean little; both sides of a ratio are taken within seconds of
each other, in fresh processes, on loopback.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from benchmarks import box, crowd, history, pair, relaying
from benchmarks.crowd import BURST, IDLE
from benchmarks.figures import Figure, Table

#: Rounds; the median needs some to forget the noise of a shared machine.
ROUNDS = 5

#: In so many of them memory is measured too, which hardly varies.
ROUNDS_OF_MEMORY = 3

#: Elsewhere nobody tells what another process costs.
IS_LINUX = sys.platform == "linux"

#: Kinds of processes: a module of the benchmarks, and its first arguments.
OURS = ("ours",)
KEYED = ("ours", "keyed")
BARE = {"json": ("bare", "json"), "msgspec": ("bare", "msgspec")}

ABOUT = f"""
Ours against bare LineOnlyReceivers that do only the JSON, by the module named. Medians of {ROUNDS} rounds;
each ratio is that of one round. cpu is processor time, which tells most on a machine with other work.

direct           two ends and one link, with all that they do for a SEND and its ACK
relay            SENDs and their ACKs through a relay, between two ends that do next to nothing. The bare
                 one decodes, counts the ttl down, encodes and writes. cpu: of the relay, for SEND and ACK
added by relay   the round trip of a SEND and its ACK with a relay between the two ends, less that without
                 one; all three are nodes of ours, or all three are bare
cast             one PUB to so many links, until all of them have it: one in each turn of the reactor, or
                 bursts of {BURST}. The bare one encodes it once and writes it to all. cpu: of who casts
simulated lines  that arrive in a simulated network, in a second of processor time, while twenty pairs talk
direct in TLS    the same with keys, in the place of ours, and without, in the place of the bare one
relay, sealed    SENDs through a relay until their sender has the ACK: with keys, sealed, and without
direct, kept     the same with all messages on disk before they are sent and confirmed, in the place of ours,
                 and without, in the place of the bare one
start            of a peer with a million messages in its history, and of one with none
idle link        what each of {IDLE} links with plain peers adds to the resident memory
idle link in TLS the same with links that are encrypted, of ours with keys and without
"""

DIRECT_MESSAGES = partial(Figure, "direct", at_least=0.5)
DIRECT_ROUND_TRIP = partial(Figure, "direct, round trip", unit="us", factor=1e6, at_most=1.5)
RELAY_MESSAGES = partial(Figure, "relay", at_least=0.5)
RELAY_CPU = partial(Figure, "relay, cpu", unit="us", factor=1e6)
RELAY_ROUND_TRIP = partial(Figure, "relay, round trip", unit="us", factor=1e6)
RELAY_ADDS = partial(Figure, "added by relay, round trip", unit="us", factor=1e6)
IDLE_LINK = Figure("idle link, memory", "", unit="KB", factor=1 / 1024, ours_at_most=8.0)

TLS_MESSAGES = Figure("direct in TLS", "plain", at_least=0.8)
SEALED_MESSAGES = Figure("relay, sealed", "plain")
KEPT_MESSAGES = Figure("direct, kept", "not kept", at_least=1 / 3)
START = Figure("start, a million kept", "none kept", unit="ms", factor=1e3, at_most=1.5)
TLS_LINK = Figure("idle link in TLS, memory", "plain", unit="KB", factor=1 / 1024, ours_at_most=45.0)

#: Messages through a relay of which each end seals, opens, signs and checks.
SEALED = 5_000

#: Of the processor time of a relay, what the busier one of the two ends may take at most, else it is not the
#: relay that was measured.
IDLE_ENDS = 0.5


def measure_pairs(table: Table) -> None:
    """Measure two ends, with and without a relay between them."""
    ours, ours_relayed = pair.directly(*OURS), pair.through_relay(*OURS)
    for name, kind in BARE.items():
        bare, bare_relayed = pair.directly(*kind), pair.through_relay(*kind)
        table.add(DIRECT_MESSAGES(name), ours.messages_per_s, bare.messages_per_s)
        table.add(DIRECT_ROUND_TRIP(name), ours.round_trip_s, bare.round_trip_s)
        ours_adds_s = ours_relayed.round_trip_s - ours.round_trip_s
        bare_adds_s = bare_relayed.round_trip_s - bare.round_trip_s
        table.add(RELAY_ADDS(name), ours_adds_s, bare_adds_s)


def measure_relays(table: Table) -> None:
    """Measure how much a relay passes on, and how long that takes."""
    ours = relaying.measure(*OURS)
    for name, kind in BARE.items():
        bare = relaying.measure(*kind)
        table.add(RELAY_MESSAGES(name), ours.messages_per_s, bare.messages_per_s)
        if IS_LINUX:
            table.add(RELAY_CPU(name), ours.cpu_s, bare.cpu_s)
            if bare.busiest_end_cpu_s > IDLE_ENDS * bare.cpu_s:
                print(f"the bare relay with {name} was not the bottleneck", file=sys.stderr)
        table.add(RELAY_ROUND_TRIP(name), ours.round_trip_s, bare.round_trip_s)


def measure_casts(table: Table) -> None:
    """Measure one PUB to many."""
    for links in (100, 500):
        ours, bare = crowd.fan_out(links, *OURS), crowd.fan_out(links, *BARE["json"])
        name = f"cast to {links}"
        table.add(Figure(name, "", at_least=0.7), ours.casts_per_s, bare.casts_per_s)
        if IS_LINUX:
            table.add(Figure(f"{name}, cpu", "", unit="us", factor=1e6), ours.cpu_s, bare.cpu_s)
        table.add(Figure(f"{name}, bursts", ""), ours.bursts_per_s, bare.bursts_per_s)


def measure_keys(table: Table) -> None:
    """Measure what keys cost: on a link in TLS, and through a relay."""
    table.add(TLS_MESSAGES, pair.directly(*KEYED).messages_per_s, pair.directly(*OURS).messages_per_s)
    sealed, plain = (pair.through_relay(*kind, messages=SEALED) for kind in (KEYED, OURS))
    table.add(SEALED_MESSAGES, sealed.messages_per_s, plain.messages_per_s)


def measure_keeping(table: Table, full: str, empty: str) -> None:
    """Measure what it costs to keep messages, and to have very many.

    :param full: the folder of a peer that has them.
    :param empty: that of one that has none.
    """
    table.add(KEPT_MESSAGES, history.messages_per_s(), pair.directly(*OURS).messages_per_s)
    table.add(START, history.start_s(full), history.start_s(empty))


def measure_memory(table: Table) -> None:
    """Measure what a link that says nothing takes."""
    plain = crowd.bytes_per_link(*OURS)
    table.add(IDLE_LINK, plain, crowd.bytes_per_link(*BARE["json"]))
    table.add(TLS_LINK, crowd.bytes_per_link(*KEYED, tls=crowd.client_tls()), plain)


def measure_simulation(table: Table) -> None:
    """Measure how many lines a simulated network carries."""
    ours = box.node_lines_per_s()
    for name in BARE:
        table.add(Figure("simulated lines", name), ours, box.bare_lines_per_s(name))


def main() -> None:
    """Measure, and print a table."""
    crowd.allow_files()
    table = Table()
    began = time.monotonic()
    with history.folder_with_messages(history.MANY) as full, history.folder_with_messages(0) as empty:
        for number in range(1, ROUNDS + 1):
            measure_pairs(table)
            measure_relays(table)
            measure_keys(table)
            measure_keeping(table, full, empty)
            measure_casts(table)
            measure_simulation(table)
            if IS_LINUX and number <= ROUNDS_OF_MEMORY:
                measure_memory(table)
            print(f"round {number} of {ROUNDS}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(ABOUT)
    table.print()


if __name__ == "__main__":
    main()
