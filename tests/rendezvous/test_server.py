"""The rendezvous server: its limits, its loop, its log, its service."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.rendezvous.connection import Phase
from p2pchat.rendezvous.registry import Registry
from p2pchat.rendezvous.server import RendezvousFactory, RendezvousServer
from tests.rendezvous.callers import (
    BUSY,
    DISCOVER,
    NO_PEERS,
    REGISTER,
    REGISTERED,
    TIMEOUT,
    Caller,
    ServerTestCase,
)


class LoopTests(ServerTestCase):
    def test_records_expire_by_themselves(self) -> None:
        """A record leaves memory though nobody asks, and the loop ends with the last one."""
        caller = self.call()
        caller.send(REGISTER + b"\n")
        caller.close()
        self.pass_time(59.9)
        self.assertEqual(len(self.factory.registry), 1)
        self.pass_time(0.2)
        self.assertEqual(len(self.factory.registry), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_loop_runs_only_where_there_is_something(self) -> None:
        """An idle server has no timer; one starts with the next connection."""
        for _ in range(2):
            caller = self.call()
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            caller.send(DISCOVER + b"\n")
            caller.close()
            self.pass_time(0.2)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_loop_survives_a_failure(self) -> None:
        """What fails in the loop is logged, and the loop goes on."""
        faults = [KeyError("once")]

        def expire() -> None:
            if faults:
                raise faults.pop()

        self.patch(self.factory.registry, "expire", expire)
        caller = self.call()
        self.clock.advance(0.1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.pass_time(0.9)
        self.assert_ended(caller, TIMEOUT)

    def test_ended_from_inside_the_loop(self) -> None:
        """A server that is ended by what the loop does is not ended twice."""
        self.patch(self.factory.registry, "expire", self.factory.end_all)
        caller = self.call()
        caller.close()
        self.clock.advance(0.1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LimitTests(ServerTestCase):
    def test_longest_silent_makes_room(self) -> None:
        """When all connections are taken, the client that let us wait longest is ended, not the new one."""
        self.make(max_connections=3)
        silent = [self.call() for _ in range(3)]
        newcomer = self.call()
        self.assert_ended(silent[0], BUSY)
        newcomer.send(DISCOVER + b"\n")
        self.assert_ended(newcomer, NO_PEERS)
        self.assertEqual([caller.ending for caller in silent], ["closed", "open", "open"])
        self.assertEqual(self.factory.refusals, {"too_many_connections": 1})

    def test_who_is_answered_is_not_ended(self) -> None:
        """A client that has its reply, or part of it, keeps its connection."""
        self.make(max_connections=2)
        answered, silent = self.call(), self.call()
        answered.send(DISCOVER + b"\n")
        self.call()
        self.assert_ended(answered, NO_PEERS)
        self.assert_ended(silent, BUSY)

    def test_newcomer_is_refused(self) -> None:
        """Only where everybody is being answered is it the new client that is told to try again."""
        self.make(max_connections=2)
        for _ in range(2):
            self.call().send(DISCOVER + b"\n")
        newcomer = self.call()
        self.assert_ended(newcomer, BUSY)
        newcomer.send(REGISTER + b"\n")
        self.assert_ended(newcomer, BUSY)
        self.assertEqual(len(self.factory.registry), 0)

    def test_default(self) -> None:
        """512 connections are kept; of 600 silent ones the first 89 make room for a good one."""
        silent = [self.call() for _ in range(600)]
        good = self.call()
        good.send(DISCOVER + b"\n")
        self.assert_ended(good, NO_PEERS)
        self.assertEqual([caller.ending for caller in silent], ["closed"] * 89 + ["open"] * 511)
        for caller in silent[:89]:
            caller.close()
        self.assertEqual(self.factory.connections, 512)

    def test_unsent_bytes(self) -> None:
        """DISCOVER is busy while clients have not taken what there is room for; REGISTER is not."""
        self.make(max_unsent_bytes=450)
        first = self.call()
        first.send(REGISTER + b"\n")
        callers = [self.call() for _ in range(3)]
        for caller in callers:
            caller.send(DISCOVER + b"\n")
        busy = {"status": "ERROR", "error": "busy", "message": "Too many answers are waiting, try again"}
        self.assertEqual(len(callers[0].replies[0]["peers"]), 1)
        self.assert_ended(callers[2], busy)
        other = self.call()
        other.send(REGISTER + b"\n")
        self.assert_ended(other, REGISTERED)
        callers[0].close()
        callers[1].close()
        again = self.call()
        again.send(DISCOVER + b"\n")
        self.assertEqual(len(again.replies[0]["peers"]), 1)


class LogTests(ServerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)

    def send(self, data: bytes) -> Caller:
        caller = self.call()
        caller.send(data)
        return caller

    def test_refused_client_is_one_line(self) -> None:
        """A malformed request is one log line, without anything that could harm a terminal."""
        self.send(b"\x1b[2J\xc3\xa9{line}\n")
        (event,) = self.events
        self.assertEqual(event["reason"], "invalid_json")
        self.assertEqual(event["client"], "203.0.113.7 port 45678")
        self.assertEqual(event["line"], "b'\\x1b[2J\\xc3\\xa9{line}'")

    def test_bounded(self) -> None:
        """A long line is not logged whole."""
        self.send(b"x" * 30_000 + b"\n")
        self.assertTrue(len(self.events[0]["line"]) < 80)

    def test_good_clients_are_not_logged(self) -> None:
        """A request that was served leaves no line."""
        self.send(REGISTER + b"\n")
        self.assertEqual(list(self.events), [])

    def test_flood(self) -> None:
        """A flood of malformed requests is a line a second, which tells how many it stands for."""
        for _ in range(10):
            self.send(b"x\n")
        self.clock.advance(1)
        self.send(b"{}\n")
        self.assertEqual([event["left_out"] for event in self.events], [0, 9])
        self.assertEqual(self.factory.refusals, {"invalid_json": 10, "missing_type": 1})

    def test_refusals_are_counted(self) -> None:
        """What the protocol refused is counted beside what the registry did."""
        self.send(b"x" * 40_000)
        self.call()
        self.pass_time(1.1)
        self.assertEqual(self.factory.refusals, {"line_too_long": 1, "timeout": 1})

    def test_failure_inside_a_request(self) -> None:
        """A fault of ours is logged with its traceback, counted, answered, and harms no other request."""

        def fail(namespace: str | None) -> int:
            raise ZeroDivisionError(namespace)

        self.patch(self.factory.registry, "answer_bytes", fail)
        expected = {
            "status": "ERROR",
            "error": "internal_error",
            "message": "The server failed to answer this",
        }
        for _ in range(3):
            self.assert_ended(self.send(DISCOVER + b"\n"), expected)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.factory.refusals, {"internal_error": 3})
        self.assert_ended(self.send(REGISTER + b"\n"), REGISTERED)


class EndTests(ServerTestCase):
    def test_every_connection_is_aborted(self) -> None:
        """Whatever they are doing, connections end, and the end is told when the last is closed."""
        waiting, draining, closing = callers = [self.call() for _ in range(3)]
        draining.send(DISCOVER + b"\nx")
        closing.send(DISCOVER + b"\n")
        phases = [caller.connection.phase for caller in callers]
        self.assertEqual(phases, [Phase.WAITING, Phase.DRAINING, Phase.CLOSING])
        ended = self.factory.end_all()
        self.assertEqual([caller.ending for caller in callers], ["aborted"] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        waiting.close()
        draining.close()
        self.assertNoResult(ended)
        closing.close()
        self.successResultOf(ended)

    def test_nothing_to_end(self) -> None:
        """Without connections the end is at once."""
        self.successResultOf(self.factory.end_all())

    def test_registry_is_passed_in(self) -> None:
        """A server may serve a registry that others hold."""
        registry = Registry(self.clock.seconds)
        self.assertIs(RendezvousFactory(self.clock, registry=registry).registry, registry)


class TakenPort(MemoryReactorClock):
    """A reactor on which another server has the port."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        raise CannotListenError(interface, port, OSError("in use"))


