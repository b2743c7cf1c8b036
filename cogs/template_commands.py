"""The slash commands for words that are used again: /notify template."""

from collections.abc import Iterable, Sequence
from typing import Final

from discord import app_commands

from bot.chat.client import Interaction
from bot.chat.members import actor_of
from bot.everyday import EverydayTemplate, TemplateName
from bot.permissions import Action
from bot.service import Standing
from cogs.choices import Option, meant, of_audience, of_everyday, of_template, of_topic, offered
from cogs.everyday_forms import TemplateModal, fill_in
from cogs.everyday_list import show_templates
from cogs.everyday_presses import edit_template, retire_template
from cogs.template import show_template
from cogs.text import fitting, inline, shorten

Choice = app_commands.Choice[str]
# What an edit sets that is to be asked for whenever the template is used.
ANEW: Final = Option("asked for each time", "(asked for each time)")


class TemplateCommands(app_commands.Group):
    """Words that are used again: those that moderators keep, and those for an emergency."""

    @app_commands.command()
    @app_commands.describe(name="Which template")
    async def use(self, interaction: Interaction, name: str) -> None:
        """Write a notification from a template; those for an emergency are approved here, too."""
        service, actor = interaction.client.service, actor_of(interaction)
        standings = await service.templates(actor)
        # A template of the policy file comes before one of the same name, which its list opens.
        chosen = meant(name, map(of_template, standings))
        emergency = next((one for one in standings if one.template.name == chosen), None)
        if emergency is not None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await show_template(interaction, emergency)
            return
        known = await service.template_names(actor)
        found = _named(name, known)
        if found is None:
            await _refuse_name(interaction, name, standings, known)
            return
        await fill_in(interaction, await service.ask_everyday(actor, Action.COMPOSE, found.id))

    @app_commands.command(name="list")
    async def list_(self, interaction: Interaction) -> None:
        """See the templates that moderators made; each opens with what can be done to it."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await show_templates(interaction)

    @app_commands.command()
    @app_commands.describe(
        name="How people will call it",
        audience="Who gets it; leave it out to be asked each time",
        topic="What it is about; leave it out to be asked each time",
    )
    async def create(
        self, interaction: Interaction, name: str, audience: str | None = None, topic: str | None = None
    ) -> None:
        """Keep words to use again, with blanks to fill in such as {when}."""
        service, actor = interaction.client.service, actor_of(interaction)
        chosen = _chosen(interaction, Action.CREATE_TEMPLATE, audience=audience, topic=topic)
        kept = await service.ask_new_template(
            actor, name=name, audience=chosen.get("audience"), topic=chosen.get("topic")
        )
        fields = {**kept, **chosen, "name": name}
        await interaction.response.send_modal(TemplateModal(interaction, service.form(actor), fields))

    @app_commands.command()
    @app_commands.describe(
        name="Which template",
        new_name="How people will call it from now on",
        audience="Who gets it from now on",
        topic="What it is about from now on",
    )
    async def edit(
        self,
        interaction: Interaction,
        name: str,
        new_name: str | None = None,
        audience: str | None = None,
        topic: str | None = None,
    ) -> None:
        """Change what a template says; its author and operators can."""
        template = await _template(interaction, Action.EDIT_TEMPLATE, name)
        changed = _chosen(interaction, Action.EDIT_TEMPLATE, audience=audience, topic=topic)
        if new_name:
            changed["name"] = new_name
        await edit_template(interaction, template.id, **changed)

    @app_commands.command()
    @app_commands.describe(name="Which template")
    async def retire(self, interaction: Interaction, name: str) -> None:
        """Offer a template to nobody any more; its author and operators can."""
        template = await _template(interaction, Action.RETIRE_TEMPLATE, name)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await retire_template(interaction, template)

    @use.autocomplete("name")
    async def _all_names(self, interaction: Interaction, typed: str) -> list[Choice]:
        service, actor = interaction.client.service, actor_of(interaction)
        if not service.permits(actor, Action.LIST):
            return []
        options = [of_everyday(one) for one in await service.template_names(actor)]
        return offered(typed, [*map(of_template, await service.templates(actor)), *options])

    @edit.autocomplete("name")
    @retire.autocomplete("name")
    async def _names(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = await interaction.client.service.template_names(actor_of(interaction))
        return offered(typed, map(of_everyday, known))

    @create.autocomplete("audience")
    async def _audiences_of_new(self, interaction: Interaction, typed: str) -> list[Choice]:
        return offered(typed, _audiences(interaction, Action.CREATE_TEMPLATE))

    @create.autocomplete("topic")
    async def _topics_of_new(self, interaction: Interaction, typed: str) -> list[Choice]:
        return offered(typed, _topics(interaction, Action.CREATE_TEMPLATE))

    @edit.autocomplete("audience")
    async def _audiences_anew(self, interaction: Interaction, typed: str) -> list[Choice]:
        return offered(typed, _audiences(interaction, Action.EDIT_TEMPLATE))

    @edit.autocomplete("topic")
    async def _topics_anew(self, interaction: Interaction, typed: str) -> list[Choice]:
        return offered(typed, _topics(interaction, Action.EDIT_TEMPLATE))


def _audiences(interaction: Interaction, action: Action) -> list[Option]:
    audiences = interaction.client.service.audiences(actor_of(interaction), action)
    return [*map(of_audience, audiences), *([ANEW] if audiences else [])]


def _topics(interaction: Interaction, action: Action) -> list[Option]:
    topics = interaction.client.service.topics(actor_of(interaction), action)
    return [*map(of_topic, topics), *([ANEW] if topics else [])]


def _chosen(interaction: Interaction, action: Action, **typed: str | None) -> dict[str, str]:
    """Return which audience and topic were meant, of those that were typed; empty for one to be asked for."""
    options = {"audience": _audiences(interaction, action), "topic": _topics(interaction, action)}
    chosen = {name: meant(text, options[name]) for name, text in typed.items() if text}
    return {name: "" if value == ANEW.value else value for name, value in chosen.items()}


def _named(typed: str, known: Iterable[TemplateName]) -> TemplateName | None:
    templates = list(known)
    chosen = meant(typed, map(of_everyday, templates))
    # No two names differ in their capitals alone.
    return next((one for one in templates if one.name.casefold() == chosen.casefold()), None)


async def _template(interaction: Interaction, action: Action, typed: str) -> EverydayTemplate:
    """Return the template of that name, if the person could do this to it now; raise Refused."""
    service, actor = interaction.client.service, actor_of(interaction)
    found = _named(typed, await service.template_names(actor))
    # There is none of that number; whoever may not see any is told so first.
    return (await service.ask_everyday(actor, action, found.id if found else 0)).template


async def _refuse_name(
    interaction: Interaction, typed: str, standings: Sequence[Standing], known: Sequence[TemplateName]
) -> None:
    names = [*(one.template.name for one in standings), *(one.name for one in known)]
    said = fitting([inline(name) for name in names] or ["none yet"], 1000, between=", ")
    await interaction.response.send_message(
        f"There is no template “{inline(shorten(typed, 100))}”: choose one from the list ({said}).",
        ephemeral=True,
    )
