"""What is drawn for a channel, and of what: the extension that draws it is given at the start."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol, Self

import discord

from bot.audit.chain import Event
from bot.audit.mirror import Condition
from bot.broadcast import Broadcast, Place, Read, Step
from bot.corrections import Pair
from bot.delivery import Delivery
from bot.digest import Span
from bot.freeze import Freeze
from bot.own_list import Kept
from bot.permissions import Actor
from bot.preview.drawing import Picture, Preview
from bot.repeats import Beside
from bot.service import Given, Standing

MAY_NOT_ATTACH: Final = (
    "There is no picture of it: Herald may not attach files here. Allow it **Attach Files** in the channel's"
    " settings."
)
TOO_LARGE: Final = "There is no picture of it: it is larger than Discord takes here."


class TextFile(NamedTuple):
    """A text file that belongs to a message."""

    name: str
    text: str

    def file(self) -> discord.File:
        """Return it as it is sent: anew each time, since what was sent once is used up."""
        return discord.File(io.BytesIO(self.text.encode(errors="backslashreplace")), filename=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A message as it is to be shown."""

    content: str = ""
    embeds: list[discord.Embed] = field(default_factory=list[discord.Embed])
    view: discord.ui.View | None = None
    attached: Sequence[TextFile] = ()
    picture: Picture | None = None
    mentions: discord.AllowedMentions = field(default_factory=discord.AllowedMentions.none)

    def new_files(self) -> list[discord.File]:
        """Return what is attached to a message that does not stand there yet."""
        pictures = [_picture_file(self.picture)] if self.picture else []
        return [*pictures, *(one.file() for one in self.attached)]

    def files(self, standing: discord.Attachment | None = None) -> list[discord.File | discord.Attachment]:
        """Return what is attached, as it is sent; a picture that is `standing` there already is kept."""
        if self.picture is None or standing is None or standing.filename != self.picture.name:
            return [*self.new_files()]
        return [standing, *(one.file() for one in self.attached)]

    def with_preview(self, preview: Preview | None) -> Self:
        """Return it with the picture of what customers read, and with what is to be said of that."""
        if preview is None:
            return self
        said = f"-# \N{MOBILE PHONE} {preview.says}" if preview.says else ""
        content = "\n".join(filter(None, (self.content, said)))
        return replace(self, content=content, picture=preview.picture)

    def without_picture(self, why: str) -> Self:
        """Return it without its picture, if it has one, and with the sentence why."""
        return self.with_preview(Preview(says=why)) if self.picture else self


def _picture_file(picture: Picture) -> discord.File:
    return discord.File(io.BytesIO(picture.data), filename=picture.name, description=picture.described)


async def put(interaction: discord.Interaction[Any], shown: Rendered, *, content: str | None) -> None:
    """Put a card where the deferred answer stands, under what else is said."""

    async def show(one: Rendered) -> None:
        said = "\n".join(filter(None, (content, one.content))) or None
        await interaction.edit_original_response(
            content=said, embeds=one.embeds, attachments=one.files(), view=one.view
        )

    try:
        await show(shown)
    except discord.HTTPException as error:
        if shown.picture is None or (why := why_not_attached(error)) is None:
            raise
        await show(shown.without_picture(why))


def why_not_attached(error: discord.HTTPException) -> str | None:
    """Say why Discord may not have taken a file; None if it was not about that."""
    if isinstance(error, discord.Forbidden):
        return MAY_NOT_ATTACH
    return TOO_LARGE if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None


class OnCard(NamedTuple):
    """All that stands in the database of what a card shows."""

    broadcast: Broadcast
    deliveries: Sequence[Delivery]
    freeze: Freeze | None
    mirror: Condition
    checkable: bool
    beside: Beside
    earlier: Sequence[Read]
    pair: Pair
    given: Given | None


class Cards(Protocol):
    """How things look: given by the extension that draws them."""

    def review(
        self,
        broadcast: Broadcast,
        deliveries: Sequence[Delivery],
        *,
        current: bool = True,
        freeze: Freeze | None = None,
        checkable: bool = False,
        members: Sequence[Actor] | None = None,
        mirror: Condition | None = None,
        beside: Beside = ...,
        earlier: Sequence[Read] = (),
        pair: Pair = ...,
        given: Given | None = None,
        attaches: bool = True,
    ) -> Rendered:
        """Draw the card for approvers."""
        ...

    def digest(self, span: Span, results: Mapping[str, Mapping[str, int]]) -> Rendered:
        """Draw what became of what was decided in a time, for each audience."""
        ...

    def freeze(self, freeze: Freeze | None, *, guild_id: int) -> Rendered:
        """Draw what a server's approvers are told of a freeze that stands, or of one that was lifted."""
        ...

    def call(self, broadcast: Broadcast, members: Sequence[Actor] | None) -> Rendered:
        """Draw the call to those for whom a broadcast waits."""
        ...

    def echo(self, broadcast: Broadcast, step: Step) -> Rendered:
        """Draw what the author is told where they composed."""
        ...

    def explanation(self, broadcast: Broadcast) -> Rendered | None:
        """Draw what the author is told once whoever stopped it has said why; None if it has gone on."""
        ...

    def shared(self, broadcast: Broadcast, person_id: int, *, opens: bool) -> Rendered | None:
        """Draw what somebody reads with whom a draft is shared now; None if it no longer is."""
        ...

    def not_asked(self, broadcast: Broadcast) -> Rendered | None:
        """Draw what the author is told of one of a series that waits for them; None if it has gone on."""
        ...

    def list_checked(self, broadcast: Broadcast, kept: Kept | None) -> Rendered | None:
        """Draw what the author is told once Whop was asked about a list; None if it has gone on."""
        ...

    def goes_out(self, broadcast: Broadcast) -> Rendered | None:
        """Draw what the author is told when the undo window of what has a time begins; None if it is over."""
        ...

    def template(
        self, standing: Standing | None, *, ended: Broadcast | None = None, attaches: bool = True
    ) -> Rendered:
        """Draw a template that waits for approval; None if it says something else by now."""
        ...

    def audit(
        self, event: Event, *, about: Event | None = None, places: Mapping[int, Place] = ...
    ) -> Rendered:
        """Draw a line of the record, and the line that it is about, with links to the cards at `places`."""
        ...
