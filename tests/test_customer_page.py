"""The customer page, in a real browser."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest_asyncio
from playwright.async_api import ConsoleMessage, Error, Page, expect

from bot.sandbox.whop import Fault, ReadFault, SimulatedWhop
from tests.browser import open_page

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


class Troubles(list[str]):
    """Collect what a browser complains about."""

    def watch(self, page: Page) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.append(message.text)

        def on_error(error: Error) -> None:
            self.append(str(error))

        page.on("console", on_console)
        page.on("pageerror", on_error)


@pytest_asyncio.fixture
async def whop() -> AsyncIterator[SimulatedWhop]:
    now = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
    simulated = SimulatedWhop(clock=lambda: now, links=lambda: ((HOSTILE, "javascript:alert(1)"),))
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    async with open_page() as opened:
        yield opened


async def send(whop: SimulatedWhop) -> None:
    headers = {"Authorization": "Bearer sandbox-key", "X-Note": HOSTILE}
    body = {
        "title": HOSTILE,
        "content": HOSTILE,
        "subtitle": HOSTILE,
        "experience_id": "exp_a",
        "rest_path": HOSTILE,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{whop.origin}/api/v1/notifications", json=body, headers=headers),
    ):
        pass


async def test_hostile_text_is_shown_as_text_and_runs_nothing(whop: SimulatedWhop, page: Page) -> None:
    troubles = Troubles()
    troubles.watch(page)
    await page.goto(whop.page_url)
    await expect(page.locator("#feed")).to_contain_text("Nothing yet.")
    await send(whop)
    for place in ("#phone .push-title", "#phone .push-content", "#feed .entry-title", "#feed .entry-content"):
        await expect(page.locator(place)).to_have_text(HOSTILE)
    await page.locator("#wire summary").click()
    await expect(page.locator("#wire pre").first).to_contain_text(f"X-Note: {HOSTILE}")
    await expect(page.locator("#wire pre").first).to_contain_text("Authorization: Bearer ***")
    assert await page.locator("img, script").count() == 1
    assert await page.locator("#links a[href]").count() == 0
    assert await page.title() == "What customers see"
    assert troubles == []


async def test_the_control_strip_sets_the_next_answer(whop: SimulatedWhop, page: Page) -> None:
    troubles = Troubles()
    troubles.watch(page)
    await page.goto(whop.page_url)
    reject = page.get_by_role("button", name="400 Reject")
    await reject.click()
    await expect(reject).to_have_attribute("aria-pressed", "true")
    assert whop.fault is Fault.REJECT
    await send(whop)
    await expect(page.locator("#wire .status")).to_have_text("400")
    await expect(page.locator("#feed")).to_contain_text("Nothing yet.")
    assert troubles == []


async def test_what_is_asked_fails_by_a_strip_of_its_own(whop: SimulatedWhop, page: Page) -> None:
    await page.goto(whop.page_url)
    await page.get_by_text("What Whop answers when Herald asks who is in an audience").click()
    endless = page.get_by_role("button", name="Without end")
    await endless.click()
    await expect(endless).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#read-hint")).to_contain_text("This stays until you choose another.")
    assert (whop.read_fault, whop.fault) == (ReadFault.ENDLESS, Fault.NONE)
