"""What people see afterwards: cards, echoes and the audit mirror, from the outbox."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol, assert_never

import aiohttp
import discord
import structlog

from bot.audit.chain import Event
from bot.audit.mirror import DELETED, EDITED, LASTING, Condition, hash_words
from bot.broadcast import BEFORE_SENDING, Broadcast, Status, Step
from bot.chat.channels import NO_CHANNEL
from bot.chat.members import Members
from bot.clock import Clock
from bot.delivery import Delivery
from bot.errors import StoreError, Unreachable
from bot.freeze import Freeze
from bot.permissions import Actor
from bot.service import Service, Standing, lending, unknowns
from bot.store import Card, Post, Store, Transaction
from bot.store.outbox import PostKind, Waiting

log = structlog.get_logger()

BATCH: Final = 50
POLL_SECONDS: Final = 1.0
LONGEST_WAIT: Final = timedelta(minutes=5)
# Among so many of a channel's last messages a line is looked for that may stand there already.
LOOK_BACK: Final = 100
MAY_NOT_WRITE: Final = (
    "Herald may not write there: allow View Channel and Send Messages in the channel's settings"
)
# A card is edited no more often than that while all that changes is how far the sending has come.
PROGRESS_EVERY: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A message as it is to be shown."""

    content: str = ""
    embeds: list[discord.Embed] = field(default_factory=list[discord.Embed])
    view: discord.ui.View | None = None
    mentions: discord.AllowedMentions = field(default_factory=discord.AllowedMentions.none)


class OnCard(NamedTuple):
    """All that stands in the database of what a card shows."""

    broadcast: Broadcast
    deliveries: Sequence[Delivery]
    freeze: Freeze | None
    mirror: Condition
    checkable: bool


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
    ) -> Rendered:
        """Draw the card for approvers."""
        ...

    def freeze(self, freeze: Freeze | None) -> Rendered:
        """Draw what all approvers are told of a freeze that stands, or of one that was lifted."""
        ...

    def echo(self, broadcast: Broadcast, step: Step) -> Rendered:
        """Draw what the author is told where they composed."""
        ...

    def template(self, standing: Standing | None) -> Rendered:
        """Draw a template that waits for approval; None if it says something else by now."""
        ...

    def audit(self, event: Event, *, about: Event | None = None) -> Rendered:
        """Draw a line of the record, and the line that it is about."""
        ...


class Client(Protocol):
    """What the announcer needs of the Discord client."""

    @property
    def cards(self) -> Cards:
        """Return what draws."""
        ...

    @property
    def user(self) -> discord.ClientUser | None:
        """Return the account that Herald posts with."""
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


