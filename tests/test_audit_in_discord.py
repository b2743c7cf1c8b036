"""`/notify audit`: an auditor finds what happened; nobody else does, and what people typed stays harmless."""

import re
from typing import Any

import discord
import pytest

from bot.audit.chain import NewEvent
from bot.audit.search import Search
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, response
from bot.service import LISTED
from bot.value import Person
from cogs.audit import PageButton
from cogs.embeds import DESCRIPTION_LIMIT, size_of
from cogs.text import units
from tests.harness.links import unlinked


async def audit(sandbox: Sandbox, name: str = "Ada", **options: Any) -> str:
    return answer(await sandbox.person(name).slash(sandbox.channel("moderators"), "notify audit", **options))


async def test_an_auditor_reads_who_sent_it_who_agreed_and_that_it_went_out_once(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    found = await audit(sandbox, broadcast="#1")
    said = [line for line in found.splitlines() if line.startswith("`")]
    assert [line.split("**")[1] for line in said] == [
        "accepted by Whop", "sending started", "approval complete", "approved", "asked for approval",
        "composed",
    ]  # fmt: skip
    assert len({line.split("proof ")[1] for line in said}) == 1
    assert found.count("digest ") == 6
    assert f"<@{sandbox.person('Omar').id}>" in said[3]


async def test_above_the_lines_of_one_broadcast_stands_the_answer_with_the_words_that_customers_read(
    v5: Sandbox,
) -> None:
    await v5.approved(subject="We are live", content="The *stream* starts now.")
    await v5.wait(UNDONE)
    shown = response(await v5.person("Ada").slash(v5.channel("moderators"), "notify audit", broadcast="1"))
    said = re.sub(r"<t:\d+:f>", "12:37", unlinked(shown.content))
    assert said == (
        "#1: written by Maya, approved by Omar, sent once to Gold members, accepted by Whop at 12:37."
    )
    words, lines = shown.embeds
    assert words.description == "**We are live**\nThe \\*stream\\* starts now."
    assert lines.title == "The record"
    assert (
        shown.content
        == response(
            await v5.person("Omar").slash(v5.channel("moderators"), "notify show", broadcast="1")
        ).content
    )


async def test_the_answer_tells_an_auditor_of_a_draft_but_not_what_it_says(v5: Sandbox) -> None:
    await v5.compose(subject="Words of Maya")
    said = await audit(v5, broadcast="1")
    assert "#1: written by Maya, a draft for Gold members that nobody has been asked to approve yet." in said
    assert "Words of Maya" not in said
    assert "#" not in (await audit(v5, broadcast="2"))


async def test_the_answer_stands_on_the_newest_page_alone(v5: Sandbox) -> None:
    await v5.compose()
    with v5.herald.store.begin() as tx:
        for _ in range(LISTED):
            tx.audit.append(
                NewEvent(
                    guild_id=v5.world.guild.id,
                    at=v5.clock(),
                    actor=Person(7, "M"),
                    action="edit",
                    broadcast_id=1,
                )
            )
    ada = v5.person("Ada")
    newest = await ada.slash(v5.channel("moderators"), "notify audit", broadcast="1")
    assert response(newest).content.startswith("#1: written by Maya")
    older = await ada.click(response(newest), label="Older")
    assert (response(older).content, len(response(older).embeds)) == ("", 1)
    again = await ada.click(response(older), label="Newest")
    assert response(again).content.startswith("#1: written by Maya")


async def test_the_longest_words_leave_room_for_the_lines_of_the_record(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(subject="*" * 100, content="_*" * 750))
    shown = response(await v5.person("Ada").slash(v5.channel("moderators"), "notify audit", broadcast="1"))
    assert sum(map(size_of, shown.embeds)) <= 6000
    assert (shown.embeds[-1].description or "").count("digest") == 2


async def test_each_way_to_search_finds_its_lines_and_no_others(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.submit(await sandbox.compose(audience="Everyone"))
    omar, maya = sandbox.person("Omar"), sandbox.person("Maya")
    assert (await audit(sandbox, person=omar)).count("digest") == 1
    assert f"<@{maya.id}>" not in await audit(sandbox, person=omar)
    assert (await audit(sandbox, audience="Everyone")).count("#2") == 2
    assert (await audit(sandbox, audience="Everyone")).count("digest") == 2
    proof = (await sandbox.herald.service.look(sandbox.actor("Ada"), 2))[0].proof
    assert (await audit(sandbox, proof=proof.lower())).count("digest") == 2
    assert (await audit(sandbox, since="1")).count("digest") == 6
    assert "No line fits" in await audit(sandbox, since="2030-01-01")
    assert "No line fits" in await audit(sandbox, broadcast="999")


@pytest.mark.parametrize("name", ["Maya", "Omar", "Lena", "Sam"])
async def test_nobody_else_may_search_and_the_attempt_is_recorded(v5: Sandbox, name: str) -> None:
    assert "You cannot search the record: it takes the role" in await audit(v5, name)
    await v5.settle()
    assert "was refused: audit" in v5.newest("audit")
    assert await v5.herald.service.recorded_audiences(v5.actor(name)) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"since": "tomorrow"}, "since: “tomorrow” is not understood: write a date such as 2026-11-23"),
        ({"proof": "*12*"}, "is not understood: write the eight characters"),
        ({"broadcast": "one"}, "broadcast: “one” is not understood: write its number, such as 12"),
        ({"audience": "Nobody"}, "audience: there is no “Nobody”: choose one of them (“Everyone”, “Gold"),
    ],
)
async def test_a_mistake_is_answered_with_what_to_mend(
    v5: Sandbox, options: dict[str, str], sentence: str
) -> None:
    assert sentence in await audit(v5, **options)


