"""Whether a peer would do well: what can be seen before it starts."""

from __future__ import annotations

import ipaddress
import locale
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol
from twisted.python import usage

import twisted
from p2pchat import __version__
from p2pchat.addresses import Address, Reactor, client_endpoint, is_of_this_machine, why_not_connected
from p2pchat.console.rendering import names
from p2pchat.control.client import Client, NotRunning, Refused
from p2pchat.language import ntr, tr
from p2pchat.links.listener import DEFAULT_PORT
from p2pchat.options import check_port_is_free
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.client import NobodyThere, RendezvousClient, RendezvousError
from p2pchat.rendezvous.listing import Entry
from p2pchat.settings import Settings
from p2pchat.state import state_folder
from p2pchat.tap import Options, is_full_terminal
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.identity import Identity
from p2pchat.trust.keeping import IDENTITY_FILE, keys_folder, read_secrets
from p2pchat.trust.secretfile import KeysUnusable

#: Peers of the rendezvous that are dialled: enough to see whether dialling works at all.
MAX_DIALLED = 8

#: Seconds until a peer that does not answer counts as one that cannot be dialled.
DIAL_S = 5.0

#: Seconds that the system may take to tell about its clock.
CLOCK_S = 2.0


#: What is looked at, as it is told to people.
ABOUT = {
    "programs": tr("programs"),
    "folder": tr("folder"),
    "key": tr("key"),
    "port": tr("port"),
    "terminal": tr("terminal"),
    "clock": tr("clock"),
    "peer": tr("peer"),
    "rendezvous": tr("rendezvous"),
    "name": tr("name"),
    "outside": tr("from outside"),
    "peers": tr("peers"),
}


@attrs.frozen
class Finding:
    """What one check found.

    :param about: what was looked at: a word of `ABOUT`, or an option as it was given.
    :param is_well: None: it could not be checked, or there is nothing to check.
    :param text: what is so, and what to do.
    """

    about: str
    is_well: bool | None
    text: str


class Doctor:
    """Looks at one thing after another.

    :param options: those that the peer would have.
    """

    def __init__(self, reactor: Reactor, options: Options) -> None:
        self._reactor = reactor
        self._options = options
        self._own: PeerId = options.own
        self._settings: Settings = options.settings
        given = options.given_folder
        self._folder = Path(given).absolute() if given else state_folder(self._own.namespace, self._own.name)

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is found, as soon as it is."""
        yield _programs()
        running = list(self._running())
        for finding in running or self._before_the_start():
            yield finding
        yield _clock(_is_synchronised)
        if running:
            return  # it knows more of the network than could be seen from here
        entries: list[Entry] = []
        asked = await self._rendezvous(entries)
        yield asked
        yield self._name(entries, bool(asked.is_well))
        yield self._outside()
        async for finding in self._peers(entries):
            yield finding

    # The machine.

    def _running(self) -> Iterator[Finding]:
        """Yield what a peer says that runs already; nothing where none does."""
        about = "peer"
        try:
            with Client(self._folder) as client:
                status = client.ask("status")
        except (NotRunning, Refused):
            return
        yield Finding(
            about, None, tr("{peer} runs already; this is what it says").format(peer=status["peer_id"])
        )
        for trouble in status["troubles"]:
            yield Finding(about, False, trouble)
        if not status["troubles"]:
            yield Finding(about, True, tr("it sees no trouble"))

    def _before_the_start(self) -> Iterator[Finding]:
        yield _place(self._folder)
        yield self._identity()
        yield self._port()
        yield self._terminal()

    def _identity(self) -> Finding:
        about = "key"
        path = keys_folder(self._options.given_folder, self._own) / IDENTITY_FILE
        try:
            identity = Identity(self._own, read_secrets(path))
        except FileNotFoundError:
            return Finding(about, True, tr("none yet; the first start makes one"))
        except KeysUnusable as problem:
            return Finding(about, False, str(problem))
        return Finding(about, True, fingerprint(identity.key))

    def _port(self) -> Finding:
        about, settings = "port", self._settings
        port = DEFAULT_PORT if settings.port is None else settings.port
        try:
            check_port_is_free("port", port, settings.interface)
        except usage.UsageError as problem:
            if settings.port is not None:
                return Finding(about, False, str(problem))
            return Finding(about, True, tr("{port} is taken, so any free one is used").format(port=port))
        if not port:
            return Finding(about, True, tr("any free one is used"))
        return Finding(about, True, tr("{port} is free").format(port=port))

    def _terminal(self) -> Finding:
        about = "terminal"
        if not is_full_terminal(self._options.environment):
            return Finding(about, None, tr("none that can move its cursor; there would be plain lines"))
        encoding = locale.getpreferredencoding(False)
        if encoding.lower().replace("-", "") != "utf8":
            text = tr(
                "its encoding is {encoding}, so many letters cannot be shown; set LANG, for example C.UTF-8"
            )
            return Finding(about, False, text.format(encoding=encoding))
        return Finding(about, True, encoding)

    # The network.

    async def _rendezvous(self, entries: list[Entry]) -> Finding:
        """Ask who is there; those who are go into *entries*."""
        about, settings = "rendezvous", self._settings
        address = settings.rendezvous
        if address is None:
            return Finding(about, None, tr("none is used; only --peer links"))
        try:
            entries += await RendezvousClient(
                self._reactor, address, settings.rendezvous_authority
            ).discover()
        except NobodyThere as problem:
            if settings.shared:
                text = tr("nobody answers at {address}, so this peer would host it")
                return Finding(about, True, text.format(address=address))
            return self._no_rendezvous(about, address, problem)
        except RendezvousError as problem:
            return self._no_rendezvous(about, address, problem)
        text = ntr("{address} lists {n} peer", "{address} lists {n} peers", len(entries))
        return Finding(about, True, text.format(address=address, n=len(entries)))

    @staticmethod
    def _no_rendezvous(about: str, address: Address, problem: RendezvousError) -> Finding:
        text = tr(
            "{address} does not work: {why}. See whether your network does, whether --rendezvous is right, "
            "and whether the server runs. --peer HOST:PORT links without it"
        )
        return Finding(about, False, text.format(address=address, why=problem))

    def _name(self, entries: list[Entry], is_known: bool) -> Finding:
        about = "name"
        if not is_known:
            return Finding(about, None, tr("nobody tells whether somebody else has it"))
        there = [entry.address for entry in entries if entry.peer_id == self._own]
        if not there:
            return Finding(about, True, str(self._own))
        text = tr(
            "{peer} is registered at {address} already: another peer has your name, or it is an old entry, "
            "which goes away by itself. With the same name both would get each other's messages"
        )
        is_old = all(is_of_this_machine(address.host) for address in there)
        return Finding(about, None if is_old else False, text.format(peer=self._own, address=there[0]))

    def _outside(self) -> Finding:
        about = "outside"
        address = self._settings.rendezvous
        ours = None if address is None else _own_address(address)
        if ours is None or address is None or ours.is_global or _is_near(address.host):
            text = tr("whether others can dial this port is seen once it runs: /status tells")
            return Finding(about, None, text)
        text = tr(
            "this machine is {address} in its own network, so a router stands before it. Others can dial it "
            "only if the router passes TCP port {port} on to it; where it is another port outside, name that "
            "with --advertise-port. Without that, peers that you can dial pass your messages on"
        )
        return Finding(about, None, text.format(address=ours, port=self._settings.port or DEFAULT_PORT))

    async def _peers(self, entries: list[Entry]) -> AsyncIterator[Finding]:
        """Yield who can be dialled: those of the user's each, of those that are listed how many."""
        fixed = self._settings.peers
        listed = [entry for entry in entries if entry.peer_id != self._own][:MAX_DIALLED]
        addresses = [*fixed, *(entry.address for entry in listed)]
        problems = await _all([self._dial(address) for address in addresses])
        for address, problem in zip(fixed, problems, strict=False):
            text = tr("a connection could be made") if problem is None else problem
            yield Finding(f"--peer {address}", problem is None, text)
        if not listed:
            return
        lost = [
            entry.peer_id
            for entry, problem in zip(listed, problems[len(fixed) :], strict=True)
            if problem is not None
        ]
        told = tr("connections could be made to {n} of {tried}").format(
            n=len(listed) - len(lost), tried=len(listed)
        )
        if lost:
            told += tr("; not to {peers}: they may have gone, or be behind a router").format(
                peers=names(lost)
            )
        yield Finding("peers", len(lost) < len(listed), told)

    async def _dial(self, address: Address) -> str | None:
        """Make a connection and close it; return why it could not be made."""
        connecting = client_endpoint(self._reactor, address).connect(Factory.forProtocol(Protocol))
        connecting.addTimeout(DIAL_S, self._reactor)
        try:
            there = await connecting
        except (DeferredTimeout, ConnectingCancelledError):
            return tr("no answer within {seconds:.0f} s").format(seconds=DIAL_S)
        except Exception as problem:  # whatever it is, it is what the user asked for
            return why_not_connected(problem)
        cast(Any, there).transport.abortConnection()
        return None