class Announcer:
    """Show each thing once, in order, however long Discord is away."""

    def __init__(self, *, store: Store, service: Service, client: Client, clock: Clock) -> None:
        self._store = store
        self._service = service
        self._client = client
        self._clock = clock
        self._woken = store.wakeup.listen()
        # The servers of which every post that may have been lost sight of was looked for.
        self._certain: set[int] = set()
        self._stopping = False

    def stop(self) -> None:
        """End after one more round: the last outcome may have come after the present one."""
        self._stopping = True
        self._store.wakeup.wake()

    async def run(self) -> None:
        """Announce until told to stop; the wakeup only wakes it sooner."""
        while not self._stopping:
            self._woken.clear()
            await self._round()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
        # There will be no later turn.
        await self._round(ahead=PROGRESS_EVERY)

    async def _round(self, *, ahead: timedelta = timedelta()) -> None:
        try:
            if self._client.is_ready():
                await self.drain(ahead=ahead)
        except StoreError as error:
            log.error("announcements wait for the database", error=str(error))

    async def drain(self, *, ahead: timedelta = timedelta()) -> None:
        """Show all that may be tried now, and the cards whose turn comes in the time ahead."""
        now = self._clock()
        waiting = await self._store.glance(_waiting, cards_until=now + ahead, posts_until=now)
        cards = await self._store.glance(_cards, until=now + ahead) if waiting.cards else ()
        posts = await self._store.glance(_posts, until=now) if waiting.posts else ()
        for card in cards:
            await self._draw(card)
        held_up: set[int] = set()
        for post in posts:
            # The mirror keeps the order of the record: what follows a line that waits has to wait too.
            if post.kind is PostKind.AUDIT and post.guild_id in held_up:
                continue
            if not await self._post(post) and post.kind is PostKind.AUDIT:
                held_up.add(post.guild_id)

    async def _draw(self, card: Card) -> None:
        try:
            message_id = await self._show_card(card)
        except discord.NotFound:
            await self._lose(card)
        except Exception as error:  # noqa: BLE001 - one card that cannot be drawn must not silence the rest
            wait = self._report(error, what=f"card of #{card.broadcast_id}", failures=card.failures)
            await self._store.write(_card_failed, card, next_at=self._clock() + wait)
        else:
            await self._store.write(
                _card_drawn, card, message_id=message_id, next_at=self._clock() + PROGRESS_EVERY
            )

    async def _show_card(self, card: Card) -> int:
        facts = await self._store.read(self._shown_on, card)
        shown = self._client.cards.review(
            facts.broadcast,
            facts.deliveries,
            current=card.current,
            freeze=facts.freeze,
            checkable=facts.checkable,
            members=await self._members(facts.broadcast),
            mirror=facts.mirror,
        )
        channel = self._channel(card.channel_id)
        if card.message_id is None:
            return (await _send(channel, shown, nonce=f"card-{card.id}-{card.failures}")).id
        message = channel.get_partial_message(card.message_id)
        await message.edit(content=shown.content, embeds=shown.embeds, view=shown.view)
        return card.message_id

    def _shown_on(self, tx: Transaction, card: Card) -> "OnCard":
        broadcast = tx.broadcasts.get(card.broadcast_id)
        started = broadcast.status not in BEFORE_SENDING
        return OnCard(
            broadcast,
            tx.deliveries.of(broadcast.id) if started else [],
            tx.freezes.over(broadcast.guild_id),
            tx.mirror.condition(broadcast.guild_id),
            unknowns.can_check(tx, self._service.gate, broadcast),
        )

    async def _members(self, broadcast: Broadcast) -> Sequence[Actor] | None:
        if broadcast.status is not Status.REVIEW:
            return None
        try:
            return await self._client.members.of(broadcast.guild_id)
        except Unreachable:
            return None

    async def _lose(self, card: Card) -> None:
        """Post a new card in place of a deleted one; an old card that is gone is no loss."""
        if card.current and card.message_id is not None:
            await self._store.write(_card_lost, card)
        elif card.current:
            # The channel itself is gone: `herald check` says so, and the card waits for a new one.
            await self._store.write(_card_failed, card, next_at=self._clock() + LONGEST_WAIT)
        else:
            await self._store.write(_card_drawn, card, message_id=card.message_id or 0, next_at=self._clock())

    async def _post(self, post: Post) -> bool:
        channel_id = self._place(post)
        try:
            shown = await self._store.read(self._rendered, post)
            channel = self._channel(channel_id)
            message = await self._find(post, channel, shown)
            message = message or await _send(channel, shown, nonce=f"post-{post.id}")
        except Exception as error:  # noqa: BLE001 - what cannot be posted waits; the rest goes on
            wait = self._report(error, what=f"{post.kind} post {post.id}", failures=post.failures)
            await self._store.write(
                self._post_failed, post, next_at=self._clock() + wait, trouble=_why(error)
            )
            return False
        # As Discord took them: what it trimmed was changed by nobody.
        words = hash_words(message.content)
        await self._store.write(
            self._post_made, post, message_id=message.id, channel_id=channel_id, words=words
        )
        return True

    def _post_failed(self, tx: Transaction, post: Post, *, next_at: datetime, trouble: str) -> None:
        if post.failures + 1 == LASTING:
            self._show_trouble(tx, post)
        tx.outbox.post_failed(post, next_at=next_at, trouble=trouble)

    def _post_made(
        self, tx: Transaction, post: Post, *, message_id: int, channel_id: int, words: str
    ) -> None:
        if post.failures >= LASTING:
            self._show_trouble(tx, post)
        tx.outbox.post_made(post, message_id=message_id, channel_id=channel_id, words=words)

    async def _find(
        self, post: Post, channel: discord.PartialMessageable, shown: Rendered
    ) -> discord.Message | None:
        """Return the line's post if it stands already: Discord forgets a nonce after some minutes.

        So it may after a try whose answer was lost, and after a Herald that ended before it noted its post.
        """
        if post.kind is not PostKind.AUDIT or (not post.failures and post.guild_id in self._certain):
            return None
        # Where the history may not be read nobody can know, and the line matters more.
        with suppress(discord.Forbidden):
            async for message in channel.history(limit=LOOK_BACK):
                if message.author == self._client.user and message.content == shown.content:
                    return message
        self._certain.add(post.guild_id)
        return None

    def _place(self, post: Post) -> int:
        """Return where a post belongs: a line of the record where the record's channel is today."""
        server = self._service.policy.server(post.guild_id)
        return server.channels.audit if server and post.kind is PostKind.AUDIT else post.channel_id

    def _show_trouble(self, tx: Transaction, post: Post) -> None:
        """Let the open cards show that the mirror's trouble has begun, or ended."""
        if post.kind is PostKind.AUDIT:
            tx.outbox.redraw_open_cards(post.guild_id, at=self._clock())

    def _rendered(self, tx: Transaction, post: Post) -> Rendered:
        cards = self._client.cards
        match post.kind:
            case PostKind.AUDIT:
                event = tx.audit.get(post.guild_id, post.sequence or 0)
                return cards.audit(event, about=_only_one_told_of(tx, event))
            case PostKind.TEMPLATE:
                return cards.template(
                    lending.find_template(tx, self._service.lifecycle, post.guild_id, int(post.step))
                )
            case PostKind.FREEZE:
                return cards.freeze(tx.freezes.over(post.guild_id))
            case PostKind.ECHO:
                return cards.echo(tx.broadcasts.get(post.broadcast_id or 0), Step(post.step))
            case _:
                assert_never(post.kind)

    def _channel(self, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id)

    def _report(self, error: BaseException, *, what: str, failures: int) -> timedelta:
        wait = min(timedelta(seconds=2) * 2 ** min(failures, 10), LONGEST_WAIT)
        log.warning(
            "a message could not be shown in Discord",
            what=what,
            kind=type(error).__name__,
            status=getattr(error, "status", None),
            code=getattr(error, "code", None),
            again_in_seconds=wait.total_seconds(),
        )
        return wait


