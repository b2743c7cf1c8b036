"""Getting words first and alone: the buttons that send a test, and say that it arrived."""

from bot.broadcast import Status
from bot.chat.client import Interaction, Press
from bot.chat.members import actor_of
from bot.permissions import Action
from bot.testing import MARK
from cogs.showing import show_draft, told_in
from cogs.text import numbered


def press_test(action: Action) -> Press:
    """Return what sends the words of a card to whoever presses its button, and to nobody else."""

    async def press(interaction: Interaction, number: int, revision: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        send, place = getattr(interaction.client.service, action.value), told_in(interaction)
        await send(actor_of(interaction), number, revision=revision, channel_id=place)
        where = "here" if place == interaction.channel_id else f"in <#{place}>"
        said = (
            f"A test of **#{number}** is on its way to you alone, with **{MARK.strip()}** in front. You will"
            f" read {where} what Whop says of it."
        )
        await interaction.edit_original_response(content=said)

    return press


async def press_arrived(interaction: Interaction, number: int, revision: int) -> None:
    """Note that a test has arrived, and show what can be done now with what it was a test of."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    actor = actor_of(interaction)
    it = await interaction.client.service.arrived(actor, number, revision=revision)
    said = f"Noted: these words of {numbered(it)} have reached you."
    if it.status is Status.DRAFT and actor.id in it.owners:
        await show_draft(interaction, it, said=said)
    else:
        await interaction.edit_original_response(content=said)
