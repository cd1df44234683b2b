"""An internet of one's own: hosts on a public segment, and homes behind routers with NAT.

::

    segment              a bridge, 203.0.113.0/24
      host .1, host .2   everybody can reach them
      router .3          masquerades, and lets nobody in who was not called
        home 192.168.1.2     the same in every home, as in real life

Every box is a `Machine`: nothing is changed outside of them, and nothing is left when they end.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import SkipTest

from tests.system.machine import DEADLINE_S, PATH, Machine, Process

#: Seconds of silence that show that nobody is there: two packets were sent by then and none came back.
#: Where somebody is, the answer takes milliseconds.
SILENCE_S = 2.0

#: What is needed beyond a `Machine`, and the package that has it.
_PACKAGES = {"ip": "iproute2", "iptables": "iptables"}

#: The first of these speaks to the new tables of the kernel or to the old ones; not every kernel has both.
_VARIANTS = ("iptables", "iptables-nft", "iptables-legacy")

_SEGMENT = "ip link add segment type bridge && ip link set segment up"

_NAT = """
echo 1 > /proc/sys/net/ipv4/ip_forward
{iptables} -w -t nat -A POSTROUTING -o eth0 -j MASQUERADE
{iptables} -w -P FORWARD DROP
{iptables} -w -A FORWARD -i lan -o eth0 -j ACCEPT
{iptables} -w -A FORWARD -i eth0 -o lan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
"""

#: Without this the router itself answers that its port is closed.
_SILENT = "{iptables} -w -A INPUT -i eth0 -m conntrack --ctstate NEW -j DROP\n"

_KNOCK = """
import json, socket, sys
hello = {"type": "HELLO", "peer_id": "stranger@lobby", "version": "1.0", "features": [], "ttl": 1}
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as connection:
        connection.sendall(json.dumps(hello).encode() + b"\\n")
        print("answer:", json.loads(connection.makefile().readline())["peer_id"])
except OSError as problem:
    print("answer: none,", problem)
"""


class Host(Machine):
    """A machine with one cable, ``eth0``. An `Internet` makes and ends it.

    :param address: on that cable.
    """

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.address = address

    def plug_in(self, there: Machine, port: str, more: str = "") -> None:
        """Lay the cable.

        :param port: what its other end is called.
        :param more: what else is set there.
        """
        there.do(
            f"ip link add {port} type veth peer name eth0 netns {self.pid}; ip link set {port} up {more}"
        )
        self.do(f"ip address add {self.address}/24 dev eth0; ip link set eth0 up")

    def knock(self, address: str, within_s: float = DEADLINE_S) -> Process:
        """Dial a peer. Prints after ``answer:`` the peer_id of who is there, or ``none`` and why."""
        return self.run(sys.executable, "-c", _KNOCK, address, "7070", str(within_s))


class Internet:
    """All boxes and cables. A test makes and ends it.

    :param folder: the home of every host: none of them looks at what another has there.
    :param iptables: by which name it works here.
    """

    def __init__(self, folder: Path, iptables: str) -> None:
        self._folder = folder
        self._iptables = iptables
        self._numbers = itertools.count(1)
        self._segment = Machine(folder, _SEGMENT)
        self._machines = [self._segment]

    def host(self) -> Host:
        """Add a host that everybody can reach."""
        host = self._add(f"203.0.113.{next(self._numbers)}")
        # The port is named like who is behind it.
        host.plug_in(self._segment, host.address, "master segment")
        return host

    def router(self, *, silent: bool) -> Host:
        """Add a router with NAT.

        :param silent: who dials it gets no answer.
        """
        router = self.host()
        rules = _NAT + (_SILENT if silent else "")
        router.do(rules.format(iptables=self._iptables))
        return router

    def home(self, router: Host) -> Host:
        """Add the host behind a router."""
        home = self._add("192.168.1.2")
        home.plug_in(router, "lan")
        router.do("ip address add 192.168.1.1/24 dev lan")
        home.do("ip route add default via 192.168.1.1")
        return home

    def lose(self, host: Host) -> None:
        """Cut the cable of a public host: it goes silent, and nobody is told that it did."""
        self._segment.do(f"ip link set {host.address} down")

    def clean_up(self) -> None:
        """End everything, hosts first."""
        for machine in reversed(self._machines):
            machine.clean_up()

    def _add(self, address: str) -> Host:
        host = Host(self._folder, address)
        self._machines.append(host)
        return host


class Unavailable(Exception):
    """There can be no such internet here; the text says why, and what to do."""


class NotInstalled(Unavailable):
    """A program is missing that root can install."""


def require_iptables() -> str:
    """Return a name by which iptables works here; where there is none, skip the test that asks.

    In CI the test fails, since a test that never runs holds nothing, and so it does where root has
    only to install something.
    """
    try:
        return find_iptables()
    except Unavailable as problem:
        if os.environ.get("CI") or isinstance(problem, NotInstalled):
            raise AssertionError(str(problem)) from None
        raise SkipTest(str(problem)) from None


@functools.cache
def find_iptables() -> str:
    """Return a name by which iptables works here, tried with all that an `Internet` consists of.

    :raises Unavailable: there is none.
    """
    if os.geteuid() != 0:
        raise Unavailable(
            "only root can build networks with NAT: sudo .venv/bin/pytest tests/system/test_nat.py"
        )
    missing = [package for tool, package in _PACKAGES.items() if shutil.which(tool, path=PATH) is None]
    if missing:
        raise NotInstalled(f"networks with NAT need programs: apt-get install {' '.join(missing)}")
    problems = []
    for name in _VARIANTS:
        problem = _problem_with(name)
        if problem is None:
            return name
        problems.append(problem)
    # Where it is not about iptables, all say the same.
    raise Unavailable("\n".join(["no network with NAT can be built here:", *dict.fromkeys(problems)]))


def _problem_with(iptables: str) -> str | None:
    """Try a name of iptables; return what goes wrong."""
    with tempfile.TemporaryDirectory(prefix="p2pchat-") as folder:
        try:
            internet = Internet(Path(folder), iptables)
            try:
                internet.home(internet.router(silent=True))
            finally:
                internet.clean_up()
        except AssertionError as problem:
            return str(problem)
    return None
