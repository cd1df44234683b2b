"""Who is registered, and what changed (docs/protocol.md, section 6)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.addresses import Address
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.listing import MAX_PEERS, Entry
from p2pchat.rendezvous.roster import Changes, Roster

ALICE, BOB, CAROL = PeerId("alice@UnB"), PeerId("bob@UnB"), PeerId("carol@UnB")
HERE, THERE = Address("192.0.2.1", 7070), Address("192.0.2.2", 7070)


class RosterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.roster = Roster(ALICE)

    def test_who_came(self) -> None:
        """Who is listed for the first time came."""
        changes = self.roster.update([Entry(BOB, HERE), Entry(CAROL, THERE)])
        self.assertEqual(changes, Changes(came=(BOB, CAROL)))
        self.assertEqual(self.roster.addresses, {BOB: HERE, CAROL: THERE})

    def test_who_left(self) -> None:
        """Who is listed no more left."""
        self.roster.update([Entry(BOB, HERE), Entry(CAROL, THERE)])
        self.assertEqual(self.roster.update([Entry(CAROL, THERE)]), Changes(left=(BOB,)))
        self.assertEqual(self.roster.addresses, {CAROL: THERE})

    def test_who_moved(self) -> None:
        """Who is listed at another address moved, and neither came nor left."""
        self.roster.update([Entry(BOB, HERE)])
        self.assertEqual(self.roster.update([Entry(BOB, THERE)]), Changes(moved=(BOB,)))

    def test_nothing_changed(self) -> None:
        """The same answer again changes nothing."""
        self.assertTrue(self.roster.update([Entry(BOB, HERE)]))
        self.assertFalse(self.roster.update([Entry(BOB, HERE)]))

    def test_without_ourselves(self) -> None:
        """We are not in our own roster, wherever we are listed."""
        self.assertFalse(self.roster.update([Entry(ALICE, HERE), Entry(ALICE, THERE)]))

    def test_youngest_counts(self) -> None:
        """Section 6: a peer that restarts replaces its old entry, in whatever order they are listed."""
        old, new = Entry(BOB, HERE, age_s=500), Entry(BOB, THERE, age_s=3)
        for entries in ([old, new], [new, old]):
            self.roster.update(entries)
            self.assertEqual(self.roster.addresses, {BOB: THERE})

    def test_last_of_equally_old_counts(self) -> None:
        """Where the answer does not tell the age, the last entry counts: servers list the newest last."""
        self.roster.update([Entry(BOB, HERE), Entry(BOB, THERE)])
        self.assertEqual(self.roster.addresses, {BOB: THERE})

    def test_incomplete(self) -> None:
        """An answer that may lack some drops nobody; who came and who moved counts."""
        self.roster.update([Entry(BOB, HERE), Entry(CAROL, HERE)])
        dave = PeerId("dave@UnB")
        changes = self.roster.update([Entry(CAROL, THERE), Entry(dave, HERE)], complete=False)
        self.assertEqual(changes, Changes(came=(dave,), moved=(CAROL,)))
        self.assertEqual(self.roster.addresses, {BOB: HERE, CAROL: THERE, dave: HERE})

    def test_bounded(self) -> None:
        """Answers that may lack some do not add up beyond the longest answer."""
        for start in range(0, 5 * MAX_PEERS, MAX_PEERS):
            entries = [Entry(PeerId(f"{n}@x"), HERE) for n in range(start, start + MAX_PEERS)]
            self.roster.update(entries, complete=False)
        self.assertEqual(len(self.roster.addresses), MAX_PEERS)
