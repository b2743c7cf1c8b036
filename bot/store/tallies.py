"""How many: counts that lists and reports show, each of rows that stand there."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Date, and_, func, select

from bot.delivery import DeliveryStatus
from bot.digest import RESULTS, Span, Tally
from bot.store.conditions import NO_TEST
from bot.store.tables import audit_events, broadcasts, deliveries


class Tallies:
    """Counts of one state of the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def requests(self, broadcast_ids: Collection[int]) -> Mapping[int, Mapping[DeliveryStatus, int]]:
        """Return how many requests of each of these broadcasts stand how; of what was not begun, none."""
        rows = self._connection.execute(
            select(deliveries.c.broadcast_id, deliveries.c.status, func.count())
            .where(deliveries.c.broadcast_id.in_(sorted(broadcast_ids)))
            .group_by(deliveries.c.broadcast_id, deliveries.c.status)
        )
        found: dict[int, Counter[DeliveryStatus]] = defaultdict(Counter)
        for broadcast_id, status, number in rows:
            found[broadcast_id][DeliveryStatus(status)] = number
        return found

    def results(self, guild_id: int, span: Span) -> Sequence[Tally]:
        """Return how many broadcasts of each audience came to each result in that time: each by its last."""
        day = func.date(audit_events.c.at, type_=Date)
        last = (
            select(audit_events.c.broadcast_id, func.max(audit_events.c.sequence).label("sequence"))
            .where(
                audit_events.c.guild_id == guild_id,
                day.between(span.begin.date(), span.end.date()),
                audit_events.c.at >= span.begin,
                audit_events.c.at < span.end,
                audit_events.c.action.in_(sorted(RESULTS)),
            )
            .group_by(audit_events.c.broadcast_id)
            .subquery()
        )
        rows = self._connection.execute(
            select(broadcasts.c.audience, audit_events.c.action, func.count())
            .join_from(last, broadcasts, and_(broadcasts.c.id == last.c.broadcast_id, NO_TEST))
            .join(
                audit_events,
                and_(audit_events.c.guild_id == guild_id, audit_events.c.sequence == last.c.sequence),
            )
            .group_by(broadcasts.c.audience, audit_events.c.action)
        )
        return [Tally(audience, RESULTS[action], number) for audience, action, number in rows]
