"""Who people are at Whop, and the codes by which they show it."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, select, update

from bot.store.members import insert_of
from bot.store.tables import link_codes, links
from bot.testing import MOST_TRIES, Link, LinkCode
from bot.value import Person

_KEY: Final = ("guild_id", "account", "person_id")


class Links:
    """One link and one code for each person, in each server and by each account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, guild_id: int, account: str, person_id: int) -> Link | None:
        """Return who somebody is at Whop, if they have shown it."""
        return self._find(*_whose(links, guild_id, account, person_id))

    def holder(self, guild_id: int, account: str, whop_id: str) -> Link | None:
        """Return who has shown that they are that user of Whop."""
        return self._find(
            links.c.guild_id == guild_id, links.c.account == account, links.c.whop_id == whop_id
        )

    def keep(self, link: Link) -> None:
        """Keep a link in place of the one before."""
        self._put(links, _row(link) | {"at": link.at})

    def remove(self, guild_id: int, account: str, person_id: int) -> bool:
        """Forget somebody's link, and the code that they were asked for; tell whether there was a link."""
        self.forget_code(guild_id, account, person_id)
        done = self._connection.execute(delete(links).where(*_whose(links, guild_id, account, person_id)))
        return done.rowcount == 1

    def ask(self, code: LinkCode) -> None:
        """Ask for a code, in place of the one before."""
        kept = code._asdict()
        del kept["link"]
        self._put(link_codes, _row(code.link) | kept)

    def try_code(self, guild_id: int, account: str, person_id: int, *, at: datetime) -> LinkCode | None:
        """Count a try at somebody's code and return that; None if none counts any more."""
        tried = (
            update(link_codes)
            .where(
                *_whose(link_codes, guild_id, account, person_id),
                link_codes.c.tries < MOST_TRIES,
                link_codes.c.expires_at > at,
            )
            .values(tries=link_codes.c.tries + 1)
            .returning(*link_codes.c)
        )
        row = self._connection.execute(tried).mappings().first()
        return _code(row, at) if row else None

    def forget_code(self, guild_id: int, account: str, person_id: int) -> None:
        """Let the code that somebody was asked for count no more."""
        self._connection.execute(delete(link_codes).where(*_whose(link_codes, guild_id, account, person_id)))

    def _find(self, *where: ColumnElement[bool]) -> Link | None:
        row = self._connection.execute(select(links).where(*where)).mappings().first()
        return _link(row, row["at"]) if row else None

    def _put(self, table: Table, row: dict[str, Any]) -> None:
        new = insert_of(self._connection)(table).values(**row)
        changed = {name: new.excluded[name] for name in row if name not in _KEY}
        self._connection.execute(new.on_conflict_do_update(index_elements=_KEY, set_=changed))


def _whose(table: Table, guild_id: int, account: str, person_id: int) -> tuple[ColumnElement[bool], ...]:
    return table.c.guild_id == guild_id, table.c.account == account, table.c.person_id == person_id


def _row(link: Link) -> dict[str, Any]:
    return {
        "guild_id": link.guild_id,
        "account": link.account,
        "origin": link.origin,
        "person_id": link.person.id,
        "person_name": link.person.name,
        "whop_id": link.whop_id,
        "whop_name": link.whop_name,
        "experience": link.experience,
    }


def _link(row: RowMapping, at: datetime) -> Link:
    return Link(
        guild_id=row["guild_id"],
        account=row["account"],
        origin=row["origin"],
        person=Person(row["person_id"], row["person_name"]),
        whop_id=row["whop_id"],
        whop_name=row["whop_name"],
        experience=row["experience"],
        at=at,
    )


def _code(row: RowMapping, at: datetime) -> LinkCode:
    return LinkCode(
        _link(row, at), row["broadcast_id"], row["salt"], row["digest"], row["tries"], row["expires_at"]
    )
