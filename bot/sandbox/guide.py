"""What a newcomer reads first: a pinned message in the channels of the sandbox."""

from typing import Final

import discord

from bot.policy.model import Server
from bot.sandbox.discord import SimulatedDiscord

FIRST: Final = """\
**Welcome to Herald's sandbox.** Discord and Whop are simulated: whatever you do, nobody is reached.

1. You are Maya, a moderator. Type `/notify compose` below, choose an audience and a topic, press **Send**, \
fill in the form. Then press **Ask for approval** under your draft, and confirm.
2. Open [#review as Omar]({origin}/discord/review?as=Omar) and press **Approve**: \
nobody approves what they wrote.
3. Ten seconds later look at [the customers' phone]({origin}/customers), and at what reached Whop. \
There you can let Whop misbehave, too.

Audiences: {audiences}. Topics: {topics}.
Who you are stands at the top. Lena approves as well and may stop everything with `/notify freeze`; \
Ada reads [#audit]({origin}/discord/audit?as=Ada); Sam has no role at all."""

REVIEW: Final = """\
**What waits for approval appears here**, with its buttons. Nobody approves what they wrote: \
be [Omar]({origin}/discord/review?as=Omar) for what Maya wrote. Once it was approved, \
**Stop** stands there for ten seconds; then look at [the customers' phone]({origin}/customers). \
Nothing here yet? Write something in [#moderators]({origin}/discord/moderators?as=Maya). \
The template below is for emergencies and can wait."""

GUIDE: Final = {"moderators": FIRST, "review": REVIEW}


async def pin_guide(world: SimulatedDiscord, server: Server, origin: str) -> None:
    """Pin in each channel what can be done there; in #audit Herald stays alone."""
    role = world.guild.create_role("Guides", permissions=discord.Permissions(manage_messages=True))
    guide = world.guild.add_member(world.env.create_user("Guide"), roles=[role])
    for channel, text in GUIDE.items():
        words = text.format(origin=origin, **choices(server))
        await guide.set_pinned(await guide.send(world.channels[channel], words), True)


def choices(server: Server) -> dict[str, str]:
    """Name what can be chosen in `/notify compose`."""
    return {
        "audiences": ", ".join(audience.name for audience in server.audiences),
        "topics": ", ".join(topic.name for topic in server.topics),
    }
