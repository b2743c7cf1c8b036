"""The store: one file by default, and the only place that speaks SQL."""

from bot.store.broadcasts import Beyond, Changes
from bot.store.outbox import Card, Post
from bot.store.store import Access, Store
from bot.store.transaction import Transaction

__all__ = ["Access", "Beyond", "Card", "Changes", "Post", "Store", "Transaction"]
