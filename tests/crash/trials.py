"""The trials: kills at every point and at random under load, clocks that are moved, and who comes back."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bot.errors import StoreError
from tests.crash.faults import HOLD_SECONDS, HOLDING, random_plan
from tests.crash.points import LOST, READY, STOPPED, WRITTEN
from tests.crash.tally import Tally
from tests.crash.trial import Trial
from tests.crash.worker import LEASE, Worker

Progress = Callable[[int], None]

# So many broadcasts are under way while processes are killed.
LOAD: Final = 6
# How long a worker is left alone at most before it is killed.
RANDOM_SECONDS: Final = 2.0
# By so many seconds workers' clocks go wrong: a little most of the time, and now and then by hours.
OFFSETS: Final = (0, 0, 5, -5, 15, -14, 20, 25, 7200, -7200)
# How often a worker is waited for that is inside its POST.
INSIDE_TRIES: Final = 5
# Of so many kills, one is of Whop itself.
WHOP_TOO: Final = 15


async def every_point(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Kill a worker at one point after the other, or at every so many, each with a broadcast of its own."""
    points = [name for name in await _points(trial) if name != WRITTEN]
    for point in range(dice.randint(1, amount), len(points) + 1, amount):
        await trial.soothe()
        await trial.approve("One")
        await trial.dead(trial.start(kill_at=point))
        trial.seen += Tally(kills=1)
        await trial.soothe()
        trial.start()
        # What is stuck is counted; the next ones would only wait for it.
        if not await trial.settle():
            return
        await trial.end_all()
        progress(1)


async def _points(trial: Trial) -> list[bytes]:
    """Return the points from a worker's first statement until the end of a broadcast is committed."""
    await trial.approve("One")
    worker = trial.start(tells=True)
    if not await trial.settle():
        return []
    await trial.end_all()
    names = worker.heard()
    names.remove(READY)
    last = max(number for number, name in enumerate(names) if name == b"after UPDATE deliveries SET")
    return names[: names.index(b"after COMMIT", last) + 1]


async def lost_commits(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Lose the answer to one COMMIT after the other, or to every so many, each with its own broadcast."""
    writes = (await _points(trial)).count(WRITTEN)
    for number in range(dice.randint(1, amount), writes + 1, amount):
        await trial.soothe()
        await trial.approve("Three")
        worker = trial.start(lose_at=number)
        # It comes to its end by itself: nothing is started anew.
        if not await trial.settle():
            return
        trial.seen += Tally(cuts=worker.heard().count(LOST))
        await trial.end_all()
        progress(1)


async def random_kills(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Kill workers under load, a third of them inside a POST, and now and then Whop itself."""
    workers = {slot: trial.start(slot=slot) for slot in range(slots)}
    for number in range(amount):
        inside = number % 3 == 0
        await load(trial, dice, inside=inside)
        await trial.soothe()
        await kill_one(trial, workers, dice, inside=inside)
        if dice.randrange(WHOP_TOO) == 0:
            await trial.whop.kill()
            await asyncio.sleep(dice.uniform(0, 0.5))
            await trial.whop.start()
        progress(1)
    await trial.settle()


async def kill_one(
    trial: Trial,
    workers: dict[int, Worker],
    dice: random.Random,
    *,
    inside: bool,
    seconds: float = RANDOM_SECONDS,
) -> None:
    """Kill a worker inside its POST, or at any time, and start another in its place."""
    slot = await _victim(trial, workers, dice) if inside else None
    tries = 0
    while inside and slot is None and tries < INSIDE_TRIES:
        # It may have found its way to its end before anybody looked.
        tries += 1
        await load(trial, dice, inside=True)
        await trial.soothe()
        slot = await _victim(trial, workers, dice)
    is_inside = slot is not None
    if slot is None:
        await trial.rest(dice.uniform(0, seconds))
        slot = dice.choice(sorted(workers))
    await trial.kill(workers[slot], inside=is_inside)
    await trial.soothe()
    workers[slot] = trial.start(slot=slot)


async def load(trial: Trial, dice: random.Random, *, inside: bool) -> None:
    missing = LOAD - len(await trial.under_way())
    for number in range(max(missing, int(inside))):
        plan = random_plan(dice, may_refuse=not trial.mode.is_honoured)
        held = [dice.choice(HOLDING)] if inside and number == 0 else []
        # Two workers that were stopped one after the other hold a lock for longer than anybody waits.
        with suppress(StoreError):
            await trial.approve(dice.choice(["One", "One", "Three"]), [*held, *plan])


async def _victim(trial: Trial, workers: dict[int, Worker], dice: random.Random) -> int | None:
    """Return the slot of a worker that is inside its POST at this moment."""
    pid, tries = None, 0
    while pid is None and tries < INSIDE_TRIES:
        tries += 1
        await trial.soothe()
        pid = await trial.whop.holds(1.0)
    found = [slot for slot, worker in workers.items() if worker.pid == pid]
    if found:
        await asyncio.sleep(dice.uniform(0, HOLD_SECONDS / 4))
    return found[0] if found else None


async def moved_clocks(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Set the clock of the workers back and forth under load, and kill one after each third time."""
    workers = {slot: trial.start(slot=slot) for slot in range(slots)}
    for number in range(amount):
        await load(trial, dice, inside=False)
        await trial.soothe()
        trial.set_clock(dice.choice(OFFSETS))
        await asyncio.sleep(dice.uniform(0, RANDOM_SECONDS))
        if number % 3 == 0:
            slot = dice.choice(sorted(workers))
            await trial.kill(workers[slot])
            workers[slot] = trial.start(slot=slot)
        progress(1)
    trial.set_clock(0)
    await trial.settle()


async def zombies(trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress) -> None:
    """Stop workers inside a POST or right after a claim until others have taken over, then let them go on."""
    workers = {slot: trial.start(slot=slot) for slot in range(3)}
    for worker in workers.values():
        await asyncio.to_thread(worker.wait_for, READY, 30.0)
    stopped: dict[int, float] = {}
    # Those that will stop by themselves, as soon as they have claimed something.
    armed: set[int] = set()
    while trial.seen.zombies < amount or stopped:
        await trial.soothe()
        for slot in [slot for slot in armed if STOPPED in workers[slot].heard()]:
            armed.remove(slot)
            stopped[slot] = _until(dice)
        for slot in [slot for slot, until in stopped.items() if until < time.monotonic()]:
            workers[slot].send(signal.SIGCONT)
            del stopped[slot]
            trial.seen += Tally(zombies=1)
            progress(1)
        more = len(stopped) + len(armed) < 2 and trial.seen.zombies + len(stopped) + len(armed) < amount
        if more and dice.random() < 0.5:
            slot = dice.choice([slot for slot in workers if slot not in stopped and slot not in armed])
            workers[slot].send(signal.SIGUSR1)
            armed.add(slot)
        elif more:
            await load(trial, dice, inside=True)
            slot = await _victim(trial, workers, dice)
            if slot is not None and slot not in stopped and slot not in armed:
                workers[slot].send(signal.SIGSTOP)
                stopped[slot] = _until(dice)
        await load(trial, dice, inside=False)
        await asyncio.sleep(0.05)
    await trial.settle()


def _until(dice: random.Random) -> float:
    return time.monotonic() + LEASE.total_seconds() * dice.uniform(1.1, 1.5)
