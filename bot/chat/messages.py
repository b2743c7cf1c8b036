"""A card or post becomes a message: found if it stands already, else posted; a card is edited afterwards."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar, assert_never

import aiohttp
import discord

from bot.alike import beside
from bot.audit.chain import Event
from bot.audit.mirror import DELETED, EDITED
from bot.broadcast import (
    BEFORE_SENDING,
    EXPLAINED,
    GOES_OUT,
    LIST_CHECKED,
    NOT_ASKED,
    Broadcast,
    Status,
    Step,
)
from bot.chat.channels import NO_CHANNEL
from bot.chat.members import Members
from bot.chat.rendering import Cards, OnCard, Rendered, why_not_attached
from bot.corrections import pair_of
from bot.digest import Span, by_audience
from bot.errors import StoreError
from bot.freeze import Freeze
from bot.permissions import Actor
from bot.preview.drawing import PICTURES, Preview
from bot.service import Service, lending, looking, own_lists, unknowns
from bot.store import Card, Post, Store, Transaction
from bot.store.outbox import PostKind

T = TypeVar("T")

# Among so many of a channel's last messages something is looked for that may stand there already.
LOOK_BACK: Final = 100
MAY_NOT_WRITE: Final = (
    "Herald may not write there: allow View Channel and Send Messages in the channel's settings"
)
_LINK: Final = re.compile(r"\[(#[0-9]+)\]\(https://discord\.com/channels/[0-9/]+\)")
# Of so many messages it is remembered which picture stands there.
PICTURES_NOTED: Final = 1000
# Two machines' clocks differ by less.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)


class Client(Protocol):
    """What is needed of the Discord client in order to show something."""

    @property
    def cards(self) -> Cards:
        """Return what draws."""
        ...

    @property
    def user(self) -> discord.ClientUser | None:
        """Return the account that Herald posts with."""
        ...

    async def preview(
        self, broadcast: Broadcast, *, late: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> Preview | None:
        """Return the picture of what customers read, if a card of the broadcast shows one."""
        ...

    def is_ready(self) -> bool:
        """Tell whether Discord has answered yet."""
        ...

    @property
    def members(self) -> Members:
        """Return whom to ask for a server's members."""
        ...

    def get_partial_messageable(self, id: int, /) -> discord.PartialMessageable:  # noqa: A002 - discord.py's name
        """Return a channel without asking Discord for it."""
        ...


class Own(NamedTuple):
    """A message of Herald's own that stands in a channel."""

    id: int
    content: str
    title: str


