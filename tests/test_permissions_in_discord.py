"""The table of who may do what, where people meet it: each command, button and form in Discord."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import discord
import pytest
import simcord

from bot.audit.chain import Event
from bot.audit.search import EVERYTHING
from bot.broadcast import Broadcast, Status
from bot.chat.custom_ids import Subject, button_id
from bot.everyday import Typed
from bot.notification import Notification, Text
from bot.sandbox.customers import customers
from bot.sandbox.discord import PEOPLE
from bot.sandbox.sandbox import UNDONE, Sandbox, answer
from bot.sandbox.whop import Fault
from bot.seal import of_test
from bot.store import Access
from cogs.audit import PageButton
from cogs.buttons import LOOKS, ActionButton
from cogs.everyday_list import TemplatePageButton
from cogs.lists import LISTS, ListButton
from tests.harness.cards import subject_of
from tests.harness.found import only
from tests.permissions.table import DOOR, NO_SUCH, OLD_CARD, TABLE
from tests.permissions.ways import WAYS

# Each command, button and form, with the row that it belongs to.
WHAT: Final = {surface: TABLE[way.what] for way in WAYS for surface in way.surfaces}
COMMANDS: Final = [surface for surface in WHAT if surface.startswith("/")]
BUTTONS: Final = [surface for surface in WHAT if surface.startswith("button ")]
OPTIONS: Final[dict[str, dict[str, str]]] = {
    "/notify compose": {"audience": "Gold members", "topic": "announcements"},
    "/notify show": {"broadcast": "1"},
    "/notify template use": {"name": "We are down"},
    "/notify template create": {"name": "Weekly"},
    "/notify template edit": {"name": "Weekly"},
    "/notify template retire": {"name": "Weekly"},
    "/notify cancel": {"broadcast": "1"},
    "/notify who": {"broadcast": "1"},
    "/notify audience": {"name": "Gold members"},
    "/notify freeze": {"reason": "because"},
    "/notify timezone": {"zone": "Asia/Tokyo"},
}
WEEKLY: Final = Typed(
    "Weekly",
    None,
    None,
    Notification(topic="", in_app=Text(subject="We are live", content="Come in at {when}")),
    "when: word",
)
MOST_ON_A_CARD: Final = 25
UNKNOWN_BUTTON: Final = "This button no longer does anything."


async def forged(sandbox: Sandbox, *custom_ids: str, where: Any = None) -> discord.Message:
    """Put a card with buttons of one's own choice where people can press them."""
    view = discord.ui.View(timeout=None)
    for custom_id in custom_ids:
        view.add_item(discord.ui.Button(label=custom_id, custom_id=custom_id))
    channel = sandbox.herald.client.get_partial_messageable((where or sandbox.channel("review")).id)
    message = await channel.send("forged", view=view)
    view.stop()
    return message


async def each_forged(sandbox: Sandbox, where: Any = None) -> dict[str, discord.Message]:
    """Put all buttons that there are on cards, as many on each as Discord takes; return where each stands."""
    found: dict[str, discord.Message] = {}
    for first in range(0, len(ids()), MOST_ON_A_CARD):
        there = ids()[first : first + MOST_ON_A_CARD]
        found |= dict.fromkeys(there, await forged(sandbox, *there, where=where))
    return found


def ids() -> list[str]:
    """Return the custom_ids of all buttons that there are."""
    page = PageButton.of(EVERYTHING, before=0).item.custom_id or ""
    pages = [*(ListButton(name, 7).item.custom_id or "" for name in LISTS), page]
    pages.append(TemplatePageButton(7).item.custom_id or "")
    return [*(ActionButton(action, Subject(1, 1, "")).item.custom_id or "" for action in LOOKS), *pages]


def row_of(custom_id: str) -> Any:
    kind, action, *_ = custom_id.split(":")
    pages = {"record": "page button", "list": f"page of {action}", "templates": "page of templates"}
    return WHAT[pages.get(kind, f"button {action}")]


async def record(sandbox: Sandbox, guild: int | None = None) -> Sequence[Event]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.audit.of_guild(guild or sandbox.world.guild.id)


async def broadcast(sandbox: Sandbox) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(1)


def role_sentence(sandbox: Sandbox, row: Any) -> str:
    return row.role.format(**{key: f"<@&{role.id}>" for key, role in sandbox.world.roles.items()})


