"""What was seen is what is decided upon: no card and no form counts for anything but what it showed."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import discord
import pytest

from bot import seal
from bot.broadcast import Broadcast, Status
from bot.chat.custom_ids import BUTTON, FORM, LIMIT, Subject, button_id, form_id, seen
from bot.errors import Conflict, NotFound
from bot.permissions import Action
from bot.sandbox.sandbox import Sandbox, answer, readable, response
from bot.seal import LENGTH
from bot.service.gate import OLD_CARD
from bot.store import Access
from cogs.buttons import CHANGE_AUDIENCE, CHANGE_TOPIC, LOOKS
from tests.conftest import OpenSandbox
from tests.database import new_file
from tests.harness.backup import back_up
from tests.harness.cards import subject_of
from tests.harness.found import only
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS
from tests.harness.policy import parsed
from tests.harness.process import Cluster, Process
from tests.test_permissions_in_discord import FORMS, NOTHING_TYPED, TYPED, bring, forged, opened

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

# What takes the role compose.
COMPOSING: Final = {
    *(Action.SHARE, Action.WITHDRAW, Action.SUBMIT, Action.EDIT, Action.REUSE, Action.TEST_DRAFT),
    *(CHANGE_AUDIENCE, CHANGE_TOPIC),
}
# Whom the audience of each generation stands for afterwards.
OTHERS: Final = {"v5": ('"prod_gold"', '"prod_everybody"'), "v1": ('"exp_gold"', '"exp_everybody"')}


def ids_on(message: discord.Message) -> list[str]:
    """Return the ids of all buttons that stand on a message."""
    rows = [row for row in message.components if isinstance(row, discord.ActionRow)]
    return [one.custom_id or "" for row in rows for one in row.children]


async def begin_again(sandbox: Sandbox, *, others: tuple[str, str] | None = None) -> None:
    """Restart it, perhaps with an audience that stands for others, and let it draw what is to be drawn."""
    await sandbox.restart(edit_policy=lambda text: text.replace(*others) if others else text)
    await sandbox.herald.startup.begin()
    await sandbox.settle()


async def everything(sandbox: Sandbox) -> Sequence[Any]:
    """Return all that a press could have changed."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        broadcasts = [tx.broadcasts.find(number) for number in range(1, 4)]
    return [broadcasts, sandbox.whop.exchanges.copy()]


async def assert_out_of_date(sandbox: Sandbox, custom_ids: Sequence[str]) -> None:
    """Press each button as whoever could, and see that none does anything."""
    before = await everything(sandbox)
    for custom_id in custom_ids:
        name = "Maya" if custom_id.split(":")[1] in COMPOSING else "Lena"
        pressed = await sandbox.person(name).click(await forged(sandbox, custom_id), custom_id=custom_id)
        assert (pressed.modal, answer(pressed)) == (None, OLD_CARD), custom_id
    assert await everything(sandbox) == before


async def test_an_old_card_of_the_very_words_approves_nothing_for_others(sandbox: Sandbox) -> None:
    """The audience stands for others by now; number, revision and words are still the same."""
    await sandbox.submit(await sandbox.compose())
    old = ids_on(sandbox.review_card())
    await begin_again(sandbox, others=OTHERS[sandbox.generation])
    await sandbox.press("Maya", "Withdraw")
    await sandbox.herald.service.submit(sandbox.actor("Maya"), 1, revision=1)
    await sandbox.settle()

    await assert_out_of_date(sandbox, old)
    await sandbox.press("Lena", "Approve")
    assert only((await everything(sandbox))[0][:1]).status is Status.APPROVED


async def test_a_card_from_before_a_withdrawal_counts_for_nothing_that_is_submitted_again(
    v5: Sandbox,
) -> None:
    """All is as it was, but for the note: not even that is approved unseen."""
    await v5.submit(await v5.compose(), note="The price is not final")
    old = ids_on(v5.review_card())
    await v5.press("Maya", "Withdraw")
    await v5.herald.service.submit(v5.actor("Maya"), 1, revision=1, note="The price is final")
    await v5.settle()
    await assert_out_of_date(v5, old)


