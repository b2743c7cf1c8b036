"""The modals: confirming, naming, giving a reason. What was typed survives every refusal."""

import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

import discord
from discord import ui
from typing_extensions import override

from bot.broadcast import Broadcast, Status
from bot.chat.answers import fail, typed_in
from bot.chat.channels import why_unseen
from bot.chat.client import HeraldBot
from bot.chat.custom_ids import FORM, form_id, seen
from bot.chat.members import actor_of
from bot.errors import NotReady
from bot.permissions import Action
from bot.policy.fields import NAME_LIMIT
from bot.service import REASON_LIMIT
from cogs.situation import going_out
from cogs.text import inline, label, numbered, shorten, units

# A dismissed modal tells nobody: without an end it would stay in memory for ever.
TIMEOUT_SECONDS: Final = 900


class HeraldModal(ui.Modal):
    """A modal whose errors reach the person, together with what they typed."""

    def __init__(self, interaction: discord.Interaction[Any], title: str, *, seal: str | None = None) -> None:
        # Its own id for each opening, so that two people's modals never cross; with the session in it, one
        # that outlived its process is recognised when it is submitted.
        # And with the seal of the card that it was opened on, so that it counts no longer than that card; one
        # that a command opened has a seal of its own.
        sealed = (seen(interaction) or "") if seal is None else seal
        custom_id = form_id(interaction.client.session, interaction.id, sealed)
        super().__init__(title=shorten(title, 45), timeout=TIMEOUT_SECONDS, custom_id=custom_id)

    def typed(self) -> str:
        """Return what the person typed, to be given back if it cannot be stored."""
        inputs = [item for item in self.walk_children() if isinstance(item, ui.TextInput)]
        return "\n\n".join(item.value for item in inputs if item.value)

    @override
    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Refuse halves of characters, which no draft can hold; what was typed is given back."""
        _ = interaction
        if any("\ud800" <= ch <= "\udfff" for ch in self.typed()):
            raise NotReady("It has characters that cannot be stored: retype it.")
        return True

    @override
    async def on_error(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Hand the error to the one funnel."""
        await fail(interaction, error, typed=self.typed())


