"""The whole: what is asked over REST, who is told of it over the gateway, and an outage of both."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Self

from aiohttp import web

from bot.permissions import Actor
from bot.policy.model import Policy
from tests.harness.discord.faults import Faults, as_json, refusal
from tests.harness.discord.gateway import Gateway
from tests.harness.discord.guild import APPLICATION, USER, Channel, Guild
from tests.harness.discord.interaction import Asked
from tests.harness.discord.limits import broken_limits

TOKEN: Final = "fake-discord-token"
# Where nothing stands but what people write to each other.
MODERATORS: Final = 104900000000000019
API: Final = "/api/v10"
BODY: Final[web.RequestKey[Any]] = web.RequestKey("body", object)


class LoopbackDiscord:
    """Discord at a port of this machine, with the servers of a policy and their people."""

    def __init__(self, policy: Policy | None = None, people: Iterable[Actor] = (), *, port: int = 0) -> None:
        self.port = port
        self.gateway = Gateway()
        self.faults = Faults()
        self.guilds: dict[int, Guild] = {}
        for number, server in enumerate(policy.servers if policy else ()):
            self.guilds[server.guild] = Guild.of(
                server, people, more={"moderators": MODERATORS + 1000 * number}
            )
        # How many sessions may still begin today, and in how many milliseconds the day is over.
        self.sessions_left = {"remaining": 999, "reset_after": 0}
        # Each question as it came, such as "GET /users/@me", and what Discord itself would have refused.
        self.asked: list[str] = []
        self.mistakes: list[str] = []
        self.changed = asyncio.Condition()
        self.interactions: dict[str, Asked] = {}
        self._nonces: dict[tuple[int, str], int] = {}
        self._numbers = count(104900000000100000)
        self._runner: web.AppRunner | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, policy: Policy | None = None, people: Iterable[Actor] = (), *, port: int = 0
    ) -> AsyncGenerator[Self]:
        """Serve it; at the end nothing may have been sent to it that Discord would refuse."""
        discord = cls(policy, people, port=port)
        await discord.appear()
        try:
            yield discord
        finally:
            await discord.vanish()
        assert discord.mistakes == []

    @property
    def origin(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    async def appear(self) -> None:
        """Listen, for the first time or after an outage."""
        self._set_first_events()
        application = web.Application(middlewares=[self._receive])
        application.router.add_get("/gateway", self.gateway.answer)
        for method, path, handler in self._routes():
            application.router.add_route(method, API + path, handler)
        application.router.add_route("*", API + "{path:.*}", self._unknown)
        self._runner = web.AppRunner(application, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self._set_first_events()

    async def vanish(self) -> None:
        """Break all connections and refuse new ones; sessions and messages stay."""
        if self._runner is not None:
            self.gateway.cut()
            await self._runner.cleanup()
            self._runner = None

    async def set_available(self, guild_id: int, *, available: bool = True) -> None:
        """Let a server become available, or stop being it."""
        guild = self.guilds[guild_id]
        guild.available = available
        self._set_first_events()
        if available:
            await self.gateway.dispatch("GUILD_CREATE", guild.created())
        else:
            await self.gateway.dispatch("GUILD_DELETE", {"id": str(guild_id), "unavailable": True})

    def channel(self, number: int) -> Channel | None:
        """Return a channel of any server."""
        return next((one.channels[number] for one in self.guilds.values() if number in one.channels), None)

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds that Herald's requests bring about, and return it."""
        async with self.changed:
            while not (found := holds()):
                await self.changed.wait()
        return found

    def _set_first_events(self) -> None:
        ready = {
            "v": 10, "user": dict(USER), "session_id": "",
            "resume_gateway_url": f"ws://127.0.0.1:{self.port}/gateway",
            "application": {"id": APPLICATION["id"], "flags": 0},
            "guilds": [{"id": str(guild), "unavailable": True} for guild in self.guilds],
        }  # fmt: skip
        self.gateway.first_events = [
            ("READY", ready),
            *(("GUILD_CREATE", guild.created()) for guild in self.guilds.values() if guild.available),
        ]

    # --- REST --------------------------------------------------------------------------------------

    @web.middleware
    async def _receive(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        question = f"{request.method} {request.path.removeprefix(API)}"
        self.asked.append(question)
        request[BODY] = await _body(request)

        async def truly() -> web.Response:
            for_people = "/interactions/" in question or "/webhooks/" in question
            if not for_people and request.headers.get("Authorization") != f"Bot {TOKEN}":
                return refusal(401, 0, "401: Unauthorized")
            if broken := broken_limits(request[BODY]):
                self.mistakes += [f"{question}: {one}" for one in broken]
                return refusal(400, 50035, "Invalid Form Body")
            try:
                return await handler(request)
            except _Refused as refused:
                return refusal(*refused.args)

        fault = self.faults.find(question)
        answer = await (fault.act(request, truly) if fault else truly())
        async with self.changed:
            self.changed.notify_all()
        return answer

    def _routes(self) -> list[tuple[str, str, Any]]:
        guild, channel = r"/guilds/{guild:\d+}", r"/channels/{channel:\d+}"
        message, webhook = channel + r"/messages/{message:\d+}", "/webhooks/{application}/{token}"
        commands = "/applications/{application}" + guild + "/commands"
        return [
            ("GET", "/users/@me", _telling(lambda _: dict(USER))),
            ("GET", "/oauth2/applications/@me", _telling(lambda _: dict(APPLICATION))),
            ("GET", "/gateway/bot", _telling(lambda _: self._gateway_address())),
            ("PUT", commands, self._install),
            ("GET", commands, _telling(lambda request: self._guild(request).commands)),
            ("GET", guild, _telling(lambda request: self._guild(request).payload())),
            ("GET", guild + "/channels", self._channels),
            ("GET", guild + "/roles", _telling(lambda request: self._guild(request).payload()["roles"])),
            ("GET", guild + "/members", self._members),
            ("GET", guild + r"/members/{user:\d+}", self._member),
            ("GET", channel, _telling(lambda request: self._channel(request).payload())),
            ("POST", channel + "/messages", self._post),
            ("GET", channel + "/messages", self._history),
            ("GET", message, _telling(self._message)),
            ("PATCH", message, self._edit),
            ("DELETE", message, self._delete),
            ("POST", "/interactions/{id}/{token}/callback", self._call_back),
            ("POST", webhook, self._follow_up),
            ("GET", webhook + "/messages/@original", self._original),
            ("PATCH", webhook + "/messages/@original", self._edit_original),
        ]  # fmt: skip

    async def _unknown(self, request: web.Request) -> web.Response:
        self.mistakes.append(f"there is no {request.method} {request.path} here yet")
        return refusal(404, 0, "404: Not Found")

    def _gateway_address(self) -> dict[str, Any]:
        left = {"total": 1000, "max_concurrency": 1, **self.sessions_left}
        return {"url": f"ws://127.0.0.1:{self.port}/gateway", "shards": 1, "session_start_limit": left}

    def _guild(self, request: web.Request) -> Guild:
        return self.guilds.get(int(request.match_info["guild"])) or _raise(404, 10004, "Unknown Guild")

    def _channel(self, request: web.Request) -> Channel:
        found = self.channel(int(request.match_info["channel"])) or _raise(404, 10003, "Unknown Channel")
        return found if found.allowed & 1024 else _raise(403, 50001, "Missing Access")

    def _message(self, request: web.Request) -> dict[str, Any]:
        known = self._channel(request).messages
        return known.get(int(request.match_info["message"])) or _raise(404, 10008, "Unknown Message")

    async def _install(self, request: web.Request) -> web.Response:
        guild = self._guild(request)
        guild.commands = [
            one | {
                "id": str(next(self._numbers)), "application_id": APPLICATION["id"], "version": "1",
                "guild_id": str(guild.id),
            }
            for one in request[BODY]
        ]  # fmt: skip
        return as_json(200, guild.commands)

    async def _channels(self, request: web.Request) -> web.Response:
        return as_json(200, [channel.payload() for channel in self._guild(request).channels.values()])

    async def _members(self, request: web.Request) -> web.Response:
        guild, after = self._guild(request), int(request.query.get("after", 0))
        if not guild.lists_members:
            return refusal(403, 50001, "Missing Access")
        numbers = sorted(number for number in guild.members if number > after)
        return as_json(200, [guild.member(number) for number in numbers[: int(request.query["limit"])]])

    async def _member(self, request: web.Request) -> web.Response:
        found = self._guild(request).member(int(request.match_info["user"]))
        return as_json(200, found) if found else refusal(404, 10007, "Unknown Member")

    async def _post(self, request: web.Request) -> web.Response:
        channel, body = self._channel(request), request[BODY]
        needed = 2048 | (32768 if body.get("attachments") else 0)
        if channel.allowed & needed != needed:
            return refusal(403, 50013, "Missing Permissions")
        nonce = (channel.id, str(body.get("nonce")))
        if body.get("enforce_nonce") and self._nonces.get(nonce) in channel.messages:
            return as_json(200, channel.messages[self._nonces[nonce]])
        made = self.new_message(channel.id, body)
        channel.messages[int(made["id"])] = made
        self._nonces[nonce] = int(made["id"])
        await self.gateway.dispatch("MESSAGE_CREATE", made | {"guild_id": str(channel.guild_id)})
        return as_json(200, made)

    def forget_nonces(self) -> None:
        """Let the minutes pass after which Discord no longer knows which nonce it has seen."""
        self._nonces.clear()

    def new_message(self, channel_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Return a message of Herald's with these words."""
        words: dict[str, Any] = {"content": "", "embeds": [], "components": [], "flags": 0}
        return {
            "id": str(next(self._numbers)), "channel_id": str(channel_id), "author": dict(USER), "type": 0,
            "timestamp": "2026-11-23T09:41:00+00:00", "edited_timestamp": None, "tts": False, "pinned": False,
            "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [],
            **{name: body.get(name) or empty for name, empty in words.items()},
        }  # fmt: skip

    async def _history(self, request: web.Request) -> web.Response:
        channel, before = self._channel(request), int(request.query.get("before", 2**63))
        if not channel.allowed & 65536:
            return as_json(200, [])
        newest = sorted((number for number in channel.messages if number < before), reverse=True)
        return as_json(200, [channel.messages[one] for one in newest[: int(request.query.get("limit", 50))]])

    async def _edit(self, request: web.Request) -> web.Response:
        if request[BODY].get("attachments") and not self._channel(request).allowed & 32768:
            return refusal(403, 50013, "Missing Permissions")
        message = self._message(request)
        message |= {name: value for name, value in request[BODY].items() if name in message}
        await self.gateway.dispatch("MESSAGE_UPDATE", message | {"guild_id": self._guild_of(message)})
        return as_json(200, message)

    async def _delete(self, request: web.Request) -> web.Response:
        await self.delete(self._message(request))
        return web.Response(status=204)

    async def delete(self, message: dict[str, Any]) -> None:
        """Delete a message, as a person does."""
        channel = self.channel(int(message["channel_id"]))
        assert channel is not None
        del channel.messages[int(message["id"])]
        gone = {"id": message["id"], "channel_id": message["channel_id"], "guild_id": str(channel.guild_id)}
        await self.gateway.dispatch("MESSAGE_DELETE", gone)

    def _guild_of(self, message: dict[str, Any]) -> str:
        channel = self.channel(int(message["channel_id"]))
        return str(channel.guild_id) if channel else ""

    # --- answers to people -------------------------------------------------------------------------

    def new_interaction(self, **known: Any) -> Asked:
        """Return something that a person asks for, which Herald can answer from now on."""
        number = next(self._numbers)
        asked = Asked(id=number, token=f"token-{number}", **known)
        self.interactions[asked.token] = asked
        return asked

    def _asked(self, request: web.Request) -> Asked:
        found = self.interactions.get(request.match_info["token"])
        return found or _raise(404, 10062, "Unknown interaction")

    async def _call_back(self, request: web.Request) -> web.Response:
        asked, body = self._asked(request), request[BODY]
        if asked.callback is not None:
            return refusal(400, 40060, "Interaction has already been acknowledged.")
        asked.answered(body, self.new_message(asked.channel_id, body.get("data") or {}))
        known: dict[str, Any] = {"interaction": {"id": str(asked.id), "type": asked.kind}}
        if asked.message is not None:
            known["interaction"]["response_message_id"] = asked.message["id"]
            known["resource"] = {"type": body["type"], "message": asked.message}
        return as_json(200, known)

    async def _follow_up(self, request: web.Request) -> web.Response:
        asked = self._asked(request)
        made = self.new_message(asked.channel_id, request[BODY])
        asked.follow_ups.append(made)
        return as_json(200, made)

    async def _original(self, request: web.Request) -> web.Response:
        return as_json(200, self._asked(request).message or _raise(404, 10008, "Unknown Message"))

    async def _edit_original(self, request: web.Request) -> web.Response:
        asked = self._asked(request)
        message = asked.message or _raise(404, 10008, "Unknown Message")
        message |= {name: value for name, value in request[BODY].items() if name in message}
        asked.is_complete = True
        return as_json(200, message)


def _telling(tell: Callable[[web.Request], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return as_json(200, tell(request))

    return answer


async def _body(request: web.Request) -> Any:
    if not request.can_read_body:
        return None
    if request.content_type != "multipart/form-data":
        return await request.json()
    form = await request.post()
    body = json.loads(str(form["payload_json"]))
    for one in (body.get("data") or body).get("attachments", []):
        # What Discord adds to a file that it was given.
        one |= {"size": 1, "url": "https://cdn.discordapp.com/1", "proxy_url": "https://cdn.discordapp.com/1"}
    return body


def _raise(status: int, code: int, message: str) -> Any:
    raise _Refused(status, code, message)


class _Refused(Exception):
    """Ends a question where Discord has no more to say to it."""
