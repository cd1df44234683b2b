"""What the plugins of twistd need before they start: its options, an environment, a state folder."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import platformdirs
from twisted.logger import LogLevel, LogLevelFilterPredicate
from twisted.python import usage
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import logfile, rendezvous_tap, state, tap
from p2pchat import options as options_module
from p2pchat.options import EnvironmentOptions


class Twistd(ServerOptions):
    """The options of twistd itself, with our two plugins and without a search for others."""

    subCommands = [  # noqa: RUF012
        ["p2pchat", None, tap.Options, "A peer."],
        ["p2pchat-rendezvous", None, rendezvous_tap.Options, "A rendezvous."],
    ]


class Sockets:
    """In the place of the module `socket`: a machine with the addresses 127.0.0.1 and ::1."""

    AF_INET = socket.AF_INET
    AF_INET6 = socket.AF_INET6
    SOL_SOCKET = socket.SOL_SOCKET
    SO_REUSEADDR = socket.SO_REUSEADDR

    def __init__(self) -> None:
        #: Ports that somebody listens on.
        self.taken: set[int] = set()
        self.opened = self.closed = 0

    def socket(self, family: int) -> Sockets:
        """Make a socket; all are the same."""
        self._addresses = ("::1", "::") if family == self.AF_INET6 else ("", "127.0.0.1", "0.0.0.0")
        self.opened += 1
        return self

    def setsockopt(self, *option: int) -> None:
        """Nothing depends on options here."""

    def bind(self, address: tuple[str, int]) -> None:
        """Bind to an address of this machine."""
        host, port = address
        if host not in self._addresses:
            raise OSError(99, "Cannot assign requested address")
        if port in self.taken:
            raise OSError(98, "Address already in use")
        if 0 < port < 1024:
            raise OSError(13, "Permission denied")

    def listen(self, backlog: int) -> None:
        """Listen for nobody."""

    def __enter__(self) -> Sockets:
        return self

    def __exit__(self, *problem: object) -> None:
        self.closed += 1


class ProgramTestCase(SynchronousTestCase):
    """Programs that would start in an empty folder, with an empty environment."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.state = self.folder / "state"
        self.environment: dict[str, str] = {}
        self.patch(EnvironmentOptions, "environment", self.environment)
        self.patch(platformdirs, "user_state_path", self.state.joinpath)
        self.data = self.folder / "share"
        self.patch(platformdirs, "user_data_path", self.data.joinpath)
        self.patch(state, "_locks", [])
        self.patch(logfile, "_path", Path("p2pchat.log"))
        self.patch(logfile, "_format", "text")
        self.patch(logfile, "_file", None)
        self.patch(logfile, "_predicate", LogLevelFilterPredicate(defaultLogLevel=LogLevel.info))
        self.addCleanup(self.end_programs)
        self.sockets = Sockets()
        self.patch(options_module, "socket", self.sockets)

    def end_programs(self) -> None:
        """Let all programs that began end, with or without having removed their files."""
        while state._locks:
            os.close(state._locks.pop())

    def begin(self, *arguments: str) -> Twistd:
        """Read a command line of twistd, as it does before it starts."""
        twistd = Twistd()
        twistd.parseOptions(arguments)
        return twistd

    def peer(self, *arguments: str, name: str = "alice") -> tap.Options:
        """Read the options of a peer in the foreground."""
        options = self.begin("-n", "p2pchat", "--name", name, *arguments).subOptions
        assert isinstance(options, tap.Options)
        return options

    def rendezvous(self, *arguments: str) -> rendezvous_tap.Options:
        """Read the options of a rendezvous in the foreground."""
        options = self.begin("-n", "p2pchat-rendezvous", *arguments).subOptions
        assert isinstance(options, rendezvous_tap.Options)
        return options

    def refused(self, *arguments: str) -> str:
        """Assert that a command line is refused; return what the user is told."""
        return str(self.assertRaises(usage.UsageError, self.begin, *arguments))
