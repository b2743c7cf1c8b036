"""How soon a press is acknowledged and done, beside a bare discord.py bot on the same simulated gateway."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

import discord
import simcord
from discord import ui
from discord.ext import commands
from discord.webhook.async_ import AsyncWebhookAdapter
from typing_extensions import override

from benchmarks.databases import Databases
from benchmarks.figures import Row, latency
from bot.sandbox.discord import SimulatedDiscord
from bot.sandbox.sandbox import Sandbox, response

# Every answer to an interaction goes through one of these.
ANSWERS: Final = (
    "create_interaction_response", "edit_original_interaction_response", "execute_webhook",
    "edit_webhook_message",
)  # fmt: skip
QUIET_SECONDS: Final = 0.04
ALL_SECONDS: Final = 30.0
FORM, PRESS, LIST = "a command opens its form", "a press", "a list"

Step = Callable[[], Awaitable[object]]


class Answered:
    """When each interaction went out, and when it got its first answer and its last."""

    def __init__(self) -> None:
        self.asked: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def ask(self, emit: Callable[..., object], kind: str, payload: dict[str, Any]) -> object:
        """Pass an event of the gateway on."""
        if kind == "INTERACTION_CREATE":
            self.asked[payload["token"]] = time.perf_counter()
        return emit(kind, payload)

    def spans(self, ends: dict[str, float]) -> list[float]:
        """Return how many seconds each of the interactions took until then."""
        missing = self.asked.keys() - ends.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} of {len(self.asked)} interactions got no answer")
        return [ends[token] - asked for token, asked in self.asked.items()]

    @contextmanager
    def listening(self, env: simcord.Env) -> Generator[None, None, None]:
        """Note what goes to the client and what comes back."""
        with patch.object(env.backend, "emit", partial(self.ask, env.backend.emit)), _answers(self):
            yield

    async def come(self) -> None:
        """Wait until all are answered and nothing more comes, and leave the processor to the client."""
        async with asyncio.timeout(ALL_SECONDS):
            # What is waited for is that nothing comes.
            while self.asked.keys() - self.last.keys() or self._quiet_for() < QUIET_SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(QUIET_SECONDS / 4)

    def _quiet_for(self) -> float:
        return time.perf_counter() - max(self.last.values())


@contextmanager
def _answers(answered: Answered) -> Generator[None, None, None]:
    def noted(real: Callable[..., Awaitable[object]], place: int) -> Callable[..., Awaitable[object]]:
        async def answer(*values: Any, **named: Any) -> object:
            token = named["token"] if "token" in named else values[place]
            answered.first.setdefault(token, time.perf_counter())
            try:
                return await real(*values, **named)
            finally:
                answered.last[token] = time.perf_counter()

        return answer

    real = {name: getattr(AsyncWebhookAdapter, name) for name in ANSWERS}
    for name in ANSWERS:
        setattr(AsyncWebhookAdapter, name, noted(real[name], 2))
    try:
        yield
    finally:
        for name in ANSWERS:
            setattr(AsyncWebhookAdapter, name, real[name])


async def measure(databases: Databases, *, times: int) -> list[Row]:
    """Return the table's lines: so many of each one after the other, and so many at once."""
    _, folder = databases.new("SQLite")
    rows: list[Row] = []
    for together in (False, True):
        how = f"{times} at once" if together else "one at a time"
        async with _bare(times) as (env, steps):
            bare = {what: await _timed(env, some, together=together) for what, some in steps.items()}
        async with _herald(folder / how.replace(" ", "-"), times) as (env, steps):
            for what, some in steps.items():
                answered = await _timed(env, some, together=together)
                base = bare[what.partition(":")[0]]
                rows += _rows(f"{what}, {how}", answered, base)
    return rows


def _rows(what: str, answered: Answered, base: Answered) -> list[Row]:
    return [
        latency(f"{what}: {until}", answered.spans(mine), base=median(base.spans(bare)), of="times")
        for until, mine, bare in (
            ("acknowledged", answered.first, base.first),
            ("done", answered.last, base.last),
        )
    ]


async def _timed(env: simcord.Env, steps: list[Step], *, together: bool) -> Answered:
    answered = Answered()

    async def go_on(**_: object) -> None:
        """Return at once: SimCord would poll the client, which works in threads, and slow it down."""

    with answered.listening(env), patch.object(env, "_settle_internal", go_on):
        for step in steps:
            await step()
            if not together:
                await answered.come()
        await answered.come()
    await env.settle()
    return answered


@asynccontextmanager
async def _herald(data: Path, times: int) -> AsyncGenerator[tuple[simcord.Env, dict[str, list[Step]]], None]:
    await asyncio.to_thread(data.mkdir)
    async with Sandbox.open("v5", data=data) as sandbox:
        maya, omar, place = sandbox.person("Maya"), sandbox.person("Omar"), sandbox.channel("moderators")
        drafts = [response(await sandbox.compose()) for _ in range(times)]
        # An approval is drawn on a card of its own: who approves one waits for no other.
        waiting: list[discord.Message] = []
        for _ in range(times):
            await sandbox.submit(await sandbox.compose())
            waiting.append(sandbox.review_card())
        compose = partial(maya.slash, place, "notify compose", audience="Gold members", topic="announcements")
        yield (
            sandbox.world.env,
            {
                FORM: [compose] * times,
                f"{LIST}: /notify queue": [partial(omar.slash, place, "notify queue")] * times,
                f"{FORM}: Submit": [partial(maya.click, card, label="Submit") for card in drafts],
                f"{PRESS}: Approve": [partial(omar.click, card, label="Approve") for card in waiting],
            },
        )


class _Form(ui.Modal, title="Compose"):
    subject = ui.TextInput["_Form"](label="Subject")


class _Buttons(ui.View):
    @ui.button(label="Press", custom_id="press")
    async def press(self, interaction: discord.Interaction, _button: ui.Button["_Buttons"]) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.edit_original_response(content="Done.")


class _Bare(commands.Bot):
    def __init__(self) -> None:
        super().__init__(command_prefix=commands.when_mentioned, intents=discord.Intents(guilds=True))

    @override
    async def setup_hook(self) -> None:
        @self.tree.command(description="Open a form")
        async def form(interaction: discord.Interaction) -> None:
            await interaction.response.send_modal(_Form())

        @self.tree.command(description="Tell a list")
        async def queue(interaction: discord.Interaction) -> None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.edit_original_response(content="Nothing waits.")

        @self.tree.command(description="Show a card")
        async def card(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("Card", view=_Buttons(timeout=None))

        await self.tree.sync()


@asynccontextmanager
async def _bare(times: int) -> AsyncGenerator[tuple[simcord.Env, dict[str, list[Step]]], None]:
    async with SimulatedDiscord.open() as world:
        await world.attach(_Bare())
        maya, place = world.people["Maya"], world.channels["moderators"]
        cards = [response(await maya.slash(place, "card")) for _ in range(times)]
        yield (
            world.env,
            {
                FORM: [partial(maya.slash, place, "form")] * times,
                LIST: [partial(maya.slash, place, "queue")] * times,
                PRESS: [partial(maya.click, card, label="Press") for card in cards],
            },
        )
