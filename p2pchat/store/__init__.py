"""Keeps what must not be lost: what waits to be delivered, what was shown, what was said."""