def powerful(sandbox: Sandbox) -> dict[str, simcord.MemberActor]:
    """Return those whom Discord lets do everything, and somebody whom it does not."""
    guild, env = sandbox.world.guild, sandbox.world.env
    every_right = guild.create_role("Admins", permissions=discord.Permissions.all())
    adam = guild.add_member(env.create_user("Adam"), roles=[every_right])
    olga = guild.add_member(env.create_user("Olga"))
    env.backend.get_guild(guild.id).owner_id = olga.id
    sandbox.herald.client.owner_id = olga.id
    return {"administrator": adam, "owner": olga, "stranger": sandbox.person("Sam")}


@pytest.mark.parametrize("who", ["administrator", "owner", "stranger"])
async def test_discords_own_powers_are_none_here(v5: Sandbox, who: str) -> None:
    await v5.submit(await v5.compose())
    before, someone = await broadcast(v5), powerful(v5)[who]
    cards, channel, written = await each_forged(v5), v5.channel("moderators"), len(await record(v5))
    asked: list[tuple[str, Any, Callable[[], Awaitable[simcord.InteractionResult]]]] = [
        (one, WHAT[one], lambda one=one: someone.slash(channel, one[1:], **OPTIONS.get(one, {})))
        for one in COMMANDS
    ]
    asked += [(one, row_of(one), lambda one=one: someone.click(cards[one], custom_id=one)) for one in ids()]
    for surface, row, ask in asked:
        # One by one, so that each has its own line.
        await v5.world.env.advance_time(60)
        result = await ask()
        assert result.modal is None, surface
        assert answer(result) == role_sentence(v5, row), surface
        entry = only((await record(v5))[written:])
        known = (1, before.proof) if row.names_it else (None, "")
        assert (entry.actor.id, entry.action) == (someone.id, f"refused {row.record}"), surface
        assert (entry.broadcast_id, entry.proof, entry.detail) == (*known, answer(result)), surface
        written += 1
    assert await broadcast(v5) == before


