"""Lists of people that somebody brought along, row by row, and how far their check has come."""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, literal, select, update

from bot.broadcast import ENDED
from bot.own_list import Kept, Named, OwnList, Row, key_of
from bot.sentences import shortened
from bot.store.counts import PIECE, forget_requests
from bot.store.tables import broadcasts, list_rows, lists

_NAME_LIMIT: Final = 100
# A check has some ten thousand at most, so that a number of steps overflows nothing.
_STEPS: Final = 2_000_000_000
# While somebody asks about its rows, nobody else does for so long.
CLAIMED: Final = timedelta(seconds=90)
# So many are dropped at once that are no longer kept.
DROPPED: Final = 5_000
# Nothing is left to be read.
NOTHING: Final = "[]"

_JUDGED: Final = (
    update(list_rows)
    .where(list_rows.c.broadcast_id == bindparam("whose"), list_rows.c.position == bindparam("where"))
    .values({name: bindparam(name) for name in ("state", "why", "user_id", "username")})
)


class RowState(StrEnum):
    """What is known of a row: nothing yet, who it is, that they can be reached, or why it is not used."""

    WAITING = "waiting"
    FOUND = "found"
    GOOD = "good"
    OUT = "out"
    AGAIN = "again"


class ListRow(NamedTuple):
    """A row about which Whop is still to be asked: who it is, or whether they have access."""

    position: int
    number: int
    typed: str
    user_id: str | None = None
    username: str = ""


class Judged(NamedTuple):
    """What Whop's answer says of a row."""

    state: RowState
    member: Named | None = None
    why: str = ""


class ListCheck(NamedTuple):
    """The next step of a check: a page of who is in the experience, or some rows, one by one."""

    broadcast_id: int
    account: str
    experience: str | None
    sources: str
    step: int
    tries: int
    rows: tuple[ListRow, ...] = ()


