"""Every rule of the simulation can break: a defect is planted into real nodes, the report names the rule."""

from __future__ import annotations

import gc
import json
import re
import shlex
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import casts
from p2pchat.casts import Casts
from p2pchat.links.dialler import Dialler
from p2pchat.links.listener import Listener
from p2pchat.links.switchboard import Switchboard
from p2pchat.node import Node
from p2pchat.rendezvous.connection import RequestConnection
from p2pchat.rendezvous.registration import Registration
from p2pchat.routing.courier import Courier
from p2pchat.routing.delivery import Deliveries
from p2pchat.routing.order import Order
from p2pchat.routing.outbox import Outbox
from p2pchat.routing.router import Router
from p2pchat.routing.sender import Sender
from p2pchat.routing.settling import Settling
from p2pchat.simulate_command import BROKEN
from p2pchat.simulation.invariants import BOUNDS, SERVER_BOUNDS
from p2pchat.store.entries import Arrival
from p2pchat.store.sqlite import SqliteStore
from tests.simulation.towns import run

SMALL = ("--peers", "4", "--minutes", "2", "--topology", "full", "--messages", "60", "--casts", "5")
CHURN = (*SMALL, "--churn", "20")
OUTAGE = (*SMALL, "--outage", "6", "--minutes", "5")
RESENT = (*SMALL, "--loss-of-links", "30")
KEEPING = (*SMALL, "--keepers", "1", "--churn", "8", "--power-cuts", "40", "--messages", "240")
SHAKEN = (
    *("--peers", "4", "--minutes", "2", "--topology", "full", "--messages", "300"),
    *("--keepers", "1", "--loss-of-links", "60"),
)
AWAY = (
    *("--peers", "6", "--minutes", "4", "--topology", "full", "--messages", "120"),
    *("--keepers", "1", "--leavers", "0.34", "--absences", "6"),
)
LOST_LINKS = (*SMALL, "--loss-of-links", "30", "--messages", "0")

BEYOND = "no table beyond its bound"
UNHANDLED = "no unhandled exception"


class DefectTestCase(SynchronousTestCase):
    """Runs small networks whose nodes have a defect."""

    def broken(self, options: tuple[str, ...], rule: str) -> str:
        """Assert that the report names a rule, and the one command that shows that again; return the report.

        The text names each violation with its rule. The exit status says that something broke.
        """
        status, text, _ = run("simulate", *options)
        self.assertEqual(status, BROKEN, text)
        head, _, tail = text.partition("BROKEN: ")
        self.assertIn(f" s: {rule}: ", tail, text)
        command = head.splitlines()[0]
        self.assertEqual(text.splitlines()[-2:], ["This replays it:", f"  {command}"])
        self.assertNotIn("All invariants held", text)
        return text


class ControlTests(SynchronousTestCase):
    def test_without_a_defect(self) -> None:
        """The same networks without a defect break no rule: what breaks below is the defect."""
        for options in (SMALL, CHURN, OUTAGE, RESENT, KEEPING, LOST_LINKS):
            status, text, _ = run("simulate", *options)
            self.assertEqual(status, 0, text)
            self.assertEqual(text.splitlines()[-1], "All invariants held.")
            self.assertNotIn("This replays it", text)


class MessageDefectTests(DefectTestCase):
    def test_shows_always(self) -> None:
        """A node that shows whatever comes, as often as it comes, is found."""
        self.patch(Router, "_is_new", lambda *_given: True)
        self.broken(RESENT, "shown once")

    def test_shows_to_everybody(self) -> None:
        """A node that shows what is for another namespace is found."""
        self.patch(Router, "_concerns_us", lambda *_given: True)
        self.broken(SMALL, "shown only to whom it is for")

    def test_settles_again_and_again(self) -> None:
        """A sender that does not close what is settled tells its outcome twice, and is found."""
        self.patch(Deliveries, "close", lambda *_given: None)
        self.broken(SMALL, "told one outcome")

    def test_failure_without_a_name(self) -> None:
        """A sender that does not say what its failure is called is found."""
        really = Settling.fail
        self.patch(Settling, "fail", lambda sender, delivery, _code, why: really(sender, delivery, "", why))
        self.broken(CHURN, "every failure is named")

    def test_failure_without_a_reason(self) -> None:
        """A sender that does not say why a message failed is found."""
        really = Settling.fail
        self.patch(Sender, "_why_unconfirmed", lambda *_given: "")
        self.patch(Settling, "fail", lambda sender, delivery, code, _why: really(sender, delivery, code, ""))
        self.broken(CHURN, "every failure is named")

    def test_confirms_what_it_does_not_show(self) -> None:
        """A node that confirms what it never showed is found."""
        self.patch(Router, "_show_once", lambda router, near, message, *_: router._confirm(near, message))
        self.broken(SMALL, "confirmed means shown")

    def test_forgets_deliveries(self) -> None:
        """A sender that forgets what it has sent never tells an outcome, and is found."""
        self.patch(Deliveries, "add", lambda *_given: None)
        self.broken(SMALL, "every message has an outcome")

    def test_counts_what_is_lost(self) -> None:
        """What has no outcome is counted as lost, not as what its sender was gone for: that never left."""
        self.patch(Deliveries, "add", lambda *_given: None)
        _, text, _ = run("simulate", *SMALL, "--json")
        found = json.loads(text)
        self.assertEqual((found["lost"], found["unknown"]), (found["sent"], 0))


