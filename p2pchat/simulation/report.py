"""What came of a simulation, for people and for programs. The same run says the same, byte for byte."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from p2pchat.language import tr
from p2pchat.simulation.invariants import BOUNDS, SERVER_BOUNDS
from p2pchat.simulation.ledger import CONFIRMED, KEPT, LOST, UNKNOWN, Said
from p2pchat.simulation.simulation import Simulation

#: Digits behind the point of seconds: nobody needs more than a tenth of a millisecond.
DIGITS = 4

#: Kinds of faults, and a reason that is no code, marked for translation; programs get them in English.
_WORDS = (
    tr("all faults"),
    tr("clock put"),
    tr("link cut in the middle of a line"),
    tr("link reset"),
    tr("link silent"),
    tr("partition"),
    tr("peer away"),
    tr("rendezvous away"),
    tr("not confirmed"),
)


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
    :param kept: those that wait for their destination when it ends.
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
    kept: int
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
        yield tr("Messages to one peer: {n} sent").format(n=self.sent)
        yield tr("  confirmed             {n}").format(n=_share(self.confirmed, self.sent))
        yield tr("  still kept            {n}").format(n=_share(self.kept, self.sent))
        yield tr("  failed, with a reason {n}").format(n=_share(self.failed, self.sent))
        for reason, count in self.failed_by_reason.items():
            yield f"    {tr(reason):<20}{count:>8}"
        yield tr("  sender gone before it was told {n}").format(n=self.unknown)
        yield tr("  lost without a word   {n}").format(n=self.lost)
        yield tr("  shown twice           {n}").format(n=self.shown_twice)
        yield tr("  delivery              {took}").format(took=_seconds(self.delivery_s))
        yield tr("  hops                  median {median}, 99 % within {p99}").format(
            median=self.hops.median, p99=self.hops.p99
        )
        casts = self.casts
        yield tr("Messages to many: {sent} sent, shown {shown} times").format(
            sent=casts.sent, shown=casts.delivered
        )
        yield tr("  delivery              {took}").format(took=_seconds(casts.delivery_s))
        yield tr("  lines                 {lines}, {per} for each time that one was shown").format(
            lines=casts.transmissions, per=casts.transmissions_per_delivery
        )

    def _traffic(self) -> Iterable[str]:
        yield tr("Lines over all connections: {lines}, {searching} of them to find a way").format(
            lines=self.lines, searching=self.discovery
        )
        yield "  " + ", ".join(f"{kind} {count}" for kind, count in self.lines_by_type.items())
        if self.forged:
            yield tr("Shown in the name of somebody who did not say it: {n}, unsecured or of a liar").format(
                n=self.forged
            )

    def _recovery(self) -> Iterable[str]:
        if self.one_network_s:
            yield tr("One network again after")
        for kind, spread in self.one_network_s.items():
            yield tr("  {kind:<33}{n:>4} times, {took}").format(
                kind=tr(kind), n=spread.count, took=_seconds(spread)
            )

    def _tables(self) -> Iterable[str]:
        yield tr("Largest that a table of one peer was, and its bound")
        for name, peak in self.peaks.items():
            yield tr("  {table:<28}{largest:>8} of {bound}").format(
                table=name, largest=peak.largest, bound=peak.bound
            )

    def verdict(self) -> Iterable[str]:
        """Yield whether all invariants held, and if not, what replays it."""
        yield ""
        if self.is_good:
            yield tr("All invariants held.")
            return
        yield tr("BROKEN: {n} times an invariant did not hold:").format(
            n=len(self.violations) + self.violations_not_told
        )
        for broken in self.violations:
            yield tr("  at {at_s:.3f} s: {rule}: {what}").format(
                at_s=broken.at_s, rule=broken.rule, what=broken.what
            )
        if self.violations_not_told:
            yield tr("  and {n} more").format(n=self.violations_not_told)
        yield tr("This replays it:")
        yield f"  {self.command}"


def report_on(simulation: Simulation) -> Report:
    """Sum up a simulation that has run."""
    ledger, tap = simulation.ledger, simulation.wiretap
    to_one = [said for said in ledger if not said.is_cast]
    outcomes = Counter(said.outcome for said in to_one)
    names = (CONFIRMED, KEPT, UNKNOWN, LOST)
    confirmed, kept, unknown, lost = (outcomes.pop(outcome, 0) for outcome in names)
    broken = [Broken(found.at_s, found.rule, found.what) for found in simulation.violations]
    bounds = {**BOUNDS, **SERVER_BOUNDS}
    return Report(
        command=simulation.plan.command,
        sent=len(to_one),
        confirmed=confirmed,
        kept=kept,
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
    return tr("median {median:.3f} s, 99 % within {p99:.3f} s").format(median=spread.median, p99=spread.p99)
