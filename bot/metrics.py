"""What operators scrape: how the record, its mirror and the broadcasts stand, read from the database."""

from functools import partial
from typing import TYPE_CHECKING, Final

from bot.broadcast import Status
from bot.clock import Clock
from bot.policy.model import Policy, Server
from bot.store import Store, Transaction
from bot.store.facts import not_before, unknown_streak

if TYPE_CHECKING:
    from prometheus_client import Gauge

# Of the text format that the library writes.
CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"


class Metrics:
    """The numbers of all servers, as they are at the moment of asking.

    Nothing is counted in memory: a restart forgets nothing, and each of several processes says the same.
    """

    def __init__(self, *, store: Store, policy: Policy, clock: Clock) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock

    async def read(self) -> bytes:
        """Return the page in Prometheus' text format; raise StoreError if the database does not answer."""
        page = await self._store.read(self._page)
        return page.text()

    def _page(self, tx: Transaction) -> "_Page":
        page = _Page()
        for server in self._policy.servers:
            self._fill(page, tx, server)
        standing = {freeze.scope for freeze in tx.freezes.standing()}
        for name in self._policy.account_names:
            page.account_frozen.labels(name).set(bool(standing & {(None, None), (None, name)}))
            page.account_unknown.labels(name).set(tx.facts.get(unknown_streak(name)) or 0)
            page.account_paused.labels(name).set(tx.facts.get(not_before(name)) is not None)
        return page

    def _fill(self, page: "_Page", tx: Transaction, server: Server) -> None:
        guild, name = server.guild, server.name
        mirror = tx.mirror.condition(guild)
        waited = (self._clock() - mirror.since).total_seconds() if mirror.since else 0.0
        page.waiting.labels(name).set(mirror.waiting)
        page.oldest.labels(name).set(max(waited, 0.0))
        page.unreadable.labels(name).set(bool(mirror.unread))
        page.tampered.labels(name).set(tx.mirror.tampered(guild))
        heads = tx.audit.heads(guild)
        page.lines.labels(name).set((heads[guild].sequence or 0) if guild in heads else 0)
        page.frozen.labels(name).set(tx.freezes.over(guild, server.account) is not None)
        page.cards.labels(name).set(tx.outbox.cards_waiting(guild))
        counted = tx.broadcasts.count(guild)
        for status in Status:
            page.broadcasts.labels(name, status.value).set(counted.get(status, 0))


class _Page:
    """The gauges of one scrape, in a registry of their own."""

    def __init__(self) -> None:
        # Few processes are scraped: what writes the page is read with the first question for it.
        from prometheus_client import CollectorRegistry, Gauge, generate_latest  # noqa: PLC0415

        registry = CollectorRegistry()
        self.text = partial(generate_latest, registry)

        def gauge(name: str, words: str, *labels: str, of: str = "server") -> "Gauge":
            return Gauge(f"herald_{name}", words, (of, *labels), registry=registry)

        self.waiting = gauge("mirror_waiting_lines", "Lines of the record that wait to be posted.")
        self.oldest = gauge("mirror_oldest_waiting_seconds", "How long the oldest of them has waited.")
        self.unreadable = gauge("mirror_unreadable", "1 while Herald may not read the audit channel.")
        self.tampered = gauge("mirror_tampered_posts", "Posts that were found deleted or edited.")
        self.lines = gauge("record_lines", "Lines of the record.")
        self.frozen = gauge("frozen", "1 while sending is frozen.")
        self.cards = gauge("cards_waiting", "Cards that do not yet show how things stand.")
        self.account_frozen = gauge("account_frozen", "1 while nothing is sent by it.", of="account")
        self.account_unknown = gauge(
            "account_unknown_answers", "Unknown answers in a row: three freeze it.", of="account"
        )
        self.account_paused = gauge("account_paused", "1 after Whop asked to wait.", of="account")
        self.broadcasts = gauge("broadcasts", "Broadcasts by their status.", "status")
