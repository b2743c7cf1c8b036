"""Lists of people that somebody brought along, row by row, and how far their check has come."""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, exists, func, insert, literal, select, update

from bot.broadcast import ENDED
from bot.own_list import Kept, Named, OwnList, Row, key_of
from bot.sentences import shortened
from bot.store.tables import broadcasts, list_rows, lists

_NAME_LIMIT: Final = 100
# While somebody asks about its rows, nobody else does for so long.
CLAIMED: Final = timedelta(seconds=90)
# So many rows are looked for by their keys at once.
_AT_ONCE: Final = 500
# So many are dropped at once that are no longer kept.
DROPPED: Final = 5_000
# Nothing is left to be read.
NOTHING: Final = "[]"


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
            "step": 0,
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
        member, state = judged.member, judged.state
        if (
            member is not None
            and state is not RowState.OUT
            and self._stands(broadcast_id, member.user_id, row.position)
        ):
            state = RowState.AGAIN
        values: dict[str, Any] = {"state": state, "why": judged.why}
        if member is not None:
            values |= {"user_id": member.user_id, "username": shortened(member.username, _NAME_LIMIT)}
        mine = (list_rows.c.broadcast_id == broadcast_id, list_rows.c.position == row.position)
        self._connection.execute(update(list_rows).where(*mine).values(values))

    def _stands(self, broadcast_id: int, user_id: str, position: int) -> bool:
        taken = exists().where(
            list_rows.c.broadcast_id == broadcast_id,
            list_rows.c.user_id == user_id,
            list_rows.c.position != position,
            list_rows.c.state.in_((RowState.FOUND, RowState.GOOD)),
        )
        return bool(self._connection.scalar(select(taken)))

    def welcome(self, broadcast_id: int, members: Collection[Named]) -> None:
        """Write down of these, who are in the experience, that they can be reached."""
        by_key = {one.user_id: one for one in members}
        by_key |= {key_of(one.username): one for one in members if one.username}
        columns = (list_rows.c.position, list_rows.c.number, list_rows.c.typed, list_rows.c.key)
        keys = [*by_key]
        for first in range(0, len(keys), _AT_ONCE):
            some = select(*columns).where(
                *_of(broadcast_id, RowState.WAITING), list_rows.c.key.in_(keys[first : first + _AT_ONCE])
            )
            for position, number, typed, key in self._connection.execute(
                some.order_by(list_rows.c.position)
            ).all():
                row = ListRow(position, number, typed)
                self.judge(broadcast_id, row, Judged(RowState.GOOD, by_key[key]))

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
        return True


def _of(broadcast_id: int, state: RowState) -> Iterable[Any]:
    return (list_rows.c.broadcast_id == broadcast_id, list_rows.c.state == state)
