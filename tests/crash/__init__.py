"""Trials that kill real workers: `python -m tests.crash`, or `make crash`."""
