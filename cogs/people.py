"""The people of a list, as cards say who they are and how far Whop was asked about them."""

from collections.abc import Sequence
from typing import Final

import discord

from bot.broadcast import Broadcast, Status
from bot.chat.custom_ids import Subject
from bot.chat.rendering import TextFile
from bot.own_list import Kept, Named, returned
from bot.permissions import Action
from bot.sentences import people
from bot.service import Given
from cogs.buttons import OPEN, ActionButton
from cogs.embeds import field_value
from cogs.text import fitting, inline

FIELD: Final = "👥 List"
NAMES_LIMIT: Final = 500
NO_LIST: Final = (
    "It has no list yet. **Give its list…** takes a CSV file, or user ids and usernames to paste."
)


def add_list(embed: discord.Embed, broadcast: Broadcast, given: Given | None) -> None:
    """Add to a card who the people of its list are, or what has to be done about it."""
    if broadcast.listed is None:
        return
    said = _drafted(broadcast, given) if broadcast.status is Status.DRAFT else _decided(broadcast, given)
    embed.add_field(name=FIELD, value=field_value(said), inline=False)


def offer_list(view: discord.ui.View, broadcast: Broadcast, given: Given | None, subject: Subject) -> None:
    """Offer the author of a draft what they can do about its list."""
    if broadcast.listed is None or broadcast.corrects is not None:
        return
    kept = given.kept if given else None
    if kept is not None and not kept.is_checked:
        view.add_item(ActionButton(OPEN, subject, label="Look again"))
    elif kept is not None and kept.good and not broadcast.listed.people:
        view.add_item(ActionButton(Action.USE_LIST, subject, label=f"Use these {kept.good:,}"))
    view.add_item(ActionButton(Action.GIVE_LIST, subject, label="Another list…" if kept else None))


def list_actions(given: Given | None) -> list[Action]:
    """Return what can be done about the list of what is no draft any more."""
    return [] if given is None or given.kept.dropped else [Action.DOWNLOAD_LIST]


def left_out(broadcast: Broadcast, given: Given | None) -> tuple[TextFile, ...]:
    """Return the file of what is given back of the list of a draft, each row with its reason."""
    if given is None or not given.left_out:
        return ()
    return (TextFile(f"left-out-of-{broadcast.id}.csv", returned(given.left_out)),)


def _drafted(broadcast: Broadcast, given: Given | None) -> str:
    kept = given.kept if given else None
    if given is None or kept is None:
        return NO_LIST
    name = f"“{inline(kept.name)}”"
    if not kept.is_checked:
        done = kept.good + kept.out
        return (
            f"Whop is being asked about the people of {name}: {done:,} of {done + kept.waiting:,} rows are"
            " done. You are told here when all are. Its words can be edited meanwhile."
        )
    if not kept.good:
        return f"Nobody of {name} can be reached.{_back(kept)}"
    if broadcast.listed is not None and broadcast.listed.people:
        return f"{people(kept.good)} of {name}, as confirmed: {_first(kept.good, given.first)}{_back(kept)}"
    return (
        f"{people(kept.good)} of {name} can be reached: {_first(kept.good, given.first)}{_back(kept)}\n"
        f"**Use these {kept.good:,}** confirms them; before that nobody can be asked for approval."
    )


def _decided(broadcast: Broadcast, given: Given | None) -> str:
    listed = broadcast.listed
    name, number = (inline(listed.name), listed.people) if listed else ("", 0)
    said = f"{people(number)} of {inline(broadcast.author.name)}'s list “{name}”"
    if given is None or given.kept.dropped:
        return f"{said}. Who they are is no longer kept."
    return f"{said}: {_first(number, given.first)}\n**Download the list** shows all of them."


def _first(number: int, first: Sequence[Named]) -> str:
    names = [inline(one.username or one.user_id) for one in first]
    more = number - len(names)
    return fitting(names, NAMES_LIMIT, between=", ") + (f" and {more:,} more." if more > 0 else ".")


def _back(kept: Kept) -> str:
    out = f"{kept.out:,} row{' is' if kept.out == 1 else 's are'} left out: the attached file says why."
    repeats = f"{kept.repeats:,} repeat{' was' if kept.repeats == 1 else 's were'} removed."
    return "".join(f"\n{said}" for said, is_so in ((out, kept.out), (repeats, kept.repeats)) if is_so)
