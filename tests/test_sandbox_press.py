"""A press in the sandbox's page, in a real browser."""

from playwright.async_api import expect

from tests.browser import open_page
from tests.test_sandbox_page import Counted
from tests.waiting import until


async def test_a_press_counts_once_also_when_the_page_moves_under_it() -> None:
    async with Counted.open() as counted, open_page() as page:
        await page.goto(await counted.pages.show("review"))
        # It has the width of its window.
        await expect(page.get_by_text("Viewport updated")).to_be_attached()
        button = page.get_by_role("button", name="Press me")
        await button.hover()
        await page.mouse.down()
        # As when what came above is drawn, or the page takes the width of its window.
        await page.locator("#channel-timeline").evaluate("it => { it.style.paddingTop = '200px'; }")
        await page.mouse.up()
        await until(lambda: counted.counter.presses)
        # Whoever moves away before letting go does not press.
        await button.hover()
        await page.mouse.down()
        await page.mouse.move(0, 0)
        await page.mouse.up()
        await button.click()
        await until(lambda: counted.counter.presses > 1)
        assert counted.counter.presses == 2
