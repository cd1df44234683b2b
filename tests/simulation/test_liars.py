"""Hostile peers: how they are asked for, who plays them, and what they do."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.protocol.names import PeerId, ToAll
from p2pchat.settings import Settings
from p2pchat.simulation import liars
from p2pchat.simulation.disk import Disk
from p2pchat.simulation.keys import Locker
from p2pchat.simulation.liars import ANY, DRIPS, LIARS, BadLiars, Cast, DripFeeder, Liar, parse_liars
from p2pchat.simulation.residents import PORT, Resident
from p2pchat.simulation.topology import Reach
from p2pchat.simulation.transport import MemoryTransport
from p2pchat.trust.cards import Card
from tests.simulation.towns import ALL, TownTestCase

#: Nobody has this name.
NOBODY = PeerId("nobody@UnB")

#: The first and the last can reach each other over the second only.
LINE = Reach(pairs=frozenset({(0, 1), (1, 2)}))


class ParsingTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Shares of any liars, or of kinds of them, are read as they are written."""
        for text, meant in (
            ("0.2", ((ANY, 0.2),)),
            ("any:0.2", ((ANY, 0.2),)),
            ("black-hole:0.2,flooder:0.1", (("black-hole", 0.2), ("flooder", 0.1))),
            (" poisoner:0 , 0.5", (("poisoner", 0.0), (ANY, 0.5))),
        ):
            self.assertEqual(parse_liars(text), meant)
        for kind in LIARS:
            self.assertEqual(parse_liars(f"{kind}:0.1"), ((kind, 0.1),))

    def test_bad(self) -> None:
        """What is no share, or no kind, is refused with what would be right."""
        for text in ("", "flooder", "flooder:", "saint:0.1", "1", "-0.1", "nan", "flooder:0.1,", "flooder:x"):
            problem = self.assertRaises(BadLiars, parse_liars, text)
            self.assertIn("expected a share below 1, or KIND:SHARE with one of black-hole, ", str(problem))
            self.assertIn(f"got {text.split(',')[-1].strip()!a}", str(problem))

    def test_all_lie(self) -> None:
        """Together liars may not be everybody."""
        problem = self.assertRaises(BadLiars, parse_liars, "flooder:0.5,0.5")
        self.assertEqual(str(problem), "there must be honest peers left")


class CastTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """As many play each part as was asked for; the first peer is honest."""
        cast = Cast.draw(20, (("flooder", 0.2), ("black-hole", 0.1)), Random(1))
        self.assertEqual(Counter(cast.parts.values()), {"flooder": 4, "black-hole": 2})
        self.assertTrue(set(cast.parts) <= set(range(1, 20)))

    def test_any(self) -> None:
        """Where it was not said which liars, there are some of every kind."""
        cast = Cast.draw(200, ((ANY, 0.5),), Random(1))
        self.assertEqual((len(cast.parts), set(cast.parts.values())), (100, set(LIARS)))

    def test_somebody_is_honest(self) -> None:
        """In a small network two are honest, or it is only one peer, however many were asked to lie."""
        for peers, most in ((1, 0), (2, 0), (3, 1), (10, 8)):
            for share in (0.1, 0.99):
                parts = Cast.draw(peers, (("flooder", share), (ANY, share)), Random(1)).parts
                self.assertLessEqual(len(parts), most)
                self.assertNotIn(0, parts)


class LiarTestCase(TownTestCase):
    """Two honest peers with a liar between them."""

    #: Whether peers have keys.
    have_keys = False

    def live_with(self, part: str, reach: Reach = LINE) -> tuple[Resident, Liar, Resident]:
        """Let a liar live between two others; return all."""
        self.settle(reach)
        self.rendezvous.start()
        self.names: list[PeerId] = []

        def make(*given: Any, **more: Any) -> Liar:
            return LIARS[part](*given, names=self.names, **more)

        one, liar, other = self.resident(), self.resident(make=make, is_honest=False), self.resident()
        self.names += [one.own, liar.own, other.own]
        for resident in self.residents:
            if self.have_keys:
                resident.locker = Locker.new(resident.own, Random(resident.number).randbytes)
            resident.start()
        self.clock.advance(40.0)
        return one, cast(Liar, liar.node), other

    def send(self, one: Resident, dst: PeerId) -> list[str]:
        """Let somebody send something; return what came of it."""
        self.node(one).send(dst, "hello")
        self.clock.advance(40.0)
        return self.outcomes(one)

    def lines(self) -> list[tuple[MemoryTransport, bytes]]:
        """Return a list that takes up each line from now on, with the end that sends it."""
        found: list[tuple[MemoryTransport, bytes]] = []
        self.internet.tap = lambda wire, data: found.extend((wire, line) for line in data.splitlines())
        return found


