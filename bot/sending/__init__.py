"""Sending: what is due is claimed, sent once, and its outcome written down."""
