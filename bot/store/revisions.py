"""What broadcasts said before, and who wrote it: revisions are never changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from bot.broadcast import Broadcast, Revision
from bot.notification import Notification
from bot.store.tables import revisions
from bot.value import Person


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
