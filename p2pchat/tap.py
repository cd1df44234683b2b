"""``twistd p2pchat``: options, and the service that they make."""

from __future__ import annotations

import locale
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from twisted.application.service import IService, Service
from twisted.internet.error import ReactorNotRunning
from twisted.python import usage

from p2pchat import logfile
from p2pchat.addresses import Address, Reactor, TlsAddress
from p2pchat.console import past
from p2pchat.console.session import Session
from p2pchat.console.stdio import StdioConsole
from p2pchat.control.journal import Journal
from p2pchat.control.listening import ControlFactory, ControlService
from p2pchat.control.methods import Methods
from p2pchat.language import tr
from p2pchat.links.listener import DEFAULT_PORT
from p2pchat.node import Node
from p2pchat.options import (
    EnvironmentOptions,
    address,
    check_port_is_free,
    file,
    folder,
    interface,
    number,
    one_of,
    own,
)
from p2pchat.protocol.names import PeerId
from p2pchat.rendezvous.tls import read_authority
from p2pchat.settings import DEFAULT_NAMESPACE, SHARED_RENDEZVOUS, Settings
from p2pchat.state import Occupancy, claim_folder
from p2pchat.steady import steady
from p2pchat.store.database import MESSAGES_FILE, FileDatabase
from p2pchat.store.sqlite import KEEP_DAYS, SqliteStore
from p2pchat.store.threads import ReactorThreads
from p2pchat.supervision import Supervision
from p2pchat.terminal.service import TerminalConsole
from p2pchat.trust.allowed import read_allowed
from p2pchat.trust.cards import fingerprint
from p2pchat.trust.certificates import Certificates
from p2pchat.trust.keeping import IDENTITY_FILE, PEERS_FILE, keys_folder, load_identity
from p2pchat.trust.keys import Keys
from p2pchat.trust.namespacekey import NamespaceKey, load_namespace_key
from p2pchat.trust.pins import Pins
from p2pchat.trust.secretfile import KeysUnusable
from p2pchat.trust.trust import Rules

#: Unless told otherwise.
DEFAULT_TTL_S = 7200


