"""The forms of templates that moderators make: what one says, and what stands in its blanks.

Each comes back filled in where it is refused.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import discord
from discord import ui
from discord.utils import MISSING
from typing_extensions import override

from bot import seal
from bot.chat.answers import fail
from bot.chat.client import HeraldBot, Interaction
from bot.chat.custom_ids import Subject
from bot.chat.members import actor_of
from bot.errors import Refused, StoreError
from bot.everyday import LIMITS, Blank, EverydayTemplate, Outline, Typed
from bot.notification import (
    CONTENT_LIMIT,
    EXTRA_LIMIT,
    SPLIT_CONTENT_LIMIT,
    SUBJECT_LIMIT,
    Notification,
    Text,
)
from bot.permissions import Action
from bot.policy.fields import NAME_LIMIT
from bot.service import Opened
from bot.whop import Form
from cogs.buttons import PHONE_EVERYDAY, USE_EVERYDAY, ActionButton
from cogs.choices import Option, choice_input, meant, named, of_audience, of_topic
from cogs.everyday import asked_as, show_everyday
from cogs.modals import HeraldModal, line_input, paragraph_input
from cogs.showing import show_draft, told_in
from cogs.text import label, shorten
from cogs.writing import SPLIT, where_input

AGAIN: Final = "Open the form again"
# How the form says that words, not lines, are missing.
BLANKS_LIMIT: Final = 1500
BLANKS_HINT: Final = "One a line: “when: time”, “room: one of Gold, Silver”. Else {room} takes any line."
CONTENT_HINT: Final = "Write {room} where something is filled in each time."
_BLANK: Final = "blank:"


class KeptModal(HeraldModal):
    """A form whose fields are kept when it is refused, with a button that opens it again, filled in."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        title: str,
        *,
        action: Action,
        reopens: str,
        template: EverydayTemplate | None,
    ) -> None:
        super().__init__(interaction, title, seal=seal.of_everyday(template) if template else "")
        self._action = action
        self._reopens = reopens
        self._number = template.id if template else 0

    @abstractmethod
    def fields(self) -> Mapping[str, str]:
        """Return what stands in each field, by its name."""

    @override
    async def on_error(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Give what was typed back in a file, and behind a button."""
        view: discord.ui.View = MISSING
        if isinstance(error, Refused):
            with suppress(StoreError):
                service, actor = interaction.client.service, actor_of(interaction)
                sealed = await service.keep_form(actor, self._action, self._number, self.fields())
                if sealed is not None:
                    subject = Subject(self._number, 0, sealed)
                    view = discord.ui.View(timeout=None)
                    view.add_item(ActionButton(self._reopens, subject, label=AGAIN))
        await fail(interaction, error, typed=self.typed(), view=view)


class TemplateModal(KeptModal):
    """What a template says, for a new one or for one that is edited."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        form: Form,
        fields: Mapping[str, str],
        template: EverydayTemplate | None = None,
    ) -> None:
        name = label(fields["name"])
        super().__init__(
            interaction,
            f"Edit “{name}”" if template else f"New template “{name}”",
            action=Action.EDIT_TEMPLATE if template else Action.CREATE_TEMPLATE,
            reopens=Action.EDIT_TEMPLATE if template else Action.CREATE_TEMPLATE,
            template=template,
        )
        self._template = template
        self._set = {key: fields.get(key, "") for key in ("name", "audience", "topic")}
        known = {key: fields.get(key, "") for key in ("subject", "content", "subtitle", "link", "blanks")}
        self.subject = line_input("subject", known["subject"], limit=SUBJECT_LIMIT)
        self.content = paragraph_input("content", known["content"], limit=CONTENT_LIMIT)
        self.where: ui.RadioGroup[Any] | None = None
        self.subtitle: ui.TextInput[Any] | None = None
        self.add_item(ui.Label(text=form.subject, component=self.subject))
        self.add_item(ui.Label(text="Content", description=CONTENT_HINT, component=self.content))
        if form.splits_feed_and_phone:
            self.where = where_input(split=fields.get("where") == SPLIT)
            self.add_item(ui.Label(text="Where it goes", component=self.where))
        if form.has_subtitle:
            self.subtitle = line_input("subtitle", known["subtitle"], limit=EXTRA_LIMIT, required=False)
            self.add_item(ui.Label(text="Subtitle", description="May stay empty.", component=self.subtitle))
        self.link = line_input("link", known["link"], limit=EXTRA_LIMIT, required=False)
        self.add_item(ui.Label(text=form.link, description=form.link_hint, component=self.link))
        self.blanks = _blanks_input(known["blanks"])
        self.add_item(ui.Label(text="Blanks", description=BLANKS_HINT, component=self.blanks))

    @override
    def fields(self) -> Mapping[str, str]:
        """Return what was typed, and what was chosen before."""
        return self._set | {
            "subject": self.subject.value,
            "content": self.content.value,
            "where": (self.where.value or "") if self.where else "",
            "subtitle": self.subtitle.value if self.subtitle else "",
            "link": self.link.value,
            "blanks": self.blanks.value,
        }

    def _typed(self) -> Typed:
        text = Text(subject=self.subject.value, content=self.content.value)
        before = self._template.outline.words if self._template else None
        split = self.where is not None and self.where.value == SPLIT
        words = Notification(
            topic="",
            all=None if split else text,
            in_app=text if split else None,
            mobile=before.mobile if split and before else None,
            subtitle=(self.subtitle.value or None) if self.subtitle else None,
            link=self.link.value or None,
        )
        audience, topic = self._set["audience"] or None, self._set["topic"] or None
        return Typed(self._set["name"], audience, topic, words, self.blanks.value)

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Keep it, and show it as it stands then."""
        client: HeraldBot = interaction.client
        await _defer(interaction)
        actor, typed = actor_of(interaction), self._typed()
        if self._template is None:
            said = "Everybody who may compose can use it: `/notify template use`."
            seen = await client.service.create_template(actor, typed)
        else:
            said = "It says this from now on."
            before = self._template
            seen = await client.service.edit_template(actor, before.id, typed, revision=before.revision)
        await show_everyday(interaction, seen, said=said)


class TemplatePhoneModal(KeptModal):
    """The words of a template for the phone, where they differ from those in the feed."""

    def __init__(
        self,
        interaction: discord.Interaction[Any],
        template: EverydayTemplate,
        fields: Mapping[str, str],
    ) -> None:
        title = f"Phone words of “{label(template.name)}”"
        super().__init__(
            interaction, title, action=Action.EDIT_TEMPLATE, reopens=PHONE_EVERYDAY, template=template
        )
        self._template = template
        known = template.outline.words.mobile or Text(subject="", content="")
        self.subject = line_input("subject", fields.get("phone subject", known.subject), limit=SUBJECT_LIMIT)
        self.content = paragraph_input(
            "content", fields.get("phone content", known.content), limit=SPLIT_CONTENT_LIMIT
        )
        self.blanks = _blanks_input(fields.get("blanks", template.outline.declared))
        self.add_item(ui.Label(text="Subject on the phone", component=self.subject))
        self.add_item(ui.Label(text="Content on the phone", description=CONTENT_HINT, component=self.content))
        self.add_item(ui.Label(text="Blanks", description=BLANKS_HINT, component=self.blanks))

    @override
    def fields(self) -> Mapping[str, str]:
        """Return what was typed."""
        return {
            "phone subject": self.subject.value,
            "phone content": self.content.value,
            "blanks": self.blanks.value,
        }

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Keep the phone's words beside those of the feed."""
        client: HeraldBot = interaction.client
        await _defer(interaction)
        before, outline = self._template, self._template.outline
        known = outline.words
        mobile = Text(subject=self.subject.value, content=self.content.value)
        words = known.model_copy(update={"all": None, "in_app": known.in_app or known.all, "mobile": mobile})
        typed = Typed(outline.name, outline.audience, outline.topic, words, self.blanks.value)
        seen = await client.service.edit_template(
            actor_of(interaction), before.id, typed, revision=before.revision
        )
        await show_everyday(interaction, seen, said="It says this from now on.")


