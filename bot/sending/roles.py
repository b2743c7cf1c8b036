"""Who holds which role now: asked of Discord when a send starts, and remembered for an hour."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from bot.broadcast import Broadcast
from bot.clock import Clock
from bot.errors import Unreachable
from bot.permissions import Action, Actor, Membership, decide
from bot.policy.model import Policy
from bot.quorum import missing
from bot.store import Transaction
from bot.store.members import Answer, Seen
from bot.value import Person

# How old an answer of Discord's may be while it cannot be asked.
OLDEST: Final = timedelta(hours=1)


class RoleSource(Protocol):
    """Discord, as far as roles go."""

    async def membership_of(self, guild_id: int, user_id: int) -> Membership | None:
        """Return what someone is in a server now, or None if they have left; raise Unreachable."""
        ...


class RoleCheck:
    """Whether those who wrote and approved a broadcast still may."""

    def __init__(self, *, role_source: RoleSource, policy: Policy, clock: Clock) -> None:
        self._role_source = role_source
        self._policy = policy
        self._clock = clock

    async def ask(self, broadcasts: Iterable[Broadcast]) -> Sequence[Answer]:
        """Ask Discord about the people of these broadcasts, before the transaction in which it counts."""
        people = {
            (broadcast.guild_id, person.id)
            for broadcast in broadcasts
            for person in (
                *(person for person, _ in _concerned(broadcast)),
                *(one.approver for one in broadcast.lent),
            )
        }
        asked = await asyncio.gather(*(self._ask(guild_id, user_id) for guild_id, user_id in sorted(people)))
        return [answer for answer in asked if answer is not None]

    async def _ask(self, guild_id: int, user_id: int) -> Answer | None:
        try:
            found = await self._role_source.membership_of(guild_id, user_id)
        except Unreachable:
            return None
        return Answer(guild_id, user_id, *(found or (None, None)), at=self._clock())

    def doubt(self, tx: Transaction, broadcast: Broadcast, answers: Sequence[Answer]) -> str:
        """Return who of them may not do any more what they did, or of whom that is not known; or nothing."""
        people = {person.id for person, _ in _concerned(broadcast)}
        people |= {one.approver.id for one in broadcast.lent}
        told = [one for one in answers if one.guild_id == broadcast.guild_id]
        seen = {one.user_id: Seen(one.roles, one.timed_out_until, one.at) for one in told}
        if unanswered := people - seen.keys():
            seen |= tx.members.of(broadcast.guild_id, unanswered)
        for person, action in _concerned(broadcast):
            if said := self._doubt_of(seen.get(person.id), broadcast, person, action):
                return said
        server = self._policy.server(broadcast.guild_id)
        if server is None or not missing(server, broadcast.model_copy(update={"lent": ()})):
            return ""
        # One of those who lend it an approval is enough.
        doubts = [
            self._doubt_of(seen.get(one.approver.id), broadcast, one.approver, Action.APPROVE)
            for one in broadcast.lent
        ]
        return doubts[0] if doubts and all(doubts) else ""

    def _doubt_of(self, seen: Seen | None, broadcast: Broadcast, person: Person, action: Action) -> str:
        did = "approved it" if action is Action.APPROVE else "wrote it"
        if seen is None or abs(self._clock() - seen.at) > OLDEST:
            return f"Discord could not be asked which roles {person.name}, who {did}, holds now"
        if seen.roles is None:
            return f"{person.name}, who {did}, has left the server since"
        now = Actor(
            id=person.id,
            name=person.name,
            guild_id=broadcast.guild_id,
            roles=seen.roles,
            timed_out_until=seen.timed_out_until,
        )
        if now.is_timed_out(self._clock()):
            return f"{person.name}, who {did}, is in Discord's time-out"
        if decide(self._policy, now, action, broadcast, at=self._clock()):
            return f"{person.name}, who {did}, has lost the role for that since"
        return ""


def _concerned(broadcast: Broadcast) -> Iterable[tuple[Person, Action]]:
    yield broadcast.author, Action.SUBMIT
    for person in broadcast.shared:
        if person.id in broadcast.editors:
            yield person, Action.SUBMIT
    for approval in broadcast.approvals:
        yield approval.approver, Action.APPROVE
