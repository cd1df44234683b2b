"""TCP links to peers: the handshake, the keep-alive, the queue, and the board of them all."""
