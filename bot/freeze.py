"""A freeze: while it stands, nothing new is sent. Pure."""

from collections.abc import Sequence
from datetime import datetime

from bot.value import Person, Value


class Freeze(Value):
    """Who froze sending, when and why; of one server, or of all if there is no guild."""

    guild_id: int | None
    by: Person
    at: datetime
    reason: str

    @property
    def place(self) -> str:
        """Return whose sending it halts, for a sentence."""
        return "of all servers" if self.guild_id is None else "of this server"


def first_over(standing: Sequence[Freeze], guild_id: int) -> Freeze | None:
    """Return the first of the freezes that halts this server's sending."""
    return next((freeze for freeze in standing if freeze.guild_id in {None, guild_id}), None)


def describe(freeze: Freeze) -> str:
    """Return the sentence that stands wherever a send is spoken of."""
    return (
        f"Sending {freeze.place} is frozen by {freeze.by.name}: {freeze.reason.rstrip('.')}."
        " What is under way is finished; nothing new starts."
    )
