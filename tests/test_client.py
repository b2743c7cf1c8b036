"""The Discord client: it waits for a Discord that is away, and says so when it is not welcome."""

import asyncio

import pytest
from aiohttp import web

from bot.client import HeraldBot
from bot.errors import ConfigurationError
from bot.sandbox.stage import Stage, answer
from tests.conftest import OpenStage


async def _unauthorized(_request: web.Request) -> web.Response:
    return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)


@pytest.fixture
def somewhere(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Point discord.py at a port of this machine where nobody listens yet."""
    monkeypatch.setattr("discord.http.Route.BASE", f"http://127.0.0.1:{unused_tcp_port}/api/v10")
    monkeypatch.setattr("bot.client.FIRST_WAIT_SECONDS", 0.02)
    return unused_tcp_port


async def test_a_discord_out_of_reach_is_waited_for_and_a_refused_token_ends_the_start(
    v5: Stage, somewhere: int
) -> None:
    fresh = HeraldBot(service=v5.herald.service, store=v5.herald.store, environment="test")
    connecting = asyncio.ensure_future(fresh.keep_connected("not-a-token"))
    done, _ = await asyncio.wait({connecting}, timeout=0.2)
    assert not done

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", _unauthorized)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", somewhere).start()
    with pytest.raises(ConfigurationError, match="DISCORD_TOKEN: Discord does not accept it"):
        await asyncio.wait_for(connecting, 10)
    await runner.cleanup()


async def test_the_client_asks_for_no_privileged_intent(v5: Stage) -> None:
    asked = {name for name, wanted in v5.herald.client.intents if wanted}
    assert asked == {"guilds"}


async def test_a_fault_inside_a_command_is_answered_with_a_reference_and_nothing_more(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    async with open_stage("v5", tolerant=True) as stage:
        monkeypatch.setattr(stage.herald.service, "queue", broken)
        result = await stage.person("Maya").slash(stage.channel("moderators"), "notify queue")
        assert "tell whoever runs Herald the reference" in answer(result)
        assert "secret detail" not in answer(result)
