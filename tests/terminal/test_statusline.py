"""The line that says who we are and how we do."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.terminal.statusline import MAX_NAME, status_line

STATUS = {
    "peer_id": "alice@UnB",
    "neighbours": 1,
    "known": 3,
    "rendezvous": {"address": "192.0.2.1:5000", "is_registered": True, "is_hosted": False, "trouble": None},
    "troubles": [],
}


def line(way: dict[str, Any] | None = None, *, unseen: int = 0, below: int = 0, **changed: Any) -> str:
    """Return it without styles."""
    rendered = status_line({**STATUS, **changed}, way, unseen=unseen, below=below)
    return "".join(text for _, text in rendered).strip()


class StatusLineTests(SynchronousTestCase):
    def test_usual(self) -> None:
        """Who, how many are linked and known, and whether the rendezvous lists us."""
        self.assertEqual(line(), "alice@UnB  linked 1 of 3  registered")

    def test_rendezvous(self) -> None:
        """Without one, before it has answered, and when it is gone."""
        for changed, words in (
            (None, "no rendezvous"),
            ({"is_registered": False}, "registering"),
            ({"trouble": "connection refused"}, "rendezvous gone"),
        ):
            rendezvous = None if changed is None else {**STATUS["rendezvous"], **changed}  # type: ignore[dict-item]
            self.assertTrue(line(rendezvous=rendezvous).endswith(words))

    def test_destination(self) -> None:
        """Where the next line goes, over whom, and who could read it."""
        for protection, words in (
            ("link", "encrypted"),
            ("sealed", "sealed"),
            ("signed", "signed, not sealed"),
            ("none", "unsecured"),
            (None, "no way known yet"),
        ):
            way = {"to": "@bob@UnB", "via": "carol@UnB", "protection": protection}
            self.assertIn(f"to @bob@UnB through carol@UnB: {words}  ", line(way))
        self.assertIn("to #UnB: sealed  ", line({"to": "#UnB", "via": None, "protection": "sealed"}))

    def test_unseen(self) -> None:
        """How much is new, and whether one has to scroll for it."""
        self.assertIn("3 new  ", line(unseen=3))
        self.assertIn("3 new below: PgDn  ", line(unseen=3, below=1))

    def test_trouble(self) -> None:
        """Where something is wrong it says where to read what."""
        self.assertTrue(line(troubles=["the rendezvous …"]).endswith("trouble: /status"))

    def test_names(self) -> None:
        """Long names are cut, and strange ones harmless."""
        way = {"to": f"@{'x' * 64}@UnB", "via": "a\x1b[2J@UnB", "protection": "sealed"}
        shown = line(way)
        self.assertIn(f"to @{'x' * (MAX_NAME - 2)}… through a␛[2J@UnB: sealed", shown)
