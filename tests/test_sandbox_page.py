"""The browser sandbox, used as a person would: compose as Maya, approve as Omar, read the result."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Locator, Page, expect

from bot.app import run
from bot.sandbox.serve import live, open_sandbox
from bot.sandbox.whop import SimulatedWhop
from tests.browser import open_page

# The page asks for news twice a second; a click on what has just changed is lost, as the page says.
SETTLED_MS = 1500


@pytest.fixture
async def whop() -> AsyncGenerator[SimulatedWhop, None]:
    async with open_sandbox("v5", port=0) as (herald, pages, simulated):
        stop = asyncio.Event()
        running = asyncio.create_task(run(herald, lambda: live(herald, pages), stop))
        yield simulated
        stop.set()
        await running


async def settled(page: Page) -> None:
    await page.wait_for_timeout(SETTLED_MS)


async def choose(page: Page, typed: str) -> None:
    await page.keyboard.type(typed)
    await page.locator("[role=option]").first.click()
    await settled(page)


async def press(page: Page, name: str, *, inside: Locator | Page | None = None) -> None:
    await (inside or page).get_by_role("button", name=name, exact=True).click()
    await settled(page)


async def test_the_main_job_can_be_done_in_the_browser_alone(whop: SimulatedWhop) -> None:
    async with open_page() as page:
        await page.goto(f"{whop.origin}/discord/moderators")
        await settled(page)
        await page.locator("#channel-composer-input").click()
        await choose(page, "/notify compose")
        await choose(page, "gold")
        await choose(page, "ann")
        await page.locator("#send-message").click()
        modal = page.locator("#modal-root")
        await modal.locator("[name=subject]").fill("We are live")
        await modal.locator("[name=content]").fill("The stream starts *now*.")
        await press(page, "Submit", inside=modal)
        await expect(page.get_by_text("Draft #1")).to_be_visible()
        await press(page, "Submit")
        await expect(modal.get_by_text("Proof code")).to_be_visible()
        await press(page, "Submit", inside=modal)
        await expect(page.get_by_text("#1 is under review").last).to_be_visible()

        await page.goto(f"{whop.origin}/discord/review")
        await page.select_option("#viewer-picker", label="Omar")
        await settled(page)
        await expect(page.get_by_text("The stream starts *now*.")).to_be_visible()
        await press(page, "Approve")
        await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        await expect(page.get_by_text("#1 · Accepted by Whop")).to_be_visible(timeout=20_000)

        await page.goto(f"{whop.origin}/discord/audit")
        await expect(page.get_by_text("accepted by Whop").last).to_be_visible()
        await page.goto(whop.page_url)
        await expect(page.locator("#phone .push-title")).to_have_text("We are live")
        await expect(page.locator("#wire .status")).to_have_count(1)


async def test_an_unknown_channel_is_answered_with_those_there_are(whop: SimulatedWhop) -> None:
    async with open_page() as page:
        answer = await page.goto(f"{whop.origin}/discord/general")
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_text("moderators, review, audit")).to_be_visible()
