"""The browser sandbox, used as a person would: compose as Maya, approve as Omar, read the result."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import discord
import pytest
import pytest_asyncio
import simcord
from discord.ext import commands
from playwright.async_api import Locator, Page, expect
from yarl import URL

from bot.app import run
from bot.sandbox.discord import SimulatedDiscord
from bot.sandbox.serve import Pages, live, open_sandbox
from bot.sandbox.whop import SimulatedWhop
from tests.browser import open_page

PRESSES = 42


@asynccontextmanager
async def opened(generation: str = "v5") -> AsyncGenerator[SimulatedWhop, None]:
    async with open_sandbox(generation, port=0) as (herald, pages, simulated):
        stop = asyncio.Event()
        running = asyncio.create_task(run(herald, lambda: live(herald, pages), stop))
        try:
            yield simulated
        finally:
            stop.set()
            await running


async def compose(page: Page) -> None:
    await page.locator("#channel-composer-input").fill("/notify compose")
    await page.locator("[role=option]").first.click()
    # Both lists are there before a letter is typed.
    for choice in ("Gold members", "Announcements"):
        await page.locator("[role=option]").filter(has_text=choice).click()
    await page.locator("#send-message").click()


async def main_job(whop: SimulatedWhop, page: Page) -> None:
    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    modal = page.locator("#modal-root")
    await page.goto(whop.origin)
    await compose(page)
    await modal.locator("[name=subject]").fill("We are live")
    await modal.locator("[name=content]").fill("The stream starts *now*.")
    await modal.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_text("Draft #1")).to_be_visible()
    await expect(button("Ask for approval")).to_be_in_viewport()
    await button("Ask for approval").click()
    await expect(modal.get_by_text("Proof code")).to_be_visible()
    await modal.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_text("is under review").last).to_be_visible()

    await page.goto(f"{whop.origin}/discord/review?as=Omar")
    await expect(page.get_by_text("The stream starts *now*.")).to_be_visible()
    await button("Approve").click()
    await expect(button("Stop")).to_be_visible()
    await expect(page.get_by_text("#1 · Accepted by Whop")).to_be_visible(timeout=30_000)

    # Who one is stays on the way to another channel.
    await page.get_by_role("link", name="#audit", exact=True).click()
    await expect(page.get_by_text("accepted by Whop").last).to_be_visible()
    await expect(page.locator("#viewer-picker option:checked")).to_have_text("Omar")
    await page.get_by_role("link", name="Customers").click()
    await expect(page.locator("#phone .push-title")).to_have_text("We are live")
    await expect(page.locator("#wire .exchange:not(.read) .status")).to_have_count(1)
    await page.get_by_role("link", name="#moderators").click()
    await expect(page.get_by_text("was accepted by Whop").last).to_be_visible()
    # A number leads to its card, and not out of the sandbox.
    await page.get_by_role("link", name="#1", exact=True).last.click()
    await expect(page.get_by_text("#1 · Accepted by Whop")).to_be_in_viewport()


async def test_the_main_job_can_be_done_in_the_browser_alone_with_one_press_each() -> None:
    # As narrow as a phone, where the guide alone fills the page.
    async with opened() as whop, open_page(width=390, height=800) as page:
        await main_job(whop, page)


async def test_an_unknown_channel_is_answered_with_those_there_are() -> None:
    async with opened() as whop, open_page() as page:
        answer = await page.goto(f"{whop.origin}/discord/general")
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_text("moderators, review, audit")).to_be_visible()


@dataclass(slots=True)
class Tab:
    """What a browser's tab on a channel does, without the browser."""

    session: aiohttp.ClientSession
    origin: URL
    headers: dict[str, str]
    state: dict[str, Any]
    _number: int = 0

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, address: str) -> Self:
        url = URL(address)
        headers = {"X-Simcord-Capability": url.fragment}
        async with session.post(url.origin() / "api/pages", json={}, headers=headers) as answer:
            state = await answer.json()
        headers["X-Simcord-Context"] = state["context"]["id"]
        return cls(session, url.origin(), headers, state)

    async def read(self) -> None:
        async with self.session.get(self.origin / "api/state", headers=self.headers) as answer:
            assert answer.status == 200
            self.state = await answer.json()

    async def press(self, kind: str, **what: Any) -> dict[str, Any]:
        """Do something on what was read last."""
        number = self._number + 1
        body = {
            "protocol_version": 3,
            "sequence": number,
            "request_id": f"press-{number}",
            "generation": self.state["context"]["generation"],
            "bot_generation": self.state["botGeneration"],
            "published_revision": self.state["publishedRevision"],
            "kind": kind,
        } | what
        async with self.session.post(self.origin / "api/action", json=body, headers=self.headers) as answer:
            assert answer.status == 200
            receipt = await answer.json()
        # What was refused has no number of its own.
        self._number = receipt["expectedSequence"]
        return receipt


