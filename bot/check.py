"""The questions of `herald check`: can what the settings and the policy name be reached and used?"""

from collections.abc import AsyncIterator
from typing import Final

import discord

from bot.delivery import NoAnswer
from bot.policy import Policy, Server
from bot.whop import Transport, WhopGateway

_CHANNEL_RIGHTS: Final = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "embed_links": "Embed Links",
}


async def check_whop(policy: Policy, gateway: WhopGateway, transport: Transport) -> AsyncIterator[str]:
    """Ask Whop harmless questions; yield a sentence for each thing to mend."""
    for probe in gateway.probes(policy):
        answer = await transport.send(probe.request)
        if isinstance(answer, NoAnswer):
            yield f"WHOP_BASE_URL: Whop could not be reached ({answer.reason}): mend it or the network."
            return
        if sentence := probe.judge(answer):
            yield sentence


async def check_discord(policy: Policy, client: discord.Client) -> AsyncIterator[str]:
    """Ask Discord, through a client that is logged in; yield a sentence for each thing to mend."""
    for number, server in enumerate(policy.servers, start=1):
        async for sentence in _check_server(f"herald.toml: server.{number}", server, client):
            yield sentence


async def _check_server(key: str, server: Server, client: discord.Client) -> AsyncIterator[str]:
    try:
        guild = await client.fetch_guild(server.guild)
        channels = {channel.id: channel for channel in await guild.fetch_channels()}
        me = await guild.fetch_member(client.user.id if client.user else 0)
    except (discord.NotFound, discord.Forbidden):
        yield f"{key}.guild: Herald is not in the server {server.guild}: correct the id, or invite Herald."
        return
    known = {role.id for role in guild.roles}
    for name, roles in server.roles:
        for role in roles:
            if role not in known:
                yield f"{key}.roles.{name}: there is no role {role} in {guild.name}: correct the id."
            elif role == guild.id:
                yield f"{key}.roles.{name}: {role} is @everyone: name a role that only some have."
    for name, channel_id in server.channels:
        channel = channels.get(channel_id)
        if channel is None:
            yield f"{key}.channels.{name}: there is no channel {channel_id} in {guild.name}: correct the id."
            continue
        rights = channel.permissions_for(me)
        if missing := [spoken for right, spoken in _CHANNEL_RIGHTS.items() if not getattr(rights, right)]:
            yield (
                f"{key}.channels.{name}: Herald lacks {', '.join(missing)} in #{channel.name}:"
                " allow it in the channel's settings."
            )
