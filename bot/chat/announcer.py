"""What people see afterwards, from the outbox: each channel has turns of its own."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

import discord
import structlog

from bot.audit.chain import HERALD
from bot.audit.mirror import LASTING, hash_words
from bot.broadcast import OPEN, Broadcast
from bot.chat.connection import is_out_of_reach, told_at_once
from bot.chat.messages import Client, Messages, explain, is_refused, person_told
from bot.clock import Beat, Clock, Steady
from bot.errors import StoreError, Unreachable
from bot.service import Service, lending
from bot.store import Card, Post, Store, Transaction
from bot.store.outbox import NEWS, PostKind, Waiting

log = structlog.get_logger()

# Read at once of a channel's cards, and of its posts; whatever comes meanwhile is looked for before the next.
BATCH: Final = 20
POLL_SECONDS: Final = 1.0
# So long a channel pauses at most while Discord is out of reach: it may be well again at any moment.
LONGEST_PAUSE_SECONDS: Final = 2.0
# So long something waits at most that Discord refuses: a person has to mend it.
LONGEST_WAIT: Final = timedelta(minutes=5)
# After that, news that cannot be told is no news any more.
GIVE_UP_AFTER: Final = timedelta(days=1)
# A card is edited no more often than that while all that changes is how far the sending has come.
PROGRESS_EVERY: Final = timedelta(seconds=2)
_UNKNOWN_MESSAGE: Final = 10008


class Shown(Enum):
    """What became of one thing that was to be shown."""

    DONE = auto()
    # It waits, and so does what must not overtake it.
    LATER = auto()
    OUT_OF_REACH = auto()


@dataclass(slots=True)
class Lane:
    """A channel's turns: one thing after the other, and nobody else waits for it."""

    channel_id: int
    task: "asyncio.Task[None] | None" = None
    # Something came while it was busy, which may matter more than what it has read.
    news: bool = False
    misses: int = 0
    paused_until: float = float("-inf")

    @property
    def is_busy(self) -> bool:
        """Tell whether something is being shown."""
        return self.task is not None and not self.task.done()


