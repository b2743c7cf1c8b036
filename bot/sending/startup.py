"""What is settled before a process sends anything: a crash loop, or a database from a backup, freezes."""

import asyncio
import hashlib
import os
import platform
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import structlog

from bot import seal
from bot.approvals import heed_policy, lapse
from bot.audit.chain import HERALD
from bot.broadcast import Status, Step
from bot.clock import Clock
from bot.errors import Conflict, HeraldError, StoreError
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.notification import canonical
from bot.sending.restore_guard import RestoreGuard
from bot.store import Store, Transaction
from bot.store.facts import RUN, STARTS, Run, Start, cards_of, scope_of, template_asked
from bot.store.history import Mark
from bot.store.outbox import PostKind

log = structlog.get_logger()

# More starts than that in this time, each after a crash, and something is badly wrong.
MOST_STARTS: Final = 5
WITHIN: Final = timedelta(minutes=10)
TRIES: Final = 3
# How long an orderly end may wait for the database.
END_SECONDS: Final = 1.5


class Startup:
    """The beginning of a process that sends, and its orderly end."""

    def __init__(
        self, *, store: Store, lifecycle: Lifecycle, restore_guard: RestoreGuard, clock: Clock
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._restore_guard = restore_guard
        self._clock = clock
        self._me = Start(clock(), platform.node(), os.getpid(), str(restore_guard.file.absolute()))

    @asynccontextmanager
    async def counted(self) -> AsyncGenerator[None, None]:
        """Begin, and note the end: of what was asked for, or is said in a sentence, but not of a crash."""
        crashed = False
        try:
            await self.begin()
            yield
        except Exception as error:
            crashed = not isinstance(error, HeraldError)
            raise
        finally:
            if not crashed:
                await self.end()

    async def begin(self) -> None:
        """Freeze where going on would be wrong; raise StoreError if the database cannot say."""
        for _ in range(TRIES - 1):
            # Others that are at work may be in the way for a moment.
            with suppress(StoreError):
                return self._restore_guard.keep(await self._store.write(self._begin))
        return self._restore_guard.keep(await self._store.write(self._begin))

    def _begin(self, tx: Transaction) -> Mark:
        # Two that add to the history at once would both add the same.
        tx.claim_alone()
        self._restore_guard.check(tx)
        if self._store.alone and self._store.outlived is None:
            self._succeed(tx)
        starts = tx.facts.get(STARTS) or ()
        crashes = [one for one in starts if self._crashed(one)]
        if len(crashes) >= MOST_STARTS:
            self._freeze(tx, f"Herald was started {len(crashes) + 1} times within ten minutes")
        tx.facts.set(STARTS, [*(one for one in starts if self._is_recent(one)), self._me])
        self._heed_policy(tx)
        self._keep_scopes(tx)
        # One beside which another runs draws nothing, and perhaps that other has yet another policy.
        if self._store.alone:
            self._ask_for_templates(tx)
            self._redraw_cards(tx)
        return self._restore_guard.advance(tx)

    def _succeed(self, tx: Transaction) -> None:
        """Take the place of the one before, which is at work yet if it is not seen to be gone."""
        before, me = tx.facts.get(RUN), self._me
        if before and before.name != self._store.name and self._is_gone(before.host, before.pid):
            self._store.outlived = before.name
        tx.facts.set(RUN, Run(self._store.name, me.host, me.pid))

    def _is_gone(self, host: str, pid: int) -> bool:
        # In a container every process has the same number, and the one before is gone for certain.
        return host == self._me.host and (pid == self._me.pid or not _is_alive(pid))

    async def end(self) -> None:
        """Note that this process ended in order; a database that does not take it keeps nobody waiting."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._store.write(self._end)
        except (StoreError, TimeoutError) as error:
            log.warning("the end could not be written down, and will count as a crash", why=str(error))

    def _end(self, tx: Transaction) -> None:
        tx.facts.set(STARTS, [one for one in tx.facts.get(STARTS) or () if one != self._me])

    def _heed_policy(self, tx: Transaction) -> None:
        """Let what was agreed to under another policy mean what it means under this one."""
        for broadcast in tx.broadcasts.everywhere({Status.REVIEW, Status.APPROVED}):
            if broadcast.status is Status.REVIEW:
                heed_policy(tx, self._lifecycle, broadcast)
            elif lapsed := lapse(self._lifecycle, broadcast):
                self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=lapsed)

    def _keep_scopes(self, tx: Transaction) -> None:
        """Keep how the policy defines each audience, so that a fingerprint can always be computed again."""
        written = [canonical(one) for one in self._lifecycle.scopes()]
        kept = {scope_of(hashlib.sha256(one.encode()).hexdigest()): one for one in written}
        tx.facts.load(*kept)
        # Two that start at once, perhaps with different policies, keep them in the same order.
        for fact in sorted(kept, key=lambda one: one.name):
            tx.facts.set(fact, kept[fact])

    def _ask_for_templates(self, tx: Transaction) -> None:
        """Put each template that is new, or says something else now, before its approvers once."""
        for server in self._lifecycle.policy.servers:
            for template in server.templates:
                number = seal.number_of_template(
                    self._lifecycle.template_fingerprint(server, template),
                    needed=server.quorum(template.audience),
                )
                asked = template_asked(number, server.guild)
                if tx.facts.get(asked) is None:
                    tx.facts.set(asked, self._clock())
                    tx.outbox.add_post(
                        PostKind.TEMPLATE,
                        guild_id=server.guild,
                        channel_id=server.channels.review,
                        step=str(number),
                        at=self._clock(),
                    )

    def _redraw_cards(self, tx: Transaction) -> None:
        """Let what waits be shown anew where its cards were drawn by another policy, or by an earlier Herald.

        Their buttons say that they are out of date until then.
        """
        for server in self._lifecycle.policy.servers:
            drawn = cards_of(server.guild)
            digest = seal.of_server(self._lifecycle, server)
            if tx.facts.get(drawn) != digest:
                tx.facts.set(drawn, digest)
                tx.outbox.redraw_open_cards(server.guild, at=self._clock())

    def _freeze(self, tx: Transaction, reason: str) -> None:
        log.error("sending is frozen", reason=reason)
        # Conflict: it is frozen already, which is all that is wanted.
        with suppress(Conflict):
            self._lifecycle.freeze(tx, Freeze(guild_id=None, by=HERALD, at=self._clock(), reason=reason))

    def _is_recent(self, start: Start) -> bool:
        # One that lies far ahead was noted by a clock that has been set back, nobody knows when.
        return abs(self._clock() - start.at) <= WITHIN

    def _crashed(self, start: Start) -> bool:
        """Tell whether it began lately, in this one's place, and is gone without having ended."""
        # Others of this host are started with it, and lost with it, and nothing is wrong with any.
        if not self._is_recent(start) or start.witness != self._me.witness:
            return False
        return self._is_gone(start.host, start.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
