"""What goes out again and again, in Discord: the form that begins a series, its list and its card."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import discord
from discord import ui
from typing_extensions import override

from bot import seal
from bot.broadcast import Broadcast
from bot.chat.client import HeraldBot
from bot.chat.custom_ids import Subject
from bot.chat.members import actor_of
from bot.permissions import Action
from bot.series import SPOKEN, Every, Series, SeriesStatus
from bot.service import LISTED
from bot.service.repeating import Repeated
from bot.zones import written
from cogs.buttons import OPEN_SERIES, ActionButton, buttons
from cogs.embeds import CONTENT_LIMIT
from cogs.modals import HeraldModal, line_input
from cogs.showing import show_draft
from cogs.situation import moment
from cogs.text import first_of, inline, numbered, shorten

ENDS_LIMIT: Final = 40
_STANDS: Final[Mapping[SeriesStatus, str]] = MappingProxyType(
    {
        SeriesStatus.RUNNING: "🔁 runs",
        SeriesStatus.PAUSED: "⏸️ is paused",
        SeriesStatus.ENDED: "⏹️ has ended",
    }
)
_STEERED: Final[Mapping[SeriesStatus, Sequence[Action]]] = MappingProxyType(
    {
        SeriesStatus.RUNNING: (Action.SKIP, Action.PAUSE, Action.END),
        SeriesStatus.PAUSED: (Action.GO_ON, Action.END),
        SeriesStatus.ENDED: (),
    }
)


class RepeatModal(HeraldModal):
    """How often a draft with a time goes out, and until when."""

    def __init__(self, interaction: discord.Interaction[Any], broadcast: Broadcast) -> None:
        super().__init__(interaction, f"Let #{broadcast.id} go out again and again")
        self._broadcast = broadcast
        self.every = ui.RadioGroup[Any](
            custom_id="every",
            options=[
                discord.RadioGroupOption(label=said.capitalize(), value=one.value, default=one is Every.WEEK)
                for one, said in SPOKEN.items()
            ],
        )
        self.ends = line_input("ends", "", limit=ENDS_LIMIT)
        server = interaction.client.service.policy.server(broadcast.guild_id)
        covered = server is not None and server.rules.series_approval.uses
        unless = "or one approval covers it, as its card will say" if covered else "each by itself"
        said = (
            "Each is a broadcast of its own: it comes before your approvers a day ahead, and goes out only if"
            f" they approve it, {unless}. What is missed is not caught up."
        )
        self.add_item(ui.TextDisplay(said))
        self.add_item(ui.Label(text="How often", component=self.every))
        hint = "How many times in all, such as 10, or its last day, such as 2027-03-31."
        self.add_item(ui.Label(text="Until when", description=hint, component=self.ends))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Begin the series, and show the draft that is its first."""
        await interaction.response.defer()
        client: HeraldBot = interaction.client
        actor = actor_of(interaction)
        ends = await client.service.read_ends(actor, self.ends.value)
        draft = await client.service.repeat(
            actor,
            self._broadcast.id,
            revision=self._broadcast.revision,
            every=Every(self.every.value or Every.WEEK),
            ends=ends,
        )
        said = "It is the first of a series: `/notify series` shows it. Now **ask for approval** of this one."
        await show_draft(interaction, draft, said=said)


async def show_all_series(interaction: discord.Interaction[Any], found: Sequence[Series]) -> None:
    """List what goes out again and again where the deferred answer stands, each with its button."""
    view = discord.ui.View(timeout=None)
    for one in found:
        view.add_item(ActionButton(OPEN_SERIES, Subject(one.first, one.version, "")))
    none = "Nothing goes out again and again. **Repeat…** on a draft that has a time begins a series."
    lines = first_of([_brief(one) for one in found] or [none], CONTENT_LIMIT, most=LISTED)
    await interaction.edit_original_response(content="\n".join(lines), view=view)


async def show_series(interaction: discord.Interaction[Any], repeated: Repeated) -> None:
    """Put a series where the deferred answer stands, as it is, with what may be done with it."""
    series, first = repeated
    stands = f"{_STANDS[series.status]} · {series.spoken}\nfor **{inline(series.audience)}**"
    embed = discord.Embed(title=f"Series of #{series.first}", description=stands)
    title = inline(shorten(_title(series), 200))
    embed.add_field(name="Says", value=f"{title}, as {numbered(first)}", inline=False)
    embed.add_field(name="Author", value=inline(series.author.name), inline=False)
    if series.next_at is not None:
        there = inline(written(series.next_at, series.schedule.zone))
        value = f"**{moment(series.next_at, 'F')}**\n{there}\n{series.left} still to come"
        embed.add_field(name="Next", value=value, inline=False)
    if series.reason:
        embed.add_field(name="Why", value=inline(shorten(series.reason, 300)), inline=False)
    subject = Subject(series.first, series.version, seal.of_series(series))
    view = buttons(_STEERED[series.status], subject)
    await interaction.edit_original_response(content="", embed=embed, view=view)


def _brief(one: Series) -> str:
    following = f" · next {moment(one.next_at, 'F')}" if one.next_at else ""
    said = f"{inline(shorten(_title(one), 60))} · {inline(one.audience)}"
    return f"**#{one.first}** {_STANDS[one.status]} · {one.spoken} · {said}{following}"


def _title(one: Series) -> str:
    return one.notification.texts()[0][1].subject
