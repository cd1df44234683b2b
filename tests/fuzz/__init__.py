"""Every parser under inputs that are meant to hurt: by hypothesis, and by mutations of recorded traffic.

``python -m tests.fuzz --inputs 1000000`` is the long run; ``make fuzz`` starts it.
"""
