"""Herald on a Discord behind a network: whatever happens there, a broadcast goes through after it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.chat import announcer
from bot.sending import dispatcher
from tests.harness.discord.herald import PEOPLE, Connected, connected, the_policy
from tests.harness.discord.person import Person, whole_broadcast
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.people import MAYA
from tests.harness.policy import GUILD


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll often: the loops' own pauses are no part of what they promise."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(announcer, "POLL_SECONDS", 0.01)


@pytest.fixture
async def discord(discord_port: int) -> AsyncGenerator[LoopbackDiscord]:
    async with LoopbackDiscord.open(the_policy(), PEOPLE, port=discord_port) as opened:
        yield opened


@pytest.fixture
async def online(discord: LoopbackDiscord, tmp_path: Path) -> AsyncGenerator[Connected]:
    async with connected(tmp_path, discord, the_policy()) as opened:
        await discord.gateway.connected.wait()
        yield opened


async def test_a_whole_broadcast_goes_through(online: Connected) -> None:
    assert await whole_broadcast(online.discord) == 1
    assert len(online.whop.pushes) == 1


# --- roles -----------------------------------------------------------------------------------------


async def test_people_have_their_roles_while_their_server_is_unavailable(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    await discord.set_available(GUILD, available=False)
    async with connected(tmp_path, discord, the_policy()):
        await discord.gateway.connected.wait()
        await whole_broadcast(discord)


async def test_nobody_else_is_given_a_role_by_that(discord: LoopbackDiscord, tmp_path: Path) -> None:
    stranger = replace(MAYA, id=MAYA.id + 900, roles=frozenset())
    discord.guilds[GUILD].members[stranger.id] = stranger
    await discord.set_available(GUILD, available=False)
    async with connected(tmp_path, discord, the_policy()):
        await discord.gateway.connected.wait()
        refused = await Person(discord, stranger).command("notify compose", audience="One", topic="news")
        assert refused.modal is None
        assert "role" in refused.said
