"""What follows when the clock was moved: it is noted, and nobody waits for the time that was taken back."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from bot.audit.chain import HERALD
from bot.clock import Clock, Pace, Steady, Watch, boot_id
from bot.errors import Conflict
from bot.freeze import Freeze
from bot.key_trust import remember_highest
from bot.lifecycle import Lifecycle
from bot.quiet_rules import waited_for
from bot.store import Store, Transaction
from bot.store.facts import pace_of

log = structlog.get_logger()

# How often is looked for what waits too long for other reasons: the database's own clock was set back, or a
# moment was told before and written down after the clock was.
LOOK_OVER_SECONDS: Final = 60.0
# Nothing is tried again later than that, and no count of refusals goes on for longer without one.
LONGEST: Final = timedelta(hours=1)
UNRULY: Final = (
    "the clock of the machine is moved again and again, so that nobody can say what is due: let its time"
    " service set it right first"
)


class Timekeeping:
    """Compares the clocks of one process, and remembers in the database how they went."""

    def __init__(
        self, *, store: Store, lifecycle: Lifecycle, clock: Clock, steady: Steady, watch: Watch
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._clock = clock
        self._steady = steady
        self._watch = watch
        self._pace = pace_of(boot_id() or "this machine")
        self._is_resumed = False
        self._kept: Pace | None = None
        self._moved = timedelta()
        self._looked_over = float("-inf")

    @property
    def is_doubtful(self) -> bool:
        """Tell whether the clock was moved so recently that it may be set right again; never for long."""
        return self._watch.is_doubtful and not self._watch.is_unruly

    async def look(self) -> None:
        """Notice that the clock was moved; raise StoreError if it cannot be written down now."""
        if not self._is_resumed:
            self._kept = await self._store.glance(lambda tx: tx.facts.get(self._pace))
            if self._kept is not None:
                self._watch.resume(self._kept)
            self._is_resumed = True
        # Until it is written down, so that a busy database forgets nothing.
        self._moved += self._watch.look() or timedelta()
        if self._moved:
            log.error("the clock was moved", seconds=self._moved.total_seconds())
        pace = self._watch.pace
        if self._moved or not pace.is_like(self._kept):
            await self._store.write(self._note, pace, self._moved)
            self._kept, self._moved = pace, timedelta()
        if self._steady() - self._looked_over >= LOOK_OVER_SECONDS:
            await self._store.write(self._look_over)
            self._looked_over = self._steady()
        if self._watch.is_unruly:
            await self._store.write(self._freeze)

    def _note(self, tx: Transaction, pace: Pace, moved: timedelta) -> None:
        tx.facts.set(self._pace, pace)
        if not moved:
            return
        said = f"the clock was moved by {moved.total_seconds():+.0f} seconds; nothing starts for a minute"
        self._lifecycle.note_everywhere(tx, "clock moved", said)
        if moved < timedelta():
            remember_highest(tx, self._watch.highest)
            self._shorten_waits(tx)

    def _shorten_waits(self, tx: Transaction) -> None:
        """Let nothing wait for longer than the policy says, or for what was to be tried again by now."""
        now = self._clock()
        # What belongs to a broadcast after it, as everywhere: else two would wait for each other.
        for server in self._lifecycle.policy.servers:
            tx.waits.shorten(
                server.guild,
                now,
                undo_window=server.rules.undo_window,
                review=server.rules.review_expires,
                quiet_until=waited_for(server, now),
            )
        tx.waits.end(now)
        for server in self._lifecycle.policy.servers:
            # They say when.
            tx.outbox.redraw_open_cards(server.guild, at=now)

    def _look_over(self, tx: Transaction) -> None:
        tx.deliveries.shorten_leases()
        tx.waits.end(self._clock(), beyond=LONGEST)

    def _freeze(self, tx: Transaction) -> None:
        # Conflict: it is frozen already, which is all that is wanted.
        with suppress(Conflict):
            self._lifecycle.freeze(tx, Freeze(guild_id=None, by=HERALD, at=self._clock(), reason=UNRULY))
