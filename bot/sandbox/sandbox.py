"""A whole Herald between a simulated Discord and a simulated Whop, for the sandbox and the tests."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

import discord
import simcord
from pydantic import SecretStr

from bot.app import Herald
from bot.clock import Clock, Steady
from bot.permissions import Actor
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.sandbox.discord import PEOPLE, SimulatedDiscord
from bot.sandbox.whop import SimulatedWhop
from bot.settings import Settings

API_KEY: Final = "sandbox-key"
ROUNDS: Final = 20
# Just past the undo window of the world's policy.
UNDONE: Final = timedelta(seconds=11)


def sandbox_settings(
    *, generation: str, origin: str, data: Path, database_url: str | None = None
) -> Settings:
    """Return settings that read no file and no variable of the environment."""
    return Settings.model_validate(
        {
            "discord_token": SecretStr("sandbox-token"),
            "whop_api_key": SecretStr(API_KEY),
            "whop_api": generation,
            "whop_base_url": origin,
            "database_url": database_url or f"sqlite:///{data / 'herald.db'}",
            "herald_config": data / "herald.toml",
            "herald_witness": data / "herald.witness",
            "health_address": "127.0.0.1:0",
            "log_level": "warning",
            "log_format": "console",
        }
    )


Edit = Callable[[str], str]


def _as_it_is(policy: str) -> str:
    return policy


@dataclass(slots=True)
class Sandbox:
    """Everything of a trial; `settle` lets Herald do what is due."""

    world: SimulatedDiscord
    whop: SimulatedWhop
    settings: Settings
    policy: Policy
    clock: Clock
    steady: Steady
    herald: Herald
    _stack: AsyncExitStack = field(repr=False)
    _rules: Edit = _as_it_is

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        generation: str,
        *,
        data: Path,
        database_url: str | None = None,
        clock: Clock | None = None,
        tolerant: bool = False,
        steady: Steady | None = None,
        edit_policy: Edit = _as_it_is,
        rules: Edit = _as_it_is,
        **whop_options: Any,
    ) -> AsyncGenerator[Self, None]:
        """Build the world, a Whop and a Herald that is connected to both.

        Without a clock of its own, Herald goes by SimCord's, which moves only when told; `steady` is the one
        that nobody can set, and that the other is compared with. `edit_policy`
        changes the text of herald.toml before it is read, and so do `rules` at each restart too. The
        database is a file in `data` unless named.
        """
        async with SimulatedDiscord.open(tolerant=tolerant) as world, AsyncExitStack() as stack:
            now = clock or world.env.now
            even = steady or (lambda: now().timestamp())
            whop = SimulatedWhop(api_keys=[API_KEY], clock=now, **whop_options)
            await whop.start()
            stack.push_async_callback(whop.close)
            settings = sandbox_settings(
                generation=generation, origin=whop.origin, data=data, database_url=database_url
            )
            policy = _write_policy(settings, edit_policy(rules(world.policy(generation))))
            inner = await stack.enter_async_context(AsyncExitStack())
            herald = await inner.enter_async_context(Herald.open(settings, policy, clock=now, steady=even))
            await world.attach(herald.client)
            yield cls(world, whop, settings, policy, now, even, herald, inner, rules)

    @property
    def generation(self) -> str:
        """Return which of Whop's APIs it sends by."""
        account = self.herald.service.lifecycle.account_of(self.policy.servers[0])
        return account.gateway.generation

    async def restart(self, *, generation: str | None = None, edit_policy: Edit = _as_it_is) -> None:
        """Close this Herald and start another on the same database, as after a deploy."""
        await self._stack.aclose()
        generation = generation or self.generation
        self.settings = self.settings.model_copy(update={"whop_api": generation})
        self.policy = _write_policy(self.settings, edit_policy(self._rules(self.world.policy(generation))))
        self.herald = await self._stack.enter_async_context(
            Herald.open(self.settings, self.policy, clock=self.clock, steady=self.steady)
        )
        await self.world.attach(self.herald.client)
        await self.herald.dispatcher.sweep()

    async def settle(self) -> None:
        """Send what is due and show what is to be shown, until nothing moves any more."""
        for _ in range(ROUNDS):
            busy = await self.herald.dispatcher.tick()
            await self.herald.announcer.drain()
            if not busy:
                return

    async def wait(self, span: timedelta) -> None:
        """Let time pass, on SimCord's clock, and settle."""
        await self.world.env.advance_time(span.total_seconds())
        await self.settle()

    # --- what a person does ------------------------------------------------------------------------

    def person(self, name: str) -> simcord.MemberActor:
        """Return someone of the world by name."""
        return self.world.people[name]

    def channel(self, name: str) -> simcord.ChannelHandle:
        """Return a channel of the world by name."""
        return self.world.channels[name]

    async def compose(
        self,
        name: str = "Maya",
        *,
        audience: str = "Gold members",
        topic: str = "announcements",
        **words: Any,
    ) -> simcord.InteractionResult:
        """Let someone compose in #moderators; return what their modal was answered with."""
        values = {"subject": "We are live", "content": "The stream starts now."} | words
        person = self.person(name)
        shown = await person.slash(
            self.channel("moderators"), "notify compose", audience=audience, topic=topic
        )
        if shown.modal is None:
            return shown
        if self.generation == "v5":
            values.setdefault("where", "same")
        return await person.submit_modal(shown, values)

    async def submit(
        self, card: simcord.InteractionResult, name: str = "Maya", *, note: str = ""
    ) -> simcord.InteractionResult:
        """Ask for approval on a draft card, or send it where nobody else is needed, and confirm that."""
        person, draft = self.person(name), response(card)
        label = "Send…" if "Send…" in button_labels(draft) else "Ask for approval"
        shown = await person.click(draft, label=label)
        if shown.modal is None:
            return shown
        done = await person.submit_modal(shown, {"note": note} if note else {})
        await self.settle()
        return done

    async def approved(self, **words: Any) -> None:
        """Let Maya compose and submit, and Omar approve."""
        await self.submit(await self.compose(**words))
        await self.press("Omar", "Approve")

    async def press(
        self, name: str, label: str, *, reason: str | None = None, audience: str | None = None
    ) -> simcord.InteractionResult:
        """Press a button of the newest review card, answering what it asks for."""
        person, card = self.person(name), self.review_card()
        if label not in button_labels(card):
            raise LookupError(f"no button {label!r}, but {button_labels(card)} stand on: {readable(card)}")
        shown = await person.click(card, label=label)
        if shown.modal is not None:
            named = {"audience": _audience_on(card) if audience is None else audience}
            asked = named if label == "Approve" else {"reason": reason} if reason else {}
            shown = await person.submit_modal(shown, asked)
        await self.settle()
        return shown

    def actor(self, name: str) -> Actor:
        """Return someone as the service sees them, past Discord."""
        roles = frozenset(self.world.roles[key].id for key in PEOPLE[name])
        return Actor(id=self.person(name).id, name=name, guild_id=self.world.guild.id, roles=roles)

    # --- what a person sees ------------------------------------------------------------------------

    def review_card(self) -> discord.Message:
        """Return a broadcast's newest card in #review."""
        shown = self.channel("review").history()
        cards = [one for one in shown if one.embeds and (one.embeds[0].title or "").startswith("#")]
        if not cards:
            raise LookupError(f"no card stands in #review, but: {[readable(one) for one in shown]}")
        return cards[-1]

    def texts(self, channel: str) -> list[str]:
        """Return all that can be read in each message of a channel that everyone in it sees."""
        messages = self.channel(channel).history()
        return [readable(message) for message in messages if not message.flags.ephemeral]

    def newest(self, channel: str) -> str:
        """Return all that can be read in the newest message of a channel."""
        texts = self.texts(channel)
        if not texts:
            raise LookupError(f"nothing stands in #{channel}")
        return texts[-1]


