"""Whatever people, Whop, the clocks and crashes do, in whatever order: the promises hold after each step.

The suite plays a few short lives, always the same ones; `make properties` plays many longer and new ones.
"""

import asyncio
import json
import shutil
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, TypeVar, cast

import pytest
from hypothesis import HealthCheck, seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bot.app import Worker
from bot.audit.chain import Event, first_broken
from bot.broadcast import Broadcast, Status
from bot.delivery import Delivery, DeliveryStatus, NoAnswer, Request, Response
from bot.errors import Refused, Unreachable
from bot.freeze import Freeze
from bot.key_trust import Verdict, keep
from bot.notification import Notification, Text
from bot.permissions import Action, Actor, Membership
from bot.policy.model import ACCOUNT, Policy
from bot.refusals import AGAIN
from bot.store import Access, Store
from bot.whop.transport import Transport
from tests.database import new_file
from tests.harness.clock import ManualClock
from tests.harness.policy import (
    APPROVE,
    COMPOSE,
    GUILD,
    OPERATE,
    OTHER_GUILD,
    audience,
    of_generation,
    parsed,
    server,
)
from tests.harness.process import settings_of
from tests.properties import examples

LIVES: Final = examples(
    6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)

# What a life wrote need not outlive the machine.
MEMORY: Final = Path("/dev/shm")
ORIGIN: Final = "https://sandbox-api.whop.com"
HERE, ELSEWHERE = GUILD, OTHER_GUILD
UNDO, MISSED, LARGEST_STEP = timedelta(seconds=10), timedelta(minutes=15), timedelta(seconds=30)
QUIET_SECONDS, KEY_SECONDS = 60.0, 24 * 3600.0
QUORUMS: Final = {"One": 1, "Two": 2}
PEOPLE: Final[Mapping[str, tuple[int, int, frozenset[int]]]] = {
    "Maya": (101, HERE, frozenset({COMPOSE})),
    "Noor": (102, HERE, frozenset({COMPOSE, APPROVE})),
    "Omar": (103, HERE, frozenset({APPROVE})),
    "Lena": (104, HERE, frozenset({APPROVE, OPERATE})),
    "Olga": (105, HERE, frozenset({COMPOSE, APPROVE, OPERATE})),
    "Stan": (106, HERE, frozenset()),
    "Zoe": (107, ELSEWHERE, frozenset({COMPOSE, OPERATE})),
    "Yan": (108, ELSEWHERE, frozenset({APPROVE, OPERATE})),
    "Xia": (109, ELSEWHERE, frozenset({APPROVE})),
}
CALM: Final = {Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD, Status.CANCELLED}
UNDER_WAY: Final = {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT}
T = TypeVar("T")


def refusals_told(event: Event) -> int:
    """Return of how many refusals an event tells."""
    if event.action == AGAIN:
        return int(event.detail.split()[1].replace(",", ""))
    return int(event.action.startswith("refused "))


class Mode(StrEnum):
    """How Whop is spoken to, and whether it does with keys what it documents."""

    V5 = "v5"
    IGNORED = "v1, whose keys are ignored"
    PROVEN = "v1, whose keys were proven"

    @property
    def generation(self) -> str:
        return "v5" if self is Mode.V5 else "v1"

    def policy(self, *, changed: bool) -> Policy:
        """Return a policy; a changed one reaches other people under the same names."""
        first, second = "exp_3" if changed else "exp_1", "exp_2"
        audiences = (audience("One", first), audience("Two", first, second, more="approvals = 2\n"))
        text = server(*audiences) + server(*audiences, name="Moonlight", guild=ELSEWHERE)
        return parsed(of_generation(text, self.generation))


class Fate(StrEnum):
    """What becomes of a request."""

    ACCEPTED = "accepted"
    REFUSED = "connection refused"
    SUSPENDED = "suspended before its first byte"
    LOST = "closed before accept"
    CUT = "closed after accept"
    BUSY = "429"
    BROKEN = "500"
    BROKEN_AFTER = "500 after accept"
    NO_DOOR = "401"
    REJECTED = "422"
    IN_PROGRESS = "409"
    SILENT = "silence before accept"
    HELD = "silence after accept"


