"""What the user sees can be had in Portuguese, all of it."""

from __future__ import annotations

import ast
import gettext
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from babel.messages.catalog import Message
from twisted.trial.unittest import SynchronousTestCase

from tools import translate

HOUSE = translate.ROOT / "p2pchat"

#: Rooms whose texts are for the user, so that each of them must be marked.
FOR_USERS = [
    "attach_command",
    "command",
    "console",
    "control_command",
    "doctor",
    "doctor_command",
    "keys_command",
    "logfile",
    "options",
    "rendezvous_tap",
    "simulate_command",
    "simulation/liars",
    "simulation/plan",
    "simulation/replay",
    "simulation/report",
    "simulation/topology",
    "simulation/trace",
    "state",
    "supervision",
    "tap",
    "terminal",
    "../twisted/plugins",
]

#: Texts there that nobody translates, and why.
NOT_TRANSLATED = {
    "not confirmed": "the name of a failure, which a text is compared with",
    "no such command: ": "tells a defect to who wrote it",
    "bold fg:": "a style",
    "fg:ansired bold": "a style",
    **{f"status {style}": "a style" for style in ("who", "unseen", "good", "pending", "bad")},
    "p2pchat simulate": "a command to type",
    "p2pchat simulate: ": "the command that speaks",
    "p2pchat replay: ": "the command that speaks",
    "buy now": "what a liar sends to other peers",
}

#: How a user starts twistd.
TWISTD = "from twisted.scripts.twistd import run; run()"

_FIELD = re.compile(r"{(\w*)[^}]*}")

#: A block of code in a page.
_CODE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def unmarked(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of each text of several words in a module that no ``tr`` or ``ntr`` is around.

    What explains the code, what is assumed in it, and what is logged stay in English.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assert):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Call) and _is_marked(node.func):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_prose(node.value):
            yield node.lineno, node.value
        yield from unmarked(node)


def _is_marked(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in ("tr", "ntr", "mark")
    # The texts of a log are in English for whoever reads it.
    return isinstance(called, ast.Attribute) and "_log" in ast.unparse(called.value)


def _is_prose(text: str) -> bool:
    if text.startswith("/"):
        return False  # a command
    return re.search(r"[A-Za-z]{2,} +[A-Za-z]{2,}", text) is not None and text not in NOT_TRANSLATED


def fields(text: str) -> list[str]:
    """Return what is filled in, in alphabetical order."""
    return sorted(_FIELD.findall(text))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with some words, in an environment that says nothing else about the language."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))}
    return subprocess.run(
        [sys.executable, *words],
        env=clean | {"PYTHONUTF8": "1", "PYTHONPATH": str(translate.ROOT)} | environment,
        cwd=Path("/"),
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )


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
            ('assert works, "it does not work"', False),
            ('show("word")', False),
        ):
            self.assertEqual(bool([*unmarked(ast.parse(source))]), is_found, source)


class ChoiceTests(SynchronousTestCase):
    """Which language is chosen."""

    #: A text that is not the same in the two languages.
    ASKED: ClassVar[str] = "print(p2pchat.language.tr('All invariants held.'))"

    def assert_said(self, expected: str, **environment: str) -> None:
        """Assert how a program says it."""
        said = run("-c", f"import p2pchat.language; {self.ASKED}", **environment).stdout
        self.assertEqual(said, expected + "\n", environment)

    def assert_portuguese(self, **environment: str) -> None:
        """Assert that a program says it in Portuguese."""
        self.assert_said("Todas as invariantes se mantiveram.", **environment)

    def assert_english(self, **environment: str) -> None:
        """Assert that a program says it in English."""
        self.assert_said("All invariants held.", **environment)

    def test_portuguese(self) -> None:
        """Where any of the variables says Portuguese of Brazil, it is that, with or without an encoding."""
        self.assert_portuguese(LANG="pt_BR.UTF-8")
        self.assert_portuguese(LC_ALL="pt_BR")
        self.assert_portuguese(LC_MESSAGES="pt_BR.UTF-8", LANG="en_US.UTF-8")

    def test_order(self) -> None:
        """LANGUAGE is asked before LC_ALL and LANG, and the first of its languages that there is counts."""
        self.assert_portuguese(LANGUAGE="pt_BR:en", LANG="en_US.UTF-8")
        self.assert_portuguese(LANGUAGE="de:pt_BR", LANG="en_US.UTF-8")
        self.assert_portuguese(LC_ALL="pt_BR.UTF-8", LANG="en_US.UTF-8")
        self.assert_english(LANGUAGE="en:pt_BR", LANG="pt_BR.UTF-8")
        self.assert_english(LC_ALL="C", LANG="pt_BR.UTF-8")

    def test_english(self) -> None:
        """Where nothing is said, or another language, it is English."""
        self.assert_english()
        self.assert_english(LANG="C")
        self.assert_english(LANG="de_DE.UTF-8")