class Announcer:
    """Show each thing once, in order, however long Discord is away."""

    def __init__(
        self, *, store: Store, service: Service, client: Client, clock: Clock, steady: Steady
    ) -> None:
        self._store = store
        self._service = service
        self._client = client
        self._clock = clock
        self._steady = steady
        self._messages = Messages(store=store, service=service, client=client)
        self._woken = store.wakeup.listen()
        self._lanes: dict[int, Lane] = {}
        self._is_rerouted = False
        # What has its turn so soon is shown now: only at the end, when there is no later one.
        self._ahead = timedelta()
        self._stopping = False
        self.last_good_round: Beat | None = None

    @property
    def listeners(self) -> Sequence[Callable[..., Coroutine[Any, Any, None]]]:
        """Return what has to hear the client's events of the same names."""
        return (self.on_raw_message_delete, self.on_raw_bulk_message_delete, self.on_guild_channel_update)

    def stop(self) -> None:
        """End after one more round: the last outcome may have come after the present one."""
        self._stopping = True
        self._store.wakeup.wake()

    async def run(self) -> None:
        """Announce until told to stop; the wakeup only wakes it sooner."""
        try:
            while not self._stopping:
                self._woken.clear()
                await self._round()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            # There will be no later turn.
            await self._round(ahead=PROGRESS_EVERY, last=True)
        finally:
            for task in self._busy():
                task.cancel()

    async def _round(self, *, ahead: timedelta = timedelta(), last: bool = False) -> None:
        with _database_trouble_logged():
            if self._client.is_ready():
                await (self.drain(ahead=ahead) if last else self._begin(ahead))
            self.last_good_round = Beat(self._clock(), self._steady())

    async def drain(self, *, ahead: timedelta = timedelta()) -> None:
        """Show all that may be tried now, and the cards whose turn comes in the time ahead."""
        await self._begin(ahead)
        while busy := self._busy():
            await asyncio.wait(busy)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Post anew what people still need and somebody deleted."""
        await self._replace([event.message_id])

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Post anew what people still need of all that was deleted at once."""
        await self._replace(event.message_ids)

    async def on_guild_channel_update(self, _: object, channel: discord.abc.GuildChannel) -> None:
        """Try at once what a channel refused: its settings are others now."""
        with _database_trouble_logged():
            await self._store.write(_try_again, channel.id, at=self._clock())

    async def _replace(self, message_ids: Collection[int]) -> None:
        # Whatever is missed here is noticed when it is to be drawn the next time.
        with _database_trouble_logged():
            lost = await self._store.glance(_lost, message_ids)
            if any(lost):
                await self._store.write(self._lose, *lost)

    def _busy(self) -> "list[asyncio.Task[None]]":
        return [lane.task for lane in self._lanes.values() if lane.task and lane.is_busy]

    async def _begin(self, ahead: timedelta) -> None:
        """Let each channel in which something waits have its turns."""
        if not self._is_rerouted:
            await self._store.write(self._reroute)
            self._is_rerouted = True
        self._ahead, now = ahead, self._clock()
        waiting = await self._store.glance(_waiting, cards_until=now + ahead, posts_until=now)
        for channel_id, what in waiting.items():
            lane = self._lanes.setdefault(channel_id, Lane(channel_id))
            if lane.is_busy:
                lane.news = True
            elif self._steady() >= lane.paused_until:
                lane.task = asyncio.create_task(self._serve(lane, what))

    async def _serve(self, lane: Lane, waiting: Waiting) -> None:
        try:
            with _database_trouble_logged(), told_at_once():
                while await self._take_turns(lane, waiting):
                    waiting = Waiting(cards=True, posts=True)
        except Exception as fault:  # noqa: BLE001 - nobody awaits it: a fault of ours is seen, and tried again
            lane.paused_until = self._steady() + LONGEST_PAUSE_SECONDS
            log.error("a channel's turns broke off", channel=lane.channel_id, kind=type(fault).__name__)

    async def _take_turns(self, lane: Lane, waiting: Waiting) -> bool:
        """Show what waits now, as far as nothing new comes in between; tell whether more may wait."""
        lane.news = False
        now, place = self._clock(), lane.channel_id
        cards = await self._store.glance(_cards, place, until=now + self._ahead) if waiting.cards else ()
        posts = await self._store.glance(_posts, place, until=now) if waiting.posts else ()
        for item in (*cards, *posts):
            shown = await (self._draw(lane, item) if isinstance(item, Card) else self._post(lane, item))
            if shown is Shown.OUT_OF_REACH:
                return False
            if shown is Shown.LATER or lane.news:
                return True
        return lane.news or BATCH in {len(cards), len(posts)}

    async def _draw(self, lane: Lane, card: Card) -> Shown:
        try:
            message_id = await self._messages.show_card(card)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one card that cannot be drawn must not silence the rest
            if isinstance(error, discord.NotFound) and error.code == _UNKNOWN_MESSAGE:
                await self._store.write(self._card_gone, card)
                return Shown.LATER
            shown, wait = self._look_at(lane, error, what=f"card of #{card.broadcast_id}", item=card)
            await self._store.write(_card_failed, card, next_at=self._clock() + wait)
            return shown
        self._went_well(lane)
        await self._store.write(
            _card_drawn, card, message_id=message_id, next_at=self._clock() + PROGRESS_EVERY
        )
        return Shown.DONE

    async def _post(self, lane: Lane, post: Post) -> Shown:
        try:
            message = await self._messages.show_post(post)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be posted waits; the rest goes on
            shown, wait = self._look_at(lane, error, what=f"{post.kind} post {post.id}", item=post)
            elsewhere = await self._elsewhere(post) if is_refused(error) else None
            if elsewhere is not None:
                await self._store.write(_move, post, channel_id=elsewhere, at=self._clock())
            else:
                await self._store.write(self._post_failed, post, error, next_at=self._clock() + wait)
            return shown
        self._went_well(lane)
        if message is None:
            await self._store.write(_not_needed, post)
            return Shown.DONE
        # As Discord took them: what it trimmed was changed by nobody.
        words = hash_words(message.content)
        await self._store.write(self._post_made, post, message_id=message.id, words=words)
        return Shown.DONE

    def _look_at(
        self, lane: Lane, error: Exception, *, what: str, item: Card | Post
    ) -> tuple[Shown, timedelta]:
        """Return what a failure means for its channel, and how long the thing itself has to wait."""
        away = is_out_of_reach(error)
        wait = timedelta() if away else min(timedelta(seconds=2) * 2 ** min(item.failures, 10), LONGEST_WAIT)
        if away:
            lane.paused_until = self._steady() + min(2.0**lane.misses, LONGEST_PAUSE_SECONDS)
            lane.misses += 1
        # While Discord is out of reach each try fails alike.
        if lane.misses <= 1:
            log.warning(
                "a message could not be shown in Discord",
                what=what,
                channel=lane.channel_id,
                kind=type(error).__name__,
                status=getattr(error, "status", None),
                code=getattr(error, "code", None),
                again_in_seconds=None if away else wait.total_seconds(),
            )
        return (Shown.OUT_OF_REACH if away else Shown.LATER), wait

    def _went_well(self, lane: Lane) -> None:
        if lane.misses:
            log.info("messages are shown in Discord again", channel=lane.channel_id, tries=lane.misses)
            lane.misses = 0

    def _card_gone(self, tx: Transaction, card: Card) -> None:
        """Post a new card in place of a deleted one; an old card that is gone is no loss."""
        if card.current:
            tx.outbox.card_lost(card, at=self._clock())
        else:
            tx.outbox.card_drawn(card, message_id=card.message_id or 0, next_at=self._clock())

    def _lose(self, tx: Transaction, cards: Sequence[Card], posts: Sequence[Post]) -> None:
        lifecycle = self._service.lifecycle
        for card in cards:
            if tx.broadcasts.get(card.broadcast_id).status in OPEN:
                tx.outbox.card_lost(card, at=self._turn_after(card))
        for post in posts:
            if post.kind is PostKind.CALL:
                needed = False
            elif post.kind is PostKind.FREEZE:
                account = lifecycle.policy.account_of(post.guild_id)
                needed = post.step == "freeze" and tx.freezes.over(post.guild_id, account) is not None
            else:
                template = lending.find_template(tx, lifecycle, post.guild_id, int(post.step))
                needed = template is not None and not template.is_approved
            if needed:
                tx.outbox.post_lost(post, at=self._turn_after(post))

    def _turn_after(self, lost: Card | Post) -> datetime:
        """Return when it is posted anew: at once, but no race with whoever deletes it again and again."""
        wait = timedelta(seconds=2) * 2 ** min(lost.remade, 10) if lost.remade else timedelta()
        return self._clock() + min(wait, LONGEST_WAIT)

    def _post_failed(self, tx: Transaction, post: Post, error: Exception, *, next_at: datetime) -> None:
        if post.failures + 1 == LASTING:
            self._show_trouble(tx, post)
        if post.kind in NEWS and not is_out_of_reach(error):
            broadcast = _broadcast_of(tx, post)
            if self._clock() - broadcast.updated_at > GIVE_UP_AFTER:
                self._give_up(tx, post, broadcast)
                return
        tx.outbox.post_failed(post, next_at=next_at, trouble=explain(error))

    async def _elsewhere(self, post: Post) -> int | None:
        """Return where an author's news go that are refused here: to themselves, or else among approvers."""
        server = self._service.policy.server(post.guild_id)
        if post.kind not in NEWS or server is None or post.channel_id == server.channels.review:
            return None
        broadcast = await self._store.read(_broadcast_of, post)
        if post.channel_id != broadcast.origin_channel_id:
            return server.channels.review
        try:
            direct = await self._client.members.direct_channel(post.guild_id, person_told(post, broadcast))
        except Unreachable:
            # Asked again with the next try.
            return None
        return direct or server.channels.review

    def _give_up(self, tx: Transaction, post: Post, broadcast: Broadcast) -> None:
        log.error("news for an author could not be told and is given up", broadcast=broadcast.id)
        self._service.lifecycle.note(tx, broadcast, HERALD, "news given up", post.step)
        tx.outbox.give_up_post(post)

    def _post_made(self, tx: Transaction, post: Post, *, message_id: int, words: str) -> None:
        if post.failures >= LASTING:
            self._show_trouble(tx, post)
        tx.outbox.post_made(post, message_id=message_id, channel_id=post.channel_id, words=words)

    def _show_trouble(self, tx: Transaction, post: Post) -> None:
        """Let the open cards show that the mirror's trouble has begun, or ended."""
        if post.kind is PostKind.AUDIT:
            tx.outbox.redraw_open_cards(post.guild_id, at=self._clock())

    def _reroute(self, tx: Transaction) -> None:
        for server in self._service.policy.servers:
            tx.outbox.reroute(server.guild, channel_id=server.channels.audit)


