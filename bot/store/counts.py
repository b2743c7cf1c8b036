"""Counts of audiences: what is still to be read, whom they have found, and what came of them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from bot.broadcast import Status
from bot.counted import Counted
from bot.store.conditions import database_time
from bot.store.members import insert_of
from bot.store.tables import broadcasts, counts, deliveries, recipients

# How long nobody else reads on: much longer than a page may take.
LEASE: Final = timedelta(seconds=90)
# So many are dropped at once that are no longer kept.
DROPPED: Final = 5_000
# So many people are written, and named in a request, at once.
PIECE: Final = 500
_KNOWN: Final = select(recipients.c.user_id).where(
    recipients.c.count_id == bindparam("count"), recipients.c.user_id.in_(bindparam("users", expanding=True))
)


_OF: Final = (counts.c.account == bindparam("account"), counts.c.digest == bindparam("digest"))
_RUNNING: Final = select(counts.c.id).where(
    *_OF, counts.c.wanted_at.is_not(None), counts.c.broadcast_id.is_(None)
)
_NEWEST: Final = (
    select(counts.c.id).where(*_OF, counts.c.counted_at.is_not(None)).order_by(counts.c.id.desc()).limit(1)
)
_NEWEST_OF_ALL: Final = (
    select(func.max(counts.c.id))
    .where(
        counts.c.account == bindparam("account"),
        counts.c.counted_at.is_not(None),
        counts.c.broadcast_id.is_(None),
    )
    .group_by(counts.c.digest)
)
_ALL_KNOWN: Final = select(counts).where(counts.c.id.in_(_NEWEST_OF_ALL))
_KNOWN_OF: Final = select(counts).where(
    counts.c.id.in_([_RUNNING.scalar_subquery(), _NEWEST.scalar_subquery()])
)


class Recipient(NamedTuple):
    """Somebody who is reached by name, and the experience, or the team, in which they are."""

    via: str
    user: str


class Count(NamedTuple):
    """A count that is not over: of whom, what is still to be read as JSON, and how far it has come.

    `so_far` are people, each once where they are named; `rows` how many entries there were for them.
    """

    id: int
    guild_id: int
    account: str
    digest: str
    broadcast_id: int | None
    wanted_at: datetime | None
    sources: str
    so_far: int
    rows: int
    nameless: int
    pages: int
    tries: int

    @property
    def progress(self) -> int:
        """Return how many people were found so far at most."""
        return self.so_far + self.nameless


class Counts:
    """Counts as rows; whoever reads on for one names the page that it expects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def want(
        self,
        *,
        guild_id: int,
        account: str,
        digest: str,
        sources: str,
        named: Iterable[Recipient],
        at: datetime,
        broadcast_id: int | None = None,
    ) -> int:
        """Begin a count, unless the same is under way; return its number.

        `named` are known from the start. With a broadcast, those found are its recipients, and are kept.
        """
        people = [*dict.fromkeys(named)]
        row: dict[str, Any] = {
            "guild_id": guild_id,
            "account": account,
            "digest": digest,
            "broadcast_id": broadcast_id,
            "wanted_at": at,
            "sources": sources,
            "so_far": 0,
            "rows": 0,
            "nameless": 0,
            "pages": 0,
            "tries": 0,
            "next_at": at,
            "why": "",
            "kept": True,
        }
        new = insert_of(self._connection)(counts).values(row).on_conflict_do_nothing()
        identifier = self._connection.scalar(new.returning(counts.c.id))
        if identifier is None:
            # The same is under way, for others.
            return self._connection.execute(_RUNNING, {"account": account, "digest": digest}).scalar_one()
        if people:
            found = self.add(identifier, people)
            self._connection.execute(
                update(counts).where(counts.c.id == identifier).values(so_far=found, rows=len(people))
            )
        return identifier

    def copy(self, count_id: int, *, broadcast_id: int, at: datetime) -> int:
        """Begin a count of those alone whom another has found; of nobody, if not all are kept any more."""
        old = self._connection.execute(select(counts).where(counts.c.id == count_id)).mappings().one()
        new = self.want(
            guild_id=old["guild_id"],
            account=old["account"],
            # Whom its audience has is another question.
            digest=f"as of {count_id}",
            sources="[]",
            named=(),
            at=at,
            broadcast_id=broadcast_id,
        )
        found = select(literal(new), recipients.c.via, recipients.c.user_id).where(
            recipients.c.count_id == count_id
        )
        self._connection.execute(insert(recipients).from_select(["count_id", "via", "user_id"], found))
        # Not every driver says how many rows came from a question.
        copied = self._connection.scalar(
            select(func.count()).select_from(recipients).where(recipients.c.count_id == new)
        )
        if copied != old["so_far"]:
            # Some of them are dropped already: whoever is left is not whom it went to.
            self._connection.execute(delete(recipients).where(recipients.c.count_id == new))
            copied = 0
        self._connection.execute(update(counts).where(counts.c.id == new).values(so_far=copied, rows=copied))
        return new

    def add(self, count_id: int, people: Sequence[Recipient]) -> int:
        """Keep those of the people whom it has not found before; return how many these are."""
        new = 0
        for first in range(0, len(people), PIECE):
            some = {one.user: one for one in reversed(people[first : first + PIECE])}
            known = set(self._connection.scalars(_KNOWN, {"count": count_id, "users": [*some]}))
            rows = [
                {"count_id": count_id, "via": one.via, "user_id": user}
                for user, one in some.items()
                if user not in known
            ]
            if rows:
                self._connection.execute(insert(recipients), rows)
            new += len(rows)
        return new

    def known(self, account: str, digest: str) -> Counted | None:
        """Return what came of the newest count that is over, and how far one under way has come."""
        rows = self._connection.execute(_KNOWN_OF, {"account": account, "digest": digest}).mappings().all()
        under_way = next((_count(row) for row in rows if row["wanted_at"] is not None), None)
        told = next((_told(row) for row in rows if row["counted_at"] is not None), None)
        if under_way is None:
            return told
        return (told or Counted()).model_copy(update={"so_far": under_way.progress})

    def all_known(self, account: str) -> dict[str, Counted]:
        """Return what came of the newest count of each audience of an account, by its digest."""
        rows = self._connection.execute(_ALL_KNOWN, {"account": account}).mappings()
        return {row["digest"]: _told(row) for row in rows}

    def result(self, count_id: int) -> Counted | None:
        """Return what came of a count; None while it is under way, or if there is none."""
        row = self._connection.execute(select(counts).where(counts.c.id == count_id)).mappings().first()
        return _told(row) if row is not None and row["counted_at"] is not None else None

    def find(self, count_id: int) -> Count | None:
        """Return a count that is under way."""
        found = select(counts).where(counts.c.id == count_id, counts.c.wanted_at.is_not(None))
        row = self._connection.execute(found).mappings().first()
        return _count(row) if row is not None else None

    def wanted(self, now: datetime, *, owner: str, account: str) -> Count | None:
        """Return what is to be read next by an account: of what nobody else reads, the shortest so far."""
        free = or_(
            counts.c.owner.is_(None),
            counts.c.owner == owner,
            counts.c.lease_until <= database_time(self._connection),
        )
        found = (
            select(counts)
            .where(
                counts.c.wanted_at.is_not(None),
                counts.c.next_at <= now,
                counts.c.account == account,
                free,
            )
            .order_by(counts.c.pages, counts.c.id)
            .limit(1)
        )
        row = self._connection.execute(found).mappings().first()
        return _count(row) if row is not None else None

    def hold(self, count: Count, *, owner: str) -> bool:
        """Let nobody else read its next page; return False if somebody does."""
        return self._change(
            self._as_read(count).values(owner=owner, lease_until=database_time(self._connection, LEASE))
        )

    def read_on(
        self, count: Count, *, sources: str, people: int, rows: int, nameless: int, at: datetime
    ) -> Count | None:
        """Write down what a page has told; return the count as it is then, or None if somebody was faster."""
        after = count._replace(
            sources=sources,
            so_far=count.so_far + people,
            rows=count.rows + rows,
            nameless=count.nameless + nameless,
            pages=count.pages + 1,
            tries=0,
        )
        kept = self._as_read(count).values(
            sources=after.sources,
            so_far=after.so_far,
            rows=after.rows,
            nameless=after.nameless,
            pages=after.pages,
            tries=0,
            next_at=at,
        )
        return after if self._change(kept) else None

    def try_again(self, count: Count, *, at: datetime) -> bool:
        """Read the same page later."""
        return self._change(
            self._as_read(count).values(
                tries=count.tries + 1, next_at=at, pages=count.pages + 1, owner=None, lease_until=None
            )
        )

    def end(self, count: Count, *, why: str, at: datetime) -> Counted | None:
        """Write down what came of a count, or why nothing did; None if somebody was faster.

        Whom it has found is kept only of what has a broadcast, and has told.
        """
        done = self._change(
            self._as_read(count).values(
                wanted_at=None,
                sources="[]",
                people=None if why else count.progress,
                why=why,
                counted_at=at,
                owner=None,
                lease_until=None,
            )
        )
        if not done:
            return None
        return _ended(count, None if why else count.progress, why, at)

    def _as_read(self, count: Count) -> Update:
        return update(counts).where(
            counts.c.id == count.id, counts.c.wanted_at.is_not(None), counts.c.pages == count.pages
        )

    def _change(self, wanted: Update) -> bool:
        return self._connection.execute(wanted).rowcount == 1

    def pieces(self, count_id: int, *, most: int = PIECE) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield those whom a count has found, at most so many at once of one experience or team, in order.

        They are read piece by piece, however many they are.
        """
        found = (
            select(recipients.c.via, recipients.c.user_id)
            .where(recipients.c.count_id == count_id)
            .order_by(recipients.c.via, recipients.c.user_id)
        )
        rows = self._connection.execute(found, execution_options={"yield_per": 2 * PIECE})
        via, some = "", list[str]()
        for row in rows:
            if some and (row.via != via or len(some) >= most):
                yield via, some
                some = []
            via = row.via
            some.append(row.user_id)
        if some:
            yield via, some

    def digest_of(self, count_id: int) -> str:
        """Return by what it is known whom a count has found, without saying who that is."""
        digest = hashlib.sha256()
        for via, users in self.pieces(count_id):
            digest.update("".join(f"{via} {one}\n" for one in users).encode())
        return digest.hexdigest()

    def drop(self, *, before: datetime) -> bool:
        """Drop some of those who are no longer kept: of counts of no broadcast, and of old ones.

        With the last of these goes what their broadcast's requests said, which named them.

        Returns whether there was anything to drop.
        """
        # What is being sent may still have to be sent once more.
        is_sending = exists().where(
            broadcasts.c.id == counts.c.broadcast_id, broadcasts.c.status == Status.SENDING
        )
        old = and_(counts.c.broadcast_id.is_not(None), counts.c.counted_at < before, ~is_sending)
        row = self._connection.execute(
            select(counts.c.id, counts.c.broadcast_id)
            .where(counts.c.kept, counts.c.wanted_at.is_(None), or_(counts.c.broadcast_id.is_(None), old))
            .limit(1)
        ).first()
        if row is None:
            return self._forget(before)
        some = select(recipients.c.user_id).where(recipients.c.count_id == row.id).limit(DROPPED)
        gone = self._connection.execute(
            delete(recipients).where(
                recipients.c.count_id == row.id, recipients.c.user_id.in_(some.scalar_subquery())
            )
        )
        if gone.rowcount < DROPPED:
            self._connection.execute(update(counts).where(counts.c.id == row.id).values(kept=False))
            # Its requests name them, too. None is sent again by then: no key lives so long.
            its_own = (broadcasts.c.id == row.broadcast_id, broadcasts.c.count_id == row.id)
            forget_requests(self._connection, select(broadcasts.c.id).where(*its_own))
        return True

    def _forget(self, before: datetime) -> bool:
        """Drop old counts of no broadcast that others have followed, so that they do not grow without end."""
        newer = counts.alias("newer")
        followed = exists().where(
            newer.c.account == counts.c.account,
            newer.c.digest == counts.c.digest,
            newer.c.id > counts.c.id,
            newer.c.counted_at.is_not(None),
            newer.c.broadcast_id.is_(None),
        )
        old = (
            select(counts.c.id)
            .where(counts.c.broadcast_id.is_(None), counts.c.counted_at < before, ~counts.c.kept, followed)
            .limit(DROPPED)
        )
        return self._connection.execute(delete(counts).where(counts.c.id.in_(old))).rowcount > 0


def forget_requests(connection: Connection, of: Select[tuple[int]]) -> None:
    """Drop what the requests of these broadcasts said, which named people."""
    of_these = deliveries.c.broadcast_id.in_(of.scalar_subquery())
    connection.execute(update(deliveries).where(of_these).values(body=b""))


def _count(row: RowMapping) -> Count:
    return Count(**{name: row[name] for name in Count._fields})


def _told(row: RowMapping) -> Counted:
    return _ended(_count(row), row["people"], row["why"], row["counted_at"])


def _ended(count: Count, people: int | None, why: str, at: datetime) -> Counted:
    repeats = count.rows - count.so_far if count.broadcast_id is not None else None
    return Counted(people=people, at=at, why=why, repeats=repeats, nameless=count.nameless)