class ConfirmModal(HeraldModal):
    """The last look before a draft goes to its approvers, or out if nobody else is needed."""

    def __init__(
        self, interaction: discord.Interaction[Any], broadcast: Broadcast, summary: str, *, asks: bool
    ) -> None:
        title = f"Ask for approval of #{broadcast.id}?" if asks else f"Send #{broadcast.id}?"
        super().__init__(interaction, title)
        self._broadcast = broadcast
        self._asks = asks
        self.note = ui.TextInput[Any](
            custom_id="note", style=discord.TextStyle.paragraph, required=False, max_length=REASON_LIMIT
        )
        self.add_item(ui.TextDisplay(summary))
        hint = "Why now, what to look at. Customers never see it."
        self.add_item(ui.Label(text="A note for your approvers", description=hint, component=self.note))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Submit it and turn the draft card into a receipt."""
        await interaction.response.defer()
        client: HeraldBot = interaction.client
        server = client.service.policy.server(interaction.guild_id)
        after = await client.service.submit(
            actor_of(interaction),
            self._broadcast.id,
            revision=self._broadcast.revision,
            note=self.note.value,
            members=await client.members.known(self._broadcast.guild_id),
            unseen=await why_unseen(client, server.channels.review) if server else None,
            asks=self._asks,
        )
        review = client.service.lifecycle.server_of(after).channels.review
        if after.status is Status.APPROVED:
            said = (
                f"#{after.id} is approved by its template and goes out {going_out(after)};"
                f" **Stop** on its card in <#{review}> takes it back until then."
            )
        else:
            here = after.origin_channel_id == interaction.channel_id
            place = "here" if here else f"in <#{after.origin_channel_id}>"
            said = (
                f"#{after.id} is under review in <#{review}>. You will read {place} what becomes of it;"
                " **Withdraw** on its card takes it back."
            )
        said += f"\n-# proof {after.proof}"
        await interaction.edit_original_response(content=said, embeds=[], attachments=[], view=None)


class NameModal(HeraldModal):
    """A moment's thought before something large, or the same again, is approved: a name has to be typed."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        what: str,
        audience: str,
        then: Callable[[discord.Interaction[Any], str], Awaitable[None]],
        *,
        warning: str = "",
    ) -> None:
        why = "which says the same again" if warning else "for a large audience"
        super().__init__(interaction, f"Approve {label(what)} {why}?")
        self._then = then
        self.name = line_input("audience", "", limit=NAME_LIMIT)
        said = f"{inline(what)} goes to **{inline(audience)}**. Type that name to approve it."
        self.add_item(ui.TextDisplay(f"{warning}\n{said}" if warning else said))
        self.add_item(ui.Label(text="The audience's name", component=self.name))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Go on with what was typed."""
        await self._then(interaction, self.name.value)

    @override
    def typed(self) -> str:
        """Return nothing: a name is sooner typed again than copied from a file."""
        return ""


class _Question(NamedTuple):
    title: str
    answer: str
    required: bool = True


REASONED: Final[Mapping[Action, _Question]] = MappingProxyType(
    {
        Action.REQUEST_CHANGES: _Question(
            "What should change in #{number}?", "{which} is back with {author}, with your words."
        ),
        Action.REJECT: _Question("Why is #{number} rejected?", "{which} is rejected. {author} is told why."),
        Action.CANCEL: _Question(
            "Cancel #{number}?", "{which} is cancelled. It will not go out.", required=False
        ),
        Action.CONFIRM: _Question(
            "How do you know that #{number} went out?", "{which} is recorded as sent, on your word."
        ),
        Action.DENY: _Question(
            "How do you know that #{number} did not?",
            "{which} is recorded as not sent, on your word. Compose it anew to try again.",
        ),
    }
)


# Asked when it is done: nobody has to find words before it is stopped.
STOPPED: Final = _Question(
    "#{number} is stopped. Why?",
    "{which} is a draft of {author}'s again. They are told who stopped it, and why if you said so.",
    required=False,
)


class ReasonModal(HeraldModal):
    """The reason that the record and the author get."""

    def __init__(
        self, interaction: discord.Interaction[Any], action: Action, number: int, revision: int
    ) -> None:
        self._question = question = STOPPED if action is Action.STOP else REASONED[action]
        super().__init__(interaction, question.title.format(number=number))
        self._action = action
        self._number = number
        self._revision = revision
        self.reason = ui.TextInput[Any](
            custom_id="reason",
            style=discord.TextStyle.paragraph,
            required=question.required,
            max_length=REASON_LIMIT,
        )
        self.add_item(ui.Label(text="Reason", description="It stands in the record.", component=self.reason))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Do it, with the reason; a card that only this person sees gives way to the answer."""
        if interaction.message is not None and interaction.message.flags.ephemeral:
            await interaction.response.defer()
        else:
            await interaction.response.defer(ephemeral=True, thinking=True)
        client: HeraldBot = interaction.client
        after = await client.service.act_with_reason(
            actor_of(interaction),
            self._action,
            self._number,
            revision=self._revision,
            reason=self.reason.value,
        )
        said = self._question.answer.format(which=numbered(after), author=inline(after.author.name))
        await interaction.edit_original_response(content=said, embeds=[], attachments=[], view=None)


def line_input(custom_id: str, value: str, *, limit: int, required: bool = True) -> ui.TextInput[Any]:
    """Return a field of one line."""
    return _input(custom_id, value, discord.TextStyle.short, limit, required=required)


def paragraph_input(custom_id: str, value: str, *, limit: int, required: bool = True) -> ui.TextInput[Any]:
    """Return a field of several lines."""
    return _input(custom_id, value, discord.TextStyle.paragraph, limit, required=required)


def _input(
    custom_id: str, value: str, style: discord.TextStyle, limit: int, *, required: bool
) -> ui.TextInput[Any]:
    # A prefill longer than the field would make Discord refuse the whole modal.
    return ui.TextInput(
        custom_id=custom_id,
        style=style,
        default=value or None,
        required=required,
        max_length=max(limit, units(value)),
    )


async def give_back(interaction: discord.Interaction[Any]) -> None:
    """Give what was typed into a modal back if the process that opened it is gone or forgot it."""
    if interaction.type is not discord.InteractionType.modal_submit:
        return
    data = cast("dict[str, Any]", interaction.data or {})
    match = _OPENED.fullmatch(data.get("custom_id", ""))
    if match is None:
        return
    age = interaction.created_at - discord.utils.snowflake_time(int(match["opening"]))
    if match["session"] == interaction.client.session and age.total_seconds() < TIMEOUT_SECONDS:
        return
    dead = NotReady("Herald had closed this form in the meantime, so nothing was changed. Open it again.")
    await fail(interaction, dead, typed="\n\n".join(typed_in(data)))


_OPENED: Final = re.compile(FORM)


async def setup(bot: HeraldBot) -> None:
    """Listen for modals that nobody waits for any more."""
    bot.add_listener(give_back, "on_interaction")
