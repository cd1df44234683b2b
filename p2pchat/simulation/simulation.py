"""A network in a box: real nodes through every fault, on simulated time, from a seed."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from random import Random
from typing import IO

import attrs
from twisted.logger import globalLogPublisher

from p2pchat import events
from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.routing.outbox import LONGEST_WAIT_S
from p2pchat.simulation import invariants
from p2pchat.simulation.disk import Disk
from p2pchat.simulation.faults import Faults
from p2pchat.simulation.internet import Internet
from p2pchat.simulation.invariants import (
    BOUNDS,
    MAX_TOLD,
    SERVER_BOUNDS,
    FailureObserver,
    Peaks,
    Violation,
)
from p2pchat.simulation.keys import Locker
from p2pchat.simulation.ledger import KEPT, Ledger, Person, Said
from p2pchat.simulation.liars import FORGERS, LIARS, NAMESAKES, Cast
from p2pchat.simulation.plan import Plan
from p2pchat.simulation.residents import PORT, Rendezvous, Resident, Surroundings, ip_of, name_of
from p2pchat.simulation.talk import Talk
from p2pchat.simulation.trace import Trace
from p2pchat.simulation.transport import MemoryTransport
from p2pchat.simulation.wiretap import Wiretap

#: Seconds from one look at the network to the next.
LOOK_S = 1.0

#: Peers whose tables are looked at each time; of a large network each has its turn.
LOOKED_AT = 5

#: Peers come one after the other, so many seconds apart, or all within that many.
COME_S = 0.5
ALL_COME_S = 20.0

#: In a larger network each peer dials only so many of the roster by itself: everybody linked with everybody
#: would be more links than any machine holds. Who cannot be dialled by all is told whom to dial.
MESH = 50
DIALLED = 5

#: The same where most of what is listed cannot be dialled anyway.
DIALLED_SPARSE = 1

#: Seconds in which a message that is tried again arrives, behind others to the same peer.
LATE_S = 60.0

#: Seconds that everything gets to end at the end.
FAREWELL_S = 5.0


@attrs.define
class Recovery:
    """A fault that is over, and the network not yet one again."""

    kind: str
    ended_at_s: float


class Simulation:
    """One run. Whoever wants to see it creates it, lets it run once, and asks it for what came of it.

    :param trace_to: where everything that happens is written.
    """

    def __init__(self, plan: Plan, trace_to: IO[bytes] | None = None) -> None:
        self.plan = plan
        self.violations: list[Violation] = []
        self.violations_not_told = 0
        self.peaks = Peaks()
        self.wiretap = Wiretap()
        #: Seconds that it took to become one network again, by kind of fault.
        self.recovered_s: dict[str, list[float]] = {}
        self._recovering: list[Recovery] = []
        self._turn = 0
        self._reach = plan.topology.lay_out(plan.peers, self._random("topology"))
        self.internet = Internet(self._random("network"), self._reach)
        self.internet.tap = self._passed
        self.clock = self.internet.clock
        self.ledger = Ledger(lambda: self.clock.now_s, self.violated, self._is_kept)
        self.rendezvous = Rendezvous(self.internet)
        self.residents = self._populate(self._reach.told)
        self.ledger.is_in_order = not plan.liars
        self.ledger.honest.update(resident.own for resident in self.honest)
        self._trace = None if trace_to is None else self._write_to(trace_to)
        self._talk = Talk(plan, self.clock, self.ledger, self.honest, self._random("talk"))
        self.faults = Faults(
            plan,
            self.internet,
            self.rendezvous,
            self.residents,
            self._random("faults"),
            self.tell,
            self._fault_ended,
        )

    # What happens.

    def run(self, progress: Callable[[float], None] = lambda _now_s: None) -> None:
        """Let all of it happen.

        :param progress: told the time now and then.
        """
        observer = FailureObserver(lambda what: self.violated("no unhandled exception", what))
        globalLogPublisher.addObserver(observer)
        try:
            self._begin()
            while self.clock.now_s < self.plan.seconds:
                self._advance(LOOK_S)
                self._look()
                progress(self.clock.now_s)
            self._end()
        finally:
            globalLogPublisher.removeObserver(observer)

    def violated(self, rule: str, what: str) -> None:
        """Note that something happened which must never happen."""
        if len(self.violations) < MAX_TOLD:
            self.violations.append(Violation(round(self.clock.now_s, 3), rule, what))
        else:
            self.violations_not_told += 1
        self.tell(f"VIOLATION: {rule}: {what}")

    def tell(self, what: str) -> None:
        """Tell who watches."""
        if self._trace is not None:
            self._trace.happened(what)

    @property
    def honest(self) -> list[Resident]:
        """Those who keep to the rules."""
        return [resident for resident in self.residents if resident.is_honest]

    # Inside.

    def _random(self, purpose: str) -> Random:
        """Return chance for one purpose, so that a change in one leaves the others as they are."""
        return Random(f"{self.plan.seed} {purpose}")

    def _populate(self, told: Callable[[int], list[int]]) -> list[Resident]:
        plan, random = self.plan, self._random("peers")
        is_large = plan.peers > MESH
        max_dialled = (DIALLED_SPARSE if plan.topology.is_sparse else DIALLED) if is_large else None
        around = Surroundings(self.internet, self._random("nodes"), self._told, self.ledger.gone, max_dialled)
        cast = Cast.draw(plan.peers, plan.liars, random)
        names = [name_of(number) for number in range(plan.peers)]
        slow = set(random.sample(range(plan.peers), round(plan.slow * plan.peers)))
        keys = self._random("keys")
        keyless = set(keys.sample(range(plan.peers), round(plan.keyless * plan.peers)))
        keepers = self._random("keepers")
        keep = set(keepers.sample(range(plan.peers), round(plan.keepers * plan.peers)))
        residents = []
        for number, name in enumerate(names):
            ip = ip_of(number)
            self.internet.settle(ip, number, slow=number in slow)
            peers = tuple(Address(ip_of(other), PORT) for other in told(number)) if is_large else ()
            resident = Resident(number, name, ip, around, peers)
            if number in cast.parts:
                self._corrupt(resident, cast.parts[number], names, random)
            if number not in keyless and resident.part != "downgrader":
                resident.locker = Locker.new(resident.own, Random(f"{plan.seed} {number}").randbytes)
            if number in keep and resident.is_honest:
                resident.disk = Disk()
            residents.append(resident)
        return residents

    def _corrupt(self, resident: Resident, part: str, names: list[PeerId], random: Random) -> None:
        """Let a resident play the part of a liar."""
        resident.is_honest = False
        resident.part = part
        resident.make = lambda *given, **more: LIARS[part](*given, names=names, **more)
        if part in NAMESAKES:
            resident.own = random.choice([name for name in names if name != resident.own])
            self.ledger.impersonated.add(resident.own)
        self.ledger.can_be_forged |= part in FORGERS

    def _begin(self) -> None:
        plan, clock, random = self.plan, self.clock, self._random("arrival")
        self.rendezvous.start()
        within_s = min(COME_S * plan.peers, ALL_COME_S)
        for resident in self.residents:
            clock.call_at(random.uniform(0.0, within_s), resident.start)
        clock.call_at(plan.calm_at_s, self.faults.end)
        self._talk.start()
        self.faults.start()

    def _advance(self, seconds: float) -> None:
        """Let time pass, whatever fails in it."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            try:
                self.clock.advance_to(end_s)
            except Exception:
                self.violated("no unhandled exception", traceback.format_exc())

    def _passed(self, sender: MemoryTransport, data: bytes) -> None:
        self.wiretap.passed(data)
        if self._trace is not None:
            self._trace.passed(sender, data)

    def _told(self, person: Person, event: events.Event) -> None:
        self.ledger.told(person, event)
        if self._trace is not None:
            self._trace.told(person, event)

    def _write_to(self, file: IO[bytes]) -> Trace:
        names = {resident.ip: resident.own for resident in self.residents}
        return Trace(file, self.plan.command, self.clock.seconds, lambda ip: names.get(ip, "rendezvous"))

    def _fault_ended(self, kind: str) -> None:
        self._recovering.append(Recovery(kind, self.clock.now_s))

    # What must hold.

    def _look(self) -> None:
        self._look_at_tables()
        if self._recovering and len(invariants.parts(self.residents)) == 1:
            now_s = self.clock.now_s
            for recovery in self._recovering:
                self.recovered_s.setdefault(recovery.kind, []).append(now_s - recovery.ended_at_s)
            self._recovering.clear()

    def _look_at_tables(self) -> None:
        up = [resident for resident in self.honest if resident.node is not None]
        for number in range(min(LOOKED_AT, len(up))):
            resident = up[(self._turn + number) % len(up)]
            assert resident.node is not None, "chosen above"
            for wrong in self.peaks.take(resident.node.counters().items(), BOUNDS):
                self.violated("no table beyond its bound", f"{resident.own}: {wrong}")
        self._turn += LOOKED_AT
        server = self.rendezvous.server
        if server is not None:
            sizes = {
                "rendezvous_records": len(server.factory.registry),
                "rendezvous_connections": server.factory.connections,
            }
            for wrong in self.peaks.take(sizes.items(), SERVER_BOUNDS):
                self.violated("no table beyond its bound", wrong)

    def _end(self) -> None:
        self._check_recovery()
        self._wait_for_the_late()
        self._check_outcomes()
        for resident in self.residents:
            if resident.is_up:
                resident.leave()
        if self.rendezvous.is_up:
            self.rendezvous.stop()
        self._advance(FAREWELL_S)
        self._check_nothing_left()

    def _is_kept(self, said: Said) -> bool | None:
        """Whether the destination of a text has it on its disk; None where it keeps none."""
        disk = next((resident.disk for resident in self.honest if resident.own == said.to), None)
        return None if disk is None else disk.has_message(said.sender.own, said.text)

    def _is_in_reach(self, said: Said) -> bool:
        """Whether who delivers a text is in one network with its destination, and that can answer for itself.

        Peers without keys answer in its place, or keep the question to themselves, and nobody who knows its
        key believes that.
        """
        deliverers = {said.sender.own, *said.couriers}
        if not any(said.to in part and part & deliverers for part in invariants.parts(self.residents)):
            return False
        keyless = {resident.own for resident in self.residents if resident.locker is None}
        ends = [each.node for each in self.residents if each.own in (said.to, said.sender.own)]
        are_cut_off = [node is not None and keyless.issuperset(node.neighbours) for node in ends]
        return said.to in keyless or not any(are_cut_off)

    def _wait_for_the_late(self) -> None:
        """Give what is kept time to be tried once more, where nobody swallows it or forges names."""
        end_s = self.clock.now_s + LONGEST_WAIT_S + LATE_S
        while (
            self.clock.now_s < end_s and not self.plan.liars and any(map(self._may_come, self.ledger.open()))
        ):
            self._advance(LOOK_S)

    def _may_come(self, said: Said) -> bool:
        """Whether somebody is there who will deliver a text: its sender, or who keeps it for that one."""
        if not self._is_there(said.to):
            return False
        return self._is_there(said.sender.own) or (self._is_promised(said) and not said.shown_to)

    def _is_there(self, name: object) -> bool:
        return any(resident.is_up for resident in self.residents if resident.own == name)

    def _is_promised(self, said: Said) -> bool:
        """Whether a courier that is there keeps a text, for somebody who can tell it from a replay."""
        remembers = any(each.disk is not None for each in self.honest if each.own == said.to)
        return remembers and any(map(self._is_there, said.couriers))

    def _check_outcomes(self) -> None:
        """What is neither confirmed nor failed must be in the outbox of its sender, for a reason."""
        senders = {resident.own: resident for resident in self.honest}
        for said in self.ledger.give_up():
            disk = senders[said.sender.own].disk
            if disk is None or not disk.waits(said.msg_id):
                self.violated("every message has an outcome", f"{said.text[:20]!a} for {said.to} has none")
            else:
                said.outcome = KEPT
                if not self.plan.liars and self._may_come(said) and self._is_in_reach(said):
                    what = f"{said.text[:20]!a} of {said.sender.own} for {said.to}"
                    is_there = self._is_there(said.sender.own)
                    rule = (
                        "nothing waits for who is there" if is_there else "couriers hand over what they keep"
                    )
                    self.violated(rule, what)

    def _check_recovery(self) -> None:
        parts = invariants.parts(self.residents)
        possible = self._reach.parts(each.number for each in self.residents if each.is_up)
        # Who took one of two with one name for the other has no link with that, which may be its only one.
        if len(parts) > max(1, possible) and not self.ledger.impersonated:
            smallest = ", ".join(sorted(sorted(parts, key=len)[0])[:5])
            self.violated("one network in the end", f"{len(parts)} parts, one of them {smallest}")
        # Of two that use one name, one is in the place of the other.
        genuine = [resident for resident in self.residents if resident.own not in self.ledger.impersonated]
        for missing in invariants.missing_in_rosters(genuine):
            self.violated("all in each other's roster in the end", missing)

    def _check_nothing_left(self) -> None:
        left = self.clock.pending()
        if left:
            self.violated("no delayed call left after stop", f"{len(left)}, one of them {left[0]}")
        if self.internet.transports:
            self.violated("no connection left after stop", f"{len(self.internet.transports)}")
        # Failures that nobody took are told when what held them goes.
        gc.collect()
