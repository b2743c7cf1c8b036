"""What one trial works on: a database with approved broadcasts, a Whop that counts, and workers to kill."""

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bot import app
from bot.broadcast import Broadcast, Status
from bot.clock import utc_now
from bot.errors import StoreError
from bot.freeze import Freeze
from bot.key_trust import Verdict, keep
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.service import Service
from bot.store import Access, Store, Transaction
from bot.store.facts import STARTS, key_trust, unknown_streak
from tests.crash.count import UNDER_WAY, compared
from tests.crash.fault_server import pushes
from tests.crash.faults import HOLD_SECONDS, written
from tests.crash.people import EXPERIENCES
from tests.crash.tally import Tally
from tests.crash.whop_process import WhopProcess
from tests.crash.worker import Order, Worker
from tests.harness.people import Members, approved, member
from tests.harness.policy import (
    APPROVE,
    COMPOSE,
    GUILD,
    OTHER_GUILD,
    REVIEW_CHANNEL,
    audience,
    parsed,
    rules,
    server,
)
from tests.harness.process import settings_of
from tests.harness.wire import KEY

# Who composes and who approves, in each server.
MAYA, OMAR = member(1, "Maya", COMPOSE), member(2, "Omar", APPROVE)
LENA, NOOR = (member(3, "Lena", COMPOSE, guild=OTHER_GUILD), member(4, "Noor", APPROVE, guild=OTHER_GUILD))
# So many requests make up the largest broadcast.
MANY: Final = 300
AUDIENCES: Final = (
    audience("One", "exp_one"),
    audience("Three", "exp_one", "exp_two", "exp_three"),
    audience("Many", *(f"exp_{number}" for number in range(MANY))),
)
# Everybody is found first, and named.
CROWD: Final = audience("Crowd", *EXPERIENCES, size=500, more='reach = "once"\n')
RULES: Final = rules(undo="0s", missed="20h")
POLICIES: Final = {
    generation: server(*audiences, rules=RULES)
    + server(*audiences, rules=RULES, name="Moonlight", guild=OTHER_GUILD, review=REVIEW_CHANNEL + 2)
    for generation, audiences in (("v1", (*AUDIENCES, CROWD)), ("v5", AUDIENCES))
}
# Two migrations at once in one process would take each other's database.
_MIGRATING: Final = asyncio.Lock()
# Far longer than anything takes: what has not ended by then never will.
PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A database, and how far idempotency keys are to be trusted."""

    key: str
    database: str

    @property
    def generation(self) -> str:
        """Return the Whop API that is used."""
        return "v5" if self.key == "v5" else "v1"

    @property
    def is_trusted(self) -> bool:
        """Tell whether Herald takes Whop to honour keys."""
        return self.key in {"proven", "stale"}

    @property
    def is_honoured(self) -> bool:
        """Tell whether Whop does."""
        return self.key == "proven"

    def __str__(self) -> str:
        return f"{self.key} {self.database}"


class Trial:
    """Everything one trial needs; the numbers of what was done to the workers are kept on it."""

    def __init__(
        self, mode: Mode, *, folder: Path, url: str, store: Store, service: Service, whop: WhopProcess
    ) -> None:
        self.mode = mode
        self.whop = whop
        self.store = store
        # What was done, and which promises were seen to be broken meanwhile.
        self.seen = Tally()
        self.folder = folder
        self.copied = False
        # How many were killed who could repeat what was in doubt.
        self._unheard = 0
        self._service = service
        self.url = url
        self._numbers = itertools.count(1)
        self._workers: list[Worker] = []
        self.set_clock(0)

    @classmethod
    @asynccontextmanager
    async def open(cls, mode: Mode, *, folder: Path, url: str) -> AsyncGenerator[Self, None]:
        """Set everything up, and leave no process behind."""
        policy = POLICIES[mode.generation]
        (folder / "herald.toml").write_text(policy, encoding="utf-8")
        whop = WhopProcess(folder / "pushes.log", honours=mode.is_honoured)
        origin = f"http://127.0.0.1:{whop.port}"
        settings = settings_of(url, folder, origin=origin, generation=mode.generation)
        async with AsyncExitStack() as stack:
            async with _MIGRATING:
                store = await stack.enter_async_context(Store.open(url, alone=False))
            worker = await stack.enter_async_context(
                app.Worker.open(
                    settings,
                    parsed(policy),
                    store=store,
                    role_source=Members((MAYA, OMAR, LENA, NOOR)),
                )
            )
            service, account = worker.service, worker.service.lifecycle.accounts[ACCOUNT]
            trial = cls(mode, folder=folder, url=url, store=store, service=service, whop=whop)
            if mode.is_trusted:
                await store.write(keep, account, Verdict(honoured=True, words=""), at=utc_now())
            await whop.start()
            try:
                yield trial
            finally:
                await trial.end_all()
                await whop.kill()

    # --- broadcasts --------------------------------------------------------------------------------

    async def approve(self, audience: str, plan: Sequence[str] = (), *, guild: int = GUILD) -> int:
        """Bring a broadcast to the moment in which it is due; return its number."""
        text = Text(subject=f"Trial {next(self._numbers)}", content=written(plan))
        words = Notification(topic="news", all=text)
        author, approver = (MAYA, OMAR) if guild == GUILD else (LENA, NOOR)
        due = await approved(self._service, audience, author=author, approver=approver, words=words)
        return due.id

    async def under_way(self, *guilds: int) -> list[Broadcast]:
        """Return what has not come to its end, in these servers or in all."""
        with self.store.begin(Access.READ) as tx:
            found = tx.broadcasts.everywhere(UNDER_WAY)
        return [one for one in found if one.guild_id in (guilds or (GUILD, OTHER_GUILD))]

    async def status(self, number: int) -> Status:
        """Return what has become of a broadcast."""
        with self.store.begin(Access.READ) as tx:
            return tx.broadcasts.get(number).status

    async def freezes(self) -> list[Freeze]:
        """Return what is frozen."""
        with self.store.begin(Access.READ) as tx:
            return tx.freezes.standing()

    async def soothe_starts(self) -> None:
        """Take back that so many processes were started."""
        with suppress(StoreError):
            await self.store.write(_forget_starts)

    async def soothe(self) -> None:
        """Take back what so much trouble sets off: it would hide from the trial what is tried."""
        # One thing at a time: the trial must not hold what workers take in another order.
        soothings = [_forget_starts, _forget_unknowns, _lift_freezes]
        for soothing in soothings:
            # Whoever was stopped with a lock in hand is waited for.
            with suppress(StoreError):
                await self.store.write(soothing)

    async def rest(self, seconds: float) -> None:
        """Let time pass."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await self.soothe()
            await asyncio.sleep(min(left, 0.1))

    async def settle(self, *guilds: int) -> bool:
        """Let time pass until everything has an end; return False if something certainly gets none."""

        async def is_over() -> bool:
            await self.soothe()
            return not await self.under_way(*guilds)

        return await self.until(is_over)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        """Look again and again; return False if it certainly will not hold any more."""
        late = time.monotonic() + PATIENCE
        while time.monotonic() < late:
            # While the database is exchanged, nobody can look.
            with suppress(StoreError):
                if await holds():
                    return True
            await asyncio.sleep(0.05)
        return False

    # --- workers -----------------------------------------------------------------------------------

    def start(
        self, *, slot: int = 0, kill_at: int | None = None, lose_at: int | None = None, tells: bool = False
    ) -> Worker:
        """Start a worker; those of different slots may run side by side."""
        file = self.folder / f"worker-{slot}.env"
        settings = {
            "DISCORD_TOKEN": "fake-discord-token",
            "WHOP_API_KEY": KEY.get_secret_value(),
            "WHOP_API": self.mode.generation,
            "WHOP_BASE_URL": f"http://127.0.0.1:{self.whop.port}",
            "DATABASE_URL": self.url,
            "HERALD_CONFIG": str(self.folder / "herald.toml"),
            "HERALD_WITNESS": str(self.folder / f"worker-{slot}.witness"),
            "HEALTH_ADDRESS": "127.0.0.1:0",
        }
        file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()), encoding="utf-8")
        log = self.folder / f"worker-{slot}.log"
        order = Order(
            env_file=file,
            log=log,
            clock=self._clock,
            kill_at=kill_at,
            lose_at=lose_at,
            tells=tells,
            refutes=not self.mode.is_honoured,
        )
        worker = Worker(order)
        self._workers.append(worker)
        return worker

    @property
    def _clock(self) -> Path:
        return self.folder / "clock"

    def set_clock(self, ahead: float) -> None:
        """Set the wall clock of all workers so many seconds ahead, or back."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(ahead), encoding="utf-8")
        new.replace(self._clock)

    async def kill(self, worker: Worker, *, inside: bool = False) -> None:
        """End a worker as a power cut does, and count it."""
        with suppress(StoreError), self.store.begin(Access.READ) as tx:
            self._unheard += tx.facts.get(key_trust(ACCOUNT)) is not None
        worker.send(signal.SIGKILL)
        await self.dead(worker)
        self.seen += Tally(kills=1, inside=int(inside))

    async def dead(self, worker: Worker) -> None:
        """Wait until a worker is gone; it must not have ended by itself."""
        await asyncio.to_thread(worker.join, 30.0)
        self._workers.remove(worker)
        if not worker.was_killed:
            raise RuntimeError(f"a worker ended by itself: see its log in {self.folder}")

    async def end_all(self) -> None:
        """End what is left."""
        for worker in self._workers:
            worker.send(signal.SIGKILL)
            await asyncio.to_thread(worker.join, 30.0)
        self._workers.clear()

    def revive(self) -> None:
        """Start anew whoever has ended by itself, as a machine does."""
        for number, worker in enumerate(self._workers):
            if not worker.is_alive:
                self._workers[number] = Worker(worker.order)

    @asynccontextmanager
    async def on(self, url: str) -> AsyncGenerator[None, None]:
        """Let everything be on another database."""
        before = self.url, self.store
        async with Store.open(url, alone=False) as store:
            self.url, self.store = url, store
            try:
                yield
            finally:
                await self.end_all()
                self.url, self.store = before

    async def count(self) -> Tally:
        """Compare what is on record with what was pushed, once nothing moves any more."""
        await self.end_all()
        # What came late may still be pushed.
        await asyncio.sleep(2 * HOLD_SECONDS)
        pushed = pushes(self.whop.journal)
        return self.seen + compared(
            self.store, pushed, honoured=self.mode.is_honoured, unheard=self._unheard, copied=self.copied
        )


def dice_of(seed: int, *names: object) -> random.Random:
    """Return dice that fall the same way whenever the seed and the names are the same."""
    return random.Random(f"{seed} {' '.join(map(str, names))}")


def _forget_starts(tx: Transaction) -> None:
    tx.facts.set(STARTS, [])


def _forget_unknowns(tx: Transaction) -> None:
    tx.facts.set(unknown_streak(ACCOUNT), 0)


def _lift_freezes(tx: Transaction) -> None:
    for freeze in tx.freezes.standing():
        # What people froze stays so.
        if freeze.guild_id is None:
            tx.freezes.remove(freeze)
