"""A transaction: everything that can be read and written, kept or dropped as one."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from bot.broadcast import Broadcast
from bot.store import postgresql
from bot.store.audit_log import AuditLog
from bot.store.broadcasts import Broadcasts
from bot.store.deliveries import Deliveries
from bot.store.facts import Facts
from bot.store.freezes import Freezes
from bot.store.history import History
from bot.store.members import Members, insert_of
from bot.store.mirror_posts import MirrorPosts
from bot.store.outbox import Outbox
from bot.store.refusals import Refusals
from bot.store.revisions import Revisions
from bot.store.tables import interactions
from bot.store.template_approvals import TemplateApprovals
from bot.store.waits import Waits

# Of what is no longer needed: far more than come in the hour between two times.
FORGOTTEN_AT_ONCE: Final = 20_000


class Transaction:
    """Everything that can be read and written, on one connection, to be kept or dropped as one."""

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self._connection = connection
        # What it is about, for whoever has to record why it was refused.
        self.about: Broadcast | None = None
        self.broadcasts = Broadcasts(connection, locking=writing)
        self.deliveries = Deliveries(connection, locking=writing)
        self.audit = AuditLog(connection)
        self.outbox = Outbox(connection)
        self.freezes = Freezes(connection)
        self.members = Members(connection)
        self.refusals = Refusals(connection)
        self.revisions = Revisions(connection)
        self.facts = Facts(connection, locking=writing)
        self.history = History(connection)
        self.templates = TemplateApprovals(connection)
        self.waits = Waits(connection)
        self.mirror = MirrorPosts(connection, locking=writing)

    def use_interaction(self, interaction_id: int, *, at: datetime) -> bool:
        """Note that an interaction changes something; return False if it already has."""
        new = insert_of(self._connection)(interactions).values(id=interaction_id, at=at)
        new = new.on_conflict_do_nothing().returning(interactions.c.id)
        return self._connection.scalar(new) is not None

    def forget_interactions(self, *, before: datetime) -> None:
        """Drop what was noted of interactions before that moment: Discord repeats none after so long.

        The oldest first, and not more at once than keeps nobody waiting; the rest is dropped next time.
        """
        old = select(interactions.c.id).where(interactions.c.at < before).order_by(interactions.c.at)
        self._connection.execute(
            delete(interactions).where(interactions.c.id.in_(old.limit(FORGOTTEN_AT_ONCE)))
        )

    def claim_alone(self) -> None:
        """Wait until no other process claims, so that all together keep to one rate."""
        if self._connection.dialect.name == "postgresql":
            postgresql.lock_claiming(self._connection)
