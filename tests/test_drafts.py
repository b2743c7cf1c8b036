"""One's drafts: found by words and by how it is with them, with why each came back, page by page."""

from datetime import timedelta

import pytest

from bot.broadcast import DraftState
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, response
from bot.schedule import Schedule
from bot.service import PAGE
from bot.store import Access
from cogs.filters import STATE_OPTIONS
from tests.test_lists import numbers


async def drafted(sandbox: Sandbox, who: str, content: str) -> int:
    words = Notification(topic="announcements", all=Text(subject="We are live", content=content))
    channel = sandbox.channel("moderators").id
    draft = await sandbox.herald.service.compose(
        sandbox.actor(who), audience="Gold members", notification=words, channel_id=channel
    )
    return draft.id


async def listed(sandbox: Sandbox, who: str = "Maya", **options: str) -> tuple[list[int], str]:
    shown = await sandbox.person(who).slash(sandbox.channel("moderators"), "notify drafts", **options)
    return numbers(button_labels(response(shown))), answer(shown)


async def one_of_each(sandbox: Sandbox) -> None:
    """Let Maya have a draft that came back, one that is shared, one with a time, and one with nothing."""
    service, maya, omar = sandbox.herald.service, sandbox.actor("Maya"), sandbox.actor("Omar")
    for content in ("Noon *café*", "Nine café", "Ten", "Eleven"):
        await drafted(sandbox, "Maya", content)
    await service.submit(maya, 1, revision=1)
    await service.request_changes(omar, 1, revision=1, reason="Say **which** noon")
    await service.share(maya, 2, revision=1, chosen=[omar])
    timed = Schedule(typed="tomorrow", zone="Europe/Berlin").settled(sandbox.clock() + timedelta(days=1))
    with sandbox.herald.store.begin(Access.READ) as tx:
        words = tx.broadcasts.get(3).notification
    await service.edit(maya, 3, revision=1, notification=words, schedule=timed)
    # Of Omar alone, whatever Maya looks for.
    await drafted(sandbox, "Omar", "Noon café")


async def test_drafts_are_found_by_words_and_by_how_it_is_with_them_newest_first(sandbox: Sandbox) -> None:
    await one_of_each(sandbox)
    found, text = await listed(sandbox)
    assert found == [4, 3, 2, 1]
    assert r"**#1** ↩️ Came back (Omar asked for changes: Say \*\*which\*\* noon)" in text
    assert "Maya with Omar" in text
    wanted = {
        DraftState.CAME_BACK: [1],
        DraftState.NOT_BACK: [4, 3, 2],
        DraftState.SHARED: [2],
        DraftState.TIMED: [3],
    }
    assert {one.value: (await listed(sandbox, state=one.value))[0] for one in DraftState} == wanted
    assert (await listed(sandbox, words="CAFE noon"))[0] == [1]
    assert (await listed(sandbox, words="café"))[0] == [2, 1]
    assert (await listed(sandbox, words="cafe", state="shared"))[0] == [2]
    assert (await listed(sandbox, "Omar"))[0] == [5, 2]
    assert (await listed(sandbox, "Omar", state="shared"))[0] == [2]
    nothing, said = await listed(sandbox, words="midnight", state="came back")
    assert (nothing, said) == ([], "Nothing fits what you look for: “midnight”, came back.")


async def test_a_search_of_drafts_goes_on_from_page_to_page_after_a_restart(v5: Sandbox) -> None:
    for number in range(1, 2 * PAGE + 4):
        await drafted(v5, "Maya", "noon" if number % 2 else "nine")
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify drafts", words="noon")
    await v5.restart()
    assert numbers(button_labels(response(shown))) == list(range(2 * PAGE + 3, 4, -2))
    turned = await v5.person("Maya").click(response(shown), label="Older")
    assert numbers(button_labels(response(turned))) == [3, 1]


async def test_what_is_no_state_is_refused_with_those_there_are(v5: Sandbox) -> None:
    await one_of_each(v5)
    cases = {
        "lost": "state: there is no “lost”: choose one of them (“came back”, “not sent back”, “shared”,"
        " “with a time”).",
        "Came BACK": "",
    }
    for typed, said in cases.items():
        found, text = await listed(v5, state=typed)
        assert (text == said) if said else (found == [1])
    assert "at most 120 characters" in (await listed(v5, words="a" * 121))[1]
    lena = await v5.person("Lena").slash(v5.channel("moderators"), "notify drafts", state="shared")
    assert answer(lena).startswith("You cannot compose a broadcast")


async def test_states_are_offered_to_those_who_may_compose(v5: Sandbox) -> None:
    moderators = v5.channel("moderators")
    offered = await v5.person("Maya").autocomplete(moderators, "notify drafts", "state", "back")
    assert [one["name"] for one in offered] == ["came back", "not sent back"]
    assert await v5.person("Sam").autocomplete(moderators, "notify drafts", "state", "") == []
    assert [one.value for one in STATE_OPTIONS] == [one.value for one in DraftState]


@pytest.mark.parametrize("who", ["Maya", "Omar"])
async def test_both_who_write_it_find_what_came_back(v5: Sandbox, who: str) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    await drafted(v5, "Maya", "noon")
    await service.share(maya, 1, revision=1, chosen=[omar])
    await service.submit(omar, 1, revision=1)
    await service.request_changes(v5.actor("Lena"), 1, revision=1, reason="No")
    assert (await listed(v5, who, state="came back"))[0] == [1]
