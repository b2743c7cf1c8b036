"""Who holds which role now: asked of Discord when a send starts, and remembered for an hour."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from bot.broadcast import Broadcast
from bot.clock import Clock
from bot.errors import Unreachable
from bot.permissions import Action, Actor, decide
from bot.policy.model import Policy
from bot.store import Store, Transaction
from bot.value import Person

# How old an answer of Discord's may be while it cannot be asked.
OLDEST: Final = timedelta(hours=1)


class RoleSource(Protocol):
    """Discord, as far as roles go."""

    async def roles_of(self, guild_id: int, user_id: int) -> frozenset[int] | None:
        """Return the roles that someone holds now, or None if they have left; raise Unreachable."""
        ...


class RoleCheck:
    """Whether those who wrote and approved a broadcast still may."""

    def __init__(self, *, store: Store, role_source: RoleSource, policy: Policy, clock: Clock) -> None:
        self._store = store
        self._role_source = role_source
        self._policy = policy
        self._clock = clock

    async def ask(self, broadcasts: Iterable[Broadcast]) -> None:
        """Ask Discord about the people of these broadcasts, before the transaction in which it counts."""
        people = {
            (broadcast.guild_id, person.id)
            for broadcast in broadcasts
            for person in (
                *(person for person, _ in _concerned(broadcast)),
                *(one.approver for one in broadcast.lent),
            )
        }
        await asyncio.gather(*(self._ask(guild_id, user_id) for guild_id, user_id in sorted(people)))

    async def _ask(self, guild_id: int, user_id: int) -> None:
        try:
            roles = await self._role_source.roles_of(guild_id, user_id)
        except Unreachable:
            return
        async with self._store.transaction() as tx:
            await tx.members.saw(guild_id, user_id, roles, at=self._clock())

    async def doubt(self, tx: Transaction, broadcast: Broadcast) -> str:
        """Return who of them may not do any more what they did, or of whom that is not known; or nothing."""
        for person, action in _concerned(broadcast):
            if said := await self._doubt_of(tx, broadcast, person, action):
                return said
        server = self._policy.server(broadcast.guild_id)
        if server is None or len(broadcast.approvals) >= server.quorum(broadcast.audience):
            return ""
        # One of those who lend it an approval is enough.
        doubts = [await self._doubt_of(tx, broadcast, one.approver, Action.APPROVE) for one in broadcast.lent]
        return doubts[0] if doubts and all(doubts) else ""

    async def _doubt_of(self, tx: Transaction, broadcast: Broadcast, person: Person, action: Action) -> str:
        did = "approved it" if action is Action.APPROVE else "wrote it"
        seen = await tx.members.of(broadcast.guild_id, person.id)
        if seen is None or abs(self._clock() - seen.at) > OLDEST:
            return f"Discord could not be asked which roles {person.name}, who {did}, holds now"
        if seen.roles is None:
            return f"{person.name}, who {did}, has left the server since"
        now = Actor(id=person.id, name=person.name, guild_id=broadcast.guild_id, roles=seen.roles)
        if decide(self._policy, now, action, broadcast):
            return f"{person.name}, who {did}, has lost the role for that since"
        return ""


def _concerned(broadcast: Broadcast) -> Iterable[tuple[Person, Action]]:
    yield broadcast.author, Action.SUBMIT
    for approval in broadcast.approvals:
        yield approval.approver, Action.APPROVE
