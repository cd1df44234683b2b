"""What came of a simulation, for people and for programs. The same run says the same, byte for byte."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from p2pchat.simulation.invariants import BOUNDS, SERVER_BOUNDS
from p2pchat.simulation.ledger import CONFIRMED, LOST, UNKNOWN, Said
from p2pchat.simulation.simulation import Simulation

#: Digits behind the point of seconds: nobody needs more than a tenth of a millisecond.
DIGITS = 4


class Spread(Struct, frozen=True):
    """How some measured values are spread; all are None where there were none."""

    count: int
    median: float | None = None
    p99: float | None = None
    largest: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Measure some values."""
        if not values:
            return cls(0)
        ordered = sorted(values)

        def at(share: float) -> float:
            return round(ordered[math.ceil(share * len(ordered)) - 1], DIGITS)

        return cls(len(ordered), at(0.5), at(0.99), round(ordered[-1], DIGITS))


class Casts(Struct, frozen=True):
    """Texts to many.

    :param sent: how many were said.
    :param delivered: times that one was shown.
    :param transmissions: lines that it took.
    """

    sent: int
    delivered: int
    delivery_s: Spread
    transmissions: int
    transmissions_per_delivery: float | None


class Peak(Struct, frozen=True):
    """The largest that a table ever was, and the most that it may be."""

    largest: int
    bound: int


class Broken(Struct, frozen=True):
    """An invariant that did not hold."""

    at_s: float
    rule: str
    what: str


class Report(Struct, frozen=True):
    """What came of a simulation.

    :param command: what simulates the same again.
    :param sent: messages to one peer that honest peers sent.
    :param failed: those whose sender was told that they are not known to have arrived, and why.
    :param unknown: those whose sender was gone before it could be told.
    :param lost: those of which nobody was told anything.
    :param shown_twice: times that a text was shown to somebody who had seen it.
    :param forged: texts that were shown and that nobody honest said: marked as unsecured, or of a liar.
    :param lines: lines that arrived over all connections.
    :param discovery: WHO_HAS and WHO_HAS_HIT among them.
    :param one_network_s: seconds from the end of a fault until all peers were one network, by kind of fault.
    """

    command: str
    sent: int
    confirmed: int
    failed: int
    failed_by_reason: dict[str, int]
    unknown: int
    lost: int
    shown_twice: int
    forged: int
    delivery_s: Spread
    hops: Spread
    casts: Casts
    lines: int
    lines_by_type: dict[str, int]
    discovery: int
    one_network_s: dict[str, Spread]
    peaks: dict[str, Peak]
    violations: list[Broken]
    violations_not_told: int

    @property
    def is_good(self) -> bool:
        """No invariant broke."""
        return not self.violations

    def as_json(self) -> str:
        """Write it for programs: one object, on one line."""
        return msgspec.json.encode(self).decode()

    def as_text(self) -> str:
        """Write it for people."""
        return "\n".join(
            [*self._messages(), *self._traffic(), *self._recovery(), *self._tables(), *self.verdict()]
        )

    def _messages(self) -> Iterable[str]:
        yield self.command
        yield ""
        yield f"Messages to one peer: {self.sent} sent"
        yield f"  confirmed             {_share(self.confirmed, self.sent)}"
        yield f"  failed, with a reason {_share(self.failed, self.sent)}"
        for reason, count in self.failed_by_reason.items():
            yield f"    {reason:<20}{count:>8}"
        yield f"  sender gone before it was told {self.unknown}"
        yield f"  lost without a word   {self.lost}"
        yield f"  shown twice           {self.shown_twice}"
        yield f"  delivery              {_seconds(self.delivery_s)}"
        yield f"  hops                  median {self.hops.median}, 99 % within {self.hops.p99}"
        casts = self.casts
        yield f"Messages to many: {casts.sent} sent, shown {casts.delivered} times"
        yield f"  delivery              {_seconds(casts.delivery_s)}"
        per = casts.transmissions_per_delivery
        yield f"  lines                 {casts.transmissions}, {per} for each time that one was shown"

    def _traffic(self) -> Iterable[str]:
        yield f"Lines over all connections: {self.lines}, {self.discovery} of them to find a way"
        yield "  " + ", ".join(f"{kind} {count}" for kind, count in self.lines_by_type.items())
        if self.forged:
            yield f"Shown in the name of somebody who did not say it: {self.forged}, unsecured or of a liar"

    def _recovery(self) -> Iterable[str]:
        if self.one_network_s:
            yield "One network again after"
        for kind, spread in self.one_network_s.items():
            yield f"  {kind:<33}{spread.count:>4} times, {_seconds(spread)}"

    def _tables(self) -> Iterable[str]:
        yield "Largest that a table of one peer was, and its bound"
        for name, peak in self.peaks.items():
            yield f"  {name:<28}{peak.largest:>8} of {peak.bound}"

    def verdict(self) -> Iterable[str]:
        """Yield whether all invariants held, and if not, what replays it."""
        yield ""
        if self.is_good:
            yield "All invariants held."
            return
        yield f"BROKEN: {len(self.violations) + self.violations_not_told} times an invariant did not hold:"
        for broken in self.violations:
            yield f"  at {broken.at_s:.3f} s: {broken.rule}: {broken.what}"
        if self.violations_not_told:
            yield f"  and {self.violations_not_told} more"
        yield "This replays it:"
        yield f"  {self.command}"


def report_on(simulation: Simulation) -> Report:
    """Sum up a simulation that has run."""
    ledger, tap = simulation.ledger, simulation.wiretap
    to_one = [said for said in ledger if not said.is_cast]
    outcomes = Counter(said.outcome for said in to_one)
    confirmed, unknown, lost = (outcomes.pop(outcome, 0) for outcome in (CONFIRMED, UNKNOWN, LOST))
    broken = [Broken(found.at_s, found.rule, found.what) for found in simulation.violations]
    bounds = {**BOUNDS, **SERVER_BOUNDS}
    return Report(
        command=simulation.plan.command,
        sent=len(to_one),
        confirmed=confirmed,
        failed=outcomes.total(),
        failed_by_reason=dict(sorted(outcomes.items())),
        unknown=unknown,
        lost=lost,
        shown_twice=ledger.shown_twice,
        forged=ledger.forged,
        delivery_s=Spread.of(ledger.delivery_s),
        hops=Spread.of(ledger.hops),
        casts=_casts([said for said in ledger if said.is_cast], tap.kinds["PUB"], ledger.cast_delivery_s),
        lines=tap.lines,
        lines_by_type=dict(sorted(tap.kinds.items())),
        discovery=tap.kinds["WHO_HAS"] + tap.kinds["WHO_HAS_HIT"],
        one_network_s={kind: Spread.of(took) for kind, took in sorted(simulation.recovered_s.items())},
        peaks={name: Peak(size, bounds[name]) for name, size in sorted(simulation.peaks.found.items())},
        violations=broken,
        violations_not_told=simulation.violations_not_told,
    )


def _casts(casts: list[Said], transmissions: int, delivery_s: list[float]) -> Casts:
    delivered = sum(len(said.shown_to) for said in casts)
    per = round(transmissions / delivered, 2) if delivered else None
    return Casts(len(casts), delivered, Spread.of(delivery_s), transmissions, per)


def _share(count: int, of: int) -> str:
    return f"{count} ({100 * count / of:.2f} %)" if of else str(count)


def _seconds(spread: Spread) -> str:
    if spread.median is None or spread.p99 is None:
        return "-"
    return f"median {spread.median:.3f} s, 99 % within {spread.p99:.3f} s"
