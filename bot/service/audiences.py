"""What people can see of an audience: its rule, its people, Whop's names of its targets, and what it got."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from bot import sizes
from bot.agenda import together
from bot.audience import known_reach
from bot.counted import Counted
from bot.frequency_rules import Nearby
from bot.permissions import Action, Actor
from bot.policy.audience import Audience
from bot.policy.model import Server
from bot.service.gate import Gate
from bot.service.lookup import Ask
from bot.store import Transaction
from bot.whop import Account
from bot.whop.reads import Failed

# So far back it is told what these people got.
LATELY: Final = timedelta(days=7)
# So many targets are asked for their names, and so long is waited for all of them together.
ASKED: Final = 10
PATIENCE: Final = timedelta(seconds=5)
SLOW: Final = "Whop did not answer in time"


class Known(NamedTuple):
    """An audience, how many people were counted, and what they got or are to get, newest first."""

    server: Server
    audience: Audience
    counted: Counted | None
    nearby: Sequence[Nearby]

    @property
    def is_large(self) -> bool:
        """Tell whether whoever approves something for it types its name."""
        reach = known_reach(self.audience, self.counted)
        return reach is None or reach > self.server.rules.large_above


class Named(NamedTuple):
    """What Whop calls the targets, by their ids, and why it did not say so of others; nothing if it did."""

    names: Mapping[str, str]
    why: str = ""


def look(tx: Transaction, gate: Gate, actor: Actor, name: str) -> Known:
    """Return an audience of the actor's server, and what is known of it."""
    gate.decide(actor, Action.LIST)
    server = gate.server(actor)
    audience = gate.find_audience(actor, name)
    since = gate.clock() - LATELY
    found = tx.pushes.lately(
        server.guild, sorted(together(server, audience.name)), author_id=None, since=since
    )
    return Known(server, audience, sizes.known(tx, gate.lifecycle, server, audience), found)


async def names_of(
    ask: Ask, account: Account, known: Known, gate: Gate, *, patience: timedelta = PATIENCE
) -> Named:
    """Ask Whop what it calls the targets; no transaction is open meanwhile."""
    reads = account.gateway.reads
    ids = [one for _, one in sorted(known.audience.reached())][:ASKED]
    wanted = {one: question for one in ids if (question := reads.ask_name(one)) is not None}

    async def name(identifier: str) -> tuple[str, str | Failed]:
        answer = await ask(account.name, wanted[identifier])
        return identifier, reads.read_name(answer, now=gate.clock())

    asked = [asyncio.ensure_future(name(one)) for one in wanted]
    if not asked:
        return Named({})
    done, late = await asyncio.wait(asked, timeout=patience.total_seconds())
    for one in late:
        one.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    found = dict(one.result() for one in done)
    failed = [one.why for one in found.values() if isinstance(one, Failed)]
    names = {one: said for one, said in found.items() if isinstance(said, str)}
    return Named(names, failed[0] if failed else SLOW if late else "")