@contextmanager
def _database_trouble_logged() -> Generator[None, None, None]:
    try:
        yield
    except StoreError as error:
        log.error("announcements wait for the database", error=str(error))


def _waiting(tx: Transaction, *, cards_until: datetime, posts_until: datetime) -> dict[int, Waiting]:
    return tx.outbox.waiting(cards_until=cards_until, posts_until=posts_until)


def _cards(tx: Transaction, channel_id: int, *, until: datetime) -> Sequence[Card]:
    return tx.outbox.cards_to_draw(channel_id, until, limit=BATCH)


def _posts(tx: Transaction, channel_id: int, *, until: datetime) -> Sequence[Post]:
    return tx.outbox.posts_to_make(channel_id, until, limit=BATCH)


def _lost(tx: Transaction, message_ids: Collection[int]) -> tuple[Sequence[Card], Sequence[Post]]:
    return tx.outbox.lost(message_ids)


def _try_again(tx: Transaction, channel_id: int, *, at: datetime) -> None:
    tx.outbox.try_again(channel_id, at=at)


def _broadcast_of(tx: Transaction, post: Post) -> Broadcast:
    return tx.broadcasts.get(post.broadcast_id or 0)


def _move(tx: Transaction, post: Post, *, channel_id: int, at: datetime) -> None:
    tx.outbox.move_post(post, channel_id=channel_id, at=at)


def _not_needed(tx: Transaction, post: Post) -> None:
    tx.outbox.give_up_post(post)


def _card_drawn(tx: Transaction, card: Card, *, message_id: int, next_at: datetime) -> None:
    tx.outbox.card_drawn(card, message_id=message_id, next_at=next_at)


def _card_failed(tx: Transaction, card: Card, *, next_at: datetime) -> None:
    tx.outbox.card_failed(card, next_at=next_at)