class OwnLists:
    """Lists as rows; each step of a check names the one before it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def give(
        self,
        broadcast_id: int,
        own: OwnList,
        *,
        account: str,
        experience: str | None,
        sources: str = NOTHING,
        at: datetime,
    ) -> None:
        """Keep a list for a broadcast in the place of what it had; its check begins anew."""
        self.forget(broadcast_id)
        row = {
            "broadcast_id": broadcast_id,
            "account": account,
            "name": shortened(own.name, _NAME_LIMIT),
            "experience": experience,
            "repeats": own.repeats,
            "at": at,
            "sources": sources,
            # Answers about a list that stood here before belong to no step of this one.
            "step": secrets.randbelow(_STEPS),
            "tries": 0,
            "next_at": at,
        }
        self._connection.execute(insert(lists), [row])
        states = ((RowState.WAITING, own.rows), (RowState.OUT, own.wrong))
        rows = sorted((row, state) for state, some in states for row in some)
        self._connection.execute(
            insert(list_rows),
            [
                {
                    "broadcast_id": broadcast_id,
                    "position": position,
                    "number": row.number,
                    "typed": row.typed,
                    "key": key_of(row.typed),
                    "state": state,
                    "why": row.why,
                }
                for position, (row, state) in enumerate(rows)
            ],
        )

    def copy(self, broadcast_id: int, *, to: int, at: datetime) -> bool:
        """Keep the people of one broadcast's list for another; return False if they are no longer kept."""
        known = self.find(broadcast_id)
        if known is None or known.dropped or not known.good:
            return False
        row = self._connection.execute(select(lists).where(lists.c.broadcast_id == broadcast_id)).mappings()
        again = {
            **row.one(),
            "broadcast_id": to,
            "at": at,
            "checked_at": at,
            "repeats": 0,
            "sources": NOTHING,
        }
        self._connection.execute(insert(lists), [again])
        columns = [one for one in list_rows.c if one is not list_rows.c.broadcast_id]
        good = select(literal(to), *columns).where(*_of(broadcast_id, RowState.GOOD))
        self._connection.execute(
            insert(list_rows).from_select(["broadcast_id", *(one.name for one in columns)], good)
        )
        return True

    def forget(self, broadcast_id: int) -> None:
        """Drop the list of a broadcast, if it has one."""
        self._connection.execute(delete(list_rows).where(list_rows.c.broadcast_id == broadcast_id))
        self._connection.execute(delete(lists).where(lists.c.broadcast_id == broadcast_id))

    def find(self, broadcast_id: int) -> Kept | None:
        """Return the list of a broadcast, and how far its check has come."""
        asked = select(lists).where(lists.c.broadcast_id == broadcast_id)
        row = self._connection.execute(asked).mappings().first()
        if row is None:
            return None
        counted = (
            select(list_rows.c.state, func.count().label("people"))
            .where(list_rows.c.broadcast_id == broadcast_id)
            .group_by(list_rows.c.state)
        )
        number = {one.state: one.people for one in self._connection.execute(counted)}
        return Kept(
            broadcast_id,
            row["name"],
            row["experience"],
            good=number.get(RowState.GOOD, 0),
            out=number.get(RowState.OUT, 0),
            waiting=number.get(RowState.WAITING, 0) + number.get(RowState.FOUND, 0),
            repeats=row["repeats"] + number.get(RowState.AGAIN, 0),
            checked_at=row["checked_at"],
            dropped=row["dropped"],
        )

    def people(self, broadcast_id: int, *, limit: int | None = None) -> list[Named]:
        """Return whom the list of a broadcast reaches, or the first of them, in its order."""
        found = select(list_rows.c.user_id, list_rows.c.username, list_rows.c.typed)
        found = found.where(*_of(broadcast_id, RowState.GOOD)).order_by(list_rows.c.position).limit(limit)
        return [
            Named(user, name or ("" if typed == user else typed))
            for user, name, typed in self._connection.execute(found)
        ]

    def digest(self, broadcast_id: int) -> tuple[int, str]:
        """Return how many people the list of a broadcast reaches, and a digest of who they are."""
        users = sorted(one.user_id for one in self.people(broadcast_id))
        return len(users), hashlib.sha256("".join(f"{one}\n" for one in users).encode()).hexdigest()

    def pieces(self, broadcast_id: int) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield whom the list of a broadcast reaches, some at once, and the experience in which they are."""
        known = self._connection.execute(
            select(lists.c.experience).where(lists.c.broadcast_id == broadcast_id)
        ).scalar()
        users = [one.user_id for one in self.people(broadcast_id)]
        for first in range(0, len(users), PIECE):
            yield known or "", users[first : first + PIECE]

    def left_out(self, broadcast_id: int) -> list[Row]:
        """Return the rows that are given back, each with its reason."""
        found = select(list_rows.c.number, list_rows.c.typed, list_rows.c.why)
        found = found.where(*_of(broadcast_id, RowState.OUT)).order_by(list_rows.c.position)
        return [Row(*one) for one in self._connection.execute(found)]

    # --- the check ---------------------------------------------------------------------------------

    def is_wanted(self, account: str, now: datetime) -> bool:
        """Tell whether there is anything to ask about."""
        wanted = exists().where(*self._wanted(account, now))
        return bool(self._connection.scalar(select(wanted)))

    def claim(self, account: str, now: datetime, *, limit: int) -> ListCheck | None:
        """Take the next step of what waited longest, with at most so many rows; nobody else takes it now."""
        asked = select(lists).where(*self._wanted(account, now)).order_by(lists.c.next_at).limit(1)
        row = self._connection.execute(asked).mappings().first()
        if row is None:
            return None
        taken = (
            update(lists)
            .where(lists.c.broadcast_id == row["broadcast_id"], lists.c.step == row["step"])
            .values(step=row["step"] + 1, next_at=now + CLAIMED)
        )
        if self._connection.execute(taken).rowcount != 1:
            return None
        is_read = row["sources"] == NOTHING
        return ListCheck(
            row["broadcast_id"],
            account,
            row["experience"],
            row["sources"],
            row["step"] + 1,
            row["tries"],
            self._next_rows(row["broadcast_id"], limit) if is_read else (),
        )

    def _wanted(self, account: str, now: datetime) -> tuple[Any, ...]:
        return (lists.c.checked_at.is_(None), lists.c.account == account, lists.c.next_at <= now)

    def _next_rows(self, broadcast_id: int, limit: int) -> tuple[ListRow, ...]:
        columns = [list_rows.c[name] for name in ListRow._fields]
        # Who was found is asked about first: what has begun is finished.
        found = list[ListRow]()
        for state in (RowState.FOUND, RowState.WAITING):
            some = select(*columns).where(*_of(broadcast_id, state)).order_by(list_rows.c.position)
            found += [ListRow(*one) for one in self._connection.execute(some.limit(limit - len(found)))]
        return tuple(found)

    def go_on(
        self,
        check: ListCheck,
        *,
        at: datetime,
        sources: str = NOTHING,
        tries: int = 0,
        ends: bool = False,
    ) -> bool:
        """Let its next step come then, or end the check; return False if somebody was faster."""
        values: dict[str, Any] = {
            "step": check.step + 1,
            "next_at": at,
            "tries": tries,
            "sources": sources,
        }
        if ends:
            values["checked_at"] = at
        mine = (lists.c.broadcast_id == check.broadcast_id, lists.c.step == check.step)
        return self._connection.execute(update(lists).where(*mine).values(values)).rowcount == 1

    def judge(self, broadcast_id: int, row: ListRow, judged: Judged) -> None:
        """Write down what Whop says of a row; whoever stands in another row already is left out there."""
        self.judge_all(broadcast_id, [(row, judged)])

    def judge_all(self, broadcast_id: int, judged: Sequence[tuple[ListRow, Judged]]) -> None:
        """Write down what Whop says of several rows, in their order."""
        users = [one.member.user_id for _, one in judged if one.member is not None]
        standing = self._standing(broadcast_id, users)
        values: list[dict[str, Any]] = []
        for row, (state, member, why) in judged:
            user, name = (member.user_id, member.username) if member else (row.user_id, row.username)
            if user is not None and state in {RowState.FOUND, RowState.GOOD}:
                is_first = standing.setdefault(user, row.position) == row.position
            else:
                is_first = True
            values.append(
                {
                    "whose": broadcast_id,
                    "where": row.position,
                    "state": state if is_first else RowState.AGAIN,
                    "why": why,
                    "user_id": user,
                    "username": shortened(name, _NAME_LIMIT),
                }
            )
        if values:
            self._connection.execute(_JUDGED, values)

    def _standing(self, broadcast_id: int, users: Sequence[str]) -> dict[str, int]:
        """Return in which row those stand already who were found."""
        found = select(list_rows.c.user_id, list_rows.c.position).where(
            list_rows.c.broadcast_id == broadcast_id,
            list_rows.c.user_id.in_(users),
            list_rows.c.state.in_((RowState.FOUND, RowState.GOOD)),
        )
        return {user: position for user, position in self._connection.execute(found) if user}

    def welcome(self, broadcast_id: int, members: Collection[Named]) -> None:
        """Write down of these, who are in the experience, that they can be reached."""
        by_key = {f"@{one.username.casefold()}": one for one in members if one.username}
        # Whoever is called as somebody else's id is not meant by that.
        by_key |= {one.user_id: one for one in members}
        columns = (list_rows.c.position, list_rows.c.number, list_rows.c.typed, list_rows.c.key)
        found = (
            select(*columns)
            .where(*_of(broadcast_id, RowState.WAITING), list_rows.c.key.in_([*by_key]))
            .order_by(list_rows.c.position)
        )
        rows = self._connection.execute(found).all()
        self.judge_all(
            broadcast_id,
            [
                (ListRow(position, number, typed), Judged(RowState.GOOD, by_key[key]))
                for position, number, typed, key in rows
            ],
        )

    def is_waiting(self, broadcast_id: int) -> bool:
        """Tell whether anybody is still to be asked about."""
        states = (RowState.WAITING, RowState.FOUND)
        waiting = exists().where(list_rows.c.broadcast_id == broadcast_id, list_rows.c.state.in_(states))
        return bool(self._connection.scalar(select(waiting)))

    def give_up(self, broadcast_id: int, why: str) -> None:
        """Give all rows back that are still to be asked about."""
        waiting = list_rows.c.state.in_((RowState.WAITING, RowState.FOUND))
        mine = update(list_rows).where(list_rows.c.broadcast_id == broadcast_id, waiting)
        self._connection.execute(mine.values(state=RowState.OUT, why=why))

    # --- what is no longer kept ----------------------------------------------------------------------

    def drop(self, *, before: datetime) -> bool:
        """Drop some rows of broadcasts that ended before; return whether there was anything to drop."""
        old = (
            select(lists.c.broadcast_id)
            .join(broadcasts, broadcasts.c.id == lists.c.broadcast_id)
            .where(~lists.c.dropped, broadcasts.c.status.in_(ENDED), broadcasts.c.updated_at < before)
        )
        number = self._connection.scalar(old.limit(1))
        if number is None:
            return False
        some = select(list_rows.c.position).where(list_rows.c.broadcast_id == number).limit(DROPPED)
        gone = self._connection.execute(
            delete(list_rows).where(
                list_rows.c.broadcast_id == number, list_rows.c.position.in_(some.scalar_subquery())
            )
        )
        if gone.rowcount < DROPPED:
            mine = update(lists).where(lists.c.broadcast_id == number)
            self._connection.execute(mine.values(dropped=True, checked_at=before))
            forget_requests(self._connection, select(broadcasts.c.id).where(broadcasts.c.id == number))
        return True


def _of(broadcast_id: int, state: RowState) -> Iterable[Any]:
    return (list_rows.c.broadcast_id == broadcast_id, list_rows.c.state == state)