class StoreDefectTests(DefectTestCase):
    """Defects of what keeps messages."""

    def test_confirms_what_it_does_not_write(self) -> None:
        """A store that goes on without having written what arrived is found."""
        self.patch(SqliteStore, "receive", lambda _store, _arrival, then: then(True))
        self.broken(KEEPING, "confirmed means kept there")

    def test_forgets_what_it_has_shown(self) -> None:
        """A store that takes everything for new is found, when a peer is started again."""
        really = SqliteStore.receive

        def receive(store: SqliteStore, arrival: Arrival, then: Callable[[bool], None]) -> None:
            really(store, arrival, lambda _is_new: then(True))

        self.patch(SqliteStore, "receive", receive)
        self.broken((*KEEPING, "--loss-of-links", "60", "--minutes", "10"), "shown once")

    def test_overtakes(self) -> None:
        """A peer that shows what comes, whatever was said before it, is found."""

        def take(order: Order, *given: object) -> None:
            order._show(*given)  # type: ignore[arg-type]

        self.patch(Order, "take", take)
        self.broken(SHAKEN, "shown in the order in which it was said")

    def test_forgets_what_waits(self) -> None:
        """A store that goes on without having written what is to be sent is found."""
        self.patch(SqliteStore, "keep", lambda _store, _message, then: then())
        self.broken(KEEPING, "every message has an outcome")

    def test_does_not_try_again(self) -> None:
        """An outbox in which what waits is forgotten until the next start is found."""
        self.patch(Outbox, "noticed", lambda *_given, **_more: None)
        for sign in ("tick", "neighbour_came"):
            self.patch(Outbox, sign, lambda *_given: None)
        self.broken((*CHURN, "--keepers", "1", "--messages", "20"), "nothing waits for who is there")


class CourierDefectTests(DefectTestCase):
    def test_keeps_for_ever(self) -> None:
        """A courier that hands nothing over is found."""
        self.patch(Courier, "_begin", lambda _courier, _load: None)
        self.broken(AWAY, "couriers hand over what they keep")

    def test_forgets(self) -> None:
        """So is one that says that it keeps something before it is on its disk."""

        def carry(store: SqliteStore, msg_id: str, carried: object, then: Callable[[], None]) -> None:
            then()

        self.patch(SqliteStore, "carry", carry)
        self.broken((*AWAY, "--churn", "20"), "couriers hand over what they keep")


class TableDefectTests(DefectTestCase):
    def test_keeps_what_waits(self) -> None:
        """A node that lets more wait than it may is found."""
        self.patch(Casts, "open", lambda *_given: None)
        options = ("--peers", "1", "--minutes", "2", "--messages", "0", "--casts", "2400")
        self.assertEqual(run("simulate", *options)[0], 0)
        self.patch(casts, "MAX_WAITING", 10**6)
        text = self.broken(options, BEYOND)
        self.assertRegex(text, rf"casts_waiting is \d+, at most {BOUNDS['casts_waiting']}")

    def test_every_table_is_watched(self) -> None:
        """A table that may hold less than nothing is beyond that: each of them is looked at."""
        for bounds in (BOUNDS, SERVER_BOUNDS):
            for name, bound in bounds.items():
                bounds[name] = -1
                self.addCleanup(bounds.__setitem__, name, bound)
        _, text, _ = run("simulate", *SMALL, "--keepers", "1", "--messages", "0", "--casts", "0")
        for name in (*BOUNDS, *SERVER_BOUNDS):
            self.assertRegex(text, rf" {name} is \d+, at most -1")

    def test_rendezvous_keeps_connections(self) -> None:
        """A rendezvous that counts connections for ever is found."""
        for name in SERVER_BOUNDS:
            self.addCleanup(SERVER_BOUNDS.__setitem__, name, SERVER_BOUNDS[name])
        SERVER_BOUNDS["rendezvous_connections"] = 8
        self.assertEqual(run("simulate", *SMALL)[0], 0)
        self.patch(RequestConnection, "connectionLost", lambda *_given, **_more: None)
        self.assertRegex(self.broken(SMALL, BEYOND), r"rendezvous_connections is \d+, at most 8")


