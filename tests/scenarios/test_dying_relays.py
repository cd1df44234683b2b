"""Relays and links that die in mid-conversation: the next try takes another way (issue 3, "Choosing")."""

from __future__ import annotations

from p2pchat import events
from tests.scenarios.stories import Conversation, ScenarioTestCase
from tests.village import Villager

#: The names of failure that a user can be told where the only way is gone.
NO_WAY_LEFT = {"no_route", "not confirmed"}


class ThreeInARowTests(ScenarioTestCase):
    """alice and bob talk through three relays in a row; one of those dies, with or without a spare way.

    It dies each millisecond of the way of a message there and of its confirmation back: a segment takes one
    millisecond, so that each time the message is somewhere else.
    """

    row = ("alice-r1-r2-r3-bob",)
    row_and_spare = (*row, "alice-s1-s2-s3-bob")

    def tell(self, chains: tuple[str, ...], victim: str, crashes: bool, after_ms: int) -> list[Conversation]:
        """Let both say something before, at the moment of, and behind the death of a relay."""
        peers = {villager.own.name: villager for villager in self.build(*chains)}
        alice, bob = peers["alice"], peers["bob"]
        talks = [Conversation(alice, bob), Conversation(bob, alice)]
        for moment in range(4):
            for talk in talks:
                talk.say(f"{talk.speaker.own.name} {moment}: {victim} dies {after_ms} ms after 1")
            if moment == 1:
                self.pass_time(after_ms / 1000)
                (self.crash if crashes else self.kill)(peers[victim])
            self.pass_time(0.5)
        self.settle()
        return talks

    def tell_all(self, chains: tuple[str, ...], crashes: bool) -> list[Conversation]:
        """Let each of the three die at each moment; what was said before is always confirmed."""
        told = []
        for victim in ("r1", "r2", "r3"):
            for after_ms in range(0, 10, 3 if crashes else 1):
                talks = self.tell(chains, victim, crashes, after_ms)
                for talk in talks:
                    self.assert_accounted_for(talk)
                    self.assertEqual(talk.deliveries[0].code, "")
                told += talks
                self.end_story()
        return told

    def test_killed(self) -> None:
        """Without a spare way all that is said behind the death fails at once by name."""
        for talk in self.tell_all(self.row, crashes=False):
            self.assertLessEqual({delivery.code for delivery in talk.failed}, NO_WAY_LEFT)
            self.assertEqual(talk.failed[-2:], talk.deliveries[-2:])

    def test_crashed(self) -> None:
        """The same where its links stay half-open: then nobody says that there is no way."""
        for talk in self.tell_all(self.row, crashes=True):
            self.assertEqual({delivery.code for delivery in talk.failed}, {"not confirmed"})
            self.assertEqual(talk.failed[-2:], talk.deliveries[-2:])

    def test_killed_with_a_spare_way(self) -> None:
        """With a spare way everything is confirmed, with at most one resend, and hardly later."""
        for talk in self.tell_all(self.row_and_spare, crashes=False):
            self.assert_all_confirmed(talk, most_tries=2)
            self.assertLess(max(delivery.took_s for delivery in talk.deliveries), 0.1)

    def test_crashed_with_a_spare_way(self) -> None:
        """The same where its links stay half-open: then the resend waits until it is clear that it must."""
        for talk in self.tell_all(self.row_and_spare, crashes=True):
            self.assert_all_confirmed(talk, most_tries=2)
            self.assertLess(max(delivery.took_s for delivery in talk.deliveries), 5.5)

    def test_returns(self) -> None:
        """A relay that was killed and is started again is used again, as soon as it is linked."""
        alice, _, middle, _, bob = self.build(*self.row)
        self.assert_all_confirmed(self.talk(alice, bob, 2, every_s=0.1))
        self.kill(middle)
        self.pass_time(1)
        self.return_(middle)
        talk = self.talk(alice, bob, 2, every_s=0.1)
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)


class HalfOpenTests(ScenarioTestCase):
    """Links that carry nothing any more, while nobody has noticed."""

    def assert_one_resend(self, alice: Villager, bob: Villager, name: str) -> None:
        """Cut the link with a neighbour while alice talks to bob: no message is sent more than twice."""
        peer = next(villager for villager in self.villagers if villager.own.name == name)
        self.talk(alice, bob, 3, every_s=0.5)
        self.network.cut(alice.ip, peer.ip)
        talk = self.talk(alice, bob, 12, every_s=1.0)
        self.settle()
        self.assert_all_confirmed(talk, most_tries=2)
        # Once the first was not confirmed, the others take the other way at once.
        self.assertEqual([delivery.tries for delivery in talk.deliveries[6:]], [1] * 6)
        self.network.heal()

    def test_direct_link(self) -> None:
        """A direct link that turns mute is left for a relay that was never needed before."""
        alice, bob, _ = self.build("alice-bob", "alice-relay-bob")
        self.assert_one_resend(alice, bob, "bob")

    def test_relay_with_a_long_detour(self) -> None:
        """The other way may be so long that it has to be looked for first."""
        for length in (1, 3, 4, 7):
            detour = "-".join(f"d{number}" for number in range(length))
            alice, _, bob, *_ = self.build("alice-relay-bob", f"alice-{detour}-bob")
            self.assert_one_resend(alice, bob, "relay")
            self.end_story()

    def test_other_way_that_failed_once(self) -> None:
        """A resend takes another next hop where there is one, even if that one lost many before."""
        alice, north, bob, south = self.build("alice-north-bob", "alice-south-bob")
        self.assert_all_confirmed(self.talk(alice, bob, 2, every_s=0.5))
        self.network.cut(alice.ip, north.ip)
        self.assert_all_confirmed(self.burst(alice, bob, 20), most_tries=2)
        self.network.heal()
        self.network.cut(alice.ip, south.ip)
        self.assert_all_confirmed(self.burst(alice, bob, 3), most_tries=2)
        self.network.heal()

    def burst(self, speaker: Villager, listener: Villager, times: int) -> Conversation:
        """Say many things at once, and let them come to their ends."""
        talk = self.talk(speaker, listener, times)
        self.settle()
        return talk

    def test_direct_link_is_taken_again(self) -> None:
        """Once the direct link works again, it is preferred again after a while."""
        alice, bob, relay = self.build("alice-bob", "alice-relay-bob")
        self.network.cut(alice.ip, bob.ip)
        self.burst(alice, bob, 1)
        self.network.heal()
        self.pass_time(70)
        self.assert_all_confirmed(self.burst(alice, bob, 1))
        self.assertEqual(alice.told(events.MessageConfirmed)[-1].via, bob.own)
        self.assertEqual(alice.told(events.MessageConfirmed)[0].via, relay.own)
