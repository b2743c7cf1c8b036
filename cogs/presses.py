"""What pressing a button does."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from bot.audience import is_large
from bot.broadcast import Status
from bot.chat.channels import why_unseen
from bot.chat.client import HeraldBot, Interaction, Press
from bot.chat.members import actor_of
from bot.errors import NotReady, Unreachable
from bot.permissions import Action, Actor
from bot.quorum import missing
from cogs.buttons import (
    CHANGE_AUDIENCE,
    CHANGE_TOPIC,
    EDIT_PHONE,
    OPEN,
    OPEN_SERIES,
    TIMES,
    TYPE_CODE,
    USE_TEMPLATE,
    ActionButton,
)
from cogs.changing import change
from cogs.correcting import correct
from cogs.everyday_presses import EVERYDAY_PRESSES
from cogs.linking import press_code
from cogs.modals import REASONED, ConfirmModal, NameModal, ReasonModal
from cogs.own_lists import download_list, give_list, use_list
from cogs.repeats import warn_of_alike
from cogs.series import RepeatModal, show_series
from cogs.sharing import share
from cogs.showing import cards_of, show, show_draft, told_in
from cogs.situation import going_out
from cogs.template import show_template
from cogs.testing import press_arrived, press_test
from cogs.text import inline, numbered, shorten
from cogs.writing import BlanksModal, ComposeModal, PhoneModal, TimeModal, compose_from


async def _edit(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision  # an old card opens the newest words
    service = interaction.client.service
    actor = actor_of(interaction)
    broadcast = await service.editable(actor, number)
    await interaction.response.send_modal(ComposeModal.editing(interaction, service.form(actor), broadcast))


async def _reschedule(interaction: Interaction, number: int, revision: int) -> None:
    broadcast = await interaction.client.service.ask(
        actor_of(interaction), Action.RESCHEDULE, number, revision=revision
    )
    await interaction.response.send_modal(TimeModal(interaction, broadcast))


async def _repeat(interaction: Interaction, number: int, revision: int) -> None:
    broadcast = await interaction.client.service.ask(
        actor_of(interaction), Action.REPEAT, number, revision=revision
    )
    await interaction.response.send_modal(RepeatModal(interaction, broadcast))


async def _open_series(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    await interaction.response.defer(ephemeral=True, thinking=True)
    found = await interaction.client.service.series(actor_of(interaction), number)
    await show_series(interaction, found)


def _steer(action: Action) -> Press:
    async def press(interaction: Interaction, number: int, revision: int) -> None:
        steer = getattr(interaction.client.service, action.value)
        # A refusal is for whoever pressed alone, and not for the channel.
        after = await steer(actor_of(interaction), number, revision=revision)
        await interaction.response.defer()
        await show_series(interaction, after)

    return press


def _settle_time(choice: int) -> Press:
    async def press(interaction: Interaction, number: int, revision: int) -> None:
        service, actor = interaction.client.service, actor_of(interaction)
        # A refusal is for whoever pressed alone, and not for the channel.
        await service.ask(actor, Action.EDIT, number, revision=revision)
        await interaction.response.defer()
        draft = await service.settle_time(actor, number, revision=revision, choice=choice)
        await show_draft(interaction, draft)

    return press


async def _edit_phone(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    broadcast = await interaction.client.service.editable(actor_of(interaction), number)
    await interaction.response.send_modal(PhoneModal(interaction, broadcast))


async def _submit(interaction: Interaction, number: int, revision: int) -> None:
    client = interaction.client
    service = client.service
    broadcast, offer, beside = await service.submittable(actor_of(interaction), number, revision=revision)
    cards = cards_of(client)
    as_submitted = cards.as_submitted(broadcast, offer, beside)
    summary = cards.confirmation(as_submitted, why_not=offer.why_not, beside=beside)
    asks = cards.asks(as_submitted)
    await interaction.response.send_modal(ConfirmModal(interaction, broadcast, summary, asks=asks))


async def _open(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    await show(interaction, number)


async def _approve(interaction: Interaction, number: int, revision: int) -> None:
    async def approve(answered: Interaction, typed: str) -> None:
        await answered.response.defer(ephemeral=True, thinking=True)
        try:
            after = await service.approve(
                actor_of(answered), number, revision=revision, typed=typed, warned=warned
            )
        except NotReady:
            # It may ask for a name by now: the next press opens the form for it.
            cards.forget(number)
            raise
        if after.status is Status.APPROVED:
            due = going_out(after)
            which = numbered(after)
            said = f"Approved. {which} goes out {due}; until then **Stop** on its card takes it back."
        else:
            needed = missing(service.lifecycle.server_of(after), after)
            said = f"Your approval of {numbered(after)} counts. It needs {needed} more."
        await answered.edit_original_response(content=f"{said}\n-# proof {after.proof}")

    service, cards = interaction.client.service, cards_of(interaction.client)
    # Discord is answered before anything is asked, wherever no name has to be typed: what may be approved the
    # service decides all the same.
    audience, large, warning, warned = cards.audience_of(number), False, "", list[int]()
    if audience is None:
        asked, beside = await service.approvable(actor_of(interaction), number, revision=revision)
        audience, warning = asked.audience, warn_of_alike(beside)
        large = is_large(service.lifecycle.server_of(asked), asked)
        warned = [one.id for one in beside.alike]
    await _named(interaction, audience, f"#{number}", approve, large=large, warning=warning)


async def _named(
    interaction: Interaction,
    audience: str,
    what: str,
    approve: Callable[[Interaction, str], Awaitable[None]],
    *,
    large: bool,
    warning: str = "",
) -> None:
    """Ask for the name of a large audience, or of one that gets the same again, before going on."""
    if warning or large:
        form = NameModal(interaction, what, audience, approve, warning=warning)
        await interaction.response.send_modal(form)
    else:
        await approve(interaction, "")


async def _use_template(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    service = interaction.client.service
    standing = await service.ask_template(actor_of(interaction), Action.COMPOSE, number)
    if standing.template.blanks():
        await interaction.response.send_modal(BlanksModal(interaction, standing))
    else:
        await compose_from(interaction, number, {})


async def _approve_template(interaction: Interaction, number: int, revision: int) -> None:
    async def approve(answered: Interaction, typed: str) -> None:
        await answered.response.defer()
        await show_template(answered, await service.approve_template(actor_of(answered), number, typed=typed))

    _ = revision
    service = interaction.client.service
    standing = await service.ask_template(actor_of(interaction), Action.APPROVE_TEMPLATE, number)
    template = standing.template
    server = service.gate.server(actor_of(interaction))
    large = server.is_large(template.audience)
    await _named(interaction, template.audience, f"“{template.name}”", approve, large=large)


async def _retract_template(interaction: Interaction, number: int, revision: int) -> None:
    _ = revision
    service = interaction.client.service
    await service.ask_template(actor_of(interaction), Action.RETRACT_TEMPLATE, number)
    await interaction.response.defer()
    await show_template(interaction, await service.retract_template(actor_of(interaction), number))


async def _send_again(interaction: Interaction, number: int, revision: int) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    draft = await interaction.client.service.send_again(
        actor_of(interaction), number, revision=revision, channel_id=told_in(interaction)
    )
    await show_draft(interaction, draft)


async def _reuse(interaction: Interaction, number: int, revision: int) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    draft = await interaction.client.service.reuse(
        actor_of(interaction), number, revision=revision, channel_id=told_in(interaction)
    )
    await show_draft(interaction, draft, said=f"A new draft in the words of #{number}.")


async def _look_up(interaction: Interaction, number: int, revision: int) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    after, said = await interaction.client.service.look_up(actor_of(interaction), number, revision=revision)
    await interaction.edit_original_response(content=f"{numbered(after)}: {inline(shorten(said, 1800))}")


async def _elsewhere(client: HeraldBot, actor: Actor) -> list[Actor]:
    """Return who somebody is in the other servers that the freeze over theirs halts, as Discord says now."""
    service, found = client.service, list[Actor]()
    freeze = (await service.frozen(actor))[0] if service.permits(actor, Action.UNFREEZE) else None
    for server in service.lifecycle.halted_by(freeze) if freeze else ():
        # Where Discord does not say it, they are taken to be nobody.
        with suppress(Unreachable):
            if server.guild != actor.guild_id and (
                there := await client.members.membership_of(server.guild, actor.id)
            ):
                found.append(replace(actor, guild_id=server.guild, interaction=None, **there._asdict()))
    return found


async def _unfreeze(interaction: Interaction, number: int, revision: int) -> None:
    _ = number, revision
    await interaction.response.defer(ephemeral=True, thinking=True)
    actor = actor_of(interaction)
    elsewhere = await _elsewhere(interaction.client, actor)
    await interaction.client.service.unfreeze(actor, elsewhere=elsewhere)
    await interaction.edit_original_response(content="The freeze is lifted.")


async def _stop(interaction: Interaction, number: int, revision: int) -> None:
    actor = actor_of(interaction)
    after = await interaction.client.service.stop(actor, number, revision=revision)
    if actor.id == after.author.id:
        said = f"Stopped. {numbered(after)} is a draft again: `/notify drafts` opens it."
        await interaction.response.send_message(said, ephemeral=True)
    else:
        # Stopped it is, whatever becomes of the question.
        await interaction.response.send_modal(ReasonModal(interaction, Action.STOP, number, revision))


async def _release(interaction: Interaction, number: int, revision: int) -> None:
    await interaction.response.defer(ephemeral=True, thinking=True)
    client = interaction.client
    server = client.service.policy.server(interaction.guild_id)
    unseen = await why_unseen(client, server.channels.review) if server else None
    await client.service.release(actor_of(interaction), number, revision=revision, unseen=unseen)
    place = f" in <#{server.channels.review}>" if server else ""
    said = f"#{number} is before the approvers again: see its new card{place}."
    await interaction.edit_original_response(content=said)


def _at_once(action: str, said: str) -> Press:
    async def press(interaction: Interaction, number: int, revision: int) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        change = getattr(interaction.client.service, action)
        after = await change(actor_of(interaction), number, revision=revision)
        await interaction.edit_original_response(
            content=said.format(which=numbered(after), author=inline(after.author.name))
        )

    return press


def _with_reason(action: Action) -> Press:
    async def press(interaction: Interaction, number: int, revision: int) -> None:
        # Refused before anything is typed; the service decides once more when it is submitted.
        await interaction.client.service.ask(actor_of(interaction), action, number, revision=revision)
        await interaction.response.send_modal(ReasonModal(interaction, action, number, revision))

    return press


PRESSES: Final[Mapping[str, Press]] = MappingProxyType(
    {
        Action.EDIT: _edit,
        EDIT_PHONE: _edit_phone,
        CHANGE_AUDIENCE: change(CHANGE_AUDIENCE),
        CHANGE_TOPIC: change(CHANGE_TOPIC),
        Action.GIVE_LIST: give_list,
        Action.USE_LIST: use_list,
        Action.DOWNLOAD_LIST: download_list,
        Action.SHARE: share,
        Action.CORRECT: correct,
        OPEN: _open,
        Action.RESCHEDULE: _reschedule,
        Action.REPEAT: _repeat,
        OPEN_SERIES: _open_series,
        **{one: _steer(one) for one in (Action.SKIP, Action.PAUSE, Action.GO_ON, Action.END)},
        **{action: _settle_time(choice) for choice, action in enumerate(TIMES)},
        **{one: press_test(one) for one in (Action.TEST_DRAFT, Action.TEST_REVIEW)},
        Action.ARRIVED: press_arrived,
        TYPE_CODE: press_code,
        Action.SEND_AGAIN: _send_again,
        Action.REUSE: _reuse,
        Action.LOOK_UP: _look_up,
        Action.UNFREEZE: _unfreeze,
        Action.SUBMIT: _submit,
        Action.APPROVE: _approve,
        USE_TEMPLATE: _use_template,
        Action.APPROVE_TEMPLATE: _approve_template,
        Action.RETRACT_TEMPLATE: _retract_template,
        Action.RETRACT: _at_once("retract", "Your approval of {which} no longer counts."),
        Action.WITHDRAW: _at_once("withdraw", "{which} is a draft again: `/notify drafts` opens it."),
        Action.CHECK: _at_once("check_again", "Whop is being asked about {which}: see its card."),
        Action.RELEASE: _release,
        Action.RETURN: _at_once("take_back", "{which} is a draft of {author}'s again."),
        **{action: _with_reason(action) for action in REASONED},
        Action.STOP: _stop,
        **EVERYDAY_PRESSES,
    }
)


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once, and what they do: nothing is kept for each message."""
    bot.add_dynamic_items(ActionButton)
    bot.presses = PRESSES
