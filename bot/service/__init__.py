"""The use cases: each loads, decides, advances, stores and records in one transaction."""

from bot.broadcast import Broadcast
from bot.permissions import Action, Actor
from bot.service.freezing import Freezing
from bot.service.gate import REASON_LIMIT
from bot.service.lending import Standing
from bot.service.looking import Looking
from bot.service.review import Review
from bot.service.templates import Templates
from bot.service.unknowns import Unknowns

__all__ = ["REASON_LIMIT", "Service", "Standing"]


class Service(Looking, Templates, Review, Unknowns, Freezing):
    """What people can do with broadcasts; every refusal is a sentence and stands in the record."""

    async def act_with_reason(
        self, actor: Actor, action: Action, broadcast_id: int, *, revision: int, reason: str
    ) -> Broadcast:
        """Take the action that a reason was given for."""
        match action:
            case Action.CONFIRM | Action.DENY:
                went_out = action is Action.CONFIRM
                return await self.resolve(
                    actor, broadcast_id, revision=revision, went_out=went_out, reason=reason
                )
            case Action.REQUEST_CHANGES:
                return await self._back(actor, action, broadcast_id, revision, reason)
            case _:
                return await self._end(actor, action, broadcast_id, revision, reason)
