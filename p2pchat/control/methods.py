"""What programs can ask of a node: the methods of its control socket (docs/control.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.python.failure import Failure

from p2pchat import __version__, events
from p2pchat.console import commands, health, past
from p2pchat.control.journal import Journal, NoSuchCursor
from p2pchat.control.rpc import Code, RpcError
from p2pchat.links.dialler import DialFailed
from p2pchat.links.questions import LinkClosed
from p2pchat.node import Node, NotLinked
from p2pchat.protocol.errors import ProtocolError
from p2pchat.protocol.names import BadName, Destination, PeerId, ToPeer, parse_destination, parse_peer
from p2pchat.protocol.protection import Protection
from p2pchat.routing.delivery import Delivery, State
from p2pchat.store.store import Unreadable
from p2pchat.trust.cards import fingerprint

#: Messages in one answer: of the longest, some 3 MB.
MAX_MESSAGES = 100

#: The version of this interface. What is added does not change it; what is taken away does.
VERSION = 1


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """What is said, and to whom: ``@peer``, ``#namespace`` or ``*``."""

    to: str
    text: str


class Destined(msgspec.Struct, forbid_unknown_fields=True):
    """A destination."""

    to: str


class Seen(msgspec.Struct, forbid_unknown_fields=True):
    """How far the user has seen what happened."""

    cursor: str


class Read(msgspec.Struct, forbid_unknown_fields=True):
    """What the user has seen: with whom, or where."""

    conversation: str


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """A message of ours."""

    msg_id: str


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """Which of what was said: with whom or where, None for all; and how much of it."""

    conversation: str | None = None
    n: int = commands.DEFAULT_COUNT


class Sought(msgspec.Struct, forbid_unknown_fields=True):
    """Words that were said, and how much of it is wanted."""

    words: str
    n: int = commands.DEFAULT_COUNT


class Peer(msgspec.Struct, forbid_unknown_fields=True):
    """A peer, as a user types it."""

    peer: str


