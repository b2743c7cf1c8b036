"""Discord: the client, the members it tells of, and what is shown there."""
