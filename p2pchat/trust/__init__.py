"""Who has which key: our own identity, those of others, and what is sealed and signed with them."""