class SwallowingTests(LiarTestCase):
    def test_a_liar_as_such(self) -> None:
        """A liar that tells no lies is a peer as others are: it passes on what is for others."""
        one, liar, other = self.live_with("impostor")
        liar.misbehave()
        self.assertEqual(self.send(one, other.own), ["confirmed"])
        self.assertEqual(liar.router.tally.relayed, 1)
        self.assertFalse(liar.host_rendezvous())

    def test_stopped_twice(self) -> None:
        """A liar that was stopped can be stopped again."""
        _, liar, _ = self.live_with("flooder")
        for stop in (self.residents[1].leave, liar.stopService):
            stopped = stop()
            self.clock.advance(5.0)
            self.successResultOf(stopped)

    def test_black_hole(self) -> None:
        """A black hole swallows what it is given for others, and takes what is for itself."""
        one, liar, other = self.live_with("black-hole")
        self.assertEqual(self.send(one, other.own), ["not confirmed"])
        self.assertEqual(self.send(one, liar.own)[1:], ["confirmed"])
        self.node(one).publish(ToAll(), "hello")
        self.clock.advance(5.0)
        self.assertEqual(self.events_of(other, events.MessageArrived), [])
        self.assertEqual(liar.router.tally.relayed, 0)

    def test_poisoner(self) -> None:
        """A poisoner says that it knows the way to somebody who is not there, and swallows what it gets."""
        one, liar, _ = self.live_with("poisoner")
        self.assertEqual(self.send(one, NOBODY), ["not confirmed"])
        (failed,) = self.events_of(one, events.MessageFailed)
        self.assertIn(f"through {liar.own}", failed.why)

    def test_honest_about_nobody(self) -> None:
        """Who is no poisoner knows no way to somebody who is not there."""
        one, _, _ = self.live_with("black-hole")
        self.assertEqual(self.send(one, NOBODY), ["no_route"])


class ForgingTests(LiarTestCase):
    """A relay that lies about what it was given, and peers with keys, who find out."""

    have_keys = True

    def assert_not_believed(self, part: str) -> None:
        """Once two know each other, nothing that the liar changes is shown, and nothing it says confirms."""
        one, liar, other = self.live_with(part)
        for resident, peer in ((one, other), (other, one)):
            found = self.node(resident).gate.keys.meet(peer.own, self.key_of(peer), self.card_of(peer))
            self.assertIsNone(found)
        for _ in range(4):
            self.send(one, other.own)
        self.assertNotIn("confirmed", self.outcomes(one))
        self.assertEqual(self.events_of(other, events.MessageArrived), [])
        self.assertGreater(liar.router.tally.relayed, 0)

    def key_of(self, resident: Resident) -> bytes:
        assert resident.locker is not None
        return resident.locker.identity.key

    def card_of(self, resident: Resident) -> Card:
        assert resident.locker is not None
        return resident.locker.identity.card

    def test_forger(self) -> None:
        """A forger changes what it passes on, or confirms what it swallowed: in vain."""
        self.assert_not_believed("forger")

    def test_downgrader(self) -> None:
        """A downgrader takes seals off what it passes on: in vain."""
        self.assert_not_believed("downgrader")

    def test_in_the_clear(self) -> None:
        """Among peers without keys a forger has what it wants: what is shown is not what was said."""
        self.have_keys = False
        one, _, other = self.live_with("forger")
        for _ in range(5):
            self.send(one, other.own)
        self.node(one).publish(ToAll(), "hello")
        self.clock.advance(5.0)
        shown = {event.payload for event in self.events_of(other, events.MessageArrived)}
        self.assertEqual(shown, {"forged"})
        self.assertIn("confirmed", self.outcomes(one))


class EmbezzlerTests(LiarTestCase):
    """A courier that keeps nothing, and peers with keys and disks."""

    have_keys = True

    def live_with(self, part: str, reach: Reach = ALL) -> tuple[Resident, Liar, Resident]:
        """Let it live with two others, whose programs have disks from their next start on."""
        one, liar, other = super().live_with(part, reach)
        for resident in (one, other):
            resident.disk = Disk()
            resident.leave()
            self.clock.advance(5.0)
            resident.start()
        self.clock.advance(40.0)
        return one, liar, other

    def test_courier(self) -> None:
        """What it says that it has is not confirmed, whatever it says; it arrives all the same, in order."""
        one, liar, other = self.live_with("embezzler")
        other.leave()
        self.clock.advance(5.0)
        found = self.lines()
        for number in range(6):
            self.node(one).send(other.own, f"m{number}")
        self.clock.advance(120.0)
        self.assertEqual({held.couriers for held in self.events_of(one, events.MessageHeld)}, {(liar.own,)})
        forged = [line for _, line in found if line.startswith(b'{"type":"ACK"') and b'"receipt":' in line]
        self.assertTrue(forged)
        self.assertEqual(self.node(one).router.tally.forged, len(forged))
        self.assertEqual(self.outcomes(one), [])
        other.start()
        self.clock.advance(120.0)
        self.assertEqual(self.outcomes(one), ["confirmed"] * 6)
        shown = [event.payload for event in self.events_of(other, events.MessageArrived)]
        self.assertEqual(shown, [f"m{number}" for number in range(6)])


