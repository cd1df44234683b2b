"""A network in memory: many real nodes, one clock, no socket.

It ships with the product, so that programs built on p2pchat can be tested with it too.
"""

from p2pchat.testing.clock import HeapClock
from p2pchat.testing.network import MemoryHost, MemoryNetwork
from p2pchat.testing.transport import MemoryTransport

__all__ = ["HeapClock", "MemoryHost", "MemoryNetwork", "MemoryTransport"]
