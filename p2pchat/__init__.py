"""Chat between peers, without a chat server."""

__version__ = "0.1.0"
