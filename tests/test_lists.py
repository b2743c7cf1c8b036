"""Lists of broadcasts come in pages: none is cut off unsaid, and a page is turned after a restart too."""

import discord
import pytest

from bot.audit.chain import NewEvent
from bot.freeze import Freeze
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, response
from bot.service import LISTED, PAGE
from bot.value import Person
from cogs.lists import LISTS, ListButton
from cogs.text import units

MANY = 31


async def brought_to(sandbox: Sandbox, name: str, *, title: str = "We are live") -> None:
    """Let Maya write many broadcasts, and bring them to where the list has them."""
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    words = Notification(topic="announcements", all=Text(subject=title, content="Come in"))
    for number in range(1, MANY + 1):
        await service.compose(maya, audience="Gold members", notification=words, channel_id=1)
        if name == "queue":
            await service.submit(maya, number, revision=1)
        if name == "history":
            await service.cancel(maya, number)


async def forged(sandbox: Sandbox, name: str) -> discord.Message:
    """Put a button that turns a page where everybody can press it."""
    view = discord.ui.View(timeout=None)
    view.add_item(ListButton(name, 7))
    return await sandbox.herald.client.get_partial_messageable(sandbox.channel("review").id).send(view=view)


def numbers(labels: list[str]) -> list[int]:
    return [int(label.removeprefix("Open #")) for label in labels if label.startswith("Open")]


@pytest.mark.parametrize("name", LISTS)
async def test_every_broadcast_of_a_list_is_on_a_page_with_its_button_after_a_restart_too(
    v5: Sandbox, name: str
) -> None:
    await brought_to(v5, name)
    _, _, on, to_newer, first = LISTS[name]
    shown = await v5.person("Maya").slash(v5.channel("moderators"), f"notify {name}")
    assert response(shown).flags.ephemeral
    await v5.restart()
    seen = list[int]()
    for _ in range(MANY):
        labels, text = button_labels(response(shown)), response(shown).content
        assert [f"**#{number}**" in text for number in numbers(labels)] == [True] * len(numbers(labels))
        assert text.count("**#") == len(numbers(labels)) <= PAGE
        seen += numbers(labels)
        if on not in labels:
            break
        shown = await v5.person("Maya").click(response(shown), label=on)
    assert seen == list(range(MANY, 0, -1))
    back = list[int]()
    while to_newer in button_labels(response(shown)):
        shown = await v5.person("Maya").click(response(shown), label=to_newer)
        back = numbers(button_labels(response(shown))) + back
        assert on in button_labels(response(shown))
    assert back == list(range(MANY, MANY - len(back), -1))
    assert len(back) == MANY - MANY % PAGE
    newest = await v5.person("Maya").click(response(shown), label=first)
    assert numbers(button_labels(response(newest))) == list(range(MANY, MANY - PAGE, -1))
    assert first not in button_labels(response(newest))


async def test_a_list_that_just_fills_its_page_has_no_other(v5: Sandbox) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    words = Notification(topic="announcements", all=Text(subject="Short", content="Come in"))
    for _ in range(PAGE):
        await service.compose(maya, audience="Gold members", notification=words, channel_id=1)
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify drafts")
    assert numbers(button_labels(response(shown))) == list(range(PAGE, 0, -1))
    assert len(button_labels(response(shown))) == PAGE


async def test_long_lines_make_shorter_pages_and_none_is_left_out(v5: Sandbox) -> None:
    await brought_to(v5, "drafts", title="*_~" * 30)
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify drafts")
    seen = list[int]()
    for _ in range(MANY):
        assert units(response(shown).content) <= 2000
        seen += numbers(button_labels(response(shown)))
        if "Older" not in button_labels(response(shown)):
            break
        shown = await v5.person("Maya").click(response(shown), label="Older")
    assert seen == list(range(MANY, 0, -1))
    while "Newer" in button_labels(response(shown)):
        seen = seen[: -len(numbers(button_labels(response(shown))))]
        shown = await v5.person("Maya").click(response(shown), label="Newer")
        page = numbers(button_labels(response(shown)))
        assert seen[-len(page) :] == page
    assert seen[0] == MANY


async def test_a_page_beyond_the_last_says_so_and_leads_back(v5: Sandbox) -> None:
    said = await v5.person("Maya").click(await forged(v5, "history"), label="Older")
    assert answer(said) == "Nothing older is there."
    assert button_labels(response(said)) == ["Newest"]


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_is_turned_only_by_those_who_may_see_the_list(v5: Sandbox, name: str) -> None:
    await brought_to(v5, name, title="Words of the team")
    refused = answer(await v5.person("Sam").click(await forged(v5, name), label=LISTS[name].on))
    assert "it takes the role" in refused
    assert "Words of the team" not in refused


async def test_short_lines_of_the_record_that_fill_a_page_lead_to_the_older_ones(v5: Sandbox) -> None:
    with v5.herald.store.begin() as tx:
        for number in range(LISTED + 1):
            tx.audit.append(
                NewEvent(
                    guild_id=v5.world.guild.id, at=v5.clock(), actor=Person(7, "M"), action="edit",
                    broadcast_id=number + 1, proof="ABCD1234",
                )
            )  # fmt: skip
    shown = await v5.person("Ada").slash(v5.channel("moderators"), "notify audit", proof="ABCD1234")
    assert answer(shown).count("digest") == LISTED
    assert button_labels(response(shown)) == ["Older"]
    rest = await v5.person("Ada").click(response(shown), label="Older")
    assert answer(rest).count("digest") == 1
    assert button_labels(response(rest)) == ["Newest"]


async def test_what_a_freeze_keeps_to_neweris_never_cut_off_unsaid(v5: Sandbox) -> None:
    service = v5.herald.service
    await brought_to(v5, "queue", title="S")
    for number in range(1, PAGE + 2):
        await service.approve(v5.actor("Omar"), number, revision=1)
    freeze = Freeze(guild_id=None, by=Person(7, "Lena"), at=v5.clock(), reason="Wait")
    with v5.herald.store.begin() as tx:
        tx.freezes.add(freeze)
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify unfreeze")
    assert "… and older ones: `/notify queue` lists them all" in answer(shown)
    assert answer(shown).count("**#") <= PAGE
