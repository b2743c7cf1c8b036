"""The modals in which words are written: a draft, its words for the phone, a template's blanks."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import discord
from discord import ui
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.client import HeraldBot
from bot.chat.members import actor_of
from bot.notification import (
    CONTENT_LIMIT,
    EXTRA_LIMIT,
    PHONE_CONTENT,
    PHONE_SUBJECT,
    SPLIT_CONTENT_LIMIT,
    SUBJECT_LIMIT,
    Notification,
    Text,
)
from bot.own_list import PASTED
from bot.schedule import TYPED_LIMIT
from bot.service import Standing
from bot.template import BLANK_LIMIT
from bot.whop import Form
from cogs.modals import HeraldModal, line_input, paragraph_input
from cogs.own_lists import show_with_list
from cogs.showing import show_draft, told_in
from cogs.text import label
from cogs.times import WHEN

WHEN_HINT: Final = "Empty: once approved. Or 18:30, tomorrow 9am, friday 18:00, 2026-12-24 08:00."
SAME: Final = "same"
SPLIT: Final = "split"


class ComposeModal(HeraldModal):
    """The words of a notification, for a new draft or for one that is edited."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        form: Form,
        *,
        audience: str,
        topic: str,
        title: str,
        broadcast: Broadcast | None = None,
        attachment: discord.Attachment | None = None,
    ) -> None:
        super().__init__(interaction, title)
        self._attachment = attachment
        self._audience = audience
        self._topic = topic
        self._broadcast = broadcast
        known = broadcast.notification if broadcast else None
        text = (known.all or known.in_app) if known else None
        self.subject = line_input("subject", text.subject if text else "", limit=SUBJECT_LIMIT)
        self.content = paragraph_input("content", text.content if text else "", limit=CONTENT_LIMIT)
        self.where: ui.RadioGroup[Any] | None = None
        self.subtitle: ui.TextInput[Any] | None = None
        hint = f"A lock screen shows about {PHONE_SUBJECT} characters; at most {SUBJECT_LIMIT}."
        self.add_item(ui.Label(text=form.subject, description=hint, component=self.subject))
        hint = f"A lock screen shows about {PHONE_CONTENT} characters; at most {CONTENT_LIMIT}."
        self.add_item(ui.Label(text="Content", description=hint, component=self.content))
        if form.splits_feed_and_phone:
            self.where = where_input(split=bool(known and known.all is None))
            self.add_item(ui.Label(text="Where it goes", component=self.where))
        if form.has_subtitle:
            value = known.subtitle or "" if known else ""
            self.subtitle = line_input("subtitle", value, limit=EXTRA_LIMIT, required=False)
            self.add_item(ui.Label(text="Subtitle", description="May stay empty.", component=self.subtitle))
        schedule = broadcast.schedule if broadcast else None
        self.time = line_input("time", schedule.shown if schedule else "", limit=TYPED_LIMIT, required=False)
        self.link = line_input("link", known.link or "" if known else "", limit=EXTRA_LIMIT, required=False)
        self.add_item(ui.Label(text=form.link, description=form.link_hint, component=self.link))
        self.add_item(ui.Label(text=WHEN, description=WHEN_HINT, component=self.time))

    @classmethod
    def editing(cls, interaction: discord.Interaction[Any], form: Form, broadcast: Broadcast) -> Self:
        """Return the modal filled with what a draft says."""
        return cls(
            interaction,
            form,
            audience=broadcast.audience,
            topic=broadcast.notification.topic,
            title=f"Edit #{broadcast.id} for {label(broadcast.audience)}",
            broadcast=broadcast,
        )

    def notification(self) -> Notification:
        """Return what was typed, exactly."""
        text = Text(subject=self.subject.value, content=self.content.value)
        before = self._broadcast.notification if self._broadcast else None
        split = self.where is not None and self.where.value == SPLIT
        return Notification(
            topic=self._topic,
            all=None if split else text,
            in_app=text if split else None,
            mobile=before.mobile if split and before else None,
            subtitle=(self.subtitle.value or None) if self.subtitle else None,
            link=self.link.value or None,
        )

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store first, then show."""
        client: HeraldBot = interaction.client
        actor, known = actor_of(interaction), self._broadcast.schedule if self._broadcast else None
        if self._broadcast is None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            draft = await client.service.compose(
                actor,
                audience=self._audience,
                notification=self.notification(),
                schedule=await client.service.read_time(actor, self.time.value),
                channel_id=told_in(interaction),
                list_name=self._attachment.filename if self._attachment else PASTED,
            )
            if self._attachment is not None:
                await show_with_list(interaction, draft, self._attachment)
                return
        else:
            await interaction.response.defer()
            draft = await client.service.edit(
                actor,
                self._broadcast.id,
                revision=self._broadcast.revision,
                notification=self.notification(),
                schedule=await client.service.read_time(actor, self.time.value, known=known),
            )
        await show_draft(interaction, draft)


class TimeModal(HeraldModal):
    """Another time for what has one already, or none."""

    def __init__(self, interaction: discord.Interaction[Any], broadcast: Broadcast) -> None:
        super().__init__(interaction, f"Another time for #{broadcast.id}")
        self._broadcast = broadcast
        known = broadcast.schedule
        self.time = line_input("time", known.shown if known else "", limit=TYPED_LIMIT, required=False)
        said = "It is a draft again then, and does **not** go out until you ask for approval and get it anew."
        self.add_item(ui.TextDisplay(said))
        self.add_item(ui.Label(text=WHEN, description=WHEN_HINT, component=self.time))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Take it back to draft with its new time, and show that."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        client: HeraldBot = interaction.client
        actor, known = actor_of(interaction), self._broadcast.schedule
        draft = await client.service.reschedule(
            actor,
            self._broadcast.id,
            revision=self._broadcast.revision,
            schedule=await client.service.read_time(actor, self.time.value, known=known),
        )
        said = f"#{draft.id} is a draft again, and no approval counts: **ask for approval** anew."
        await show_draft(interaction, draft, said=said)


class PhoneModal(HeraldModal):
    """The words for the phone, where they differ from those in the feed."""

    def __init__(self, interaction: discord.Interaction[Any], broadcast: Broadcast) -> None:
        super().__init__(interaction, f"Phone words of #{broadcast.id}")
        self._broadcast = broadcast
        known = broadcast.notification.mobile or Text(subject="", content="")
        self.subject = line_input("subject", known.subject, limit=SUBJECT_LIMIT)
        self.content = paragraph_input("content", known.content, limit=SPLIT_CONTENT_LIMIT)
        hint = f"A lock screen shows about {PHONE_SUBJECT} characters."
        self.add_item(ui.Label(text="Subject on the phone", description=hint, component=self.subject))
        hint = f"A lock screen shows about {PHONE_CONTENT} characters; at most {SPLIT_CONTENT_LIMIT}."
        self.add_item(ui.Label(text="Content on the phone", description=hint, component=self.content))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store the phone's words beside those of the feed."""
        await interaction.response.defer()
        client: HeraldBot = interaction.client
        known = self._broadcast.notification
        words = Text(subject=self.subject.value, content=self.content.value)
        changed = known.model_copy(update={"all": None, "in_app": known.in_app or known.all, "mobile": words})
        draft = await client.service.edit(
            actor_of(interaction),
            self._broadcast.id,
            revision=self._broadcast.revision,
            notification=changed,
        )
        await show_draft(interaction, draft)


