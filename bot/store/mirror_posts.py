"""The record's mirror in Discord: what stands there, what waits, and what was found tampered with."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.audit.mirror import Condition, Expected, Posted
from bot.store.outbox import PostKind
from bot.store.tables import audit_events, cards, facts, posts

_IS_LINE: Final = posts.c.kind == PostKind.AUDIT
_ITS_EVENT: Final = and_(
    audit_events.c.guild_id == posts.c.guild_id, audit_events.c.sequence == posts.c.sequence
)


def unread_fact(guild_id: int) -> str:
    """Return under which name it is remembered why a server's mirror cannot be read."""
    return f"mirror of {guild_id} cannot be read"


class MirrorPosts:
    """The posts of the record's lines."""

    def __init__(self, connection: AsyncConnection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    async def untold(self, message_ids: Collection[int], *, gone: bool) -> list[Posted]:
        """Return those lines of which nobody has told yet that they are gone, or edited.

        Where it may be told in this transaction, everybody else who would tell of them waits for it.
        """
        query = _posted().where(posts.c.message_id.in_(message_ids), posts.c.gone_in.is_(None))
        if not gone:
            query = query.where(posts.c.edited_in.is_(None))
        query = query.order_by(posts.c.id)
        return await self._posts(query.with_for_update(of=posts) if self._locking else query)

    async def tell(self, told: Sequence[Posted], *, gone: bool, sequence: int) -> None:
        """Note in which line of the record it is told that they are gone, or edited."""
        await self._connection.execute(
            update(posts)
            .where(_IS_LINE, posts.c.message_id.in_([post.message_id for post in told]))
            .values({"gone_in" if gone else "edited_in": sequence})
        )

    async def told_in(self, guild_id: int, sequence: int) -> list[int]:
        """Return of which lines' posts a line of the record tells."""
        told = or_(posts.c.gone_in == sequence, posts.c.edited_in == sequence)
        query = select(posts.c.sequence).where(posts.c.guild_id == guild_id, _IS_LINE, told)
        return list(await self._connection.scalars(query.order_by(posts.c.sequence)))

    async def newest(self, guild_id: int, *, limit: int) -> list[Posted]:
        """Return the last lines that were posted and of which nobody has told that they are gone."""
        query = _posted().where(posts.c.guild_id == guild_id, posts.c.gone_in.is_(None))
        return await self._posts(query.order_by(posts.c.sequence.desc()).limit(limit))

    async def message_ids(self, guild_id: int) -> set[int]:
        """Return the messages of all lines that were posted."""
        query = select(posts.c.message_id).where(posts.c.guild_id == guild_id, _IS_LINE, posts.c.done)
        return {one for one in await self._connection.scalars(query) if one is not None}

    async def channels(self, guild_id: int) -> set[int]:
        """Return where lines were posted."""
        query = select(posts.c.channel_id).where(posts.c.guild_id == guild_id, _IS_LINE, posts.c.done)
        return set(await self._connection.scalars(query.distinct()))

    async def tampered(self, guild_id: int) -> int:
        """Return how many posts were found gone or edited."""
        found = or_(posts.c.gone_in.is_not(None), posts.c.edited_in.is_not(None))
        query = select(func.count()).select_from(posts).where(posts.c.guild_id == guild_id, _IS_LINE, found)
        return await self._connection.scalar(query) or 0

    async def expected(self, guild_id: int) -> Expected:
        """Return all that the server's channels are compared with."""
        execute, scalars = self._connection.execute, self._connection.scalars
        chain = select(audit_events.c.sequence, audit_events.c.digest).where(
            audit_events.c.guild_id == guild_id
        )
        lines = select(posts.c.sequence, posts.c.gone_in, posts.c.edited_in, posts.c.done).where(
            posts.c.guild_id == guild_id, _IS_LINE
        )
        rows = (await execute(lines)).all()
        others = [
            *await scalars(select(posts.c.message_id).where(~_IS_LINE, posts.c.message_id.is_not(None))),
            *await scalars(select(cards.c.message_id).where(cards.c.message_id.is_not(None))),
        ]
        return Expected(
            lines={row.sequence: row.digest for row in await execute(chain)},
            posts=await self._posts(_posted().where(posts.c.guild_id == guild_id)),
            waiting={sequence for sequence, _, _, done in rows if not done},
            others=frozenset(others),
            told={sequence: gone or edited for sequence, gone, edited, _ in rows if gone or edited},
        )

    async def condition(self, guild_id: int) -> Condition:
        """Return how the server's mirror fares."""
        undone = (posts.c.guild_id == guild_id, _IS_LINE, posts.c.done.is_(False))
        waiting = await self._connection.scalar(select(func.count()).select_from(posts).where(*undone))
        fact = select(facts.c.value).where(facts.c.name == unread_fact(guild_id))
        unread = await self._connection.scalar(fact)
        if not waiting:
            return Condition(unread=unread or "")
        head = select(func.min(posts.c.id)).where(*undone).scalar_subquery()
        query = (
            select(posts.c.failures, posts.c.trouble, audit_events.c.at)
            # Whoever removed the line must not keep others from being told.
            .outerjoin(audit_events, _ITS_EVENT)
            .where(posts.c.id == head)
        )
        failures, trouble, since = (await self._connection.execute(query)).one()
        return Condition(
            waiting=waiting, since=since, failures=failures, why=trouble or "", unread=unread or ""
        )

    async def _posts(self, query: Select[Any]) -> list[Posted]:
        return [Posted(*row) for row in await self._connection.execute(query)]


def _posted() -> Select[*tuple[Any, ...]]:
    wanted = select(posts.c.guild_id, posts.c.sequence, audit_events.c.digest).add_columns(
        posts.c.channel_id, posts.c.message_id, posts.c.words
    )
    return wanted.join(audit_events, _ITS_EVENT).where(_IS_LINE, posts.c.done)
