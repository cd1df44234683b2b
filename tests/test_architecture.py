"""The floors of the house: imports point downward only (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

HOUSE = Path(__file__).resolve().parent.parent / "p2pchat"

#: The floor of each room. A room imports from lower floors and from itself, nothing else.
FLOORS = {
    "protocol": 0,
    "language": -1,
    "addresses": 0,
    "allowance": 0,
    "backoff": 0,
    "ticking": 0,
    "links": 1,
    "routing": 1,
    "rendezvous": 1,
    "store": 1,
    "events": 2,
    "settings": 2,
    "trust": 2,
    "casts": 2,
    "telling": 3,
    "loads": 3,
    "gate": 3,
    "node": 4,
    "console": 5,
    "logfile": 5,
    "options": 5,
    "state": 5,
    "steady": 5,
    "supervision": 5,
    "control": 6,
    "simulation": 6,
    "testing": 7,
    "terminal": 7,
    "control_command": 7,
    "keys_command": 6,
    "simulate_command": 7,
    "attach_command": 8,
    "export_command": 8,
    "doctor": 9,
    "doctor_command": 10,
    "command": 11,
    "__main__": 12,
    "rendezvous_tap": 8,
    "tap": 8,
}

#: Rooms that may see less than all that is below them: events and settings are values alone.
ONLY = {"events": {"protocol", "addresses"}, "settings": {"protocol", "addresses"}}

#: The modules that may default the reactor, one for each plugin of twistd.
MAY_HAVE_REACTOR = ("p2pchat.tap", "p2pchat.rendezvous_tap")

#: Printed by a fresh interpreter that imported every module of the package in its first argument:
#: what it loaded that can touch the network or is the reactor.
LOADED_BY = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
forbidden = "reactor base posixbase abstract tcp udp ssl unix process endpoints asyncioreactor".split()
print(*sorted({"twisted.internet." + name for name in forbidden} & set(sys.modules)))
"""


