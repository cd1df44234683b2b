"""What goes wrong, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import attrs

from p2pchat.simulation.internet import Internet
from p2pchat.simulation.plan import Plan
from p2pchat.simulation.residents import RENDEZVOUS, Rendezvous, Resident
from p2pchat.simulation.transport import MemoryTransport

#: Seconds in which the network comes into being before anything goes wrong.
FIRST_AT_S = 20.0

#: Seconds that a peer is away, that the network is in two parts, that the rendezvous is gone: from, to.
AWAY_S = (1.0, 40.0)
PARTED_S = (5.0, 60.0)
OUTAGE_S = (1.0, 40.0)

#: The same of a peer that is away for hours.
LONG_AWAY_S = (60.0, 4 * 3600.0)

#: Seconds until somebody who is leaving is started again, if it has left by then.
LEAVING_S = 0.1

#: Statements after which a machine loses power that is to lose it in the middle of writing: a commit or two.
STATEMENTS = (1, 12)

#: Seconds by which all can reach the rendezvous before the other faults are over. Who did not reach it backs
#: off for up to a minute, and whose request was reset has to; then the others must look, which they do every
#: 30 s (docs/protocol.md, 6 and 9.19).
REACHED_S = 35.0

#: Seconds by which a clock is put forward or back: what a correction does, and a machine that slept.
JUMP_S = (-5.0, 120.0)


@attrs.define(eq=False)
class Faults:
    """Breaks things, and mends them. The simulation creates, starts and ends it.

    :param happened: told what goes wrong, for who watches.
    :param ended: told that a fault of some kind is over, so that the network has to become one again.
    """

    _plan: Plan
    _internet: Internet
    _rendezvous: Rendezvous
    _residents: list[Resident]
    _random: Random
    _happened: Callable[[str], None]
    _ended: Callable[[str], None]
    _silent: list[MemoryTransport] = attrs.Factory(list)
    #: Who has left for good.
    _gone: list[Resident] = attrs.Factory(list)
    _is_over: bool = False

    def start(self) -> None:
        """Plan everything that will go wrong."""
        plan = self._plan
        self._internet.bad_connects = plan.bad_connects
        for per_minute, happen in (
            (plan.churn, self._end_somebody),
            (plan.absences, self._send_somebody_away),
            (plan.power_cuts, self._cut_power),
            (plan.loss_of_links, self._lose_a_link),
            (plan.clock_jumps, self._put_a_clock),
        ):
            self._plan_often(per_minute, plan.calm_at_s, happen)
        reached_at_s = plan.calm_at_s - REACHED_S
        self._plan_often(plan.partition, reached_at_s, self._part)
        self._plan_often(plan.outage, reached_at_s, self._end_rendezvous)
        for resident in self._random.sample(self._residents, round(plan.leavers * len(self._residents))):
            at_s = self._random.uniform(FIRST_AT_S, plan.calm_at_s)
            self._internet.clock.call_at(at_s, partial(self._leave_for_good, resident))
        for mend in (self._join, self._start_rendezvous):
            self._internet.clock.call_at(max(0.0, reached_at_s), mend)

    def _plan_often(self, per_minute: float, end_s: float, happen: Callable[[], None]) -> None:
        for at_s in poisson(per_minute, FIRST_AT_S, end_s, self._random):
            self._internet.clock.call_at(at_s, happen)

    def end(self) -> None:
        """Mend everything."""
        self._is_over = True
        self._internet.bad_connects = 0.0
        self._join()
        self._start_rendezvous()
        for resident in self._residents:
            self._start(resident)
            if resident.disk is not None:
                resident.disk.cut_after(0)
        for transport in self._silent:
            transport.reset()
        self._silent.clear()
        self._tell("the faults are over", "all faults")

    def _tell(self, what: str, ended: str = "") -> None:
        self._happened(what)
        if ended:
            self._ended(ended)

    def _later(self, span_s: tuple[float, float], mend: Callable[[], None]) -> None:
        """Mend something after a while, unless everything is mended by then."""

        def mend_late() -> None:
            if not self._is_over:
                mend()

        clock = self._internet.clock
        clock.call_at(clock.now_s + self._random.uniform(*span_s), mend_late)

    # Peers.

    def _end_somebody(self) -> None:
        up = [resident for resident in self._residents if resident.is_up]
        if not up:
            return
        resident = self._random.choice(up)
        how = self._random.choice(["leaves", "is killed", "loses power"])
        self._tell(f"{resident.own} {how}")
        if how == "leaves":
            resident.leave()
        elif how == "is killed":
            resident.kill()
        else:
            resident.crash()
        self._later(AWAY_S, lambda: self._start(resident))

    def _send_somebody_away(self) -> None:
        up = [resident for resident in self._residents if resident.is_up]
        if up:
            resident = self._random.choice(up)
            self._tell(f"{resident.own} goes away for long")
            resident.leave()
            self._later(LONG_AWAY_S, lambda: self._start(resident))

    def _leave_for_good(self, resident: Resident) -> None:
        self._gone.append(resident)
        if resident.is_up:
            self._tell(f"{resident.own} leaves for good")
            resident.leave()

    def _cut_power(self) -> None:
        up = [resident for resident in self._residents if resident.is_up and resident.disk is not None]
        if not up:
            return
        resident = self._random.choice(up)
        assert resident.disk is not None, "chosen above"
        resident.power_failed = lambda: self._power_failed(resident)
        resident.disk.cut_after(self._random.randint(*STATEMENTS))

    def _power_failed(self, resident: Resident) -> None:
        self._tell(f"{resident.own} loses power while it writes")
        self._later(AWAY_S, lambda: self._start(resident))

    def _start(self, resident: Resident) -> None:
        if resident.is_up or resident in self._gone:
            return
        if resident.is_leaving:  # two programs cannot have one folder
            clock = self._internet.clock
            clock.call_at(clock.now_s + LEAVING_S, lambda: self._start(resident))
            return
        resident.start()
        self._tell(f"{resident.own} is back", "peer away")

    # Links.

    def _lose_a_link(self) -> None:
        # What resets us at the rendezvous may be a ban, after which a peer must wait for a minute.
        transports = [
            end for end in self._internet.transports if RENDEZVOUS.host not in (end.host.host, end.peer.host)
        ]
        if not transports:
            return
        transport = self._random.choice(transports)
        how = self._random.choice(["reset", "cut in the middle of a line", "silent"])
        where = f"{transport.host.host}:{transport.host.port} - {transport.peer.host}:{transport.peer.port}"
        self._tell(f"the connection {where} is {how}", f"link {how}")
        if how == "reset":
            transport.reset()
        elif how == "silent":
            self._silence(transport)
        else:
            transport.snap_at = self._random.random()

    def _silence(self, transport: MemoryTransport) -> None:
        """Let nothing through any more, as a NAT that has forgotten a connection."""
        ends = [transport] if transport.other is None else [transport, transport.other]
        for end in ends:
            end.stalled = True
            self._silent.append(end)

    # The network.

    def _part(self) -> None:
        if self._internet.far_side:
            return
        ips = [resident.ip for resident in self._residents]
        far = self._random.sample(ips, self._random.randint(1, max(1, len(ips) // 2)))
        self._tell(
            f"the network falls apart: {len(far)} peers on one side, {len(ips) - len(far)} on the other"
        )
        self._internet.part(frozenset(far))
        self._later(PARTED_S, self._join)

    def _join(self) -> None:
        if self._internet.far_side:
            self._internet.part(frozenset())
            self._tell("the parts of the network are joined", "partition")

    def _end_rendezvous(self) -> None:
        if not self._rendezvous.is_up:
            return
        if self._random.random() < 0.5:
            self._tell("the rendezvous is gone, with all that it knew")
            self._rendezvous.crash()
        else:
            self._tell("the rendezvous is gone for a while")
            self._rendezvous.stop()
        self._later(OUTAGE_S, self._start_rendezvous)

    def _start_rendezvous(self) -> None:
        if not self._rendezvous.is_up:
            self._rendezvous.start()
            self._tell("the rendezvous is back", "rendezvous away")

    # Clocks.

    def _put_a_clock(self) -> None:
        up = [resident for resident in self._residents if resident.is_up]
        if not up:
            return
        resident, by_s = self._random.choice(up), self._random.uniform(*JUMP_S)
        self._tell(f"the clock of {resident.own} is put by {by_s:+.1f} s", "clock put")
        assert resident.host is not None, "who is up has a host"
        resident.host.jump(by_s)


def poisson(per_minute: float, begin_s: float, end_s: float, random: Random) -> list[float]:
    """Return moments that come by chance, so many a minute."""
    moments: list[float] = []
    at_s = begin_s
    while per_minute > 0.0:
        at_s += random.expovariate(per_minute / 60.0)
        if at_s >= end_s:
            break
        moments.append(at_s)
    return moments
