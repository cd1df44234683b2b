"""``twistd p2pchat``: options, and the service that they make."""

from __future__ import annotations

import locale
import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning
from twisted.python import usage

from p2pchat import logfile
from p2pchat.addresses import Address, Reactor
from p2pchat.console.session import Session
from p2pchat.console.stdio import StdioConsole
from p2pchat.links.listener import DEFAULT_PORT
from p2pchat.node import Node
from p2pchat.options import EnvironmentOptions, address, check_port_is_free, folder, interface, number
from p2pchat.protocol.names import PeerId, check_own
from p2pchat.settings import SHARED_RENDEZVOUS, Settings
from p2pchat.state import claim_folder
from p2pchat.steady import steady

#: Unless told otherwise.
DEFAULT_NAMESPACE = "lobby"
DEFAULT_TTL_S = 7200


class Options(EnvironmentOptions):
    """What ``twistd p2pchat`` takes."""

    synopsis = "[options]"
    longdesc = (
        "Chat between peers, without a chat server. Every option can also be given as an environment "
        "variable, P2PCHAT_NAME for --name and so on; the command line wins."
    )
    optParameters = [  # noqa: RUF012
        ["name", None, None, "Your name, 1 to 64 characters, without @ # * / or spaces. Required."],
        [
            "namespace",
            None,
            None,
            f"The group that you belong to, 1 to 64 characters. [default: {DEFAULT_NAMESPACE}]",
        ],
        [
            "port",
            None,
            None,
            f"TCP port to listen on for peers, 1 to 65535, or 0 for any free one. [default: {DEFAULT_PORT}, "
            "or a free one where that is taken]",
        ],
        ["interface", None, None, "IP address to listen on. [default: all of this machine]"],
        [
            "advertise-port",
            None,
            None,
            "TCP port to register, 1 to 65535, where a router forwards one to you. [default: the port]",
        ],
        [
            "rendezvous",
            None,
            None,
            "HOST:PORT of the rendezvous server, or none to use only --peer. [default: "
            f"{SHARED_RENDEZVOUS}, which one of the peers of this machine hosts where nobody answers]",
        ],
        [
            "registration-ttl",
            None,
            None,
            f"Seconds that a registration lasts, 1 to 86400. [default: {DEFAULT_TTL_S}]",
        ],
        [
            "data-dir",
            None,
            None,
            "Folder for what this peer keeps: log and pid file. [default: a folder of its own under the "
            "state folder of the user]",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["peers"] = []

    def opt_peer(self, text: str) -> None:
        """HOST:PORT of a peer to dial whatever the rendezvous says. May be repeated. [default: none]"""
        self["peers"].append(text)

    def postOptions(self) -> None:
        """Read all values, and give log and pid file their places.

        :raises UsageError: a value is wrong; the text says what would be right.
        """
        name = self.read("name", lambda text: check_own("name", text), None)
        if name is None:
            raise usage.UsageError("--name is required: who are you? For example: --name alice")
        namespace = self.read("namespace", lambda text: check_own("namespace", text), DEFAULT_NAMESPACE)
        self.own = PeerId.of(name, namespace)
        self.settings = self._read_settings()
        given = self.read("data-dir", folder, None)
        claimed = claim_folder(self.twistd, given, namespace, name, label=str(self.own), choose="name")
        logfile.install(self.twistd, claimed)

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
        )
        if settings.port:
            check_port_is_free("port", settings.port, settings.interface)
        return settings

    def _peers(self) -> list[str]:
        return self["peers"] or self.environment.get(self.variable("peer"), "").replace(",", " ").split()


def _address_or_none(text: str) -> Address | None:
    return None if text.strip().lower() == "none" else address(text)


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
    )
    if options.twistd["nodaemon"]:
        _add_console(node, options, reactor)
    return node


def _add_console(node: Node, options: Options, reactor: Any) -> None:
    def quit_() -> None:
        # The signal that ends us may have come a moment before the user's /quit.
        with suppress(ReactorNotRunning):
            reactor.stop()

    def session(show: Callable[[str], None]) -> Session:
        return Session(
            node,
            show=show,
            quit=quit_,
            clock_time=lambda: datetime.now().astimezone().strftime("%H:%M:%S"),
            set_log_level=logfile.set_level,
        )

    # Where input or output was closed before we began (Python has None for it then), its number belongs
    # to something else by now, such as the reactor.
    console = StdioConsole(
        reactor,
        banner=lambda: _banner(node, options.twistd["logfile"]),
        session=session,
        quit=quit_,
        encoding=locale.getpreferredencoding(False),
        stdin=0 if sys.__stdin__ else os.open(os.devnull, os.O_RDONLY),
        stdout=1 if sys.__stdout__ else os.open(os.devnull, os.O_WRONLY),
    )
    console.setServiceParent(node)


def _banner(node: Node, log: str | None) -> list[str]:
    settings = node.settings
    return [
        f"You are {node.own}.",
        f"Port: {node.switchboard.port} on {settings.interface or 'all addresses of this machine'}.",
        f"Rendezvous: {settings.rendezvous or 'none'}{', shared with the peers here' * settings.shared}.",
        f"Log: {log or 'where twistd was told to write it'}.",
        "Type /help for all commands, /msg @bob hello to talk, /quit to leave.",
    ]
