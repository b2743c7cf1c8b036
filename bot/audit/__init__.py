"""The audit log: its chain, its searches and exports, and its mirror in Discord."""
