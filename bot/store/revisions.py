"""What broadcasts said before, and who wrote it: revisions are never changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from bot.broadcast import SENT_BACK, Broadcast, Revision, Step
from bot.notification import Notification
from bot.store.tables import audit_events, revisions
from bot.value import Person

_RETURNS: Final = audit_events.alias("returns")
_EDITS: Final = audit_events.alias("edits")
# By the order of the record, since edits and what came before them may bear the same moment.
_EDITS_SINCE: Final = (
    select(func.count())
    .select_from(_EDITS)
    .where(
        _EDITS.c.broadcast_id == bindparam("wanted"),
        _EDITS.c.action == Step.EDIT.value,
        _EDITS.c.sequence
        > select(func.max(_RETURNS.c.sequence))
        .where(
            _RETURNS.c.broadcast_id == bindparam("wanted"),
            _RETURNS.c.action.in_(sorted(step.value for step in SENT_BACK)),
        )
        .scalar_subquery(),
    )
    .scalar_subquery()
)
_READ_LAST: Final = (
    select(revisions.c.notification)
    .where(revisions.c.broadcast_id == bindparam("wanted"))
    .order_by(revisions.c.revision.desc())
    .limit(1)
    .offset(_EDITS_SINCE)
)


class Revisions:
    """Revisions as rows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def writers(self, broadcast: Broadcast) -> Sequence[Person]:
        """Return everyone whose words may be in it, its author included."""
        return self.writers_of([broadcast])[broadcast.id]

    def writers_of(self, broadcasts: Sequence[Broadcast]) -> Mapping[int, Sequence[Person]]:
        """Return everyone whose words may be in each of these broadcasts, by its number."""
        rows = self._connection.execute(
            select(revisions.c.broadcast_id, revisions.c.editor_id, revisions.c.editor_name)
            .where(revisions.c.broadcast_id.in_([one.id for one in broadcasts]))
            .order_by(revisions.c.broadcast_id, revisions.c.revision)
        )
        named: dict[int, dict[int, Person]] = defaultdict(dict)
        for broadcast_id, *editor in rows:
            person = Person(*editor)
            named[broadcast_id][person.id] = person
        return {one.id: list((named[one.id] | {one.author.id: one.author}).values()) for one in broadcasts}

    def read_last(self, broadcast_id: int) -> Notification | None:
        """Return what the broadcast said when it was last sent back, or says now if it never was."""
        words = self._connection.scalar(_READ_LAST, {"wanted": broadcast_id})
        return Notification.model_validate_json(words) if words else None

    def of(self, broadcast_ids: Sequence[int]) -> Mapping[int, Sequence[Revision]]:
        """Return everything that each of these broadcasts ever said, oldest first."""
        rows = self._connection.execute(
            select(revisions)
            .where(revisions.c.broadcast_id.in_(broadcast_ids))
            .order_by(revisions.c.broadcast_id, revisions.c.revision)
        )
        found: dict[int, list[Revision]] = {one: [] for one in broadcast_ids}
        for row in rows.mappings():
            editor = Person(row["editor_id"], row["editor_name"])
            words = Notification.model_validate_json(row["notification"])
            found[row["broadcast_id"]].append(Revision(row["revision"], editor, row["at"], words))
        return found
