"""What people typed into forms that were refused, so that those come back filled in."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select

from bot.store.members import insert_of
from bot.store.tables import kept_forms


class KeptForm(NamedTuple):
    """What somebody typed: into which form, about what number, and what stands in each field by its name."""

    form: str
    number: int
    fields: Mapping[str, str]


class KeptForms:
    """The form that each person was last refused, one for each in a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, guild_id: int, user_id: int, kept: KeptForm, *, at: datetime) -> None:
        """Keep a form in place of the one before."""
        values = {**kept._asdict(), "fields": dict(kept.fields), "at": at}
        new = insert_of(self._connection)(kept_forms).values(guild_id=guild_id, user_id=user_id, **values)
        mine = [kept_forms.c.guild_id, kept_forms.c.user_id]
        self._connection.execute(new.on_conflict_do_update(index_elements=mine, set_=values))

    def fields(self, guild_id: int, user_id: int, form: str, number: int) -> Mapping[str, str]:
        """Return what somebody typed into that form; nothing if none was refused since it was taken."""
        found = self._connection.execute(
            select(kept_forms.c.fields).where(*_of(guild_id, user_id, form, number))
        )
        return found.scalar() or {}

    def drop(self, guild_id: int, user_id: int, form: str, number: int) -> None:
        """Forget a form that was taken."""
        self._connection.execute(delete(kept_forms).where(*_of(guild_id, user_id, form, number)))


def _of(guild_id: int, user_id: int, form: str, number: int) -> tuple[ColumnElement[bool], ...]:
    return (
        kept_forms.c.guild_id == guild_id,
        kept_forms.c.user_id == user_id,
        kept_forms.c.form == form,
        kept_forms.c.number == number,
    )
