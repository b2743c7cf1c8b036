"""A Discord on loopback, REST and gateway: as much of it as discord.py and Herald need, and its faults."""
