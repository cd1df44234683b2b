"""What must hold all the way, whatever goes wrong around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from p2pchat import casts
from p2pchat.links import listener, outgoing, switchboard
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous import listing, registry, server
from p2pchat.routing import courier, delivery, discovery, order, past, recent, relay, routes, seen
from p2pchat.simulation.residents import Resident
from p2pchat.store import sqlite
from p2pchat.trust import pins, replays, trust

#: Violations that are told one by one; the rest are counted.
MAX_TOLD = 100

#: Bytes that a socket gives at once, each of which may be an empty line.
_READ = 64 * 1024

_GENERATION = 2 * recent.MAX_KEYS

#: The most that each table of a node may hold, by its name among `Node.counters`. What is not here counts
#: events.
BOUNDS = {
    "pending": delivery.MAX_PENDING,
    "messages_kept": delivery.MAX_PENDING,
    "messages_with_couriers": delivery.MAX_PENDING,
    "courier_messages": courier.IN_ALL.messages,
    "courier_bytes": courier.IN_ALL.size,
    "courier_recipients": courier.IN_ALL.messages,
    "courier_receipts": courier.IN_ALL.messages,
    "messages_early": order.MAX_WAITING,
    "casts_past_waiting": past.ASKED * past.MOST,
    "store_waiting": sqlite.MAX_WAITING,
    "routes": routes.MAX_ROUTES + switchboard.MAX_LINKS,
    "questions_open": discovery.MAX_QUESTIONS,
    "questions_remembered": 2 * _GENERATION,
    "messages_parked": relay.MAX_PARKED,
    "messages_watched": relay.MAX_WATCHED,
    "messages_remembered": 3 * _GENERATION,
    "casts_remembered": _GENERATION,
    "messages_seen": 2 * seen.MAX_KEYS + _GENERATION,
    "neighbours": switchboard.MAX_LINKS,
    "connections": 2 * switchboard.MAX_LINKS + listener.MAX_STRANGERS,
    "connections_without_hello": listener.MAX_STRANGERS,
    "lines_waiting": switchboard.MAX_LINKS * (outgoing.MAX_LINES + outgoing.URGENT_LINES),
    "lines_not_taken_yet": switchboard.MAX_LINKS * _READ,
    "addresses_dialled": switchboard.MAX_DIALLERS,
    "casts_waiting": casts.MAX_WAITING,
    "keys_known": pins.MAX_PINS,
    "keys_refused_remembered": trust.MAX_REFUSED,
    "peers_blocked": pins.MAX_BLOCKED,
    "signed_messages_remembered": 2 * replays.MAX_MESSAGES,
    "roster": listing.MAX_PEERS,
    "unexpected_errors": 0,
}

#: The same for the rendezvous.
SERVER_BOUNDS = {
    "rendezvous_records": registry.Limits().records,
    "rendezvous_connections": server.MAX_CONNECTIONS,
}


@attrs.frozen
class Violation:
    """Something that must never happen, and did.

    :param rule: which invariant.
    """

    at_s: float
    rule: str
    what: str


@attrs.define
class Peaks:
    """The largest that each table ever was. The simulation creates and owns it."""

    found: dict[str, int] = attrs.Factory(dict)

    def take(self, sizes: Iterable[tuple[str, int]], bounds: dict[str, int]) -> list[str]:
        """Look at the tables of somebody; return what is wrong with them."""
        wrong = []
        for name, size in sizes:
            if name not in bounds:
                continue
            if size > self.found.get(name, 0):
                self.found[name] = size
            if size > bounds[name]:
                wrong.append(f"{name} is {size}, at most {bounds[name]}")
        return wrong


def parts(residents: Iterable[Resident]) -> list[set[PeerId]]:
    """Return the networks that the peers form: one, if all is well. A link counts if both ends know it.

    Those who use one name are one here, as for everybody who is linked with one of them.
    """
    linked: dict[PeerId, set[PeerId]] = {}
    for resident in residents:
        if resident.node is not None:
            linked.setdefault(resident.own, set()).update(resident.node.neighbours)
    unseen, found = dict.fromkeys(linked), []
    while unseen:
        first, _ = unseen.popitem()
        part, border = {first}, [first]
        while border:
            here = border.pop()
            for other in sorted(linked[here]):
                if other in unseen and here in linked[other]:
                    del unseen[other]
                    part.add(other)
                    border.append(other)
        found.append(part)
    return found


def missing_in_rosters(residents: Iterable[Resident]) -> list[str]:
    """Say who of those that are up does not know whom of them."""
    up = [resident for resident in residents if resident.node is not None]
    names = {resident.own for resident in up}
    missing = []
    for resident in up:
        assert resident.node is not None, "chosen above"
        unknown = names - resident.node.roster.keys() - {resident.own}
        if unknown:
            missing.append(f"{resident.own} does not know {', '.join(sorted(unknown)[:3])}")
    return missing


@implementer(ILogObserver)
@attrs.define(eq=False)
class FailureObserver:
    """Looks for unexpected exceptions in the log. The simulation creates it, and takes it out at the end.

    :param found: told each of them.
    """

    _found: Callable[[str], None]

    def __call__(self, event: LogEvent) -> None:
        """Take an event."""
        failure = event.get("log_failure")
        if failure is not None:
            self._found(f"{formatEvent(event)}\n{failure.getTraceback(detail='brief')}")
        elif event["log_level"] in (LogLevel.error, LogLevel.critical):
            self._found(formatEvent(event))