class Messages:
    """Shows one thing at a time; whoever calls it takes care of turns, and of what goes wrong."""

    def __init__(self, *, store: Store, service: Service, client: Client) -> None:
        self._store = store
        self._service = service
        self._client = client
        # What stood in each channel when this process first posted there: a process that ended before it
        # noted its post may have left it.
        self._before: dict[int, Sequence[Own]] = {}
        self._pictures: dict[int, discord.Attachment] = {}

    async def show_card(self, card: Card) -> int:
        """Draw a card as things stand now, and return its message; raise what discord.py raises."""
        facts = await self._store.read(self._shown_on, card)
        preview = await self._preview(facts.broadcast) if card.current else None
        draw = partial(
            self._draw,
            preview,
            facts.broadcast,
            facts.deliveries,
            current=card.current,
            freeze=facts.freeze,
            checkable=facts.checkable,
            members=await self._could_approve(facts.broadcast.guild_id, facts.broadcast.status),
            mirror=facts.mirror,
            beside=facts.beside,
            earlier=facts.earlier,
            pair=facts.pair,
            given=facts.given,
        )
        channel = self._client.get_partial_messageable(card.channel_id)
        message_id = card.message_id or await self._posted_already(card, facts.broadcast, channel)
        if message_id is None and not card.current:
            # Nobody ever saw it.
            return 0
        if message_id is None:
            nonce = f"card-{card.id}-{card.remade}"
            sent = await _attached(draw, partial(_send, channel, nonce=nonce))
            self._note_picture(sent)
            message_id = sent.id
            if not card.failures:
                return message_id
            # Discord may have given back what an earlier try left there, which shows how things stood then.
        message, standing = channel.get_partial_message(message_id), self._pictures.get(message_id)
        self._note_picture(await _attached(draw, partial(_edit, message, standing=standing)))
        return message_id

    def _draw(self, preview: Preview | None, *known: Any, **more: Any) -> Rendered:
        return self._client.cards.review(*known, **more).with_preview(preview)

    async def _preview(self, broadcast: Broadcast) -> Preview | None:
        async def redraw() -> None:
            with suppress(StoreError):
                await self._store.write(_redraw, broadcast.id, at=self._service.lifecycle.clock())

        return await self._client.preview(broadcast, late=redraw)

    def _note_picture(self, message: discord.Message) -> None:
        """Remember which picture stands there, so that it is not sent again."""
        self._pictures.pop(message.id, None)
        standing = next((one for one in message.attachments if one.filename.startswith(PICTURES)), None)
        if standing is not None:
            self._pictures[message.id] = standing
        if len(self._pictures) > PICTURES_NOTED:
            del self._pictures[next(iter(self._pictures))]

    async def show_post(self, post: Post) -> Own | None:
        """Make a post, or find it; None if there is nothing to say any more. Raise what discord.py raises."""
        members = await self._could_approve(post.guild_id, post.step) if post.kind is PostKind.CALL else None
        shown = await self._store.read(self._rendered, post, members)
        if shown is None:
            return None
        channel = self._client.get_partial_messageable(post.channel_id)
        said = _unlinked(shown.content)
        found = await self._standing(
            post, channel, lambda message: bool(said) and _unlinked(message.content) == said
        )
        if found is not None:
            return found
        nonce = f"post-{post.id}-{post.remade}"
        try:
            return _own(await _send(channel, shown, nonce=nonce))
        except discord.Forbidden:
            bare = await self._store.read(self._rendered, post, members, attaches=False)
            if not shown.attached or bare is None:
                raise
            return _own(await _send(channel, bare, nonce=nonce))

    async def _posted_already(
        self, card: Card, broadcast: Broadcast, channel: discord.PartialMessageable
    ) -> int | None:
        oldest = discord.utils.time_snowflake(broadcast.created_at - _CLOCKS_DIFFER)

        def matches(message: Own) -> bool:
            return message.title.startswith(f"#{broadcast.id} ·") and message.id >= oldest

        found = await self._standing(card, channel, matches)
        return found.id if found else None

    async def _standing(
        self, item: Card | Post, channel: discord.PartialMessageable, matches: Callable[[Own], bool]
    ) -> Own | None:
        """Return the item's message if it stands already, though nobody noted it.

        So it may after a try whose answer was lost, and after a Herald that ended before it noted its post:
        Discord forgets a nonce after some minutes.
        """
        if item.failures or channel.id not in self._before:
            self._before[channel.id] = await self._read(channel)
        # What was never tried by this process stands there only if it was asked for before; what is older is
        # another's, such as that of a database which was replaced.
        oldest = 0 if item.failures else discord.utils.time_snowflake(item.next_at - _CLOCKS_DIFFER)
        alike = [one for one in self._before[channel.id] if one.id >= oldest and matches(one)]
        if not alike:
            return None
        noted = await self._store.glance(_noted, [message.id for message in alike])
        return next((message for message in alike if message.id not in noted), None)

    async def _read(self, channel: discord.PartialMessageable) -> Sequence[Own]:
        # Where the history may not be read nobody can know, and what is to be shown matters more.
        with suppress(discord.Forbidden):
            return [
                _own(message)
                async for message in channel.history(limit=LOOK_BACK)
                if message.author == self._client.user
            ]
        return ()

    def _shown_on(self, tx: Transaction, card: Card) -> OnCard:
        broadcast = tx.broadcasts.get(card.broadcast_id)
        started = broadcast.status not in BEFORE_SENDING
        return OnCard(
            broadcast,
            tx.deliveries.of(broadcast.id) if started else [],
            self._freeze_over(tx, broadcast.guild_id),
            tx.mirror.condition(broadcast.guild_id),
            unknowns.can_check(tx, self._service.gate, broadcast),
            beside(tx, self._service.lifecycle, broadcast),
            looking.read_before(tx, broadcast),
            pair_of(tx, broadcast),
            own_lists.given(tx, broadcast),
        )

    def _freeze_over(self, tx: Transaction, guild_id: int) -> Freeze | None:
        return tx.freezes.over(guild_id, self._service.policy.account_of(guild_id))

    async def _could_approve(self, guild_id: int, status: str) -> Sequence[Actor] | None:
        """Return among whom those are who could approve what has that status, as far as anybody could."""
        return await self._client.members.known(guild_id) if status == Status.REVIEW else None

    def _rendered(
        self, tx: Transaction, post: Post, members: Sequence[Actor] | None, *, attaches: bool = True
    ) -> Rendered | None:
        cards = self._client.cards
        match post.kind:
            case PostKind.AUDIT:
                event = tx.audit.get(post.guild_id, post.sequence or 0)
                about = _only_one_told_of(tx, event)
                told = {one.broadcast_id for one in (event, about) if one and one.broadcast_id}
                return cards.audit(event, about=about, places=tx.outbox.places(told))
            case PostKind.TEMPLATE:
                found = lending.find_template(tx, self._service.lifecycle, post.guild_id, int(post.step))
                ended = tx.broadcasts.find(post.broadcast_id) if post.broadcast_id else None
                return cards.template(found, ended=ended, attaches=attaches)
            case PostKind.DIGEST:
                span = Span.of(post.step)
                return cards.digest(span, by_audience(tx.tallies.results(post.guild_id, span)))
            case PostKind.FREEZE:
                return cards.freeze(self._freeze_over(tx, post.guild_id), guild_id=post.guild_id)
            case PostKind.ECHO:
                broadcast = tx.broadcasts.get(post.broadcast_id or 0)
                if post.step == LIST_CHECKED:
                    return cards.list_checked(broadcast, tx.lists.find(broadcast.id))
                # What is no step of its life.
                aside = {
                    EXPLAINED: cards.explanation,
                    GOES_OUT: cards.goes_out,
                    NOT_ASKED: cards.not_asked,
                }.get(post.step)
                return aside(broadcast) if aside else cards.echo(broadcast, Step(post.step))
            case PostKind.SHARE:
                broadcast = tx.broadcasts.get(post.broadcast_id or 0)
                opens = post.channel_id == broadcast.origin_channel_id
                return cards.shared(broadcast, person_told(post, broadcast), opens=opens)
            case PostKind.CALL:
                broadcast = tx.broadcasts.get(post.broadcast_id or 0)
                # Otherwise, whatever it waited for has come in the meantime.
                return cards.call(broadcast, members) if broadcast.status == post.step else None
            case _:
                assert_never(post.kind)