ACTS: Final = {Fate.ACCEPTED, Fate.CUT, Fate.BROKEN_AFTER, Fate.HELD}
DOUBTFUL: Final = (Fate.LOST, Fate.CUT, Fate.BROKEN_AFTER, Fate.SILENT, Fate.HELD)
ANSWERS: Final = {
    Fate.BUSY: 429,
    Fate.BROKEN: 500,
    Fate.BROKEN_AFTER: 500,
    Fate.NO_DOOR: 401,
    Fate.REJECTED: 422,
}


class Seen(NamedTuple):
    """What an approver said yes to, and what customers get: words and targets."""

    subject: str
    targets: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Story:
    """What is expected of a broadcast, told by what people did."""

    id: int
    guild: int
    author: int
    writers: set[int]
    audience: str
    subject: str
    revision: int = 1
    approvals: dict[int, Seen] = field(default_factory=dict[int, Seen])
    due_at: datetime | None = None
    decided: bool = False
    # Its author only used words again that others wrote.
    is_borrowed: bool = False

    @property
    def written_by(self) -> set[int]:
        """Return whose words they are."""
        return self.writers - {self.author} if self.is_borrowed else self.writers

    def is_approved_as(self, pushed: Seen) -> bool:
        """Tell whether enough people who did not write it said yes to just that."""
        willing = {
            person
            for person, seen in self.approvals.items()
            if seen.subject == pushed.subject and pushed.targets <= seen.targets
        }
        return len(willing) >= QUORUMS[self.audience] and not willing & self.writers


