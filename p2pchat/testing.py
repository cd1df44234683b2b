"""A network in memory: many real nodes, one clock, no socket.

It ships with the product, so that programs built on p2pchat can be tested with it too. The simulation is
the same network with everything that can go wrong in one.
"""

from p2pchat.simulation.clock import HeapClock
from p2pchat.simulation.network import MemoryHost, MemoryNetwork
from p2pchat.simulation.transport import MemoryTransport

__all__ = ["HeapClock", "MemoryHost", "MemoryNetwork", "MemoryTransport"]
