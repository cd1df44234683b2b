"""Options of both plugins, from any words and any environment, in a folder of their own."""

from __future__ import annotations

import itertools
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path, PosixPath
from typing import ClassVar

from twisted.python import usage

from p2pchat import rendezvous_tap, state, tap
from p2pchat.protocol.names import PeerId
from p2pchat.trust import keeping
from tests.fuzz.borrowed import borrow, give_back
from tests.programs import ProgramTestCase


class _Jailed(PosixPath):
    """A path that leads nowhere but into one folder, so that no word makes a folder anywhere else."""

    jail = Path()

    def absolute(self) -> Path:  # type: ignore[override]
        """Return the place of this path inside of the folder."""
        return self.jail.joinpath(*(part for part in self.parts if part not in ("/", "//", "..")))


class Options:
    """The options of a peer, as twistd reads them: ``NAME=VALUE`` words, an empty one, then arguments."""

    corpus: ClassVar[str] = "options"
    is_stream: ClassVar[bool] = False
    lasts: ClassVar[int] = 100
    plugin: ClassVar[str] = "p2pchat"

    def __init__(self) -> None:
        self._case = borrow(ProgramTestCase)
        jailed = type("Jailed", (_Jailed,), {"jail": self._case.folder / "jail"})
        for module in (state, keeping):
            self._case.patch(module, "Path", jailed)

    def take(self, pieces: list[bytes]) -> bool:
        """Read a command line in an environment, and let the program end."""
        words = [word.decode("utf-8", "surrogateescape") for word in b"".join(pieces).split(b"\0")]
        variables = list(itertools.takewhile(bool, words))
        return self.begin(words[len(variables) + 1 :], dict(map(_variable, variables)))

    def begin(self, arguments: list[str], environment: dict[str, str]) -> bool:
        """Read a command line; False where it was refused with a reason, or only help was asked for."""
        self._case.environment.clear()
        self._case.environment.update(environment)
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                self.check(self._case.begin("-n", self.plugin, *arguments).subOptions)
        except usage.UsageError as problem:
            self._check_refusal(str(problem))
        except SystemExit as ended:
            self._check_end(ended.code)
        else:
            return True
        finally:
            self._case.end_programs()
        return False

    def _check_refusal(self, text: str) -> None:
        """Assert that a refusal says something, and that twistd can print it."""
        assert text
        text.encode()

    def _check_end(self, code: object) -> None:
        """Assert that it was only help or the version that was asked for."""
        assert not code

    def check(self, options: object) -> None:
        """Assert that what was accepted can be used."""
        assert isinstance(options, tap.Options)
        own, settings = options.own, options.settings
        assert PeerId.parse(own).encode() == own.encode()
        assert settings.port is None or 0 <= settings.port <= 65535
        assert settings.advertise_port is None or 1 <= settings.advertise_port <= 65535
        assert 1 <= settings.registration_ttl_s <= 86400
        for address in (*settings.peers, *([settings.rendezvous] if settings.rendezvous else [])):
            assert address.host
            assert 1 <= address.port <= 65535

    def close(self) -> None:
        """Remove the folder."""
        assert self._case.sockets.opened == self._case.sockets.closed
        give_back(self._case)


class RendezvousOptions(Options):
    """The options of a rendezvous alone."""

    corpus: ClassVar[str] = "rendezvous-options"
    plugin: ClassVar[str] = "p2pchat-rendezvous"

    def check(self, options: object) -> None:
        """Assert that what was accepted can be used."""
        assert isinstance(options, rendezvous_tap.Options)
        assert 1 <= options.port <= 65535
        assert 1 <= options.timeout_s <= 10


def _variable(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value
