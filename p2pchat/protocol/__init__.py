"""What may be said between peers: names, messages, lines, errors. No I/O, no clock."""
