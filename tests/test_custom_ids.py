"""No custom_id carries authority: invented, foreign, stale or replayed, it changes nothing."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import discord
import pytest
import simcord
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.custom_ids import Subject
from bot.permissions import Action
from bot.sandbox.discord import PEOPLE
from bot.sandbox.sandbox import Sandbox, answer, response
from bot.store import Access
from cogs.audit import PageButton
from cogs.buttons import LOOKS, ActionButton
from cogs.lists import ListButton
from tests.conftest import OpenSandbox
from tests.harness.cards import subject_of
from tests.harness.found import last

BUTTON = ActionButton.__discord_ui_compiled_template__
PAGE = PageButton.__discord_ui_compiled_template__
LIST = ListButton.__discord_ui_compiled_template__


async def everything(sandbox: Sandbox) -> list[Any]:
    """Return all that a press could have changed."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        broadcasts = [tx.broadcasts.find(number) for number in range(1, 5)]
        deliveries = [tx.deliveries.of(number) for number in range(1, 5)]
        return [broadcasts, deliveries, tx.freezes.standing(), sandbox.whop.exchanges.copy()]


async def forge(sandbox: Sandbox, item: Any, *, channel: int | None = None) -> discord.Message:
    """Put a button where people can press it, as nobody but Herald could."""
    view = discord.ui.View(timeout=None)
    view.add_item(item)
    place = sandbox.herald.client.get_partial_messageable(channel or sandbox.channel("review").id)
    return await place.send("forged", view=view)


async def press(sandbox: Sandbox, name: str, item: Any) -> simcord.InteractionResult:
    return await sandbox.person(name).click(await forge(sandbox, item), custom_id=item.item.custom_id)


# --- invented ids ----------------------------------------------------------------------------------

INVENTED = [
    "", "herald", "herald:approve:1", "herald:approve:1:1:1", "herald:approve:-1:1", "herald:approve:1:-1",
    "herald:approve: 1:1", "herald:approve:1:1\n", "\nherald:approve:1:1", "herald:approve:٣:1",
    "herald:approve:１:1", "Herald:approve:1:1", "herald:APPROVE:1:1", "herald:appr\u200bove:1:1",
    f"herald:approve:{10**18}:1", f"herald:approve:1:{10**9}", "herald:approve:0x1:1", "herald::1:1",
    "record:0:::::", "record:0:1:2:3:4:5:6", "record:0::2026-11-23T09:41::1:", "record:0::::1:XYZ",
    "record:0:::abcd1234::", f"record:{10**15}:::::", "record:0:'; DROP TABLE facts; --::::",
    "list:drafts", "list:drafts:", "list:drafts:-1", "list:drafts:0:1", f"list:drafts:{10**18}", "list::0",
    "list:templates:0", "list:Queue:0", "list:queue:٣", "list:queue:0 OR 1=1",
]  # fmt: skip


@pytest.mark.parametrize("custom_id", INVENTED)
def test_an_id_that_herald_would_not_write_is_no_button_of_its(custom_id: str) -> None:
    assert BUTTON.fullmatch(custom_id) is None
    assert custom_id == "record:0:::::" or PAGE.fullmatch(custom_id) is None
    assert LIST.fullmatch(custom_id) is None


@given(st.one_of([st.from_regex(one, fullmatch=True) for one in (BUTTON, PAGE, LIST)]))
def test_whatever_is_taken_for_a_button_is_bounded_and_holds_no_words(custom_id: str) -> None:
    assert len(custom_id) <= 100
    assert re.fullmatch(r"(herald|list|record):[0-9A-Za-z_:-]*", custom_id)


async def test_a_stranger_who_forges_a_button_changes_nothing_and_learns_nothing(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(subject="Words of the team"))
    before = await everything(v5)
    for action in (*LOOKS, "__class__", "policy", "compose", "freeze", "act_with_reason"):
        for number in (1, 2, 10**17):
            said = await press(v5, "Sam", ActionButton(action, Subject(number, 1, "")))
            assert said.modal is None, action
            assert response(said).flags.ephemeral, action
            assert "Words of the team" not in answer(said), action
        assert await everything(v5) == before, action