def person_told(post: Post, broadcast: Broadcast) -> int:
    """Return whom a post tells of a broadcast of theirs."""
    return int(post.step, 16) if post.kind is PostKind.SHARE else broadcast.author.id


def is_refused(error: BaseException) -> bool:
    """Tell whether Herald may not write there, or there is no such channel."""
    return isinstance(error, discord.Forbidden | discord.NotFound)


def explain(error: BaseException) -> str:
    """Say why Discord did not take a post, and what to mend."""
    match error:
        case discord.Forbidden():
            return MAY_NOT_WRITE
        case discord.NotFound():
            return NO_CHANNEL
        case discord.HTTPException():
            return f"Discord answered {error.status}; it is tried again by itself"
        case aiohttp.ClientError() | OSError() | discord.RateLimited():
            return f"Discord could not be reached ({type(error).__name__}); it is tried again by itself"
        case _:
            return f"Herald could not write it ({type(error).__name__}): look into its log"


def _only_one_told_of(tx: Transaction, event: Event) -> Event | None:
    """Return the line whose post is gone or edited, if that is what the event tells of a single one."""
    if event.action not in {DELETED, EDITED}:
        return None
    numbers = tx.mirror.told_in(event.guild_id, event.sequence)
    return tx.audit.get(event.guild_id, numbers[0]) if len(numbers) == 1 else None


def _redraw(tx: Transaction, broadcast_id: int, *, at: datetime) -> None:
    tx.outbox.redraw_card(broadcast_id, at=at)


def _noted(tx: Transaction, message_ids: Sequence[int]) -> set[int]:
    return tx.outbox.are_known(message_ids)


def _unlinked(content: str) -> str:
    """Return the words alone: where the card stands to which they link may have changed between two tries."""
    return _LINK.sub(r"\1", content)


def _own(message: discord.Message) -> Own:
    return Own(message.id, message.content, (message.embeds[0].title or "") if message.embeds else "")


async def _attached(draw: Callable[..., Rendered], show: Callable[[Rendered], Awaitable[T]]) -> T:
    """Show a card with what is attached to it, or as one that says what is missing where Herald may not."""
    shown = draw()
    try:
        return await show(shown)
    except discord.HTTPException as error:
        why = why_not_attached(error)
        if why is None or not (shown.attached or shown.picture):
            raise
        bare = draw(attaches=not isinstance(error, discord.Forbidden))
        return await show(bare.without_picture(why))


async def _edit(
    message: discord.PartialMessage, shown: Rendered, *, standing: discord.Attachment | None
) -> discord.Message:
    return await message.edit(
        content=shown.content, embeds=shown.embeds, attachments=shown.files(standing), view=shown.view
    )


async def _send(channel: discord.PartialMessageable, shown: Rendered, *, nonce: str) -> discord.Message:
    # Where an answer was lost the same nonce comes again: Discord keeps one message of it.
    view: dict[str, Any] = {} if shown.view is None else {"view": shown.view}
    return await channel.send(
        shown.content,
        embeds=shown.embeds,
        files=shown.new_files(),
        nonce=nonce,
        allowed_mentions=shown.mentions,
        **view,
    )
