"""Everyday templates where people meet them: made, found, filled in, edited and retired, and lost never."""

from collections.abc import Mapping
from typing import Any, Final

import discord
import pytest
import simcord

from bot.broadcast import Broadcast, Status
from bot.chat.custom_ids import Subject
from bot.errors import NotReady, StoreError
from bot.everyday import Typed, outlined
from bot.notification import Notification, Text
from bot.permissions import Action
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.service import PAGE
from bot.service.everyday import MOST_TEMPLATES
from bot.store import Access, Store
from bot.value import Person
from cogs.buttons import ActionButton
from tests.harness.found import last

WORDS: Final = {"subject": "{show} tonight", "content": "Room {room}, {seats} seats. Be there."}
BLANKS: Final = "room: one of Gold, Silver\nseats: number"
VALUES: Final[Mapping[str, Any]] = {
    "blank:show": "The big quiz", "blank:room": ["Gold"], "blank:seats": "40",
}  # fmt: skip
WEEKLY: Final = Typed(
    "Weekly",
    "Gold members",
    "announcements",
    Notification(topic="", all=Text(subject="We are live", content="Come in at {when}")),
    "",
)


async def command(sandbox: Sandbox, who: str, verb: str, /, **options: str) -> simcord.InteractionResult:
    return await sandbox.person(who).slash(
        sandbox.channel("moderators"), f"notify template {verb}", **options
    )


async def submitted(
    sandbox: Sandbox, who: str, shown: simcord.InteractionResult, **fields: Any
) -> simcord.InteractionResult:
    """Fill in a form of a template's words, or of what stands in its blanks."""
    asks = str(shown.modal)
    if "'where'" in asks:
        fields.setdefault("where", "same")
    return await sandbox.person(who).submit_modal(shown, fields)


async def made(
    sandbox: Sandbox, who: str = "Omar", *, name: str = "Quiz night", **fields: Any
) -> simcord.InteractionResult:
    """Let somebody make a template for gold members."""
    options = {"audience": "Gold members", "topic": "Announcements"}
    shown = await command(sandbox, who, "create", name=name, **options)
    return await submitted(sandbox, who, shown, **(WORDS | {"blanks": BLANKS} | fields))


async def used(
    sandbox: Sandbox, who: str = "Maya", *, name: str = "Quiz night", **fields: Any
) -> simcord.InteractionResult:
    shown = await command(sandbox, who, "use", name=name)
    return await submitted(sandbox, who, shown, **(dict(VALUES) | fields)) if shown.modal else shown


def field(shown: simcord.InteractionResult, name: str) -> dict[str, Any]:
    """Return a field of the form that an answer opens."""
    assert shown.modal is not None
    inner = (row.get("component", {}) for row in shown.modal["components"])
    return next(one for one in inner if one.get("custom_id") == name)


