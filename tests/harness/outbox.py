"""What waits in the outbox, of all channels together."""

from datetime import datetime

from bot.store import Card, Post, Transaction

LIMIT = 99


def cards_to_draw(tx: Transaction, until: datetime) -> list[Card]:
    """Return the cards that are to be drawn by then, channel by channel."""
    waiting = tx.outbox.waiting(cards_until=until, posts_until=until)
    return [card for channel in waiting for card in tx.outbox.cards_to_draw(channel, until, limit=LIMIT)]


def posts_to_make(tx: Transaction, until: datetime) -> list[Post]:
    """Return what is to be posted by then, in the order in which it was asked for."""
    waiting = tx.outbox.waiting(cards_until=until, posts_until=until)
    found = [post for channel in waiting for post in tx.outbox.posts_to_make(channel, until, limit=LIMIT)]
    return sorted(found, key=lambda post: post.id)