async def test_while_they_type_only_those_who_may_see_it_are_offered_anything(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.herald.service.create_template(v5.actor("Maya"), WEEKLY)
    channel, written = v5.channel("moderators"), len(await record(v5))
    guild = discord.Object(v5.world.guild.id)
    group = only(v5.herald.client.tree.get_commands(guild=guild))
    assert isinstance(group, discord.app_commands.Group)
    typed = [
        (command.qualified_name, option.name)
        for command in group.walk_commands()
        if isinstance(command, discord.app_commands.Command)
        for option in command.parameters
        if option.autocomplete
    ]
    assert len(typed) == 19
    for who, someone in powerful(v5).items():
        for command, option in typed:
            assert await someone.autocomplete(channel, command, option, "") == [], (who, command)
    for command, option in typed:
        name = "Ada" if command == "notify audit" else "Maya"
        assert await v5.person(name).autocomplete(channel, command, option, ""), command
    assert len(await record(v5)) == written


async def test_by_direct_message_nothing_can_be_done_and_nobodys_record_says_so(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    before, written = await broadcast(v5), len(await record(v5))
    maya = v5.person("Maya").user
    assert maya.available_commands() == ()
    cards = await each_forged(v5, where=maya.dm_channel)
    for one in ids():
        result = await maya.click(cards[one], custom_id=one)
        assert (result.modal, answer(result)) == (None, DOOR), one
    assert (await broadcast(v5), len(await record(v5))) == (before, written)


async def test_a_bot_can_do_nothing_whatever_roles_it_holds(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    before, written = await broadcast(v5), len(await record(v5))
    robot = v5.world.env.create_user("Robot", bot=True)
    member = v5.world.guild.add_member(robot, roles=list(v5.world.roles.values()))
    cards = await each_forged(v5)
    for one in ids():
        await v5.world.env.advance_time(60)
        result = await member.click(cards[one], custom_id=one)
        assert (result.modal, answer(result)) == (None, DOOR), one
    entries = (await record(v5))[written:]
    assert [one.action for one in entries] == [f"refused {row_of(one).record}" for one in ids()]
    assert await broadcast(v5) == before


async def test_from_another_server_there_is_no_such_broadcast(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    guild = v5.world.env.create_guild("Moonlight")
    channel, role = guild.create_text_channel("night"), guild.create_role("Everything")
    elsa = guild.add_member(v5.world.env.create_user("Elsa"), roles=[role])
    held = ", ".join(f"{key} = [{role.id}]" for key in v5.world.roles)
    other = f"""
[[server]]
name = "Moonlight"
guild = {guild.id}
channels = {{ review = {channel.id}, audit = {guild.create_text_channel("log").id} }}
roles = {{ {held} }}
[[server.topic]]
id = "announcements"
name = "Announcements"
[[server.audience]]
name = "Moon"
targets.products = ["prod_moon"]
"""
    await v5.restart(edit_policy=lambda text: text + other)
    before, home = await broadcast(v5), len(await record(v5))
    cards = await each_forged(v5, where=channel)
    for one in (one for one in ids() if row_of(one).names_it):
        await v5.world.env.advance_time(60)
        result = await elsa.click(cards[one], custom_id=one)
        assert (result.modal, answer(result)) == (None, NO_SUCH.format(number=1)), one
        entry = (await record(v5, guild.id))[-1]
        assert (entry.action, entry.broadcast_id) == (f"refused {row_of(one).record}", None), one
    assert "Gold members" not in answer(await elsa.click(cards[ids()[-1]], custom_id=ids()[-1]))
    assert (await broadcast(v5), len(await record(v5))) == (before, home)


@pytest.mark.parametrize("custom_id", ["herald:explode:1:1", "herald:freeze:1:1", "herald:audit:1:1"])
async def test_an_invented_button_does_nothing(v5: Sandbox, custom_id: str) -> None:
    await v5.submit(await v5.compose())
    before, written = await broadcast(v5), len(await record(v5))
    pressed = await v5.person("Lena").click(await forged(v5, custom_id), custom_id=custom_id)
    assert answer(pressed) == UNKNOWN_BUTTON
    assert (await broadcast(v5), len(await record(v5))) == (before, written)


INVENTED: Final = {
    "herald:approve:999999999999999999:1": NO_SUCH.format(number=10**18 - 1),
    "herald:approve:0:1": NO_SUCH.format(number=0),
    "herald:approve:1:0": OLD_CARD,
    "herald:approve:1:999999999": OLD_CARD,
}


async def test_an_invented_number_is_refused_and_recorded(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    before, written = await broadcast(sandbox), len(await record(sandbox))
    card = await forged(sandbox, *INVENTED)
    for custom_id, sentence in INVENTED.items():
        assert answer(await sandbox.person("Lena").click(card, custom_id=custom_id)) == sentence, custom_id
    refused = [(entry.action, entry.detail) for entry in (await record(sandbox))[written:]]
    assert refused == [("refused approve", sentence) for sentence in INVENTED.values()]
    assert await broadcast(sandbox) == before


# --- a form decides once more ------------------------------------------------------------------------

# Who opens it, by which button or command, at which status.
FORMS: Final = {
    "ComposeModal": ("Maya", "/notify compose", Status.DRAFT),
    "ComposeModal of a draft": ("Maya", "button edit", Status.DRAFT),
    "ChangeModal": ("Maya", "button change_audience", Status.DRAFT),
    "CorrectionModal": ("Maya", "button correct", Status.SENT),
    "PhoneModal": ("Maya", "button edit_phone", Status.DRAFT),
    "ShareModal": ("Maya", "button share", Status.DRAFT),
    "RepeatModal": ("Maya", "button repeat", Status.DRAFT),
    "ListModal": ("Maya", "button give_list", Status.DRAFT),
    "TimeModal": ("Maya", "button reschedule", Status.REVIEW),
    "CodeModal": ("Maya", "button type_code", Status.DRAFT),
    "ConfirmModal": ("Maya", "button submit", Status.DRAFT),
    "BlanksModal": ("Maya", "button use_template", Status.DRAFT),
    "TemplateModal": ("Maya", "/notify template create", Status.DRAFT),
    "TemplateModal of a template": ("Maya", "button edit_template", Status.DRAFT),
    "TemplatePhoneModal": ("Maya", "button phone_everyday", Status.DRAFT),
    "FillModal": ("Maya", "button use_everyday", Status.DRAFT),
    "NameModal": ("Omar", "button approve", Status.REVIEW),
    "NameModal of a template": ("Omar", "button approve_template", Status.DRAFT),
    "ReasonModal cancel": ("Lena", "button cancel", Status.REVIEW),
    "ReasonModal request_changes": ("Lena", "button request_changes", Status.REVIEW),
    "ReasonModal reject": ("Lena", "button reject", Status.REVIEW),
    "ReasonModal confirm": ("Lena", "button confirm", Status.UNKNOWN),
    "ReasonModal deny": ("Lena", "button deny", Status.UNKNOWN),
}
# A name is soon typed again, people are soon chosen, and a code is for nobody's file.
NOTHING_TYPED: Final = ("NameModal", "ShareModal", "ChangeModal", "CodeModal")
TYPED: Final = {
    "ComposeModal": {"subject": "Typed", "content": "long and well", "where": "same"},
    "ChangeModal": {"choice": ["Everyone"]},
    "CorrectionModal": {"subject": "Typed", "content": "long and well", "where": "same"},
    "PhoneModal": {"subject": "Typed", "content": "long and well"},
    "ShareModal": {},
    "RepeatModal": {"ends": "10", "every": "week"},
    "ListModal": {"people": "user_maya"},
    "TimeModal": {"time": "tomorrow 9am"},
    "CodeModal": {"code": "Typed"},
    "ConfirmModal": {"note": "Typed"},
    "NameModal": {"audience": "Typed"},
    "BlanksModal": {"service": "Typed", "since": "noon"},
    "ReasonModal": {"reason": "Typed"},
    "TemplateModal": {"subject": "Typed", "content": "long and well", "where": "same"},
    "TemplatePhoneModal": {"subject": "Typed", "content": "long and well"},
    "FillModal": {"blank:when": "Typed", "audience": ["Gold members"], "topic": ["outages"]},
}


async def bring(sandbox: Sandbox, status: Status) -> None:
    draft = await sandbox.compose()
    if status is not Status.DRAFT:
        await sandbox.submit(draft)
    if status in {Status.UNKNOWN, Status.SENT}:
        if status is Status.UNKNOWN:
            sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
        await sandbox.press("Omar", "Approve")
        await sandbox.wait(UNDONE)
    assert (await broadcast(sandbox)).status is status


async def opened(sandbox: Sandbox, form: str) -> simcord.InteractionResult:
    name, surface, _ = FORMS[form]
    if surface.startswith("/"):
        return await sandbox.person(name).slash(
            sandbox.channel("moderators"), surface[1:], **OPTIONS[surface]
        )
    subject = subject_of(sandbox)
    if form.startswith(("Template", "Fill")):
        seen = await sandbox.herald.service.create_template(sandbox.actor(name), WEEKLY)
        subject = Subject(seen.template.id, 1, seen.seal)
    elif form == "CodeModal":
        sandbox.whop.people = customers()
        sent, _ = await sandbox.herald.service.link(sandbox.actor(name), name.lower(), channel_id=1)
        subject = Subject(sent.id, sent.revision, of_test(sent))
    elif "template" in surface:
        standing = only(await sandbox.herald.service.templates(sandbox.actor(name)))
        subject = Subject(standing.number, 0, standing.seal)
    custom_id = button_id(surface.removeprefix("button "), subject)
    return await sandbox.person(name).click(await forged(sandbox, custom_id), custom_id=custom_id)


def test_every_form_is_tried() -> None:
    assert set(FORMS) == {surface for surface in WHAT if surface.split()[0].endswith("Modal")}


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_opened_with_the_role_and_submitted_without_it_is_refused(
    v5: Sandbox, form: str
) -> None:
    name, _, status = FORMS[form]
    await bring(v5, status)
    if form.startswith("NameModal"):
        await v5.restart(edit_policy=lambda text: text.replace("size = 420", "size = 4200"))
    shown, before, written = await opened(v5, form), await broadcast(v5), len(await record(v5))
    assert shown.modal is not None
    person, row = v5.person(name), WHAT[form]
    for role in PEOPLE[name]:
        v5.world.env.backend.remove_member_role(v5.world.guild.id, person.id, v5.world.roles[role].id)
    result = await person.submit_modal(shown, TYPED[form.split(maxsplit=1)[0]])

    sentence = role_sentence(v5, row)
    kept = [] if form.startswith(NOTHING_TYPED) else ["What you typed is attached, to copy."]
    assert answer(result).splitlines() == [sentence, *kept]
    entry = only((await record(v5))[written:])
    assert (entry.actor.id, entry.action, entry.detail) == (person.id, f"refused {row.record}", sentence)
    assert (entry.broadcast_id, await broadcast(v5)) == (1 if row.names_it else None, before)


async def test_a_role_given_after_it_was_submitted_counts_at_once(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    sam = v5.person("Sam")
    v5.world.env.backend.add_member_role(v5.world.guild.id, sam.id, v5.world.roles["approve"].id)
    await v5.press("Sam", "Approve")
    assert (await broadcast(v5)).status is Status.APPROVED
