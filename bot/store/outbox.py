"""What people are still to see: cards to draw and lines to post."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    case,
    false,
    func,
    insert,
    or_,
    select,
    true,
    union,
    update,
)

from bot.broadcast import OPEN, Place
from bot.store import postgresql
from bot.store.tables import broadcasts, cards, posts


class PostKind(StrEnum):
    """What a post shows."""

    AUDIT = "audit"
    CALL = "call"
    DIGEST = "digest"
    ECHO = "echo"
    FREEZE = "freeze"
    SHARE = "share"
    TEMPLATE = "template"

    @property
    def rank(self) -> int:
        """Return its place in a channel's turns: what people need in order to act goes first."""
        return {PostKind.DIGEST: 1, PostKind.ECHO: 1, PostKind.SHARE: 1, PostKind.AUDIT: _LAST}.get(self, 0)


_LAST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A review card in a channel; `wanted` counts the changes it is to show."""

    id: int
    broadcast_id: int
    channel_id: int
    message_id: int | None
    current: bool
    wanted: int
    failures: int
    next_at: datetime
    remade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message to post once: a line of the record, or an echo of where a broadcast stands."""

    id: int
    guild_id: int
    channel_id: int
    kind: PostKind
    broadcast_id: int | None
    sequence: int | None
    step: str
    failures: int
    next_at: datetime
    remade: int


class Waiting(NamedTuple):
    """What waits in a channel: cards to draw, posts to make."""

    cards: bool
    posts: bool


# What tells somebody of a broadcast of theirs, wherever they can be told.
NEWS: Final = frozenset({PostKind.ECHO, PostKind.SHARE})
_UNSHOWN: Final = cards.c.shown < cards.c.wanted
_UNDONE: Final = posts.c.done.is_(False)


_REDRAW: Final = (
    update(cards)
    .where(cards.c.broadcast_id.in_(bindparam("ids", expanding=True)), cards.c.current)
    .values(wanted=cards.c.wanted + 1)
)
_REDRAW_AT: Final = _REDRAW.values(next_at=bindparam("at"))


