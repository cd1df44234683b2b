"""Decides what happens to a message, and does nothing else: no reactor, transport or console."""
