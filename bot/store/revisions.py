"""What broadcasts said before, and who wrote it: revisions are never changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from bot.broadcast import SENT_BACK, Broadcast, Read, Revision, Step
from bot.notification import Notification
from bot.store.broadcast_rows import schedule_of
from bot.store.tables import audit_events, revisions
from bot.value import Person

_REVISES: Final = frozenset({Step.EDIT, Step.RESCHEDULE})
_ASKED_ABOUT: Final = (
    select(audit_events.c.action, audit_events.c.actor_id, audit_events.c.actor_name)
    .where(
        audit_events.c.broadcast_id == bindparam("wanted"),
        audit_events.c.action.in_(sorted({*_REVISES, Step.APPROVE, Step.RETRACT, *SENT_BACK})),
    )
    # By the order of the record, since edits and what came before them may bear the same moment.
    .order_by(audit_events.c.sequence)
)
_AGO: Final = (
    select(
        revisions.c.revision,
        revisions.c.notification,
        revisions.c.audience,
        revisions.c.schedule,
        func.row_number().over(order_by=revisions.c.revision.desc()).label("ago"),
    )
    .where(revisions.c.broadcast_id == bindparam("wanted"))
    .subquery()
)
_READ: Final = select(_AGO).where(_AGO.c.ago.in_(bindparam("wanted_ago", expanding=True)))


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

    def read_before(self, broadcast_id: int) -> list[Read]:
        """Return what approvers read of a broadcast before its last edit, the newest first.

        These are what it said when it was last sent back, and when somebody last approved it.
        """
        edits, sent_back, approved = 0, -1, dict[int, dict[int, str]]()
        for action, person, name in self._connection.execute(_ASKED_ABOUT, {"wanted": broadcast_id}):
            if action == Step.APPROVE:
                approved.setdefault(edits, {})[person] = name
            elif action == Step.RETRACT:
                approved.get(edits, {}).pop(person, None)
            if action in SENT_BACK:
                sent_back = edits
            if action in _REVISES:
                edits += 1
        yes = max((number for number, names in approved.items() if names and number < edits), default=-1)
        # By how many revisions ago it was: numbers may leave some out.
        wanted = {edits - one + 1: one for one in (sent_back, yes) if 0 <= one < edits}
        if not wanted:
            return []
        rows = self._connection.execute(_READ, {"wanted": broadcast_id, "wanted_ago": sorted(wanted)})
        return [
            Read(
                row["revision"],
                Notification.model_validate_json(row["notification"]),
                row["audience"],
                tuple(approved.get(wanted[row["ago"]], {}).values()),
                schedule_of(row),
            )
            for row in sorted(rows.mappings(), key=itemgetter("ago"))
        ]

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
            found[row["broadcast_id"]].append(
                Revision(row["revision"], editor, row["at"], words, row["audience"], schedule_of(row))
            )
        return found