class Outbox:
    """The outbox: written in the transaction that changes the state, emptied by the announcer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Whether there is something new to show.
        self.is_filled = False
        self._new_posts: list[dict[str, Any]] = []
        self._to_redraw: dict[int, datetime | None] = {}

    def open_card(self, broadcast_id: int, *, channel_id: int, at: datetime) -> None:
        """Ask for a fresh card and let the older ones say that they are out of date."""
        self.is_filled = True
        self._connection.execute(
            update(cards)
            .where(cards.c.broadcast_id == broadcast_id, cards.c.current)
            .values(current=False, wanted=cards.c.wanted + 1, next_at=at)
        )
        self._connection.execute(
            insert(cards).values(
                broadcast_id=broadcast_id,
                channel_id=channel_id,
                current=True,
                wanted=1,
                shown=0,
                failures=0,
                next_at=at,
            )
        )

    def has_card(self, broadcast_id: int) -> bool:
        """Tell whether a broadcast was ever put before its approvers."""
        return (
            self._connection.scalar(select(cards.c.id).where(cards.c.broadcast_id == broadcast_id).limit(1))
            is not None
        )

    def places(self, broadcast_ids: Collection[int]) -> dict[int, Place]:
        """Return where the cards of these broadcasts stand, of those whose card does."""
        if not broadcast_ids:
            return {}
        rows = self._connection.execute(
            select(cards.c.broadcast_id, cards.c.channel_id, cards.c.message_id).where(
                cards.c.broadcast_id.in_(broadcast_ids), cards.c.current, cards.c.message_id.is_not(None)
            )
        )
        return {number: Place(*place) for number, *place in rows}

    def redraw_card(self, broadcast_id: int, *, at: datetime | None = None) -> None:
        """Ask that the broadcast's card shows where it stands at that time, or when its turn comes."""
        self.is_filled = True
        self._to_redraw[broadcast_id] = at or self._to_redraw.get(broadcast_id)

    def redraw(self) -> None:
        """Write which cards are to be drawn again: of each transaction once, however much has changed."""
        at_once = [one for one, at in self._to_redraw.items() if at]
        moments = [at for at in self._to_redraw.values() if at]
        in_turn = [one for one, at in self._to_redraw.items() if not at]
        if moments:
            # All of one transaction have changed at the same time, as far as people are concerned.
            self._connection.execute(_REDRAW_AT, {"ids": sorted(at_once), "at": min(moments)})
        if in_turn:
            self._connection.execute(_REDRAW, {"ids": sorted(in_turn)})
        self._to_redraw.clear()

    def redraw_open_cards(self, guild_id: int, *, at: datetime) -> None:
        """Ask that all cards of a server which still wait for something are drawn again."""
        self.is_filled = True
        waiting = select(broadcasts.c.id).where(
            broadcasts.c.guild_id == guild_id, broadcasts.c.status.in_(sorted(OPEN))
        )
        self._connection.execute(
            update(cards)
            .where(cards.c.broadcast_id.in_(waiting), cards.c.current)
            .values(wanted=cards.c.wanted + 1, next_at=at)
        )

    def add_post(
        self,
        kind: PostKind,
        *,
        guild_id: int,
        channel_id: int,
        at: datetime,
        broadcast_id: int | None = None,
        sequence: int | None = None,
        step: str = "",
    ) -> None:
        """Ask for one message; it is written at the end of the transaction, together with its others."""
        self.is_filled = True
        self._new_posts.append(
            {
                "guild_id": guild_id,
                "channel_id": channel_id,
                "kind": kind,
                "broadcast_id": broadcast_id,
                "sequence": sequence,
                "step": step,
                "done": False,
                "rank": kind.rank,
                "failures": 0,
                "next_at": at,
            }
        )

    def skip_numbers(self, many: int) -> None:
        """Leave out so many numbers of cards and posts: Discord takes what bears an old one for that one."""
        for table in (cards, posts):
            last = select(func.max(table.c.id)).scalar_subquery()
            if self._connection.dialect.name == "postgresql":
                highest = (self._connection.scalar(select(last)) or 0) + many
                postgresql.number_above(self._connection, table, highest)
            else:
                # SQLite goes on from the highest.
                self._connection.execute(update(table).where(table.c.id == last).values(id=table.c.id + many))

    def finish(self) -> None:
        """Write what was asked for."""
        if self._new_posts:
            self._connection.execute(insert(posts), self._new_posts)
            self._new_posts = []

    def waiting(self, *, cards_until: datetime, posts_until: datetime) -> dict[int, Waiting]:
        """Return the channels in which something is to be shown by then, and what."""
        # Each half is a walk through an index of what is not shown yet, however much is.
        rows = self._connection.execute(
            union(
                select(cards.c.channel_id, true()).where(_UNSHOWN, cards.c.next_at <= cards_until),
                select(posts.c.channel_id, false()).where(_UNDONE, posts.c.next_at <= posts_until),
            )
        )
        found: dict[int, Waiting] = {}
        for channel_id, is_card in rows:
            before = found.get(channel_id, Waiting(cards=False, posts=False))
            found[channel_id] = before._replace(**{"cards" if is_card else "posts": True})
        return found

    def cards_to_draw(self, channel_id: int, until: datetime, *, limit: int) -> list[Card]:
        """Return cards that do not show what they should and may be tried now; first who has none yet."""
        rows = self._connection.execute(
            select(cards)
            .where(_UNSHOWN, cards.c.channel_id == channel_id, cards.c.next_at <= until)
            .order_by(cards.c.message_id.is_not(None), cards.c.next_at, cards.c.id)
            .limit(limit)
        )
        return [_card(row) for row in rows.mappings()]

    def oldest_card(self, now: datetime) -> datetime | None:
        """Return since when the card waits that could have been drawn first."""
        return self._connection.scalar(
            select(func.min(cards.c.next_at)).where(_UNSHOWN, cards.c.next_at <= now)
        )

    def cards_waiting(self, guild_id: int) -> int:
        """Return how many cards of a server do not show what they should."""
        # Asked of each that waits: a join would let PostgreSQL read through all broadcasts instead.
        guild = select(broadcasts.c.guild_id).where(broadcasts.c.id == cards.c.broadcast_id).scalar_subquery()
        query = select(func.count()).select_from(cards).where(_UNSHOWN, guild == guild_id)
        return self._connection.scalar(query) or 0

    def posts_to_make(self, channel_id: int, until: datetime, *, limit: int) -> list[Post]:
        """Return what may be posted now, by rank; no line of a record past one that has to wait."""
        rows = self._connection.execute(
            select(posts)
            .where(
                _UNDONE,
                posts.c.channel_id == channel_id,
                or_(posts.c.rank == _LAST, posts.c.next_at <= until),
            )
            .order_by(posts.c.rank, posts.c.id)
            .limit(limit)
        )
        found = [_post(row) for row in rows.mappings()]
        return list(takewhile(lambda post: post.next_at <= until, found))

    def are_known(self, message_ids: Collection[int]) -> set[int]:
        """Return those of the messages that are noted as a card or as a post."""
        found = union(
            *(select(one.c.message_id).where(one.c.message_id.in_(message_ids)) for one in (cards, posts))
        )
        return set(self._connection.scalars(found))

    def lost(self, message_ids: Collection[int]) -> tuple[list[Card], list[Post]]:
        """Return the newest cards and the notices to all that stood in messages which are gone now."""
        card_rows = self._connection.execute(
            select(cards).where(cards.c.message_id.in_(message_ids), cards.c.current)
        )
        post_rows = self._connection.execute(
            select(posts).where(posts.c.message_id.in_(message_ids), posts.c.rank == 0)
        )
        return [_card(row) for row in card_rows.mappings()], [_post(row) for row in post_rows.mappings()]

    def reroute(self, guild_id: int, *, channel_id: int) -> None:
        """Let what is still to be mirrored of a server's record go where that channel is today."""
        self._connection.execute(
            update(posts)
            .where(
                posts.c.guild_id == guild_id,
                _UNDONE,
                posts.c.kind == PostKind.AUDIT,
                posts.c.channel_id != channel_id,
            )
            .values(channel_id=channel_id)
        )

    def try_again(self, channel_id: int, *, at: datetime) -> None:
        """Let what a channel refused have its turn at that time: it may have been mended."""
        self.is_filled = True
        for table, waiting in ((cards, _UNSHOWN), (posts, _UNDONE)):
            self._connection.execute(
                update(table)
                .where(waiting, table.c.channel_id == channel_id, table.c.failures > 0)
                .values(next_at=at)
            )

    def card_drawn(self, card: Card, *, message_id: int, next_at: datetime) -> None:
        """Note that the card shows all that was wanted when it was read, and when its next turn comes."""
        self._connection.execute(
            update(cards)
            .where(cards.c.id == card.id)
            .values(
                message_id=message_id,
                shown=card.wanted,
                failures=0,
                # A change that came while it was drawn and cannot wait has set a turn of its own.
                next_at=case((cards.c.next_at == card.next_at, next_at), else_=cards.c.next_at),
            )
        )

    def card_lost(self, card: Card, *, at: datetime) -> None:
        """Note that the card's message is gone, so that another one is posted at that time."""
        self.is_filled = True
        self._connection.execute(
            update(cards)
            .where(cards.c.id == card.id, cards.c.message_id == card.message_id)
            .values(message_id=None, remade=cards.c.remade + 1, wanted=cards.c.wanted + 1, next_at=at)
        )

    def card_failed(self, card: Card, *, next_at: datetime) -> None:
        """Note that Discord did not take the card, and when to try again."""
        self._connection.execute(
            update(cards).where(cards.c.id == card.id).values(failures=card.failures + 1, next_at=next_at)
        )

    def post_made(self, post: Post, *, message_id: int, channel_id: int, words: str) -> None:
        """Note where the post stands, and the hash of what it says."""
        self._connection.execute(
            update(posts)
            .where(posts.c.id == post.id)
            .values(done=True, message_id=message_id, channel_id=channel_id, words=words, trouble=None)
        )

    def post_lost(self, post: Post, *, at: datetime) -> None:
        """Note that the post's message is gone, so that another one is posted at that time."""
        self.is_filled = True
        self._connection.execute(
            update(posts)
            .where(posts.c.id == post.id, posts.c.done)
            .values(done=False, message_id=None, remade=posts.c.remade + 1, next_at=at)
        )

    def move_post(self, post: Post, *, channel_id: int, at: datetime) -> None:
        """Let the post go to another channel, as something new."""
        self.is_filled = True
        self._connection.execute(
            update(posts)
            .where(posts.c.id == post.id)
            .values(channel_id=channel_id, failures=0, remade=posts.c.remade + 1, next_at=at)
        )

    def give_up_post(self, post: Post) -> None:
        """Note that the post will not be made."""
        self._connection.execute(update(posts).where(posts.c.id == post.id).values(done=True))

    def post_failed(self, post: Post, *, next_at: datetime, trouble: str) -> None:
        """Note that Discord did not take the post, why, and when to try again."""
        self._connection.execute(
            update(posts)
            .where(posts.c.id == post.id)
            .values(failures=post.failures + 1, next_at=next_at, trouble=trouble)
        )


def _card(row: RowMapping) -> Card:
    return Card(**{name: row[name] for name in Card.__slots__})


def _post(row: RowMapping) -> Post:
    return Post(**{name: row[name] for name in Post.__slots__ if name != "kind"}, kind=PostKind(row["kind"]))