class Methods:
    """Answers what is asked. `tap.makeService` creates one for all connections.

    :param quit: ends the program.
    :param greeting: what to say to a user who comes, a line each.
    """

    def __init__(
        self, node: Node, journal: Journal, quit: Callable[[], None], greeting: Callable[[], list[str]]
    ) -> None:
        self._node = node
        self._journal = journal
        self._quit = quit
        self._greeting = greeting
        #: msg_id -> who waits for the outcome. Not longer than what the router lets be open.
        self._waiting: dict[str, Deferred[str]] = {}
        self._methods: dict[str, tuple[type[msgspec.Struct], Callable[[Any], Any]]] = {
            "hello": (Nothing, self._hello),
            "status": (Nothing, self._status),
            "peers": (Nothing, self._peers),
            "way": (Destined, self._way),
            "seen": (Seen, self._seen),
            "send": (Message, self._send),
            "outbox": (Nothing, self._outbox),
            "cancel": (Named, self._cancel),
            "history": (Asked, self._history),
            "search": (Sought, self._search),
            "unread": (Nothing, self._unread),
            "read": (Read, self._read),
            "connect": (Peer, self._connect),
            "disconnect": (Peer, self._disconnect),
            "ping": (Peer, self._ping),
            "counters": (Nothing, lambda _: self._node.counters()),
            "stop": (Nothing, self._stop),
        }
        node.listen(self._told)

    def call(self, name: str, params: dict[str, Any]) -> Deferred[Any]:
        """Do what is asked; fires with the result, in values of JSON.

        Fails with `RpcError`, or with anything else where we have a defect.

        :raises RpcError: there is no such method, or it takes other parameters.
        """
        if name not in self._methods:
            known = ", ".join(sorted([*self._methods, "subscribe", "command"]))
            raise RpcError(Code.METHOD, f"there is no method {name[:40]!a}; there are: {known}")
        kind, method = self._methods[name]
        return maybeDeferred(method, read_params(params, kind)).addErrback(self._refuse)

    # The methods.

    def _hello(self, _: Nothing) -> Deferred[dict[str, Any]]:
        return self._node.store.unread().addErrback(_none_known).addCallback(self._greet)

    def _greet(self, unread: dict[str, int]) -> dict[str, Any]:
        told = past.unread(unread)
        return {
            "version": VERSION,
            "program": f"p2pchat {__version__}",
            "peer_id": self._node.own,
            "cursor": self._journal.cursor(self._journal.next - 1),
            "seen": self._journal.cursor(self._journal.seen),
            "greeting": [*self._greeting(), *([] if told is None else [told])],
        }

    def _way(self, params: Destined) -> dict[str, Any]:
        to = self._destination(params.to)
        via = None
        protection = self._node.gate.expected(to)
        if isinstance(to, ToPeer):
            route = self._node.router.routes.best(to.peer_id, self._node.now_s)
            near = self._node.neighbours.get(to.peer_id)
            if route is None:
                protection = None
            elif near is not None and route.is_direct:
                protection = Protection.LINK if near.is_encrypted else Protection.NONE
            via = None if route is None or route.is_direct else route.hop
        return {"to": str(to), "via": via, "protection": None if protection is None else protection.value}

    def _seen(self, params: Seen) -> None:
        self._journal.saw(params.cursor)
        if self._journal.seen == self._journal.next - 1:
            self._node.read()

    def _read(self, params: Read) -> None:
        self._node.read(self._destination(params.conversation))

    def _unread(self, _: Nothing) -> Deferred[dict[str, int]]:
        return self._node.store.unread()

    def _history(self, params: Asked) -> Deferred[list[dict[str, Any]]]:
        conversation = None if params.conversation is None else str(self._destination(params.conversation))
        found = self._node.store.latest(conversation, _bounded(params.n))
        return found.addCallback(msgspec.to_builtins)

    def _search(self, params: Sought) -> Deferred[list[dict[str, Any]]]:
        return self._node.store.search(params.words, _bounded(params.n)).addCallback(msgspec.to_builtins)

    def _outbox(self, _: Nothing) -> list[dict[str, Any]]:
        return [_kept(delivery, self._node.now_s) for delivery in self._node.kept()]

    def _cancel(self, params: Named) -> dict[str, Any]:
        return {"was_kept": self._node.cancel(params.msg_id)}

    def _status(self, _: Nothing) -> dict[str, Any]:
        node, registration = self._node, self._node.registration
        trust = node.gate.trust
        return {
            "peer_id": node.own,
            "uptime_s": node.uptime_s,
            "port": node.switchboard.port,
            "advertised_port": node.advertised_port,
            "fingerprint": None if trust is None else fingerprint(trust.identity.key),
            "rendezvous": None
            if registration is None
            else {
                "address": str(registration.address),
                "is_registered": bool(registration.registered),
                "is_hosted": node.rendezvous is not None,
                "trouble": registration.trouble or None,
            },
            "neighbours": len(node.neighbours),
            "known": len(node.known()),
            "open_messages": len(node.router.pending) + node.router.pending.resting,
            "kept_messages": node.router.pending.resting,
            "courier": None if node.router.courier is None else node.router.courier.sizes(),
            "unread": node.unread,
            "troubles": health.troubles(node),
        }

    def _peers(self, _: Nothing) -> list[dict[str, Any]]:
        return [self._peer(peer_id) for peer_id in sorted(self._node.known())]

    def _peer(self, peer_id: PeerId) -> dict[str, Any]:
        node = self._node
        near, listed = node.neighbours.get(peer_id), node.roster.get(peer_id)
        route = node.router.routes.best(peer_id, node.now_s)
        return {
            "peer_id": peer_id,
            "registered_at": None if listed is None else str(listed),
            "linked_at": None if near is None else str(near.link.address),
            "is_encrypted": near is not None and near.is_encrypted,
            "is_plain": near is not None and near.plain,
            "is_verified": node.gate.is_verified(peer_id),
            "rtt_s": near.rtt_s if near is not None else route.rtt_s if route is not None else None,
            "via": None if near is not None or route is None else route.hop,
        }

    def _send(self, message: Message) -> Any:
        to = self._destination(message.to)
        if not isinstance(to, ToPeer):
            took = self._node.publish(to, message.text)
            return took.addCallback(lambda neighbours: {"neighbours": neighbours})
        delivery = self._node.send(to.peer_id, message.text)
        if delivery.is_over:
            return _outcome(delivery, delivery.why)
        done: Deferred[str] = Deferred()
        self._waiting[delivery.msg_id] = done
        return done.addCallback(lambda why: _outcome(delivery, why))

    def _connect(self, params: Peer) -> Deferred[dict[str, Any]]:
        linked = self._node.connect(self._peer_id(params.peer))
        return linked.addCallback(lambda link: {"address": str(link.address)})

    def _disconnect(self, params: Peer) -> dict[str, Any]:
        return {"was_linked": self._node.disconnect(self._peer_id(params.peer))}

    def _ping(self, params: Peer) -> Deferred[dict[str, Any]]:
        return self._node.ping(self._peer_id(params.peer)).addCallback(lambda rtt_s: {"rtt_s": rtt_s})

    def _stop(self, _: Nothing) -> None:
        self._quit()

    # Inside.

    def _destination(self, text: str) -> Destination:
        return parse_destination(text, self._node.own.namespace)

    def _peer_id(self, text: str) -> PeerId:
        return parse_peer(text, self._node.own.namespace)

    def _told(self, event: events.Event) -> None:
        if isinstance(event, events.MessageConfirmed | events.MessageFailed | events.MessageWaits):
            waiting = self._waiting.pop(event.msg_id, None)
            if waiting is not None:
                waiting.callback("" if isinstance(event, events.MessageConfirmed) else event.why)

    def _refuse(self, failure: Failure) -> None:
        """Say in the words of JSON-RPC why it was not done."""
        problem = failure.value
        match problem:
            case BadName() | NoSuchCursor():
                raise RpcError(Code.PARAMS, str(problem))
            case ProtocolError():
                raise RpcError(Code.REFUSED, problem.detail, str(problem.code))
            case DeferredTimeout():
                raise RpcError(Code.REFUSED, "no answer came in time", "timeout")
            case NotLinked():
                raise RpcError(Code.REFUSED, str(problem), "not_linked")
            case Unreadable():
                raise RpcError(Code.REFUSED, str(problem), "unreadable")
            case DialFailed() | LinkClosed():
                raise RpcError(Code.REFUSED, str(problem), "link_failed")
            case _:
                failure.raiseException()


