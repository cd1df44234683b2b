"""Messages whose outcome is open."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.protocol.names import PeerId
from p2pchat.routing import delivery as module
from p2pchat.routing.delivery import Deliveries, Delivery, State

BOB = PeerId("bob@UnB")
CAROL = PeerId("carol@UnB")


def a_delivery(msg_id: str, dst: PeerId = BOB, deadline_s: float = 5.0) -> Delivery:
    """Return a delivery that seeks a link."""
    return Delivery(msg_id, dst, "hi", 0.0, deadline_s, state=State.SEEKING)


class DeliveriesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.open = Deliveries()

    def test_found_until_closed(self) -> None:
        """A delivery is found by its msg_id until it is closed, which may happen twice."""
        one = a_delivery("m1")
        self.open.add(one)
        self.assertIs(self.open.get("m1"), one)
        self.assertIsNone(self.open.get("m2"))
        self.assertEqual((len(self.open), list(self.open)), (1, [one]))
        self.open.close(one)
        self.open.close(one)
        self.assertEqual((self.open.get("m1"), len(self.open)), (None, 0))

    def test_to_a_peer(self) -> None:
        """Those to one peer in one state come oldest first."""
        deliveries = [a_delivery("m1"), a_delivery("m2", CAROL), a_delivery("m3"), a_delivery("m4")]
        deliveries[2].state = State.SENT
        for one in deliveries:
            self.open.add(one)
        self.assertEqual(self.open.to(BOB, State.SEEKING), [deliveries[0], deliveries[3]])
        self.assertEqual(self.open.to(BOB, State.SENT), [deliveries[2]])
        self.assertEqual(self.open.to(CAROL, State.SENT), [])

    def test_sweep(self) -> None:
        """Each whose deadline has come is overdue; it may be closed from inside."""
        early, late = a_delivery("m1", deadline_s=5.0), a_delivery("m2", deadline_s=5.1)
        self.open.add(early)
        self.open.add(late)
        overdue: list[str] = []

        def close(delivery: Delivery) -> None:
            overdue.append(delivery.msg_id)
            self.open.close(delivery)

        self.open.sweep(4.9, close)
        self.assertEqual(overdue, [])
        self.open.sweep(5.0, close)
        self.assertEqual((overdue, list(self.open)), (["m1"], [late]))

    def test_sweep_skips_what_was_closed_meanwhile(self) -> None:
        """One whose outcome became known while another was overdue is not overdue any more."""
        both = [a_delivery("m1"), a_delivery("m2")]
        for one in both:
            self.open.add(one)
        overdue: list[str] = []

        def close_all(delivery: Delivery) -> None:
            overdue.append(delivery.msg_id)
            for one in both:
                self.open.close(one)

        self.open.sweep(5.0, close_all)
        self.assertEqual(overdue, ["m1"])

    def test_full(self) -> None:
        """Beyond the bound no more can be taken."""
        self.patch(module, "MAX_PENDING", 2)
        self.open.add(a_delivery("m1"))
        self.assertFalse(self.open.full)
        self.open.add(a_delivery("m2"))
        self.assertTrue(self.open.full)

    def test_over(self) -> None:
        """Confirmed and failed are outcomes, all else is none."""
        one = a_delivery("m1")
        over = []
        for state in State:
            one.state = state
            over.append(one.is_over)
        self.assertEqual(
            [state for state, is_over in zip(State, over, strict=True) if is_over],
            [State.CONFIRMED, State.FAILED],
        )

    def test_at_rest(self) -> None:
        """One that rests is found and listed in its place, and never overdue; it may wake again."""
        first, second = a_delivery("m1"), a_delivery("m2")
        first.number, second.number = 1, 2
        self.open.add(first)
        self.open.add(second)
        self.open.rest(first)
        self.assertEqual((len(self.open), self.open.resting), (1, 1))
        self.assertEqual((self.open.get("m1"), list(self.open)), (first, [first, second]))
        overdue: list[Delivery] = []
        self.open.sweep(9.0, overdue.append)
        self.assertEqual(overdue, [second])
        self.open.add(first)
        self.assertEqual((len(self.open), self.open.resting), (2, 0))
        self.open.rest(first)
        self.open.close(first)
        self.assertEqual((self.open.get("m1"), self.open.resting), (None, 0))

    def test_full_of_what_rests(self) -> None:
        """What rests counts as well."""
        self.patch(module, "MAX_PENDING", 1)
        self.open.rest(a_delivery("m1"))
        self.assertTrue(self.open.full)
