"""The full terminal of a peer: a program of its own, which talks to the peer over its control socket."""
