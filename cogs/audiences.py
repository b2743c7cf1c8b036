"""One audience, as `/notify audience` shows it."""

from collections.abc import Iterator
from typing import Final

import discord

from bot.audience import is_counted, size_in_short, size_of
from bot.broadcast import Status
from bot.chat.client import Interaction
from bot.chat.members import actor_of
from bot.frequency_rules import Nearby
from bot.policy.audience import Audience
from bot.policy.model import Server
from bot.sentences import spoken_span
from bot.service import KnownAudience, NamedTargets
from cogs.embeds import field_value
from cogs.situation import HEADLINES, moment
from cogs.text import fitting, inline, linked

# So many of what it got are named.
NEWEST: Final = 5
ROOM: Final = 900
_KINDS: Final = {
    "users": "user",
    "products": "product",
    "companies": "company",
    "experiences": "experience",
    "team": "team of",
}


async def show_audience(interaction: Interaction, name: str) -> None:
    """Show an audience to whoever asked."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    known, named = await interaction.client.service.look_at_audience(actor_of(interaction), name)
    await interaction.edit_original_response(embed=draw_audience(known, named))


def draw_audience(known: KnownAudience, named: NamedTargets) -> discord.Embed:
    """Draw the card of an audience."""
    server, audience = known.server, known.audience
    embed = discord.Embed(title=f"Audience “{inline(audience.name)}”", colour=discord.Colour.blurple())
    fields = {
        "People": _people(known),
        "Whom it reaches": fitting([*_targets(audience, named)], ROOM, between="\n"),
        "What it takes": "\n".join(_rule(server, audience, known)),
        "When": "\n".join(_when(server, audience)),
        "Lately": _lately(known),
    }
    for title, value in fields.items():
        embed.add_field(name=title, value=field_value(value), inline=False)
    return embed


def _people(known: KnownAudience) -> str:
    audience, counted = known.audience, known.counted
    said = size_of(audience, counted)
    if is_counted(audience, counted) and counted is not None:
        return f"{said}, counted {moment(counted.at, 'R')}"
    if counted is not None and counted.why:
        return f"{said} ({inline(counted.why)})"
    if size_in_short(audience, counted) == "size unknown":
        return f"{said}: it is counted when approval is asked for"
    return f"{said}, by the policy"


def _targets(audience: Audience, named: NamedTargets) -> Iterator[str]:
    if named.why:
        yield f"⚠️ Not all names are Whop's own: {inline(named.why)}."
    for kind, identifier in sorted(audience.reached()):
        name = named.names.get(identifier)
        what = f"{_KINDS[kind]} {identifier}"
        yield f"• **{inline(name)}** ({what})" if name else f"• {what}"


def _rule(server: Server, audience: Audience, known: KnownAudience) -> Iterator[str]:
    needed, corrected = (server.quorum_of(audience, corrects=corrects) for corrects in (False, True))
    yield f"**{needed}** approval{'s' if needed > 1 else ''}" + (
        f", {corrected} for a correction" if corrected != needed else ""
    )
    if known.is_large:
        yield "Large: approving it asks for its name"
    roles = " or ".join(f"<@&{role}>" for role in server.roles.compose)
    own = " or ".join(f"<@&{role}>" for role in audience.compose or ())
    yield f"Composed by {roles}{f' who are {own} as well' if own else ''}"


def _when(server: Server, audience: Audience) -> Iterator[str]:
    quiet, limit = server.quiet_of(audience.name), server.limit_of(audience.name)
    zone = server.zone_of(audience.name)
    yield f"By the clocks of {inline(zone)}"
    if quiet is not None:
        modes = {
            "refuse": "nothing goes out",
            "shift": "it waits for their end",
            "approval": "one approval more",
        }
        yield f"Quiet hours {quiet.hours}: {modes[quiet.mode]}"
    if not limit.is_none:
        parts = [f"{spoken_span(limit.cool_down)} between two"] if limit.cool_down else []
        parts += [f"{limit.daily_cap} a day"] if limit.daily_cap is not None else []
        beyond = "one approval more beyond that" if limit.beyond == "approval" else "no more than that"
        yield f"At most {' and '.join(parts)}; {beyond}" if limit.daily_cap else f"{parts[0]}; {beyond}"


def _lately(known: KnownAudience) -> str:
    gone = [one for one in known.nearby if one.is_gone][:NEWEST]
    coming = [one for one in known.nearby if one.status is Status.APPROVED][:NEWEST]
    lines = [*(_line(one, known) for one in coming), *(_line(one, known) for one in gone)]
    return fitting(lines, ROOM, between="\n") if lines else "Nothing in the last 7 days"


def _line(one: Nearby, known: KnownAudience) -> str:
    others = f", for **{inline(one.audience)}**" if one.audience != known.audience.name else ""
    number = linked(one.id, one.guild_id, one.card)
    return f"{number} {moment(one.at, 'R')} · {HEADLINES[one.status]}{others}"
