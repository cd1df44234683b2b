"""What the user sees can be had in Portuguese, all of it."""

from __future__ import annotations

import ast
import gettext
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from babel.messages.catalog import Message
from twisted.trial.unittest import SynchronousTestCase

from tools import translate

HOUSE = translate.ROOT / "p2pchat"

#: Rooms whose texts are for the user, so that each of them must be marked.
FOR_USERS = ["console", "terminal"]

#: Texts there that nobody translates, and why.
NOT_TRANSLATED = {
    "not confirmed": "the name of a failure, which a text is compared with",
    "no such command: ": "tells a defect to who wrote it",
    "bold fg:": "a style",
    "fg:ansired bold": "a style",
    **{f"status {style}": "a style" for style in ("who", "unseen", "good", "pending", "bad")},
}

_FIELD = re.compile(r"{(\w*)[^}]*}")


def unmarked(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of each text of several words in a module that no ``tr`` or ``ntr`` is around.

    What explains the code and what is logged stay in English.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Call) and _is_marked(node.func):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_prose(node.value):
            yield node.lineno, node.value
        yield from unmarked(node)


def _is_marked(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in ("tr", "ntr")
    # The texts of a log are in English for whoever reads it.
    return isinstance(called, ast.Attribute) and "_log" in ast.unparse(called.value)


def _is_prose(text: str) -> bool:
    if text.startswith("/"):
        return False  # a command
    return re.search(r"[A-Za-z]{2,} +[A-Za-z]{2,}", text) is not None and text not in NOT_TRANSLATED


def fields(text: str) -> list[str]:
    """Return what is filled in, in alphabetical order."""
    return sorted(_FIELD.findall(text))


class TranslationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.catalog = translate.read(translate.LOCALE / "pt_BR/LC_MESSAGES/p2pchat.po")

    def pairs(self, message: Message) -> list[tuple[str, str]]:
        """Return the forms of a text, each with its translation."""
        if isinstance(message.id, str):
            return [(message.id, str(message.string or ""))]
        assert message.string is not None
        return [*zip(message.id, message.string, strict=True)]

    def test_complete(self) -> None:
        """Each text of the code has a translation, and none is kept that nobody says any more."""
        said = {message.id for message in translate.said() if message.id}
        translated = {
            message.id
            for message in self.catalog
            if message.id and all(map(all, self.pairs(message))) and not message.fuzzy
        }
        self.assertEqual(translated, said, "make translations, then translate what it names")

    def test_whole(self) -> None:
        """Each form of each translation fills in what the text fills in."""
        for message in self.catalog:
            if message.id:
                for text, translation in self.pairs(message):
                    # The form for one may leave out the number.
                    missing = set(fields(text)) - {"n"} - set(fields(translation))
                    self.assertEqual(missing, set(), text)
                    self.assertLessEqual(set(fields(translation)), set(fields(str(message.id))), translation)

    def test_compiled(self) -> None:
        """What programs read is what was written."""
        with (translate.LOCALE / "pt_BR/LC_MESSAGES/p2pchat.mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)
        for message in self.catalog:
            if not message.id:
                continue
            pairs = self.pairs(message)
            for count, (_, translation) in enumerate(pairs, 1):
                one, many = pairs[0][0], pairs[-1][0]
                said = compiled.ngettext(one, many, count) if message.pluralizable else compiled.gettext(one)
                self.assertEqual(said, translation)

    def test_marked(self) -> None:
        """In the rooms that talk to users each text is marked."""
        paths = [path for room in FOR_USERS for path in (HOUSE / room).rglob("*.py")]
        paths += [HOUSE / f"{room}.py" for room in FOR_USERS if (HOUSE / f"{room}.py").exists()]
        found = [
            f"{path.relative_to(HOUSE)}:{line}: {text!r}"
            for path in paths
            for line, text in unmarked(ast.parse(path.read_text()))
        ]
        self.assertEqual(found, [])

    def test_finds_what_is_not_marked(self) -> None:
        """A text in a call, an f-string or a table is found; what is marked, logged or explained is not."""
        for source, is_found in (
            ('show("it does not work")', True),
            ('show(f"{name} does not work")', True),
            ('HELP = {"peers": ("show who is there",)}', True),
            ('show(tr("it does not work"))', False),
            ('show(tr("{name} does not work").format(name=name))', False),
            ('ntr("one line", "{n} lines here", 2)', False),
            ('self._log.info("it does not work")', False),
            ('def f():\n    """It does not work."""', False),
            ('show("word")', False),
        ):
            self.assertEqual(bool([*unmarked(ast.parse(source))]), is_found, source)


class ChoiceTests(SynchronousTestCase):
    """Which language is chosen."""

    #: A text that is in all of this, and in no other.
    ASKED: ClassVar[str] = "print(p2pchat.language.tr('Nobody else is known in {scope}.'))"

    def said(self, **environment: str) -> str:
        """Return how a program says it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))}
        return subprocess.run(
            [sys.executable, "-c", f"import p2pchat.language; {self.ASKED}"],
            env=clean | {"PYTHONUTF8": "1", "PYTHONPATH": str(translate.ROOT)} | environment,
            cwd=Path("/"),
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
