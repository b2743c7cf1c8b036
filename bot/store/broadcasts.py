"""Broadcasts, their revisions and approvals."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypedDict, Unpack, assert_never

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    Update,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from bot.broadcast import ENDED, UNDER_WAY, Approval, Broadcast, DraftState, Status
from bot.counted import Counted
from bot.filter import EVERYTHING, Filter
from bot.notification import Notification
from bot.policy.audience import Listed
from bot.schedule import Schedule
from bot.store import postgresql, search_index
from bot.store.broadcast_rows import (
    BESIDE,
    FOUND,
    GIVEN,
    JOINED,
    NONE,
    assembled,
    gathered,
    kept_count,
    kept_list,
    revision_row,
    time_columns,
    with_approvals,
)
from bot.store.conditions import NO_TEST, Deadlines
from bot.store.facts import BROADCASTS_ABOVE
from bot.store.search_index import SearchIndex, says
from bot.store.tables import approvals, broadcasts, ended, facts, revisions, shares
from bot.value import Person


class Changes(TypedDict, total=False):
    """What a step may change of a broadcast, beside its status."""

    revision: int
    audience: str
    notification: Notification
    fingerprint: str
    timeless: str | None
    series: int | None
    schedule: Schedule | None
    in_quiet_hours: bool
    too_often: bool
    note: str
    reason: str
    due_at: datetime | None
    review_expires_at: datetime | None
    remind_at: datetime | None
    confirmed: tuple[int, ...]
    counted: Counted | None
    listed: Listed | None
    count_id: int | None
    nonce: str


class Beyond(TypedDict, total=False):
    """Where a list goes on: with those `before` a number, newest first, or `after` it, oldest first."""

    before: int
    after: int


def new_nonce() -> str:
    """Return a random number that nobody guesses and no two share."""
    return secrets.token_hex(16)


class Broadcasts:
    """Broadcasts as rows; every change names the status and revision it expects."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def add(
        self,
        *,
        guild_id: int,
        author: Person,
        audience: str,
        notification: Notification,
        fingerprint: str,
        origin_channel_id: int,
        at: datetime,
        timeless: str | None = None,
        schedule: Schedule | None = None,
        writers: Sequence[Person] = (),
        repeats: int | None = None,
        corrects: int | None = None,
        series: int | None = None,
        listed: Listed | None = None,
    ) -> Broadcast:
        """Store a new draft and return it with its number; `writers` are whose words it takes over."""
        editors = writers or (author,)
        draft: dict[str, Any] = {
            "guild_id": guild_id,
            "audience": audience,
            "revision": len(editors),
            "fingerprint": fingerprint,
            "timeless": timeless,
            "origin_channel_id": origin_channel_id,
            "created_at": at.astimezone(UTC),
            "updated_at": at.astimezone(UTC),
            "repeats": repeats,
            "corrects": corrects,
            "series": series,
            "nonce": new_nonce(),
        }
        words = notification.model_dump_json()
        if self._connection.dialect.name == "sqlite":
            draft["id"] = NEXT
        added = insert(broadcasts).values(
            **draft,
            author_id=author.id,
            author_name=author.name,
            notification=words,
            listed=kept_list(listed),
            status=Status.DRAFT,
            note="",
            reason="",
            **time_columns(schedule),
        )
        identifier = self._connection.execute(added.returning(broadcasts.c.id)).scalar_one()
        # A revision for each of them: none may approve what is theirs.
        numbered = enumerate(editors, start=1)
        self._connection.execute(
            insert(revisions),
            [
                revision_row(identifier, number, one, words, at, audience=audience, schedule=schedule)
                for number, one in numbered
            ],
        )
        search_index.add(self._connection, identifier, guild_id, notification)
        draft["id"] = identifier
        return Broadcast(
            **draft,
            author=author,
            editors=tuple(sorted({one.id for one in editors})),
            notification=notification,
            schedule=schedule,
            listed=listed,
            status=Status.DRAFT,
        )

    def number_above(self, highest: int) -> None:
        """Give new broadcasts numbers above that one."""
        if self._connection.dialect.name == "postgresql":
            postgresql.number_above(self._connection, broadcasts, highest)

    def add_revision(
        self,
        broadcast_id: int,
        revision: int,
        *,
        editor: Person,
        audience: str,
        notification: Notification,
        at: datetime,
        schedule: Schedule | None = None,
    ) -> None:
        """Keep what an editor wrote; a revision is never changed afterwards."""
        words = notification.model_dump_json()
        row = revision_row(broadcast_id, revision, editor, words, at, audience=audience, schedule=schedule)
        self._connection.execute(insert(revisions), [row])

    def all_of(self, broadcast_ids: Sequence[int]) -> list[Broadcast]:
        """Return broadcasts by their numbers, oldest first."""
        return self._load(broadcasts.c.id.in_(broadcast_ids), limit=None, oldest=True)

    def find(self, broadcast_id: int) -> Broadcast | None:
        """Return the broadcast with that number, if there is one.

        In a transaction that may write, nobody else changes or approves it until the end of it.
        """
        if self._locking and self._connection.dialect.name == "postgresql":
            found = self._load(broadcasts.c.id == broadcast_id, locked=True)
        else:
            found = gathered(self._connection.execute(FOUND, {"wanted": broadcast_id}).mappings())
        return found[0] if found else None

    def get(self, broadcast_id: int) -> Broadcast:
        """Return the broadcast with a number that is known to exist."""
        found = self.find(broadcast_id)
        if found is None:
            raise LookupError(f"no broadcast {broadcast_id}")
        return found

    def find_all(self, broadcast_ids: Collection[int], *, waiting: bool = True) -> dict[int, Broadcast]:
        """Return broadcasts by their numbers; nobody else changes or approves them meanwhile.

        Those that another transaction is changing are waited for, or left out.
        """
        wanted = broadcasts.c.id.in_(sorted(broadcast_ids))
        found = self._load(wanted, limit=None, oldest=True, locked=self._locking, waiting=waiting)
        return {one.id: one for one in found}

    def head(self, broadcast_id: int) -> Broadcast:
        """Return a broadcast without who approved it, for what only moves it on; nobody else changes it."""
        return self.heads([broadcast_id])[broadcast_id]

    def heads(self, broadcast_ids: Iterable[int], *, waiting: bool = True) -> dict[int, Broadcast]:
        """Return broadcasts by their numbers, without who approved them.

        Those that another transaction is changing are waited for, or left out.
        """
        wanted = broadcasts.c.id.in_(sorted(set(broadcast_ids)))
        found = self._load(
            wanted, limit=None, oldest=True, locked=self._locking, waiting=waiting, approved=False
        )
        return {one.id: one for one in found}

    def change(
        self, before: Broadcast, *, status: Status, at: datetime, **changes: Unpack[Changes]
    ) -> Broadcast | None:
        """Change a broadcast that is still as `before` says; return it changed, or None if it was not."""
        return self.change_all([before], status=status, at=at, **changes).get(before.id)

    def change_all(
        self, before: Sequence[Broadcast], *, status: Status, at: datetime, **changes: Unpack[Changes]
    ) -> dict[int, Broadcast]:
        """Change those that are still as they are given, all in the same way; return these by number."""
        written = {"status": status, "updated_at": at, **_written(changes)}
        expected = {
            "_ids": [one.id for one in before],
            "_as_given": [(one.id, one.status, one.revision) for one in before],
        }
        changed = set(self._connection.scalars(_change_of(tuple(written)), {**written, **expected}))
        if changed and "notification" in changes:
            search_index.change(self._connection, changed, changes["notification"])
        update = {"status": status, "updated_at": at, **changes}
        return {one.id: _changed(one, update) for one in before if one.id in changed}

    def approve(self, broadcast: Broadcast, given: Approval) -> Broadcast:
        """Add an approval of what stands there now, or one that a template lends it; return it with that."""
        return self.approve_all(broadcast, [given])

    def approve_all(self, broadcast: Broadcast, given: Sequence[Approval]) -> Broadcast:
        """Add approvals of what stands there now; return it with them."""
        self._connection.execute(
            insert(approvals),
            [
                {
                    "broadcast_id": broadcast.id,
                    "approver_id": one.approver.id,
                    "approver_name": one.approver.name,
                    "revision": broadcast.revision,
                    "fingerprint": broadcast.fingerprint,
                    "at": one.at,
                    "template": one.template,
                    "named": one.named,
                    "covers": one.covers,
                    "series": one.series,
                }
                for one in given
            ],
        )
        return with_approvals(broadcast, [*broadcast.approvals, *broadcast.lent, *given])

    def retract(self, broadcast: Broadcast, approver_id: int) -> Broadcast | None:
        """Drop one person's approval and return it without; None if there is none."""
        done = self._connection.execute(
            delete(approvals).where(
                approvals.c.broadcast_id == broadcast.id, approvals.c.approver_id == approver_id
            )
        )
        if done.rowcount != 1:
            return None
        left = [*broadcast.approvals, *broadcast.lent]
        return with_approvals(broadcast, [one for one in left if one.approver.id != approver_id])

    def void_approvals(self, broadcast: Broadcast) -> Broadcast:
        """Drop the approvals: what they were given to is no longer under review. The record keeps them."""
        if not broadcast.agreed:
            return broadcast
        self._connection.execute(delete(approvals).where(approvals.c.broadcast_id == broadcast.id))
        return with_approvals(broadcast, ())

    def alike(
        self, likenesses: Collection[str], *, statuses: Collection[Status], since: datetime
    ) -> list[Broadcast]:
        """Return broadcasts that say this, at whatever time, and changed since or still go out, newest first.

        Without who approved them.
        """
        # By the indexes that are certainly narrow: SQLite's planner would rather go by the status.
        wanted, lately = sorted(likenesses), broadcasts.c.updated_at > since
        ids = union_all(
            *(
                select(broadcasts.c.id).where(
                    column.in_(wanted), or_(lately, broadcasts.c.status.in_(sorted(UNDER_WAY)))
                )
                for column in (broadcasts.c.fingerprint, broadcasts.c.timeless)
            )
        )
        found = self._load(broadcasts.c.id.in_(ids), NO_TEST, limit=None, approved=False)
        return [one for one in found if one.status in statuses]

    def of_series(self, first: int, *, before: int) -> list[Broadcast]:
        """Return those of a series that are older than that one, the newest first."""
        return self._load(broadcasts.c.series == first, broadcasts.c.id < before, limit=None)

    def copies(self, repeated: int) -> list[Broadcast]:
        """Return those that send a broadcast again, newest first, without who approved them."""
        return self._load(broadcasts.c.repeats == repeated, limit=None, approved=False)

    def drafts_of(
        self,
        guild_id: int,
        person_id: int,
        *,
        limit: int,
        words: str | None = None,
        state: DraftState | None = None,
        **beyond: Unpack[Beyond],
    ) -> list[Broadcast]:
        """Return the drafts that somebody may write and that fit: the newest, or those next to `beyond`."""
        upwards, wanted = "after" in beyond, [*_beyond(beyond), *_in_state(state), *says(words)]
        shared = exists().where(broadcasts.c.id == shares.c.broadcast_id, *_drafts_in(guild_id), *wanted)
        # The next of each come from an index; only they are put in order.
        nearest = [
            one.order_by(number if upwards else number.desc()).limit(limit).subquery()
            for one, number in (
                (
                    select(broadcasts.c.id).where(
                        *_drafts_in(guild_id), broadcasts.c.author_id == person_id, *wanted
                    ),
                    broadcasts.c.id,
                ),
                (
                    select(shares.c.broadcast_id).where(shares.c.person_id == person_id, shared),
                    shares.c.broadcast_id,
                ),
            )
        ]
        ids = union_all(*(select(one.c[0]) for one in nearest))
        return self._load(broadcasts.c.id.in_(ids), limit=limit, oldest=upwards)

    def in_status(
        self,
        guild_id: int,
        statuses: Sequence[Status],
        *,
        limit: int,
        only: Filter = EVERYTHING,
        zone: tzinfo = UTC,
        **beyond: Unpack[Beyond],
    ) -> list[Broadcast]:
        """Return a server's broadcasts in any of the statuses that fit: the newest, or next to `beyond`."""
        index = SearchIndex(self._connection)
        nearest = index.nearest(guild_id, only, statuses, zone=zone, limit=limit, **beyond)
        # A planner does not know how few fit, and would go through all to meet them: it is asked by itself.
        ids = nearest if only == EVERYTHING else list(self._connection.scalars(nearest))
        return self._load(broadcasts.c.id.in_(ids), limit=limit, oldest="after" in beyond)

    def everywhere(self, statuses: Collection[Status]) -> list[Broadcast]:
        """Return all servers' broadcasts in any of these statuses, oldest first.

        In a transaction that may write, nobody else changes or approves them until the end of it.
        """
        wanted = broadcasts.c.status.in_(sorted(statuses))
        return self._load(wanted, limit=None, oldest=True, locked=self._locking)

    def count(self, guild_id: int) -> dict[str, int]:
        """Return how many broadcasts of a server have each status.

        Drafts and what waits are counted now, what has ended was counted as it ended, by a trigger.
        """
        now = (
            select(broadcasts.c.status, func.count())
            .where(broadcasts.c.guild_id == guild_id, broadcasts.c.status.in_(_STANDING), NO_TEST)
            .group_by(broadcasts.c.status)
        )
        kept = select(ended.c.status, ended.c.number).where(ended.c.guild_id == guild_id)
        rows = self._connection.execute(union_all(now, kept))
        return {status: number for status, number in rows}  # noqa: C416 - a row is no pair to the type checker

    def is_empty(self) -> bool:
        """Tell whether there has never been a broadcast."""
        return self._connection.scalar(select(broadcasts.c.id).limit(1)) is None

    def due(self, now: datetime, *, deadlines: Deadlines, limit: int) -> list[Broadcast]:
        """Return approved broadcasts whose time has come, oldest first; `limit` of each server.

        Of a server that is frozen, and of what is still being counted, only those that are too late.
        """
        may_go = deadlines.or_counted()
        guilds = sorted(deadlines.of_guild)
        each = [
            select(broadcasts.c.id)
            .where(of_guild, broadcasts.c.status == Status.APPROVED, broadcasts.c.due_at <= now, may_go)
            .order_by(broadcasts.c.due_at, broadcasts.c.id)
            .limit(limit)
            .subquery()
            for of_guild in (
                *(broadcasts.c.guild_id == guild_id for guild_id in guilds),
                broadcasts.c.guild_id.not_in(guilds),
            )
        ]
        ids = union_all(*(select(one.c.id) for one in each))
        return self._load(broadcasts.c.id.in_(ids), limit=None, oldest=True)

    def expired(self, now: datetime, *, limit: int) -> list[Broadcast]:
        """Return broadcasts that waited too long for a review."""
        return self._load(
            broadcasts.c.status == Status.REVIEW,
            broadcasts.c.review_expires_at <= now,
            limit=limit,
            oldest=True,
        )

    def to_remind_of(self, now: datetime, *, limit: int) -> list[Broadcast]:
        """Return broadcasts for which somebody is to be reminded that they wait."""
        return self._load(broadcasts.c.remind_at <= now, limit=limit, oldest=True)

    def remind_later(self, broadcast: Broadcast, at: datetime | None) -> bool:
        """Note when to remind of it the next time; tell whether nobody else was faster."""
        done = self._connection.execute(
            update(broadcasts)
            .where(broadcasts.c.id == broadcast.id, broadcasts.c.remind_at == broadcast.remind_at)
            .values(remind_at=at)
        )
        return done.rowcount == 1

    def next_moment(self) -> datetime | None:
        """Return when the next approved broadcast falls due."""
        return self._connection.scalar(
            select(func.min(broadcasts.c.due_at)).where(broadcasts.c.status == Status.APPROVED)
        )

    def _load(
        self,
        *where: Any,
        limit: int | None = 1,
        oldest: bool = False,
        locked: bool = False,
        waiting: bool = True,
        approved: bool = True,
    ) -> list[Broadcast]:
        order = broadcasts.c.id if oldest else broadcasts.c.id.desc()
        chosen = select(broadcasts, *BESIDE).where(*where).order_by(order).limit(limit)
        if locked and self._connection.dialect.name == "postgresql":
            # Whoever waited for a lock sees what came meanwhile only by another question.
            rows = self._connection.execute(chosen.with_for_update(skip_locked=not waiting)).mappings().all()
            given = self._given([row["id"] for row in rows]) if approved else NONE
            return [assembled(row, given.get(row["id"], ())) for row in rows]
        if not approved:
            return [assembled(row, ()) for row in self._connection.execute(chosen).mappings()]
        ids = chosen.with_only_columns(broadcasts.c.id).scalar_subquery()
        rows = self._connection.execute(
            JOINED.where(broadcasts.c.id.in_(ids)).order_by(order, approvals.c.at)
        )
        return gathered(rows.mappings())

    def _given(self, broadcast_ids: Sequence[int]) -> Mapping[int, Sequence[RowMapping]]:
        if not broadcast_ids:
            return NONE
        rows = self._connection.execute(
            select(approvals.c.broadcast_id, *GIVEN)
            .where(approvals.c.broadcast_id.in_(broadcast_ids))
            .order_by(approvals.c.broadcast_id, approvals.c.at)
        ).mappings()
        return {number: list(some) for number, some in groupby(rows, key=itemgetter("broadcast_id"))}


