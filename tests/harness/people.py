"""People, the roles and time-outs that Discord says they have, and what they do until a broadcast is due."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from bot.broadcast import Broadcast
from bot.errors import Unreachable
from bot.notification import Notification, Text
from bot.permissions import Actor, Membership
from bot.service import Service
from tests.harness.policy import APPROVE, COMPOSE, GUILD, OPERATE

CHANNEL: Final = 13
WORDS: Final = Notification(topic="news", all=Text(subject="We are live", content="Come in"))


def member(number: int, name: str, *roles: int, guild: int = GUILD) -> Actor:
    """Return a member of a server with these roles."""
    return Actor(id=104900000000000100 + number, name=name, guild_id=guild, roles=frozenset(roles))


MAYA: Final = member(1, "Maya", COMPOSE)
OMAR: Final = member(2, "Omar", COMPOSE, APPROVE)
LENA: Final = member(3, "Lena", APPROVE, OPERATE)
NOOR: Final = member(4, "Noor", COMPOSE, OPERATE)


class Members:
    """Discord, as far as roles go: what it says of each, or no answer at all."""

    def __init__(self, people: Iterable[Actor] = (MAYA, OMAR, LENA, NOOR), *, away: bool = False) -> None:
        self._guilds = {one.id: one.guild_id for one in people}
        self.roles: dict[int, frozenset[int] | None] = {one.id: one.roles for one in people}
        self.timed_out_until: dict[int, datetime] = {}
        self.away = away
        self.asked: list[int] = []

    async def membership_of(self, guild_id: int, user_id: int) -> Membership | None:
        """Answer as Discord does."""
        assert self._guilds[user_id] == guild_id
        self.asked.append(user_id)
        if self.away:
            raise Unreachable("Discord does not answer")
        roles = self.roles[user_id]
        return None if roles is None else Membership(roles, self.timed_out_until.get(user_id))


async def submitted(
    service: Service, audience: str = "One", *, author: Actor = MAYA, words: Notification = WORDS
) -> Broadcast:
    """Let somebody compose and submit."""
    draft = await service.compose(author, audience=audience, notification=words, channel_id=CHANNEL)
    return await service.submit(author, draft.id, revision=1)


async def approved(
    service: Service,
    audience: str = "One",
    *,
    author: Actor = MAYA,
    approver: Actor = OMAR,
    words: Notification = WORDS,
) -> Broadcast:
    """Let somebody compose and submit, and another approve."""
    waiting = await submitted(service, audience, author=author, words=words)
    return await service.approve(approver, waiting.id, revision=1)
