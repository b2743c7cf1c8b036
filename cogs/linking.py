"""Being tied to one's user at Whop: the command, and the form for the code."""

from typing import Any, Final

import discord
from discord import ui
from typing_extensions import override

from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.errors import NotReady
from bot.testing import Link
from cogs.modals import HeraldModal, line_input
from cogs.showing import told_in
from cogs.situation import moment
from cogs.text import inline

CODE_LIMIT: Final = 40
NOBODY: Final = (
    "You are tied to nobody at Whop. `/notify link` with your Whop user id or username as `user:` sends you a"
    " code there; once you have typed it here, tests of your words can go to you alone."
)


class CodeModal(HeraldModal):
    """The code that somebody got at Whop."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        super().__init__(interaction, "The code that you got")
        self.code = line_input("code", "", limit=CODE_LIMIT)
        hint = "As it stands in the notification; capitals and dashes do not matter."
        self.add_item(ui.Label(text="Code", description=hint, component=self.code))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Tie whoever typed it to the user who got it."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        client: HeraldBot = interaction.client
        link = await client.service.type_code(actor_of(interaction), self.code.value)
        await interaction.edit_original_response(content=_tied(link))

    @override
    def typed(self) -> str:
        """Return nothing: a code is not to stand in a file."""
        return ""


async def press_code(interaction: Interaction, number: int, revision: int) -> None:
    """Ask for the code, unless whoever pressed could not be tied to anybody."""
    _ = revision
    await interaction.client.service.ask_code(actor_of(interaction), number)
    await interaction.response.send_modal(CodeModal(interaction))


async def answer_link(interaction: Interaction, *, user: str | None, code: str | None, remove: bool) -> None:
    """Do what was asked of somebody's link: send a code, take it, remove the link; or show it."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    service, actor = interaction.client.service, actor_of(interaction)
    if sum((user is not None, code is not None, remove)) > 1:
        raise NotReady("Give one of user, code and remove at a time.")
    if user is not None:
        place = told_in(interaction)
        _, link = await service.link(actor, user, channel_id=place)
        where = "here" if place == interaction.channel_id else f"in <#{place}>"
        said = (
            f"A code is on its way to **{inline(link.shown)}** at Whop. You will read {where} whether Whop"
            " took it; then `/notify link code:` takes the code, and so does the button there."
        )
    elif code is not None:
        said = _tied(await service.type_code(actor, code))
    elif remove:
        link = await service.remove_link(actor)
        said = f"You are tied to **{inline(link.shown)}** no more: no test goes there."
    else:
        found = await service.link_of(actor)
        said = _tied(found) if found else NOBODY
    await interaction.edit_original_response(content=said)


def _tied(link: Link) -> str:
    inside = f", in the experience {inline(link.experience)}" if link.experience else ""
    return (
        f"You are **{inline(link.shown)}** at Whop, as you showed {moment(link.at, 'R')}. Tests go to you"
        f" alone{inside}. `/notify link remove:True` ends that."
    )