@cache
def _change_of(columns: tuple[str, ...]) -> Update:
    """Return the statement that changes these columns of broadcasts that are still as they are given."""
    return (
        update(broadcasts)
        .where(
            broadcasts.c.id.in_(bindparam("_ids", expanding=True)),
            tuple_(broadcasts.c.id, broadcasts.c.status, broadcasts.c.revision).in_(
                bindparam("_as_given", expanding=True)
            ),
        )
        .values({column: bindparam(column) for column in columns})
        .returning(broadcasts.c.id)
    )


def _changed(before: Broadcast, update: Mapping[str, object]) -> Broadcast:
    after = before.model_copy(update=update)
    if (after.revision, after.fingerprint) == (before.revision, before.fingerprint):
        return after
    # An approval counts only for the very revision and fingerprint it was given to.
    return after.model_copy(update={"approvals": (), "lent": ()})


def _drafts_in(guild_id: int) -> tuple[ColumnElement[bool], ...]:
    return broadcasts.c.guild_id == guild_id, broadcasts.c.status == Status.DRAFT


def _in_state(state: DraftState | None) -> list[ColumnElement[bool]]:
    match state:
        case None:
            return []
        case DraftState.CAME_BACK:
            return [broadcasts.c.reason != ""]
        case DraftState.NOT_BACK:
            return [broadcasts.c.reason == ""]
        case DraftState.SHARED:
            return [exists().where(shares.c.broadcast_id == broadcasts.c.id)]
        case DraftState.TIMED:
            return [broadcasts.c.schedule.is_not(None)]
        case _:
            assert_never(state)


def _beyond(beyond: Beyond) -> list[ColumnElement[bool]]:
    below = [broadcasts.c.id < beyond["before"]] if "before" in beyond else []
    return [*below, *([broadcasts.c.id > beyond["after"]] if "after" in beyond else [])]


# SQLite goes on from the highest that stands there, and knows no other.
_ABOVE: Final = select(cast(facts.c.value, Integer)).where(facts.c.name == BROADCASTS_ABOVE.name)
NEXT: Final = (
    select(
        func.max(func.coalesce(func.max(broadcasts.c.id), 0), func.coalesce(_ABOVE.scalar_subquery(), 0)) + 1
    )
    .correlate(None)
    .scalar_subquery()
)
_STANDING: Final = sorted(set(Status) - ENDED)


def _written(changes: Changes) -> dict[str, object]:
    written: dict[str, object] = {**changes}
    if "notification" in changes:
        written["notification"] = changes["notification"].model_dump_json()
    if "schedule" in changes:
        written |= time_columns(changes["schedule"])
    if "listed" in changes:
        written |= {"listed": kept_list(changes["listed"])}
    if "counted" in changes:
        written |= {"counted": kept_count(changes["counted"])}
    return written
