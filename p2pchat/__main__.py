"""``python -m p2pchat``: the same as the command ``p2pchat``."""

from p2pchat.command import console_script

console_script()
