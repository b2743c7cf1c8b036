"""What one trial works on: a database with approved broadcasts, a Whop that counts, and workers to kill."""

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bot import app
from bot.broadcast import TWICE, Broadcast, Status
from bot.clock import utc_now
from bot.delivery import Delivery, DeliveryStatus
from bot.errors import StoreError
from bot.key_trust import REFUTED_BY, Verdict, keep
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.service import Service
from bot.store import Access, Store, Transaction
from bot.store.facts import STARTS, key_trust, unknown_streak
from tests.crash.fault_server import identity, pushes
from tests.crash.faults import SILENT_SECONDS, written
from tests.crash.tally import Tally
from tests.crash.whop_process import WhopProcess
from tests.crash.worker import Order, Worker
from tests.harness.people import Members, approved, member
from tests.harness.policy import APPROVE, COMPOSE, audience, parsed, rules, server
from tests.harness.process import settings_of
from tests.harness.wire import KEY

MAYA, OMAR = member(1, "Maya", COMPOSE), member(2, "Omar", APPROVE)
POLICY: Final = server(
    audience("One", "exp_one"),
    audience("Three", "exp_one", "exp_two", "exp_three"),
    rules=rules(undo="0s", missed="20h"),
)
# Two migrations at once in one process would take each other's database.
_MIGRATING: Final = asyncio.Lock()
UNDER_WAY: Final = frozenset({Status.APPROVED, Status.SENDING})
# So many broadcasts' requests are repeated at once at most, after a kill under load.
AT_ONCE: Final = 20
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
        self.kills = 0
        self.zombies = 0
        self._folder = folder
        self._service = service
        self._url = url
        self._numbers = itertools.count(1)
        self._workers: list[Worker] = []
        self.set_clock(0)

    @classmethod
    @asynccontextmanager
    async def open(cls, mode: Mode, *, folder: Path, url: str) -> AsyncGenerator[Self, None]:
        """Set everything up, and leave no process behind."""
        (folder / "herald.toml").write_text(POLICY, encoding="utf-8")
        whop = WhopProcess(folder / "pushes.log", honours=mode.is_honoured)
        origin = f"http://127.0.0.1:{whop.port}"
        settings = settings_of(url, folder, origin=origin, generation=mode.generation)
        async with AsyncExitStack() as stack:
            async with _MIGRATING:
                store = await stack.enter_async_context(Store.open(url, alone=False))
            worker = await stack.enter_async_context(
                app.Worker.open(
                    settings,
                    parsed(POLICY),
                    store=store,
                    role_source=Members((MAYA, OMAR)),
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

    async def approve(self, audience: str, plan: Sequence[str] = ()) -> int:
        """Bring a broadcast to the moment in which it is due; return its number."""
        text = Text(subject=f"Trial {next(self._numbers)}", content=written(plan))
        words = Notification(topic="news", all=text)
        due = await approved(self._service, audience, author=MAYA, approver=OMAR, words=words)
        return due.id

    async def under_way(self) -> list[Broadcast]:
        """Return what has not come to its end."""
        with self.store.begin(Access.READ) as tx:
            return [one for status in sorted(UNDER_WAY) for one in tx.broadcasts.everywhere(status)]

    async def soothe(self) -> None:
        """Take back what so much trouble sets off: it would hide from the trial what is tried."""
        # One thing at a time: the trial must not hold what workers take in another order.
        soothings = [_forget_starts, _forget_unknowns, _lift_freezes]
        if self.mode.is_honoured:
            soothings.append(_forget_repeats)
        for soothing in soothings:
            # Whoever was stopped with a lock in hand is waited for.
            with suppress(StoreError):
                await self.store.write(soothing)

    async def settle(self) -> bool:
        """Let time pass until everything has an end; return False if something certainly gets none."""
        until = time.monotonic() + PATIENCE
        while await self.under_way():
            if time.monotonic() > until:
                return False
            await self.soothe()
            await asyncio.sleep(0.05)
        return True

    # --- workers -----------------------------------------------------------------------------------

    def start(self, *, slot: int = 0, kill_at: int | None = None, tells: bool = False) -> Worker:
        """Start a worker; those of different slots may run side by side."""
        file = self._folder / f"worker-{slot}.env"
        settings = {
            "DISCORD_TOKEN": "fake-discord-token",
            "WHOP_API_KEY": KEY.get_secret_value(),
            "WHOP_API": self.mode.generation,
            "WHOP_BASE_URL": f"http://127.0.0.1:{self.whop.port}",
            "DATABASE_URL": self._url,
            "HERALD_CONFIG": str(self._folder / "herald.toml"),
            "HERALD_WITNESS": str(self._folder / f"worker-{slot}.witness"),
            "HEALTH_ADDRESS": "127.0.0.1:0",
        }
        file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()), encoding="utf-8")
        log = self._folder / f"worker-{slot}.log"
        order = Order(env_file=file, log=log, clock=self._clock, kill_at=kill_at, tells=tells)
        worker = Worker(order)
        self._workers.append(worker)
        return worker

    @property
    def _clock(self) -> Path:
        return self._folder / "clock"

    def set_clock(self, ahead: float) -> None:
        """Set the wall clock of all workers so many seconds ahead, or back."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(ahead), encoding="utf-8")
        new.replace(self._clock)

    async def kill(self, worker: Worker) -> None:
        """End a worker as a power cut does, and count it."""
        worker.send(signal.SIGKILL)
        await self.dead(worker)
        self.kills += 1

    async def dead(self, worker: Worker) -> None:
        """Wait until a worker is gone; it must not have ended by itself."""
        await asyncio.to_thread(worker.join, 30.0)
        self._workers.remove(worker)
        if not worker.was_killed:
            raise RuntimeError(f"a worker ended by itself: see its log in {self._folder}")

    async def end_all(self) -> None:
        """End what is left."""
        for worker in self._workers:
            worker.send(signal.SIGKILL)
            await asyncio.to_thread(worker.join, 30.0)
        self._workers.clear()

    # --- the count ---------------------------------------------------------------------------------

    async def count(self) -> Tally:
        """Compare what is on record with what was pushed, once nothing moves any more."""
        await self.end_all()
        # What came late may still be pushed.
        await asyncio.sleep(SILENT_SECONDS / 2)
        pushed = pushes(self.whop.journal)
        tally = Tally(kills=self.kills, zombies=self.zombies, pushed=len(pushed))
        with self.store.begin(Access.READ) as tx:
            trusted = tx.facts.get(key_trust(ACCOUNT))
            suspected = trusted.taken_as_new if trusted else ()
            for status in Status:
                for broadcast in tx.broadcasts.everywhere(status):
                    deliveries = tx.deliveries.of(broadcast.id)
                    counted = [(one, pushed.pop(_name(one), 0)) for one in deliveries]
                    told = broadcast.id in suspected or TWICE in _actions(tx, broadcast)
                    tally += _of(broadcast, counted, told=told)
        # More than that no proof may cost: what refutes it, and what was repeated at the same time.
        tally += Tally(doubled=max(0, tally.told - REFUTED_BY - AT_ONCE))
        # Nobody approved what is left.
        tally += Tally(doubled=len(pushed))
        return tally + Tally(needless=tally.unknown if self.mode.is_honoured else 0)


def _name(delivery: Delivery) -> str:
    return identity(delivery.request.body)


def _actions(tx: Transaction, broadcast: Broadcast) -> set[str]:
    return {event.action for event in tx.audit.told([broadcast.id], [TWICE])[broadcast.id]}


def _of(broadcast: Broadcast, counted: Sequence[tuple[Delivery, int]], *, told: bool) -> Tally:
    def many(status: DeliveryStatus, *, pushed: bool) -> int:
        return sum(one.status is status and (times > 0) is pushed for one, times in counted)

    twice = [one for one, times in counted if times > 1]
    # Of what is unknown nobody says that it arrived once.
    silent = [one for one in twice if not told and one.status is not DeliveryStatus.UNKNOWN]
    return Tally(
        broadcasts=1,
        doubled=len(silent),
        told=len(twice) if told else 0,
        lost=int(broadcast.status in UNDER_WAY or broadcast.status in {Status.DRAFT, Status.REVIEW}),
        false_sent=many(DeliveryStatus.ACCEPTED, pushed=False)
        + int(broadcast.status is Status.SENT and not counted),
        false_failed=many(DeliveryStatus.REJECTED, pushed=True),
        held=int(broadcast.status is Status.HELD),
        unknown=many(DeliveryStatus.UNKNOWN, pushed=True) + many(DeliveryStatus.UNKNOWN, pushed=False),
    )


def dice_of(seed: int, *names: object) -> random.Random:
    """Return dice that fall the same way whenever the seed and the names are the same."""
    return random.Random(f"{seed} {' '.join(map(str, names))}")


def _forget_starts(tx: Transaction) -> None:
    tx.facts.set(STARTS, [])


def _forget_unknowns(tx: Transaction) -> None:
    tx.facts.set(unknown_streak(ACCOUNT), 0)


def _forget_repeats(tx: Transaction) -> None:
    # What never arrived is rightly taken for new; here that happens far oftener than where nothing is killed.
    if trusted := tx.facts.get(key_trust(ACCOUNT)):
        tx.facts.set(key_trust(ACCOUNT), trusted._replace(taken_as_new=[]))


def _lift_freezes(tx: Transaction) -> None:
    for freeze in tx.freezes.standing():
        tx.freezes.remove(freeze)
