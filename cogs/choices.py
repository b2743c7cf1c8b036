"""What is offered while somebody types an option, and what they mean by what they typed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import discord
from discord import app_commands, ui

from bot.broadcast import Broadcast
from bot.characters import spelling, units
from bot.everyday import TemplateName
from bot.policy.model import Topic
from bot.service import LISTED, Choosable, Standing
from cogs.modals import line_input
from cogs.text import label, shorten

# As many characters of a choice are shown.
LABEL_LIMIT: Final = 100


class Option(NamedTuple):
    """What can be chosen: as people read it, and as it is called within; and what is told beside that."""

    label: str
    value: str
    beside: str = ""

    @property
    def shown(self) -> str:
        """Return the label as Discord offers it, and behind it what is told, whole."""
        told = f" · {self.beside}" if self.beside else ""
        return shorten(self.label, LABEL_LIMIT - units(told)) + told


def named(name: str, value: str | None = None) -> Option:
    """Return the option of that name, which is its value as well if no other is given."""
    return Option(label(name), name if value is None else value)


def of_audience(audience: Choosable) -> Option:
    """Return the option for an audience, with its size and its rule."""
    return Option(label(audience.name), audience.name, audience.told)


def of_topic(topic: Topic) -> Option:
    """Return the option for a topic."""
    return named(topic.name, topic.id)


def of_broadcast(broadcast: Broadcast) -> Option:
    """Return the option for a broadcast's number."""
    title, audience = label(broadcast.title), label(broadcast.audience)
    return Option(f"#{broadcast.id} {broadcast.status} · {title} · {audience}", str(broadcast.id))


def of_template(standing: Standing) -> Option:
    """Return the option for a template, with how it stands."""
    count = f"{len(standing.approvals)} of {standing.needed} approvals"
    name = standing.template.name
    return Option(f"{label(name)} · emergency · {'approved' if standing.is_approved else count}", name)


def of_everyday(template: TemplateName) -> Option:
    """Return the option for a template that somebody made."""
    return Option(f"{label(template.name)} · template by {label(template.author)}", template.name)


def offered(typed: str, options: Iterable[Option]) -> list[app_commands.Choice[str]]:
    """Return those of the options in which there is what was typed so far."""
    return [
        app_commands.Choice(name=one.shown, value=one.value)
        for one, _ in zip(found(typed, options), range(LISTED), strict=False)
    ]


def found(typed: str, options: Iterable[Option]) -> Iterator[Option]:
    """Yield the options whose label has what was typed in it."""
    wanted = typed.casefold().strip()
    return (one for one in options if wanted in one.label.casefold())


def meant(typed: str, options: Iterable[Option]) -> str:
    """Return the value of the option that was typed, by its value or its label; what is none, as it is."""
    known, wanted = list(options), spelling(typed)
    for part in ("value", "label", "shown"):
        for one in known:
            if spelling(getattr(one, part)) == wanted:
                return one.value
    return typed


def choice_input(
    name: str, options: Sequence[Option], value: str, *, limit: int
) -> ui.TextInput[Any] | ui.Select[Any]:
    """Return a list to choose from, or a field to type in where the list is too long for Discord."""
    if len(options) > LISTED:
        return line_input(name, value, limit=limit)
    return ui.Select(
        custom_id=name,
        options=[
            discord.SelectOption(
                label=shorten(one.label, LABEL_LIMIT),
                value=one.value,
                description=one.beside or None,
                default=one.value == value,
            )
            for one in options
        ],
    )
