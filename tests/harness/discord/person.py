"""Somebody with a Discord client: commands, buttons and modals, and what stands in the channels."""

from collections.abc import Iterator
from typing import Any, Final, cast

from bot.permissions import Actor
from tests.harness.discord.guild import APPLICATION
from tests.harness.discord.interaction import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Asked, readable
from tests.harness.discord.server import MODERATORS, LoopbackDiscord
from tests.harness.people import MAYA, OMAR
from tests.harness.policy import REVIEW_CHANNEL

AUDIT_CHANNEL: Final = REVIEW_CHANNEL + 1
_BUTTON, _TEXT = 2, 3


class Person:
    """A member of a server, who sits in one of its channels."""

    def __init__(self, discord: LoopbackDiscord, who: Actor, *, channel: int = MODERATORS) -> None:
        self._discord = discord
        self._who = who
        self._channel = channel

    async def command(self, name: str, **options: Any) -> Asked:
        """Type a slash command, such as "notify compose", and wait for the answer."""
        return await self._answered(await self.type(name, **options))

    async def type(self, name: str, **options: Any) -> Asked:
        """Type a slash command, once it is there, and do not wait for the answer."""
        return await self._send(COMMAND, await self._command(name, options))

    async def offered(self, name: str, option: str, typed: str = "") -> list[str]:
        """Return the choices that are offered while an option is typed."""
        data = await self._command(name, {option: typed})
        next(_leaves(data))["focused"] = True
        asked = await self._answered(await self._send(AUTOCOMPLETE, data))
        choices: list[Any] = asked.callback["data"]["choices"] if asked.callback else []
        return [str(one["name"]) for one in choices]

    async def press(self, message: dict[str, Any] | None, label: str) -> Asked:
        """Press a button of a message, and wait for the answer."""
        message = message or {}
        found = {one["label"]: one["custom_id"] for one in _buttons(message)}
        if label not in found:
            raise LookupError(f"no button {label!r}, but {sorted(found)} stand on: {readable(message)}")
        data = {"custom_id": found[label], "component_type": _BUTTON}
        return await self._answered(await self._send(COMPONENT, data, message=message))

    async def submit(self, asked: Asked, **values: str) -> Asked:
        """Fill in the modal that opened, send it off, and wait for the answer."""
        modal = asked.modal
        if modal is None:
            raise LookupError(f"no modal opened, but: {asked.said}")
        # The client hears of it only when its answer, the modal, was taken.
        await self._discord.gateway.moment()
        filled = [_filled(one, values) for one in modal["components"]]
        data = {"custom_id": modal["custom_id"], "components": filled}
        return await self._answered(await self._send(MODAL_SUBMIT, data, message=asked.origin))

    async def _command(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        root, *inner = name.split()
        guild = self._discord.guilds[self._who.guild_id or 0]
        known = await self._discord.until(
            lambda: next((one for one in guild.commands if one["name"] == root), None)
        )
        given: list[dict[str, Any]] = [
            {"type": _TEXT, "name": name, "value": value} for name, value in options.items()
        ]
        for sub in reversed(inner):
            given = [{"type": 1, "name": sub, "options": given}]
        return {"id": known["id"], "name": root, "type": 1, "guild_id": known["guild_id"], "options": given}

    async def _send(self, kind: int, data: Any, *, message: dict[str, Any] | None = None) -> Asked:
        guild = self._discord.guilds[self._who.guild_id or 0]
        channel = self._channel if message is None else int(message["channel_id"])
        asked = self._discord.new_interaction(kind=kind, channel_id=channel, origin=message)
        place = guild.channels[channel]
        payload: dict[str, Any] = {
            "id": str(asked.id), "application_id": APPLICATION["id"], "type": kind, "token": asked.token,
            "version": 1, "data": data, "guild_id": str(guild.id), "channel_id": str(channel),
            "guild": {"id": str(guild.id), "locale": "en-US", "features": []}, "channel": place.payload(),
            "member": (guild.member(self._who.id) or {}) | {"permissions": "0"}, "locale": "en-US",
            "guild_locale": "en-US", "entitlements": [], "authorizing_integration_owners": {}, "context": 0,
            "attachment_size_limit": 10485760, "app_permissions": str(place.allowed),
        }  # fmt: skip
        if message is not None:
            payload["message"] = message
        if not self._discord.gateway.sessions:
            # The commands may be installed before anybody listens.
            await self._discord.gateway.connected.wait()
        await self._discord.gateway.dispatch("INTERACTION_CREATE", payload)
        return asked

    async def _answered(self, asked: Asked) -> Asked:
        await self._discord.until(lambda: asked.is_done)
        return asked


async def card(discord: LoopbackDiscord, number: int, words: str, *, channel: int = REVIEW_CHANNEL) -> Any:
    """Wait until a broadcast's card says something, and return it."""

    def found() -> dict[str, Any] | None:
        place = discord.channel(channel)
        shown = place.messages.values() if place else ()
        titled = [one for one in shown if any(_is_title(embed, number) for embed in one["embeds"])]
        return next((one for one in titled if words in readable(one)), None)

    return await discord.until(found)


async def submitted(discord: LoopbackDiscord) -> int:
    """Let Maya compose and ask for approval; return the broadcast's number."""
    maya = Person(discord, MAYA)
    form = await maya.command("notify compose", audience="One", topic="news")
    draft = await maya.submit(form, subject="We are live", content="Come in")
    receipt = await maya.submit(await maya.press(draft.message, "Ask for approval"))
    return int(receipt.said.partition("#")[2].partition(" ")[0])


async def approved(discord: LoopbackDiscord) -> int:
    """Let Maya compose and ask for approval, and Omar approve; return the broadcast's number."""
    number = await submitted(discord)
    await Person(discord, OMAR).press(await card(discord, number, "Waits for"), "Approve")
    return number


async def whole_broadcast(discord: LoopbackDiscord) -> int:
    """Let one be composed, approved and sent, until its card says so; return its number."""
    number = await approved(discord)
    await card(discord, number, "Accepted by Whop")
    return number


def _is_title(embed: dict[str, Any], number: int) -> bool:
    return str(embed.get("title", "")).startswith(f"#{number} ")


def _buttons(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in message.get("components", []):
        yield from row.get("components", [])


def _leaves(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in data.get("options", []):
        if "value" in option:
            yield option
        yield from _leaves(option)


def _filled(component: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    inner = cast("dict[str, Any]", component.get("component", {}))
    if "custom_id" not in inner:
        return {"type": component["type"], "id": component.get("id", 0)}
    chosen = next((one["value"] for one in inner.get("options", []) if one.get("default")), "")
    value = values.get(inner["custom_id"], inner.get("value", chosen))
    sent = {"type": inner["type"], "id": inner.get("id", 0), "custom_id": inner["custom_id"], "value": value}
    return {"type": component["type"], "id": component.get("id", 0), "component": sent}
