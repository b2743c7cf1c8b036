"""By which clocks somebody's times are read: what is offered, and what is said."""

from datetime import datetime
from typing import Final

from discord import app_commands

from bot.chat.client import Interaction
from bot.chat.members import actor_of
from bot.service import LISTED
from bot.service.time_zones import Clocks
from bot.zones import local_time, near
from cogs.choices import Option, meant

# No zone is called so.
_SERVERS: Final = Option("The zone of this server", "server")


def offered_zones(typed: str, now: datetime) -> list[app_commands.Choice[str]]:
    """Return the zones that may be meant by what was typed so far, each with what its clocks show."""
    wanted = _zone_in(typed)
    found = [Option(f"{zone} · {local_time(now, zone):%H:%M}", zone) for zone in near(wanted, limit=LISTED)]
    if wanted.casefold() in _SERVERS.value:
        found.insert(0, _SERVERS)
    return [app_commands.Choice(name=one.shown, value=one.value) for one in found[:LISTED]]


async def answer_timezone(interaction: Interaction, typed: str | None, now: datetime) -> None:
    """Say by which clocks somebody's times are read, after setting them if a zone was typed."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    service, actor = interaction.client.service, actor_of(interaction)
    if typed is None:
        said = _told(await service.clocks_of(actor), now)
    else:
        chosen = "" if meant(typed, [_SERVERS]) == _SERVERS.value else _zone_in(typed)
        clocks = await service.set_zone(actor, chosen)
        said = f"{_told(clocks, now)} What is scheduled already stays as it is."
    await interaction.edit_original_response(content=said)


def _zone_in(typed: str) -> str:
    # What was offered may be typed as a whole.
    return typed.partition(" · ")[0].strip()


def _told(clocks: Clocks, now: datetime) -> str:
    whose = "your own" if clocks.is_own else "this server's, until you set your own by `/notify timezone`"
    shown = f"{local_time(now, clocks.zone):%H:%M}"
    return (
        f"Times that you type are read by the clocks in **{clocks.zone}**, where it is {shown} now: {whose}."
    )
