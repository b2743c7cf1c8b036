"""The record's mirror in Discord: what stands there, what waits, and what was found tampered with."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, or_, select, update

from bot.audit.chain import SKIPPED
from bot.audit.mirror import Condition, Expected, Posted
from bot.store.facts import mirror_unread
from bot.store.outbox import PostKind
from bot.store.tables import audit_events, cards, facts, posts

_IS_LINE: Final = posts.c.kind == PostKind.AUDIT
_ITS_EVENT: Final = and_(
    audit_events.c.guild_id == posts.c.guild_id, audit_events.c.sequence == posts.c.sequence
)


class MirrorPosts:
    """The posts of the record's lines."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def untold(self, message_ids: Collection[int], *, gone: bool) -> list[Posted]:
        """Return those lines of which nobody has told yet that they are gone, or edited.

        Where it may be told in this transaction, everybody else who would tell of them waits for it.
        """
        query = _posted().where(posts.c.message_id.in_(message_ids), posts.c.gone_in.is_(None))
        if not gone:
            query = query.where(posts.c.edited_in.is_(None))
        query = query.order_by(posts.c.id)
        return self._posts(query.with_for_update(of=posts) if self._locking else query)

    def tell(self, told: Sequence[Posted], *, gone: bool, sequence: int) -> None:
        """Note in which line of the record it is told that they are gone, or edited."""
        self._connection.execute(
            update(posts)
            .where(_IS_LINE, posts.c.message_id.in_([post.message_id for post in told]))
            .values({"gone_in" if gone else "edited_in": sequence})
        )

    def told_in(self, guild_id: int, sequence: int) -> list[int]:
        """Return of which lines' posts a line of the record tells."""
        told = or_(posts.c.gone_in == sequence, posts.c.edited_in == sequence)
        # What both planners know the index by.
        found = or_(posts.c.gone_in.is_not(None), posts.c.edited_in.is_not(None))
        query = select(posts.c.sequence).where(posts.c.guild_id == guild_id, _IS_LINE, found, told)
        # Put in order here: asked for in their order, SQLite would go through all that were ever posted.
        return sorted(self._connection.scalars(query))

    def newest(self, guild_id: int, *, limit: int) -> list[Posted]:
        """Return the last lines that were posted and of which nobody has told that they are gone."""
        query = _posted().where(posts.c.guild_id == guild_id, posts.c.gone_in.is_(None))
        return self._posts(query.order_by(posts.c.sequence.desc()).limit(limit))

    def message_ids(self, guild_id: int) -> set[int]:
        """Return the messages of all lines that were posted."""
        query = select(posts.c.message_id).where(posts.c.guild_id == guild_id, _IS_LINE, posts.c.done)
        return {one for one in self._connection.scalars(query) if one is not None}

    def channels(self, guild_id: int) -> set[int]:
        """Return where lines were posted."""
        query = select(posts.c.channel_id).where(posts.c.guild_id == guild_id, _IS_LINE, posts.c.done)
        return set(self._connection.scalars(query.distinct()))

    def tampered(self, guild_id: int) -> int:
        """Return how many posts were found gone or edited."""
        found = or_(posts.c.gone_in.is_not(None), posts.c.edited_in.is_not(None))
        query = select(func.count()).select_from(posts).where(posts.c.guild_id == guild_id, _IS_LINE, found)
        return self._connection.scalar(query) or 0

    def expected(self, guild_id: int) -> Expected:
        """Return all that the server's channels are compared with."""
        execute, scalars = self._connection.execute, self._connection.scalars
        chain = (
            select(audit_events.c.sequence, audit_events.c.digest, audit_events.c.action)
            .where(audit_events.c.guild_id == guild_id)
            .order_by(audit_events.c.sequence)
        )
        events = execute(chain).all()
        before = [0, *(event.sequence for event in events)]
        lines = select(posts.c.sequence, posts.c.gone_in, posts.c.edited_in, posts.c.done).where(
            posts.c.guild_id == guild_id, _IS_LINE
        )
        rows = (execute(lines)).all()
        others = [
            *scalars(select(posts.c.message_id).where(~_IS_LINE, posts.c.message_id.is_not(None))),
            *scalars(select(cards.c.message_id).where(cards.c.message_id.is_not(None))),
        ]
        return Expected(
            lines={event.sequence: event.digest for event in events},
            posts=self._posts(_posted().where(posts.c.guild_id == guild_id)),
            waiting={sequence for sequence, _, _, done in rows if not done},
            others=frozenset(others),
            skipped=[
                (last + 1, event.sequence)
                for last, event in zip(before, events, strict=False)
                if event.action == SKIPPED
            ],
            told={sequence: gone or edited for sequence, gone, edited, _ in rows if gone or edited},
        )

    def condition(self, guild_id: int) -> Condition:
        """Return how the server's mirror fares."""
        undone = (posts.c.guild_id == guild_id, _IS_LINE, posts.c.done.is_(False))
        counted = select(func.count()).select_from(posts).where(*undone).scalar_subquery()
        fact = select(facts.c.value).where(facts.c.name == mirror_unread(guild_id).name).scalar_subquery()
        waiting, unread = self._connection.execute(select(counted, fact)).one()
        if not waiting:
            return Condition(unread=unread or "")
        head = select(func.min(posts.c.id)).where(*undone).scalar_subquery()
        query = (
            select(posts.c.failures, posts.c.trouble, audit_events.c.at)
            # Whoever removed the line must not keep others from being told.
            .outerjoin(audit_events, _ITS_EVENT)
            .where(posts.c.id == head)
        )
        failures, trouble, since = (self._connection.execute(query)).one()
        return Condition(
            waiting=waiting, since=since, failures=failures, why=trouble or "", unread=unread or ""
        )

    def _posts(self, query: Select[Any]) -> list[Posted]:
        return [Posted(*row) for row in self._connection.execute(query)]


def _posted() -> Select[*tuple[Any, ...]]:
    wanted = select(posts.c.guild_id, posts.c.sequence, audit_events.c.digest).add_columns(
        posts.c.channel_id, posts.c.message_id, posts.c.words
    )
    return wanted.join(audit_events, _ITS_EVENT).where(_IS_LINE, posts.c.done)