async def test_a_draft_card_submits_nothing_for_others_than_it_named(v5: Sandbox) -> None:
    old = ids_on(response(await v5.compose()))
    await begin_again(v5, others=OTHERS["v5"])
    await assert_out_of_date(v5, old)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("size = 420", "size = 430", "up to about 430 people"),
        ("approvals = 1", "approvals = 2", "Approvals 0 of 2"),
    ],
)
async def test_a_card_that_showed_another_size_or_rule_counts_for_nothing(
    v5: Sandbox, before: str, after: str, shown: str
) -> None:
    await v5.submit(await v5.compose())
    old = ids_on(v5.review_card())
    await begin_again(v5, others=(before, after))
    await assert_out_of_date(v5, old)
    assert shown in readable(v5.review_card())


async def test_cards_of_an_earlier_herald_are_out_of_date_until_they_are_drawn_anew(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.submit(await sandbox.compose())
        card = sandbox.review_card()
        await assert_out_of_date(sandbox, [one.rsplit(":", 1)[0] for one in ids_on(card)])
        with sandbox.herald.store.begin() as tx:
            # As the Herald before left it, and as the migration does.
            tx._connection.exec_driver_sql("DELETE FROM facts WHERE name LIKE 'cards of %'")
            tx._connection.exec_driver_sql("UPDATE broadcasts SET nonce = lower(hex(randomblob(16)))")
        await assert_out_of_date(sandbox, ids_on(card))
        await begin_again(sandbox)
        assert ids_on(sandbox.review_card()) != ids_on(card)
        await sandbox.press("Omar", "Approve")
        assert (await everything(sandbox))[0][0].status is Status.APPROVED


async def test_a_start_that_changes_nothing_draws_no_card_anew(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await begin_again(v5)
    sent = len(v5.world.env.http_requests)
    await begin_again(v5)
    later = v5.world.env.http_requests[sent:]
    assert not [one for one in later if one.method == "PATCH" and "/messages/" in one.path]


# --- copies and new databases ------------------------------------------------------------------------


@pytest.fixture
async def cluster(tmp_path: Path) -> Any:
    async with Cluster.open(new_file(tmp_path), tmp_path) as opened:
        yield opened


def sealed(process: Process, broadcast: Broadcast) -> str:
    return seal.of_broadcast(process.service.lifecycle, broadcast)


async def test_a_number_that_a_new_database_gives_out_again_is_another_card(
    tmp_path: Path, cluster: Cluster
) -> None:
    first = await cluster.join()
    old = await first.submitted()
    (tmp_path / "new").mkdir()
    cluster.url = new_file(tmp_path / "new")
    second = await cluster.join(restore_guard=tmp_path / "new" / "witness")
    new = await second.submitted()
    assert (new.id, new.revision, new.fingerprint) == (old.id, old.revision, old.fingerprint)
    with pytest.raises(Conflict, match="This card is out of date"):
        await second.service.approve(replace(OMAR, seen=sealed(first, old)), new.id, revision=1)
    await second.service.approve(replace(OMAR, seen=sealed(second, new)), new.id, revision=1)


async def test_what_a_copy_of_the_database_brings_about_has_other_cards(cluster: Cluster) -> None:
    """The very same words are typed, and submitted, before and after the copy is put back."""
    process = await cluster.join()
    draft = await process.service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)
    put_back = back_up(cluster.url, cluster.folder)
    cards: list[str] = []
    for _ in range(2):
        edited = await process.service.edit(MAYA, draft.id, revision=1, notification=WORDS)
        cards.append(sealed(process, edited))
        submitted = await process.service.submit(MAYA, draft.id, revision=edited.revision)
        cards.append(sealed(process, submitted))
        other = await process.service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)
        cards.append(sealed(process, other))
        put_back()
    assert len(set(cards)) == 6


async def test_a_stop_counts_also_on_a_card_that_is_still_to_be_drawn_anew(cluster: Cluster) -> None:
    before = await cluster.join()
    approved = await before.approved()
    old = sealed(before, approved)
    await before.leave()
    told = cluster.policy_text().replace("size = 20", "size = 21")
    process = await cluster.join(policy=parsed(told))
    await process.startup.begin()
    assert sealed(process, await process.get()) != old
    with pytest.raises(Conflict, match="out of date"):
        await process.service.stop(replace(OMAR, seen=old), 1, revision=2)
    await process.service.stop(replace(OMAR, seen=old), 1, revision=1)
    assert await process.status() is Status.DRAFT
    await process.service.explain_stop(replace(OMAR, seen=old), 1, revision=1, reason="not now")