async def broadcast(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


async def record(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    return [(one.actor.name, one.action, one.detail) for one in events]


# --- what it is worth ------------------------------------------------------------------------------


async def test_what_one_person_makes_another_uses_and_it_goes_the_whole_way(sandbox: Sandbox) -> None:
    card = response(await made(sandbox))
    assert card.flags.ephemeral
    assert card.embeds[0].title == "Template “Quiz night”"
    for part in ("Audience: Gold members", "Topic: Announcements", "**show**: a line", "**seats**: a number"):
        assert part in readable(card)
    assert "**room**: “Gold” or “Silver”" in readable(card)
    assert "It lends no approval" in readable(card)

    shown = await command(sandbox, "Maya", "use", name="Quiz night")
    assert [one["label"] for one in field(shown, "blank:room")["options"]] == ["Gold", "Silver"]
    draft = await submitted(sandbox, "Maya", shown, **VALUES)
    assert "Draft #1" in answer(draft)
    assert "The big quiz tonight" in answer(draft)
    assert "is under review" in answer(await sandbox.submit(draft))

    # Whoever wrote the words may not approve them.
    assert "You wrote this broadcast" in answer(await sandbox.press("Omar", "Approve"))
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert last(sandbox.whop.pushes).phone == ("The big quiz tonight", "Room Gold, 40 seats. Be there.")
    assert [line for line in await record(sandbox) if line[1].startswith(("create", "compose"))] == [
        ("Omar", "create_template", "template “Quiz night”"),
        ("Maya", "composed", "for Gold members, from the template “Quiz night”, revision 1"),
    ]


async def test_an_edit_counts_from_then_on_and_what_it_said_before_is_kept(sandbox: Sandbox) -> None:
    await made(sandbox)
    await used(sandbox)
    shown = await command(sandbox, "Lena", "edit", name="Quiz night", new_name="Quiz", topic="Outages")
    assert field(shown, "content")["value"] == WORDS["content"]
    assert field(shown, "blanks")["value"] == BLANKS
    edited = await submitted(
        sandbox, "Lena", shown, subject="Quiz", content="Come, {first name}", blanks="first name: word"
    )
    assert "Template “Quiz”" in answer(edited)
    assert "Written by: Omar, Lena" in answer(edited)

    draft = await submitted(
        sandbox, "Maya", await command(sandbox, "Maya", "use", name="Quiz"), **{"blank:first name": "Ann"}
    )
    assert "Come, Ann" in answer(draft)
    one, two = await broadcast(sandbox, 1), await broadcast(sandbox, 2)
    assert (one.notification.topic, two.notification.topic) == ("announcements", "outages")
    assert one.title == "The big quiz tonight"
    assert {sandbox.person(name).id for name in ("Omar", "Lena")} < set(two.editors)

    retired = await command(sandbox, "Omar", "retire", name="Quiz")
    assert "“Quiz” is retired: nobody is offered it any more." in answer(retired)
    assert button_labels(response(retired)) == ["Bring it back"]
    back = await sandbox.person("Omar").click(response(retired), label="Bring it back")
    assert "“Quiz” can be used again." in answer(back)
    assert button_labels(response(back)) == ["Use", "Edit", "Retire"]
    retired = await command(sandbox, "Omar", "retire", name="Quiz")
    assert "There is no template “Quiz”" in answer(await command(sandbox, "Maya", "use", name="Quiz"))
    # Its name is free again.
    assert "Template “Quiz night”" in answer(await made(sandbox, "Maya"))
    assert "Template “Quiz”" in answer(await made(sandbox, "Maya", name="Quiz"))
    taken = await sandbox.person("Omar").click(response(retired), label="Bring it back")
    assert "The name “Quiz” looks like that of the template “Quiz”" in answer(taken)
    assert [line for line in await record(sandbox) if line[1].endswith("_template")][1:5] == [
        ("Lena", "edit_template", "template “Quiz”, before “Quiz night”, revision 2"),
        ("Omar", "retire_template", "template “Quiz”"),
        ("Omar", "restore_template", "template “Quiz”"),
        ("Omar", "retire_template", "template “Quiz”"),
    ]
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert [one.name for one in tx.everyday.writers(1)] == ["Omar", "Lena"]
    for change in ("UPDATE everyday_revisions SET outline = ''", "DELETE FROM everyday_revisions"):
        with (
            pytest.raises(StoreError, match="what was written is never changed"),
            sandbox.herald.store.begin() as tx,
        ):
            tx._connection.exec_driver_sql(change)  # pyright: ignore[reportPrivateUsage]


async def test_different_words_for_feed_and_phone_are_asked_for_one_after_the_other(v5: Sandbox) -> None:
    card = await made(v5, where="split", subject="Quiz", content="{show} in {room}, {seats}")
    assert "The words for the phone are missing" in answer(card)
    form = await v5.person("Omar").click(response(card), label="Phone words")
    both = await submitted(
        v5, "Omar", form, subject="Quiz", content="{show} {now}", blanks=f"{BLANKS}\nnow: word"
    )
    assert "**now**: a word" in answer(both)
    draft = await used(v5, **{"blank:now": "tonight"})
    assert (await broadcast(v5)).notification.mobile == Text(subject="Quiz", content="The big quiz tonight")
    assert "Ask for approval" in button_labels(response(draft))


async def test_what_a_template_leaves_open_is_asked_for_with_its_blanks(sandbox: Sandbox) -> None:
    shown = await command(sandbox, "Maya", "create", name="Hello")
    card = await submitted(sandbox, "Maya", shown, subject="Hello", content="Hello {who}")
    assert answer(card).count("asked for each time") == 2
    form = await sandbox.person("Omar").click(response(await opened(sandbox, "Omar")), label="Use")
    fields = {"blank:who": "there", "audience": ["Everyone"], "topic": ["outages"]}
    draft = await submitted(sandbox, "Omar", form, **fields)
    assert "Hello there" in answer(draft)
    one = await broadcast(sandbox)
    assert (one.audience, one.notification.topic, one.author.name) == ("Everyone", "outages", "Omar")


async def test_a_template_that_leaves_nothing_open_is_a_draft_at_once(v5: Sandbox) -> None:
    await made(v5, subject="We are live", content="Come in", blanks="")
    assert "Draft #1" in answer(await command(v5, "Maya", "use", name="quiz NIGHT"))


async def test_a_time_is_read_and_stands_there_as_customers_read_it(v5: Sandbox) -> None:
    await made(v5, subject="We are live", content="Come in at {when}.", blanks="when: time")
    told = {
        "soon": "takes a time. “soon”: This is read as no time, or not for certain: write it like 18:30,",
        "next friday 18:00": "which one is meant? Write it in full: 2026-01-02 18:00 or 2026-01-09 18:00.",
    }
    for typed, said in told.items():
        shown = await command(v5, "Maya", "use", name="Quiz night")
        assert said in answer(await submitted(v5, "Maya", shown, **{"blank:when": typed})).replace("\\", "")
    shown = await command(v5, "Maya", "use", name="Quiz night")
    draft = await submitted(v5, "Maya", shown, **{"blank:when": "2026-01-09 18:00"})
    assert "Come in at Fri 9 Jan 2026 18:00 UTC." in answer(draft)


async def test_limits_and_lint_hold_for_what_the_blanks_make_of_it(v5: Sandbox) -> None:
    await made(v5, content="{a}" * 7 + "{b}" + "x" * 200, blanks="", subject="x")
    shown = await command(v5, "Maya", "use", name="Quiz night")
    draft = await submitted(v5, "Maya", shown, **{"blank:a": "w" * 200, "blank:b": "{since}"})
    assert "The content has 1607 characters; at most 1500 fit." in answer(draft)
    assert "Looks like a blank that nobody filled: {since}" in answer(draft)
    assert "Ask for approval" not in button_labels(response(draft))


# --- nothing typed is lost -------------------------------------------------------------------------


async def test_a_form_that_is_refused_comes_back_filled_in_after_a_restart_too(sandbox: Sandbox) -> None:
    refused = await made(sandbox, blanks="room: colour", link="")
    assert "“room” takes “colour”, which is no kind" in answer(refused)
    assert "What you typed is attached, to copy." in answer(refused)
    await sandbox.restart()
    again = await sandbox.person("Omar").click(response(refused), label="Open the form again")
    assert field(again, "content")["value"] == WORDS["content"]
    assert field(again, "blanks")["value"] == "room: colour"
    await submitted(sandbox, "Omar", again, **WORDS, blanks=BLANKS)
    # It was taken: nothing old is opened again.
    view = discord.ui.View(timeout=None)
    view.add_item(ActionButton(Action.CREATE_TEMPLATE, Subject(0, 0, "")))
    there = sandbox.herald.client.get_partial_messageable(sandbox.channel("review").id)
    late = await sandbox.person("Omar").click(await there.send(view=view), label="Open the form again")
    assert "This form was taken since" in answer(late)

    wrong: dict[str, Any] = {"blank:seats": "many", "blank:room": ["Silver"]}
    refused = await used(sandbox, **wrong)
    assert "The blank “seats” takes a number, such as 12 or 3.50." in answer(refused)
    await sandbox.restart()
    again = await sandbox.person("Maya").click(response(refused), label="Open the form again")
    assert field(again, "blank:show")["value"] == "The big quiz"
    assert field(again, "blank:seats")["value"] == "many"
    assert [one["value"] for one in field(again, "blank:room")["options"] if one.get("default")] == ["Silver"]
    draft = await submitted(sandbox, "Maya", again, **(dict(VALUES) | {"blank:seats": "12"}))
    assert "12 seats" in answer(draft)
    assert "value" not in field(await command(sandbox, "Maya", "use", name="Quiz night"), "blank:seats")
    refusals = [line[:2] for line in await record(sandbox) if line[1].startswith("refused")]
    assert refusals == [("Omar", "refused create_template"), ("Maya", "refused compose")]


async def test_a_template_that_was_edited_under_an_open_form_is_said_so_and_nothing_is_lost(
    v5: Sandbox,
) -> None:
    await made(v5)
    use = await command(v5, "Maya", "use", name="Quiz night")
    edit = await command(v5, "Lena", "edit", name="Quiz night")
    first = await command(v5, "Omar", "edit", name="Quiz night")
    await submitted(v5, "Omar", first, subject="Quiz", content="{show} at {hour}", blanks="")
    for who, form, fields in (("Maya", use, dict(VALUES)), ("Lena", edit, WORDS | {"blanks": BLANKS})):
        refused = await submitted(v5, who, form, **fields)
        said = "Omar has edited the template “Quiz night” in the meantime, so nothing was changed or made of"
        assert said in answer(refused)
        again = await v5.person(who).click(response(refused), label="Open the form again")
        if who == "Maya":
            assert field(again, "blank:show")["value"] == "The big quiz"
            draft = await submitted(v5, who, again, **{"blank:show": "The big quiz", "blank:hour": "eight"})
            assert "The big quiz at eight" in answer(draft)
        else:
            assert field(again, "content")["value"] == WORDS["content"]
    retire = await v5.person("Omar").click(response(await opened(v5, "Omar")), label="Use")
    await command(v5, "Omar", "retire", name="Quiz night")
    gone = await submitted(v5, "Omar", retire, **{"blank:show": "x", "blank:hour": "y"})
    assert "The template “Quiz night” is retired" in answer(gone)
    assert "What you typed is attached, to copy." in answer(gone)


async def opened(sandbox: Sandbox, who: str) -> simcord.InteractionResult:
    """Open the newest template from the list."""
    shown = response(await command(sandbox, who, "list"))
    return await sandbox.person(who).click(shown, label=button_labels(shown)[0])


async def test_an_old_card_of_a_template_changes_nothing(v5: Sandbox) -> None:
    old = response(await made(v5))
    form = await command(v5, "Omar", "edit", name="Quiz night")
    await submitted(v5, "Omar", form, **WORDS, blanks="")
    for label in ("Use", "Edit", "Retire"):
        assert "This card is out of date" in answer(await v5.person("Omar").click(old, label=label))
    assert "revision 2" in answer(await opened(v5, "Omar"))


async def test_a_template_whose_audience_or_topic_left_the_policy_says_so_before_anything_is_typed(
    v5: Sandbox,
) -> None:
    await made(v5)
    form = await command(v5, "Maya", "use", name="Quiz night")

    def renamed(text: str) -> str:
        return text.replace('"Gold members"', '"Golden"').replace('"announcements"', '"news"')

    await v5.restart(edit_policy=renamed)
    said = (
        "The audience “Gold members” of the template “Quiz night” is no longer in the policy: its author,"
        " Omar, or an operator can set another one with `/notify template edit`."
    )
    shown = await command(v5, "Maya", "use", name="Quiz night")
    assert (shown.modal, answer(shown)) == (None, said.replace("`", "\\`"))
    assert "no longer in the policy: edit it" in answer(await opened(v5, "Maya"))
    service, maya = v5.herald.service, v5.actor("Maya")
    template = (await service.look_at_template(maya, 1)).template
    with pytest.raises(NotReady, match="of the template “Quiz night” is no longer in the policy"):
        await service.use_template(maya, template, {}, channel_id=1)
    lost = await submitted(v5, "Maya", form, **VALUES)
    assert "Herald had closed this form in the meantime" in answer(lost)
    edit = await command(v5, "Omar", "edit", name="Quiz night", audience="Golden")
    await submitted(v5, "Omar", edit, **WORDS, blanks=BLANKS)
    assert "The topic “announcements” of the template" in answer(
        await command(v5, "Maya", "use", name="Quiz night")
    )
    edit = await command(v5, "Omar", "edit", name="Quiz night", topic="asked for each time")
    await submitted(v5, "Omar", edit, **WORDS, blanks=BLANKS)
    assert "Draft #1" in answer(await used(v5, topic=["news"]))


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quiz  NIGHT", "Quіz night", "Quiz night\u200b", "WE ARE DOWN", " "])
async def test_a_name_that_people_could_take_for_another_is_refused_before_anything_is_typed(
    v5: Sandbox, name: str
) -> None:
    await made(v5)
    shown = await command(v5, "Maya", "create", name=name)
    assert shown.modal is None
    assert "looks like that of the template" in answer(shown) or "The name has to be 1" in answer(shown)
    assert last(await record(v5))[:2] == ("Maya", "refused create_template")


async def test_of_two_that_take_one_name_at_once_one_is_refused_and_its_words_come_back(
    sandbox: Sandbox,
) -> None:
    forms = {who: await command(sandbox, who, "create", name="Quiz night") for who in ("Maya", "Omar")}
    results = [await submitted(sandbox, who, form, **WORDS, blanks=BLANKS) for who, form in forms.items()]
    assert "The name “Quiz night” looks like that of the template “Quiz night”" in answer(results[1])
    other = await command(sandbox, "Omar", "create", name="Quiz evening")
    assert field(other, "content")["value"] == WORDS["content"]


# --- the list --------------------------------------------------------------------------------------


async def fill_up(store: Store, guild_id: int, number: int) -> None:
    with store.begin() as tx:
        for one in range(number):
            outline = outlined(WEEKLY._replace(name=f"Show {one}"))
            tx.everyday.add(guild_id, outline, author=Person(7, "Kim"), at=discord.utils.utcnow())


async def test_with_a_thousand_the_list_is_paged_each_is_found_and_no_more_fit(v5: Sandbox) -> None:
    await fill_up(v5.herald.store, v5.world.guild.id, MOST_TEMPLATES)
    maya, channel = v5.person("Maya"), v5.channel("moderators")
    for name in ("use", "edit", "retire"):
        offered = await maya.autocomplete(channel, f"notify template {name}", "name", "show 77")
        assert [one["value"] for one in offered] == [f"Show {77 if n == 10 else 779 - n}" for n in range(11)]
    full = await made(v5, "Maya")
    assert "This server has 1,000 templates, and no more fit: retire one first" in answer(full)

    await v5.restart()
    shown = await command(v5, "Ada", "list")
    assert (
        response(shown).content.splitlines()[1]
        == "**Show 999** · Gold members · Announcements · 1 blank · by Kim"
    )
    first = button_labels(response(shown))
    assert first == [*(f"Show {999 - n}" for n in range(PAGE)), "Older"]
    second = await v5.person("Ada").click(response(shown), label="Older")
    assert button_labels(response(second)) == [
        *(f"Show {989 - n}" for n in range(PAGE)), "Older", "Newer", "Newest",
    ]  # fmt: skip
    back = await v5.person("Ada").click(response(second), label="Newer")
    assert button_labels(response(back))[:PAGE] == first[:PAGE]
    card = await v5.person("Ada").click(response(back), label="Show 995")
    assert "Template “Show 995”" in answer(card)
    assert button_labels(response(card)) == []


async def test_an_empty_list_says_how_to_begin(v5: Sandbox) -> None:
    shown = await command(v5, "Ada", "list")
    assert answer(shown) == "There are no templates yet. `/notify template create` makes one."


async def test_templates_for_an_emergency_stay_apart_and_look_different(v5: Sandbox) -> None:
    await made(v5, name="We are back")
    maya, channel = v5.person("Maya"), v5.channel("moderators")
    offered = await maya.autocomplete(channel, "notify template use", "name", "we are")
    assert [one["name"] for one in offered] == [
        "We are down · emergency · 0 of 1 approvals", "We are back · template by Omar",
    ]  # fmt: skip
    emergency = response(await command(v5, "Maya", "use", name="We are down"))
    everyday = response(await opened(v5, "Maya"))
    assert emergency.embeds[0].title == "Emergency template “We are down”"
    assert everyday.embeds[0].title == "Template “We are back”"
    assert emergency.embeds[0].colour != everyday.embeds[0].colour
    assert "We are down" not in answer(await command(v5, "Maya", "list"))
    for name in ("edit", "retire"):
        assert "no such template" in answer(await command(v5, "Lena", name, name="We are down"))


async def test_in_another_server_nobody_sees_or_uses_it(v5: Sandbox) -> None:
    seen = await v5.herald.service.create_template(v5.actor("Maya"), WEEKLY)
    with v5.herald.store.begin() as tx:
        tx._connection.exec_driver_sql(  # pyright: ignore[reportPrivateUsage]
            "UPDATE everyday_templates SET guild_id = 5"
        )
    assert "There are no templates yet" in answer(await command(v5, "Maya", "list"))
    assert "There is no template “Weekly”" in answer(await command(v5, "Maya", "use", name="Weekly"))
    with pytest.raises(Exception, match="no such template"):
        await v5.herald.service.look_at_template(v5.actor("Maya"), seen.template.id)


async def test_the_draft_is_a_draft_like_any_other(v5: Sandbox) -> None:
    await made(v5)
    draft = await used(v5)
    one = await broadcast(v5)
    assert (one.status, one.lent, one.approvals) == (Status.DRAFT, (), ())
    assert button_labels(response(draft))[:2] == ["Edit", "Ask for approval"]
