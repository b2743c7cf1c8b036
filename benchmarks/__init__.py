"""Measurements of the whole, beside named baselines: `make bench`."""