def read_params(params: dict[str, Any], kind: type[Any]) -> Any:
    """Read the parameters of a method.

    :raises RpcError: they are not what it takes; the text says what is wrong.
    """
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as problem:
        raise RpcError(Code.PARAMS, str(problem)) from None


def _none_known(failure: Failure) -> dict[str, int]:
    """Greet all the same where the history cannot be read: that was told when it began."""
    failure.trap(Unreadable)
    return {}


def _bounded(n: int) -> int:
    """Return a number of messages as it was asked for.

    :raises RpcError: it is none that one answer has.
    """
    if not 1 <= n <= MAX_MESSAGES:
        raise RpcError(Code.PARAMS, f"n is 1 to {MAX_MESSAGES}")
    return n


def _kept(delivery: Delivery, now_s: float) -> dict[str, Any]:
    return {
        "msg_id": delivery.msg_id,
        "dst": str(delivery.dst),
        "payload": delivery.payload,
        "age_s": now_s - delivery.began_at_s,
        "state": delivery.state.value,
        "reason": str(delivery.code) or None,
        "why": delivery.why or None,
        "couriers": [str(courier) for courier in delivery.couriers],
    }


def _outcome(delivery: Delivery, why: str) -> dict[str, Any]:
    is_confirmed = delivery.state is State.CONFIRMED
    return {
        "msg_id": delivery.msg_id,
        "is_confirmed": is_confirmed,
        "is_kept": not delivery.is_over,
        "is_proved": is_confirmed and delivery.is_proved,
        "took_s": delivery.took_s if is_confirmed else None,
        "tries": delivery.tries,
        "via": delivery.via or None,
        "reason": None if is_confirmed else str(delivery.code),
        "why": None if is_confirmed else why,
    }
