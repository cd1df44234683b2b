"""Programs at the control socket of a node, without a socket."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.testing import StringTransport

from p2pchat.console.session import Session
from p2pchat.control import listening
from p2pchat.control.journal import Journal
from p2pchat.control.listening import ControlFactory
from p2pchat.control.methods import Methods
from tests.console.users import ConsoleTestCase, User
from tests.keys import NOON_MS


class Desk:
    """The control socket of a user's node."""

    def __init__(self, user: User) -> None:
        self.node = user.node
        self.stops = 0
        self.journal = Journal("run", lambda: NOON_MS)
        user.node.listen(self.journal.add)
        self.factory = ControlFactory(
            user.villager.host,
            Methods(user.node, self.journal, self._stop, lambda: ["Welcome!"]),
            self.journal,
            self._session,
        )
        #: Who connects.
        self.user = os.getuid()
        listening.peer_user = lambda transport: self.user  # the test case puts it back

    def _stop(self) -> None:
        self.stops += 1

    def _session(self, show: Any, quit: Any, narrates: bool) -> Session:
        return Session(
            self.node,
            show=show,
            quit=quit,
            local_time=lambda ms: f"at {ms}",
            clock_time=lambda: "12:34:56",
            set_log_level=lambda level: None,
            narrates=narrates,
        )

    def client(self) -> Client:
        """Connect a program."""
        return Client(self.factory)


class Client:
    """A program that is connected."""

    def __init__(self, factory: ControlFactory) -> None:
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        self.protocol = protocol
        self.transport = StringTransport()
        self._ids = 0
        protocol.makeConnection(self.transport)

    def gets(self) -> list[dict[str, Any]]:
        """Return what came since the last time."""
        raw = self.transport.value()
        self.transport.clear()
        return [json.loads(line) for line in raw.splitlines()]

    def says(self, raw: bytes) -> list[dict[str, Any]]:
        """Send bytes; return what comes at once."""
        self.protocol.dataReceived(raw)
        return self.gets()

    def asks(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """Ask for something; return what comes at once."""
        self._ids += 1
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}
        return self.says(json.dumps(request).encode() + b"\n")

    def result(self, method: str, **params: Any) -> Any:
        """Ask for something that is answered at once and well; return the result."""
        [answer] = self.asks(method, **params)
        return answer["result"]

    def error(self, method: str, **params: Any) -> Any:
        """Ask for something that is refused at once; return the error."""
        [answer] = self.asks(method, **params)
        return answer["error"]


class ControlTestCase(ConsoleTestCase):
    """Two users who are linked, and a program at the node of the first."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.meet("alice", "bob")
        self.patch(listening, "peer_user", listening.peer_user)
        self.desk = Desk(self.alice)
        self.client = self.desk.client()
