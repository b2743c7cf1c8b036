"""The store: one file by default, and the only place that speaks SQL."""

from bot.store.outbox import Card, Post
from bot.store.store import Store, Transaction

__all__ = ["Card", "Post", "Store", "Transaction"]