async def compose_from(interaction: discord.Interaction[Any], number: int, values: Mapping[str, str]) -> None:
    """Store a draft of a template and show it to its author."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    client: HeraldBot = interaction.client
    draft = await client.service.compose_from(
        actor_of(interaction), number, values, channel_id=told_in(interaction)
    )
    await show_draft(interaction, draft)


class BlanksModal(HeraldModal):
    """The blanks of a template, one line each."""

    def __init__(self, interaction: discord.Interaction[Any], standing: Standing) -> None:
        super().__init__(interaction, f"Fill in “{label(standing.template.name)}”")
        self._number = standing.number
        template = standing.template
        self.blanks = {name: _blank(name, template.choices(name)) for name in template.blanks()}
        for name, field in self.blanks.items():
            self.add_item(ui.Label(text=name, component=field))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store the draft that they make."""
        values = {
            name: field.value if isinstance(field, ui.TextInput) else "".join(field.values)
            for name, field in self.blanks.items()
        }
        await compose_from(interaction, self._number, values)


def _blank(name: str, choices: Sequence[str]) -> ui.TextInput[Any] | ui.Select[Any]:
    if not choices:
        return line_input(name, "", limit=BLANK_LIMIT)
    return ui.Select(custom_id=name, options=[discord.SelectOption(label=one) for one in choices])


def where_input(*, split: bool) -> ui.RadioGroup[Any]:
    """Return the choice between one text and two."""
    return ui.RadioGroup(
        custom_id="where",
        options=[
            discord.RadioGroupOption(
                label="Feed and phone", value=SAME, description="The same words in both.", default=not split
            ),
            discord.RadioGroupOption(
                label="Different words for feed and phone",
                value=SPLIT,
                description="These words for the feed; the phone's come next.",
                default=split,
            ),
        ],
    )