class PortugueseTests(SynchronousTestCase):
    """What programs say to somebody who reads Portuguese."""

    def test_help(self) -> None:
        """The help of the command is in Portuguese, apart from what Twisted says."""
        told = run("-m", "p2pchat", "--help", LANGUAGE="pt_BR").stdout
        self.assertIn("Uso: p2pchat\n", told)
        self.assertRegex(told, r"--help +Mostra esta ajuda e sai\.\n")
        self.assertRegex(told, r"status +Conta como estão os seus pares em execução\.\n")

    def test_plugins(self) -> None:
        """In the list of what twistd can start, ours say in Portuguese what they are."""
        told = run("-c", TWISTD, "--help", LANGUAGE="pt_BR").stdout
        self.assertRegex(told, r"p2pchat +Chat entre pares, sem servidor de chat\.\n")

    def test_wrong_option(self) -> None:
        """A wrong value is refused in Portuguese; names of options and variables are the same."""
        done = run("-c", TWISTD, "p2pchat", "--name", "alice", "--port", "x", LANGUAGE="pt_BR")
        self.assertIn("--name=              Seu nome, de 1 a 64 caracteres", done.stdout)
        problem = "--port (ou P2PCHAT_PORT): esperado um número inteiro de 0 a 65535, recebido 'x'\n"
        self.assertTrue(done.stdout.endswith(problem), done.stdout)
        self.assertEqual(done.returncode, 1)

    def test_nobody_runs(self) -> None:
        """Where no peer runs, it is said in Portuguese, with the command that starts one."""
        with tempfile.TemporaryDirectory(prefix="p2pchat-") as folder:
            done = run("-m", "p2pchat", "status", LANGUAGE="pt_BR", HOME=folder, XDG_STATE_HOME=folder)
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (3, "", "p2pchat: nenhum par seu está em execução. Inicie um: twistd p2pchat --name alice\n"),
        )


class ReadmeTests(SynchronousTestCase):
    """The page for beginners is the same in both languages."""

    def setUp(self) -> None:
        names = ("README.md", "README.pt_BR.md")
        self.pages = [(translate.ROOT / name).read_text(encoding="utf-8") for name in names]

    def assert_same(self, found: Callable[[str], list[str]]) -> None:
        """Assert that something is found alike in both pages, and is found at all."""
        english, portuguese = map(found, self.pages)
        self.assertNotEqual(english, [])
        self.assertEqual(portuguese, english)

    def test_headings(self) -> None:
        """Both have the same parts, in the same order."""
        self.assert_same(lambda page: re.findall(r"^(#+) ", _CODE.sub("", page), re.MULTILINE))

    def test_commands(self) -> None:
        """Both show the same commands at the same places: in blocks of code, among them sessions."""
        self.assert_same(lambda page: [_typed(block) for block in _CODE.findall(page)])

    def test_words(self) -> None:
        """Both name the same commands, options and files; what programs print is in the language."""
        self.assert_same(
            lambda page: sorted(
                word for word in re.findall(r"`([^`]+)`", _CODE.sub("", page)) if "[" not in word
            )
        )

    def test_links(self) -> None:
        """Both lead to the same pages, and to each other."""
        self.assert_same(
            lambda page: sorted(
                link for link in re.findall(r"\]\(([^)]+)\)", page) if not link.startswith("README")
            )
        )
        for page, other in zip(self.pages, ("README.pt_BR.md", "README.md"), strict=True):
            self.assertIn(f"]({other})", page.split("\n\n")[1])


def _typed(block: str) -> str:
    """Return what is typed in a block of code: of a session, the commands without the texts of messages."""
    if re.match(r"(make|\.venv/bin)\b", block):
        return block
    return "\n".join(
        re.sub(r"^(/msg \S+).*", r"\1", line) for line in block.splitlines() if line.startswith("/")
    )


class WireTests(SynchronousTestCase):
    """What others hear stays in English."""

    #: Two peers in memory: one refuses what the other says, and a message finds no way.
    SCENE: ClassVar[str] = """
import json
from p2pchat import events
from p2pchat.protocol.names import PeerId
from tests.village import NodeTestCase

class Scene(NodeTestCase):
    def runTest(self):
        (alice,) = self.meet("alice")
        stranger = self.stranger(alice)
        stranger.say(b'{"type":"HELLO","peer_id":"nobody","version":"1.0","features":[],"ttl":1}\\n')
        self.pass_time(1)
        alice.node.send(PeerId("carol@UnB"), "hi")
        self.pass_time(30)
        (failed,) = alice.told(events.MessageFailed)
        print(json.dumps([failed.why, stranger.got.decode()]))

import unittest
raise SystemExit(not unittest.TextTestRunner().run(Scene()).wasSuccessful())
"""

    def test_from_elsewhere(self) -> None:
        """What comes in English and is known is translated; what is not, or nothing, stays as it is."""
        words = "from p2pchat.language import translated as t; print([t('leaving'), t(''), t('so long')])"
        done = subprocess.run(
            [sys.executable, "-c", words],
            env={**os.environ, "LANGUAGE": "pt_BR", "PYTHONPATH": str(translate.ROOT), "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
            text=True,
        )
        self.assertEqual(done.stdout.strip(), "['saindo', '', 'so long']")

    def test_reasons(self) -> None:
        """Our user reads in Portuguese why a message failed; a peer reads in English what was wrong."""
        scene = "import tests, os\nos.environ['LANGUAGE'] = 'pt_BR'\n" + self.SCENE
        done = subprocess.run(
            [sys.executable, "-c", scene],
            env={**os.environ, "PYTHONPATH": str(translate.ROOT), "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
            text=True,
        )
        why, wire = json.loads(done.stdout)
        self.assertIn("nenhum enlace com ele em 5 s; não há vizinho ligado", why)
        self.assertIn("a peer_id is written name@namespace", wire)