def _programs() -> Finding:
    text = f"p2pchat {__version__}, Python {sys.version.split()[0]}, Twisted {twisted.__version__}"
    return Finding("programs", True, text)


def _place(folder: Path) -> Finding:
    """Look whether a folder can be written to, or be made."""
    about = "folder"
    there = next(place for place in (folder, *folder.parents) if _exists(place))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        text = tr("{folder} cannot be written to; choose another with --data-dir")
        return Finding(about, False, text.format(folder=there))
    return Finding(about, True, str(folder))


def _exists(place: Path) -> bool:
    """Whether there is something, or nobody lets us look."""
    try:
        return place.exists()
    except OSError:
        return True


def _clock(is_synchronised: Callable[[], bool | None]) -> Finding:
    about = "clock"
    match is_synchronised():
        case True:
            return Finding(about, True, tr("the system keeps it right"))
        case False:
            text = tr("the system does not keep it right: timedatectl set-ntp true")
            return Finding(about, False, text)
    return Finding(about, None, tr("the system does not tell; once peers are linked, /status compares"))


def _is_synchronised() -> bool | None:
    """Ask the system whether it sets its clock by the network; None where it does not know."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=CLOCK_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(said.strip())


def _own_address(there: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address of this machine that it would have towards another; no packet is sent."""
    try:
        number = ipaddress.ip_address(there.host)
        kind = socket.AF_INET if number.version == 4 else socket.AF_INET6
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect((there.host, there.port))
            return ipaddress.ip_address(probe.getsockname()[0])
    except (OSError, ValueError):  # a name, which is not looked up for this
        return None


def _is_near(host: str) -> bool:
    """Whether a number is one of a network without routers in between, as far as it tells."""
    return ipaddress.ip_address(host).is_private


async def _all(questions: list[Coroutine[Deferred[Any], Any, str | None]]) -> list[str | None]:
    """Wait for all at once."""
    asked = [Deferred.fromCoroutine(question) for question in questions]
    return [answer for _, answer in await DeferredList(asked)]
