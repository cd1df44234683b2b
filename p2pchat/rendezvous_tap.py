"""``twistd p2pchat-rendezvous``: our rendezvous server alone."""

from __future__ import annotations

from typing import cast

from twisted.application.service import IService

from p2pchat.addresses import Reactor
from p2pchat.language import tr
from p2pchat.options import EnvironmentOptions, check_port_is_free, folder, interface, number
from p2pchat.rendezvous.server import RendezvousServer
from p2pchat.rendezvous.tls import read_certificate
from p2pchat.state import claim_folder
from p2pchat.steady import steady

#: Unless told otherwise (docs/protocol.md, sections 6 and 7).
DEFAULT_PORT = 5000
DEFAULT_TIMEOUT_S = 1


class Options(EnvironmentOptions):
    """What ``twistd p2pchat-rendezvous`` takes."""

    synopsis = tr("[options]")
    longdesc = tr(
        "A rendezvous server: lists who is there, so that peers find each other. Every option can also "
        "be given as an environment variable, P2PCHAT_RENDEZVOUS_PORT for --port and so on; the command "
        "line wins."
    )
    prefix = "P2PCHAT_RENDEZVOUS_"

    optParameters = [  # noqa: RUF012
        [
            "port",
            None,
            None,
            tr("TCP port to listen on, 1 to 65535. [default: {default}]").format(default=DEFAULT_PORT),
        ],
        ["interface", None, None, tr("IP address to listen on. [default: all of this machine]")],
        [
            "request-timeout",
            None,
            None,
            tr("Seconds of silence that end a connection, 1 to 10. [default: {default}]").format(
                default=DEFAULT_TIMEOUT_S
            ),
        ],
        [
            "tls-certificate",
            None,
            None,
            tr(
                "PEM file with a private key and the certificates for it; the port then speaks TLS and "
                "nothing else. [default: none, plain TCP]"
            ),
        ],
        [
            "data-dir",
            None,
            None,
            tr("Folder for the pid file. [default: a folder of its own under the state folder of the user]"),
        ],
    ]

    def postOptions(self) -> None:
        """Read all values, and give the pid file its place.

        :raises UsageError: a value is wrong; the text says what would be right.
        """
        self.port = self.read("port", number(1, 65535), DEFAULT_PORT)
        self.interface = self.read("interface", interface, "")
        self.timeout_s = self.read("request-timeout", number(1, 10), DEFAULT_TIMEOUT_S)
        self.tls = self.read("tls-certificate", read_certificate, None)
        label = tr("The rendezvous on port {port}").format(port=self.port)
        given = self.read("data-dir", folder, None)
        # No namespace has an @, so no peer has the same folder.
        claim_folder(self.twistd, given, "@rendezvous", str(self.port), label=label, choose="port")
        check_port_is_free("port", self.port, self.interface)


def makeService(options: Options, reactor: Reactor | None = None) -> IService:
    """Make the server.

    :param reactor: the global one unless given.
    """
    if reactor is None:
        from twisted.internet import reactor as global_reactor

        reactor = cast(Reactor, steady(global_reactor))
    return RendezvousServer(reactor, options.port, options.interface, options.timeout_s, options.tls)
