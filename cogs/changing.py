"""Another audience or topic for a draft: the form that asks for it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import discord
from discord import ui
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.client import HeraldBot, Interaction, Press
from bot.chat.members import actor_of
from bot.errors import NotReady
from bot.permissions import Action, Actor
from bot.policy.fields import NAME_LIMIT
from bot.sentences import listed
from bot.service import Service
from cogs.buttons import CHANGE_AUDIENCE, CHANGE_TOPIC
from cogs.choices import Option, choice_input, found, meant, of_audience, of_topic
from cogs.modals import HeraldModal
from cogs.showing import show_draft
from cogs.text import inline

KEPT: Final = "Its words stay as they are."


class _Question(NamedTuple):
    """What is asked for, and what it is now."""

    title: str
    name: str
    now: str
    options: Sequence[Option]


class ChangeModal(HeraldModal):
    """Another audience or topic for a draft: from a list, or by name where it is too long for Discord."""

    def __init__(
        self, interaction: discord.Interaction[Any], broadcast: Broadcast, button: str, asked: _Question
    ) -> None:
        super().__init__(interaction, asked.title.format(number=broadcast.id))
        self._broadcast = broadcast
        self._button = button
        self._options = asked.options
        self.choice = choice_input("choice", asked.options, "", limit=NAME_LIMIT)
        self.add_item(ui.TextDisplay(f"Now: **{inline(asked.now)}**. {KEPT}"))
        hint = "Its name, or a part of it." if isinstance(self.choice, ui.TextInput) else None
        self.add_item(ui.Label(text=asked.name, description=hint, component=self.choice))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Write the revision, and show it."""
        await interaction.response.defer()
        client: HeraldBot = interaction.client
        typed = self.choice.value if isinstance(self.choice, ui.TextInput) else "".join(self.choice.values)
        chosen = _chosen(typed, self._options)
        actor, number, revision = actor_of(interaction), self._broadcast.id, self._broadcast.revision
        if self._button == CHANGE_AUDIENCE:
            draft = await client.service.change_audience(actor, number, revision=revision, audience=chosen)
        else:
            draft = await client.service.change_topic(actor, number, revision=revision, topic=chosen)
        await show_draft(interaction, draft)

    @override
    def typed(self) -> str:
        """Return nothing: a name is sooner typed again than copied from a file."""
        return ""


def _chosen(typed: str, options: Sequence[Option]) -> str:
    """Return what is meant by a name or a part of one; raise NotReady if it is a part of several."""
    chosen = meant(typed, options)
    if any(one.value == chosen for one in options):
        return chosen
    fitting = list(found(typed, options))
    if len(fitting) > 1:
        names = listed(f"“{one.label}”" for one in fitting)
        raise NotReady(f"“{typed[:100]}” stands in several names: type more of it ({names}).")
    return fitting[0].value if fitting else typed


def _audiences(service: Service, actor: Actor, broadcast: Broadcast) -> _Question:
    others = [of_audience(one) for one in service.audiences(actor, Action.COMPOSE)]
    left = [one for one in others if one.value != broadcast.audience]
    return _Question("Who gets #{number}?", "Audience", broadcast.audience, left)


def _topics(service: Service, actor: Actor, broadcast: Broadcast) -> _Question:
    known = {one.id: one for one in service.topics(actor, Action.COMPOSE)}
    topic = broadcast.notification.topic
    left = [of_topic(one) for one in known.values() if one.id != topic]
    return _Question(
        "What is #{number} about?", "Topic", known[topic].name if topic in known else topic, left
    )


def change(button: str) -> Press:
    """Return what pressing one of the two buttons does: it asks for another audience, or another topic."""
    ask = {CHANGE_AUDIENCE: _audiences, CHANGE_TOPIC: _topics}[button]

    async def press(interaction: Interaction, number: int, revision: int) -> None:
        service, actor = interaction.client.service, actor_of(interaction)
        broadcast = await service.ask(actor, Action.EDIT, number, revision=revision)
        asked = ask(service, actor, broadcast)
        if not asked.options:
            raise NotReady(f"There is no other {asked.name.lower()} that you may choose.")
        await interaction.response.send_modal(ChangeModal(interaction, broadcast, button, asked))

    return press
