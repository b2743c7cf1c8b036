"""What pressing a button does on a template that moderators made."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.chat.client import Interaction, Press
from bot.chat.members import actor_of
from bot.errors import NotReady
from bot.everyday import EverydayTemplate
from bot.permissions import Action
from cogs.buttons import (
    OPEN_EVERYDAY,
    PHONE_EVERYDAY,
    USE_EVERYDAY,
)
from cogs.everyday import show_everyday
from cogs.everyday_forms import TemplateModal, TemplatePhoneModal, fields_of, fill_in
from cogs.text import inline


async def _open(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision  # it shows what stands there now
    await interaction.response.defer(ephemeral=True, thinking=True)
    seen = await interaction.client.service.look_at_template(actor_of(interaction), number)
    await show_everyday(interaction, seen)


async def _new(interaction: Interaction, number: int, revision: int) -> None:
    _ = number, revision
    service, actor = interaction.client.service, actor_of(interaction)
    fields = await service.ask_new_template(actor, name="", audience=None, topic=None)
    if not fields:
        raise NotReady("This form was taken since: `/notify template create` opens a new one.")
    await interaction.response.send_modal(TemplateModal(interaction, service.form(actor), fields))


async def _use(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    opened = await interaction.client.service.ask_everyday(actor_of(interaction), Action.COMPOSE, number)
    await fill_in(interaction, opened)


async def edit_template(interaction: Interaction, number: int, **changed: str) -> None:
    """Open the form of a template, with what a command has changed of it already."""
    service, actor = interaction.client.service, actor_of(interaction)
    template, kept = await service.ask_everyday(actor, Action.EDIT_TEMPLATE, number)
    fields = {**fields_of(template.outline), **kept, **changed}
    form = TemplateModal(interaction, service.form(actor), fields, template)
    await interaction.response.send_modal(form)


async def _edit(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    await edit_template(interaction, number)


async def _edit_phone(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    service = interaction.client.service
    template, kept = await service.ask_everyday(actor_of(interaction), Action.EDIT_TEMPLATE, number)
    await interaction.response.send_modal(TemplatePhoneModal(interaction, template, kept))


async def _retire(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    service = interaction.client.service
    template, _ = await service.ask_everyday(actor_of(interaction), Action.RETIRE_TEMPLATE, number)
    await interaction.response.defer()
    await retire_template(interaction, template)


async def retire_template(interaction: Interaction, template: EverydayTemplate) -> None:
    """Retire a template and show its words once more, where the deferred answer stands."""
    service = interaction.client.service
    seen = await service.retire_template(actor_of(interaction), template.id, revision=template.revision)
    name = inline(seen.template.name)
    said = f"“{name}” is retired: nobody is offered it any more. What was made of it stays as it is."
    await show_everyday(interaction, seen, said=said)


async def _restore(interaction: Interaction, number: int, revision: int) -> None:
    service = interaction.client.service
    await service.ask_everyday(actor_of(interaction), Action.RESTORE_TEMPLATE, number)
    await interaction.response.defer()
    seen = await service.restore_template(actor_of(interaction), number, revision=revision)
    await show_everyday(interaction, seen, said=f"“{inline(seen.template.name)}” can be used again.")


EVERYDAY_PRESSES: Final[Mapping[str, Press]] = MappingProxyType(
    {
        OPEN_EVERYDAY: _open,
        Action.CREATE_TEMPLATE: _new,
        USE_EVERYDAY: _use,
        Action.EDIT_TEMPLATE: _edit,
        PHONE_EVERYDAY: _edit_phone,
        Action.RETIRE_TEMPLATE: _retire,
        Action.RESTORE_TEMPLATE: _restore,
    }
)
