"""Tests that people sent to themselves, and which of them have reached them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from bot.broadcast import Broadcast, Status
from bot.notification import Notification
from bot.store.broadcasts import NEXT, new_nonce
from bot.store.members import insert_of
from bot.store.tables import broadcasts, received
from bot.value import Person


class Tests:
    """Broadcasts to one person: they begin as they are sent, and nobody decides about them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        *,
        guild_id: int,
        author: Person,
        audience: str,
        notification: Notification,
        fingerprint: str,
        test_of: int,
        channel_id: int,
        at: datetime,
    ) -> Broadcast:
        """Store a test that is being sent; its fingerprint is that of the words that it is a test of."""
        at = at.astimezone(UTC)
        plain: dict[str, Any] = {
            "guild_id": guild_id,
            "audience": audience,
            "revision": 1,
            "fingerprint": fingerprint,
            "origin_channel_id": channel_id,
            "test_of": test_of,
            "created_at": at,
            "updated_at": at,
            "due_at": at,
            "nonce": new_nonce(),
        }
        numbered: Mapping[str, Any] = {"id": NEXT} if self._connection.dialect.name == "sqlite" else {}
        added = insert(broadcasts).values(
            **plain,
            **numbered,
            author_id=author.id,
            author_name=author.name,
            notification=notification.model_dump_json(),
            status=Status.SENDING,
            note="",
            reason="",
        )
        number = self._connection.execute(added.returning(broadcasts.c.id)).scalar_one()
        return Broadcast(
            **plain, id=number, author=author, editors=(), notification=notification, status=Status.SENDING
        )

    def count(self, guild_id: int, person_id: int, *, since: datetime) -> int:
        """Return how many somebody had sent to themselves since then."""
        query = select(func.count()).where(
            broadcasts.c.guild_id == guild_id,
            broadcasts.c.author_id == person_id,
            broadcasts.c.created_at > since,
            broadcasts.c.test_of.is_not(None),
        )
        return self._connection.scalar(query) or 0

    def receive(self, test: Broadcast, *, at: datetime) -> None:
        """Note that a test has reached its author."""
        new = insert_of(self._connection)(received).values(
            guild_id=test.guild_id,
            person_id=test.author.id,
            fingerprint=test.fingerprint,
            broadcast_id=test.id,
            at=at,
        )
        self._connection.execute(new.on_conflict_do_nothing())

    def has_reached(self, guild_id: int, person_id: int, fingerprint: str) -> bool:
        """Tell whether a test of these very words has reached somebody, as they say."""
        query = select(received.c.broadcast_id).where(
            received.c.guild_id == guild_id,
            received.c.person_id == person_id,
            received.c.fingerprint == fingerprint,
        )
        return self._connection.scalar(query) is not None
