"""Each server's weekly digest: put into the outbox once, however many processes there are and restarts."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.clock import Clock
from bot.digest import Span
from bot.policy.model import Policy, Server
from bot.store import Store, Transaction
from bot.store.facts import digest_of
from bot.store.outbox import PostKind


class Digests:
    """Tells what became of what was decided, whenever a week is over."""

    def __init__(self, *, store: Store, policy: Policy, clock: Clock) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        # Up to when each server was told, as far as this process knows: a round without news asks nothing.
        self._told: dict[int, datetime] = {}

    async def tell(self) -> None:
        """Put what is due into the outbox; raise StoreError if that cannot be done now."""
        now = self._clock()
        for server in self._policy.servers:
            weekly = server.rules.weekly_digest
            if weekly is None:
                continue
            end = weekly.last(now, ZoneInfo(server.rules.time_zone))
            if self._told.get(server.guild) != end:
                await self._store.write(self._put, server, end)
                self._told[server.guild] = end

    def _put(self, tx: Transaction, server: Server, end: datetime) -> None:
        fact = digest_of(server.guild)
        told = tx.facts.get(fact)
        if told is None or told < end:
            tx.facts.set(fact, end)
        # What was decided before somebody switched it on is told by nobody. What was missed is told at once.
        if told is not None and told < end:
            tx.outbox.add_post(
                PostKind.DIGEST,
                step=Span(told, end).mark,
                guild_id=server.guild,
                channel_id=server.channels.review,
                at=self._clock(),
            )