class Options(EnvironmentOptions):
    """What ``twistd p2pchat`` takes."""

    synopsis = tr("[options]")
    longdesc = tr(
        "Chat between peers, without a chat server. Every option can also be given as an environment "
        "variable, P2PCHAT_NAME for --name and so on; the command line wins."
    )
    optParameters = [  # noqa: RUF012
        ["name", None, None, tr("Your name, 1 to 64 characters, without @ # * / or spaces. Required.")],
        [
            "namespace",
            None,
            None,
            tr("The group that you belong to, 1 to 64 characters. [default: {default}]").format(
                default=DEFAULT_NAMESPACE
            ),
        ],
        [
            "port",
            None,
            None,
            tr(
                "TCP port to listen on for peers, 1 to 65535, or 0 for any free one. [default: {default}, "
                "or a free one where that is taken]"
            ).format(default=DEFAULT_PORT),
        ],
        ["interface", None, None, tr("IP address to listen on. [default: all of this machine]")],
        [
            "advertise-port",
            None,
            None,
            tr("TCP port to register, 1 to 65535, where a router forwards one to you. [default: the port]"),
        ],
        [
            "rendezvous",
            None,
            None,
            tr(
                "HOST:PORT of the rendezvous server, tls:HOST:PORT where it speaks TLS, or none to use only "
                "--peer. [default: {default}, which one of the peers of this machine hosts where nobody "
                "answers]"
            ).format(default=SHARED_RENDEZVOUS),
        ],
        [
            "rendezvous-ca",
            None,
            None,
            tr(
                "PEM file with the certificates of who may sign for a rendezvous with tls:. [default: whom "
                "the system knows]"
            ),
        ],
        [
            "registration-ttl",
            None,
            None,
            tr("Seconds that a registration lasts, 1 to 86400. [default: {default}]").format(
                default=DEFAULT_TTL_S
            ),
        ],
        [
            "data-dir",
            None,
            None,
            tr(
                "Folder for what this peer keeps: log, pid file, keys, messages. [default: folders of its "
                "own under the state and data folders of the user]"
            ),
        ],
        [
            "history-days",
            None,
            None,
            tr("Days for which what is said is kept, 1 to 36500. [default: {default}]").format(
                default=KEEP_DAYS
            ),
        ],
        [
            "log-format",
            None,
            None,
            tr("How the log is written: text, or json with an object a line. [default: text]"),
        ],
        [
            "allow",
            None,
            None,
            tr(
                "File of a closed group: name@namespace a line, and its key behind it or not. [default: all "
                "may come]"
            ),
        ],
        [
            "namespace-key",
            None,
            None,
            tr(
                "File with the key of your namespace, as p2pchat namespace-key new makes it: what is said to "
                "all of it is sealed. [default: none, it is signed only]"
            ),
        ],
    ]
    optFlags = [  # noqa: RUF012
        [
            "no-courier",
            None,
            tr(
                "Keep no sealed messages for peers that are away, and give none of yours to others. "
                "[default: at most 16 MB, each for up to 48 hours] In the environment: yes or no."
            ),
        ],
        [
            "no-history",
            None,
            tr(
                "Keep only what delivery needs: messages without an outcome, and which ones were shown. "
                "[default: all that is said is kept] In the environment: yes or no."
            ),
        ],
        [
            "require-tls",
            None,
            tr(
                "Take no link without encryption, and send nothing over relays that cannot be sealed. "
                "[default: both happen, and are marked] In the environment: yes or no."
            ),
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.docs["peer"] = tr(
            "HOST:PORT of a peer to dial whatever the rendezvous says. May be repeated. [default: none]"
        )
        self["peers"] = []

    def opt_peer(self, text: str) -> None:
        """Take one of several addresses."""
        self["peers"].append(text)

    def postOptions(self) -> None:
        """Read all values, and give log and pid file their places.

        :raises UsageError: a value is wrong; the text says what would be right.
        """
        self.read_values()
        if self.settings.port:
            check_port_is_free("port", self.settings.port, self.settings.interface)
        given, own = self.given_folder, self.own
        try:
            claimed = self.claimed = claim_folder(
                self.twistd, given, own.namespace, own.name, label=str(own), choose="name"
            )
            logfile.install(self.twistd, claimed, self.log_format)
            place = keys_folder(given, own)
            self.is_first_start = not (place / IDENTITY_FILE).exists()
            self.own_keys = self._load_keys(place)
            self.messages = place / MESSAGES_FILE
        except KeysUnusable as problem:
            raise usage.UsageError(str(problem)) from None

    def read_values(self) -> None:
        """Read all values, and change nothing anywhere.

        :raises UsageError: a value is wrong; the text says what would be right.
        """
        name = self.read("name", own("name"), None)
        if name is None:
            raise usage.UsageError(tr("--name is required: who are you? For example: --name alice"))
        namespace = self.read("namespace", own("namespace"), DEFAULT_NAMESPACE)
        self.own = PeerId.of(name, namespace)
        self.settings = self._read_settings()
        self.given_folder = self.read("data-dir", folder, None)
        self.log_format = self.read("log-format", one_of(logfile.FORMATS), "text")
        self.keeps_history = not self.is_on("no-history")
        self.history_days = self.read("history-days", number(1, 36_500), KEEP_DAYS)
        try:
            self.namespace_key, self.rules = self._read_namespace_key(), self._read_rules()
        except KeysUnusable as problem:
            raise usage.UsageError(str(problem)) from None

    def _read_rules(self) -> Rules:
        allow = self.read("allow", file, None)
        return Rules(self.is_on("require-tls"), None if allow is None else read_allowed(allow))

    def _read_namespace_key(self) -> NamespaceKey | None:
        path = self.read("namespace-key", file, None)
        return None if path is None else load_namespace_key(path, self.own.namespace)

    def _load_keys(self, place: Path) -> Keys:
        identity = load_identity(place, self.own, os.urandom)
        return Keys(
            identity,
            Pins(place / PEERS_FILE),
            Certificates(identity),
            now_ms=now_ms,
            random_bytes=os.urandom,
            rules=self.rules,
            namespace_key=self.namespace_key,
        )

    def _read_settings(self) -> Settings:
        rendezvous = self.raw("rendezvous")
        settings = Settings(
            port=self.read("port", number(0, 65535), None),
            interface=self.read("interface", interface, ""),
            advertise_port=self.read("advertise-port", number(1, 65535), None),
            rendezvous=self.read("rendezvous", _address_or_none, SHARED_RENDEZVOUS),
            shared=rendezvous is None,
            registration_ttl_s=self.read("registration-ttl", number(1, 86400), DEFAULT_TTL_S),
            peers=tuple(self.parse("peer", text, address) for text in self._peers()),
            rendezvous_authority=self.read("rendezvous-ca", read_authority, None),
            courier=not self.is_on("no-courier"),
        )
        if settings.rendezvous_authority is not None and not isinstance(settings.rendezvous, TlsAddress):
            raise usage.UsageError(
                tr("--rendezvous-ca: the rendezvous is not asked over TLS; write tls:HOST:PORT")
            )
        return settings

    def _peers(self) -> list[str]:
        return self["peers"] or self.environment.get(self.variable("peer"), "").replace(",", " ").split()


def now_ms() -> int:
    """Return the time of day, in ms since 1970."""
    return time.time_ns() // 1_000_000


def _address_or_none(text: str) -> Address | None:
    if text.strip().lower() == "none":
        return None
    return TlsAddress.parse(text) if text.strip().startswith(TlsAddress.PREFIX) else address(text)


def makeService(options: Options, reactor: Reactor | None = None) -> IService:
    """Make the node, and its console where twistd stays in the foreground.

    :param reactor: the global one unless given; only here may it default.
    """
    if reactor is None:
        from twisted.internet import reactor as global_reactor

        reactor = cast(Reactor, steady(global_reactor))
    node = Node(
        reactor,
        options.own,
        options.settings,
        new_id=lambda: os.urandom(16).hex(),
        random=random.SystemRandom().random,
        timestamp=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        keys=options.own_keys,
        store=SqliteStore(
            FileDatabase(options.messages),
            ReactorThreads(reactor),
            now_ms=now_ms,
            clock_s=reactor.seconds,
            keeps_history=options.keeps_history,
            keep_days=options.history_days,
        ),
    )

    def quit_() -> None:
        # The signal that ends us may have come a moment before the user's /quit.
        with suppress(ReactorNotRunning):
            cast(Any, reactor).stop()

    def session(show: Callable[[str], None], quit: Callable[[], None], narrates: bool = True) -> Session:
        return Session(
            node,
            show=show,
            quit=quit,
            clock_time=lambda: datetime.now().astimezone().strftime("%H:%M:%S"),
            local_time=lambda ms: datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M"),
            set_log_level=logfile.set_level,
            narrates=narrates,
        )

    def greeting() -> list[str]:
        return _banner(node, options.twistd["logfile"], options.is_first_start)

    control = _add_control(node, options.claimed, reactor, session, quit_, greeting)
    if options.twistd["nodaemon"]:
        console = _console(reactor, lambda show: session(show, quit_), quit_, greeting)
        # A log that is written to the terminal would be written across its screen.
        if is_full_terminal(options.environment) and options.twistd["logfile"] != "-":
            console = TerminalConsole(reactor, options.claimed, control, otherwise=console, quit=quit_)
        console.setServiceParent(node)
    # Who closes the terminal wants us to end; who runs us without one has moved the log away.
    hung_up = quit_ if options.twistd["nodaemon"] and is_terminal(sys.__stdin__) else logfile.reopen
    Occupancy().setServiceParent(node)
    Supervision(reactor, hung_up, options.environment).setServiceParent(node)
    return node


def _add_control(
    node: Node,
    folder: Path,
    reactor: Reactor,
    session: Callable[[Callable[[str], None], Callable[[], None], bool], Session],
    quit_: Callable[[], None],
    greeting: Callable[[], list[str]],
) -> ControlService:
    journal = Journal(os.urandom(6).hex(), now_ms)
    node.listen(journal.add)
    control = ControlFactory(reactor, Methods(node, journal, quit_, greeting), journal, session)
    node.count(journal.sizes)
    node.count(control.sizes)
    service = ControlService(reactor, folder, control)
    service.setServiceParent(node)
    return service


def is_terminal(file: IO[str] | None) -> bool:
    """Whether a person is at our input or output, which may be closed."""
    return file is not None and not file.closed and file.isatty()


def is_full_terminal(environment: Mapping[str, str]) -> bool:
    """Whether a person types, reads, and has a terminal that can move its cursor."""
    can_move = environment.get("TERM", "") not in ("", "dumb", "unknown")
    return can_move and is_terminal(sys.__stdin__) and is_terminal(sys.__stdout__)


def _console(
    reactor: Reactor,
    session: Callable[[Callable[[str], None]], Session],
    quit_: Callable[[], None],
    greeting: Callable[[], list[str]],
) -> Service:
    # Where input or output was closed before we began (Python has None for it then), its number belongs
    # to something else by now, such as the reactor.
    return StdioConsole(
        reactor,
        banner=greeting,
        session=session,
        quit=quit_,
        encoding=locale.getpreferredencoding(False),
        stdin=0 if sys.__stdin__ else os.open(os.devnull, os.O_RDONLY),
        stdout=1 if sys.__stdout__ else os.open(os.devnull, os.O_WRONLY),
    )


def _banner(node: Node, log: str | None, is_first_start: bool) -> list[str]:
    settings = node.settings
    interface = settings.interface or tr("all addresses of this machine")
    rendezvous = settings.rendezvous or tr("none")
    shared = tr(", shared with the peers here") if settings.shared else ""
    return [
        tr("You are {peer}.").format(peer=node.own),
        tr("Port: {port} on {interface}.").format(port=node.switchboard.port, interface=interface),
        tr("Rendezvous: {rendezvous}{shared}.").format(rendezvous=rendezvous, shared=shared),
        tr("Key: {key}.").format(key=fingerprint(node.gate.keys.identity.key)),
        tr("Log: {path}.").format(path=log or tr("where twistd was told to write it")),
        tr("Type /help for all commands, /msg @bob hello to talk, /quit to leave."),
        *([past.kept(len(node.kept()))] if node.kept() else []),
        *(_greeting(node.own) if is_first_start else []),
    ]


def _greeting(own: PeerId) -> list[str]:
    forms = {
        "/peers": tr("who is here"),
        tr("/msg #{namespace} hello").format(namespace=own.namespace): tr("say it to all of your group"),
        "/verify bob": tr("make sure that nobody is between you and bob"),
    }
    width = max(map(len, forms))
    return [
        tr("Welcome! Three things to try:"),
        *(f"  {form:<{width}}  {does}" for form, does in forms.items()),
    ]
