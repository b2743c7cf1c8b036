"""A freeze: while it stands, nothing new is sent. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from bot.value import Person, Value

# Who acts from the command line: no member of any server.
HOST: Final = Person(0, "the host")


class Freeze(Value):
    """Who froze sending, when and why: of a server, of one of Whop's accounts, or of all if it is neither."""

    guild_id: int | None
    account: str | None = None
    by: Person
    at: datetime
    reason: str

    @property
    def scope(self) -> tuple[int | None, str | None]:
        """Return what is frozen: only one freeze of it stands at a time."""
        return self.guild_id, self.account

    @property
    def place(self) -> str:
        """Return whose sending it halts, for a sentence."""
        if self.account is not None:
            return f"of all servers with the Whop account {self.account}"
        return "of all servers" if self.guild_id is None else "of this server"

    def halts(self, guild_id: int, account: str | None) -> bool:
        """Tell whether it halts what a server sends by that account."""
        return self.scope in {(None, None), (None, account), (guild_id, None)}


def first_over(standing: Sequence[Freeze], guild_id: int, account: str | None) -> Freeze | None:
    """Return the first of the freezes that halts what a server sends by that account."""
    return next((freeze for freeze in standing if freeze.halts(guild_id, account)), None)


def lifted_on_host(freeze: Freeze) -> str:
    """Return the end of a sentence that says who else may lift it."""
    return "" if freeze.by == HOST else ", or `herald unfreeze` on the host"


def describe(freeze: Freeze, *, spoken: Callable[[str], str] = str) -> str:
    """Return the sentence that stands wherever a send is spoken of; `spoken` shows what was typed."""
    return (
        f"Sending {freeze.place} is frozen by {spoken(freeze.by.name)}: {spoken(freeze.reason.rstrip('.'))}."
        " What is under way is finished; nothing new starts."
    )
