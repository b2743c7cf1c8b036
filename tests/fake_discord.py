"""A fake Discord on loopback, for what does not go through the simulated one."""

import asyncio
import json
from typing import Any

from aiohttp import WSCloseCode, web

TOKEN = "fake-discord-token"
IDENTIFY, HELLO = 2, 10
# Names are written in Discord's own words.
USER = {"id": "104900000000000009", "username": "Herald", "discriminator": "0", "avatar": None}
APPLICATION: dict[str, Any] = {
    "id": "104900000000000009", "name": "Herald", "description": "", "icon": None, "verify_key": "",
    "bot_public": False, "bot_require_code_grant": False, "owner": USER, "flags": 0,
}  # fmt: skip


class FakeDiscord:
    """As much of Discord as a login, a question for a member and the gateway's first words."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "GET /users/@me": (200, USER),
            "GET /oauth2/applications/@me": (200, APPLICATION),
        }
        self.asked: list[str] = []
        self.closed_at_first = 0
        self.knocks = 0
        self.identified: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.silent = False

    async def serve(self, port: int) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/gateway", self._gateway)
        application.router.add_route("*", "/api/v10{path:.*}", self._rest)
        runner = web.AppRunner(application, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    async def _rest(self, request: web.Request) -> web.Response:
        question = f"{request.method} {request.match_info['path']}"
        self.asked.append(question)
        if self.silent:
            await asyncio.Event().wait()
        if request.headers.get("Authorization") != f"Bot {TOKEN}":
            return _json(401, {"message": "401: Unauthorized", "code": 0})
        return _json(*self.answers.get(question, (200, [])))

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        self.knocks += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.knocks > self.closed_at_first:
            await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 45_000}})
            while (said := await socket.receive_json())["op"] != IDENTIFY:
                pass
            self.identified.set_result(said["d"]["token"])
            await asyncio.Event().wait()
        await socket.close(code=WSCloseCode.GOING_AWAY)
        return socket


def _json(status: int, body: Any) -> web.Response:
    # As bytes: discord.py does not take it for JSON if a charset is named.
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")
