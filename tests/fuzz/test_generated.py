"""Every target under inputs that hypothesis makes: anything at all, and what is almost right."""

from __future__ import annotations

import json
from random import Random
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.console.users import nasty_text
from tests.fuzz import mutations, recording
from tests.fuzz.programs import Options, RendezvousOptions
from tests.fuzz.targets import ConsoleLine, Framing, PeerLine, RendezvousReply, RendezvousRequest, Target
from tests.fuzz.whole import WholeNode
from tests.protocol.strategies import FIELD_NAMES, JSON_VALUES, damaged_lines, mutated_objects

_T = TypeVar("_T", bound=Target)

#: Seeds of cuts: hypothesis shrinks what is cut, and how it is cut hardly matters then.
CUTS = st.integers(0, 1000)

#: What stands in lines with a meaning to somebody, beside anything.
_PIECES = st.sampled_from([*mutations.BYTES, *mutations.VALUES]) | st.binary(max_size=40)


def objects(corpus: str) -> st.SearchStrategy[bytes]:
    """Make lines of a corpus with any JSON in some fields."""
    lines = [line for line in recording.read(corpus) if line.startswith(b"{")]
    names = sorted({name for line in lines for name in json.loads(line)})
    values = st.dictionaries(st.sampled_from(names) | FIELD_NAMES, JSON_VALUES, max_size=3)

    def join(line: bytes, more: dict[str, object]) -> bytes:
        fields: dict[str, object] = {**json.loads(line), **more}
        return json.dumps(fields).encode()

    return st.builds(join, st.sampled_from(lines), values)


class GeneratedTestCase(SynchronousTestCase):
    """Feeds one target, which lasts for all examples of a test."""

    def target(self, kind: type[_T]) -> _T:
        """Make a target, which is closed at the end."""
        target = kind()
        self.addCleanup(target.close)
        return target

    def feed(self, target: Target, data: bytes, seed: int) -> None:
        """Feed an input in pieces."""
        target.take(mutations.cut(data, Random(seed)))


class PeerLineTests(GeneratedTestCase):
    @given(st.binary(max_size=300) | damaged_lines() | mutated_objects() | objects("peer"), CUTS)
    @settings(max_examples=200)
    def test_any_line(self, line: bytes, seed: int) -> None:
        """A line is a message that can be written again in every way, or a ProtocolError."""
        self.feed(PeerLine(), line, seed)


class FramingTests(GeneratedTestCase):
    @given(st.lists(_PIECES | st.sampled_from([b"x" * 32760, b"\n", b"\r\n"]), max_size=12), CUTS)
    @settings(max_examples=200)
    @example([b"x" * 32768 + b"\r", b"\n", b"x" * 32769, b"\n"], 0)
    def test_any_stream(self, pieces: list[bytes], seed: int) -> None:
        """A stream has the same lines however it is cut, and never more than one of them is kept."""
        Framing().take(pieces)
        self.feed(Framing(), b"".join(pieces), seed)


class RendezvousTests(GeneratedTestCase):
    @given(st.data())
    @settings(max_examples=30)
    def test_any_requests(self, data: st.DataObject) -> None:
        """Whatever is asked in a row is answered with one line, and the registry keeps its limits."""
        target = RendezvousRequest()
        lines = st.binary(max_size=100) | objects("request")
        for line in data.draw(st.lists(lines, min_size=5, max_size=30)):
            target.take([line])
        target.close()

    def test_any_reply(self) -> None:
        """A reply is read, or refused with a reason; whoever is listed can be dialled."""
        target = self.target(RendezvousReply)

        @given(st.binary(max_size=100) | objects("reply"), st.booleans(), CUTS)
        def run(line: bytes, ended: bool, seed: int) -> None:
            self.feed(target, line + b"\n" * ended, seed)

        run()

    def test_any_peers(self) -> None:
        """Of a list of any peers those are used that can be."""
        target = self.target(RendezvousReply)
        known = {"ip": "192.0.2.1", "port": 7070, "name": "bob", "namespace": "UnB", "ttl": 60}
        peers = st.dictionaries(st.sampled_from([*known, "expires_in", "observed_ip"]), JSON_VALUES)

        @given(st.lists(peers.map(lambda changed: {**known, **changed}) | JSON_VALUES, max_size=4))
        def run(listed: list[object]) -> None:
            target.take([json.dumps({"status": "OK", "peers": listed}).encode() + b"\n"])

        run()


class ConsoleTests(GeneratedTestCase):
    @given(
        st.text(max_size=80) | nasty_text,
        st.sampled_from(["", "/", "/msg ", "/msg @bob ", "/who ", "/help "]),
    )
    @settings(max_examples=200)
    def test_any_line(self, text: str, before: str) -> None:
        """A line is a command, or refused with how it should be, and shown it steers nothing."""
        ConsoleLine().take([(before + text).encode("utf-8", "surrogatepass")])

    @given(st.binary(max_size=100), CUTS)
    def test_any_bytes(self, data: bytes, seed: int) -> None:
        """The same of any bytes, in a locale to which all of them are text."""
        self.feed(ConsoleLine(), data, seed)


#: Options of both programs.
NAMES = (
    *("name", "namespace", "port", "interface", "advertise-port", "rendezvous", "registration-ttl", "peer"),
    *("request-timeout", "data-dir", "help", "version", "no-such"),
)

#: Values of options: some that are right somewhere, and any text, with NULs and lone surrogates.
VALUES = st.sampled_from(["7070", "::1", "127.0.0.1", "h:1", "none", "", "1" * 99]) | st.text(
    st.characters(), max_size=20
)

#: An option with its value, or words of any kind.
WORDS = st.builds(lambda name, value: [f"--{name}={value}"], st.sampled_from(NAMES), VALUES) | st.lists(
    VALUES | st.sampled_from([f"--{name}" for name in NAMES]), max_size=2
)


class OptionTests(GeneratedTestCase):
    def check(self, kind: type[Options], prefix: str, *start: str) -> None:
        """Start a program with any words and any variables."""
        target = self.target(kind)
        variables = st.sampled_from([prefix + name.upper().replace("-", "_") for name in NAMES])

        @given(st.lists(WORDS, max_size=3), st.dictionaries(variables, VALUES, max_size=2))
        @settings(max_examples=150)
        def run(words: list[list[str]], environment: dict[str, str]) -> None:
            target.begin([*start, *(word for each in words for word in each)], environment)

        run()

    def test_any_words_of_a_peer(self) -> None:
        """Words and variables are options, or refused with a text that can be printed."""
        self.check(Options, "P2PCHAT_", "--name", "alice")

    def test_any_words_of_a_rendezvous(self) -> None:
        """The same for a rendezvous alone."""
        self.check(RendezvousOptions, "P2PCHAT_RENDEZVOUS_")


class NodeTests(GeneratedTestCase):
    def test_any_stream(self) -> None:
        """Whatever strangers say one after another, a node serves its neighbour and its user."""
        target = self.target(WholeNode)

        @given(st.lists(st.binary(max_size=60) | objects("peer"), max_size=6), CUTS)
        def run(lines: list[bytes], seed: int) -> None:
            self.feed(target, b"\n".join(lines) + b"\n", seed)

        run()
