"""What people are still to see: cards to draw and lines to post."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, case, func, insert, or_, select, update

from bot.broadcast import OPEN
from bot.store.tables import broadcasts, cards, posts


class PostKind(StrEnum):
    """What a post shows."""

    AUDIT = "audit"
    ECHO = "echo"
    FREEZE = "freeze"
    TEMPLATE = "template"


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


class Waiting(NamedTuple):
    """Whether there are cards to draw, and posts to make."""

    cards: bool
    posts: bool


_UNSHOWN: Final = cards.c.shown < cards.c.wanted


_NEXT: Final = select(
    select(func.min(cards.c.next_at)).where(_UNSHOWN).scalar_subquery(),
    select(func.min(posts.c.next_at)).where(posts.c.done.is_(False)).scalar_subquery(),
)


class Outbox:
    """The outbox: written in the transaction that changes the state, emptied by the announcer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Whether there is something new to show.
        self.is_filled = False
        self._new_posts: list[dict[str, Any]] = []

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

    def redraw_card(self, broadcast_id: int, *, at: datetime | None = None) -> None:
        """Ask that the broadcast's card shows where it stands at that time, or when its turn comes."""
        self.is_filled = True
        self._connection.execute(
            update(cards)
            .where(cards.c.broadcast_id == broadcast_id, cards.c.current)
            .values(wanted=cards.c.wanted + 1, **({"next_at": at} if at else {}))
        )

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
                "failures": 0,
                "next_at": at,
            }
        )

    def finish(self) -> None:
        """Write what was asked for."""
        if self._new_posts:
            self._connection.execute(insert(posts), self._new_posts)
            self._new_posts = []

    def waiting(self, *, cards_until: datetime, posts_until: datetime) -> Waiting:
        """Tell whether cards or posts are to be shown by then, by one question that indexes answer."""
        # The first of each stands at the end of an index: no planner reads through what is shown already.
        card, post = self._connection.execute(_NEXT).one()
        return Waiting(
            cards=card is not None and card <= cards_until, posts=post is not None and post <= posts_until
        )

    def cards_to_draw(self, now: datetime, *, limit: int) -> list[Card]:
        """Return cards that do not show what they should and may be tried now."""
        rows = self._connection.execute(
            select(cards)
            .where(_UNSHOWN, cards.c.next_at <= now)
            .order_by(cards.c.next_at, cards.c.id)
            .limit(limit)
        )
        return [Card(**{name: row[name] for name in Card.__slots__}) for row in rows.mappings()]

    def cards_waiting(self, guild_id: int) -> int:
        """Return how many cards of a server do not show what they should."""
        # Asked of each that waits: a join would let PostgreSQL read through all broadcasts instead.
        guild = select(broadcasts.c.guild_id).where(broadcasts.c.id == cards.c.broadcast_id).scalar_subquery()
        query = select(func.count()).select_from(cards).where(_UNSHOWN, guild == guild_id)
        return self._connection.scalar(query) or 0

    def posts_to_make(self, now: datetime, *, limit: int) -> list[Post]:
        """Return what may be posted now, oldest first; nothing of a record whose next line has to wait."""
        undone = posts.c.done.is_(False)
        heads = (
            select(func.min(posts.c.id))
            .where(undone, posts.c.kind == PostKind.AUDIT)
            .group_by(posts.c.guild_id)
        )
        waiting = select(posts.c.guild_id).where(posts.c.id.in_(heads), posts.c.next_at > now)
        rows = self._connection.execute(
            select(posts)
            .where(
                undone,
                posts.c.next_at <= now,
                or_(posts.c.kind != PostKind.AUDIT, posts.c.guild_id.not_in(waiting)),
            )
            .order_by(posts.c.id)
            .limit(limit)
        )
        return [
            Post(**{name: row[name] for name in Post.__slots__ if name != "kind"}, kind=PostKind(row["kind"]))
            for row in rows.mappings()
        ]

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

    def card_lost(self, card: Card) -> None:
        """Note that the card's message is gone, so that a new one is posted."""
        self.is_filled = True
        self._connection.execute(update(cards).where(cards.c.id == card.id).values(message_id=None))

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

    def post_failed(self, post: Post, *, next_at: datetime, trouble: str) -> None:
        """Note that Discord did not take the post, why, and when to try again."""
        self._connection.execute(
            update(posts)
            .where(posts.c.id == post.id)
            .values(failures=post.failures + 1, next_at=next_at, trouble=trouble)
        )