class RacedPort(MemoryReactorClock):
    """A reactor on which another server takes the port between our binding it and our listening."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        raise OSError(errno.EADDRINUSE, "Address already in use")


class SlowPort:
    """A port that takes its time to close. The test ends it."""

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()

    def stopListening(self) -> Deferred[None]:
        return self.closed


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def test_listens_where_it_was_told(self) -> None:
        """The service binds when it starts, and tells its port while it listens."""
        for interface in ("127.0.0.1", "::1"):
            server = RendezvousServer(self.reactor, 5000, interface, 2.0)
            self.assertEqual((server.listening_port, server.running), (0, 0))
            server.startService()
            port, factory, backlog, bound_to = self.reactor.tcpServers.pop()
            self.assertEqual((port, factory, backlog, bound_to), (5000, server.factory, 512, interface))
            self.assertEqual((server.listening_port, server.running), (5000, 1))
            self.assertEqual(server.factory.request_timeout_s, 2.0)
            self.successResultOf(server.stopService())
            self.assertEqual((server.listening_port, server.running), (0, 0))

    def test_defaults(self) -> None:
        """Without options it is the port and the timeout of the specification."""
        server = RendezvousServer(self.reactor)
        server.startService()
        self.assertEqual((server.listening_port, server.factory.request_timeout_s), (5000, 1.0))

    def test_port_is_taken(self) -> None:
        """The caller of startService knows at once, and nothing was started."""
        for reactor in (TakenPort(), RacedPort()):
            server = RendezvousServer(reactor, 5000)
            self.assertRaises(CannotListenError, server.startService)
            self.assertEqual((server.running, server.listening_port), (0, 0))
            self.successResultOf(server.stopService())
            self.assertEqual(reactor.getDelayedCalls(), [])

    def test_stop_waits_for_port_and_connections(self) -> None:
        """The service has stopped when its port and the last connection are closed."""
        server = RendezvousServer(self.reactor)
        server.startService()
        slow = SlowPort()
        self.patch(server, "_listener", slow)
        caller = Caller(server.factory)
        caller.send(REGISTER + b"\n")
        stopped = server.stopService()
        self.assertEqual(caller.ending, "aborted")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        slow.closed.callback(None)
        self.assertNoResult(stopped)
        caller.close()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_started_again(self) -> None:
        """After a stop it serves again, and the records of before still expire by themselves."""
        server = RendezvousServer(self.reactor)
        server.startService()
        caller = Caller(server.factory)
        caller.send(REGISTER + b"\n")
        caller.close()
        self.successResultOf(server.stopService())
        server.startService()
        server.factory.doStart()
        self.assertEqual(len(server.factory.registry.discover()), 1)
        self.reactor.advance(61)
        self.assertEqual(len(server.factory.registry), 0)
        server.factory.doStart()
        self.successResultOf(server.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