async def test_long_records_come_in_pages_that_fit_and_outlive_a_restart(v5: Sandbox) -> None:
    hostile = "@everyone [x](https://x.y) <@1> **\n# " + "*" * 400
    with v5.herald.store.begin() as tx:
        for number in range(40):
            tx.audit.append(
                NewEvent(
                    guild_id=v5.world.guild.id, at=v5.clock(), actor=Person(7, hostile[:100]),
                    action="reject", broadcast_id=number + 1, proof="ABCD1234", detail=hostile,
                )
            )  # fmt: skip
    ada, seen = v5.person("Ada"), list[int]()
    shown = await ada.slash(v5.channel("moderators"), "notify audit", proof="ABCD1234")
    assert response(shown).flags.ephemeral
    await v5.restart()
    for _ in range(40):
        text = response(shown).embeds[0].description or ""
        assert units(text) <= DESCRIPTION_LIMIT
        assert "@everyone" not in text.replace("\\@everyone", "")
        seen += [int(line.split("`")[1]) for line in text.splitlines() if line.startswith("`")]
        if seen[-1] == 1:
            break
        shown = await v5.person("Ada").click(response(shown), label="Older")
    assert seen == list(range(40, 0, -1))


async def test_a_page_is_turned_only_by_those_who_may_read_the_record(v5: Sandbox) -> None:
    await v5.compose()
    search = Search(audience="Gold members")
    view = discord.ui.View(timeout=None)
    view.add_item(PageButton.of(search, before=0))
    channel = v5.herald.client.get_partial_messageable(v5.channel("review").id)
    forged = await channel.send("forged", view=view)
    refused = await v5.person("Omar").click(forged, label="Newest")
    assert "You cannot search the record" in answer(refused)


def test_the_longest_search_fits_a_button() -> None:
    search = Search(
        person=2**63 - 1, audience="x" * 100, proof="ABCD1234", broadcast_id=10**18 - 1, since=None
    )
    assert len(PageButton.of(search, before=10**15 - 1).item.custom_id or "") <= 90