@dataclass(slots=True)
class HeldClock:
    """Keep each step of SimCord's clock going until it is let go."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def on(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        held, advance = cls(), simcord.Env._advance_to  # pyright: ignore[reportPrivateUsage]

        async def slow(env: simcord.Env, *to: Any) -> None:
            held.begun.set()
            await held.ended.wait()
            await advance(env, *to)

        monkeypatch.setattr(simcord.Env, "_advance_to", slow)
        return held


class Counter(discord.ui.View):
    """Count how often its button was pressed."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.presses = 0

    @discord.ui.button(label="Press me", custom_id="press-me")
    async def press(self, interaction: discord.Interaction, _button: discord.ui.Button[Self]) -> None:
        self.presses += 1
        await interaction.response.defer()


@dataclass(slots=True)
class Counted:
    """A page with one button, and a tab on it."""

    pages: Pages
    tab: Tab
    counter: Counter
    message: discord.Message

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncGenerator[Self, None]:
        client = commands.Bot(commands.when_mentioned, intents=discord.Intents(guilds=True))
        async with SimulatedDiscord.open() as world, aiohttp.ClientSession() as session:
            pages, counter = Pages(world, links=tuple), Counter()
            await pages.attach(client)
            channel = client.get_channel(world.channels["review"].id)
            assert isinstance(channel, discord.TextChannel)
            message = await channel.send(view=counter)
            try:
                yield cls(pages, await Tab.open(session, await pages.show("review")), counter, message)
            finally:
                await pages.close()

    async def press(self) -> dict[str, Any]:
        """Press the button as it was when the tab was read last."""
        shown = self.tab.state["messages"][str(self.message.id)]
        key = shown["components"][0]["components"][0]["control_key"]
        return await self.tab.press("click", control_key=key, target_id=str(self.message.id))


@pytest_asyncio.fixture
async def counted() -> AsyncGenerator[Counted, None]:
    async with Counted.open() as opened:
        yield opened


async def test_of_42_presses_while_the_clock_steps_none_is_lost_and_none_counts_twice(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldClock.on(monkeypatch)
    for _ in range(PRESSES):
        held.begun.clear()
        held.ended.clear()
        # It ends with all that is shown drawn anew, so that what the tab has read is out of date.
        step = asyncio.create_task(counted.pages.step(all_anew=True))
        await held.begun.wait()
        pressed = asyncio.create_task(counted.press())
        # What is answered after it was asked after it: by then, the press has arrived.
        await counted.tab.read()
        held.ended.set()
        receipt, _ = await asyncio.gather(pressed, step)
        assert receipt["settlement"] == "settled", receipt["diagnostics"]
    assert counted.counter.presses == PRESSES


async def test_a_press_on_a_message_that_changed_meanwhile_is_not_taken_for_one_on_the_new(
    counted: Counted,
) -> None:
    await counted.message.edit(content="These are other words.")
    await counted.pages.step()
    receipt = await counted.press()
    assert [one["code"] for one in receipt["diagnostics"]] == ["stale-revision"]
    assert counted.counter.presses == 0
    await counted.tab.read()
    await counted.press()
    assert counted.counter.presses == 1


async def test_a_tab_goes_on_while_other_channels_are_opened(counted: Counted) -> None:
    address = await counted.pages.show("review")
    other = await Tab.open(counted.tab.session, await counted.pages.show("moderators"))
    assert await counted.pages.show("review") == address
    for tab in (counted.tab, other):
        receipt = await tab.press("send_message", content="Is anybody there?")
        assert receipt["settlement"] == "settled", receipt["diagnostics"]
    await counted.tab.read()
    await counted.press()
    assert counted.counter.presses == 1


async def test_a_channel_that_somebody_ended_is_opened_anew(counted: Counted) -> None:
    await counted.tab.press("close")
    tab = await Tab.open(counted.tab.session, await counted.pages.show("review"))
    receipt = await tab.press("send_message", content="Is anybody there?")
    assert receipt["settlement"] == "settled", receipt["diagnostics"]


async def test_what_is_shown_after_a_press_tells_the_time_of_the_press(counted: Counted) -> None:
    await counted.pages.world.env.advance_time(3600)
    await counted.press()
    await counted.tab.read()
    assert counted.tab.state["profile"]["presentationTime"] == counted.pages.world.env.now().isoformat()


async def test_a_channel_is_opened_while_the_clock_steps(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldClock.on(monkeypatch)
    step = asyncio.create_task(counted.pages.step())
    await held.begun.wait()
    opening = asyncio.create_task(counted.pages.show("audit"))
    await counted.tab.read()
    held.ended.set()
    tab = await Tab.open(counted.tab.session, await opening)
    await step
    assert tab.state["channel"]["name"] == "audit"
