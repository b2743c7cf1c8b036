"""Trials of databases that go back in time: nothing goes out by itself, and what was approved is held."""

import asyncio
import random
from contextlib import ExitStack
from typing import Final

from sqlalchemy import make_url

from bot.broadcast import Status
from tests.crash.fault_server import pushes
from tests.crash.tally import Tally
from tests.crash.trial import Trial
from tests.crash.trials import Progress
from tests.harness.backup import PutBack, back_up, dump_into_itself, standby

# A machine that was never there before has this number, or a higher one.
NEWCOMER: Final = 10
# Over and over a process could have sent something in this time.
QUIET_SECONDS: Final = 1.0
# Of these some leave before the copy is made, and some after.
PLANS: Final = (("hold",), ("slow",), ("hold", "slow"), ())


async def restores(trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress) -> None:
    """Put copies of the database into its place, under running workers or before they start anew."""
    trial.copied = True
    for turn in range(amount):
        for slot in range(slots):
            trial.start(slot=slot)
        await _at_work(trial)
        await _begun(trial, dice)
        put_back = await asyncio.to_thread(_copied, trial, dice)
        await _sent_since(trial, dice)
        if dice.random() < 0.5:
            await asyncio.to_thread(put_back)
        else:
            await trial.end_all()
            await asyncio.to_thread(put_back)
            # Whoever comes first need not be the one that sent last, or have been there at all.
            await trial.soothe_starts()
            trial.start(slot=dice.choice([*range(slots), NEWCOMER + turn]))
        trial.seen += Tally(restores=1)
        if not await _stands_still(trial):
            return
        await trial.end_all()
        await trial.soothe()
        progress(1)


async def failovers(
    trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
) -> None:
    """Let a standby take over from a server, and then let the server come back."""
    trial.copied = True
    origin = trial.url
    for turn in range(amount):
        for slot in range(slots):
            trial.start(slot=slot)
        await _at_work(trial)
        await _begun(trial, dice)
        with ExitStack() as stack:
            take_over = await asyncio.to_thread(stack.enter_context, standby(origin))
            await _sent_since(trial, dice)
            await trial.end_all()
            async with trial.on(await asyncio.to_thread(take_over)):
                first = dice.choice([*range(slots), NEWCOMER + turn])
                trial.start(slot=first)
                trial.seen += Tally(restores=1)
                if not await _stands_still(trial):
                    return
                await trial.end_all()
        # Whoever has seen the other server go on does not take this one for the same.
        await trial.soothe()
        trial.start(slot=first)
        if not await _stands_still(trial):
            return
        await trial.end_all()
        await trial.soothe()
        progress(1)


def _copied(trial: Trial, dice: random.Random) -> PutBack:
    if make_url(trial.url).get_backend_name() == "sqlite":
        return back_up(trial.url, trial.folder)
    return dice.choice([back_up, dump_into_itself])(trial.url, trial.folder)


async def _at_work(trial: Trial) -> None:
    """Let those who were away see that the database went on without them, and people lift what they froze."""
    number = await trial.approve("One")

    async def is_sent() -> bool:
        nonlocal number
        await trial.soothe()
        if await trial.under_way():
            return False
        if await trial.status(number) is Status.SENT:
            return True
        number = await trial.approve("One")
        return False

    await trial.until(is_sent)


async def _begun(trial: Trial, dice: random.Random) -> None:
    """Let some be on their way and others wait."""
    for _ in range(dice.randint(1, 4)):
        await trial.approve(dice.choice(["One", "Three"]), dice.choice(PLANS))
    await asyncio.sleep(dice.uniform(0, 1))


async def _sent_since(trial: Trial, dice: random.Random) -> None:
    """Let something go out that the copy does not know to have gone out."""
    before = pushes(trial.whop.journal).total()
    for _ in range(dice.randint(1, 3)):
        await trial.approve("One", dice.choice(PLANS))

    async def is_sent() -> bool:
        await trial.soothe()
        return pushes(trial.whop.journal).total() > before

    await trial.until(is_sent)
    await asyncio.sleep(dice.uniform(0, 0.5))


async def _stands_still(trial: Trial) -> bool:
    """Tell whether all is frozen and held; count it as stuck if it is not."""

    async def is_halted() -> bool:
        # Whoever started while there was no database ended with a sentence.
        trial.revive()
        return bool(await trial.freezes()) and not await trial.under_way()

    halted = await trial.until(is_halted)
    trial.seen += Tally(stuck=int(not halted))
    await asyncio.sleep(QUIET_SECONDS)
    return halted