# --- stale ids -------------------------------------------------------------------------------------

ABLE: Mapping[str, str] = {
    Action.APPROVE: "Omar",
    Action.REQUEST_CHANGES: "Omar",
    Action.REJECT: "Omar",
    Action.RETRACT: "Omar",
    Action.WITHDRAW: "Maya",
    Action.CANCEL: "Maya",
}


async def test_another_revision_than_the_present_one_is_refused_to_whoever_could_do_it(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    before = await everything(v5)
    for action, name in ABLE.items():
        for revision in (0, 2, 10**9 - 1):
            said = await press(v5, name, ActionButton(action, subject_of(v5)._replace(revision=revision)))
            assert said.modal is None, action
            assert "This card is out of date: what it shows has changed since" in answer(said), action
            assert await everything(v5) == before, action


@pytest.mark.parametrize("action", [Action.SUBMIT, Action.EDIT])
async def test_what_belongs_to_a_draft_is_refused_once_it_is_under_review(v5: Sandbox, action: str) -> None:
    await v5.submit(await v5.compose())
    before = await everything(v5)
    said = await press(v5, "Maya", ActionButton(action, Subject(1, 1, "")))
    assert said.modal is None
    assert answer(said) == (
        "Someone was faster, or this card is old: #1 has moved on, and it is under review."
    )
    assert await everything(v5) == before


# --- ids of another server -------------------------------------------------------------------------


async def test_in_another_server_a_button_does_nothing_for_the_very_same_person(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(subject="Words of the team"))
    before = await everything(v5)
    elsewhere = v5.world.env.create_guild("Elsewhere")
    channel, role = elsewhere.create_text_channel("general"), elsewhere.create_role("Approvers")
    omar = elsewhere.add_member(v5.person("Omar").user, roles=[role])
    for action in LOOKS:
        forged = await forge(v5, ActionButton(action, Subject(1, 1, "")), channel=channel.id)
        said = await omar.click(forged, custom_id=f"herald:{action}:1:1")
        assert said.modal is None, action
        assert "Words of the team" not in answer(said), action
        assert "Something went wrong" not in answer(said), action
        assert await everything(v5) == before, action


@pytest.mark.parametrize(
    "custom_id",
    [
        "record:0:::::",
        f"record:7:{10**18}:2026-11-23:ABCD1234:1:deadbeef",
        f"record:{10**15 - 1}:{'9' * 19}::::",
    ],
)
async def test_no_page_of_the_record_is_turned_for_those_who_may_not_read_it(
    v5: Sandbox, custom_id: str
) -> None:
    await v5.compose(subject="Words of the team")
    for name in ("Sam", "Maya", "Omar", "Lena"):
        said = await press(v5, name, PageButton(custom_id))
        assert "You cannot search the record" in answer(said), name
        assert "digest" not in answer(said), name


ODD_PAGES: Mapping[str, str] = {
    "record:0::2026-99-99:::": "is not understood",
    "record:0::----------:::": "is not understood",
    "record:0:::::ffffffff": "there is no",
    "record:0:::12::": "is not understood",
    f"record:0:{'9' * 19}::::": "No line fits",
    f"record:{10**15 - 1}::::999999999999999999:": "No line fits",
}


async def test_an_invented_page_is_answered_and_breaks_nothing(v5: Sandbox) -> None:
    await v5.compose()
    for custom_id, told in ODD_PAGES.items():
        assert told in answer(await press(v5, "Ada", PageButton(custom_id))), custom_id


# --- forms -----------------------------------------------------------------------------------------


async def opened(sandbox: Sandbox) -> str:
    """Open the form in which Omar would reject what Maya submitted; return its id."""
    await sandbox.submit(await sandbox.compose())
    shown = await sandbox.person("Omar").click(sandbox.review_card(), label="Reject")
    assert shown.modal is not None
    return shown.modal["custom_id"]


async def submit(sandbox: Sandbox, name: str, custom_id: str, *, interaction: int = 10**18) -> None:
    """Submit a form as nobody could in Discord: any form, by anybody, as often as they like."""
    client, person = sandbox.herald.client, sandbox.person(name)
    roles = [str(sandbox.world.roles[key].id) for key in PEOPLE[name]]
    user = {"id": str(person.id), "username": name, "discriminator": "0", "avatar": None}
    member = {"user": user, "roles": roles, "joined_at": None, "deaf": False, "mute": False, "flags": 0}
    field = {
        "type": 18,
        "id": 1,
        "component": {"type": 4, "id": 2, "custom_id": "reason", "value": "Forged."},
    }
    channel = str(sandbox.channel("review").id)
    with pytest.MonkeyPatch.context() as patch:
        # What is made up has no answer that Discord would take.
        patch.setattr(discord.InteractionResponse, "defer", go_nowhere)
        client._take(  # pyright: ignore[reportPrivateUsage]
            {
                "id": str(interaction), "application_id": str(client.application_id), "type": 5, "token": "t",
                "version": 1, "guild_id": str(sandbox.world.guild.id), "channel_id": channel,
                "channel": {"id": channel, "type": 0}, "member": member | {"permissions": "0"},
                "data": {"custom_id": custom_id, "components": [field]}, "locale": "en", "entitlements": [],
                "authorizing_integration_owners": {}, "context": 0, "attachment_size_limit": 0,
            }
        )  # fmt: skip
        while tasks := client._under_way:  # pyright: ignore[reportPrivateUsage]
            await asyncio.wait(tasks)


async def go_nowhere(*_: object, **__: object) -> None:
    """Stand in the place of an answer."""


async def last_line(sandbox: Sandbox) -> tuple[str, str]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        entry = last(tx.audit.of_guild(sandbox.world.guild.id))
    return entry.actor.name, entry.action


async def test_a_form_that_somebody_else_opened_is_decided_by_who_submits_it(tolerant: Sandbox) -> None:
    form = await opened(tolerant)
    before = await everything(tolerant)
    await submit(tolerant, "Sam", form)
    assert await last_line(tolerant) == ("Sam", "refused reject")
    assert await everything(tolerant) == before


async def test_a_form_of_whoever_may_does_what_it_says_so_that_the_others_prove_something(
    tolerant: Sandbox,
) -> None:
    await submit(tolerant, "Omar", await opened(tolerant))
    assert await last_line(tolerant) == ("Omar", "reject")


async def test_a_form_is_decided_by_the_roles_of_the_moment_it_is_submitted(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    omar = v5.person("Omar")
    form = await omar.click(v5.review_card(), label="Reject")
    before = await everything(v5)
    v5.world.env.backend.remove_member_role(v5.world.guild.id, omar.id, v5.world.roles["approve"].id)
    assert "it takes the role" in answer(await omar.submit_modal(form, {"reason": "too late"}))
    assert await everything(v5) == before


async def test_a_form_that_is_submitted_twice_does_what_it_does_once(tolerant: Sandbox) -> None:
    form = await opened(tolerant)
    await submit(tolerant, "Omar", form)
    before = await everything(tolerant)
    for interaction in (10**18, 10**18 + 1):
        await submit(tolerant, "Omar", form, interaction=interaction)
    assert await everything(tolerant) == before


@pytest.mark.parametrize(
    "form",
    [
        "herald:{0}:1",
        "herald:{1}:1",
        f"herald:{{1}}:{'9' * 40}",
        "herald:{1}:١",
        "herald::",
        "herald:reject:1:1",
    ],
)
async def test_an_invented_form_changes_nothing(tolerant: Sandbox, form: str) -> None:
    await opened(tolerant)
    before = await everything(tolerant)
    await submit(tolerant, "Omar", form.format(tolerant.herald.client.session, "f" * 16))
    assert await everything(tolerant) == before


@pytest.fixture
async def tolerant(open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox, None]:
    """Open a sandbox whose Discord does not know the interactions that are made up here."""
    async with open_sandbox("v5", tolerant=True) as sandbox:
        yield sandbox