def _write_policy(settings: Settings, text: str) -> Policy:
    settings.herald_config.write_text(text, encoding="utf-8")
    return parse_policy(text, name=str(settings.herald_config))


def _audience_on(card: discord.Message) -> str:
    """Return the name of the audience that stands on a card."""
    lines = (one.value or "" for embed in card.embeds for one in embed.fields if one.name == "Audience")
    return re.sub(r"\\(.)", r"\1", next(lines).splitlines()[0].strip("*"))


def response(result: simcord.InteractionResult) -> discord.Message:
    """Return the message that answers an interaction."""
    if result.response is None:
        raise LookupError(f"no message answers {result!r}")
    return result.response.message


def answer(result: simcord.InteractionResult) -> str:
    """Return all that can be read in the last answer to an interaction."""
    shown = result.followups[-1].message if result.followups else response(result)
    return readable(shown)


def button_labels(message: discord.Message) -> list[str]:
    """Return what stands on the buttons of a message."""
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    return [one.label or "" for row in rows for one in row.children if isinstance(one, discord.Button)]


def readable(message: discord.Message) -> str:
    """Return all words of a message, embeds included, in reading order."""
    parts = [message.content]
    for embed in message.embeds:
        parts += [embed.author.name or "", embed.title or "", embed.description or ""]
        parts += [f"{field.name}: {field.value}" for field in embed.fields]
        parts.append(embed.footer.text or "")
    return "\n".join(part for part in parts if part)