def _waiting(tx: Transaction, *, cards_until: datetime, posts_until: datetime) -> Waiting:
    return tx.outbox.waiting(cards_until=cards_until, posts_until=posts_until)


def _cards(tx: Transaction, *, until: datetime) -> Sequence[Card]:
    return tx.outbox.cards_to_draw(until, limit=BATCH)


def _posts(tx: Transaction, *, until: datetime) -> Sequence[Post]:
    return tx.outbox.posts_to_make(until, limit=BATCH)


def _card_drawn(tx: Transaction, card: Card, *, message_id: int, next_at: datetime) -> None:
    tx.outbox.card_drawn(card, message_id=message_id, next_at=next_at)


def _card_failed(tx: Transaction, card: Card, *, next_at: datetime) -> None:
    tx.outbox.card_failed(card, next_at=next_at)


def _card_lost(tx: Transaction, card: Card) -> None:
    tx.outbox.card_lost(card)


def _only_one_told_of(tx: Transaction, event: Event) -> Event | None:
    """Return the line whose post is gone or edited, if that is what the event tells of a single one."""
    if event.action not in {DELETED, EDITED}:
        return None
    numbers = tx.mirror.told_in(event.guild_id, event.sequence)
    return tx.audit.get(event.guild_id, numbers[0]) if len(numbers) == 1 else None


def _why(error: BaseException) -> str:
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


async def _send(channel: discord.PartialMessageable, shown: Rendered, *, nonce: str) -> discord.Message:
    # discord.py repeats a POST on 5xx by itself: with the nonce Discord keeps one message of it.
    if shown.view is None:
        return await channel.send(
            shown.content, embeds=shown.embeds, nonce=nonce, allowed_mentions=shown.mentions
        )
    return await channel.send(
        shown.content, embeds=shown.embeds, nonce=nonce, allowed_mentions=shown.mentions, view=shown.view
    )
