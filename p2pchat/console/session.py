"""Carries out commands on a node and shows what comes of them. Written once for every surface."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.console import commands, health, marks, past, rendering, verification
from p2pchat.console.amounts import duration, milliseconds
from p2pchat.console.visible import visible, visible_name
from p2pchat.language import ntr, tr
from p2pchat.links.dialler import DialFailed
from p2pchat.links.link import Link
from p2pchat.links.questions import LinkClosed
from p2pchat.node import READY_S, Node, NotLinked
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import Destination, PeerId, ToAll, ToNamespace, ToPeer
from p2pchat.store.entries import Entry
from p2pchat.store.store import Unreadable
from p2pchat.trust.trust import NothingToTrust

#: Messages of the user's whose outcome may be open before no more input is read.
MAX_OPEN = 256

#: Messages that a search shows: the last of those that it finds.
MAX_FOUND = 50

#: Rows of a table that are shown; a large network knows thousands of routes.
MAX_ROWS = 200

#: What the user hears of a defect of ours.
_DEFECT = tr("Something failed inside p2pchat; the log says what. Nothing else was changed.")

#: Commands that make no sense about oneself.
_ABOUT_A_PEER = (
    commands.Connect,
    commands.Disconnect,
    commands.Who,
    commands.Verify,
    commands.Trust,
    commands.Block,
    commands.Unblock,
    commands.Ping,
    commands.Metrics,
)

_T = TypeVar("_T")


class Session:
    """One user at one surface. The surface creates, owns and ends it.

    :param show: takes one line for the user.
    :param quit: ends the program.
    :param clock_time: the time of day as the user reads it.
    :param local_time: another one, in ms since 1970, with its day.
    :param set_log_level: takes one of `commands.LOG_LEVELS`.
    :param narrates: shows what happens too; else only what comes of what is typed.
    """

    _log = Logger()

    def __init__(
        self,
        node: Node,
        *,
        show: Callable[[str], None],
        quit: Callable[[], None],
        clock_time: Callable[[], str],
        local_time: Callable[[int], str],
        set_log_level: Callable[[str], None],
        narrates: bool = True,
    ) -> None:
        self._node = node
        self._show = show
        self._quit = quit
        self._clock_time = clock_time
        self._local_time = local_time
        self._set_log_level = set_log_level
        self._narrates = narrates
        #: Where a line without a slash goes.
        self.last: Destination | None = None
        self._count = itertools.count(1)
        #: msg_id -> the number that the user knows it by; only those whose outcome is open.
        self._numbers: dict[str, int] = {}
        #: Those of them that wait for their destination, for nobody knows how long.
        self._waiting: set[str] = set()
        #: Questions whose answer was not shown yet.
        self._open_questions = 0
        self._is_over = False
        self._is_waiting_explained = False
        #: Called when something that was typed has its outcome, in the middle of what brought it.
        self.settled: Callable[[], None] = lambda: None
        #: To be called when the surface is gone.
        self.close = node.listen(self._told) if narrates else lambda: None

    @property
    def is_idle(self) -> bool:
        """Nothing that was typed waits for its outcome."""
        return self._node.is_idle and not self._open_questions

    @property
    def is_busy(self) -> bool:
        """So much waits for its outcome that no more should be read."""
        return len(self._numbers) - len(self._waiting) + self._open_questions >= MAX_OPEN

    def take(self, line: str) -> None:
        """Carry out one line of input; after `/quit` nothing more, though the end takes a moment."""
        if self._is_over:
            return
        try:
            command = commands.parse(line, self._node.own.namespace, self.last)
            if isinstance(command, _ABOUT_A_PEER) and command.peer_id == self._node.own:
                problem = tr("{peer} is you yourself. Name another peer, or see /status.")
                raise commands.Mistyped(problem.format(peer=self._node.own))
            if command is not None:
                _CARRY_OUT[type(command)](self, command)
        except (commands.Mistyped, ProtocolError, NotLinked, NothingToTrust) as problem:
            text = problem.detail if isinstance(problem, ProtocolError) else str(problem)
            self._show(visible(text))
        except Exception:
            self._log.failure("a command failed")
            self._show(_DEFECT)

    # Commands.

    def _say(self, command: commands.Say) -> None:
        self.last = command.to
        if isinstance(command.to, ToPeer):
            self._node.send(command.to.peer_id, command.text)
            return
        number = next(self._count)
        done = self._node.publish(command.to, command.text)
        if not done.called:
            told = tr("To {destination}: waits for the first links, {seconds:.0f} s at most")
            self._show(told.format(destination=visible_name(str(command.to)), seconds=READY_S))
        self._ask(done, lambda took: self._cast_done(number, command.to, took) if self._narrates else None)

    def _cast_done(self, number: int, to: Destination, took: int) -> str:
        title = tr("#{number} to {destination}").format(number=number, destination=visible_name(str(to)))
        if not took:
            return tr("{title}: not sent: no_route: no peer is linked that it concerns").format(title=title)
        said = ntr("{title}: sent to {n} neighbour", "{title}: sent to {n} neighbours", took)
        return said.format(title=title, n=took)

    def _peers(self, command: commands.Peers) -> None:
        shown = [peer_id for peer_id in self._node.known() if _is_in(peer_id, command.scope)]
        if not shown:
            scope = visible_name(str(command.scope))
            self._show(tr("Nobody else is known in {scope}.").format(scope=scope))
            return
        self._show_table(rendering.PEER_HEADING, sorted(shown), self._peer_row)

    def _connect(self, command: commands.Connect) -> None:
        name = visible_name(command.peer_id)
        if command.peer_id in self._node.neighbours:
            self._show(tr("{peer} is linked already.").format(peer=name))
            return
        self._show(tr("Dialling {peer}...").format(peer=name))
        self._ask(self._node.connect(command.peer_id), lambda link: _connected(name, link))

    def _disconnect(self, command: commands.Disconnect) -> None:
        name = visible_name(command.peer_id)
        stood = self._node.disconnect(command.peer_id)
        done = tr("BYE to {peer}.") if stood else tr("There is no link with {peer}.")
        then = tr("No link with it is taken before /connect {peer}.")
        self._show(f"{done} {then}".format(peer=name))

    def _routes(self, command: commands.Routes) -> None:
        routes, now_s = self._node.router.routes, self._node.now_s
        links = [link for near in self._node.neighbours.values() for link in near.links]
        if not links:
            self._show(tr("No peer is linked, so there are no routes."))
            return
        self._show_table(rendering.LINK_HEADING, links, lambda link: rendering.link_row(link, now_s))
        relayed = [
            way
            for dst in sorted(self._node.relayed())
            for way in routes.ways(dst, now_s)
            if not way.is_direct
        ]
        if relayed:
            self._show_table(rendering.ROUTE_HEADING, relayed, lambda way: rendering.route_row(way, now_s))
        else:
            self._show(tr("No routes over others are known: each neighbour is its own next hop."))

    def _who(self, command: commands.Who) -> None:
        peer_id = command.peer_id
        listed = self._node.roster.get(peer_id)
        self._show(f"{visible_name(peer_id)}: {self._state(peer_id)}")
        self._show(tr("  key: {key}").format(key=verification.key_of(self._node, peer_id)))
        there = tr("registered at {address}") if listed else tr("not registered there")
        self._show(tr("  rendezvous: {state}").format(state=there.format(address=listed)))
        neighbour = self._node.neighbours.get(peer_id)
        for link in neighbour.links if neighbour else []:
            way = tr("dialled by us") if link.dialled else tr("dialled by it")
            offers = ", ".join(sorted(map(visible_name, link.features))) or tr("nothing")
            rtt, secured = milliseconds(link.rtt_s), rendering.secured(link.is_encrypted)
            line = tr("  link: {address}, {way}, {secured}, rtt {rtt}, offers {offers}")
            self._show(line.format(address=link.address, way=way, secured=secured, rtt=rtt, offers=offers))
        self._show_ways(peer_id)

    def _show_ways(self, peer_id: PeerId) -> None:
        """Say how a peer would be reached now, and why that way."""
        routes, now_s = self._node.router.routes, self._node.now_s
        ways = routes.ways(peer_id, now_s)
        if not ways:
            dials = any(not dialler.held for dialler in self._node.switchboard.diallers_of(peer_id))
            asks = any("who_has" in near.features for near in self._node.neighbours.values())
            self._show(tr("  way: {way}").format(way=rendering.no_way(dials, asks)))
            return
        best, *others = ways
        if peer_id not in self._node.neighbours:
            diallers = self._node.switchboard.diallers_of(peer_id)
            self._show(tr("  link: {state}").format(state=rendering.not_linked(diallers, now_s)))
        way = tr("  way: {way}") if others else tr("  way: {way}; no other is known")
        self._show(way.format(way=rendering.way(best, now_s)))
        for other in others:
            why = routes.why_not(other, best, now_s)
            line = tr("  other way: {way}; not taken: {why}")
            self._show(line.format(way=rendering.way(other, now_s), why=why))

    def _about_keys(self, command: commands.AboutKeys) -> None:
        for line in verification.carry_out(command, self._node):
            self._show(line)

    def _outbox(self, command: commands.Outbox) -> None:
        kept, now_s = self._node.kept(), self._node.now_s
        # What has an outcome by now was not told to those who do not follow what happens.
        still = {delivery.msg_id for delivery in kept}
        self._numbers = {msg_id: number for msg_id, number in self._numbers.items() if msg_id in still}
        if not kept:
            self._show(tr("No message waits: all have been confirmed, or have failed."))
            return
        self._show_table(
            past.OUTBOX_HEADING,
            kept,
            lambda delivery: past.outbox_row(self._number(delivery.msg_id), delivery, now_s),
        )

    def _cancel(self, command: commands.Cancel) -> None:
        kept = self._node.kept()
        if command.number is not None:
            kept = [each for each in kept if self._numbers.get(each.msg_id) == command.number]
        elif command.peer_id is not None:
            kept = [each for each in kept if each.dst == command.peer_id]
        if not kept:
            self._show(tr("There is no such message that waits. /outbox shows those that do."))
        for delivery in kept:
            title = self._title(delivery.msg_id, delivery.dst)
            self._node.cancel(delivery.msg_id)
            if not self._narrates:
                self._show(f"{title}: {marks.failed(delivery.code)}: {delivery.why}")

    def _history(self, command: commands.History) -> None:
        conversation = None if command.conversation is None else str(command.conversation)
        self._ask(
            self._node.store.latest(conversation, command.count),
            lambda entries: self._show_entries(entries, tr("Nothing was said, or nothing is kept.")),
        )

    def _search(self, command: commands.Search) -> None:
        nothing = tr("Nothing that is kept has all of these words.")
        found = self._node.store.search(command.words, MAX_FOUND)
        self._ask(found, lambda entries: self._show_entries(entries, nothing))

    def _show_entries(self, entries: list[Entry], nothing: str) -> str | None:
        for entry in entries:
            self._show(past.entry(entry, self._local_time))
        return None if entries else nothing

    def _ping(self, command: commands.Ping) -> None:
        name = visible_name(command.peer_id)
        pong = self._node.ping(command.peer_id)
        self._ask(pong, lambda rtt_s: _ponged(name, rtt_s))

    def _watch(self, command: commands.Watch) -> None:
        self._node.watching = not self._node.watching
        watching = tr("Watching what arrives; /watch again ends it.")
        self._show(watching if self._node.watching else tr("Not watching."))

    def _status(self, command: commands.Status) -> None:
        node = self._node
        own, since = visible_name(node.own), duration(node.uptime_s)
        self._show(tr("You are {peer}, for {duration}.").format(peer=own, duration=since))
        ports = {"port": node.switchboard.port, "advertised": node.advertised_port}
        self._show(tr("Listening on port {port}, known to others as {advertised}.").format(**ports))
        self._show(self._rendezvous_status())
        relayed = len(node.relayed() - node.neighbours.keys())
        self._show(rendering.linked(len(node.neighbours), len(node.known()), relayed))
        for line in rendering.keys(node.gate.trust, list(node.neighbours.values())):
            self._show(line)
        under_way, waiting = len(node.router.pending), node.router.pending.resting
        self._show(tr("Messages that wait for their outcome: {n}.").format(n=under_way + waiting))
        if waiting:
            self._show(tr("Of these, {n} wait for their destination to be seen: /outbox").format(n=waiting))
        if node.router.deposits:
            self._show(tr("Of {n} a courier keeps a copy.").format(n=len(node.router.deposits)))
        if node.router.courier is not None:
            self._show(rendering.courier(node.router.courier.sizes()))
        for line in health.verdict(node):
            self._show(line)
        if not self._narrates:  # else all that came was shown here
            self._ask(node.store.unread(), past.unread)

    def _metrics(self, command: commands.Metrics) -> None:
        if command.peer_id is None:
            for name, count in self._node.counters().items():
                self._show(f"{name:<28} {count}")
            return
        name = visible_name(command.peer_id)
        self._ask(self._node.ask_metrics(command.peer_id), lambda metrics: rendering.seen_by(name, metrics))

    def _log_level(self, command: commands.Log) -> None:
        self._set_log_level(command.level)
        self._show(tr("The log gets {level} and above.").format(level=command.level))

    def _help(self, command: commands.Help) -> None:
        for line in command.text.split("\n"):
            self._show(line)

    def _leave(self, command: commands.Quit) -> None:
        self._is_over = True
        self._quit()

    # Events.

    def _told(self, event: events.Event) -> None:
        match event:
            case events.MessageArrived():
                self._show(rendering.arrived(event, self._clock_time()))
                self._node.read()
            case events.MessageTaken(msg_id=msg_id):
                self._number(msg_id)  # in the order in which they are said
            case events.MessageSought(msg_id=msg_id, dst=dst):
                title = self._title(msg_id, dst)
                self._show(tr("{title}: not linked yet, looking for a way").format(title=title))
            case events.MessageWaits(msg_id=msg_id, dst=dst, code=code, why=why):
                self._show(f"{self._title(msg_id, dst)}: {past.waits(code, why)}")
                self._show_what_waiting_means()
                self._waiting.add(msg_id)
                self.settled()
            case events.MessageHeld(msg_id=msg_id, dst=dst, couriers=(courier,)):
                told = tr("{title}: {courier} keeps a copy, and hands it over also while you are away")
                self._show(told.format(title=self._title(msg_id, dst), courier=visible_name(courier)))
            case events.MessageHeld():
                pass  # and others do
            case events.MessageSent(msg_id=msg_id, dst=dst, via=via, protection=protection):
                how = marks.through(via, dst) + marks.lacks(protection)
                self._show(tr("{title}: sent{how}").format(title=self._title(msg_id, dst), how=how))
            case events.MessageConfirmed(msg_id=msg_id, dst=dst, via=via, is_proved=is_proved):
                took_s, tries = event.took_s, event.tries
                outcome = marks.confirmed(via=via, dst=dst, took_s=took_s, tries=tries, is_proved=is_proved)
                self._end(msg_id, dst, outcome)
            case events.MessageFailed(msg_id=msg_id, dst=dst, code=code, why=why):
                self._end(msg_id, dst, f"{marks.failed(code)}: {visible(why)}")
            case _:
                text = rendering.notice(event)
                if text is not None:
                    self._show(f"* {text}" if not isinstance(event, events.LineTraced) else text)

    def _show_what_waiting_means(self) -> None:
        if not self._is_waiting_explained:
            self._is_waiting_explained = True
            self._show(
                tr(
                    "It is kept for 7 days, and goes out when its destination is seen. /outbox shows what "
                    "waits."
                )
            )

    def _number(self, msg_id: str) -> int:
        """Return what the user knows a message by that has no outcome yet."""
        if msg_id not in self._numbers:
            self._numbers[msg_id] = next(self._count)
        return self._numbers[msg_id]

    def _title(self, msg_id: str, dst: PeerId) -> str:
        destination = f"@{visible_name(dst)}"
        return tr("#{number} to {destination}").format(number=self._number(msg_id), destination=destination)

    def _end(self, msg_id: str, dst: PeerId, outcome: str) -> None:
        self._show(f"{self._title(msg_id, dst)}: {outcome}")
        del self._numbers[msg_id]
        self._waiting.discard(msg_id)
        self.settled()

    # Inside.

    def _ask(self, answer: Deferred[_T], say: Callable[[_T], str | None]) -> None:
        """Show what comes of a question, whenever it comes, if anything is to be shown."""

        def show(value: _T) -> None:
            line = say(value)
            if line is not None:
                self._show(line)

        self._open_questions += 1
        shown = answer.addCallback(show)
        shown.addErrback(self._unanswered).addBoth(self._answered)

    def _unanswered(self, failure: Failure) -> None:
        problem = failure.trap(ProtocolError, NotLinked, DialFailed, LinkClosed, DeferredTimeout, Unreadable)
        if problem is DeferredTimeout:
            self._show(tr("No answer within 5 s."))
        elif problem is ProtocolError:
            self._show(visible(cast(ProtocolError, failure.value).detail))
        else:
            self._show(visible(tr("That did not work: {why}").format(why=failure.value)))

    def _answered(self, result: object) -> None:
        self._open_questions -= 1
        self.settled()
        if isinstance(result, Failure):
            self._log.failure("a command failed", result)
            self._show(_DEFECT)

    def _show_table(
        self, heading: tuple[str, ...], things: list[_T], row: Callable[[_T], tuple[str, ...]]
    ) -> None:
        for line in rendering.table([heading, *map(row, things[:MAX_ROWS])]):
            self._show(line)
        if len(things) > MAX_ROWS:
            self._show(tr("... and {n} more.").format(n=len(things) - MAX_ROWS))

    def _peer_row(self, peer_id: PeerId) -> tuple[str, ...]:
        neighbour = self._node.neighbours.get(peer_id)
        listed = self._node.roster.get(peer_id)
        route = self._node.router.routes.best(peer_id, self._node.now_s)
        return rendering.peer_row(peer_id, listed, neighbour, route, self._state(peer_id), self._node.now_s)

    def _state(self, peer_id: PeerId) -> str:
        neighbour = self._node.neighbours.get(peer_id)
        if neighbour is not None:
            return rendering.how(neighbour, self._node.gate.is_verified(peer_id))
        route = self._node.router.routes.best(peer_id, self._node.now_s)
        if route is not None:
            return tr("reached through {relay}").format(relay=visible_name(route.hop))
        return rendering.not_linked(self._node.switchboard.diallers_of(peer_id), self._node.now_s)

    def _rendezvous_status(self) -> str:
        registration = self._node.registration
        if registration is None:
            return tr("Rendezvous: none.")
        address, why = registration.address, visible(registration.trouble or "")
        if why:
            return tr("Rendezvous: {address}, not working: {why}.").format(address=address, why=why)
        hosted = tr(", hosted by this peer") if self._node.rendezvous else ""
        state = tr("registered") if registration.registered else tr("not registered yet")
        return tr("Rendezvous: {address}, {state}{hosted}.").format(
            address=address, state=state, hosted=hosted
        )


#: What carries out each command. Not a `singledispatchmethod`: that of Python 3.13.0 never forgets a session.
_CARRY_OUT: dict[type, Callable[[Session, Any], None]] = {
    commands.Say: Session._say,
    commands.Peers: Session._peers,
    commands.Connect: Session._connect,
    commands.Disconnect: Session._disconnect,
    commands.Routes: Session._routes,
    commands.Who: Session._who,
    **dict.fromkeys(get_args(commands.AboutKeys), Session._about_keys),
    commands.Outbox: Session._outbox,
    commands.Cancel: Session._cancel,
    commands.History: Session._history,
    commands.Search: Session._search,
    commands.Ping: Session._ping,
    commands.Watch: Session._watch,
    commands.Status: Session._status,
    commands.Metrics: Session._metrics,
    commands.Log: Session._log_level,
    commands.Help: Session._help,
    commands.Quit: Session._leave,
}


def _is_in(peer_id: PeerId, scope: ToNamespace | ToAll) -> bool:
    return isinstance(scope, ToAll) or peer_id.namespace == scope.namespace


def _connected(name: str, link: Link) -> str:
    return tr("{peer} is linked, at {address}.").format(peer=name, address=link.address)


def _ponged(name: str, rtt_s: float) -> str:
    return tr("PONG from {peer} after {rtt}").format(peer=name, rtt=milliseconds(rtt_s))