class ExceptionDefectTests(DefectTestCase):
    def raising(self, *_given: object) -> None:
        """Fail as a defect does."""
        raise RuntimeError("planted")

    def test_raised_in_a_call(self) -> None:
        """An exception that a call from the clock raises is found, and time goes on behind it."""

        def woken(dialler: Dialler) -> None:
            really(dialler)
            self.raising()

        really = Dialler._woken
        self.patch(Dialler, "_woken", woken)
        text = self.broken(LOST_LINKS, UNHANDLED)
        self.assertIn("RuntimeError: planted", text)
        self.assertIn("_advance", text)

    def test_logged(self) -> None:
        """An exception that a node catches and logs is found."""
        self.patch(Router, "tick", self.raising)
        text = self.broken(SMALL, UNHANDLED)
        self.assertIn("unexpected error in a tick", text)
        self.assertIn("planted", text)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 0)

    def test_contained(self) -> None:
        """An exception that a peer's message brings about, and that ends a link only, is found."""
        self.patch(Router, "_on_pub", self.raising)
        text = self.broken(SMALL, UNHANDLED)
        self.assertIn("unexpected_errors is ", text)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 0)

    def test_in_a_deferred(self) -> None:
        """An error in a Deferred that nobody took is found, at the end at the latest."""
        self.patch(Switchboard, "_tick", self.raising)
        text = self.broken(SMALL, UNHANDLED)
        self.assertIn("Unhandled error in Deferred", text)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 0)

    def test_in_a_deferred_at_the_end(self) -> None:
        """An error in a Deferred that nobody takes is found even where it goes only with what holds it."""

        def stop(listener: Listener) -> Deferred[None]:
            lost: Deferred[None] = fail(RuntimeError("planted"))
            held: list[object] = [lost]
            held.append(held)
            return really(listener)

        really = Listener.stop
        self.patch(Listener, "stop", stop)
        gc.disable()
        self.addCleanup(gc.enable)
        text = self.broken(SMALL, UNHANDLED)
        self.assertIn("planted", text)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 0)


class NetworkDefectTests(DefectTestCase):
    def test_dials_once(self) -> None:
        """A node that does not dial again when a link is lost is found."""
        self.patch(Dialler, "retry_later", lambda *_given, **_more: None)
        text = self.broken(LOST_LINKS, "one network in the end")
        self.assertRegex(text, r"in the end: \d parts, one of them \S+@")

    def test_registers_once(self) -> None:
        """A node that never registers again with a rendezvous that has forgotten it is found."""
        self.patch(Registration, "_must_register", lambda found: not found._registered_at_s)
        self.patch(Registration, "_are_we_forgotten", lambda *_given: False)
        self.broken(OUTAGE, "all in each other's roster in the end")


class FarewellDefectTests(DefectTestCase):
    def test_goes_on_ticking(self) -> None:
        """A node whose timer ticks on after it was stopped is found."""

        def stop(switchboard: Switchboard) -> Deferred[None]:
            switchboard._ticking = LoopingCall(lambda: None)
            return really(switchboard)

        really = Switchboard.stopService
        self.patch(Switchboard, "stopService", stop)
        self.broken(SMALL, "no delayed call left after stop")

    def test_keeps_its_links(self) -> None:
        """A node that does not end its links when it is stopped is found."""
        self.patch(Switchboard, "stopService", lambda *_given: succeed(None))
        self.broken(SMALL, "no connection left after stop")


class ReplayTests(DefectTestCase):
    def test_the_command_replays_it(self) -> None:
        """The command that the report ends with shows the same again, byte for byte."""
        self.patch(Router, "_is_new", lambda *_given: True)
        text = self.broken(RESENT, "shown once")
        program, *words = shlex.split(text.splitlines()[-1])
        self.assertEqual(program, "p2pchat")
        self.assertEqual(run(*words), (BROKEN, text, ""))

    def test_only_so_many_are_told(self) -> None:
        """Of very many violations the first hundred are told, and how many more there are."""
        self.patch(Node, "counters", lambda _node: {"neighbours": 513})
        text = self.broken(SMALL, BEYOND)
        self.assertEqual(text.count(": no table beyond its bound: "), 100)
        more = re.search(r"\n  and (\d+) more\n", text)
        assert more is not None, text
        self.assertIn(f"BROKEN: {100 + int(more[1])} times", text)
