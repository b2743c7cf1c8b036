"""How many: counts that lists and reports show, each of rows that stand there."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select

from bot.delivery import DeliveryStatus
from bot.store.tables import deliveries


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
