"""The policy: what herald.toml says, and how it is read."""