class TalkativeTests(LiarTestCase):
    def from_liar(self, found: list[tuple[MemoryTransport, bytes]]) -> list[bytes]:
        """Return the lines that the liar sent."""
        return [line for wire, line in found if wire.host.host == self.residents[1].ip]

    def test_flooder(self) -> None:
        """A flooder says things of every kind in the name of others, and nobody honest dies of it."""
        self.patch(liars, "FLOODS", (5,))
        one, _, other = self.live_with("flooder", ALL)
        found = self.lines()
        self.clock.advance(10 * liars.MISCHIEF_S)
        lines = self.from_liar(found)
        for kind in (b"PUB", b"SEND", b"WHO_HAS", b"ACK"):
            count = sum(line.startswith(b'{"type":"' + kind + b'"') for line in lines)
            self.assertGreaterEqual(count, 2 * 40, kind)
        self.assertTrue(any(b'"src":"' + other.own.encode() in line for line in lines))
        self.assertEqual(self.send(one, other.own), ["confirmed"])

    def test_seldom_floods(self) -> None:
        """A flooder says nothing most of the time."""
        self.assertGreater(liars.FLOODS.count(0), 0.9 * len(liars.FLOODS))
        self.patch(liars, "FLOODS", (0,))
        self.live_with("flooder", ALL)
        found = self.lines()
        self.clock.advance(10.0)
        self.assertFalse(any(b"buy now" in line for line in self.from_liar(found)))

    def test_replayer(self) -> None:
        """A replayer says again what it heard, to everybody, and nobody is shown it again."""
        one, liar, other = self.live_with("replayer")
        found = self.lines()
        self.assertEqual(self.send(one, other.own), ["confirmed"])
        repeats = [line for line in self.from_liar(found) if line.startswith(b'{"type":"SEND"')]
        self.assertGreater(len(repeats), 5)
        self.assertEqual(len(set(repeats)), 2)
        self.assertEqual(len(self.events_of(other, events.MessageArrived)), 1)
        self.assertEqual(liar.router.tally.relayed, 1)

    def test_collider(self) -> None:
        """A collider uses the msg_id of what passes for a text of its own, once, and one for many texts."""
        self.patch(liars, "SELDOM", 0.5)
        one, liar, other = self.live_with("collider")
        found = self.lines()
        self.assertEqual(self.send(one, other.own), ["confirmed"])
        (again,) = [line for wire, line in found if b"hello" in line and wire.host.host == one.ip]
        self.node(one).neighbours[liar.own].write(again + b"\n")
        self.clock.advance(5.0)
        (confirmed,) = self.events_of(one, events.MessageConfirmed)
        lines = [line for line in self.from_liar(found) if b"collision" in line]
        same_id = [line for line in lines if confirmed.msg_id.encode() in line]
        self.assertEqual({line.count(b'"payload":"collision"') for line in same_id}, {1})
        self.assertEqual(len(same_id), 1)
        texts = {line for line in lines if b'"m1"' in line and line.startswith(b'{"type":"PUB"')}
        self.assertGreater(len(texts), 5)


class DripFeederTests(LiarTestCase):
    def drips(self) -> list[MemoryTransport]:
        """Return the ends of the drips that the liar holds."""
        node = cast(DripFeeder, self.residents[1].node)
        wires: list[object] = [drip.transport for drip in node._drips if not drip.is_over]
        return [wire for wire in wires if isinstance(wire, MemoryTransport)]

    def test_drips(self) -> None:
        """A drip-feeder holds some connections, lets a byte fall into each now and then, reads nothing."""
        self.live_with("drip-feeder", ALL)
        self.assertEqual(len(self.drips()), DRIPS)
        self.assertEqual({wire._is_reading for wire in self.drips()}, {False})
        found: list[tuple[MemoryTransport, bytes]] = []
        ports = {wire.host.port for wire in self.drips()}
        self.internet.tap = lambda wire, data: found.append((wire, data))
        self.clock.advance(4.0)
        dripped = [data for wire, data in found if wire.host.port in ports]
        self.assertTrue(dripped)
        self.assertEqual({len(data) for data in dripped}, {1})

    def test_ends(self) -> None:
        """When a drip-feeder ends, its drips end with it; where they are ended, it opens others."""
        self.live_with("drip-feeder", ALL)
        wires = self.drips()
        for wire in wires:
            wire.reset()
        self.clock.advance(5.0)
        self.assertEqual(len(self.drips()), DRIPS)
        self.assertFalse(set(self.drips()) & set(wires))
        self.residents[1].leave()
        self.clock.advance(5.0)
        self.assertEqual([w for w in self.internet.transports if w.host.host == self.residents[1].ip], [])

    def test_refused(self) -> None:
        """A drip that nobody takes is over; the drip-feeder goes on."""
        self.live_with("drip-feeder", ALL)
        self.rendezvous.stop()
        for resident in (self.residents[0], self.residents[2]):
            resident.kill()
        self.clock.advance(30.0)
        self.assertEqual(self.drips(), [])
        self.assertTrue(self.residents[1].is_up)

    def test_nobody_to_drip_on(self) -> None:
        """Where a drip-feeder knows no address, it drips on nobody."""
        alone = Settings(port=PORT, rendezvous=None, shared=False)
        self.patch(Resident, "settings", property(lambda _: alone))
        self.live_with("drip-feeder", ALL)
        self.assertEqual((self.drips(), list(self.internet.transports)), ([], []))
