"""Trials of those who must not wait for others: beside a frozen server, and beside a very large broadcast."""

import random

from bot.clock import utc_now
from bot.freeze import Freeze
from bot.store import Access, Transaction
from tests.crash.count import name, named
from tests.crash.fault_server import arrivals
from tests.crash.faults import random_plan
from tests.crash.people import EXPERIENCES, PEOPLE
from tests.crash.tally import Tally
from tests.crash.trial import NOOR, Trial
from tests.crash.trials import Progress, kill_one, load
from tests.harness.policy import GUILD, OTHER_GUILD


async def frozen_neighbour(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Kill workers of a server whose neighbour is frozen while very much of it is pending."""
    await trial.approve("Many", guild=OTHER_GUILD)
    workers = {slot: trial.start(slot=slot) for slot in range(slots)}

    async def is_on_its_way() -> bool:
        return bool(arrivals(trial.whop.journal))

    await trial.until(is_on_its_way)
    await trial.store.write(_freeze)
    for _ in range(2):
        await trial.approve("Three", guild=OTHER_GUILD)
    for number in range(amount):
        inside = number % 3 == 0
        await load(trial, dice, inside=inside)
        await trial.soothe()
        await kill_one(trial, workers, dice, inside=inside)
        progress(1)
    if not await trial.settle(GUILD):
        trial.seen += Tally(starved=len(await trial.under_way(GUILD)))
    await trial.store.write(_lift)
    await trial.settle()


def _freeze(tx: Transaction) -> None:
    tx.freezes.add(Freeze(guild_id=OTHER_GUILD, by=NOOR.person, at=utc_now(), reason="a trial"))


def _lift(tx: Transaction) -> None:
    for freeze in tx.freezes.standing():
        tx.freezes.remove(freeze)


async def resolved_audiences(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Kill workers while they find out who is in an audience, and while they send to them by name."""
    workers = {slot: trial.start(slot=slot) for slot in range(slots)}
    for number in range(amount):
        plan = random_plan(dice, may_refuse=False)
        await trial.approve("Crowd", plan)
        await kill_one(trial, workers, dice, inside=number % 3 != 0, seconds=1.0)
        progress(1)
    await trial.settle()
    trial.seen += named(trial.store, "Crowd", [*PEOPLE.reached(experiences=EXPERIENCES)])


async def large_broadcasts(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Kill workers that send broadcasts of very many requests, and see that those of one take their turns."""
    workers = {slot: trial.start(slot=slot) for slot in range(slots)}
    pairs: list[tuple[int, int]] = []
    for number in range(amount):
        inside = number % 3 == 0
        large = await trial.approve("Many")
        pairs.append((large, await trial.approve("One")))
        if inside:
            await load(trial, dice, inside=True)
        await kill_one(trial, workers, dice, inside=inside, seconds=1.0)
        if not await trial.settle():
            return
        progress(1)
    arrived = arrivals(trial.whop.journal)
    with trial.store.begin(Access.READ) as tx:
        for large, small in pairs:
            # What stood in doubt after a kill never came or came again: the first time counts.
            moments = [arrived[name(one)] for one in tx.deliveries.of(large) if name(one) in arrived]
            (only,) = tx.deliveries.of(small)
            waited = len(moments) and arrived.get(name(only), 0) > max(moments)
            trial.seen += Tally(starved=int(bool(waited)))