class FillModal(KeptModal):
    """The blanks of a template, and what else it leaves open."""

    def __init__(
        self, interaction: discord.Interaction[Any], opened: Opened, choices: "Mapping[str, Sequence[Option]]"
    ) -> None:
        template = opened.template
        super().__init__(
            interaction,
            f"Use “{label(template.name)}”",
            action=Action.COMPOSE,
            reopens=USE_EVERYDAY,
            template=template,
        )
        self._template = template
        self._choices = choices
        self.inputs: dict[str, ui.TextInput[Any] | ui.Select[Any]] = {}
        for blank in template.outline.blanks:
            name = f"{_BLANK}{blank.name}"
            component = _blank_input(name, blank, opened.fields.get(name, ""))
            self._add(name, blank.name, component, hint=asked_as(blank))
        for name, options in choices.items():
            component = choice_input(name, options, opened.fields.get(name, ""), limit=NAME_LIMIT)
            self._add(name, name.capitalize(), component, hint=None)

    def _add(
        self, name: str, shown: str, component: ui.TextInput[Any] | ui.Select[Any], *, hint: str | None
    ) -> None:
        self.inputs[name] = component
        self.add_item(ui.Label(text=shorten(label(shown), 45), description=hint, component=component))

    @override
    def fields(self) -> Mapping[str, str]:
        """Return what stands in each field."""
        return {
            name: one.value if isinstance(one, ui.TextInput) else "".join(one.values)
            for name, one in self.inputs.items()
        }

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store the draft that they make."""
        fields = self.fields()
        values = {
            name.removeprefix(_BLANK): typed for name, typed in fields.items() if name.startswith(_BLANK)
        }
        chosen = {name: meant(fields[name], options) for name, options in self._choices.items()}
        await use_template(interaction, self._template, values, **chosen)


async def fill_in(interaction: Interaction, opened: Opened) -> None:
    """Ask for what the template leaves open, or make the draft at once if that is nothing."""
    outline = opened.template.outline
    service, actor = interaction.client.service, actor_of(interaction)
    choices: dict[str, list[Option]] = {}
    if outline.audience is None:
        choices["audience"] = [of_audience(one) for one in service.audiences(actor, Action.COMPOSE)]
    if outline.topic is None:
        choices["topic"] = [of_topic(one) for one in service.topics(actor, Action.COMPOSE)]
    if outline.blanks or choices:
        await interaction.response.send_modal(FillModal(interaction, opened, choices))
    else:
        await use_template(interaction, opened.template, {})


async def use_template(
    interaction: discord.Interaction[Any],
    template: EverydayTemplate,
    values: Mapping[str, str],
    *,
    audience: str = "",
    topic: str = "",
) -> None:
    """Store a draft of a template and show it to its author."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    client: HeraldBot = interaction.client
    draft = await client.service.use_template(
        actor_of(interaction),
        template,
        values,
        audience=audience,
        topic=topic,
        channel_id=told_in(interaction),
    )
    await show_draft(interaction, draft)


def fields_of(outline: Outline) -> dict[str, str]:
    """Return what a template says as the fields of its form."""
    words = outline.words
    text = words.all or words.in_app or Text(subject="", content="")
    return {
        "name": outline.name,
        "audience": outline.audience or "",
        "topic": outline.topic or "",
        "subject": text.subject,
        "content": text.content,
        "where": SPLIT if words.all is None else "",
        "subtitle": words.subtitle or "",
        "link": words.link or "",
        "blanks": outline.declared,
    }


async def _defer(interaction: discord.Interaction[Any]) -> None:
    """Let the answer take the place of a card that only this person sees; else stand by itself."""
    if interaction.message is not None and interaction.message.flags.ephemeral:
        await interaction.response.defer()
    else:
        await interaction.response.defer(ephemeral=True, thinking=True)


def _blanks_input(value: str) -> ui.TextInput[Any]:
    return paragraph_input("blanks", value, limit=BLANKS_LIMIT, required=False)


def _blank_input(name: str, blank: Blank, value: str) -> ui.TextInput[Any] | ui.Select[Any]:
    if blank.choices:
        return choice_input(name, [named(one) for one in blank.choices], value, limit=NAME_LIMIT)
    return line_input(name, value, limit=LIMITS[blank.kind])
