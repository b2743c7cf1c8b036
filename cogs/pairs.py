"""How cards and lists show a correction together with what it corrects."""

from typing import Final

import discord

from bot.broadcast import Broadcast, Status
from bot.corrections import Pair
from cogs.changes import as_it_was, marked_changes
from cogs.layout import CORRECTS
from cogs.situation import HEADLINES
from cogs.text import fitting, numbered

CORRECTED: Final = "✏️ Corrected"
CORRECTIONS_LIMIT: Final = 400
NUMBERS_LIMIT: Final = 60


def add_pair(head: discord.Embed, broadcast: Broadcast, pair: Pair) -> dict[str, str]:
    """Say on a card what it corrects, and what corrects it; return what was said before, for the file."""
    if pair.corrections:
        said = [f"{numbered(one)} ({HEADLINES[one.status]})" for one in pair.corrections]
        value = f"By {fitting(said, CORRECTIONS_LIMIT, between=', ')}."
        head.add_field(name=CORRECTED, value=value, inline=False)
    if pair.corrected is None:
        return {}
    wrong = pair.corrected
    some = " Not everybody got that one." if wrong.status is Status.PARTIAL else ""
    changes = marked_changes(wrong.notification, broadcast.notification)
    said = f"It goes to those whom {numbered(wrong)} went to.{some}\n{changes}"
    head.add_field(name=CORRECTS, value=said.strip(), inline=False)
    return {CORRECTS: as_it_was(wrong.notification, broadcast.notification)}


def paired(broadcast: Broadcast) -> str:
    """Return what a line of a list says of the pair."""
    said = [f"✏️ corrects #{broadcast.corrects}"] if broadcast.corrects is not None else []
    if broadcast.corrected_by:
        numbers = fitting([f"#{one}" for one in broadcast.corrected_by], NUMBERS_LIMIT, between=", ")
        said.append(f"✏️ corrected by {numbers}")
    return "".join(f" · {one}" for one in said)
