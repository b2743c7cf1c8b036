"""GET /metrics tells how things stand in the database, whichever process is asked."""

import re
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from bot.errors import StoreError
from bot.health import Health
from bot.metrics import Metrics
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox
from tests.harness.policy import POLICY, of_generation, parsed


@pytest.fixture
def setting(database_url: str) -> tuple[str, str]:
    """Run what takes a sandbox once on each database: the mirror is the same for both of Whop's APIs."""
    return "v5", database_url


async def scrape(metrics: Metrics) -> dict[str, float]:
    """Return each series of the page by its name and labels."""
    page = (await metrics.read()).decode()
    return {
        " ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


SERVER = "Sunrise Trading"


async def test_the_numbers_are_those_of_the_database(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.submit(await sandbox.compose())
    found = await scrape(sandbox.herald.metrics)
    assert found[f"herald_record_lines {SERVER}"] == 8
    assert found[f"herald_broadcasts {SERVER} sent"] == 1
    assert found[f"herald_broadcasts {SERVER} review"] == 1
    assert found[f"herald_broadcasts {SERVER} unknown"] == 0
    assert found[f"herald_cards_waiting {SERVER}"] == 0
    assert found[f"herald_frozen {SERVER}"] == 0
    for number in ("frozen", "paused", "unknown_answers"):
        assert found[f"herald_account_{number} {ACCOUNT}"] == 0
    assert found[f"herald_mirror_waiting_lines {SERVER}"] == 0
    assert found[f"herald_mirror_oldest_waiting_seconds {SERVER}"] == 0
    assert found[f"herald_mirror_tampered_posts {SERVER}"] == 0
    assert found[f"herald_mirror_unreadable {SERVER}"] == 0


async def test_trouble_is_counted_and_a_restart_forgets_none_of_it(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    first, second = sandbox.channel("audit").history()
    sandbox.world.env.backend.delete_message(first.channel.id, first.id)
    await sandbox.herald.watcher.edited(second.id, "something else")
    await sandbox.world.env.settle()
    await sandbox.settle()
    sandbox.world.env.inject_error("*", "/channels/**", status=500, times=None)
    await sandbox.press("Omar", "Approve")
    await sandbox.herald.service.freeze(sandbox.actor("Lena"), "Wrong price.")
    await sandbox.wait(timedelta(minutes=2))
    before = await scrape(sandbox.herald.metrics)
    assert before[f"herald_mirror_tampered_posts {SERVER}"] == 2
    assert before[f"herald_mirror_waiting_lines {SERVER}"] == 3
    assert before[f"herald_mirror_oldest_waiting_seconds {SERVER}"] == 120
    assert before[f"herald_frozen {SERVER}"] == 1
    assert before[f"herald_cards_waiting {SERVER}"] == 1
    again = Metrics(store=sandbox.herald.store, policy=sandbox.policy, clock=sandbox.clock)
    assert await scrape(again) == before
    assert await again.read() == await again.read()


async def test_each_server_has_series_of_its_own_even_before_its_first_line(v5: Sandbox) -> None:
    policy = parsed(of_generation(POLICY, "v5"))
    found = await scrape(Metrics(store=v5.herald.store, policy=policy, clock=v5.clock))
    assert {one.removeprefix("herald_record_lines ") for one in found if "record_lines" in one} == {
        "Sunrise Trading",
        "Moonlight",
    }


async def test_nothing_that_anybody_typed_and_no_secret_stands_on_the_page(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(subject="Zebra", content="Giraffe"), note="Ostrich")
    await v5.press("Omar", "Reject", reason="Gazelle")
    page = (await v5.herald.metrics.read()).decode()
    for word in ("Zebra", "Giraffe", "Ostrich", "Gazelle", "Maya", "Omar", *v5.settings.secrets()):
        assert word not in page
    assert set(re.findall(r"(\w+)=", page)) == {"account", "server", "status"}


async def test_nothing_is_kept_in_a_registry_that_all_share(v5: Sandbox) -> None:
    await v5.herald.metrics.read()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("herald")]


# --- the page --------------------------------------------------------------------------------------


async def get(health: Health) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{health.port}/metrics") as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_the_page_stands_beside_the_health_page_and_prometheus_can_read_it(v5: Sandbox) -> None:
    async with Health("127.0.0.1:0", {}, v5.herald.metrics) as health:
        status, kind, page = await get(health)
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert page.count("# HELP herald_") == 11


async def test_a_database_in_trouble_is_503_and_one_sentence_without_its_words(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise StoreError("The database is in trouble (no route to db.internal); nothing was changed.")

    monkeypatch.setattr(v5.herald.store, "read", broken)
    async with Health("127.0.0.1:0", {}, v5.herald.metrics) as health:
        assert await get(health) == (
            503,
            "text/plain; charset=utf-8",
            "The database is in trouble: look into Herald's log.\n",
        )