class Model:
    """A Herald, its people, its clocks, and a Whop that notices what must not be."""

    def __init__(self, mode: Mode, folder: Path) -> None:
        self.mode = mode
        self.folder = folder
        self.clock = ManualClock()
        # By how much the wall clock was moved since Herald last looked, and until when it must be quiet.
        self.moved, self.quiet_until = timedelta(), 0.0
        self.roles: dict[int, frozenset[int] | None] = {one: roles for one, _, roles in PEOPLE.values()}
        self.away = False
        self.stories: dict[int, Story] = {}
        self.frozen: dict[int, int] = {}
        self.refusals: Counter[int] = Counter()
        self.wrongs: list[str] = []
        self.numbers = 0
        self.changed = False
        self.fates: deque[Fate] = deque()
        self.pushes: list[tuple[str, bytes]] = []
        self.held: dict[asyncio.Task[Any], asyncio.Event] = {}
        self.claims: dict[asyncio.Task[Any], Delivery] = {}
        self.somebody_held = asyncio.Event()
        self.standing: list[Freeze] = []
        self._keys: dict[str, float] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        self.store = await stack.enter_async_context(Store.open(new_file(self.folder)))
        self.processes = await stack.enter_async_context(AsyncExitStack())
        await self.start()
        account = self.service.lifecycle.accounts[ACCOUNT]
        if self.mode is Mode.PROVEN:
            await self.store.write(keep, account, Verdict(honoured=True, words=""), at=self.clock())

    async def start(self, *, in_order: bool = True) -> None:
        """Take the place of whatever process was there."""
        self.quiet_until = 0.0
        generation = self.mode.generation
        process = await self.processes.enter_async_context(
            Worker.open(
                settings_of("sqlite:///never opened", self.folder, origin=ORIGIN, generation=generation),
                self.mode.policy(changed=self.changed),
                store=self.store,
                transport=cast("Transport", self),
                role_source=self,
                clock=self.clock,
                steady=self.clock.steady,
            )
        )
        self.service, self.dispatcher = process.service, process.dispatcher
        if in_order:
            await process.startup.begin()
        await self.dispatcher.sweep()
        for story in self.stories.values():
            # What was approved for other people may be void as soon as a start notices.
            if any(seen.targets != self.targets(story) for seen in story.approvals.values()):
                kept = {one.approver.id for one in (await self.get(story.id)).approvals}
                story.approvals = story.approvals if kept else {}

    def jump(self, span: timedelta) -> None:
        self.clock.jump(span)
        self.moved += span

    async def membership_of(self, guild_id: int, user_id: int) -> Membership | None:
        """Answer as Discord."""
        _ = guild_id
        if self.away:
            raise Unreachable("Discord does not answer")
        roles = self.roles[user_id]
        return None if roles is None else Membership(roles)

    # --- Whop ------------------------------------------------------------------------------------

    async def send(self, request: Request, *, may_leave: Callable[[], bool]) -> Response | NoAnswer:
        """Answer as the network and Whop."""
        await self._look_at(request)
        fate = self.fates.popleft() if self.fates else Fate.ACCEPTED
        if fate is Fate.SUSPENDED:
            self.clock.advance(timedelta(seconds=40))
        if fate is Fate.REFUSED or not may_leave():
            return NoAnswer(reason=fate.value, bytes_left=False)
        replayed = fate in ACTS and self._act(request)
        if fate in {Fate.HELD, Fate.SILENT}:
            await self._hold()
            if fate is Fate.SILENT:
                replayed = self._act(request)
        if fate in {Fate.LOST, Fate.CUT}:
            return NoAnswer(reason=fate.value, bytes_left=True)
        if fate in ANSWERS:
            return Response(status=ANSWERS[fate], headers={}, body="")
        if fate is Fate.IN_PROGRESS:
            kind = '{"error": {"type": "idempotency_request_in_progress"}}'
            return Response(status=409, headers={}, body=kind)
        return Response(status=202, headers={"Idempotent-Replayed": "true"} if replayed else {}, body="{}")

    def _act(self, request: Request) -> bool:
        """Push it, unless its key is known; return whether it is."""
        key = request.headers.get("Idempotency-Key", "")
        if self.mode is Mode.PROVEN and self.clock.seconds - self._keys.get(key, -KEY_SECONDS) < KEY_SECONDS:
            return True
        self._keys[key] = self.clock.seconds
        self.pushes.append((key, request.body))
        return False

    async def _hold(self) -> None:
        task, released = asyncio.current_task(), asyncio.Event()
        assert task
        self.held[task] = released
        self.somebody_held.set()
        try:
            await released.wait()
        finally:
            del self.held[task]

    async def _look_at(self, request: Request) -> None:
        """Note down what is wrong about a request in the moment in which it would leave."""
        task, pushed = asyncio.current_task(), _seen(request.body)
        assert task
        complaints: list[str] = []
        with self.store.begin(Access.READ) as tx:
            for story in self.stories.values():
                claims = [one for one in tx.deliveries.of(story.id) if _is_claim_of(one, request)]
                if not claims:
                    continue
                broadcast = tx.broadcasts.get(story.id)
                complaint = self._complaint(story, broadcast, pushed)
                if not complaint:
                    self.claims[task] = claims[0]
                    return
                complaints.append(f"#{story.id}: {complaint}")
        self.wrongs += complaints or ["sent without a claim that stands"]

    def _complaint(self, story: Story, broadcast: Broadcast, pushed: Seen) -> str:
        if not story.is_approved_as(pushed):
            return f"{pushed} was not approved by enough others: {story}"
        if any(one.guild_id in {None, story.guild} for one in self.standing):
            return "sent while frozen"
        if self.clock.seconds < self.quiet_until:
            return "sent within the minute after the clock was moved"
        # A person who asks Whop again about an unknown one knows that it is late.
        if broadcast.status is Status.UNKNOWN:
            return ""
        if story.due_at is None or not story.due_at <= self.clock.now <= story.due_at + MISSED:
            return f"sent at {self.clock.now}, due at {story.due_at}"
        return ""

    # --- the dispatcher --------------------------------------------------------------------------

    async def round(self) -> None:
        """Let the dispatcher do all that is due, as far as it comes without those who are held."""
        moved, self.moved = self.moved, timedelta()
        if abs(moved) > LARGEST_STEP:
            self.quiet_until = self.clock.seconds + QUIET_SECONDS
        with self.store.begin(Access.READ) as tx:
            self.standing = tx.freezes.standing()
            before = {one: (tx.broadcasts.get(one)).status for one in self.stories}
        if moved < -LARGEST_STEP:
            self._shorten_waits(before)
        at = self.clock.now
        await self.dispatcher._round()  # pyright: ignore[reportPrivateUsage]
        await self.settle_down()
        with self.store.begin(Access.READ) as tx:
            for story in self.stories.values():
                status = (tx.broadcasts.get(story.id)).status
                if before[story.id] is Status.APPROVED and status not in CALM:
                    self._look_at_start(story, at)
                if status is Status.DRAFT:
                    # Nobody decided in time.
                    story.approvals.clear()

    def _shorten_waits(self, statuses: Mapping[int, Status]) -> None:
        """Expect that nobody waits for the time that was taken back."""
        for story in self.stories.values():
            latest = {Status.APPROVED: UNDO, Status.SENDING: timedelta()}.get(statuses[story.id])
            if story.due_at and latest is not None:
                story.due_at = min(story.due_at, self.clock.now + latest)

    def _look_at_start(self, story: Story, at: datetime) -> None:
        if story.due_at is None or not story.due_at <= at <= story.due_at + MISSED:
            self.wrongs.append(f"#{story.id} started at {at}, due at {story.due_at}")
        if any(one.guild_id in {None, story.guild} for one in self.standing):
            self.wrongs.append(f"#{story.id} started while frozen")
        if self.clock.seconds < self.quiet_until:
            self.wrongs.append(f"#{story.id} started within the minute after the clock was moved")
        concerned = {story.author: COMPOSE} | dict.fromkeys(story.approvals, APPROVE)
        for person, role in concerned.items():
            if not self.away and role not in (self.roles[person] or ()):
                self.wrongs.append(f"#{story.id} started though {person} has lost the role")

    async def settle_down(self) -> None:
        while busy := self.flying - set(self.held):
            self.somebody_held.clear()
            held = asyncio.create_task(self.somebody_held.wait())
            await asyncio.wait({*busy, held}, return_when=asyncio.FIRST_COMPLETED)
            held.cancel()

    @property
    def flying(self) -> set[asyncio.Task[None]]:
        return set(self.dispatcher._flying)  # pyright: ignore[reportPrivateUsage]

    async def kill(self) -> None:
        """Let the process die while it waits for its answers."""
        dying = list(self.flying)
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)

    async def answer_one(self) -> None:
        """Let the answer come that was waited for longest."""
        for task, released in list(self.held.items())[:1]:
            released.set()
            await asyncio.wait({task})
            if claim := self.claims.get(task):
                await self._look_at_late_answer(claim)

    async def _look_at_late_answer(self, claim: Delivery) -> None:
        """Expect that a yes counts, or stands in the record if a person has said otherwise."""
        with self.store.begin(Access.READ) as tx:
            now = tx.deliveries.get(claim.id)
            lines = tx.audit.of_guild(self.stories[claim.broadcast_id].guild)
        if now.attempts != claim.attempts:
            return
        if now.status is DeliveryStatus.REJECTED:
            noted = any(
                (one.broadcast_id, one.action) == (claim.broadcast_id, "late answer") for one in lines
            )
            assert noted, "a late answer that contradicts a person stands in the record"
        else:
            assert now.status is DeliveryStatus.ACCEPTED, "a late answer counts"

    # --- people ----------------------------------------------------------------------------------

    def actor(self, name: str) -> Actor:
        number, guild, _ = PEOPLE[name]
        return Actor(id=number, name=name, guild_id=guild, roles=self.roles[number] or frozenset())

    def words(self) -> Notification:
        """Return words that were never there before."""
        self.numbers += 1
        return Notification(topic="news", all=Text(subject=f"Number {self.numbers}", content="Come in"))

    async def compose(self, name: str, audience: str) -> Story | None:
        actor, words = self.actor(name), self.words()
        try:
            draft = await self.service.compose(actor, audience=audience, notification=words, channel_id=1)
        except Refused:
            self.refusals[actor.guild_id or 0] += 1
            return None
        assert COMPOSE in actor.roles
        return self.tell(draft, {actor.id})

    def tell(self, draft: Broadcast, writers: set[int]) -> Story:
        story = Story(
            id=draft.id,
            guild=draft.guild_id,
            author=draft.author.id,
            writers=writers,
            audience=draft.audience,
            subject=draft.title,
            revision=draft.revision,
        )
        self.stories[draft.id] = story
        return story

    async def get(self, number: int) -> Broadcast:
        with self.store.begin(Access.READ) as tx:
            return tx.broadcasts.get(number)

    async def act(self, name: str, action: Action, story: Story, *, stale: bool = False) -> bool:
        """Let someone press a button, on the newest card or an old one; return whether they could."""
        actor = self.actor(name)
        stale = stale and story.revision > 1
        before = await self.get(story.id)
        words = self.words()
        revision = story.revision - 1 if stale else story.revision
        try:
            after = await self._press(actor, action, story, revision, words)
        except Refused:
            self.refusals[actor.guild_id or 0] += 1
            mine = actor.guild_id == story.guild and not stale
            assert not (
                action is Action.STOP and before.status is Status.APPROVED and mine and APPROVE in actor.roles
            ), "whoever may approve can stop"
            return False
        assert not stale, "an old card has no power"
        assert actor.guild_id == story.guild
        self._expect(actor, action, story)
        self._retell(actor, action, story, words, after)
        return True

    async def _press(
        self, actor: Actor, action: Action, story: Story, revision: int, words: Notification
    ) -> Broadcast:
        service, number = self.service, story.id
        match action:
            case Action.EDIT:
                return await service.edit(actor, number, revision=revision, notification=words)
            case Action.SEND_AGAIN:
                return await service.send_again(actor, number, revision=revision, channel_id=1)
            case Action.REUSE:
                return await service.reuse(actor, number, revision=revision, channel_id=1)
            case Action.CANCEL:
                return await service.cancel(actor, number, revision=revision)
            case Action.REQUEST_CHANGES | Action.REJECT | Action.CONFIRM | Action.DENY:
                return await service.act_with_reason(
                    actor, action, number, revision=revision, reason="Because"
                )
            case _:
                use_case = {
                    Action.SUBMIT: service.submit,
                    Action.APPROVE: service.approve,
                    Action.WITHDRAW: service.withdraw,
                    Action.STOP: service.stop,
                    Action.RETURN: service.take_back,
                    Action.RELEASE: service.release,
                    Action.CHECK: service.check_again,
                }[action]
                return await use_case(actor, number, revision=revision)

    def _expect(self, actor: Actor, action: Action, story: Story) -> None:
        """Say who may do what, in other words than the product."""
        wrote, is_author = actor.id in story.writers, actor.id == story.author
        approves, operates = APPROVE in actor.roles, OPERATE in actor.roles
        match action:
            case Action.APPROVE | Action.REQUEST_CHANGES | Action.REJECT:
                assert approves
                assert not wrote
            case Action.CHECK | Action.CONFIRM | Action.DENY:
                assert operates
                assert not wrote
            case Action.EDIT | Action.SUBMIT | Action.WITHDRAW:
                assert is_author
                assert COMPOSE in actor.roles
            case Action.SEND_AGAIN | Action.REUSE:
                assert COMPOSE in actor.roles
            case Action.RELEASE:
                assert approves or operates
            case Action.CANCEL:
                assert operates or is_author
            case _:
                assert approves or operates or is_author

    def _retell(
        self, actor: Actor, action: Action, story: Story, words: Notification, after: Broadcast
    ) -> None:
        match action:
            case Action.EDIT:
                story.subject, story.revision = (
                    (words.all or Text(subject="", content="")).subject,
                    after.revision,
                )
                story.writers.add(actor.id)
                story.is_borrowed = False
                story.approvals.clear()
            case Action.APPROVE:
                story.approvals[actor.id] = Seen(story.subject, self.targets(story))
                if len(story.approvals) >= QUORUMS[story.audience]:
                    story.due_at = self.clock.now + UNDO
            case Action.CONFIRM | Action.DENY:
                story.decided = True
            case Action.SEND_AGAIN | Action.REUSE:
                # What is sent again beside an unknown one takes over its author, too.
                is_repeat = after.repeats == story.id
                wrote = story.writers if is_repeat else story.written_by
                told = self.tell(after, wrote | {actor.id})
                told.is_borrowed = actor.id not in wrote
            case Action.SUBMIT | Action.CHECK | Action.CANCEL | Action.REJECT:
                pass
            case _:
                story.approvals.clear()

    def targets(self, story: Story) -> frozenset[str]:
        server = self.service.policy.server(story.guild)
        audience = server.audience(story.audience) if server else None
        assert audience
        return frozenset(audience.targets.products or audience.targets.experiences)

    async def freeze(self, name: str) -> None:
        actor = self.actor(name)
        guild = actor.guild_id or 0
        try:
            await self.service.freeze(actor, "Wait")
        except Refused:
            self.refusals[guild] += 1
            return
        assert actor.roles & {APPROVE, OPERATE}
        self.frozen[guild] = actor.id

    async def unfreeze(self, name: str) -> None:
        actor = self.actor(name)
        guild = actor.guild_id or 0
        with self.store.begin(Access.READ) as tx:
            over = tx.freezes.over(guild, ACCOUNT)
        try:
            # Who may lift it here, may in the other server.
            others = [replace(actor, guild_id=one) for one in (HERE, ELSEWHERE) if one != guild]
            await self.service.unfreeze(actor, elsewhere=others)
        except Refused:
            self.refusals[guild] += 1
            return
        assert actor.roles & {APPROVE, OPERATE}
        assert over
        assert over.by.id != actor.id, "whoever froze it cannot lift it"
        if over.guild_id is not None:
            assert self.frozen.pop(guild) != actor.id

    # --- the promises ----------------------------------------------------------------------------

    async def check(self) -> None:
        assert self.wrongs == []
        with self.store.begin(Access.READ) as tx:
            rows: list[Delivery] = []
            for story in self.stories.values():
                broadcast = tx.broadcasts.get(story.id)
                deliveries = tx.deliveries.of(story.id)
                rows += deliveries
                self._check_story(story, broadcast)
                self._check_end(story, broadcast, deliveries)
            for guild in (HERE, ELSEWHERE):
                events = tx.audit.of_guild(guild)
                assert first_broken(events) is None, "the record is whole"
                refused = sum(map(refusals_told, events)) + sum(
                    one.more for one in tx.refusals.standing() if one.guild_id == guild
                )
                assert refused == self.refusals[guild], "refusals stand in the record"
            standing = {one.guild_id: one.by.id for one in tx.freezes.standing()}
        assert self.frozen.items() <= standing.items(), "a freeze stands until a second person lifts it"
        claimed = Counter(one.request.body for one in rows if one.attempts)
        pushed = Counter(body for _, body in self.pushes)
        assert all(claimed[body] >= times for body, times in pushed.items()), "at most once"

    def _check_story(self, story: Story, broadcast: Broadcast) -> None:
        assert (broadcast.title, broadcast.revision) == (story.subject, story.revision)
        approvers = {one.approver.id for one in broadcast.approvals}
        assert not approvers & {story.author, *broadcast.editors}, "nobody approves what they wrote"
        assert approvers == set(story.approvals)
        if broadcast.status is Status.APPROVED:
            assert broadcast.due_at == story.due_at
            assert len(approvers) >= QUORUMS[story.audience]

    def _check_end(self, story: Story, broadcast: Broadcast, deliveries: list[Delivery]) -> None:
        status, ends = broadcast.status, {one.status for one in deliveries}
        assert bool(deliveries) == (status not in CALM)
        if not deliveries:
            return
        wanted = 1 if self.mode is Mode.V5 else QUORUMS[story.audience]
        assert len(deliveries) == wanted, "nobody is forgotten"
        expected = {
            Status.SENDING: bool(ends & UNDER_WAY),
            Status.SENT: ends == {DeliveryStatus.ACCEPTED},
            Status.PARTIAL: ends == {DeliveryStatus.ACCEPTED, DeliveryStatus.REJECTED},
            Status.FAILED: ends == {DeliveryStatus.REJECTED},
            Status.UNKNOWN: bool(ends & {DeliveryStatus.UNKNOWN, *UNDER_WAY}),
        }
        assert expected[status], f"{status} of {ends}"
        for one in deliveries:
            times = self.times_pushed(one)
            if one.status is DeliveryStatus.ACCEPTED and not story.decided:
                assert times, "nothing is called accepted that was not pushed"
            if one.status is DeliveryStatus.REJECTED and not story.decided:
                assert not times or self.has_twin(one), "nothing is called refused that was pushed"

    def times_pushed(self, delivery: Delivery) -> int:
        return self.pushes.count((_key(delivery.request), delivery.request.body))

    def has_twin(self, delivery: Delivery) -> bool:
        """Tell whether another delivery has the same bytes, so that nobody can tell them apart (v5)."""
        subject = _seen(delivery.request.body).subject
        return sum(story.subject == subject for story in self.stories.values()) > 1

    async def come_to_an_end(self) -> None:
        """Let all trouble end and time pass: then nothing waits for anything but a person."""
        while self.held:
            await self.answer_one()
        await self.settle_down()
        self.fates.clear()
        self.away = False
        await self.start(in_order=False)
        # A clock that was set back has first to come to where things fall due.
        last = max((story.due_at for story in self.stories.values() if story.due_at), default=self.clock.now)
        self.clock.advance(max(last - self.clock.now, timedelta()))
        for span in (61, 61, 360, 360, 360, 61):
            self.clock.advance(timedelta(seconds=span))
            await self.round()
        for story in self.stories.values():
            status = (await self.get(story.id)).status
            assert status not in {Status.APPROVED, Status.SENDING}, "nothing is forgotten"


