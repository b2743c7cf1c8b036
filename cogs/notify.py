"""The slash commands: /notify."""

import re

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.errors import Unreachable
from bot.filter import EVERYTHING
from bot.freeze import describe
from bot.own_list import OWN, OWN_LABEL
from bot.permissions import Action, Actor
from cogs.audiences import show_audience
from cogs.audit import show_record
from cogs.choices import Option, meant, named, of_audience, of_broadcast, of_topic, offered
from cogs.filters import OUTCOME_OPTIONS, STATE_OPTIONS, topic_options
from cogs.linking import answer_link
from cogs.lists import show_list
from cogs.series import show_all_series
from cogs.showing import cards_of, show
from cogs.template_commands import TemplateCommands
from cogs.text import fitting, inline, label, numbered, shorten
from cogs.timezone import answer_timezone, offered_zones
from cogs.writing import ComposeModal

Choice = app_commands.Choice[str]


@app_commands.guild_only()
class Notify(
    commands.GroupCog, group_name="notify", group_description="Send Whop notifications, with approval"
):
    """Compose, follow and end broadcasts; all else is a button on a card."""

    template = TemplateCommands(name="template", description="Words to use again, with blanks to fill in")

    def __init__(self, bot: HeraldBot) -> None:
        self._service = bot.service

    @app_commands.command()
    @app_commands.rename(file="list")
    @app_commands.describe(
        audience="Who gets it",
        topic="What it is about",
        file="For a list of your own: CSV or text, one user id or username a row",
    )
    async def compose(
        self, interaction: Interaction, audience: str, topic: str, file: discord.Attachment | None = None
    ) -> None:
        """Write a notification for an audience; teammates approve it before it goes out."""
        actor = actor_of(interaction)
        audience, topic = meant(audience, self._audiences(actor)), meant(topic, self._topics(actor))
        announced = (file.filename, file.size) if file else None
        await self._service.may_compose(actor, audience=audience, topic=topic, file=announced)
        form = self._service.form(actor)
        whom = OWN_LABEL.lower() if audience == OWN else label(audience)
        await interaction.response.send_modal(
            ComposeModal(
                interaction, form, audience=audience, topic=topic, title=f"Notify {whom}", attachment=file
            )
        )

    @compose.autocomplete("audience")
    async def _offer_audiences(self, interaction: Interaction, typed: str) -> list[Choice]:
        actor = actor_of(interaction)
        found = await self._service.offered_audiences(actor, Action.COMPOSE)
        return offered(typed, [*map(of_audience, found), *self._own_list(actor)])

    @compose.autocomplete("topic")
    async def _offer_topics(self, interaction: Interaction, typed: str) -> list[Choice]:
        return offered(typed, self._topics(actor_of(interaction)))

    def _audiences(self, actor: Actor) -> list[Option]:
        found = self._service.audiences(actor, Action.COMPOSE)
        return [*map(of_audience, found), *self._own_list(actor)]

    def _own_list(self, actor: Actor) -> list[Option]:
        return [Option(OWN_LABEL, one.name, one.told) for one in self._service.own_list(actor)]

    def _topics(self, actor: Actor) -> list[Option]:
        return [of_topic(one) for one in self._service.topics(actor, Action.COMPOSE)]

    @app_commands.command()
    @app_commands.describe(words="All of them stand in it, in any order", state="How it is with it")
    async def drafts(
        self, interaction: Interaction, words: str | None = None, state: str | None = None
    ) -> None:
        """Open the drafts again that you write, alone or with others."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        only = EVERYTHING
        if words or state:
            typed = {"words": words, "state": state}
            only = await self._service.read_filter(actor_of(interaction), typed)
        await show_list(interaction, "drafts", only)

    @drafts.autocomplete("state")
    async def _states(self, interaction: Interaction, typed: str) -> list[Choice]:
        permitted = self._service.permits(actor_of(interaction), Action.COMPOSE)
        return offered(typed, STATE_OPTIONS if permitted else ())

    @app_commands.command()
    @app_commands.describe(name="Whom it reaches")
    async def audience(self, interaction: Interaction, name: str) -> None:
        """See an audience: its people, what it takes to write to them, and what they got lately."""
        options = [of_audience(one) for one in self._service.all_audiences(actor_of(interaction))]
        await show_audience(interaction, meant(name, options))

    @audience.autocomplete("name")
    async def _all_audiences(self, interaction: Interaction, typed: str) -> list[Choice]:
        found = await self._service.offered_audiences(actor_of(interaction), Action.LIST)
        return offered(typed, map(of_audience, found))

    @app_commands.command()
    async def queue(self, interaction: Interaction) -> None:
        """See what waits for approval, for its time or for a decision."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await show_list(interaction, "queue")

    @app_commands.command()
    async def series(self, interaction: Interaction) -> None:
        """See what goes out again and again; skip one, pause it or end it."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await show_all_series(interaction, await self._service.all_series(actor_of(interaction)))

    @app_commands.command()
    @app_commands.describe(
        words="Words that customers read, such as market opens",
        person="Who wrote it or approved it",
        audience="Whom it was for",
        topic="What it was about",
        since="A date such as 2026-11-23, or a number of days",
        until="A date such as 2026-11-30, or a number of days",
        outcome="What became of it",
    )
    async def history(
        self,
        interaction: Interaction,
        *,
        words: str | None = None,
        person: discord.User | None = None,
        audience: str | None = None,
        topic: str | None = None,
        since: str | None = None,
        until: str | None = None,
        outcome: str | None = None,
    ) -> None:
        """Search what was sent, failed or was cancelled, or has no known answer."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        typed = {
            "words": words,
            "person": str(person.id) if person else None,
            "audience": audience,
            "topic": topic,
            "since": since,
            "until": until,
            "outcome": meant(outcome, OUTCOME_OPTIONS) if outcome else None,
        }
        only = await self._service.read_filter(actor_of(interaction), typed)
        await show_list(interaction, "history", only)

    @history.autocomplete("audience")
    async def _past_audiences(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = await self._service.offered_searches(actor_of(interaction))
        return offered(typed, map(named, known.audiences if known else ()))

    @history.autocomplete("topic")
    async def _past_topics(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = await self._service.offered_searches(actor_of(interaction))
        return offered(typed, topic_options(known) if known else ())

    @history.autocomplete("outcome")
    async def _outcomes(self, interaction: Interaction, typed: str) -> list[Choice]:
        permitted = self._service.permits(actor_of(interaction), Action.LIST)
        return offered(typed, OUTCOME_OPTIONS if permitted else ())

    @app_commands.command()
    @app_commands.describe(broadcast="Its number, such as 12")
    async def show(self, interaction: Interaction, broadcast: str) -> None:
        """See one broadcast and where it stands."""
        number = _number(broadcast)
        if number is None:
            await _refuse_number(interaction, broadcast)
            return
        await show(interaction, number)

    @app_commands.command()
    @app_commands.describe(broadcast="Its number, such as 12", reason="Why; it stands in the record")
    async def cancel(self, interaction: Interaction, broadcast: str, reason: str = "") -> None:
        """End a broadcast before it is sent."""
        number = _number(broadcast)
        if number is None:
            await _refuse_number(interaction, broadcast)
            return
        await interaction.response.defer(ephemeral=True, thinking=True)
        after = await self._service.cancel(actor_of(interaction), number, reason=reason)
        said = f"{numbered(after)} is cancelled. It will not go out."
        await interaction.edit_original_response(content=said)

    @app_commands.command()
    @app_commands.describe(broadcast="Its number, such as 12")
    async def who(self, interaction: Interaction, broadcast: str) -> None:
        """See who could approve a broadcast now."""
        number = _number(broadcast)
        if number is None:
            await _refuse_number(interaction, broadcast)
            return
        await interaction.response.defer(ephemeral=True, thinking=True)
        actor, client = actor_of(interaction), interaction.client
        try:
            members = await client.members.of(actor.guild_id or 0, max_age=10)
        except Unreachable:
            members = ()
        asked, needed, able = await self._service.who(actor, number, members)
        roles = " or ".join(f"<@&{role}>" for role in self._service.approve_roles(actor))
        if not members:
            said = (
                f"Discord does not tell Herald who holds {roles}: whoever does and did not write it can"
                " approve. (The owner can turn on the Server Members Intent.)"
            )
        else:
            names = fitting([inline(one.name) for one in able], 1000, between=", ") if able else "Nobody"
            said = f"{names} could approve it now, with the role {roles}."
        said = f"{numbered(asked)} needs {needed} more. {said}"
        await interaction.edit_original_response(content=said)

    @app_commands.command()
    @app_commands.describe(zone="A city near you, such as Berlin; nothing to see which one it is")
    async def timezone(self, interaction: Interaction, zone: str | None = None) -> None:
        """See or set by which clocks the times are read that you type."""
        await answer_timezone(interaction, zone, self._service.gate.clock())

    @timezone.autocomplete("zone")
    async def _zones(self, interaction: Interaction, typed: str) -> list[Choice]:
        if not self._service.permits(actor_of(interaction), Action.TIMEZONE):
            return []
        return offered_zones(typed, self._service.gate.clock())

    @app_commands.command()
    @app_commands.describe(
        user="Your Whop user id or username",
        code="The code that you got there",
        remove="Be tied to it no more",
    )
    async def link(
        self,
        interaction: Interaction,
        user: str | None = None,
        code: str | None = None,
        *,
        remove: bool = False,
    ) -> None:
        """See or say who you are at Whop, so that tests can go to you alone."""
        await answer_link(interaction, user=user, code=code, remove=remove)

    @app_commands.command()
    @app_commands.describe(reason="Why; everyone concerned reads it")
    async def freeze(self, interaction: Interaction, reason: str) -> None:
        """Halt all sending at once; lifting it takes somebody else."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        freeze = await self._service.freeze(actor_of(interaction), reason)
        await interaction.edit_original_response(content=describe(freeze, spoken=inline))

    @app_commands.command()
    async def unfreeze(self, interaction: Interaction) -> None:
        """See what waits behind a freeze, and lift it."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        freeze, waiting = await self._service.frozen(actor_of(interaction))
        if freeze is None:
            await interaction.edit_original_response(content="Sending is not frozen.")
            return
        shown = cards_of(interaction.client).thaw(freeze, waiting)
        await interaction.edit_original_response(content=shown.content, view=shown.view)

    @app_commands.command()
    @app_commands.describe(
        person="Who acted",
        audience="Whom the broadcast is for",
        proof="The proof code on its card, such as 4F0C2A9B",
        since="A date such as 2026-11-23, or a number of days",
        broadcast="Its number, such as 12",
    )
    async def audit(
        self,
        interaction: Interaction,
        *,
        person: discord.User | None = None,
        audience: str | None = None,
        proof: str | None = None,
        since: str | None = None,
        broadcast: str | None = None,
    ) -> None:
        """Search the record: who did what, and when."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        typed = {"audience": audience, "proof": proof, "since": since, "broadcast": broadcast}
        someone = {"person": str(person.id) if person else None}
        search = await self._service.read_search(actor_of(interaction), typed | someone)
        await show_record(interaction, search)

    @audit.autocomplete("audience")
    async def _recorded(self, interaction: Interaction, typed: str) -> list[Choice]:
        names = await self._service.recorded_audiences(actor_of(interaction))
        return offered(typed, map(named, names))

    @show.autocomplete("broadcast")
    @who.autocomplete("broadcast")
    @cancel.autocomplete("broadcast")
    async def _broadcasts(self, interaction: Interaction, typed: str) -> list[Choice]:
        # Autocomplete runs without a command's checks: those who may see nothing are offered nothing.
        found = await self._service.suggestions(actor_of(interaction))
        return offered(typed, map(of_broadcast, found))


def _number(typed: str) -> int | None:
    # Also where the whole of what was offered is typed.
    match = re.fullmatch(r"\s*(?:#?([0-9]{1,18})\s*|#([0-9]{1,18}) [a-z]+ · .*)", typed, re.DOTALL)
    return int(match[1] or match[2]) if match else None


async def _refuse_number(interaction: Interaction, typed: str) -> None:
    await interaction.response.send_message(
        f"“{inline(shorten(typed, 60))}” is not a broadcast's number: choose one from the list, or type a"
        " number such as 12.",
        ephemeral=True,
    )


async def setup(bot: HeraldBot) -> None:
    """Add the commands."""
    await bot.add_cog(Notify(bot))
