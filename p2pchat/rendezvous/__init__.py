"""Who is where: a rendezvous server of our own, and what keeps a peer registered at one."""