def _key(request: Request) -> str:
    return request.headers.get("Idempotency-Key", "")


def _is_claim_of(delivery: Delivery, request: Request) -> bool:
    """Tell whether the delivery is claimed, written down, and has the request's very bytes."""
    is_open = bool(delivery.past) and delivery.past[-1].finished_at is None
    return delivery.status is DeliveryStatus.IN_FLIGHT and is_open and delivery.request.body == request.body


def _seen(body: bytes) -> Seen:
    """Return what customers get, read from the bytes alone."""
    said: dict[str, Any] = json.loads(body)
    if "experience_id" in said:
        return Seen(said["title"], frozenset({said["experience_id"]}))
    targets = frozenset(one for kind in said["targets"] for ids in kind.values() for one in ids)
    return Seen(said["notification_data"]["all"]["subject"], targets)


SPANS: Final = [
    timedelta(seconds=1),
    UNDO,
    timedelta(seconds=61),
    timedelta(minutes=5),
    timedelta(minutes=16),
]
LONG_SPANS: Final = [timedelta(hours=2), timedelta(hours=25)]
JUMPS: Final = [timedelta(seconds=20), timedelta(seconds=45), timedelta(minutes=10), timedelta(hours=2)]
PRESSED: Final = [
    Action.EDIT,
    Action.SUBMIT,
    Action.WITHDRAW,
    Action.CANCEL,
    Action.APPROVE,
    Action.REQUEST_CHANGES,
    Action.REJECT,
    Action.STOP,
    Action.RELEASE,
    Action.RETURN,
    Action.CHECK,
    Action.CONFIRM,
    Action.DENY,
    Action.SEND_AGAIN,
    Action.REUSE,
]
names = st.sampled_from(sorted(PEOPLE))
audiences = st.sampled_from(sorted(QUORUMS))
# Counted from the newest.
places = st.integers(0, 3)


