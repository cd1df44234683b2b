"""What is to be simulated: everything that, with the seed, decides what happens."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from p2pchat.simulation.topology import Topology, written

#: Seconds without faults at the end: by then the network must be one again, and every message be settled.
CALM_S = 60.0

#: Seconds before the end after which nobody says anything any more: three tries of a message, and the
#: searches for a way between them, take 37.5 s.
SILENT_S = 45.0

#: The shape of a network unless told otherwise.
RANDOM = Topology()


@attrs.frozen
class Plan:
    """What is to be simulated.

    Rates are per simulated minute in the whole network, shares are of its peers.

    :param seed: decides everything that is left to chance.
    :param minutes: simulated minutes, the calm one at the end included.
    :param messages: texts to one peer.
    :param casts: texts to many.
    :param churn: peers that leave, are killed or crash, and come back.
    :param power_cuts: machines that lose power in the middle of writing, and come back.
    :param absences: peers that are away for hours.
    :param leavers: share of peers that leave before the calm and do not come back.
    :param loss_of_links: links that are reset, cut in the middle of a line, or go silent.
    :param partition: times that the network falls into two parts.
    :param outage: times that the rendezvous is gone.
    :param clock_jumps: clocks that are put forward or back.
    :param bad_connects: share of connects that are refused or never answered, while there are faults.
    :param slow: share of peers that are slow to send and to receive.
    :param keyless: share of peers without keys: what they say is neither encrypted nor signed.
    :param keepers: share of peers that keep their messages through all runs of their programs.
    :param liars: what kinds of hostile peers there are, and their shares.
    """

    peers: int = 20
    seed: int = 1
    minutes: float = 10.0
    topology: Topology = RANDOM
    messages: float = 30.0
    casts: float = 3.0
    churn: float = 0.0
    power_cuts: float = 0.0
    absences: float = 0.0
    leavers: float = 0.0
    loss_of_links: float = 0.0
    partition: float = 0.0
    outage: float = 0.0
    clock_jumps: float = 0.0
    bad_connects: float = 0.0
    slow: float = 0.0
    keyless: float = 0.0
    keepers: float = 0.0
    liars: tuple[tuple[str, float], ...] = ()

    @property
    def seconds(self) -> float:
        """How long it lasts: the calm at the end, and as much before it, at least."""
        return max(self.minutes * 60.0, 2 * CALM_S)

    @property
    def calm_at_s(self) -> float:
        """When the faults end."""
        return self.seconds - CALM_S

    @property
    def silent_at_s(self) -> float:
        """When nobody says anything any more."""
        return self.seconds - SILENT_S

    @property
    def command(self) -> str:
        """The command that simulates this."""
        size = [f"--peers {self.peers}", f"--seed {self.seed}", f"--minutes {written(self.minutes)}"]
        return " ".join(["p2pchat simulate", *size, *self._options()])

    @property
    def faults(self) -> str:
        """The options that make it differ from a network without faults."""
        return " ".join(self._options())

    def _options(self) -> Iterator[str]:
        for field in attrs.fields(Plan):
            value = getattr(self, field.name)
            if field.name not in ("peers", "seed", "minutes") and value != field.default:
                yield f"--{field.name.replace('_', '-')} {option_text(value)}"


#: Every kind of fault at once, in a measure that a network of 20 peers must stand.
MIXED = Plan(
    messages=60.0,
    casts=6.0,
    churn=4.0,
    power_cuts=2.0,
    absences=0.5,
    leavers=0.1,
    loss_of_links=8.0,
    partition=1.0,
    outage=1.0,
    clock_jumps=2.0,
    bad_connects=0.1,
    slow=0.1,
    keyless=0.1,
    keepers=0.9,
    liars=(("any", 0.1),),
)


def option_text(value: object) -> str:
    """Write the value of an option so that the same one is read again."""
    if isinstance(value, tuple):
        return ",".join(f"{kind}:{written(share)}" for kind, share in value)
    return written(value) if isinstance(value, float) else str(value)
