"""What templates have lent to broadcasts, so that each lends only so often."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, insert, select, update

from bot.store import postgresql
from bot.store.tables import loans


class Loan(NamedTuple):
    """A template's approval that a broadcast was lent, by the fingerprints of both; void once recalled."""

    broadcast_id: int
    guild_id: int
    template: str
    fingerprint: str
    person_id: int
    at: datetime
    void: bool = False


class Loans:
    """Loans as rows, one for each broadcast at most."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def lend_alone(self, guild_id: int) -> None:
        """Wait until nobody else lends or recalls in a server, so that two at once never count the same."""
        if self._locking and self._connection.dialect.name == "postgresql":
            postgresql.lock_lending(self._connection, guild_id)

    def add(self, loan: Loan) -> None:
        """Write down what a template lends."""
        self._connection.execute(insert(loans), [loan._asdict()])

    def since(self, guild_id: int, at: datetime) -> list[Loan]:
        """Return what was lent in a server after that moment, newest first."""
        rows = self._connection.execute(
            select(loans).where(loans.c.guild_id == guild_id, loans.c.at > at).order_by(loans.c.at.desc())
        )
        return [_loan(row) for row in rows.mappings()]

    def of(self, broadcast_ids: Sequence[int]) -> dict[int, Loan]:
        """Return what these broadcasts were lent, of those that were lent anything."""
        rows = self._connection.execute(select(loans).where(loans.c.broadcast_id.in_(broadcast_ids)))
        return {row["broadcast_id"]: _loan(row) for row in rows.mappings()}

    def recall(self, guild_id: int, template: str, *, since: datetime) -> list[int]:
        """Let nothing count any more that the template has lent since then; return to which broadcasts."""
        recalled = self._connection.scalars(
            update(loans)
            .where(
                loans.c.guild_id == guild_id,
                loans.c.at > since,
                loans.c.template == template,
                loans.c.void.is_(False),
            )
            .values(void=True)
            .returning(loans.c.broadcast_id)
        )
        return sorted(recalled)


def _loan(row: RowMapping) -> Loan:
    return Loan(**{name: row[name] for name in Loan._fields})
