"""A transaction: everything that can be read and written, kept or dropped as one."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from bot.audit.chain import Event, NewEvent
from bot.broadcast import Broadcast
from bot.store import postgresql
from bot.store.agenda import Agenda
from bot.store.audit_log import AuditLog
from bot.store.broadcasts import Broadcasts
from bot.store.counts import Counts
from bot.store.deliveries import Deliveries
from bot.store.everyday import EverydayTemplates
from bot.store.facts import Facts
from bot.store.freezes import Freezes
from bot.store.history import History
from bot.store.kept_forms import KeptForms
from bot.store.links import Links
from bot.store.loans import Loans
from bot.store.members import Members, insert_of
from bot.store.mirror_posts import MirrorPosts
from bot.store.outbox import Outbox, PostKind
from bot.store.own_lists import OwnLists
from bot.store.pushes import Pushes
from bot.store.refusals import Refusals
from bot.store.revisions import Revisions
from bot.store.search_index import SearchIndex
from bot.store.searches import Searches
from bot.store.series_rows import SeriesRows
from bot.store.shares import Shares
from bot.store.sizes import Sizes
from bot.store.tables import interactions
from bot.store.tallies import Tallies
from bot.store.template_approvals import TemplateApprovals
from bot.store.testimony import Testimony
from bot.store.testing import Tests
from bot.store.waits import Waits

# Of what is no longer needed: far more than come in the hour between two times.
FORGOTTEN_AT_ONCE: Final = 20_000


class Transaction:
    """Everything that can be read and written, on one connection, to be kept or dropped as one."""

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self._connection = connection
        self._noted: list[tuple[NewEvent, int | None]] = []
        # What it is about, for whoever has to record why it was refused.
        self.about: Broadcast | None = None
        self.broadcasts = Broadcasts(connection, locking=writing)
        self.deliveries = Deliveries(connection)
        self.counts = Counts(connection)
        self.sizes = Sizes(connection)
        self.audit = AuditLog(connection)
        self.testimony = Testimony(connection)
        self.outbox = Outbox(connection)
        self.freezes = Freezes(connection)
        self.members = Members(connection)
        self.refusals = Refusals(connection)
        self.revisions = Revisions(connection)
        self.shares = Shares(connection)
        self.facts = Facts(connection, locking=writing)
        self.history = History(connection)
        self.templates = TemplateApprovals(connection)
        self.everyday = EverydayTemplates(connection, locking=writing)
        self.kept_forms = KeptForms(connection)
        self.series = SeriesRows(connection)
        self.lists = OwnLists(connection)
        self.loans = Loans(connection, locking=writing)
        self.links = Links(connection)
        self.tests = Tests(connection)
        self.waits = Waits(connection)
        self.search_index = SearchIndex(connection)
        self.searches = Searches(connection)
        self.agenda = Agenda(connection)
        self.tallies = Tallies(connection)
        self.pushes = Pushes(connection, locking=writing)
        self.mirror = MirrorPosts(connection, locking=writing)

    def note(self, new: NewEvent, *, channel_id: int | None) -> None:
        """Add a line to a server's record at the end of the transaction, and mirror it to that channel."""
        self._noted.append((new, channel_id))

    def note_now(self, new: NewEvent, *, channel_id: int | None, above: int = 0) -> Event:
        """Add a line whose number is needed in this transaction, which may draw no card anew after it."""
        event = self.audit.append(new, above=above)
        if channel_id is not None:
            self.outbox.add_post(
                PostKind.AUDIT,
                guild_id=event.guild_id,
                channel_id=channel_id,
                sequence=event.sequence,
                at=event.at,
            )
        return event

    def finish(self) -> None:
        """Write what was only noted, each kind at once.

        Cards before the record in every transaction, so that no two wait for each other.
        """
        self.outbox.redraw()
        # Two that write into the same chains take them in the same order.
        for new, channel_id in sorted(self._noted, key=lambda noted: noted[0].guild_id):
            self.note_now(new, channel_id=channel_id)
        self._noted.clear()
        self.audit.finish()
        self.outbox.finish()

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
