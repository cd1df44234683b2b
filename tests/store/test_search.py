"""Search in what was said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pchat.store import writing
from p2pchat.store.sqlite import SqliteStore
from tests.store.test_sqlite import StoreTestCase, arrival


class SearchTests(StoreTestCase):
    def found(self, words: str, *texts: str, n: int = 100) -> list[str]:
        """Search in some texts; return those that are found."""
        store = self.make()
        for number, text in enumerate(texts):
            store.receive(arrival(number, text), self.told(""))
        return [entry.text for entry in self.successResultOf(store.search(words, n))]

    def test_words(self) -> None:
        """All the words must be there, in any order and case; parts of words do not count."""
        texts = ("The quick fox", "quick", "a FOX so quick", "quickly, fox")
        self.assertEqual(self.found("fox Quick", *texts), ["The quick fox", "a FOX so quick"])

    def test_accents(self) -> None:
        """Accents do not matter, either way."""
        texts = ("Não, amanhã", "nao sei", "coração")
        self.assertEqual(self.found("nao", *texts), ["Não, amanhã", "nao sei"])
        self.assertEqual(self.found("NÃO", "x"), ["Não, amanhã", "nao sei"])
        self.assertEqual(self.found("coracao", "x"), ["coração"])

    def test_beginning(self) -> None:
        """A word with a star stands for all that begin so."""
        self.assertEqual(self.found("net*", "networks", "internet", "netto"), ["networks", "netto"])

    def test_much(self) -> None:
        """What came while nobody searched is found at once, however much it was, and after a restart."""
        self.patch(writing, "CHUNK", 10)
        store = self.make()
        self.threads.is_slow = True
        for number in range(95):
            store.receive(arrival(number, f"word number {number}"), self.told(""))
        self.close_slowly(store)
        store = self.make()
        self.assertEqual(len(self.successResultOf(store.search("word", 1000))), 95)
        store.receive(arrival(100, "another word"), self.told(""))
        self.assertEqual(len(self.successResultOf(store.search("word", 1000))), 96)

    def test_unasked(self) -> None:
        """Words are made ready while nobody searches, by one piece of work at a time."""
        self.patch(writing, "CHUNK", 10)
        store = self.make()
        for number in range(25):
            store.receive(arrival(number, f"word number {number}"), self.told(""))
        self.threads.is_slow = True
        store.tick()
        store.receive(arrival(100, "another word"), self.told(""))
        store.tick()
        self.assertEqual(store.sizes()["store_waiting"], 1)  # what came last, and no second piece
        for _ in range(3):
            self.threads.work()
        self.assertEqual(self.count_ready(), 26)
        self.assertEqual(store.sizes()["store_waiting"], 0)
        self.threads.is_slow = False
        store.receive(arrival(101, "one more word"), self.told(""))
        store.tick()
        self.assertEqual(self.count_ready(), 27)

    def count_ready(self) -> int:
        """Return of how many entries the words can be found."""
        count: int = self.database.connect().execute("SELECT count(*) FROM words_docsize").fetchone()[0]
        return count

    def close_slowly(self, store: SqliteStore) -> None:
        """Close a store before it had time to do more than it must."""
        closed = store.close()
        self.threads.is_slow = False
        self.threads.work()
        self.successResultOf(closed)

    def test_last(self) -> None:
        """Of many the last come, the oldest of them first."""
        self.assertEqual(self.found("a", "a 1", "a 2", "a 3", n=2), ["a 2", "a 3"])

    def test_no_words(self) -> None:
        """Where there is no word nothing is found."""
        for words in ("", "  ", '"', "***", "- ( ) :", "\0"):
            self.assertEqual(self.found(words, "a", '"', "***"), [], words)

    def test_no_language(self) -> None:
        """Words of the language of the database are words, and nothing else."""
        texts = ("a and b", "NOT", "text: x", "near (a b)")
        self.assertEqual(self.found("a AND b", *texts), ["a and b"])
        self.assertEqual(self.found("NOT", "x"), ["NOT"])
        self.assertEqual(self.found("text:x", "x"), ["text: x"])
        self.assertEqual(self.found('NEAR("a b")', "x"), ["near (a b)"])

    @given(st.text(max_size=40))
    def test_anything(self, words: str) -> None:
        """Whatever is searched, nothing fails, and what is found is what was said."""
        self.assertLessEqual(set(self.found(words, "hello world", words)), {"hello world", *self.kept(words)})

    @staticmethod
    def kept(words: str) -> list[str]:
        """Return how a text is kept."""
        return [words.encode(errors="backslashreplace").decode()]