async def test_a_freeze_is_not_lifted_for_more_than_was_shown(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    await process.service.freeze(OMAR, "Wrong price")
    freeze, waiting = await process.service.frozen(LENA)
    assert freeze is not None
    shown = replace(LENA, seen=seal.of_freeze(freeze, waiting))
    await process.approved()
    with pytest.raises(Conflict, match="This card is out of date"):
        await process.service.unfreeze(shown)
    await process.unfreeze(LENA)
    await process.service.freeze(OMAR, "Wrong price")
    with pytest.raises(Conflict, match="This card is out of date"):
        await process.service.unfreeze(shown)


async def test_a_card_of_a_template_that_asks_for_other_approvals_is_gone(v5: Sandbox) -> None:
    lena, service = v5.actor("Lena"), v5.herald.service
    standing = only(await service.templates(lena))
    with pytest.raises(NotFound, match="This card is out of date"):
        await service.approve_template(lena, standing._replace(needed=standing.needed + 1).number)


# --- forms -------------------------------------------------------------------------------------------


UNSEALED = {"ComposeModal", "BlanksModal", "TemplateModal"}


@pytest.mark.parametrize("form", [one for one in FORMS if one not in UNSEALED])
async def test_a_form_that_was_opened_before_a_change_is_refused_with_what_was_typed(
    v5: Sandbox, form: str
) -> None:
    name, _, status = FORMS[form]
    await bring(v5, status)
    if form.startswith("NameModal"):
        await v5.restart(edit_policy=lambda text: text.replace("size = 420", "size = 4200"))
    shown = await opened(v5, form)
    assert shown.modal is not None
    assert not (shown.modal["custom_id"]).endswith(":")
    with v5.herald.store.begin() as tx:
        # Submitted anew, withdrawn, edited: whatever it was, something else was drawn for it since.
        tx._connection.exec_driver_sql("UPDATE broadcasts SET nonce = 'another'")
        tx._connection.exec_driver_sql("UPDATE everyday_templates SET author_name = 'another'")
    service = v5.herald.service
    if form.endswith("template"):
        # Its words are the policy's, which a running Herald does not read again.
        server = service.policy.servers[0]
        v5_templates = tuple(one.model_copy(update={"subject": "Other"}) for one in server.templates)
        object.__setattr__(server, "templates", v5_templates)
    before = await everything(v5)
    result = await v5.person(name).submit_modal(shown, TYPED[form.split(maxsplit=1)[0]])

    kept = [] if form.startswith(NOTHING_TYPED) else ["What you typed is attached, to copy."]
    said = answer(result).splitlines()
    assert said[0].startswith("This card is out of date: ")
    assert said[1:] == kept
    if kept:
        attached = only(response(result).attachments or result.followups[-1].attachments)
        first, *_ = TYPED[form.split(maxsplit=1)[0]].values()
        assert str(first) in (await attached.read()).decode()
    assert await everything(v5) == before


# --- ids ---------------------------------------------------------------------------------------------


def test_no_id_is_longer_than_discord_takes() -> None:
    longest = Subject(10**18 - 1, 10**9 - 1, "f" * LENGTH)
    written = [button_id(action, longest) for action in LOOKS]
    written.append(form_id("f" * 16, 2**64 - 1, "f" * LENGTH))
    assert max(map(len, written)) <= LIMIT
    for one in written:
        assert only([name for name in (BUTTON, FORM) if re.fullmatch(name, one)])


async def test_every_button_and_form_of_every_card_carries_the_seal_of_what_it_shows(v5: Sandbox) -> None:
    draft = await v5.compose()
    expected = subject_of(v5).seal
    assert {one.rsplit(":", 1)[1] for one in ids_on(response(draft))} == {expected}
    await v5.submit(draft)
    assert subject_of(v5).seal != expected
    assert {one.rsplit(":", 1)[1] for one in ids_on(v5.review_card())} == {subject_of(v5).seal}
    shown = await v5.person("Lena").click(v5.review_card(), label="Reject")
    assert shown.modal is not None
    assert shown.modal["custom_id"].endswith(f":{subject_of(v5).seal}")


def test_a_command_shows_nothing_and_an_unknown_id_nothing_that_counts() -> None:
    def interaction(kind: discord.InteractionType, **data: str) -> Any:
        return type("Made", (), {"type": kind, "data": data})()

    kinds = discord.InteractionType
    assert seen(interaction(kinds.application_command, name="notify")) is None
    for custom_id in ("herald:approve:1:1", "list:queue:0", "", "herald:approve:1:1:" + "g" * LENGTH):
        assert seen(interaction(kinds.component, custom_id=custom_id)) == "", custom_id