class Life(RuleBasedStateMachine):
    """One life of a Herald."""

    def __init__(self, mode: Mode, template: Path) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="herald-", dir=MEMORY if MEMORY.is_dir() else None)
        folder = Path(self._folder.name)
        shutil.copy(template, folder / "herald.db")
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.model = Model(mode, folder)
        self._run(self.model.open(self._stack))

    def _run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self._runner.run(wait())

    def teardown(self) -> None:
        try:
            self._run(self.model.come_to_an_end())
            self._run(self.model.check())
        finally:
            for task in self.model.held:
                task.cancel()
            self._run(self._stack.aclose())
            self._runner.close()
            self._folder.cleanup()

    def _story(self, place: int) -> Story | None:
        stories = list(self.model.stories.values())
        return stories[-1 - place % len(stories)] if stories else None

    # --- people ----------------------------------------------------------------------------------

    @rule(name=names, audience=audiences)
    def compose(self, name: str, audience: str) -> None:
        self._run(self.model.compose(name, audience))

    @rule(audience=audiences, name=st.sampled_from(["Maya", "Noor", "Zoe"]), due=st.booleans())
    def approve_as_intended(self, audience: str, name: str, due: bool) -> None:
        async def go() -> None:
            story = await self.model.compose(name, audience)
            if story is None:
                return
            await self.model.act(name, Action.SUBMIT, story)
            for other in ("Omar", "Lena") if story.guild == HERE else ("Yan", "Xia"):
                if len(story.approvals) < QUORUMS[audience]:
                    await self.model.act(other, Action.APPROVE, story)
            if due:
                self.model.clock.advance(UNDO)

        self._run(go())

    @rule(name=names, action=st.sampled_from(PRESSED), place=places, stale=st.booleans())
    def press(self, name: str, action: Action, place: int, stale: bool) -> None:
        if story := self._story(place):
            self._run(self.model.act(name, action, story, stale=stale))

    @rule(
        place=places, action=st.sampled_from([Action.CONFIRM, Action.DENY, Action.CHECK, Action.SEND_AGAIN])
    )
    def decide_about_the_unknown(self, place: int, action: Action) -> None:
        if story := self._story(place):
            name = "Olga" if story.guild == HERE else "Zoe"
            self._run(self.model.act(name, action, story))

    @rule(place=places)
    def edit_and_submit_again(self, place: int) -> None:
        async def go(story: Story) -> None:
            author = next(name for name, (number, _, _) in PEOPLE.items() if number == story.author)
            for action in (Action.STOP, Action.RETURN, Action.WITHDRAW):
                await self.model.act(author, action, story)
            await self.model.act(author, Action.EDIT, story)
            await self.model.act(author, Action.SUBMIT, story)

        if story := self._story(place):
            self._run(go(story))

    @rule(name=names, place=places)
    def approve(self, name: str, place: int) -> None:
        if story := self._story(place):
            self._run(self.model.act(name, Action.APPROVE, story, stale=False))

    @rule(name=names)
    def freeze(self, name: str) -> None:
        self._run(self.model.freeze(name))

    @rule(name=st.sampled_from(["Omar", "Lena", "Yan", "Stan"]))
    def unfreeze(self, name: str) -> None:
        self._run(self.model.unfreeze(name))

    @rule(name=names, left=st.booleans())
    def lose_roles(self, name: str, left: bool) -> None:
        self.model.roles[PEOPLE[name][0]] = None if left else frozenset()

    @rule(name=st.sampled_from(["Maya", "Omar", "Lena"]), audience=audiences, left=st.booleans())
    def lose_roles_before_the_send(self, name: str, audience: str, left: bool) -> None:
        self.approve_as_intended(audience, "Maya", due=True)
        self.lose_roles(name, left)
        self.dispatch()

    @rule()
    def get_roles_back(self) -> None:
        self.model.roles = {number: roles for number, _, roles in PEOPLE.values()}

    @rule()
    def discord_goes_or_comes(self) -> None:
        self.model.away = not self.model.away

    # --- time and trouble ------------------------------------------------------------------------

    @rule(span=st.sampled_from(SPANS * 3 + LONG_SPANS))
    def pass_time(self, span: timedelta) -> None:
        self.model.clock.advance(span)

    @rule(span=st.sampled_from(JUMPS), back=st.booleans())
    def set_the_clock(self, span: timedelta, back: bool) -> None:
        self.model.jump(-span if back else span)

    @rule(fates=st.lists(st.sampled_from(Fate), max_size=3))
    def script(self, fates: list[Fate]) -> None:
        self.model.fates = deque(fates)

    @rule()
    def dispatch(self) -> None:
        self._run(self.model.round())

    @rule(fate=st.sampled_from([*Fate, *DOUBTFUL]), audience=audiences)
    def send_with(self, fate: Fate, audience: str) -> None:
        self.approve_as_intended(audience, "Maya", due=True)
        self.model.fates = deque([fate])
        self.dispatch()

    @rule()
    def answer_comes(self) -> None:
        self._run(self.model.answer_one())

    @rule(in_order=st.booleans(), changed=st.booleans())
    def crash(self, in_order: bool, changed: bool) -> None:
        async def go() -> None:
            await self.model.kill()
            self.model.changed = changed
            await self.model.start(in_order=in_order)

        self._run(go())

    @rule()
    def be_taken_over(self) -> None:
        """Let another process take over what this one still waits for, and has to tell of later."""
        self._run(self.model.start(in_order=False))

    @rule(
        fate=st.sampled_from([Fate.SILENT, Fate.HELD]),
        said=st.sampled_from([None, Action.CONFIRM, Action.DENY]),
    )
    def hear_late(self, fate: Fate, said: Action | None) -> None:
        self.get_roles_back()
        self.send_with(fate, "One")
        self.be_taken_over()
        if said:
            self.decide_about_the_unknown(0, said)
        self.answer_comes()

    @invariant()
    def promises_hold(self) -> None:
        self._run(self.model.check())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database that is migrated already."""
    file = tmp_path_factory.mktemp("template") / "herald.db"

    async def make() -> None:
        async with Store.open(f"sqlite:///{file}"):
            pass

    asyncio.run(make())
    return file


@pytest.mark.hypothesis
@pytest.mark.parametrize("mode", Mode)
def test_whatever_happens_in_whatever_order_the_promises_hold(mode: Mode, template: Path) -> None:
    def live() -> Life:
        return Life(mode, template)

    # Each way of speaking to Whop has lives of its own, in the suite always the same.
    lives = seed(mode)(live) if LIVES.derandomize else live
    # Hypothesis takes whatever makes a machine, and says that it has to be its class.
    run_state_machine_as_test(cast("type[Life]", lives), settings=LIVES)  # pyright: ignore[reportUnknownMemberType]