def imports_of(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that *tree* imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            package = parts if is_package else parts[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def room_of(name: str) -> str | None:
    """The room that a dotted name is in; None for what is outside, or the bare package."""
    parts = name.split(".")
    return parts[1] if parts[0] == "p2pchat" and len(parts) > 1 and parts[1] in FLOORS else None


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Say what is wrong with the imports of a module, one line each."""
    wrong = []
    own = room_of(module)
    for line, name in imports_of(ast.parse(source), module, is_package):
        if (name + ".").startswith("twisted.internet.reactor.") and module not in MAY_HAVE_REACTOR:
            wrong.append(f"{module}:{line} imports the global reactor")
        room = room_of(name)
        if room is None or room == own:
            continue
        if own is None:
            wrong.append(f"{module}:{line} is in no room, and imports {name}")
        elif FLOORS[room] >= FLOORS[own] or room not in ONLY.get(own, {room}):
            wrong.append(f"{module}:{line} ({own}) imports {name} ({room})")
    return wrong


def modules() -> Iterator[tuple[Path, str, bool]]:
    """Yield path, dotted name and whether it is a package, for every module of the house."""
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield path, ".".join(parts[:-1] if is_package else parts), is_package


class HouseTests(SynchronousTestCase):
    """The modules as they are."""

    def test_every_module_has_a_floor(self) -> None:
        """Every module is in a room, and every room has a floor."""
        names = [name for _, name, _ in modules()]
        self.assertIn("p2pchat.protocol.codec", names)
        self.assertEqual([name for name in names if name != "p2pchat" and room_of(name) is None], [])

    def test_imports_point_downward(self) -> None:
        """No module imports from its own floor or from above, nor, but for the taps, the global reactor."""
        wrong = [
            problem
            for path, name, is_package in modules()
            for problem in wrong_imports(path.read_text(encoding="utf-8"), name, is_package)
        ]
        self.assertEqual(wrong, [])

    def test_the_map_is_complete(self) -> None:
        """The table in docs/architecture.md names every module, in its room."""
        page = (HOUSE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
        named, room = set(), ""
        for cells in (line.split("|") for line in page.splitlines() if line.startswith("|")):
            room = cells[1].strip(" `").removeprefix("p2pchat/") if cells[1].strip() else room
            named |= {room + name.strip(" `") for name in cells[2].split(",")}
        there = {str(path.relative_to(HOUSE)) for path, _, is_package in modules() if not is_package}
        self.assertEqual(there - named, set())

    def assert_loads_no_network(self, package: str) -> None:
        """Assert that importing all of *package* loads neither the reactor nor a transport."""
        loaded = subprocess.run(
            [sys.executable, "-c", LOADED_BY, package],
            cwd=HOUSE.parent,
            capture_output=True,
            check=False,
            text=True,
        )
        self.assertEqual((loaded.stdout.strip(), loaded.stderr, loaded.returncode), ("", "", 0))

    def test_protocol_loads_no_network(self) -> None:
        """The protocol does no I/O: it loads neither the reactor nor a transport."""
        self.assert_loads_no_network("p2pchat.protocol")

    def test_routing_loads_no_network(self) -> None:
        """Routing decides and does no I/O: it loads neither the reactor nor a transport."""
        self.assert_loads_no_network("p2pchat.routing")


class RuleTests(SynchronousTestCase):
    """The rules themselves, on modules that are made up."""

    def test_downward_is_right(self) -> None:
        """A room imports from lower floors, from itself and from outside."""
        for module, source in (
            ("p2pchat.links.link", "from p2pchat.protocol.codec import decode"),
            ("p2pchat.links.link", "from p2pchat import backoff, __version__"),
            ("p2pchat.links.link", "from p2pchat.links.keepalive import KeepAlive\nimport attrs"),
            ("p2pchat.links.link", "from . import keepalive\nfrom ..protocol import codec"),
            ("p2pchat.node", "import p2pchat.events, p2pchat.routing.router"),
            ("p2pchat.tap", "from twisted.internet import reactor"),
            ("p2pchat.links.link", "from twisted.internet import reactors, defer"),
        ):
            self.assertEqual(wrong_imports(source, module), [], source)

    def test_up_and_sideways_are_wrong(self) -> None:
        """An import from above or from beside is found, however it is written."""
        for module, source in (
            ("p2pchat.protocol.codec", "import p2pchat.links.link"),
            ("p2pchat.protocol.codec", "from p2pchat import backoff"),
            ("p2pchat.links.link", "from p2pchat.routing import router"),
            ("p2pchat.links.link", "from ..rendezvous.client import ask"),
            ("p2pchat.links.link", "def late():\n    from p2pchat.node import Node"),
            ("p2pchat.links.link", "if TYPE_CHECKING:\n    from p2pchat import events"),
            ("p2pchat.events", "from p2pchat.links.link import Link"),
            ("p2pchat.events", "import p2pchat.backoff"),
            ("p2pchat.node", "from .console import stdio"),
            ("p2pchat.console.stdio", "from p2pchat.testing import MemoryNetwork"),
            ("p2pchat", "from .protocol import codec"),
        ):
            is_package = module == "p2pchat"
            self.assertEqual(len(wrong_imports(source, module, is_package)), 1, source)

    def test_relative_imports_of_a_package(self) -> None:
        """In an ``__init__`` one dot is the package itself."""
        self.assertEqual(wrong_imports("from . import link", "p2pchat.links", is_package=True), [])
        wrong = wrong_imports("from .. import node", "p2pchat.links", is_package=True)
        self.assertEqual(wrong, ["p2pchat.links:1 (links) imports p2pchat.node (node)"])

    def test_global_reactor_is_wrong(self) -> None:
        """The global reactor is found, however it is imported, outside of the taps."""
        for source in (
            "from twisted.internet import defer, reactor",
            "import twisted.internet.reactor",
            "from twisted.internet.reactor import callLater",
        ):
            for module in ("p2pchat.node", "p2pchat.protocol.codec", "p2pchat.tapestry"):
                wrong = wrong_imports(source, module)
                self.assertEqual(wrong, [f"{module}:1 imports the global reactor"])
